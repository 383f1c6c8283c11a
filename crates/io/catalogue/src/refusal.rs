//! Why one record is left out, before it is known where it stands.

use crate::code::Code;
use crate::record::{Item, Locator, Skipped};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) const fn new(code: Code, reason: String) -> Self {
        Self { code, reason }
    }

    pub(crate) fn too_large(limit: u64) -> Self {
        Self::new(
            Code::RecordTooLarge,
            format!("expected a record of at most {limit} bytes, found a larger one; shorten it"),
        )
    }

    pub(crate) fn shape(expected: &str, found: &str) -> Self {
        Self::new(
            Code::RecordShape,
            format!("expected {expected}, found {found}; correct the record"),
        )
    }

    pub(crate) fn no_identifier(expected: &str) -> Self {
        Self::new(
            Code::NoIdentifier,
            format!("expected {expected}, found none; have the catalogue identify the record"),
        )
    }

    pub(crate) fn at(self, locator: Locator) -> Item {
        Item::Skipped(Skipped { locator, code: self.code, reason: self.reason })
    }
}
