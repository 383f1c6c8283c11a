//! What can go wrong with a data directory, with the command that helps.

use std::io;
use std::path::PathBuf;

use ledger_format::malformed::Explanation;

/// Why a store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory.
    #[error("{path} is in use by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The directory holds another ledger.
    #[error("{path} holds ledger {found}, not {expected}")]
    OtherLedger {
        /// The directory.
        path: PathBuf,
        /// Ledger id that was expected, hex.
        expected: String,
        /// Ledger id that was found, hex.
        found: String,
    },
    /// The directory was written by a newer version.
    #[error("{path} has data format {found}, this program knows up to {known}")]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Format found.
        found: u32,
        /// Newest format known.
        known: u32,
    },
    /// There is no store where one was expected.
    #[error("{path} holds no ledger data")]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Bytes in the store are not what was written.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Which bytes.
        what: String,
    },
    /// The consensus log is not what was written.
    #[error(
        "the consensus log is damaged at byte {offset}: a write that was cut off looks otherwise"
    )]
    WalDamaged {
        /// Where.
        offset: u64,
    },
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl StoreError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "STORE_LOCKED",
            Self::OtherLedger { .. } => "STORE_OTHER_LEDGER",
            Self::Newer { .. } => "STORE_NEWER",
            Self::Missing { .. } => "STORE_MISSING",
            Self::Damaged { .. } => "STORE_DAMAGED",
            Self::WalDamaged { .. } => "STORE_WAL_DAMAGED",
            Self::Io { .. } => "STORE_IO",
        }
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            // sled creates its files itself: one that is missing or too short was lost.
            sled::Error::Io(source)
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::damaged(format!("a file of sled is missing or cut off: {source}"))
            }
            sled::Error::Io(source) => Self::Io { what: "store".into(), source },
            sled::Error::Corruption { at, .. } => {
                Self::damaged(format!("sled reports corruption at {at:?}"))
            }
            sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_) => Self::damaged(error.to_string()),
        }
    }
}

/// The codes of this crate.
pub const CODES: &[Explanation] = &[
    Explanation {
        code: "STORE_LOCKED",
        text: "Another process is using the data directory.",
        source: "docs/OPERATING.md, data directory",
        help: "Stop the other process, or give this one another --data-dir.",
    },
    Explanation {
        code: "STORE_OTHER_LEDGER",
        text: "The data directory belongs to another ledger.",
        source: "docs/OPERATING.md, data directory",
        help: "Check --data-dir and the genesis file; nothing was changed.",
    },
    Explanation {
        code: "STORE_NEWER",
        text: "The data directory was written by a newer version of the program.",
        source: "docs/OPERATING.md, upgrades",
        help: "Run the newer version; going back needs a copy of the directory from before the upgrade.",
    },
    Explanation {
        code: "STORE_MISSING",
        text: "There is no ledger data where some was expected.",
        source: "docs/OPERATING.md, data directory",
        help: "Check --data-dir, or begin with `ledger-node init`.",
    },
    Explanation {
        code: "STORE_DAMAGED",
        text: "Stored bytes are not what was written.",
        source: "docs/OPERATING.md, damage",
        help: "Keep a copy of the directory; then try `ledger-node reindex`. If it says the same, blocks are hit: take them from other nodes, or restore a backup (docs/OPERATING.md, damage).",
    },
    Explanation {
        code: "STORE_WAL_DAMAGED",
        text: "The consensus log is damaged, not merely cut off by a crash.",
        source: "docs/OPERATING.md, damage",
        help: "Do not delete it: it holds what this validator has voted. `ledger-node recover` puts it aside, and asks the other validators; with --alone where there are none.",
    },
    Explanation {
        code: "STORE_IO",
        text: "The operating system refused to read or write.",
        source: "docs/OPERATING.md, disk",
        help: "Check space, permissions and the disk; the node stops rather than guess what was written.",
    },
];
