//! Canonical protobuf: one encoding for each message (docs/spec/event.md).
//!
//! Ascending field numbers, minimal varints, packed repeated scalars, no explicit defaults, no unknown fields, no unknown enum
//! values. Checked by decoding, encoding again and comparing; prost always writes that form.

use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::Closed;
use prost::Message;

use crate::cbor::same;
use crate::malformed::{Kind, Malformed};

/// Reads a message and refuses every encoding but the canonical one.
///
/// Byte fields of the result share memory with `bytes`.
///
/// # Errors
/// [`Kind::Protobuf`], [`Kind::UnknownValue`] or [`Kind::NotCanonical`].
pub fn decode<M: Message + Default + Closed>(
    at: &'static str,
    bytes: &Bytes,
) -> Result<M, Malformed> {
    let message = M::decode(bytes.clone())
        .map_err(|error| Malformed::new(Kind::Protobuf, at, error.to_string()))?;
    if !message.is_closed() {
        return Err(Malformed::new(Kind::UnknownValue, at, "an enum field holds an unknown value"));
    }
    same(at, bytes, &encode(&message))?;
    Ok(message)
}

/// The canonical encoding of a message.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    message.encode_to_vec()
}
