//! The frames of an exported chain (docs/spec/chain-file.md). Reading and writing files is somebody else's work.
//!
//! A file is the mark, then frames: kind 1, length 4, payload, checksum 4. The checksum finds damage; it proves nothing.

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::digest::sha256;
use crate::fixed::FixedReader;
use crate::limits::MAX_BLOCK_BYTES;
use crate::malformed::{Kind, Malformed};

/// What a chain file begins with.
pub const CHAIN_MARK: &[u8; 16] = b"ledger/chain/v1\0";

/// Bytes of a frame before its payload: kind and length.
pub const FRAME_HEAD_BYTES: usize = 5;
/// Bytes of a frame after its payload.
pub const CHECKSUM_BYTES: usize = 4;

/// Longest payload: a block body at its cap, with its certificate.
const MAX_PAYLOAD_BYTES: usize = MAX_BLOCK_BYTES + 64 * 1024;

/// The kinds of frame, in the order in which a file holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameKind {
    /// The genesis document. First, once.
    Genesis,
    /// A block. Heights ascend from 1 without gaps.
    Block,
    /// A state record as of the last block, ascending by state key; either all records or none.
    Record,
    /// How many blocks and records there were. Last, once.
    End,
}

impl FrameKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Genesis => 1,
            Self::Block => 2,
            Self::Record => 3,
            Self::End => 4,
        }
    }
}

/// Kind and payload length of the frame that is about to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// The kind.
    pub kind: FrameKind,
    /// Payload bytes that follow, before the checksum.
    pub length: usize,
}

impl FrameHead {
    /// Reads the five bytes before a payload.
    ///
    /// # Errors
    /// `FMT_UNKNOWN_VALUE` for an unknown kind, `FMT_TOO_LARGE` for a length above any block.
    pub fn decode(head: [u8; FRAME_HEAD_BYTES]) -> Result<Self, Malformed> {
        let mut reader = FixedReader::new("frame", Bytes::copy_from_slice(&head));
        let kind = match reader.u8()? {
            1 => FrameKind::Genesis,
            2 => FrameKind::Block,
            3 => FrameKind::Record,
            4 => FrameKind::End,
            other => {
                let detail = format!("frame kind {other}");
                return Err(Malformed::new(Kind::UnknownValue, "frame", detail));
            }
        };
        let length = reader.u32()?;
        let length = reader.length(length, MAX_PAYLOAD_BYTES)?;
        Ok(Self { kind, length })
    }

    /// Checks the four bytes after a payload.
    ///
    /// # Errors
    /// `FMT_CHECKSUM`.
    pub fn check(&self, payload: &[u8], found: [u8; CHECKSUM_BYTES]) -> Result<(), Malformed> {
        if checksum(self.kind, payload) == found {
            return Ok(());
        }
        Err(Malformed::new(Kind::Checksum, "frame", format!("{:?} frame", self.kind)))
    }
}

fn checksum(kind: FrameKind, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let [a, b, c, d, ..] = sha256(&[&[kind.byte()], &length, payload]);
    [a, b, c, d]
}

/// A whole frame.
pub fn frame(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = Vec::from([kind.byte()]);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&checksum(kind, payload));
    bytes
}

/// The payload of the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Block frames of the file.
    pub blocks: u64,
    /// Record frames of the file.
    pub records: u64,
}

impl End {
    /// Blocks 8, records 8.
    pub fn encode(&self) -> Vec<u8> {
        [self.blocks.to_be_bytes(), self.records.to_be_bytes()].concat()
    }

    /// Reads exactly one end payload.
    ///
    /// # Errors
    /// `FMT_TRUNCATED` or `FMT_TRAILING`.
    pub fn decode(payload: Bytes) -> Result<Self, Malformed> {
        let mut reader = FixedReader::new("end frame", payload);
        let end = Self { blocks: reader.u64()?, records: reader.u64()? };
        reader.finish()?;
        Ok(end)
    }
}
