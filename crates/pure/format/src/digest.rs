//! SHA-256 and the kinds of hash that the ledger tells apart by type.

use alloc::string::String;
use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::malformed::{Kind, Malformed};

/// A SHA-256 value, or any 32 bytes that stand for one.
pub type Hash = [u8; 32];

/// SHA-256 over the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Lower-case hex of any bytes.
pub fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// The same of a hash, in a buffer of the caller's.
pub(crate) fn hex_in<'b>(hash: &Hash, buffer: &'b mut [u8; 64]) -> &'b str {
    // The buffer has the length that it takes.
    base16ct::lower::encode_str(hash, buffer).unwrap_or_default()
}

/// Reads exactly 32 bytes from lower-case hex.
///
/// # Errors
/// [`Kind::Value`] when the text is not 64 lower-case hex digits.
pub fn hash_from_hex(at: &'static str, text: &str) -> Result<Hash, Malformed> {
    let mut hash = [0; 32];
    match base16ct::lower::decode(text, &mut hash) {
        Ok(bytes) if bytes.len() == 32 => Ok(hash),
        Ok(_) | Err(_) => Err(Malformed::new(
            Kind::Value,
            at,
            alloc::format!("expected 64 lower-case hex digits, found {text:?}"),
        )),
    }
}

/// Reads 32 bytes from a slice, as protobuf fields carry them.
///
/// # Errors
/// [`Kind::Value`] when the slice has another length.
pub fn hash_from_slice(at: &'static str, bytes: &[u8]) -> Result<Hash, Malformed> {
    Hash::try_from(bytes).map_err(|_wrong_length| {
        Malformed::new(Kind::Value, at, alloc::format!("expected 32 bytes, found {}", bytes.len()))
    })
}

macro_rules! hash_type {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub Hash);

        impl $name {
            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &Hash {
                &self.0
            }

            /// Reads 64 lower-case hex digits.
            ///
            /// # Errors
            /// [`Kind::Value`] for anything else.
            pub fn from_hex(text: &str) -> Result<Self, Malformed> {
                hash_from_hex(stringify!($name), text).map(Self)
            }

            /// Reads 32 bytes.
            ///
            /// # Errors
            /// [`Kind::Value`] for another length.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
                hash_from_slice(stringify!($name), bytes).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(hex_in(&self.0, &mut [0; 64]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }
    )*};
}

hash_type! {
    /// The hash of the genesis document: what an auditor trusts, and the `aud` of every entry.
    LedgerId;
    /// The Merkle leaf hash of an entry, its one id everywhere.
    EntryId;
    /// SHA-256 of a header's leaf bytes.
    BlockHash;
    /// SHA-256 of an Ed25519 public key (`kid`). A validator is named by the kid of its vote key.
    KeyId;
}

impl KeyId {
    /// The id of a public key.
    pub fn of(public_key: &[u8; 32]) -> Self {
        Self(sha256(&[public_key]))
    }
}
