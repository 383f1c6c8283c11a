//! Salted commitments to values of low entropy, such as prices (docs/spec/commitment.md).
//!
//! A bare hash of a price can be guessed; with 32 random bytes that stay off the ledger it cannot, and destroying the salt
//! makes the commitment unopenable for good.

use alloc::string::String;

use crate::digest::{Hash, sha256};

const MARK: &[u8] = b"ledger/commitment/v1\0";

/// What opens a commitment. Kept off the ledger by whoever committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// 32 random bytes, fresh for each field of each entry.
    pub salt: [u8; 32],
    /// Which field of which act, for example `contract_signed.price`.
    pub path: String,
    /// The value as text, for example `1200.00 CNY`.
    pub value: String,
}

impl Opening {
    /// SHA-256 of a domain tag, salt, length of the path (4 bytes), path, and value.
    pub fn commitment(&self) -> Hash {
        let length = u32::try_from(self.path.len()).unwrap_or(u32::MAX).to_be_bytes();
        sha256(&[MARK, &self.salt, &length, self.path.as_bytes(), self.value.as_bytes()])
    }
}
