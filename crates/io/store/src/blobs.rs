//! Files in which sled 0.34.7 keeps what is too long for a place in its log: a node of its tree above 128 KiB. It syncs none of them.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::error::StoreError;
use crate::wal::sync_directory;

/// How old a directory's time of change has to be, for a later change to have another one. File systems count in ticks.
const SETTLED: Duration = Duration::from_secs(2);

/// Which of them are on the disk.
#[derive(Debug)]
pub(crate) struct Blobs {
    directory: PathBuf,
    synced: Mutex<Synced>,
}

#[derive(Debug, Default)]
struct Synced {
    /// The directory's time of change when it was looked through, if no later change can have the same.
    changed: Option<SystemTime>,
    /// The greatest number: files are named by places in the log, which grow.
    last: Option<u64>,
}

impl Blobs {
    pub(crate) fn new(store: &std::path::Path) -> Self {
        Self { directory: store.join("blobs"), synced: Mutex::default() }
    }

    /// Makes those durable that have come since the last time.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let failed = || StoreError::io(self.directory.display().to_string());
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = fs::metadata(&self.directory).map_err(failed())?;
        let changed = metadata.modified().map_err(failed())?;
        if synced.changed == Some(changed) {
            return Ok(());
        }
        // Judged before the look: what comes after it then has another time of change, however long the syncs take.
        let is_settled = changed.elapsed().is_ok_and(|age| age > SETTLED);
        let mut fresh = Vec::new();
        for file in fs::read_dir(&self.directory).map_err(failed())? {
            let name = file.map_err(failed())?.file_name();
            let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
            fresh.extend(number.filter(|number| Some(*number) > synced.last));
        }
        for number in &fresh {
            self.sync_one(*number)?;
        }
        if !fresh.is_empty() {
            sync_directory(&self.directory)?;
        }
        synced.last = synced.last.max(fresh.into_iter().max());
        synced.changed = Some(changed).filter(|_| is_settled);
        Ok(())
    }

    fn sync_one(&self, number: u64) -> Result<(), StoreError> {
        let path = self.directory.join(number.to_string());
        match File::open(&path).and_then(|file| file.sync_all()) {
            // sled removes one when nothing points to it any more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(StoreError::io(path.display().to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(blobs: &Blobs) -> Option<u64> {
        blobs.synced.lock().unwrap().last
    }

    #[test]
    fn a_file_that_has_come_is_seen_however_soon() {
        let store = tempfile::tempdir().unwrap();
        let directory = store.path().join("blobs");
        fs::create_dir(&directory).unwrap();
        let blobs = Blobs::new(store.path());
        blobs.sync().unwrap();
        assert_eq!(last(&blobs), None);
        for number in 1..50_u64 {
            fs::write(directory.join((number * 1_000).to_string()), b"node").unwrap();
            blobs.sync().unwrap();
            assert_eq!(last(&blobs), Some(number * 1_000));
        }
    }

    #[test]
    fn an_old_directory_is_not_looked_through_again_until_it_changes() {
        let store = tempfile::tempdir().unwrap();
        let directory = store.path().join("blobs");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("7"), b"node").unwrap();
        let long_ago = SystemTime::now() - SETTLED * 2;
        File::open(&directory).unwrap().set_modified(long_ago).unwrap();
        let blobs = Blobs::new(store.path());
        blobs.sync().unwrap();
        assert_eq!(blobs.synced.lock().unwrap().changed, Some(long_ago));
        fs::write(directory.join("8"), b"node").unwrap();
        blobs.sync().unwrap();
        assert_eq!(last(&blobs), Some(8));
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_an_error() {
        let store = tempfile::tempdir().unwrap();
        assert!(matches!(Blobs::new(store.path()).sync(), Err(StoreError::Io { .. })));
    }
}
