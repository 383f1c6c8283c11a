//! What a node has noted of its last block, in `store/last`: for whoever looks at a directory on which no node runs.
//!
//! Nobody can look into the store itself and leave it as it is. sled changes what it opens, and what follows a damaged frame it takes
//! for cut off and clears. By the note a start sees, too, that this has happened. Nothing else depends on it: a note that is missing
//! or damaged is none.
//!
//! The file, as text: the mark, then `height`, `tree_size`, `time_ms`, `noted_ms` and `ended` with their numbers, and CRC-32 over all
//! before it, in hex.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::open::write_durably;

const MARK: &str = "ledger-last 1";

/// The last block that a node knew to be durable in its store, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Height, 0 before the first block.
    pub height: u64,
    /// Leaves of the log after it.
    pub tree_size: u64,
    /// Its header time.
    pub time_ms: u64,
    /// When it was noted, by the node's clock.
    pub noted_ms: u64,
    /// Whether the node then ended as it was told: if not, more blocks may have come after.
    pub has_ended: bool,
}

fn path(directory: &Path) -> PathBuf {
    directory.join("store/last")
}

impl Noted {
    /// Reads what is noted in a data directory, and changes nothing there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = path(directory);
        match fs::read(&path) {
            Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(Self::decode)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(path.display().to_string())(error)),
        }
    }

    /// Notes it in a data directory.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&self, directory: &Path) -> Result<(), StoreError> {
        write_durably(&path(directory), self.encode().as_bytes())
    }

    fn encode(&self) -> String {
        let Self { height, tree_size, time_ms, noted_ms, has_ended } = *self;
        let text = format!(
            "{MARK}\nheight {height}\ntree_size {tree_size}\ntime_ms {time_ms}\nnoted_ms {noted_ms}\nended {}\n",
            u8::from(has_ended)
        );
        let sum = crc32fast::hash(text.as_bytes());
        format!("{text}{sum:08x}\n")
    }

    /// Only what is written as [`Noted::encode`] does counts.
    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next().filter(|mark| *mark == MARK)?;
        let mut number = |name: &str| -> Option<u64> {
            lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()
        };
        let noted = Self {
            height: number("height")?,
            tree_size: number("tree_size")?,
            time_ms: number("time_ms")?,
            noted_ms: number("noted_ms")?,
            has_ended: number("ended")? == 1,
        };
        (noted.encode() == text).then_some(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_what_was_written_or_none() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("store")).unwrap();
        assert_eq!(Noted::read(directory.path()).unwrap(), None);
        let noted =
            Noted { height: 41, tree_size: 99, time_ms: 7, noted_ms: u64::MAX, has_ended: true };
        noted.write(directory.path()).unwrap();
        assert_eq!(Noted::read(directory.path()).unwrap(), Some(noted));
        let whole = fs::read(path(directory.path())).unwrap();
        for at in 0..whole.len() {
            for spoiled in
                [[&whole[..at], &[whole[at] ^ 1], &whole[at + 1..]].concat(), whole[..at].to_vec()]
            {
                fs::write(path(directory.path()), spoiled).unwrap();
                assert_eq!(Noted::read(directory.path()).unwrap(), None, "at {at}");
            }
        }
    }
}
