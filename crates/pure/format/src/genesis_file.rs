//! The genesis file: the entries of block 1, signed by the founders, that every node of a ledger starts from
//! (docs/spec/genesis.md).

use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::event::Act;

use crate::entry::Entry;
use crate::fixed::FixedReader;
use crate::genesis::GenesisDocument;
use crate::limits::MAX_BLOCK_ENTRIES;
use crate::malformed::{Kind, Malformed};

/// What a genesis file begins with.
pub const GENESIS_FILE_MARK: &[u8; 18] = b"ledger/genesis/1\0\0";

/// A genesis file that was read: the document and the entries, of which the first carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct GenesisFile {
    /// The genesis document.
    pub document: GenesisDocument,
    /// Entries of block 1, in order. Their signatures are not checked here.
    pub entries: Vec<Entry>,
}

impl GenesisFile {
    /// Mark 18, count 4, then length 2 and bytes of each entry.
    pub fn encode(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = GENESIS_FILE_MARK.to_vec();
        bytes.extend_from_slice(&u32::try_from(entries.len()).unwrap_or(u32::MAX).to_be_bytes());
        for entry in entries {
            let length = u16::try_from(entry.bytes().len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry.bytes());
        }
        bytes
    }

    /// Reads exactly one genesis file.
    ///
    /// # Errors
    /// A [`Malformed`] that names the part; `FMT_VALUE` when the first entry does not carry a genesis document.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = FixedReader::new("genesis file", bytes);
        reader.mark(GENESIS_FILE_MARK)?;
        let count = reader.u32()?;
        let count = reader.length(count, MAX_BLOCK_ENTRIES)?;
        let mut entries = Vec::with_capacity(count.min(reader.remaining() / 2));
        for _ in 0..count {
            let length = usize::from(reader.u16()?);
            entries.push(Entry::decode(reader.take(length)?)?);
        }
        reader.finish()?;
        match entries.first().and_then(|entry| entry.event().act.as_ref()) {
            Some(Act::GenesisPublished(event)) => {
                let document = GenesisDocument::decode(event.document.clone())?;
                Ok(Self { document, entries })
            }
            _ => Err(Malformed::new(
                Kind::Value,
                "genesis file",
                "the first entry does not carry a genesis document",
            )),
        }
    }
}
