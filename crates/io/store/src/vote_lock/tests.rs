use super::*;
use crate::Wal;

const KEY: KeyId = KeyId([5; 32]);

fn lock(mode: VoteMode) -> VoteLock {
    VoteLock { mode, keys: BTreeSet::from([KEY]) }
}

fn votes() -> VoteLock {
    lock(VoteMode::Votes)
}

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
    votes().write(directory).unwrap();
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
    assert_eq!(read(here.path()), Ok(votes()));
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
    assert_eq!(read(here.path()), Ok(votes()));
    // A process that dies may have been writing; what it had said is in whole frames, after its start.
    fs::write(log(here.path()), &now[..now.len() - 1]).unwrap();
    assert_eq!(read(here.path()), Ok(votes()), "torn");
}

#[test]
fn a_log_that_was_being_emptied_is_known_by_what_was_to_be_left() {
    let here = directory();
    let before = fs::read(log(here.path())).unwrap();
    let start = Outline::of(&before).unwrap().start().unwrap();
    let mut left = Vec::new();
    crate::frames::append(&mut left, None, &crate::frames::start_payload(&start));
    let beside = here.path().join("wal/consensus.wal.left");
    fs::write(&beside, &left).unwrap();
    assert_eq!(read(here.path()), Ok(votes()), "not yet");
    fs::write(log(here.path()), b"").unwrap();
    assert_eq!(read(here.path()), Ok(votes()), "emptied");
    let (_, frames) = Wal::open(&here.path().join("wal")).unwrap();
    assert_eq!((frames.len(), read(here.path())), (0, Ok(votes())), "and opened");
    // Of another start it is another log.
    let other = crate::frames::start_payload(&[7; 16]);
    let mut left = Vec::new();
    crate::frames::append(&mut left, None, &other);
    fs::write(&beside, left).unwrap();
    fs::write(log(here.path()), b"").unwrap();
    assert_eq!(read(here.path()), Err(StaleLock::OtherLog));
}

#[test]
fn once_a_process_has_ended_no_frame_may_be_missing() {
    let here = directory();
    runs(here.path(), &[b"one", b"two"]);
    VoteLock::close(here.path()).unwrap();
    assert_eq!(read(here.path()), Ok(votes()));
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
    assert_eq!(read(here.path()), Ok(votes()));
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
    assert_eq!(read(here.path()), Ok(votes()));
    assert!(matches!(Wal::open(&here.path().join("wal")), Err(StoreError::WalDamaged { .. })));
}

#[test]
fn whoever_recovers_needs_its_place_and_no_log() {
    let here = directory();
    for mode in [VoteMode::Recovers, VoteMode::Alone] {
        lock(mode).write(here.path()).unwrap();
        fs::remove_file(here.path().join("wal/consensus.wal")).unwrap();
        assert_eq!(read(here.path()), Ok(lock(mode)));
        fs::write(here.path().join("wal/consensus.wal"), b"another").unwrap();
        assert_eq!(read(here.path()), Ok(lock(mode)));
    }
}

#[test]
fn a_key_that_was_made_here_is_named_and_one_that_was_brought_here_is_not() {
    let here = directory();
    runs(here.path(), &[b"one"]);
    VoteLock::close(here.path()).unwrap();
    let (made, brought) = (KeyId([6; 32]), KeyId([4; 32]));
    VoteLock::add(here.path(), made).unwrap();
    let lock = read(here.path()).unwrap();
    assert_eq!(lock.names([KEY, made]), Ok(()));
    assert_eq!(lock.names([KEY, brought]), Err(StaleLock::OtherKey(brought)));
    // What it says of the log stays: its last frame may still not be missing.
    let whole = fs::read(log(here.path())).unwrap();
    fs::write(log(here.path()), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(read(here.path()), Err(StaleLock::OtherLog));
    // One that vouches for nothing is left alone.
    VoteLock::add(here.path(), brought).unwrap();
    assert_eq!(read(here.path()), Err(StaleLock::OtherLog));
}

#[test]
fn a_lock_that_was_put_back_is_stale_even_over_the_same_file() {
    let here = directory();
    votes().write(here.path()).unwrap();
    let older = fs::read(path(here.path())).unwrap();
    votes().write(here.path()).unwrap();
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
    votes().write(here.path()).unwrap();
    assert_eq!(read(here.path()), Ok(votes()));
    let (mut wal, _) = Wal::open(&here.path().join("wal")).unwrap();
    assert_eq!(read(here.path()), Ok(votes()));
    wal.begin().unwrap();
    assert_eq!(read(here.path()), Ok(votes()));
    wal.append(b"votes");
    wal.sync().unwrap();
    assert_eq!(read(here.path()), Err(StaleLock::OtherLog));
}

#[test]
fn every_flipped_bit_and_every_length_is_damage() {
    let (own, place) = (Place { inode: 1, born_ns: 2 }, Place { inode: 3, born_ns: 4 });
    let found = Log { place, outline: Some(Outline { frames: vec![(44, Some([7; 16]))] }) };
    let good = encode(&votes(), own, place, found.named(false));
    assert_eq!(judge(&good, own, &found).map(|(lock, _)| lock), Ok(votes()));
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let is_version = (12..16).contains(&(bit / 8));
        let damage = if is_version { StaleLock::OtherVersion } else { StaleLock::Damaged };
        assert_eq!(judge(&bytes, own, &found), Err(damage), "bit {bit}");
    }
    for length in 0..good.len() {
        let is_version = (12..16).contains(&length);
        let damage = if is_version { StaleLock::OtherVersion } else { StaleLock::Damaged };
        assert_eq!(judge(&good[..length], own, &found), Err(damage), "{length} bytes");
    }
}
