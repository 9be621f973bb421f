//! Tiles and entry bundles are those of C2SP tlog-tiles, under one path each.

use avow::transparency::bundle::{BundleError, LEAF_BYTES_MAX, LeafTooLong, leaves, put_leaf};
use avow::transparency::tile::{EntryBundle, NotATile, Tile, entry_bundles, tiles};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

#[test]
fn a_path_names_the_hashes_of_a_tile() {
    #[rustfmt::skip]
    let rows = [
        ("tile/0/000",              0,  0..256),
        ("tile/0/000.p/1",          0,  0..1),
        ("tile/0/000.p/255",        0,  0..255),
        ("tile/1/001",              1,  256..512),
        ("tile/2/999.p/7",          2,  255_744..255_751),
        ("tile/0/x001/000",         0,  256_000..256_256),
        ("tile/0/x001/x234/067",    0,  315_921_152..315_921_408),
        ("tile/0/x001/x234/067.p/9", 0, 315_921_152..315_921_161),
        ("tile/63/000.p/10",        63, 0..10),
        ("tile/0/x072/x057/x594/x037/x927/934", 0, 18_446_744_073_709_551_104..18_446_744_073_709_551_360),
        ("tile/0/x072/x057/x594/x037/x927/935.p/255", 0, 18_446_744_073_709_551_360..18_446_744_073_709_551_615),
    ];
    for (path, level, hashes) in rows {
        let tile: Tile = path.parse().unwrap();
        assert_eq!(
            (tile.level(), tile.hashes()),
            (level, hashes.clone()),
            "{path}"
        );
        assert_eq!(tile.to_string(), path);

        let (_, place) = path["tile/".len()..].split_once('/').unwrap();
        let path = format!("tile/entries/{place}");
        let bundle: EntryBundle = path.parse().unwrap();
        assert_eq!(bundle.entries(), hashes);
        assert_eq!(bundle.to_string(), path);
    }
}

#[test]
fn no_other_spelling_of_a_path_names_a_tile() {
    let rows = [
        "",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0",
        "tile//000",
        "tile/0/",
        "tile/00/000",
        "tile/01/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/256/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/xx00",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/0/000/001",
        "tile/0/001/x001",
        "tile/0/X001/000",
        "tile/0/x001000",
        "tile/0/x1/000",
        "tile/0/+00",
        "tile/0/+000",
        "tile/0/-01",
        "tile/0/x+01/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/256",
        "tile/0/000.p/65536",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000/p/1",
        "tile/0/000.P/1",
        "tile/0/00０",
        "tile/0/..",
        "tile/0/%30%30%30",
        "tile/0/000?",
        // The last hash of a tree of 2⁶⁴ leaves would have no number.
        "tile/0/x072/x057/x594/x037/x927/935",
        "tile/0/x072/x057/x594/x037/x927/936.p/1",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ];
    for path in rows {
        assert_eq!(path.parse::<Tile>(), Err(NotATile), "{path}");
        let path = path.replacen("tile/0/", "tile/entries/", 1);
        assert_eq!(path.parse::<EntryBundle>(), Err(NotATile), "{path}");
    }
    assert_eq!("tile/entries/000".parse::<Tile>(), Err(NotATile));
    assert_eq!("tile/0/000".parse::<EntryBundle>(), Err(NotATile));
}

#[test]
fn a_tree_has_the_tiles_that_the_specification_says() {
    #[rustfmt::skip]
    let rows: [(u64, &[&str]); 7] = [
        (0,      &[]),
        (1,      &["tile/0/000.p/1"]),
        (255,    &["tile/0/000.p/255"]),
        (256,    &["tile/0/000", "tile/1/000.p/1"]),
        (257,    &["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]),
        (512,    &["tile/0/000", "tile/0/001", "tile/1/000.p/2"]),
        (65_536, &["tile/0/255", "tile/1/000", "tile/2/000.p/1"]),
    ];
    for (size, paths) in rows {
        let all: Vec<String> = tiles(size).map(|tile| tile.to_string()).collect();
        let last = &all[all.len() - paths.len()..];
        assert_eq!(last, paths, "{size}");
    }

    let of_70_000: Vec<Tile> = tiles(70_000).collect();
    let partial = of_70_000
        .iter()
        .map(Tile::to_string)
        .filter(|path| path.contains(".p/"));
    assert_eq!(
        partial.collect::<Vec<_>>(),
        ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    );
    assert_eq!(of_70_000.len(), 273 + 1 + 1 + 1 + 1);
}

#[test]
fn a_log_has_bundles_for_all_its_entries() {
    #[rustfmt::skip]
    let rows: [(u64, &[&str]); 4] = [
        (0,   &[]),
        (1,   &["tile/entries/000.p/1"]),
        (256, &["tile/entries/000"]),
        (700, &["tile/entries/000", "tile/entries/001", "tile/entries/002.p/188"]),
    ];
    for (size, paths) in rows {
        let bundles: Vec<String> = entry_bundles(size)
            .map(|bundle| bundle.to_string())
            .collect();
        assert_eq!(bundles, paths, "{size}");
    }
}

#[test]
fn a_tile_is_within_a_tree_that_has_all_its_hashes() {
    #[rustfmt::skip]
    let rows = [
        ("tile/0/000.p/5", 4,      false),
        ("tile/0/000.p/5", 5,      true),
        ("tile/0/000.p/5", 6,      true),
        ("tile/0/000",     255,    false),
        ("tile/0/000",     256,    true),
        ("tile/1/000.p/1", 255,    false),
        ("tile/1/000.p/1", 256,    true),
        ("tile/1/000",     65_535, false),
        ("tile/1/000",     65_536, true),
        ("tile/7/000.p/255", u64::MAX, true),
        ("tile/7/000",     u64::MAX, false),
        ("tile/8/000.p/1", u64::MAX, false),
        ("tile/63/000.p/1", u64::MAX, false),
    ];
    for (path, size, is_within) in rows {
        assert_eq!(
            path.parse::<Tile>().unwrap().is_within(size),
            is_within,
            "{path} in {size}"
        );
    }
    let bundle: EntryBundle = "tile/entries/001.p/2".parse().unwrap();
    assert!(bundle.is_within(258) && !bundle.is_within(257));
}

#[test]
fn a_bundle_is_each_leaf_behind_its_length() {
    let mut bytes = Vec::new();
    for leaf in [b"first".as_slice(), b"", &[7; 300]] {
        put_leaf(&mut bytes, leaf).unwrap();
    }

    let expected = [b"\x00\x05first\x00\x00\x01\x2c".as_slice(), &[7; 300]].concat();
    assert_eq!(bytes, expected);
    let bundle = "tile/entries/000.p/3".parse().unwrap();
    assert_eq!(
        leaves(bundle, &bytes),
        Ok(vec![b"first".as_slice(), b"", &[7; 300]])
    );
}

#[test]
fn a_bundle_holds_exactly_as_many_leaves_as_it_should() {
    #[rustfmt::skip]
    let rows: [(&str, &[u8], Result<usize, BundleError>); 9] = [
        ("tile/entries/000.p/1", b"",                    Err(BundleError::TooShort)),
        ("tile/entries/000.p/1", b"\x00",                Err(BundleError::TooShort)),
        ("tile/entries/000.p/1", b"\x00\x01",            Err(BundleError::TooShort)),
        ("tile/entries/000.p/1", b"\x00\x01a",           Ok(1)),
        ("tile/entries/000.p/1", b"\x00\x01ab",          Err(BundleError::TooLong)),
        ("tile/entries/000.p/1", b"\x00\x01a\x00\x00",   Err(BundleError::TooLong)),
        ("tile/entries/000.p/2", b"\x00\x01a",           Err(BundleError::TooShort)),
        ("tile/entries/000.p/2", b"\x00\x01a\x00\x00",   Ok(2)),
        ("tile/entries/000",     b"\x00\x01a\x00\x00",   Err(BundleError::TooShort)),
    ];
    for (path, bytes, expected) in rows {
        let count = leaves(path.parse().unwrap(), bytes).map(|leaves| leaves.len());
        assert_eq!(count, expected, "{path} {bytes:?}");
    }
}

#[test]
fn a_leaf_that_is_too_long_for_a_bundle_is_refused() {
    let mut bytes = Vec::new();

    assert_eq!(
        put_leaf(&mut bytes, &vec![0; LEAF_BYTES_MAX + 1]),
        Err(LeafTooLong)
    );
    assert_eq!(bytes, b"");
    assert_eq!(put_leaf(&mut bytes, &vec![0; LEAF_BYTES_MAX]), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_048,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/transparency_tiles.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_path_makes_reading_panic_and_what_is_read_is_written_as_it_was(
        path in prop_oneof!["tile/[0-9]{1,2}/(x[0-9]{3}/){0,8}[0-9]{3}(\\.p/[0-9]{1,3})?", "tile/[x0-9/.p]{0,20}"],
    ) {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn the_tiles_of_a_level_hold_its_hashes_one_after_another(size in 0..200_000_u64) {
        for level in 0..3 {
            let of_level = tiles(size).filter(|tile| tile.level() == level);
            let end = of_level.fold(0, |end, tile| {
                assert_eq!(tile.hashes().start, end);
                assert!(tile.is_within(size));
                tile.hashes().end
            });
            prop_assert_eq!(end, size >> (8 * level));
        }
    }

    #[test]
    fn leaves_are_read_back_as_they_were_put(put in vec(vec(any::<u8>(), 0..600), 1..=256)) {
        let mut bytes = Vec::new();
        for leaf in &put {
            put_leaf(&mut bytes, leaf).unwrap();
        }
        let bundle = entry_bundles(put.len().try_into().unwrap()).next().unwrap();

        prop_assert_eq!(leaves(bundle, &bytes).unwrap(), put);
    }

    #[test]
    fn no_bytes_make_reading_a_bundle_panic(bytes in vec(0..4_u8, 0..60), count in 1..20_u64) {
        let bundle = entry_bundles(count).next().unwrap();
        if let Ok(leaves) = leaves(bundle, &bytes) {
            let mut written = Vec::new();
            for leaf in leaves {
                put_leaf(&mut written, leaf).unwrap();
            }
            prop_assert_eq!(written, bytes);
        }
    }
}
