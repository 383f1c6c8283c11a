//! Timelines: a hash chain over the ids of all entries about one subject (docs/spec/state.md, timelines).

use crate::digest::{EntryId, Hash, sha256};

/// First byte of what a step hashes, so that it is no node of any tree.
const TAG: u8 = 0x12;

/// The head of a timeline after one more entry: SHA-256(0x12, head before, entry id). Before the first entry the head is
/// 32 zero bytes; records write that as empty.
pub fn timeline_step(head: &[u8], entry: &EntryId) -> Hash {
    let first = [0; 32];
    let head = if head.is_empty() { &first } else { head };
    sha256(&[&[TAG], head, entry.as_bytes()])
}
