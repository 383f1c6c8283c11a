//! The vote lock: a small file that ties a validator's memory of its votes to the one place where that memory is whole.
//!
//! What was voted is in the consensus log. Whoever puts an older log back, or starts a copy, has a log that has forgotten votes and
//! does not show it. The lock does: it names itself and the log by inode and time of birth, and the machine. Each time that it is
//! written it is a new file, so that a copy never names itself, not even one that was put back over the file.
//!
//! The file: mark 16, mode 1, then of the lock, and of the log: inode 8 and birth 8 in nanoseconds since 1970; machine 32,
//! and CRC-32 over all before. Big-endian. It is written at a start, and never for a vote. One lock stands for all vote keys of a
//! directory: they have one log.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ledger_format::digest::sha256;

use crate::error::StoreError;
use crate::wal::sync_directory;

const MARK: &[u8; 16] = b"ledger/vote/1\0\0\0";
const BYTES: usize = 16 + 1 + 2 * 16 + 32 + 4;
/// Names the machine, where there is one (machine-id(5)).
const MACHINE: &str = "/etc/machine-id";

/// Whether the validator may vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteMode {
    /// It votes: the log holds everything that it has said at the open height.
    Votes,
    /// It has lost its memory, and follows until no height is left at which it may have voted.
    Recovers,
    /// It has lost its memory, the others cannot go on without it, and its operator vouches that nobody else has its keys: it follows
    /// until it has what they have.
    Alone,
}

/// What a vote lock says of the directory that it was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteLock {
    /// Whether the validator may vote.
    pub mode: VoteMode,
}

/// Why a vote lock does not vouch for a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaleLock {
    /// There is none.
    #[error("there is no vote lock")]
    Missing,
    /// It is not what was written.
    #[error("the vote lock is damaged")]
    Damaged,
    /// It was made elsewhere.
    #[error(
        "the vote lock was written in another place: the directory is a copy, or was put back from one"
    )]
    OtherPlace,
    /// The log is not the one that it was written for.
    #[error(
        "the consensus log is not the one that the vote lock names: it was lost, or put back from a copy"
    )]
    OtherLog,
}

/// A file as nothing but the file system makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    inode: u64,
    born_ns: u64,
}

impl Place {
    fn of(metadata: &Metadata) -> Self {
        // Where a file system keeps no time of birth, the inode has to do.
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.and_then(|since| u64::try_from(since.as_nanos()).ok());
        Self { inode: metadata.ino(), born_ns: born_ns.unwrap_or_default() }
    }

    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.inode.to_be_bytes());
        bytes[8..].copy_from_slice(&self.born_ns.to_be_bytes());
        bytes
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("vote.lock")
}

/// The log's place, and whether anything is in it. One that does not exist yet is nowhere.
fn log_place(directory: &Path) -> Result<(Place, bool), StoreError> {
    let path = directory.join("wal").join("consensus.wal");
    match fs::metadata(&path) {
        Ok(metadata) => Ok((Place::of(&metadata), metadata.len() > 0)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((Place::default(), false)),
        Err(error) => Err(StoreError::io(path.display().to_string())(error)),
    }
}

fn machine() -> [u8; 32] {
    fs::read(MACHINE).map(|id| sha256(&[&id])).unwrap_or_default()
}

fn encode(lock: VoteLock, own: Place, log: Place) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    bytes.push(match lock.mode {
        VoteMode::Votes => 1,
        VoteMode::Recovers => 2,
        VoteMode::Alone => 3,
    });
    bytes.extend_from_slice(&own.encode());
    bytes.extend_from_slice(&log.encode());
    bytes.extend_from_slice(&machine());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

impl VoteLock {
    /// Writes the lock of a directory, durably, as a new file that names itself and the log as it is now.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(self, directory: &Path) -> Result<(), StoreError> {
        let (path, new) = (path(directory), directory.join("vote.lock.partial"));
        let failed = || StoreError::io(path.display().to_string());
        let (log, _) = log_place(directory)?;
        // A file of that name may be the left-over of a crash: the new one has to be born now.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed()(error)),
            _ => {}
        }
        let mut file = File::create_new(&new).map_err(failed())?;
        let own = Place::of(&file.metadata().map_err(failed())?);
        let bytes = encode(self, own, log);
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed())?;
        fs::rename(&new, &path).map_err(failed())?;
        sync_directory(directory)
    }

    /// Takes the lock of a directory away, durably: from now on nothing vouches for what was voted.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn withdraw(directory: &Path) -> Result<(), StoreError> {
        let path = path(directory);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::io(path.display().to_string())(error))
            }
            _ => sync_directory(directory),
        }
    }

    /// Reads the lock of a directory.
    ///
    /// # Errors
    /// [`StoreError::Io`]; within, why the lock vouches for nothing.
    pub fn read(directory: &Path) -> Result<Result<Self, StaleLock>, StoreError> {
        let path = path(directory);
        let failed = || StoreError::io(path.display().to_string());
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Err(StaleLock::Missing));
            }
            Err(error) => return Err(failed()(error)),
        };
        let bytes = fs::read(&path).map_err(failed())?;
        let log = log_place(directory)?;
        Ok(judge(&bytes, Place::of(&metadata), log))
    }
}

/// Judges a lock's bytes by the place where they were found: what would have been written here and now has to be the same.
fn judge(
    bytes: &[u8],
    own: Place,
    (log, is_written): (Place, bool),
) -> Result<VoteLock, StaleLock> {
    let bytes: &[u8; BYTES] = bytes.try_into().map_err(|_length| StaleLock::Damaged)?;
    let (body, crc) = bytes.split_at(BYTES - 4);
    if crc32fast::hash(body).to_be_bytes() != *crc || !body.starts_with(MARK) {
        return Err(StaleLock::Damaged);
    }
    let mode = match body[16] {
        1 => VoteMode::Votes,
        2 => VoteMode::Recovers,
        3 => VoteMode::Alone,
        _ => return Err(StaleLock::Damaged),
    };
    let lock = VoteLock { mode };
    let here = encode(lock, own, log);
    if body[17..33] != here[17..33] || body[49..] != here[49..body.len()] {
        return Err(StaleLock::OtherPlace);
    }
    // A lock that is older than the log names none: nothing may have been written then.
    let is_log = body[33..49] == here[33..49] || (body[33..49] == [0; 16] && !is_written);
    // Whoever recovers has no log that matters.
    if mode == VoteMode::Votes && !is_log {
        return Err(StaleLock::OtherLog);
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTES: VoteLock = VoteLock { mode: VoteMode::Votes };

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("wal")).unwrap();
        fs::write(directory.path().join("wal/consensus.wal"), b"votes").unwrap();
        directory
    }

    fn read(directory: &Path) -> Result<VoteLock, StaleLock> {
        VoteLock::read(directory).unwrap()
    }

    #[test]
    fn a_lock_vouches_for_its_place_and_no_other() {
        let (here, there) = (directory(), directory());
        assert_eq!(read(here.path()), Err(StaleLock::Missing));
        VOTES.write(here.path()).unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        fs::copy(path(here.path()), path(there.path())).unwrap();
        assert_eq!(read(there.path()), Err(StaleLock::OtherPlace));
        VoteLock::withdraw(here.path()).unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::Missing));
        VoteLock::withdraw(here.path()).unwrap();
    }

    #[test]
    fn whoever_recovers_needs_its_place_and_no_log() {
        let here = directory();
        for mode in [VoteMode::Recovers, VoteMode::Alone] {
            VoteLock { mode }.write(here.path()).unwrap();
            fs::remove_file(here.path().join("wal/consensus.wal")).unwrap();
            assert_eq!(read(here.path()), Ok(VoteLock { mode }));
            fs::write(here.path().join("wal/consensus.wal"), b"another").unwrap();
            assert_eq!(read(here.path()), Ok(VoteLock { mode }));
        }
    }

    #[test]
    fn a_lock_that_was_put_back_is_stale_even_over_the_same_file() {
        let here = directory();
        VOTES.write(here.path()).unwrap();
        let older = fs::read(path(here.path())).unwrap();
        VOTES.write(here.path()).unwrap();
        fs::write(path(here.path()), older).unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherPlace));
    }

    #[test]
    fn the_log_that_it_names_has_to_be_there() {
        let here = directory();
        let log = here.path().join("wal/consensus.wal");
        VOTES.write(here.path()).unwrap();
        fs::write(&log, b"more votes").unwrap();
        assert_eq!(read(here.path()), Ok(VOTES), "the same file");
        fs::rename(&log, here.path().join("old")).unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherLog), "none");
        fs::copy(here.path().join("old"), &log).unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherLog), "a copy");
    }

    #[test]
    fn a_lock_from_before_the_log_lets_an_empty_one_begin() {
        let here = tempfile::tempdir().unwrap();
        fs::create_dir(here.path().join("wal")).unwrap();
        VOTES.write(here.path()).unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        fs::write(here.path().join("wal/consensus.wal"), b"").unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        fs::write(here.path().join("wal/consensus.wal"), b"votes").unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherLog));
    }

    #[test]
    fn every_flipped_bit_and_every_length_is_damage() {
        let (own, log) = (Place { inode: 1, born_ns: 2 }, Place { inode: 3, born_ns: 4 });
        let good = encode(VOTES, own, log);
        assert_eq!(judge(&good, own, (log, true)), Ok(VOTES));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(judge(&bytes, own, (log, true)), Err(StaleLock::Damaged), "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(judge(&good[..length], own, (log, true)), Err(StaleLock::Damaged));
        }
    }
}
