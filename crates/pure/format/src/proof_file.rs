//! Proof files (docs/spec/proof.md): bounded, canonical reading of what `prove` writes.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{Anchor, ProofFile, proof_file::Statement};

use crate::limits::MAX_PROOF_BYTES;
use crate::malformed::{Kind, Malformed};
use crate::message;

/// The value of `format` that begins every proof file.
pub const PROOF_FORMAT: &str = "ledger-proof-v1";

/// The canonical bytes of a proof file.
pub fn encode(anchor: Anchor, statement: Statement) -> Vec<u8> {
    let format = PROOF_FORMAT.to_string();
    message::encode(&ProofFile { format, anchor: Some(anchor), statement: Some(statement) })
}

/// Reads exactly one proof file.
///
/// # Errors
/// `FMT_TOO_LARGE`, `FMT_MAGIC` when it does not begin as one, or what the canonical form refuses.
pub fn decode(bytes: &Bytes) -> Result<(Anchor, Statement), Malformed> {
    if bytes.len() > MAX_PROOF_BYTES {
        let detail = format!("{} bytes, at most {MAX_PROOF_BYTES} allowed", bytes.len());
        return Err(Malformed::new(Kind::TooLarge, "proof file", detail));
    }
    if !is_proof_file(bytes) {
        let detail = format!("expected {PROOF_FORMAT:?} first");
        return Err(Malformed::new(Kind::Magic, "proof file", detail));
    }
    let file: ProofFile = message::decode("proof file", bytes)?;
    match (file.anchor, file.statement) {
        (Some(anchor), Some(statement)) => Ok((anchor, statement)),
        _ => Err(Malformed::new(Kind::Value, "proof file", "no anchor or no statement")),
    }
}

/// Whether bytes begin as a proof file does: field 1, length 15, format name.
pub fn is_proof_file(bytes: &[u8]) -> bool {
    let name = bytes.strip_prefix(&[0x0a, 0x0f]);
    name.is_some_and(|name| name.starts_with(PROOF_FORMAT.as_bytes()))
}
