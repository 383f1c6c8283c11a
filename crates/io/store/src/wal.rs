//! The consensus log: an append-only file of checksummed frames.
//!
//! It holds what this validator has seen and signed at the height it is working on, so that a crash never makes it vote twice.
//! A frame that a crash cut off at the end is dropped; any other broken frame is damage, and the node must not go on (`frames.rs`).
//!
//! The file is emptied in place, since the vote lock names it. What will be left is written beside it first, so that whoever dies
//! in between finds it there.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::frames::{self, Start, start_of, start_payload};

/// Above this the file is emptied once its height is committed.
const RESET_ABOVE_BYTES: u64 = 32 * 1024 * 1024;

/// An open consensus log, positioned at its end.
#[derive(Debug)]
pub struct Wal {
    file: File,
    path: PathBuf,
    length: u64,
    pending: Vec<u8>,
    start: Option<Start>,
}

impl Wal {
    /// Opens or makes the log in `directory` and returns the payloads that are in it, in order.
    ///
    /// # Errors
    /// [`StoreError::WalDamaged`] or [`StoreError::Io`].
    pub fn open(directory: &Path) -> Result<(Self, Vec<Vec<u8>>), StoreError> {
        let path = log_path(directory);
        let name = path.display().to_string();
        let is_new = !path.exists();
        let found = if is_new { Found::default() } else { Found::of(directory)? };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(StoreError::io(&name))?;
        if is_new {
            sync_directory(directory)?;
        }
        let (payloads, end) = frames::read(&found.bytes)?;
        let length = u64::try_from(end).unwrap_or(u64::MAX);
        if found.was_being_emptied {
            tracing::warn!(path = %name, "consensus log was being emptied");
            file.set_len(0).map_err(StoreError::io(&name))?;
            file.write_all(&found.bytes).map_err(StoreError::io(&name))?;
        }
        if end < found.bytes.len() {
            let cut = found.bytes.len() - end;
            tracing::warn!(path = %name, at = length, cut, "consensus log ends in a partial frame");
            file.set_len(length).map_err(StoreError::io(&name))?;
        }
        // Frames that were written and not synced when the process died count from here on: what they say is said again.
        file.sync_data().map_err(StoreError::io(&name))?;
        if left_path(directory).exists() {
            forget_left(directory)?;
        }
        file.seek(SeekFrom::Start(length)).map_err(StoreError::io(&name))?;
        let start = payloads.iter().rev().find_map(|payload| start_of(payload));
        let payloads = payloads.into_iter().filter(|payload| start_of(payload).is_none());
        Ok((Self { file, path, length, pending: Vec::new(), start }, payloads.collect()))
    }

    /// Notes, durably, that a process goes on from here: by this the vote lock knows the log again ([`crate::VoteLock`]).
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn begin(&mut self) -> Result<(), StoreError> {
        let mut start = Start::default();
        let failed =
            |error: getrandom::Error| StoreError::io("random bytes")(std::io::Error::other(error));
        getrandom::fill(&mut start).map_err(failed)?;
        self.append(&start_payload(&start));
        self.start = Some(start);
        self.sync()
    }

    /// Adds a frame. It is durable after the next [`Wal::sync`].
    pub fn append(&mut self, payload: &[u8]) {
        frames::append(&mut self.pending, self.start.as_ref(), payload);
    }

    /// Makes everything appended so far durable. After an error the process must stop: what the disk holds is then unknown.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let failed = |what: &str| format!("{}: {what}", self.path.display());
        self.file.write_all(&self.pending).map_err(StoreError::io(failed("write")))?;
        self.file.sync_data().map_err(StoreError::io(failed("fsync")))?;
        self.length += u64::try_from(self.pending.len()).unwrap_or_default();
        self.pending.clear();
        Ok(())
    }

    /// Called when the height is committed elsewhere: frames of it are no longer needed. Empties the file now and then; a stale
    /// frame is harmless, since each payload names its height. What is left then are `marks`: how far the log had come, and what else
    /// is to outlive it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn height_done(&mut self, marks: &[Vec<u8>]) -> Result<(), StoreError> {
        self.height_done_above(RESET_ABOVE_BYTES, marks)
    }

    fn height_done_above(&mut self, most: u64, marks: &[Vec<u8>]) -> Result<(), StoreError> {
        if self.length <= most {
            return Ok(());
        }
        // What waits is of the height that is done.
        self.pending.clear();
        for mark in marks {
            frames::append(&mut self.pending, None, mark);
        }
        if let Some(start) = self.start {
            frames::append(&mut self.pending, None, &start_payload(&start));
        }
        let directory = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        keep_left(&directory, &self.pending)?;
        let failed = |what: &str| format!("{}: {what}", self.path.display());
        self.file.set_len(0).map_err(StoreError::io(failed("truncate")))?;
        self.file.seek(SeekFrom::Start(0)).map_err(StoreError::io(failed("seek")))?;
        self.length = 0;
        self.sync()?;
        forget_left(&directory)
    }
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("consensus.wal")
}

/// What is left of a log that is being emptied. Only while it is.
fn left_path(directory: &Path) -> PathBuf {
    directory.join("consensus.wal.left")
}

/// A log as a process finds it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What is in it, or is to be.
    pub(crate) bytes: Vec<u8>,
    was_being_emptied: bool,
}

impl Found {
    /// The log in a directory. One that is no longer than what is to be left of it was being emptied: before that it is longer, and
    /// nothing is added to it afterwards before the file beside it is gone.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn of(directory: &Path) -> Result<Self, StoreError> {
        let read =
            |path: PathBuf| fs::read(&path).map_err(StoreError::io(path.display().to_string()));
        let bytes = read(log_path(directory))?;
        if left_path(directory).exists() {
            let left = read(left_path(directory))?;
            if bytes.len() <= left.len() {
                return Ok(Self { bytes: left, was_being_emptied: true });
            }
        }
        Ok(Self { bytes, was_being_emptied: false })
    }
}

fn keep_left(directory: &Path, left: &[u8]) -> Result<(), StoreError> {
    let path = left_path(directory);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(left)?;
        file.sync_all()
    });
    written.map_err(StoreError::io(path.display().to_string()))?;
    sync_directory(directory)
}

fn forget_left(directory: &Path) -> Result<(), StoreError> {
    let path = left_path(directory);
    fs::remove_file(&path).map_err(StoreError::io(path.display().to_string()))?;
    sync_directory(directory)
}

/// What the vote lock looks at in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Where each frame ends, and the start that it names, if it does.
    pub(crate) frames: Vec<(u64, Option<Start>)>,
}

impl Outline {
    /// Of the bytes of a log. `None`: it is damaged.
    pub(crate) fn of(log: &[u8]) -> Option<Self> {
        let (payloads, _) = frames::read(log).ok()?;
        let mut end = 0_u64;
        let frames = payloads.iter().map(|payload| {
            let bytes = payload.len().saturating_add(frames::HEAD_BYTES);
            end = end.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            (end, start_of(payload))
        });
        Some(Self { frames: frames.collect() })
    }

    /// The last start.
    pub(crate) fn start(&self) -> Option<Start> {
        self.frames.iter().rev().find_map(|(_, start)| *start)
    }

    /// Where the last frame ends.
    pub(crate) fn end(&self) -> u64 {
        self.frames.last().map_or(0, |(end, _)| *end)
    }
}

/// Makes a new or renamed file in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let name = directory.display().to_string();
    File::open(directory).and_then(|file| file.sync_all()).map_err(StoreError::io(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::HEAD_BYTES;

    fn written(payloads: &[&[u8]]) -> (tempfile::TempDir, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let (mut wal, found) = Wal::open(directory.path()).unwrap();
        assert!(found.is_empty());
        for payload in payloads {
            wal.append(payload);
        }
        wal.sync().unwrap();
        let bytes = fs::read(directory.path().join("consensus.wal")).unwrap();
        (directory, bytes)
    }

    #[test]
    fn payloads_come_back_in_order() {
        let (directory, _) = written(&[b"one", b"", b"three"]);
        let (mut wal, found) = Wal::open(directory.path()).unwrap();
        assert_eq!(found, [b"one".to_vec(), vec![], b"three".to_vec()]);
        wal.append(b"four");
        wal.sync().unwrap();
        assert_eq!(Wal::open(directory.path()).unwrap().1.len(), 4);
    }

    #[test]
    fn starts_are_noted_and_are_no_payloads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("consensus.wal");
        let outline = || Outline::of(&fs::read(&path).unwrap()).unwrap();
        let (mut wal, _) = Wal::open(directory.path()).unwrap();
        wal.begin().unwrap();
        let first = outline().start().unwrap();
        wal.append(b"one");
        wal.sync().unwrap();
        let (mut wal, found) = Wal::open(directory.path()).unwrap();
        assert_eq!((found, wal.start), (vec![b"one".to_vec()], Some(first)));
        wal.begin().unwrap();
        let second = outline().start().unwrap();
        assert_ne!(second, first);
        // Emptied, it still names it, and goes on. What was not durable is of the height that is done.
        wal.append(b"not flushed");
        wal.height_done_above(0, &[b"done".to_vec(), b"word".to_vec()]).unwrap();
        assert_eq!(outline().start(), Some(second));
        assert_eq!(outline().frames.len(), 3);
        assert_eq!(outline().end(), fs::metadata(&path).unwrap().len());
        wal.append(b"next");
        wal.sync().unwrap();
        let left = Wal::open(directory.path()).unwrap().1;
        assert_eq!(left, [b"done".to_vec(), b"word".to_vec(), b"next".to_vec()]);
    }

    #[test]
    fn what_is_not_synced_is_not_promised() {
        let (directory, _) = written(&[b"one"]);
        let (mut wal, _) = Wal::open(directory.path()).unwrap();
        wal.append(b"two");
        drop(wal);
        assert_eq!(Wal::open(directory.path()).unwrap().1.len(), 1);
    }

    #[test]
    fn an_emptied_log_still_says_how_far_it_had_come() {
        let (directory, bytes) = written(&[b"one", b"two"]);
        let (mut wal, _) = Wal::open(directory.path()).unwrap();
        let length = u64::try_from(bytes.len()).unwrap();
        wal.height_done_above(length, &[b"two is done".to_vec()]).unwrap();
        assert_eq!(Wal::open(directory.path()).unwrap().1.len(), 2, "not yet too long");
        wal.height_done_above(length - 1, &[b"two is done".to_vec()]).unwrap();
        wal.append(b"three");
        wal.sync().unwrap();
        let (_, found) = Wal::open(directory.path()).unwrap();
        assert_eq!(found, [b"two is done".to_vec(), b"three".to_vec()]);
    }

    /// However far it came: all of the log, or what is to be left of it, and no third thing.
    #[test]
    fn whoever_dies_while_it_is_emptied_finds_what_was_to_be_left() {
        let (directory, bytes) = written(&[b"one", b"two, which is longer than what is left"]);
        let (path, left) = (log_path(directory.path()), left_path(directory.path()));
        let mut mark = Vec::new();
        frames::append(&mut mark, None, b"two is done");
        let opened = || Wal::open(directory.path()).unwrap().1;
        // Before the log was touched, what is beside it may be cut off anywhere.
        for length in 0..=mark.len() {
            fs::write(&left, &mark[..length]).unwrap();
            assert_eq!(opened().len(), 2, "{length} bytes beside it");
            assert!(!left.exists() && fs::read(&path).unwrap() == bytes);
        }
        for length in 0..=mark.len() {
            // Where a file system makes a file longer before its bytes are there, these are zeros.
            for written in [mark[..length].to_vec(), vec![0; length]] {
                fs::write(&left, &mark).unwrap();
                fs::write(&path, written).unwrap();
                assert_eq!(opened(), [b"two is done".to_vec()], "{length} bytes written");
                assert!(!left.exists() && fs::read(&path).unwrap() == mark);
            }
        }
        // One that nobody emptied, and was lost, is not made anew of it.
        fs::write(&left, &mark).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(opened().is_empty());
        assert!(!left.exists());
    }

    #[test]
    fn a_torn_tail_of_any_length_is_cut() {
        let (directory, bytes) = written(&[b"one", b"two"]);
        let path = directory.path().join("consensus.wal");
        let first = HEAD_BYTES + 3;
        for length in first..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(Wal::open(directory.path()).unwrap().1, [b"one".to_vec()], "{length}");
            assert_eq!(fs::metadata(&path).unwrap().len(), u64::try_from(first).unwrap());
        }
    }

    #[test]
    fn every_flipped_bit_stops_the_node() {
        let (directory, bytes) = written(&[b"one", b"two"]);
        let path = directory.path().join("consensus.wal");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let opened = Wal::open(directory.path());
            assert!(matches!(opened, Err(StoreError::WalDamaged { .. })), "bit {bit}");
            assert_eq!(fs::read(&path).unwrap(), flipped, "it is left as it is");
        }
    }
}
