//! Files in delivery: cut into chunks, hashed as a tree, compared with what the ledger records (docs/spec/delivery.md).

use std::io::Read;

use ledger_event::FileManifest;
use ledger_format::digest::{Hash, sha256};
use ledger_format::entry::leaf_hash;
use ledger_merkle::log::Frontier;
use sha2::{Digest as _, Sha256};

use crate::act::digest;
use crate::error::ClientError;

/// Chunk size that the tools use, in bytes.
pub const CHUNK_BYTES: u32 = 64 * 1024;

/// A file that was read, chunk by chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// Bytes.
    pub bytes: u64,
    /// Size of its chunks; the last may be shorter.
    pub chunk_bytes: u32,
    /// Leaf hash of each chunk: SHA-256(0x00, chunk).
    pub chunks: Vec<Hash>,
    /// SHA-256 of the whole.
    pub sha256: Hash,
}

impl ReadFile {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// `CLIENT_FILE`.
    pub fn read(reader: &mut impl Read, chunk_bytes: u32) -> Result<Self, ClientError> {
        let mut file = Self { bytes: 0, chunk_bytes, chunks: Vec::new(), sha256: [0; 32] };
        let mut whole = Sha256::new();
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            let read = reader.by_ref().take(u64::from(chunk_bytes)).read_to_end(&mut chunk);
            let read = read.map_err(ClientError::io("file"))?;
            if read == 0 {
                break;
            }
            whole.update(&chunk);
            file.chunks.push(leaf_hash(&chunk));
            file.bytes += u64::try_from(read).unwrap_or_default();
        }
        file.sha256 = whole.finalize().into();
        Ok(file)
    }

    /// The manifest that a delivery plan carries.
    pub fn manifest(&self) -> FileManifest {
        FileManifest {
            bytes: self.bytes,
            chunk_bytes: self.chunk_bytes,
            root: root(&self.chunks).to_vec().into(),
            content: Some(digest(self.sha256)),
        }
    }

    /// The chunks of each of `count` batches, as even as can be: first chunk, number of chunks, bytes, root.
    pub fn batches(&self, count: u32) -> Vec<Batch> {
        let total = self.chunks.len();
        let count = usize::try_from(count).unwrap_or(usize::MAX).clamp(1, total.max(1));
        (0..count)
            .map(|batch| {
                let (from, to) = (total * batch / count, total * (batch + 1) / count);
                self.batch(from, to)
            })
            .collect()
    }

    fn batch(&self, from: usize, to: usize) -> Batch {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let chunk = u64::from(self.chunk_bytes);
        let end = wide(to).saturating_mul(chunk).min(self.bytes);
        Batch {
            first_chunk: wide(from),
            chunks: wide(to - from),
            bytes: end.saturating_sub(wide(from).saturating_mul(chunk)),
            root: root(self.chunks.get(from..to).unwrap_or_default()),
        }
    }

    /// Root over a range of chunks that an entry names; `None` when the file does not have them.
    pub fn range_root(&self, first: u64, count: u64) -> Option<Hash> {
        let from = usize::try_from(first).ok()?;
        let to = from.checked_add(usize::try_from(count).ok()?)?;
        self.chunks.get(from..to).map(root)
    }
}

/// A run of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// First chunk, from 0.
    pub first_chunk: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes.
    pub bytes: u64,
    /// RFC 9162 tree hash over its chunks.
    pub root: Hash,
}

/// RFC 9162 tree hash over leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// SHA-256 of some bytes.
pub fn hash(bytes: &[u8]) -> Hash {
    sha256(&[bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_the_file_without_gaps() {
        for length in [1_usize, 1023, 1024, 1025, 10_000, 65_536] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let file = ReadFile::read(&mut bytes.as_slice(), 1024).unwrap();
            assert_eq!(file.bytes, u64::try_from(length).unwrap());
            for count in [1, 2, 3, 7, 1000] {
                let batches = file.batches(count);
                let mut next = 0;
                for batch in &batches {
                    assert_eq!(batch.first_chunk, next);
                    assert_eq!(file.range_root(batch.first_chunk, batch.chunks), Some(batch.root));
                    next += batch.chunks;
                }
                assert_eq!(next, u64::try_from(file.chunks.len()).unwrap());
                assert_eq!(batches.iter().map(|b| b.bytes).sum::<u64>(), file.bytes);
            }
        }
    }
}
