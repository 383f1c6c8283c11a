//! Reading single fields, and noting what was wrong with them.

use std::path::Path;

use crate::code::Code;
use crate::content::{self, Declared, Place};
use crate::date::{self, Stated};
use crate::document::excerpt;
use crate::json::{Json, Object};
use crate::options::Options;
use crate::record::{CatalogueRecord, CivilDate, DeclaredHash, Finding, HashForm};

/// Findings about one record, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Notes(pub(crate) Vec<Finding>);

/// Which day of a month or year is meant when only that is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// None: a day must be stated.
    Exact,
    /// The first.
    First,
    /// The last.
    Last,
}

/// Text that says something, unchanged.
pub(crate) fn present(text: &str) -> Option<&str> {
    (!text.trim().is_empty()).then_some(text)
}

impl Notes {
    pub(crate) fn note(&mut self, code: Code, text: String) {
        self.0.push(Finding { code, text });
    }

    fn unreadable(&mut self, field: &str, expected: &str, found: &str) {
        let text = format!("{field}: expected {expected}, found {}", excerpt(found));
        self.note(Code::FieldUnreadable, text);
    }

    /// A text member of an object.
    pub(crate) fn text(&mut self, object: &Object, field: &str) -> Option<String> {
        match object.get(field)? {
            Json::Null => None,
            Json::Text(text) => present(text).map(str::to_owned),
            other => {
                self.unreadable(field, "a string", other.kind());
                None
            }
        }
    }

    /// A whole number, also one that is written as a string.
    pub(crate) fn count(&mut self, field: &str, value: &Json) -> Option<u64> {
        match value {
            Json::Null => None,
            Json::Unsigned(count) => Some(*count),
            Json::Text(text) => self.count_text(field, text),
            other => {
                self.unreadable(field, "a whole number", other.kind());
                None
            }
        }
    }

    pub(crate) fn count_text(&mut self, field: &str, text: &str) -> Option<u64> {
        let digits = present(text)?.trim();
        let count =
            if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None };
        if count.is_none() {
            self.unreadable(field, "a whole number of digits", text);
        }
        count
    }

    pub(crate) fn day(&mut self, field: &str, text: &str, edge: Edge) -> CivilDate {
        match (date::year_first(text), edge) {
            (Stated::Nothing, _) => 0,
            (Stated::Day(day), _)
            | (Stated::Period(day, _), Edge::First)
            | (Stated::Period(_, day), Edge::Last) => day,
            (Stated::Unreadable, _) | (Stated::Period(..), Edge::Exact) => {
                self.bad_date(field, text);
                0
            }
        }
    }

    pub(crate) fn bad_date(&mut self, field: &str, text: &str) {
        let text = format!("{field}: expected a day as YYYY-MM-DD, found {}", excerpt(text));
        self.note(Code::DateUnreadable, text);
    }

    /// An address of the web. Others (`mailto:`, paths) are noted and left out.
    pub(crate) fn address(&mut self, field: &str, text: &str) -> Option<String> {
        let text = present(text)?;
        if is_address(text) {
            return Some(text.to_owned());
        }
        // What is found is not repeated: it may be somebody's e-mail address.
        self.unreadable(field, "an address with http:// or https://", "another text");
        None
    }

    /// A declared hash; `algorithm` where the catalogue names it beside the value.
    pub(crate) fn hash(
        &mut self,
        text: &str,
        algorithm: Option<&str>,
    ) -> Option<(DeclaredHash, Option<Declared>)> {
        let text = present(text)?;
        let declared = Declared::parse(text, algorithm);
        if declared.is_none() {
            let found = excerpt(text);
            self.note(
                Code::HashUnreadable,
                format!("expected a hash such as sha256: and 64 hexadecimal digits, found {found}"),
            );
        }
        Some((DeclaredHash { text: text.to_owned(), form: HashForm::Unchecked }, declared))
    }

    /// Adds what the data file at hand says: size, SHA-256, and whether the declared hash and size are its own.
    pub(crate) fn attach_file(
        &mut self,
        record: &mut CatalogueRecord,
        declared: Option<&Declared>,
        base: &Path,
        path: &str,
        options: &Options,
    ) {
        let file = match content::locate(base, path) {
            Place::File(file) => file,
            Place::Absent => return,
            Place::Unsafe(why) => return self.note(Code::UnsafePath, why),
        };
        record.local_file = Some(file.clone());
        if !options.hash_files {
            return;
        }
        let found = match content::digest_file(&file, declared, options.limits.content_bytes) {
            Ok(found) => found,
            Err(error) => {
                let text = format!("expected to read {path:?} in full: {error}");
                return self.note(Code::FileUnusable, text);
            }
        };
        if let Some(size) = record.bytes.filter(|size| *size != found.bytes) {
            let text = format!("expected {size} bytes as declared, found {}", found.bytes);
            self.note(Code::BytesMismatch, text);
        }
        record.bytes = Some(found.bytes);
        record.sha256 = Some(found.sha256);
        if let Some(hash) = &mut record.declared_hash {
            hash.form = found.form;
            if hash.form == HashForm::Mismatch {
                let text =
                    format!("expected {} of the file or of its git blob, found neither", hash.text);
                self.note(Code::HashMismatch, text);
            }
        }
    }
}

pub(crate) fn is_address(text: &str) -> bool {
    let scheme = text.trim_start().get(..8).unwrap_or(text).to_ascii_lowercase();
    scheme.starts_with("http://") || scheme.starts_with("https://")
}
