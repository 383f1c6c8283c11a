//! How a source is to be read.

use std::fmt;

/// A format of catalogues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Frictionless data package, version 1 or 2: `datapackage.json`.
    Frictionless,
    /// A table with a header row.
    Csv,
    /// The JSON answer of a CKAN server.
    Ckan,
    /// A DCAT catalogue in JSON-LD, or in the plain keys of DCAT-US.
    Dcat,
    /// A directory with `dst-fsv.json`: data sets and history of Statistics Denmark's research data.
    DstFsv,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frictionless => "frictionless",
            Self::Csv => "csv",
            Self::Ckan => "ckan",
            Self::Dcat => "dcat",
            Self::DstFsv => "dst-fsv",
        })
    }
}

/// What separates the fields of a CSV table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
}

impl Delimiter {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
        }
    }
}

/// Bounds on what is read, so that no source can exhaust memory or stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one catalogue file, after unpacking.
    pub catalogue_bytes: u64,
    /// Items of one source: records, claims and skips together.
    pub items: u64,
    /// Bytes of one record or row; of what a record of a DCAT graph refers to as many again.
    pub record_bytes: u64,
    /// Bytes of one text in a record.
    pub text_bytes: u64,
    /// Bytes of an identifier.
    pub identifier_bytes: u64,
    /// Levels of nesting in one JSON record; never more than 100.
    pub depth: u32,
    /// Bytes of one data file that is hashed.
    pub content_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            catalogue_bytes: 64 << 20,
            items: 1_000_000,
            record_bytes: 1 << 20,
            text_bytes: 64 << 10,
            identifier_bytes: 1024,
            depth: 64,
            content_bytes: 64 << 30,
        }
    }
}

/// How a source is to be read. The default detects what it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The format; none: detect it.
    pub format: Option<Format>,
    /// The delimiter of a CSV table; none: detect it.
    pub delimiter: Option<Delimiter>,
    /// Name of the catalogue; none: what the source calls itself, else the file's name.
    pub catalogue: Option<String>,
    /// Read and hash data files that are at hand.
    pub hash_files: bool,
    /// Carry summaries. They are free text and may name people, which no reader can tell.
    pub keep_summaries: bool,
    /// Frictionless only: let a resource without licences or sources have those of its package, as the specification
    /// says. Off, because packages often state there the licence of their code.
    pub inherit_from_package: bool,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            catalogue: None,
            hash_files: true,
            keep_summaries: true,
            inherit_from_package: false,
            limits: Limits::default(),
        }
    }
}
