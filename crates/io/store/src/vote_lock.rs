//! The vote lock: a small file that ties a validator's memory of its votes to the one place where that memory is whole.
//!
//! What was voted is in the consensus log. Whoever puts an older log back, or starts a copy, has a log that has forgotten votes and
//! does not show it. The lock does: it names itself and the log by inode and time of birth, and the machine. Each time that it is
//! written it is a new file, so that a copy never names itself, not even one that was put back over the file. Of the log it names
//! besides the last start, which is a frame in it, so that an older log that was copied over the file, or an emptied one, is not taken
//! for it; and, once the process has ended as it was told, how long the log was, so that no frame can be missing at its end.
//!
//! The file: mark 16, mode 1, then of the lock, and of the log: inode 8 and birth 8 in nanoseconds since 1970; machine 32; the
//! log's last start 16, zeros without one; its length 8, all ones while a process may add to it; and CRC-32 over all before.
//! Big-endian. It is written at a start and at a stop, and never for a vote. One lock stands for all vote keys of a directory: they
//! have one log.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ledger_format::digest::sha256;

use crate::error::StoreError;
use crate::frames::Start;
use crate::wal::{Outline, sync_directory};

const MARK: &[u8; 16] = b"ledger/vote/2\0\0\0";
const BYTES: usize = 16 + 1 + 2 * 16 + 32 + 16 + 8 + 4;
/// Where the log's start and length are.
const LOG_AT: usize = 16 + 1 + 2 * 16 + 32;
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

/// The log as it is found: its place, and what is in it; `None` if that is damaged.
struct Log {
    place: Place,
    outline: Option<Outline>,
}

impl Log {
    /// One that does not exist yet is nowhere.
    fn of(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("wal").join("consensus.wal");
        let failed = StoreError::io(path.display().to_string());
        match fs::metadata(&path).and_then(|metadata| Ok((metadata, fs::read(&path)?))) {
            Ok((metadata, bytes)) => {
                Ok(Self { place: Place::of(&metadata), outline: Outline::of(&bytes) })
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

fn encode(lock: VoteLock, own: Place, log: Place, (start, length): (Start, u64)) -> Vec<u8> {
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
    pub fn write(self, directory: &Path) -> Result<(), StoreError> {
        self.write_as(directory, false)
    }

    /// Writes the lock of a directory anew, if there is one that vouches for it, now that nothing more is added to the log.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn close(directory: &Path) -> Result<(), StoreError> {
        match Self::read(directory)? {
            Ok(lock) => lock.write_as(directory, true),
            Err(_stale) => Ok(()),
        }
    }

    fn write_as(self, directory: &Path, is_closed: bool) -> Result<(), StoreError> {
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
        let bytes = encode(self, own, log.place, log.named(is_closed));
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
        Ok(judge(&bytes, Place::of(&metadata), &Log::of(directory)?))
    }
}

/// Judges a lock's bytes by the place where they were found: what would have been written here and now has to be the same.
fn judge(bytes: &[u8], own: Place, log: &Log) -> Result<VoteLock, StaleLock> {
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
    let (start, length) = body[LOG_AT..].split_at(16);
    let start: Start = start.try_into().map_err(|_length| StaleLock::Damaged)?;
    let length = u64::from_be_bytes(length.try_into().map_err(|_length| StaleLock::Damaged)?);
    let here = encode(lock, own, log.place, (start, length));
    if body[17..33] != here[17..33] || body[49..] != here[49..body.len()] {
        return Err(StaleLock::OtherPlace);
    }
    // A lock that is older than the log names no place.
    let is_place = body[33..49] == here[33..49] || body[33..49] == [0; 16];
    // Whoever recovers has no log that matters.
    if mode == VoteMode::Votes && !(is_place && log.is(start, length)) {
        return Err(StaleLock::OtherLog);
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wal;

    const VOTES: VoteLock = VoteLock { mode: VoteMode::Votes };

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("wal")).unwrap();
        runs(directory.path(), &[b"votes"]);
        directory
    }

    fn log(directory: &Path) -> PathBuf {
        directory.join("wal/consensus.wal")
    }

    /// A process starts, and adds this to the log.
    fn runs(directory: &Path, frames: &[&[u8]]) {
        let (mut wal, _) = Wal::open(&directory.join("wal")).unwrap();
        wal.begin().unwrap();
        VOTES.write(directory).unwrap();
        for frame in frames {
            wal.append(frame);
        }
        wal.sync().unwrap();
    }

    fn read(directory: &Path) -> Result<VoteLock, StaleLock> {
        VoteLock::read(directory).unwrap()
    }

    #[test]
    fn a_lock_vouches_for_its_place_and_no_other() {
        let (here, there) = (directory(), directory());
        assert_eq!(read(here.path()), Ok(VOTES));
        fs::copy(path(here.path()), path(there.path())).unwrap();
        assert_eq!(read(there.path()), Err(StaleLock::OtherPlace));
        VoteLock::withdraw(here.path()).unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::Missing));
        VoteLock::withdraw(here.path()).unwrap();
    }

    #[test]
    fn an_older_log_that_was_copied_over_the_file_is_not_the_one_that_is_named() {
        let here = directory();
        let older = fs::read(log(here.path())).unwrap();
        runs(here.path(), &[b"more votes"]);
        let now = fs::read(log(here.path())).unwrap();
        fs::write(log(here.path()), older).unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherLog), "older");
        fs::write(log(here.path()), b"").unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherLog), "emptied");
        fs::write(log(here.path()), &now).unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        // A process that dies may have been writing; what it had said is in whole frames, after its start.
        fs::write(log(here.path()), &now[..now.len() - 1]).unwrap();
        assert_eq!(read(here.path()), Ok(VOTES), "torn");
    }

    #[test]
    fn once_a_process_has_ended_no_frame_may_be_missing() {
        let here = directory();
        runs(here.path(), &[b"one", b"two"]);
        VoteLock::close(here.path()).unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        let whole = fs::read(log(here.path())).unwrap();
        for length in 0..whole.len() {
            fs::write(log(here.path()), &whole[..length]).unwrap();
            assert_eq!(read(here.path()), Err(StaleLock::OtherLog), "{length} bytes");
        }
        // The next process notes its start before it writes the lock, and may die in between; a vote that the lock knows nothing of is
        // somebody else's.
        fs::write(log(here.path()), &whole).unwrap();
        let (mut wal, _) = Wal::open(&here.path().join("wal")).unwrap();
        wal.begin().unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        wal.append(b"three");
        wal.sync().unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherLog));
    }

    #[test]
    fn a_damaged_log_is_told_by_whoever_opens_it() {
        let here = directory();
        let mut bytes = fs::read(log(here.path())).unwrap();
        bytes[20] ^= 1;
        fs::write(log(here.path()), bytes).unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        assert!(matches!(Wal::open(&here.path().join("wal")), Err(StoreError::WalDamaged { .. })));
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
        let log = log(here.path());
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
        let (mut wal, _) = Wal::open(&here.path().join("wal")).unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        wal.begin().unwrap();
        assert_eq!(read(here.path()), Ok(VOTES));
        wal.append(b"votes");
        wal.sync().unwrap();
        assert_eq!(read(here.path()), Err(StaleLock::OtherLog));
    }

    #[test]
    fn every_flipped_bit_and_every_length_is_damage() {
        let (own, place) = (Place { inode: 1, born_ns: 2 }, Place { inode: 3, born_ns: 4 });
        let found = Log { place, outline: Some(Outline { frames: vec![(44, Some([7; 16]))] }) };
        let good = encode(VOTES, own, place, found.named(false));
        assert_eq!(judge(&good, own, &found), Ok(VOTES));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(judge(&bytes, own, &found), Err(StaleLock::Damaged), "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(judge(&good[..length], own, &found), Err(StaleLock::Damaged));
        }
    }
}
