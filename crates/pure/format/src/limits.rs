//! Every bound of the formats, in one place. Decoders check them before they allocate.

use crate::header::HEADER_BYTES;

/// Longest entry in bytes, so that its length fits the `uint16` of a C2SP entry bundle.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// Most signers of one entry, the issuer included.
pub const MAX_SIGNERS: usize = 16;

/// Most founders of a ledger: they sign one entry together.
pub const MAX_FOUNDERS: usize = MAX_SIGNERS;

/// Most validators of one height.
pub const MAX_VALIDATORS: usize = 256;

/// Greatest voting power of one validator; with [`MAX_VALIDATORS`] of them, three times the total fits a `u64` easily.
pub const MAX_POWER: u32 = 1_000_000;

/// Longest party id in bytes.
pub const MAX_PARTY_BYTES: usize = 64;

/// Longest subject id (`kind:name`) in bytes.
pub const MAX_SUBJECT_BYTES: usize = 192;

/// Longest checkpoint origin and note key name in bytes (C2SP limits names to 255).
pub const MAX_NAME_BYTES: usize = 255;

/// Most entries of one block, whatever genesis says.
pub const MAX_BLOCK_ENTRIES: usize = 65_536;

/// Most bytes of one block body, whatever genesis says.
pub const MAX_BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// Longest genesis document in bytes: with signatures it must fit an entry.
pub const MAX_GENESIS_BYTES: usize = 48 * 1024;

/// Longest proof path of the log tree: a tree of at most 2^63 leaves.
pub const MAX_LOG_PATH: usize = 63;

/// Longest proof path of the state trie: one step a key bit.
pub const MAX_STATE_PATH: usize = 256;

/// Longest signed note in bytes.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;

/// Most signature lines of a note.
pub const MAX_NOTE_SIGNATURES: usize = 300;

/// Longest receipt in bytes: a full path and its COSE wrapping.
pub const MAX_RECEIPT_BYTES: usize = 4 * 1024;

/// Longest proof file in bytes.
pub const MAX_PROOF_BYTES: usize = 1024 * 1024;

/// Longest evidence in bytes: two certificates of [`MAX_VALIDATORS`], and little enough to fit an entry.
pub const MAX_EVIDENCE_BYTES: usize = 56 * 1024;

/// Most bytes of the changes of the validators in an evidence file: over 10,000 changes of four validators, 200 of the largest sets.
pub const MAX_CHANGES_BYTES: usize = 16 * 1024 * 1024;

/// Most changes of the validators in an evidence file: more than fit into [`MAX_CHANGES_BYTES`] with a header each.
pub const MAX_CHANGES: usize = 65_536;

const _: () = {
    assert!(MAX_CHANGES > MAX_CHANGES_BYTES / HEADER_BYTES);
    assert!(MAX_EVIDENCE_BYTES < MAX_ENTRY_BYTES);
    assert!(MAX_EVIDENCE_BYTES > 2 * (65 + 96 * MAX_VALIDATORS) + 64);
    assert!(MAX_GENESIS_BYTES < MAX_ENTRY_BYTES);
    assert!(MAX_ENTRY_BYTES == 0xffff);
    assert!(MAX_NOTE_SIGNATURES > MAX_VALIDATORS);
};
