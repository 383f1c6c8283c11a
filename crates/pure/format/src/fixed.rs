//! Structures of fixed layout: integers are big-endian, every length is checked before use.

use alloc::format;

use bytes::{Buf as _, Bytes};

use crate::malformed::{Kind, Malformed};

/// Reads a fixed layout from the front of some bytes, without copying.
#[derive(Debug)]
pub struct FixedReader {
    rest: Bytes,
    at: &'static str,
}

impl FixedReader {
    /// A reader of the structure named `at`.
    pub const fn new(at: &'static str, bytes: Bytes) -> Self {
        Self { rest: bytes, at }
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer are left.
    pub fn take(&mut self, count: usize) -> Result<Bytes, Malformed> {
        if count > self.rest.len() {
            let detail = format!("{count} bytes expected, {} left", self.rest.len());
            return Err(Malformed::new(Kind::Truncated, self.at, detail));
        }
        Ok(self.rest.split_to(count))
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        self.take(N)?.copy_to_slice(&mut array);
        Ok(array)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Kind::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes, as a number.
    ///
    /// # Errors
    /// [`Kind::Truncated`] at the end.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes, as a number.
    ///
    /// # Errors
    /// [`Kind::Truncated`] at the end.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes, as a number.
    ///
    /// # Errors
    /// [`Kind::Truncated`] at the end.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Checks the mark that a structure begins with.
    ///
    /// # Errors
    /// [`Kind::Magic`] when other bytes are there.
    pub fn mark(&mut self, mark: &[u8]) -> Result<(), Malformed> {
        match self.take(mark.len()) {
            Ok(found) if found == mark => Ok(()),
            Ok(_) | Err(_) => {
                let want = alloc::string::String::from_utf8_lossy(mark);
                Err(Malformed::new(Kind::Magic, self.at, format!("expected the mark {want:?}")))
            }
        }
    }

    /// A length that must not exceed `most`, read by `next`.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] above `most`.
    pub fn length(&mut self, found: u32, most: usize) -> Result<usize, Malformed> {
        match usize::try_from(found) {
            Ok(length) if length <= most => Ok(length),
            Ok(_) | Err(_) => {
                let detail = format!("a length of {found}, at most {most} allowed");
                Err(Malformed::new(Kind::TooLarge, self.at, detail))
            }
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`Kind::Trailing`] when something is.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let detail = format!("{} bytes follow the end", self.rest.len());
        Err(Malformed::new(Kind::Trailing, self.at, detail))
    }
}
