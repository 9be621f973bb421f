//! A disk of its own: an image of an ext4 file system, mounted. It can be filled, and searched block by block.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::FallocateFlags;
use tempfile::{TempDir, tempdir};

const IMAGE_BYTES: u64 = 96 * 1024 * 1024;
const MOUNT_TRIES: u32 = 3;

/// An ext4 of its own, mounted until it is dropped.
pub(crate) struct Disk {
    directory: TempDir,
    options: &'static str,
}

impl Disk {
    /// Makes and mounts one, or says aloud that this cannot be done here.
    pub(crate) fn mounted(options: &'static str) -> Option<Self> {
        Self::of(IMAGE_BYTES, options)
    }

    /// The same, of another size.
    pub(crate) fn of(bytes: u64, options: &'static str) -> Option<Self> {
        let disk = Self {
            directory: tempdir().unwrap(),
            options,
        };
        fs::create_dir(disk.mount_point()).unwrap();
        File::create(disk.image()).unwrap().set_len(bytes).unwrap();
        let made = succeeds(
            Command::new("mkfs.ext4")
                .args(["-q", "-m", "0"])
                .arg(disk.image()),
        );
        // Two that are mounted at once may be after the same loop device.
        if made && (0..MOUNT_TRIES).any(|_| disk.mount()) {
            return Some(disk);
        }
        let lacking = lacking();
        let required = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(
            lacking.is_some() || !required,
            "an image of ext4 is to be mounted here: nothing is lacking"
        );
        // Past the test harness, which would keep what a passing test prints to itself.
        let lacking = lacking.unwrap_or("a mount that is not refused");
        let skipped = format!("\nSKIPPED: to mount an image of ext4, this lacks {lacking}\n\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        None
    }

    pub(crate) fn mount(&self) -> bool {
        succeeds(
            Command::new("mount")
                .args(["-o", self.options])
                .arg(self.image())
                .arg(self.mount_point()),
        )
    }

    /// Returns the image with everything that was written in it.
    pub(crate) fn synced_image(&self) -> PathBuf {
        assert!(succeeds(Command::new("umount").arg(self.mount_point())));
        self.image()
    }

    /// Returns what has reached the device so far, as a power cut would leave it: what was written to the mounted files and
    /// not synced is in the memory of their file system alone, and not in here.
    ///
    /// The backing file is read beside the loop device, through the one page cache that both share: it holds each block that
    /// the mounted file system has sent to the device, and no other. Nothing is asked to be synced. Whoever writes has to
    /// be paused: the image is read until it is twice the same, so that it is that of one moment.
    pub(crate) fn image_as_it_is(&self) -> Vec<u8> {
        let mut image = fs::read(self.image()).unwrap();
        loop {
            let again = fs::read(self.image()).unwrap();
            if again == image {
                return image;
            }
            image = again;
        }
    }

    /// Puts another image in its place, and mounts that.
    pub(crate) fn replace(&self, image: &[u8]) {
        fs::write(self.synced_image(), image).unwrap();
        assert!((0..MOUNT_TRIES).any(|_| self.mount()));
    }

    /// Takes all the space that there is, but for so many bytes, until the file is removed.
    pub(crate) fn fill(&self, leave_bytes: u64) -> Filler {
        let path = self.mount_point().join(format!("filler-{leave_bytes}"));
        let file = File::create(&path).unwrap();
        let free = rustix::fs::fstatvfs(&file).unwrap();
        // Never more than that, not even for a moment: somebody may be writing.
        let wanted = match leave_bytes {
            0 => u64::MAX,
            leave_bytes => (free.f_bfree * free.f_frsize) - leave_bytes,
        };
        let (mut length, mut step) = (0, IMAGE_BYTES);
        while step >= 512 && length < wanted {
            let more = step.min(wanted - length);
            match rustix::fs::fallocate(&file, FallocateFlags::empty(), length, more) {
                Ok(()) => length += more,
                Err(_) => step /= 2,
            }
        }
        Filler(path)
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    pub(crate) fn mount_point(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }
}

/// Returns what a machine lacks that cannot mount an image; `None` if it has everything.
fn lacking() -> Option<&'static str> {
    /// `CAP_SYS_ADMIN`, without which nothing is mounted.
    const TO_MOUNT: u64 = 1 << 21;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    let may_mount = capabilities.is_some_and(|capabilities| capabilities & TO_MOUNT != 0);
    let has_mkfs = || succeeds(Command::new("mkfs.ext4").arg("-V").stderr(Stdio::null()));
    if !may_mount {
        Some("the right to mount")
    } else if !Path::new("/dev/loop-control").exists() {
        Some("loop devices")
    } else if !has_mkfs() {
        Some("mkfs.ext4")
    } else {
        None
    }
}

/// A file that fills a disk until it is dropped.
pub(crate) struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may be unmounted already.
        succeeds(
            Command::new("umount")
                .arg(self.mount_point())
                .stderr(Stdio::null()),
        );
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
