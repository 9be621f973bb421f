//! Whether the file system beneath the vault overwrites in place: on one that does not, a destroyed key stays in
//! the blocks that its slot had before.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A destroyed key may stay readable here; displays as a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlaceWarning {
    /// Where the vault lies.
    pub directory: PathBuf,
    /// The kind of file system there.
    pub file_system: String,
    /// What it does.
    pub habit: Habit,
}

/// What a file system does with bytes that are overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// It writes the new ones elsewhere.
    WritesElsewhere,
    /// It writes them to its journal first.
    JournalsData,
    /// Nobody told us.
    Unknown,
}

impl fmt::Display for InPlaceWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let habit = match self.habit {
            Habit::WritesElsewhere => "which does not overwrite in place",
            Habit::JournalsData => {
                "mounted with data=journal, which keeps copies of what is overwritten"
            }
            Habit::Unknown => "which is not known to overwrite in place",
        };
        write!(
            formatter,
            "{} lies on {}, {habit}: a destroyed key may stay readable in old blocks of the disk, so put the vault \
             on ext4 or XFS",
            self.directory.display(),
            self.file_system
        )
    }
}

/// Returns a warning if a key that is destroyed in `directory` may stay readable on the disk.
pub fn in_place_warning(directory: &Path) -> io::Result<Option<InPlaceWarning>> {
    let mounts = fs::read("/proc/self/mountinfo")?;
    Ok(warning(&mounts, &directory.canonicalize()?, ext4_options))
}

fn warning(
    mounts: &[u8],
    directory: &Path,
    ext4_options: fn(&str) -> Option<String>,
) -> Option<InPlaceWarning> {
    let mount = mounts
        .split(|byte| *byte == b'\n')
        .filter_map(Mount::parse)
        .filter(|mount| directory.starts_with(&mount.point))
        // Of two on one place, the later one covers the earlier.
        .max_by_key(|mount| mount.point.components().count());
    let (file_system, habit) = match mount {
        Some(mount) => (
            mount.file_system.clone(),
            mount.habit(&ext4_options(&mount.device).unwrap_or_default())?,
        ),
        None => ("an unknown file system".to_owned(), Habit::Unknown),
    };
    Some(InPlaceWarning {
        directory: directory.to_owned(),
        file_system,
        habit,
    })
}

/// Returns the options in effect of the ext4 on a device, a line each, if there is one. The mount table leaves out
/// those that are the file system's own default (`tune2fs -o journal_data`).
fn ext4_options(device: &str) -> Option<String> {
    let block_device = Path::new("/sys/dev/block")
        .join(device)
        .canonicalize()
        .ok()?;
    let options = Path::new("/proc/fs/ext4")
        .join(block_device.file_name()?)
        .join("options");
    fs::read_to_string(options).ok()
}

/// One line of the mount table.
struct Mount {
    /// Its numbers, `MAJOR:MINOR`.
    device: String,
    point: PathBuf,
    file_system: String,
    options: String,
}

impl Mount {
    /// Reads `id parent DEVICE root POINT options [tags…] - FILE_SYSTEM source OPTIONS` (`proc_pid_mountinfo(5)`).
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let device = fields.nth(2)?;
        let point = unescaped(fields.nth(1)?);
        let mut of_file_system = fields.skip_while(|field| *field != b"-").skip(1);
        Some(Self {
            device: String::from_utf8_lossy(device).into_owned(),
            point: PathBuf::from(OsString::from_vec(point)),
            file_system: String::from_utf8_lossy(of_file_system.next()?).into_owned(),
            options: String::from_utf8_lossy(of_file_system.nth(1)?).into_owned(),
        })
    }

    /// Returns what is amiss with the file system, if anything is.
    fn habit(&self, ext4_options: &str) -> Option<Habit> {
        let mut options = self.options.split(',').chain(ext4_options.lines());
        match self.file_system.as_str() {
            "ext3" | "ext4" if options.any(|option| option == "data=journal") => {
                Some(Habit::JournalsData)
            }
            "ext2" | "ext3" | "ext4" | "xfs" | "jfs" | "vfat" | "exfat" | "tmpfs" | "ramfs" => None,
            "btrfs" | "zfs" | "bcachefs" | "f2fs" | "nilfs2" | "ubifs" | "overlay" => {
                Some(Habit::WritesElsewhere)
            }
            _ => Some(Habit::Unknown),
        }
    }
}

/// Undoes the table's octal escapes (`\040` is a blank).
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let (byte, behind) = escaped(rest).unwrap_or((*first, behind));
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

fn escaped(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, behind) = bytes.strip_prefix(b"\\")?.split_first_chunk::<3>()?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(digits, 8).ok()?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = r"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:20 / /tmp rw,nosuid - tmpfs tmpfs rw,size=1g
24 22 0:31 /@data /srv/data rw shared:5 master:2 - btrfs /dev/sdb rw,ssd,subvol=/@data
25 24 8:17 / /srv/data/avow rw - xfs /dev/sdb1 rw,attr2
26 22 8:33 / /mnt/two\040words\134 rw - zfs tank/avow rw
27 22 8:49 / /journal rw - ext4 /dev/sdd1 rw,data=journal
28 22 8:65 / /covered rw - xfs /dev/sde1 rw
29 22 0:40 / /covered rw - overlay overlay rw,lowerdir=/a,upperdir=/b
30 22 0:41 / /far rw - nfs4 server:/far rw
31 22 8:81 / /tuned rw - ext4 /dev/sdf1 rw
a line that is none
";

    fn tuned_options(device: &str) -> Option<String> {
        (device == "8:81").then(|| "rw\nuser_xattr\ndata=journal\n".to_owned())
    }

    fn found(mounts: &str, directory: &str) -> Option<InPlaceWarning> {
        warning(mounts.as_bytes(), Path::new(directory), tuned_options)
    }

    #[test]
    fn what_does_not_overwrite_in_place_is_warned_of() {
        use Habit::{JournalsData, Unknown, WritesElsewhere};
        #[rustfmt::skip]
        let rows = [
            ("/var/lib/avow",          None),
            ("/tmp/avow",              None),
            ("/srv/data",              Some(("btrfs",   WritesElsewhere))),
            ("/srv/data/other",        Some(("btrfs",   WritesElsewhere))),
            ("/srv/data/avow/vaults",  None),
            ("/srv/data/avowed",       Some(("btrfs",   WritesElsewhere))),
            (r"/mnt/two words\/avow",  Some(("zfs",     WritesElsewhere))),
            ("/mnt/two",               None),
            ("/journal",               Some(("ext4",    JournalsData))),
            ("/tuned",                 Some(("ext4",    JournalsData))),
            ("/covered/avow",          Some(("overlay", WritesElsewhere))),
            ("/far",                   Some(("nfs4",    Unknown))),
        ];
        for (directory, expected) in rows {
            let found = found(MOUNTS, directory);

            let found = found
                .as_ref()
                .map(|warning| (warning.file_system.as_str(), warning.habit));
            assert_eq!(found, expected, "{directory}");
        }
    }

    #[test]
    fn where_the_mount_table_tells_nothing_nothing_is_promised() {
        let found = found("", "/data").unwrap();

        assert_eq!(found.habit, Habit::Unknown);
    }

    #[test]
    fn a_warning_says_where_what_and_what_to_do() {
        let found = found(MOUNTS, "/srv/data").unwrap();

        assert_eq!(
            found.to_string(),
            "/srv/data lies on btrfs, which does not overwrite in place: a destroyed key may stay readable in old \
             blocks of the disk, so put the vault on ext4 or XFS"
        );
    }

    #[test]
    fn the_mount_table_of_this_machine_is_read() {
        assert!(in_place_warning(Path::new("/")).is_ok());
        assert!(in_place_warning(Path::new("/no/such/directory")).is_err());
    }
}
