//! Names of parties and subjects (docs/spec/identifiers.md).

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::digest::{Hash, sha256};
use crate::limits::{MAX_PARTY_BYTES, MAX_SUBJECT_BYTES};
use crate::malformed::{Kind, Malformed};

/// Checks the grammar of a party id: 1 to 64 lower-case letters, digits, dots and hyphens, a letter or digit at both ends.
///
/// # Errors
/// [`Kind::Identifier`] with what was found.
pub fn check_party(at: &'static str, id: &str) -> Result<(), Malformed> {
    let bytes = id.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let inner = bytes.iter().all(|b| plain(b) || matches!(b, b'.' | b'-'));
    let ends = bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain);
    if inner && ends && bytes.len() <= MAX_PARTY_BYTES {
        return Ok(());
    }
    let id = shown(id, MAX_PARTY_BYTES);
    Err(Malformed::new(Kind::Identifier, at, format!("{id} is not a party id")))
}

/// An id as an error names it. Of one that is longer than any the beginning will do.
fn shown(id: &str, most: usize) -> String {
    if id.len() <= most {
        return format!("{id:?}");
    }
    let (start, _) = id.split_at(id.floor_char_boundary(most));
    format!("{start:?}... of {} bytes", id.len())
}

macro_rules! subject_kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, owned: $owned:literal;)*) => {
        /// What a subject is, the part of its id before the colon.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum SubjectKind { $($(#[$doc])* $name,)* }

        impl SubjectKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word before the colon.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Whether names of this kind start with the id of the party that opened the subject, so that nobody can
            /// take a name before its owner does.
            pub const fn is_owned(self) -> bool {
                match self { $(Self::$name => $owned,)* }
            }
        }
    };
}

subject_kinds! {
    /// The ledger itself: `ledger:genesis`.
    Ledger = "ledger", owned: false;
    /// A rule set: `ruleset:ID/VERSION`.
    RuleSet = "ruleset", owned: false;
    /// A year of working days: `calendar:ID/YEAR`.
    Calendar = "calendar", owned: false;
    /// A set of validators: `validators:current`.
    Validators = "validators", owned: false;
    /// What evidence proves of validators: `misconduct:EVIDENCE`.
    Misconduct = "misconduct", owned: false;
    /// A party: `party:ID`.
    Party = "party", owned: false;
    /// A public key: `key:KID`.
    Key = "key", owned: false;
    /// An asset: `asset:SUPPLIER/NAME`.
    Asset = "asset", owned: true;
    /// A registration of rights: `registration:APPLICANT/NAME`.
    Registration = "registration", owned: true;
    /// A certificate: `certificate:NUMBER`.
    Certificate = "certificate", owned: false;
    /// A compliance review: `review:SUPPLIER/NAME`.
    Review = "review", owned: true;
    /// A listing: `listing:SELLER/NAME`.
    Listing = "listing", owned: true;
    /// A contract: `contract:SELLER/NAME`.
    Contract = "contract", owned: true;
    /// A delivery: `delivery:SELLER/NAME`.
    Delivery = "delivery", owned: true;
    /// A timeline across subjects: `activity:party/ID`, `activity:kind/NAME`.
    Activity = "activity", owned: false;
}

/// A checked subject id, `kind:name`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// Checks the grammar: a known kind, a colon, and a name of letters, digits and `. _ ~ - /` without empty parts;
    /// at most 192 bytes in all. Names of owned kinds start with a party id and a slash.
    ///
    /// # Errors
    /// [`Kind::Identifier`] with what was found.
    pub fn parse(at: &'static str, id: &str) -> Result<Self, Malformed> {
        let wrong = |why: &str| {
            let id = shown(id, MAX_SUBJECT_BYTES);
            Malformed::new(Kind::Identifier, at, format!("{id}: {why}"))
        };
        if id.len() > MAX_SUBJECT_BYTES {
            return Err(wrong("longer than 192 bytes"));
        }
        let (word, name) = id.split_once(':').ok_or_else(|| wrong("no colon after the kind"))?;
        let kind = SubjectKind::ALL.iter().find(|kind| kind.word() == word);
        let kind = kind.ok_or_else(|| wrong("unknown kind of subject"))?;
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-' | b'/');
        if !name.bytes().all(allowed) || name.split('/').any(str::is_empty) {
            return Err(wrong("the name has a character or an empty part that is not allowed"));
        }
        if kind.is_owned() {
            let owner = name.split_once('/').map(|(owner, _)| owner);
            check_party(at, owner.ok_or_else(|| wrong("the name must start with PARTY/"))?)?;
        }
        Ok(Self(id.to_string()))
    }

    /// An id made of a kind and a name, checked.
    ///
    /// # Errors
    /// As [`Subject::parse`].
    pub fn new(kind: SubjectKind, name: &str) -> Result<Self, Malformed> {
        Self::parse("subject", &format!("{}:{name}", kind.word()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind.
    pub fn kind(&self) -> SubjectKind {
        let word = self.0.split_once(':').map_or("", |(word, _)| word);
        SubjectKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.word() == word)
            .unwrap_or(SubjectKind::Ledger)
    }

    /// The part after the colon.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }

    /// The party that opened the subject, for kinds whose names carry it.
    pub fn owner(&self) -> Option<&str> {
        let (owner, _) = self.name().split_once('/')?;
        self.kind().is_owned().then_some(owner)
    }

    /// The key of the subject's record in the state tree.
    pub fn state_key(&self) -> Hash {
        state_key(&self.0)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of a record in the state tree: SHA-256 of its id.
pub fn state_key(id: &str) -> Hash {
    sha256(&[id.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn party_ids() {
        for good in ["a", "gzdex", "statistics-denmark", "noaa.gov", "9lives"] {
            assert_eq!(check_party("t", good), Ok(()), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "-a", "a-", ".a", "A", "a b", "é", "a/b", "a:b", &long] {
            assert!(check_party("t", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subjects() {
        let subject = Subject::parse("t", "asset:gzdex/Weather_2024~1").unwrap();
        assert_eq!(subject.kind(), SubjectKind::Asset);
        assert_eq!(subject.owner(), Some("gzdex"));
        assert_eq!(subject.name(), "gzdex/Weather_2024~1");
        let calendar = Subject::parse("t", "calendar:CN/2026").unwrap();
        assert_eq!(calendar.owner(), None);
        for bad in [
            "",
            "asset",
            "asset:",
            "asset:x",
            "asset:X/y",
            "asset:x/",
            "asset:x//y",
            "thing:x/y",
            "asset:x/ü",
        ] {
            assert!(Subject::parse("t", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_that_is_too_long_is_not_repeated_whole() {
        let error = |id: &str| Subject::parse("t", id).unwrap_err().detail;
        let long = error(&format!("asset:x/{}", "y".repeat(60_000)));
        assert!(long.ends_with("yyy\"... of 60008 bytes: longer than 192 bytes"), "{long}");
        assert!(long.len() < 250, "{long}");
        // Escaped, a letter takes five times the place.
        let strange = error(&"\u{1}".repeat(60_000));
        assert!(strange.len() < 520, "{strange}");
        let party = check_party("t", &"é".repeat(30_000)).unwrap_err().detail;
        assert!(party.ends_with("é\"... of 60000 bytes is not a party id"), "{party}");
        assert!(party.len() < 120, "{party}");
        assert_eq!(error("none"), "\"none\": no colon after the kind");
    }
}
