//! The plain values that a source is turned into.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::code::Code;
use crate::options::Format;

/// What a source yields, in the order of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A record of the catalogue.
    Record(Box<CatalogueRecord>),
    /// A dated entry of the catalogue's own history.
    Claim(Box<HistoryClaim>),
    /// Something that could not be carried.
    Skipped(Skipped),
}

/// A civil date as YYYYMMDD, for example 20260930; 0: not stated.
pub type CivilDate = u32;

/// One record of a catalogue. Texts are as the source writes them, byte for byte; what it does not state is none or 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueRecord {
    /// Identifier in the catalogue, stable between its versions.
    pub record_id: String,
    /// Identifier that is safe in file names and addresses; see [`crate::local_name`].
    pub local_name: String,
    /// Where the record stands in the source.
    pub locator: Locator,
    /// Identifier of the collection (series, register) that the record belongs to.
    pub collection: Option<String>,
    /// Title in the source's main language.
    pub title: Option<String>,
    /// Language of `title` as a BCP 47 tag, where the source states it.
    pub title_language: Option<String>,
    /// Title that the source marks as Chinese.
    pub title_zh: Option<String>,
    /// Title that the source marks as English.
    pub title_en: Option<String>,
    /// Description.
    pub summary: Option<String>,
    /// Organisation that publishes the data.
    pub publisher: Option<String>,
    /// Licence; none: the source states none.
    pub licence: Option<Licence>,
    /// Address of the data's origin or page.
    pub source_url: Option<String>,
    /// Day of issue.
    pub issued: CivilDate,
    /// Day of last change.
    pub modified: CivilDate,
    /// First day that the data covers.
    pub time_from: CivilDate,
    /// Last day that the data covers.
    pub time_to: CivilDate,
    /// Media type, for example `text/csv`.
    pub media_type: Option<String>,
    /// Size: of the file if it is at hand, else as declared.
    pub bytes: Option<u64>,
    /// Number of rows or observations.
    pub rows: Option<u64>,
    /// SHA-256 of the file, if it is at hand.
    pub sha256: Option<[u8; 32]>,
    /// Hash that the catalogue declares.
    pub declared_hash: Option<DeclaredHash>,
    /// The file, if it is at hand.
    pub local_file: Option<PathBuf>,
    /// Files that the record describes, of CKAN and DCAT. If there is exactly one, its facts are those of the record as
    /// well; with several the record has none of its own.
    pub distributions: Vec<Distribution>,
    /// SHA-256 of the source record; see the crate's documentation. Equal digests mean an unchanged record.
    pub record_digest: [u8; 32],
    /// What about the record is worth a look.
    pub findings: Vec<Finding>,
}

impl CatalogueRecord {
    /// The title to show: English, else Chinese, else the main one, else the identifier.
    pub fn display_name(&self) -> &str {
        [&self.title_en, &self.title_zh, &self.title]
            .into_iter()
            .flatten()
            .next()
            .map_or(self.record_id.as_str(), String::as_str)
    }
}

/// A licence as a catalogue states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// Its title, else its name, else its address; several are joined by "; ".
    pub stated: String,
    /// Its address.
    pub url: Option<String>,
    /// SPDX identifier, if the statement is one of a single licence that has one.
    pub spdx: Option<&'static str>,
}

impl Licence {
    /// The SPDX identifier where there is one, else what is stated.
    pub fn label(&self) -> &str {
        self.spdx.unwrap_or(&self.stated)
    }
}

/// How a declared hash relates to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashForm {
    /// It is the hash of the file.
    OfFile,
    /// It is the hash of `"blob <length>\0"` and the file.
    OfGitBlob,
    /// The bytes are not at hand, or the hash cannot be read.
    Unchecked,
    /// The bytes are at hand, and it is neither.
    Mismatch,
}

/// A hash that a catalogue declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredHash {
    /// As the catalogue writes it.
    pub text: String,
    /// How it relates to the bytes.
    pub form: HashForm,
}

/// One file of a record that may have several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Its identifier.
    pub id: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// Media type.
    pub media_type: Option<String>,
    /// Declared size.
    pub bytes: Option<u64>,
    /// Declared hash.
    pub declared_hash: Option<DeclaredHash>,
}

/// A series that records belong to and that history speaks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Title in the source's main language.
    pub title: Option<String>,
    /// Language of `title`.
    pub title_language: Option<String>,
    /// Title in English.
    pub title_en: Option<String>,
    /// Address of its page.
    pub source_url: Option<String>,
}

/// What a claim is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A record, by `record_id`.
    Record(String),
    /// A collection, by identifier.
    Collection(String),
}

/// The source's words, and their translation where the source has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    /// The words.
    pub text: String,
    /// Their language, where the source states it.
    pub language: Option<String>,
    /// The translation into English that comes with the source.
    pub english: Option<String>,
}

/// A dated entry of a catalogue's own history: what somebody says happened, nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryClaim {
    /// What it is about.
    pub about: About,
    /// The kind of event, in the source's words.
    pub category: Wording,
    /// What happened, in the source's words; the category's words if it says no more.
    pub what: Wording,
    /// When.
    pub when: CivilDate,
    /// Who says so.
    pub according_to: String,
    /// Where the entry stands in the source.
    pub locator: Locator,
    /// SHA-256 of the source record.
    pub digest: [u8; 32],
}

/// Something that could not be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it stands in the source.
    pub locator: Locator,
    /// Why, as a stable code.
    pub code: Code,
    /// What was expected, what was found, what to do.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.locator, self.reason)
    }
}

/// Something worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind, as a stable code.
    pub code: Code,
    /// What was expected and what was found.
    pub text: String,
}

/// A place in a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locator {
    /// Name of the file, without directories.
    pub file: String,
    /// The place in it.
    pub place: Place,
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    #[default]
    Whole,
    /// A row of a table, as spreadsheets count: the header is row 1. Rows that hold line breaks make the line differ.
    Row {
        /// Number of the row.
        row: u64,
        /// Line of text in which the row starts, from 1.
        line: u64,
    },
    /// A JSON pointer (RFC 6901).
    Pointer(String),
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Whole => f.write_str(&self.file),
            Place::Row { row, line } if row == line => write!(f, "{} row {row}", self.file),
            Place::Row { row, line } => write!(f, "{} row {row} (line {line})", self.file),
            Place::Pointer(pointer) => write!(f, "{}#{pointer}", self.file),
        }
    }
}

/// Counts of what a source has yielded so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The format it was read as.
    pub format: Format,
    /// The catalogue's name.
    pub catalogue: String,
    /// True once everything was read without an error.
    pub complete: bool,
    /// Records.
    pub records: u64,
    /// Claims.
    pub claims: u64,
    /// Collections that the source describes.
    pub collections: u64,
    /// Skipped, by code.
    pub skipped: BTreeMap<Code, u64>,
    /// Findings, by code; those about the source as a whole included.
    pub findings: BTreeMap<Code, u64>,
}
