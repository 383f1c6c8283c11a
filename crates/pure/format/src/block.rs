//! Blocks: a header and the entries that it brought (docs/spec/block.md).

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::fixed::FixedReader;
use crate::header::{HEADER_BYTES, Header};
use crate::limits::{MAX_BLOCK_BYTES, MAX_BLOCK_ENTRIES};
use crate::malformed::{Kind, Malformed};
use crate::vote::Certificate;

/// A header with the bytes of its entries, in order. The header's own leaf comes with the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The header.
    pub header: Header,
    /// Entry bytes, not yet decoded.
    pub entries: Vec<Bytes>,
}

impl Body {
    /// Header, count 4, then length 2 and bytes of each entry.
    pub fn encode(&self) -> Vec<u8> {
        let entries: usize = self.entries.iter().map(|entry| entry.len().saturating_add(2)).sum();
        let mut bytes = Vec::with_capacity(entries.saturating_add(HEADER_BYTES + 4));
        bytes.extend_from_slice(&self.header.encode());
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_be_bytes());
        for entry in &self.entries {
            let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        bytes
    }

    /// Reads exactly one body; entries share memory with `bytes`.
    ///
    /// # Errors
    /// A [`Malformed`] that names the part.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        if bytes.len() > MAX_BLOCK_BYTES {
            let detail = format!("{} bytes, at most {MAX_BLOCK_BYTES} allowed", bytes.len());
            return Err(Malformed::new(Kind::TooLarge, "block body", detail));
        }
        let mut reader = FixedReader::new("block body", bytes);
        let header = Header::decode(reader.take(HEADER_BYTES)?)?;
        let count = reader.u32()?;
        let count = reader.length(count, MAX_BLOCK_ENTRIES)?;
        // Each entry takes at least its length field: a claimed count cannot ask for more memory than was sent.
        let mut entries = Vec::with_capacity(count.min(reader.remaining() / 2));
        for _ in 0..count {
            let length = usize::from(reader.u16()?);
            entries.push(reader.take(length)?);
        }
        reader.finish()?;
        Ok(Self { header, entries })
    }
}

/// A body and the certificate that makes it final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The body.
    pub body: Body,
    /// The certificate.
    pub certificate: Certificate,
}

impl Block {
    /// Length 4 and bytes of the certificate, then the body.
    pub fn encode(&self) -> Vec<u8> {
        let certificate = self.certificate.encode();
        let length = u32::try_from(certificate.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&certificate);
        bytes.extend_from_slice(&self.body.encode());
        bytes
    }

    /// Reads exactly one block.
    ///
    /// # Errors
    /// A [`Malformed`] that names the part.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = FixedReader::new("block", bytes);
        let length = reader.u32()?;
        let length = reader.length(length, MAX_BLOCK_BYTES)?;
        let certificate = Certificate::decode(reader.take(length)?)?;
        let rest = reader.remaining();
        let body = Body::decode(reader.take(rest)?)?;
        Ok(Self { body, certificate })
    }
}
