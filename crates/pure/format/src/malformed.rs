//! The error of every decoder, and the stable codes it carries.

use alloc::string::String;
use core::fmt;

/// A stable code with the text that `ledger-cli explain` prints. Each crate that can refuse something exports a table of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The code itself, upper case with underscores; never reused for another meaning.
    pub code: &'static str,
    /// What it means, one sentence.
    pub text: &'static str,
    /// The rule behind it: an RFC section, an article, a section of `docs/spec`.
    pub source: &'static str,
    /// What to do next.
    pub help: &'static str,
}

/// Bytes of a [`bounded`] text at most, before the `...` of one that was cut.
pub const MAX_DETAIL_BYTES: usize = 512;

/// A text about what somebody sent, which may hold it whole: for every error that is kept, logged or told to others. It has a bound, or
/// whoever is refused decides how much a node remembers and writes; and no control characters, with which it could write other lines.
pub fn bounded(text: impl Into<String>) -> String {
    let text = text.into();
    if text.len() <= MAX_DETAIL_BYTES && !text.contains(char::is_control) {
        return text;
    }
    // Another one: cut off, the same would keep its memory.
    let mut told = String::new();
    for letter in text.chars() {
        let letter = if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
        if told.len().saturating_add(letter.len_utf8()) > MAX_DETAIL_BYTES {
            told.push_str("...");
            break;
        }
        told.push(letter);
    }
    told
}

/// Why bytes are not in the format they claim. Says nothing about whether their content is true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} in {at}: {detail}")]
pub struct Malformed {
    /// Which rule was broken.
    pub kind: Kind,
    /// Which part of which structure.
    pub at: &'static str,
    /// Expected and found.
    pub detail: String,
}

impl Malformed {
    /// An error of `kind` in the part named `at`.
    pub fn new(kind: Kind, at: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, at, detail: bounded(detail) }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal, $source:literal, $help:literal;)*) => {
        /// The kinds of malformed bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }

        /// Every code of this crate.
        pub const CODES: &[Explanation] = &[
            $(Explanation { code: $code, text: $text, source: $source, help: $help },)*
        ];
    };
}

kinds! {
    /// Longer than its limit.
    TooLarge = "FMT_TOO_LARGE",
        "The bytes, or a part of them, are longer than the format allows.", "docs/spec/limits.md",
        "Keep documents off the ledger and put their digest on it.";
    /// Ends before it is complete.
    Truncated = "FMT_TRUNCATED",
        "The bytes end before the structure does.", "docs/spec/README.md",
        "Fetch or export the file again; a partial download is the usual cause.";
    /// Bytes follow the end.
    Trailing = "FMT_TRAILING",
        "Bytes follow the end of the structure.", "docs/spec/README.md",
        "Remove what was appended, or fetch the file again.";
    /// Not CBOR of the expected shape.
    Cbor = "FMT_CBOR",
        "The bytes are not CBOR of the expected shape.", "RFC 8949; docs/spec/entry.md",
        "Build entries with ledger-cli or from docs/spec/entry.md.";
    /// Not protobuf of the expected message.
    Protobuf = "FMT_PROTOBUF",
        "The bytes are not a protobuf message of the expected type.", "docs/spec/event.md",
        "Build events from proto/ledger/v1.";
    /// Readable, but not the one canonical encoding of its content.
    NotCanonical = "FMT_NOT_CANONICAL",
        "The bytes are readable but are not the one canonical encoding of their content.",
        "RFC 8949 section 4.2.1; docs/spec/event.md",
        "Encode deterministically: shortest integers, sorted map keys, no defaults, no unknown fields.";
    /// An enum value that this version does not know.
    UnknownValue = "FMT_UNKNOWN_VALUE",
        "A field holds a value that this version does not know.", "docs/spec/event.md",
        "Use a value of proto/ledger/v1, or a node whose version knows it.";
    /// A field has a value that the format forbids.
    Value = "FMT_VALUE",
        "A field has a value that the format does not allow.", "docs/spec/README.md",
        "See the message: it names the field, what was expected and what was found.";
    /// An id breaks its grammar.
    Identifier = "FMT_IDENTIFIER",
        "An id does not follow its grammar.", "docs/spec/identifiers.md",
        "Party ids are lower-case letters, digits, dots and hyphens; subject ids are kind:name.";
    /// The first bytes are not those of the format.
    Magic = "FMT_MAGIC",
        "The file does not begin with the mark of its format.", "docs/spec/README.md",
        "Check that the file is what you think it is: ledger-cli names the formats it reads.";
    /// A checksum does not match. Says that bytes changed, not what is true.
    Checksum = "FMT_CHECKSUM",
        "A frame's checksum does not match its bytes.", "docs/spec/chain-file.md",
        "The file was damaged in storage or transit; export or copy it again.";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_letters_and_keeps_no_memory() {
        assert_eq!(bounded("found 3"), "found 3");
        let whole = "x".repeat(MAX_DETAIL_BYTES);
        assert_eq!(bounded(whole.as_str()), whole);
        assert_eq!(bounded(whole.clone() + "y"), whole + "...");
        for letter in ["x", "é", "数", "🦀"] {
            let told = bounded(letter.repeat(60_000));
            let (kept, end) = told.split_at(told.len() - 3);
            assert!(kept.len() > MAX_DETAIL_BYTES - 4 && kept.len() <= MAX_DETAIL_BYTES);
            assert_eq!(kept, letter.repeat(kept.len() / letter.len()));
            assert_eq!(end, "...");
            assert!(told.capacity() < 4 * MAX_DETAIL_BYTES);
        }
    }

    #[test]
    fn a_text_is_one_line() {
        assert_eq!(bounded("a\nINFO\u{1b}[2J\u{85}b"), "a\u{fffd}INFO\u{fffd}[2J\u{fffd}b");
        let told = bounded("\u{1}".repeat(60_000));
        assert!(told.len() <= MAX_DETAIL_BYTES + 3, "{}", told.len());
    }

    #[test]
    fn an_error_repeats_no_more_than_that_of_what_it_is_about() {
        let malformed = Malformed::new(Kind::Value, "text", "x".repeat(60_000));
        assert_eq!(malformed.detail.len(), MAX_DETAIL_BYTES + 3);
    }
}
