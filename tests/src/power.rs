//! Disks whose power can be cut: what nobody has synced is gone then.
//!
//! A disk is a file with ext4 on it, mounted through a loop device. What a program has written and not synced is in the system's cache of the
//! mounted files alone, so a copy of the file is what a machine finds that lost its power at that moment. What a device of its own
//! keeps in a cache of its own is not simulated, and one file's sync may carry another's to the device. ext4 is told not to sync what is
//! renamed by itself. It takes mount(8), mkfs.ext4(8) and the rights of root; a test that is killed leaves its disk mounted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::demonstration::copy_directory;

/// Bytes of a disk.
const BYTES: u64 = 128 * 1024 * 1024;
/// Bytes that the test itself writes and does not sync.
const UNSYNCED: usize = 64 * 1024;

/// A disk under a directory. It is gone when this is dropped.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    files: TempDir,
    cuts: u32,
}

fn does(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {} (loop devices take the rights of root)", why.trim()))
}

impl Disk {
    /// Puts a disk under a directory, with all that is in it, synced.
    ///
    /// # Errors
    /// Why this machine has no loop devices.
    pub fn under(directory: &Path) -> Result<Self, String> {
        let files = tempfile::tempdir().map_err(|error| error.to_string())?;
        let disk = Self { at: directory.to_owned(), files, cuts: 0 };
        let image = disk.image();
        let made = File::create(&image).and_then(|file| file.set_len(BYTES));
        made.map_err(|error| error.to_string())?;
        does("mkfs.ext4", &[Path::new("-q"), &image])?;
        let kept = disk.files.path().join("kept");
        fs::create_dir(&kept).expect("a directory");
        copy_directory(directory, &kept);
        disk.mount()?;
        fs::remove_dir(directory.join("lost+found")).expect("an empty directory of ext4");
        copy_directory(&kept, directory);
        does("sync", &[Path::new("--file-system"), directory])?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.files.path().join(format!("{}.ext4", self.cuts))
    }

    fn mount(&self) -> Result<(), String> {
        does(
            "mount",
            &[Path::new("-o"), Path::new("loop,noauto_da_alloc"), &self.image(), &self.at],
        )
    }

    /// Cuts the power, after whatever ran on the disk was killed. The check that something can be lost at all is in it.
    pub fn cut(&mut self) {
        let (unsynced, written) = (self.at.join("unsynced"), vec![0x5a; UNSYNCED]);
        fs::write(&unsynced, &written).expect("a file");
        let image = self.image();
        self.cuts += 1;
        fs::copy(&image, self.image()).expect("a copy");
        does("umount", &[&self.at]).expect("nothing runs there");
        fs::remove_file(image).expect("an image");
        self.mount().expect("a disk like the one before");
        let left = fs::read(&unsynced).unwrap_or_default();
        assert!(left != written, "nothing is lost here, so nothing is shown");
        // There is none if its directory was not synced either.
        let _gone = fs::remove_file(unsynced);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What was not mounted cannot be taken away.
        let _gone = does("umount", &[Path::new("--lazy"), &self.at]);
    }
}
