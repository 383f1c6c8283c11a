//! Opening a data directory: the store, and the ledger in memory as it was, or rebuilt from blocks when it has to be.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use ledger_format::block::{Block, Body};
use ledger_format::genesis::GenesisDocument;
use ledger_format::genesis_file::GenesisFile;
use ledger_format::header::Header;
use ledger_format::vote::Certificate;
use ledger_replay::{Known, Ledger, Replay};
use ledger_store::{DataDirectory, Noted, Store, StoreError, StoredBlock};

use crate::failure::Failure;
use crate::stored;

/// Files of a data directory beside the store's own.
#[derive(Clone, Debug)]
pub struct Layout(pub PathBuf);

impl Layout {
    /// The signed genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis")
    }

    /// The node's keys.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// What proves that validators lied, one file each.
    pub fn evidence(&self) -> PathBuf {
        self.0.join("evidence")
    }

    /// What ties the consensus log to its place.
    pub fn vote_lock(&self) -> PathBuf {
        self.0.join("vote.lock")
    }

    /// Settings of the node.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// Reads the genesis file.
    ///
    /// # Errors
    /// `STORE_MISSING` where there is no ledger, `NODE_GENESIS` for a file that is missing beside a store, or malformed; `NODE_RUNTIME`
    /// where the operating system lets nobody see: what cannot be looked at is not missing.
    pub fn read_genesis(&self) -> Result<GenesisFile, Failure> {
        let path = self.genesis();
        let is_there = |path: &Path| path.try_exists().map_err(Failure::at(path));
        if !is_there(&path)? && !is_there(&self.0.join("store"))? {
            return Err(StoreError::Missing { path: self.0.clone() }.into());
        }
        let bytes = read_short(&path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => Failure::at(&path)(error),
            _ => Failure::genesis(format!("{}: {error}", path.display())),
        })?;
        Ok(GenesisFile::decode(bytes.into())?)
    }
}

/// Bytes that are read of a genesis file or a checkpoint: more than either has, so that their decoders refuse what is longer.
const SHORT_BYTES: u64 = 1 << 20;

/// The bytes of a file that is short, or as many as show that it is another one: a chain of many gigabytes by mistake, or a device.
pub(crate) fn read_short(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SHORT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A store and the ledger at its height.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The ledger.
    pub ledger: Ledger,
}

/// Opens a directory. Damage to anything but blocks is mended by rebuilding it from blocks.
///
/// # Errors
/// What the store refuses; `NODE_BLOCK` when a block does not verify.
pub fn open(path: &Path, genesis: &GenesisDocument) -> Result<Opened, Failure> {
    let directory = DataDirectory::open_or_create(path, &genesis.id())?;
    let damage = match Store::open(directory) {
        Ok(store) => match load(&store, genesis) {
            Ok(ledger) => return Ok(Opened { store, ledger }),
            Err(damage) => {
                drop(store);
                damage
            }
        },
        Err(StoreError::Damaged { what }) => what,
        Err(other) => return Err(other.into()),
    };
    tracing::warn!(%damage, "what is derived from blocks is damaged; rebuilding it");
    reindex(path, genesis, |_, _| {})
}

/// The height that was noted of a store, if that is more than it has: sled takes what follows a damaged frame for cut off, and clears it.
pub(crate) fn lost(store: &Store) -> Option<u64> {
    let noted = Noted::read(store.directory().path()).ok()??;
    (noted.height > store.height().unwrap_or(0)).then_some(noted.height)
}

/// What `recover` and `reindex` say of that.
pub(crate) fn lost_note(height: u64, noted: u64) -> String {
    format!(
        "the store ends at height {height}, and had {noted}: its end was damaged, and what followed is gone from it. A copy of the \
         directory from before this may still show what it was (docs/OPERATING.md, damage)"
    )
}

/// Why there is no store to look at. Where genesis is, to begin with `init` again would be wrong.
pub(crate) fn no_store(error: StoreError, path: &Path) -> Failure {
    match error {
        missing @ StoreError::Missing { .. } => Failure {
            message: format!("{}: genesis is here, and no store", path.display()),
            help: "If no node has run on it yet: `ledger-node run`. Else its store is gone: docs/OPERATING.md, damage.".to_owned(),
            ..missing.into()
        },
        other => other.into(),
    }
}

/// Reads the ledger from the store, and checks it against the last header.
fn load(store: &Store, genesis: &GenesisDocument) -> Result<Ledger, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let Some(height) = store.height() else {
        return Ledger::new(genesis.clone()).map_err(|error| text(&error));
    };
    let stored = store.header(height).map_err(|error| text(&error))?;
    let (header, _) = stored.ok_or_else(|| format!("header {height} is missing"))?;
    let header = Header::decode(header).map_err(|error| text(&error))?;
    let state = store.load_state().map_err(|error| text(&error))?;
    let window = state.window.into_iter().map(|row| Known {
        key: row.key,
        entry: row.entry,
        expires_s: row.expires_s,
    });
    Ledger::restore(genesis.clone(), header, store.frontier(), state.records, window)
        .map_err(|error| text(&error))
}

/// Rebuilds everything but blocks by verifying and executing all blocks again. `progress` is called with the height and the last.
///
/// # Errors
/// `NODE_BLOCK` when a block does not verify, or what the store refuses.
pub fn reindex(
    path: &Path,
    genesis: &GenesisDocument,
    mut progress: impl FnMut(u64, u64),
) -> Result<Opened, Failure> {
    let directory = DataDirectory::open(path, &genesis.id());
    let store = Store::open_blocks_only(directory.map_err(|error| no_store(error, path))?)?;
    let last = store.height().unwrap_or(0);
    let mut replay = Replay::new(genesis.clone())?;
    for height in 1..=last {
        let missing = || StoreError::Damaged { what: format!("block {height} is missing") };
        let block = decode(&store.block(height)?.ok_or_else(missing)?)?;
        let mut kept = Ok(());
        replay.push(&block, |executed| {
            kept = stored::put(&block, executed, |derived| store.rederive(derived));
        })?;
        kept?;
        progress(height, last);
    }
    replay.settle()?;
    store.flush()?;
    Ok(Opened { store, ledger: replay.into_ledger() })
}

pub(crate) fn decode(stored: &StoredBlock) -> Result<Block, Failure> {
    let broken = |error| Failure::block(error);
    let header = Header::decode(stored.header.clone()).map_err(broken)?;
    let certificate = Certificate::decode(stored.certificate.clone()).map_err(broken)?;
    Ok(Block { body: Body { header, entries: stored.entries.clone() }, certificate })
}
