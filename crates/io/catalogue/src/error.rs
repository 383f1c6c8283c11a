//! Why a source cannot be read, or no further.

use std::io;
use std::path::PathBuf;

use crate::code::Code;
use crate::record::Locator;

/// Why a source cannot be read, or no further. Each message starts with the code of [`SourceError::code`].
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at the path.
    #[error("{}: expected a file or directory at {path:?}, found nothing; check the path", self.code())]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: {file} cannot be read: {source}", self.code())]
    Io {
        /// Name of the file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory without a catalogue.
    #[error(
        "{}: expected datapackage.json or dst-fsv.json in {path:?}, found neither; name the catalogue's file",
        self.code()
    )]
    NoCatalogue {
        /// The directory.
        path: PathBuf,
    },
    /// No format fits.
    #[error("{}: {file} is in no known format: {found}; state the format or convert to CSV", self.code())]
    FormatUnknown {
        /// Name of the file.
        file: String,
        /// What was found instead.
        found: String,
    },
    /// A catalogue file above the limit.
    #[error("{}: {file} is larger than {limit} bytes; split it or raise the limit", self.code())]
    TooLarge {
        /// Name of the file.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// More items than the limit.
    #[error("{}: {file} has more than {limit} items; split it or raise the limit", self.code())]
    TooManyItems {
        /// Name of the file.
        file: String,
        /// The limit.
        limit: u64,
    },
    /// Text in another encoding.
    #[error("{}: {file} is not UTF-8 at byte {offset}; convert it, for example with iconv", self.code())]
    NotUtf8 {
        /// Name of the file.
        file: String,
        /// Where the first wrong byte is.
        offset: u64,
    },
    /// Malformed JSON.
    #[error("{}: {file} line {line} column {column}: {message}; fetch the file again", self.code())]
    JsonSyntax {
        /// Name of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0: at the end of a line.
        column: usize,
        /// What the parser said.
        message: String,
    },
    /// Well-formed JSON of another shape.
    #[error("{}: {locator}: expected {expected}, found {found}", self.code())]
    JsonShape {
        /// Where.
        locator: Locator,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A header row that cannot be used.
    #[error("{}: {file}: {reason}", self.code())]
    CsvHeader {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A quoted field without end.
    #[error(
        "{}: {file}: the quoted field that starts in line {line} has no end; close it or fetch the file again",
        self.code()
    )]
    CsvUnclosedQuote {
        /// Name of the file.
        file: String,
        /// Line in which the field starts, from 1.
        line: u64,
    },
    /// A compressed file that cannot be unpacked.
    #[error("{}: {file} cannot be unpacked: {source}; fetch it again", self.code())]
    Damaged {
        /// Name of the file.
        file: String,
        /// What the decoder said.
        source: io::Error,
    },
    /// The description of a directory does not fit.
    #[error("{}: {file}: {reason}; make the directory again with its convert.py", self.code())]
    FormVersion {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A table other than the declared one.
    #[error("{}: {file}: expected SHA-256 {declared}, found {found}; do not import it", self.code())]
    FileDigest {
        /// Name of the file.
        file: String,
        /// Digest that the description declares, in hexadecimal.
        declared: String,
        /// Digest of what was read, in hexadecimal.
        found: String,
    },
    /// A catalogue server's refusal.
    #[error("{}: {file}: the server answered `success: false`; repeat the request", self.code())]
    CatalogueRefused {
        /// Name of the file.
        file: String,
    },
}

impl SourceError {
    /// The stable code of this error.
    pub const fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::Io { .. } => Code::Io,
            Self::NoCatalogue { .. } => Code::NoCatalogue,
            Self::FormatUnknown { .. } => Code::FormatUnknown,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::TooManyItems { .. } => Code::TooManyItems,
            Self::NotUtf8 { .. } => Code::NotUtf8,
            Self::JsonSyntax { .. } => Code::JsonSyntax,
            Self::JsonShape { .. } => Code::JsonShape,
            Self::CsvHeader { .. } => Code::CsvHeader,
            Self::CsvUnclosedQuote { .. } => Code::CsvUnclosedQuote,
            Self::Damaged { .. } => Code::Damaged,
            Self::FormVersion { .. } => Code::FormVersion,
            Self::FileDigest { .. } => Code::FileDigest,
            Self::CatalogueRefused { .. } => Code::CatalogueRefused,
        }
    }
}
