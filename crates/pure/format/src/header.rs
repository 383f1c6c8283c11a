//! Block headers: fixed layout, 269 bytes (docs/spec/block.md).

use alloc::vec::Vec;

use bytes::Bytes;

use crate::digest::{BlockHash, EntryId, Hash, KeyId, LedgerId, sha256};
use crate::entry::leaf_hash;
use crate::fixed::FixedReader;
use crate::malformed::Malformed;

/// What a header begins with. No entry begins so, which keeps the two kinds of leaf apart.
pub const HEADER_MARK: &[u8; 17] = b"ledger/header/v1\0";

/// Length of a header in bytes.
pub const HEADER_BYTES: usize = 269;

/// What a block's validators agree on. As a leaf, the first of the next block, it puts times and state roots under the log's
/// root as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the protocol that the block follows.
    pub protocol_version: u32,
    /// The ledger.
    pub ledger: LedgerId,
    /// From 1.
    pub height: u64,
    /// Hash of the header before; at height 1 the ledger id.
    pub previous: Hash,
    /// Milliseconds since 1970; strictly above the header's before.
    pub time_ms: u64,
    /// Key id of the proposer's vote key.
    pub proposer: KeyId,
    /// Leaves of the log after this block.
    pub tree_size: u64,
    /// Root of the log after this block.
    pub tree_root: Hash,
    /// Root of the state after this block.
    pub state_root: Hash,
    /// Hash of the validator set that signs this block.
    pub validators: Hash,
    /// Hash of the validator set that signs the next block.
    pub next_validators: Hash,
}

impl Header {
    /// The bytes, which are also the header's leaf.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(HEADER_MARK);
        bytes.extend_from_slice(&self.protocol_version.to_be_bytes());
        bytes.extend_from_slice(self.ledger.as_bytes());
        bytes.extend_from_slice(&self.height.to_be_bytes());
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&self.time_ms.to_be_bytes());
        bytes.extend_from_slice(self.proposer.as_bytes());
        bytes.extend_from_slice(&self.tree_size.to_be_bytes());
        bytes.extend_from_slice(&self.tree_root);
        bytes.extend_from_slice(&self.state_root);
        bytes.extend_from_slice(&self.validators);
        bytes.extend_from_slice(&self.next_validators);
        bytes
    }

    /// Reads exactly one header.
    ///
    /// # Errors
    /// `FMT_MAGIC`, `FMT_TRUNCATED` or `FMT_TRAILING`.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = FixedReader::new("header", bytes);
        reader.mark(HEADER_MARK)?;
        let header = Self {
            protocol_version: reader.u32()?,
            ledger: LedgerId(reader.array()?),
            height: reader.u64()?,
            previous: reader.array()?,
            time_ms: reader.u64()?,
            proposer: KeyId(reader.array()?),
            tree_size: reader.u64()?,
            tree_root: reader.array()?,
            state_root: reader.array()?,
            validators: reader.array()?,
            next_validators: reader.array()?,
        };
        reader.finish()?;
        Ok(header)
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> BlockHash {
        BlockHash(sha256(&[&self.encode()]))
    }

    /// The id of the leaf that this header is in the next block.
    pub fn leaf(&self) -> EntryId {
        EntryId(leaf_hash(&self.encode()))
    }
}
