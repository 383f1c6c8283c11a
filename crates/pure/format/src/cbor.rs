//! Deterministic CBOR (RFC 8949 section 4.2.1) on top of `minicbor`.
//!
//! minicbor writes only shortest heads and definite lengths, but reads more than that. So every decoder here reads, writes
//! again what it understood, and compares: what is not the one encoding of its content is refused.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::convert::Infallible;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder, decode, encode};

use crate::malformed::{Kind, Malformed};

/// An encoder into a growing buffer.
pub(crate) type Writer<'a> = Encoder<&'a mut Vec<u8>>;

/// The result of one write.
pub(crate) type Written = Result<(), encode::Error<Infallible>>;

/// Runs `write` on an empty buffer.
pub(crate) fn write(write: impl FnOnce(&mut Writer<'_>) -> Written) -> Vec<u8> {
    write_in(0, write)
}

/// The same in a buffer with room for so many bytes: one that grows takes memory again and again.
#[expect(
    clippy::expect_used,
    reason = "writing to a Vec has no error case: its error type is Infallible"
)]
pub(crate) fn write_in(room: usize, write: impl FnOnce(&mut Writer<'_>) -> Written) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(room);
    write(&mut Encoder::new(&mut buffer)).expect("a Vec accepts every write");
    buffer
}

/// A decoder that reports errors as [`Malformed`] in the part named `at`.
pub(crate) struct Reader<'b> {
    decoder: Decoder<'b>,
    at: &'static str,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(at: &'static str, bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), at }
    }

    fn wrap<T>(&self, result: Result<T, decode::Error>) -> Result<T, Malformed> {
        result.map_err(|error| {
            let kind = if error.is_end_of_input() { Kind::Truncated } else { Kind::Cbor };
            Malformed::new(kind, self.at, error.to_string())
        })
    }

    /// The length of an array or map, which must be stated.
    fn definite(&self, found: Result<Option<u64>, decode::Error>) -> Result<u64, Malformed> {
        self.wrap(found)?.ok_or_else(|| self.indefinite())
    }

    fn indefinite(&self) -> Malformed {
        Malformed::new(Kind::NotCanonical, self.at, "an indefinite length")
    }

    /// An array of exactly `want` items.
    pub(crate) fn array(&mut self, want: u64) -> Result<(), Malformed> {
        let found = self.decoder.array();
        let found = self.definite(found)?;
        if found == want {
            return Ok(());
        }
        let detail = alloc::format!("expected an array of {want}, found {found}");
        Err(Malformed::new(Kind::Cbor, self.at, detail))
    }

    /// An array of at most `most` items.
    pub(crate) fn array_up_to(&mut self, most: usize) -> Result<usize, Malformed> {
        let found = self.decoder.array();
        let found = self.definite(found)?;
        match usize::try_from(found) {
            Ok(count) if count <= most => Ok(count),
            Ok(_) | Err(_) => {
                let detail = alloc::format!("expected an array of at most {most}, found {found}");
                Err(Malformed::new(Kind::TooLarge, self.at, detail))
            }
        }
    }

    /// A map; the number of pairs.
    pub(crate) fn map(&mut self) -> Result<u64, Malformed> {
        let found = self.decoder.map();
        self.definite(found)
    }

    /// The next map key, which must be `want`.
    pub(crate) fn key(&mut self, want: i64) -> Result<(), Malformed> {
        let found = self.decoder.i64();
        let found = self.wrap(found)?;
        if found == want {
            return Ok(());
        }
        let detail = alloc::format!("expected label {want}, found {found}");
        Err(Malformed::new(Kind::Cbor, self.at, detail))
    }

    pub(crate) fn tag(&mut self, want: u64) -> Result<(), Malformed> {
        let found = self.decoder.tag();
        let found = self.wrap(found)?.as_u64();
        if found == want {
            return Ok(());
        }
        let detail = alloc::format!("expected tag {want}, found {found}");
        Err(Malformed::new(Kind::Cbor, self.at, detail))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], Malformed> {
        self.refuse(Type::BytesIndef)?;
        let found = self.decoder.bytes();
        self.wrap(found)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let found = self.bytes()?;
        <[u8; N]>::try_from(found).map_err(|_wrong_length| {
            let detail = alloc::format!("expected {N} bytes, found {}", found.len());
            Malformed::new(Kind::Value, self.at, detail)
        })
    }

    /// Refuses a string in chunks, which the decoder takes for another type.
    fn refuse(&self, in_chunks: Type) -> Result<(), Malformed> {
        let indefinite = self.decoder.datatype().is_ok_and(|found| found == in_chunks);
        if indefinite { Err(self.indefinite()) } else { Ok(()) }
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, Malformed> {
        self.refuse(Type::StringIndef)?;
        let found = self.decoder.str();
        self.wrap(found)
    }

    pub(crate) fn uint(&mut self) -> Result<u64, Malformed> {
        let found = self.decoder.u64();
        self.wrap(found)
    }

    pub(crate) fn int(&mut self) -> Result<i64, Malformed> {
        let found = self.decoder.i64();
        self.wrap(found)
    }

    pub(crate) fn null(&mut self) -> Result<(), Malformed> {
        let found = self.decoder.null();
        self.wrap(found)
    }

    /// Checks that nothing is left and that `again`, the re-encoding of what was read, equals `bytes`.
    pub(crate) fn finish(self, bytes: &[u8], again: &[u8]) -> Result<(), Malformed> {
        if self.decoder.position() != bytes.len() {
            return Err(Malformed::new(Kind::Trailing, self.at, "bytes follow the structure"));
        }
        same(self.at, bytes, again)
    }
}

/// Checks that bytes are the canonical encoding of what was read from them.
pub(crate) fn same(at: &'static str, bytes: &[u8], again: &[u8]) -> Result<(), Malformed> {
    if bytes == again {
        return Ok(());
    }
    let offset = bytes.iter().zip(again).take_while(|(a, b)| a == b).count();
    let detail = alloc::format!("differs from the canonical encoding at byte {offset}");
    Err(Malformed::new(Kind::NotCanonical, at, detail))
}
