//! The resources of a C2SP tlog-tiles log: tiles of hashes and bundles of entries, and the paths that name them.
//!
//! A path has one spelling. It may name what a tree does not have, or not yet: that depends on the tree's size.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::decimal;

/// How many levels of the tree a tile spans.
pub const TILE_HEIGHT: u8 = 8;

/// How many hashes a full tile has, and how many entries a full bundle.
pub const TILE_WIDTH: u16 = 1 << TILE_HEIGHT;

/// The highest level that a path can name; a tree of 2⁶⁴ leaves has none above 7.
const LEVEL_MAX: u8 = 63;

const ENTRIES: &str = "tile/entries/";
const TILES: &str = "tile/";

/// Consecutive hashes of one level of a tree: 256, or fewer at its right edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    level: u8,
    place: Place,
}

/// Consecutive entries of a log: 256, or fewer at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryBundle {
    place: Place,
}

/// A path that is not the one spelling of a tile's or a bundle's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path names no tile and no entry bundle")]
pub struct NotATile;

impl Tile {
    /// Returns the tile of a tree of `size` leaves that holds hash `index` of a level; `None` if the tree has none.
    pub fn holding(level: u8, index: u64, size: u64) -> Option<Self> {
        let place = Place::holding(index, hashes_of_level(level, size))?;
        (level <= LEVEL_MAX).then_some(Self { level, place })
    }

    /// Returns which level it is of.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Returns which hashes of its level it holds.
    pub fn hashes(self) -> Range<u64> {
        self.place.range()
    }

    /// Returns whether a tree of `size` leaves has all its hashes.
    pub fn is_within(self, size: u64) -> bool {
        self.hashes().end <= hashes_of_level(self.level, size)
    }
}

impl EntryBundle {
    /// Returns the bundle of a log of `size` entries that holds entry `index`; `None` if the log has none.
    pub fn holding(index: u64, size: u64) -> Option<Self> {
        Place::holding(index, size).map(|place| Self { place })
    }

    /// Returns which entries it holds.
    pub fn entries(self) -> Range<u64> {
        self.place.range()
    }

    /// Returns whether a log of `size` entries has all of them.
    pub fn is_within(self, size: u64) -> bool {
        self.entries().end <= size
    }
}

/// Returns the tiles of a tree of `size` leaves, level by level; the last of each level may be partial.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    (0..)
        .map_while(move |level| {
            let hashes = hashes_of_level(level, size);
            (hashes > 0).then(|| places(hashes).map(move |place| Tile { level, place }))
        })
        .flatten()
}

/// Returns the entry bundles of a log of `size` entries; the last may be partial.
pub fn entry_bundles(size: u64) -> impl Iterator<Item = EntryBundle> {
    places(size).map(|place| EntryBundle { place })
}

impl fmt::Display for Tile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{TILES}{}/{}", self.level, self.place)
    }
}

impl fmt::Display for EntryBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{ENTRIES}{}", self.place)
    }
}

impl FromStr for Tile {
    type Err = NotATile;

    fn from_str(path: &str) -> Result<Self, NotATile> {
        let path = path.strip_prefix(TILES).ok_or(NotATile)?;
        let (level, place) = path.split_once('/').ok_or(NotATile)?;
        let level = decimal::parse(level)
            .and_then(|level| u8::try_from(level).ok())
            .filter(|level| *level <= LEVEL_MAX)
            .ok_or(NotATile)?;
        let place = Place::parse(place).ok_or(NotATile)?;
        Ok(Self { level, place })
    }
}

impl FromStr for EntryBundle {
    type Err = NotATile;

    fn from_str(path: &str) -> Result<Self, NotATile> {
        let place = path.strip_prefix(ENTRIES).and_then(Place::parse);
        place.map(|place| Self { place }).ok_or(NotATile)
    }
}

fn hashes_of_level(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT))
        .unwrap_or(0)
}

/// Returns the places that `count` hashes or entries take.
fn places(count: u64) -> impl Iterator<Item = Place> {
    let (full, rest) = (count / u64::from(TILE_WIDTH), count % u64::from(TILE_WIDTH));
    let partial = u16::try_from(rest).ok().filter(|width| *width > 0);
    let partial = partial.map(|width| Place { index: full, width });
    let width = TILE_WIDTH;
    (0..full)
        .map(move |index| Place { index, width })
        .chain(partial)
}

/// The `index`-th group of 256, and how many of it are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    /// So small that what the place ends with has a number of 64 bits.
    index: u64,
    /// From 1 to 256.
    width: u16,
}

impl Place {
    /// Returns the place of item `index` among `count`.
    fn holding(index: u64, count: u64) -> Option<Self> {
        let index = (index < count).then_some(index / u64::from(TILE_WIDTH))?;
        let left = count - index * u64::from(TILE_WIDTH);
        let width = left.min(TILE_WIDTH.into()).try_into().ok()?;
        Some(Self { index, width })
    }

    fn range(self) -> Range<u64> {
        let start = self.index * u64::from(TILE_WIDTH);
        start..start + u64::from(self.width)
    }

    fn parse(path: &str) -> Option<Self> {
        let (groups, width) = match path.split_once(".p/") {
            Some((groups, width)) => (groups, u16::try_from(decimal::parse(width)?).ok()?),
            None => (path, TILE_WIDTH),
        };
        let mut index: u64 = 0;
        for group in groups.split('/') {
            let group: u64 = group.trim_start_matches('x').parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(group)?;
        }
        let place = Self { index, width };
        // What was read loosely has one spelling.
        let ends = index
            .checked_mul(TILE_WIDTH.into())?
            .checked_add(width.into());
        let is_place = ends.is_some() && width > 0 && place.to_string() == path;
        is_place.then_some(place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.index.checked_ilog(1000).unwrap_or(0);
        for power in (1..=groups).rev() {
            write!(
                formatter,
                "x{:03}/",
                self.index / 1000_u64.pow(power) % 1000
            )?;
        }
        write!(formatter, "{:03}", self.index % 1000)?;
        if self.width < TILE_WIDTH {
            write!(formatter, ".p/{}", self.width)?;
        }
        Ok(())
    }
}
