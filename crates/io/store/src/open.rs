//! Opening a data directory: whose it is, that nobody else has it, and sled's three known traps.

use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use ledger_format::digest::LedgerId;

use crate::error::StoreError;
use crate::wal::sync_directory;

/// Version of the layout of a data directory.
pub const DATA_FORMAT: u32 = 1;

/// Page cache of sled, in bytes. With packed pages more brings nothing (docs/adr/0006).
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How long a start waits for whoever only looks at its directory, as `status` does.
const LOOKED_INTO_FOR: Duration = Duration::from_secs(3);

/// How long sled's threads may take to let go of a file. Milliseconds as a rule, more on a machine without time for them.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A locked data directory: `LOCK`, `FORMAT`, `store/`, `wal/`. The lock is released when this is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// A directory that no other process can have until this is dropped, whatever is in it.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "the lock goes with it")] File);

impl DataDirectory {
    /// Locks a directory for whoever is about to put a ledger's data there. Nothing but the lock is made in it, and nothing is looked at.
    ///
    /// # Errors
    /// [`StoreError::Locked`] or [`StoreError::Io`].
    pub fn hold(path: &Path) -> Result<Held, StoreError> {
        Self::lock(path, LOOKED_INTO_FOR).map(Held)
    }

    /// Locks a directory and makes it this ledger's, or checks that it is. Waits up to three seconds for another process that has
    /// it: it may only look, and a node that is started just then should not end for that.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::OtherLedger`], [`StoreError::Newer`] or [`StoreError::Io`].
    pub fn open_or_create(path: &Path, ledger: &LedgerId) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(StoreError::io(path.display().to_string()))?;
        let lock = Self::lock(path, LOOKED_INTO_FOR)?;
        let format = path.join("FORMAT");
        let failed = StoreError::io(format.display().to_string());
        if format.try_exists().map_err(failed)? {
            check(path, ledger)?;
        } else {
            let text = format!("ledger-data {DATA_FORMAT}\n{ledger}\n");
            write_durably(&format, text.as_bytes())?;
        }
        for part in ["store", "wal"] {
            let part = path.join(part);
            fs::create_dir_all(&part).map_err(StoreError::io(part.display().to_string()))?;
        }
        sync_directory(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Locks a directory that must already be this ledger's.
    ///
    /// # Errors
    /// As [`DataDirectory::open_or_create`], and [`StoreError::Missing`].
    pub fn open(path: &Path, ledger: &LedgerId) -> Result<Self, StoreError> {
        is_there(path)?;
        let lock = Self::lock(path, Duration::ZERO)?;
        check(path, ledger)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Looks whether a directory is this ledger's, and that no process has it. Nothing is made or changed in it.
    ///
    /// # Errors
    /// As [`DataDirectory::open`].
    pub fn look(path: &Path, ledger: &LedgerId) -> Result<(), StoreError> {
        is_there(path)?;
        let file = path.join("LOCK");
        let failed = StoreError::io(file.display().to_string());
        // Shared, so that several may look; let go at once.
        match File::open(&file).map(|lock| lock.try_lock_shared()) {
            Ok(Err(TryLockError::WouldBlock)) => Err(StoreError::Locked { path: file }),
            Ok(Err(TryLockError::Error(error))) => Err(failed(error)),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
            Ok(Ok(())) | Err(_) => check(path, ledger),
        }
    }

    fn lock(path: &Path, within: Duration) -> Result<File, StoreError> {
        let file = path.join("LOCK");
        let name = file.display().to_string();
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true).open(&file);
        let lock = lock.map_err(StoreError::io(&name))?;
        match lock_within(&lock, within) {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: file }),
            Err(TryLockError::Error(source)) => Err(StoreError::Io { what: name, source }),
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the consensus log is.
    pub fn wal(&self) -> PathBuf {
        self.path.join("wal")
    }

    pub(crate) fn open_sled(&self) -> Result<sled::Db, StoreError> {
        let path = self.path.join("store");
        wait_until_let_go(&path.join("db"))?;
        remove_half_written_snapshots(&path)?;
        match configuration(&path).open() {
            Err(sled::Error::Corruption { .. }) => {
                // A snapshot only speeds up opening: without it sled reads its whole log again.
                tracing::warn!(path = %path.display(), "sled reports corruption; its snapshots are moved aside and its log is read again");
                move_snapshots_aside(&path)?;
                Ok(configuration(&path).open()?)
            }
            other => Ok(other?),
        }
    }
}

/// Whether there is a ledger's data at all, and a store with it.
fn is_there(path: &Path) -> Result<(), StoreError> {
    let store = path.join("store");
    for (part, missing) in [(path.join("FORMAT"), path), (store.clone(), &store)] {
        if !part.try_exists().map_err(StoreError::io(part.display().to_string()))? {
            return Err(StoreError::Missing { path: missing.to_owned() });
        }
    }
    Ok(())
}

/// Whether a directory is this ledger's, in a layout that is known.
fn check(path: &Path, ledger: &LedgerId) -> Result<(), StoreError> {
    let file = path.join("FORMAT");
    let text = fs::read_to_string(&file).map_err(StoreError::io(file.display().to_string()))?;
    let unreadable = || {
        let what = format!(
            "{} is unreadable; if all else is whole, move it away: the next start makes it again",
            file.display()
        );
        StoreError::damaged(what)
    };
    let mut lines = text.lines();
    let format = lines.next().and_then(|line| line.strip_prefix("ledger-data "));
    let format: u32 = format.and_then(|n| n.parse().ok()).ok_or_else(unreadable)?;
    if format > DATA_FORMAT {
        let path = path.to_owned();
        return Err(StoreError::Newer { path, found: format, known: DATA_FORMAT });
    }
    let found = lines.next().ok_or_else(unreadable)?.to_owned();
    let expected = ledger.to_string();
    if found == expected {
        return Ok(());
    }
    Err(StoreError::OtherLedger { path: path.to_owned(), expected, found })
}

thread_local! {
    static ON_TRIAL: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is trying whether a store can be opened. A panic is then an answer, and a panic hook need not report it.
pub fn is_on_trial() -> bool {
    ON_TRIAL.get()
}

/// Runs what opens a store. sled 0.34.7 panics on many a damaged file where it should say that it is corrupt.
pub(crate) fn trial<T>(open: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let before = ON_TRIAL.replace(true);
    // Whatever was half open is dropped by the panic, and nobody else has seen it.
    let result = catch_unwind(AssertUnwindSafe(open));
    ON_TRIAL.set(before);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        Err(StoreError::damaged(format!("sled gives up: {text}")))
    })
}

fn configuration(path: &Path) -> sled::Config {
    // Flushes are ours alone, one a block.
    sled::Config::new().path(path).flush_every_ms(None).cache_capacity(CACHE_BYTES)
}

/// A store that this process has just dropped may still be held by sled 0.34.7: its threads let go of the file a little later.
/// No other process holds it, since the directory's own lock comes first.
fn wait_until_let_go(file: &Path) -> Result<(), StoreError> {
    let failed = || StoreError::io(file.display().to_string());
    if !file.try_exists().map_err(failed())? {
        return Ok(());
    }
    let opened = File::options().read(true).write(true).open(file).map_err(failed())?;
    match lock_within(&opened, LET_GO_WITHIN) {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: file.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed()(source)),
    }
}

/// Locks a file that somebody else may still have for a moment.
fn lock_within(file: &File, within: Duration) -> Result<(), TryLockError> {
    let deadline = Instant::now() + within;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK_AGAIN),
            ended => return ended,
        }
    }
}

/// sled 0.34.7 writes `snap.X.generating` and renames it, but reads a left-over one as the newest snapshot and fails for ever.
fn remove_half_written_snapshots(store: &Path) -> Result<(), StoreError> {
    for path in snapshots(store)? {
        if path.extension().is_some_and(|extension| extension == "generating") {
            tracing::warn!(path = %path.display(), "removing a half-written snapshot of sled");
            fs::remove_file(&path).map_err(StoreError::io(path.display().to_string()))?;
        }
    }
    Ok(())
}

fn move_snapshots_aside(store: &Path) -> Result<(), StoreError> {
    for path in snapshots(store)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = store.join(format!("damaged.{name}"));
        fs::rename(&path, aside).map_err(StoreError::io(path.display().to_string()))?;
    }
    Ok(())
}

fn snapshots(store: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = || StoreError::io(store.display().to_string());
    let entries = fs::read_dir(store).map_err(failed())?;
    let paths = entries.map(|entry| Ok(entry.map_err(failed())?.path()));
    let is_snapshot = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap."))
    };
    Ok(paths.collect::<Result<Vec<_>, StoreError>>()?.into_iter().filter(is_snapshot).collect())
}

/// Writes a small file so that after a crash it is there whole or not at all.
///
/// # Errors
/// [`StoreError::Io`].
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    use std::io::Write as _;
    let temporary = path.with_extension("partial");
    let name = path.display().to_string();
    let mut file = File::create(&temporary).map_err(StoreError::io(&name))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let written = written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _gone = fs::remove_file(&temporary);
    });
    written.map_err(StoreError::io(&name))?;
    path.parent().map_or(Ok(()), sync_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As another command does while a node starts.
    #[test]
    fn a_start_waits_for_whoever_only_looks() {
        let directory = tempfile::tempdir().unwrap();
        let open = || DataDirectory::open_or_create(directory.path(), &LedgerId::default());
        let looks = open().unwrap();
        assert!(matches!(
            DataDirectory::open(directory.path(), &LedgerId::default()),
            Err(StoreError::Locked { .. })
        ));
        let looking = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            drop(looks);
        });
        let _started = open().unwrap();
        assert!(matches!(open(), Err(StoreError::Locked { .. })), "who stays is not waited for");
        looking.join().unwrap();
    }
}
