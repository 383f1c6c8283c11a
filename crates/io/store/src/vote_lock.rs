//! The vote lock: a small file that ties a validator's memory of its votes to the one place where that memory is whole.
//!
//! What was voted is in the consensus log. Whoever puts an older log back, or starts a copy, has a log that has forgotten votes and
//! does not show it. The lock does: it names itself and the log by inode and time of birth, and the machine. Each time that it is
//! written it is a new file, so that a copy never names itself, not even one that was put back over the file. Of the log it names
//! besides the last start, which is a frame in it, so that an older log that was copied over the file, or an emptied one, is not taken
//! for it; and, once the process has ended as it was told, how long the log was, so that no frame can be missing at its end.
//!
//! It names the keys, too, whose votes the log holds: one that was brought here from another directory has its votes there.
//!
//! The file: mark 16, mode 1, then of the lock, and of the log: inode 8 and birth 8 in nanoseconds since 1970; machine 32; the
//! log's last start 16, zeros without one; its length 8, all ones while a process may add to it; the ids of the vote keys, 32 each,
//! ascending; and CRC-32 over all before. Big-endian. It is written at a start and at a stop, and when a key is made, and never for a
//! vote.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ledger_format::digest::{KeyId, sha256};

use crate::error::StoreError;
use crate::frames::Start;
use crate::wal::{self, Outline, sync_directory};

const MARK: &[u8; 16] = b"ledger/vote/3\0\0\0";
/// What the marks of all versions begin with.
const ANY_MARK: &[u8] = b"ledger/vote/";
/// Where the log's start and length are.
const LOG_AT: usize = 16 + 1 + 2 * 16 + 32;
/// Where the keys are.
const KEYS_AT: usize = LOG_AT + 16 + 8;
const CRC_BYTES: usize = 4;
/// The length of a log that a process may add to.
const OPEN: u64 = u64::MAX;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteLock {
    /// Whether the validator may vote.
    pub mode: VoteMode,
    /// With which keys: the log holds what they have said at the open height.
    pub keys: BTreeSet<KeyId>,
}

/// A lock, with what it says of the log: its last start, and its length.
type Found = (VoteLock, (Start, u64));

/// Why a vote lock does not vouch for a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaleLock {
    /// There is none.
    #[error("there is no vote lock")]
    Missing,
    /// It is not what was written.
    #[error("the vote lock is damaged")]
    Damaged,
    /// It is of another version, which named less.
    #[error("the vote lock is of another version of this program")]
    OtherVersion,
    /// A key is here that it does not name.
    #[error(
        "the vote lock does not name the vote key {0}: it was brought here, and what it has signed is in the log of another directory"
    )]
    OtherKey(KeyId),
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

/// The log as it is found: its place, and what is in it; `None` if that is damaged.
struct Log {
    place: Place,
    outline: Option<Outline>,
}

impl Log {
    /// One that does not exist yet is nowhere.
    fn of(directory: &Path) -> Result<Self, StoreError> {
        let wal = directory.join("wal");
        let path = wal.join("consensus.wal");
        let failed = StoreError::io(path.display().to_string());
        match fs::metadata(&path) {
            Ok(metadata) => {
                let outline = Outline::of(&wal::Found::of(&wal)?.bytes);
                Ok(Self { place: Place::of(&metadata), outline })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { place: Place::default(), outline: Some(Outline::default()) })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What a lock that is written now says of it.
    fn named(&self, is_closed: bool) -> (Start, u64) {
        let outline = self.outline.clone().unwrap_or_default();
        let length = if is_closed || outline.frames.is_empty() { outline.end() } else { OPEN };
        (outline.start().unwrap_or_default(), length)
    }

    /// Whether it is the log of which a lock says this. Whoever died while it started may have noted a start and nothing else. That a
    /// log is damaged whoever opens it says.
    fn is(&self, start: Start, length: u64) -> bool {
        let Some(Outline { frames }) = &self.outline else { return true };
        let knows_start =
            start == Start::default() || frames.iter().any(|(_, s)| *s == Some(start));
        let ends_there = length == 0 || frames.iter().any(|(end, _)| *end == length);
        let mut after = frames.iter().filter(|(end, _)| *end > length);
        knows_start && (length == OPEN || (ends_there && after.all(|(_, s)| s.is_some())))
    }
}

fn machine() -> [u8; 32] {
    fs::read(MACHINE).map(|id| sha256(&[&id])).unwrap_or_default()
}

fn encode(lock: &VoteLock, own: Place, log: Place, (start, length): (Start, u64)) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    bytes.push(match lock.mode {
        VoteMode::Votes => 1,
        VoteMode::Recovers => 2,
        VoteMode::Alone => 3,
    });
    bytes.extend_from_slice(&own.encode());
    bytes.extend_from_slice(&log.encode());
    bytes.extend_from_slice(&machine());
    bytes.extend_from_slice(&start);
    bytes.extend_from_slice(&length.to_be_bytes());
    lock.keys.iter().for_each(|key| bytes.extend_from_slice(key.as_bytes()));
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

impl VoteLock {
    /// Writes the lock of a directory, durably, as a new file that names itself and the log as it is now, which a process goes on
    /// from: [`crate::Wal::begin`] comes before.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&self, directory: &Path) -> Result<(), StoreError> {
        self.write_of(directory, |log| log.named(false))
    }

    /// Names one more key, which was made here and has signed nothing, if the lock of the directory vouches for it. What the lock says of
    /// the log stays: a process may be adding to it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn add(directory: &Path, key: KeyId) -> Result<(), StoreError> {
        let Ok((mut lock, named)) = Self::found(directory)? else { return Ok(()) };
        lock.keys.insert(key);
        lock.write_of(directory, |_| named)
    }

    /// Whether all of these keys are named.
    ///
    /// # Errors
    /// [`StaleLock::OtherKey`]: one that is not.
    pub fn names(&self, keys: impl IntoIterator<Item = KeyId>) -> Result<(), StaleLock> {
        let other = keys.into_iter().find(|key| !self.keys.contains(key));
        other.map_or(Ok(()), |key| Err(StaleLock::OtherKey(key)))
    }

    /// Writes the lock of a directory anew, if there is one that vouches for it, now that nothing more is added to the log.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn close(directory: &Path) -> Result<(), StoreError> {
        match Self::read(directory)? {
            Ok(lock) => lock.write_of(directory, |log| log.named(true)),
            Err(_stale) => Ok(()),
        }
    }

    fn write_of(
        &self,
        directory: &Path,
        named: impl FnOnce(&Log) -> (Start, u64),
    ) -> Result<(), StoreError> {
        let (path, new) = (path(directory), directory.join("vote.lock.partial"));
        let failed = || StoreError::io(path.display().to_string());
        let log = Log::of(directory)?;
        // A file of that name may be the left-over of a crash: the new one has to be born now.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed()(error)),
            _ => {}
        }
        let mut file = File::create_new(&new).map_err(failed())?;
        let own = Place::of(&file.metadata().map_err(failed())?);
        let bytes = encode(self, own, log.place, named(&log));
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
        Ok(Self::found(directory)?.map(|(lock, _)| lock))
    }

    /// The lock, and what it says of the log.
    fn found(directory: &Path) -> Result<Result<Found, StaleLock>, StoreError> {
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
        Ok(judge(&bytes, Place::of(&metadata), &Log::of(directory)?))
    }
}

/// Judges a lock's bytes by the place where they were found: what would have been written here and now has to be the same.
fn judge(bytes: &[u8], own: Place, log: &Log) -> Result<Found, StaleLock> {
    if bytes.starts_with(ANY_MARK) && !bytes.starts_with(MARK) {
        return Err(StaleLock::OtherVersion);
    }
    let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(StaleLock::Damaged)?;
    let is_whole = body.len() >= KEYS_AT && body.starts_with(MARK);
    if !is_whole || crc32fast::hash(body).to_be_bytes() != *crc {
        return Err(StaleLock::Damaged);
    }
    let mode = match body[16] {
        1 => VoteMode::Votes,
        2 => VoteMode::Recovers,
        3 => VoteMode::Alone,
        _ => return Err(StaleLock::Damaged),
    };
    let keys = body[KEYS_AT..].chunks(32).map(|key| Ok(KeyId(key.try_into()?)));
    let keys: Result<BTreeSet<KeyId>, std::array::TryFromSliceError> = keys.collect();
    let lock = VoteLock { mode, keys: keys.map_err(|_length| StaleLock::Damaged)? };
    let (start, length) = body[LOG_AT..KEYS_AT].split_at(16);
    let start: Start = start.try_into().map_err(|_length| StaleLock::Damaged)?;
    let length = u64::from_be_bytes(length.try_into().map_err(|_length| StaleLock::Damaged)?);
    let here = encode(&lock, own, log.place, (start, length));
    if body[17..33] != here[17..33] || body[49..] != here[49..body.len()] {
        return Err(StaleLock::OtherPlace);
    }
    // A lock that is older than the log names no place.
    let is_place = body[33..49] == here[33..49] || body[33..49] == [0; 16];
    // Whoever recovers has no log that matters.
    if mode == VoteMode::Votes && !(is_place && log.is(start, length)) {
        return Err(StaleLock::OtherLog);
    }
    Ok((lock, (start, length)))
}

#[cfg(test)]
mod tests;
