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

/// How many fields a message has, not those of messages within it: no fewer than a decoder takes memory for.
pub(crate) fn field_count(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let fields = core::iter::from_fn(|| {
        rest = after_field(rest)?;
        Some(())
    });
    fields.count()
}

/// What follows the first field; none where no decoder goes on. The marks of a group count as fields, and so does what is between them.
fn after_field(bytes: &[u8]) -> Option<&[u8]> {
    let (key, rest) = varint(bytes)?;
    match key & 7 {
        0 => Some(varint(rest)?.1),
        1 => rest.get(8..),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.get(usize::try_from(length).ok()?..)
        }
        5 => rest.get(4..),
        _ => Some(rest),
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut value, mut rest) = (0, bytes);
    // Ten bytes at most.
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        rest = more;
        if *byte < 0x80 {
            return Some((value, rest));
        }
    }
    None
}

/// The canonical encoding of a message.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    message.encode_to_vec()
}
