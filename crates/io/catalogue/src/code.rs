//! Every code that this crate reports, in one table.

use std::fmt;

/// What follows from a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodeKind {
    /// The source cannot be read, or no further: a [`crate::SourceError`].
    Error,
    /// One record or claim is left out: a [`crate::Skipped`].
    Skip,
    /// A record is kept, and something about it is worth a look: a [`crate::Finding`].
    Finding,
}

/// A row of [`CODES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeText {
    /// The code.
    pub code: Code,
    /// What follows from it.
    pub kind: CodeKind,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

macro_rules! codes {
    ($($variant:ident $text:literal $kind:ident $meaning:literal $remedy:literal;)+) => {
        /// A stable code. Its text never changes its meaning; new codes may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`: ", $meaning, ".")] $variant,)+
        }

        impl Code {
            /// The code as it is printed and stored.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        /// All codes, what they mean and what to do about them.
        pub const CODES: &[CodeText] = &[
            $(CodeText {
                code: Code::$variant,
                kind: CodeKind::$kind,
                meaning: $meaning,
                remedy: $remedy,
            },)+
        ];
    };
}

codes! {
    NotFound "CAT_NOT_FOUND" Error
        "there is nothing at the path"
        "check the path";
    Io "CAT_IO" Error
        "the operating system could not read a file"
        "check that the file exists and may be read";
    NoCatalogue "CAT_NO_CATALOGUE" Error
        "the directory holds no catalogue that is known"
        "name a file, or a directory with datapackage.json or dst-fsv.json";
    FormatUnknown "CAT_FORMAT_UNKNOWN" Error
        "the file is in no format that is known"
        "state the format, or convert to CSV with a header row";
    TooLarge "CAT_TOO_LARGE" Error
        "a catalogue file is larger than the limit"
        "split the catalogue, or raise the limit `catalogue_bytes`";
    TooManyItems "CAT_TOO_MANY_ITEMS" Error
        "the catalogue has more items than the limit"
        "split the catalogue, or raise the limit `items`";
    NotUtf8 "CAT_NOT_UTF8" Error
        "the text is not UTF-8"
        "convert it, for example with `iconv -f GB18030 -t UTF-8`";
    JsonSyntax "CAT_JSON_SYNTAX" Error
        "the JSON is not well formed"
        "fetch the file again, or correct it at the place named";
    JsonShape "CAT_JSON_SHAPE" Error
        "the JSON is well formed but not of the format's shape"
        "check that the file is what its format says, or state another format";
    CsvHeader "CAT_CSV_HEADER" Error
        "the header row cannot be used"
        "give every column a name of its own, and one of them the name `id`";
    CsvUnclosedQuote "CAT_CSV_UNCLOSED_QUOTE" Error
        "a quoted field has no end, so that the rest of the file cannot be told apart"
        "close the quote at the line named, or fetch the file again";
    Damaged "CAT_DAMAGED" Error
        "a compressed file cannot be unpacked"
        "fetch the file again";
    FormVersion "CAT_FORM_VERSION" Error
        "the description of the directory is not of a known version or lacks something"
        "make the directory again with its convert.py";
    FileDigest "CAT_FILE_DIGEST" Error
        "a table is not the one that its directory's description declares"
        "fetch or make the directory again; none of it was imported, unless a table changed while it was read";
    CatalogueRefused "CAT_CATALOGUE_REFUSED" Error
        "the file is a catalogue server's refusal, not an answer"
        "repeat the request to the server";

    NoIdentifier "CAT_NO_IDENTIFIER" Skip
        "the record has no identifier that stays the same"
        "have the catalogue give it one";
    DuplicateIdentifier "CAT_DUPLICATE_IDENTIFIER" Skip
        "an earlier record of the source has the same identifier"
        "have the catalogue correct one of the two";
    IdentifierUnusable "CAT_IDENTIFIER_UNUSABLE" Skip
        "the identifier is too long"
        "have the catalogue shorten it";
    RecordShape "CAT_RECORD_SHAPE" Skip
        "the record is not an object of fields"
        "correct the record";
    RecordMalformed "CAT_RECORD_MALFORMED" Skip
        "the record holds JSON that has no value, such as a number out of range"
        "correct the record";
    RecordTooLarge "CAT_RECORD_TOO_LARGE" Skip
        "the record, or what it refers to, is larger than the limit"
        "shorten the record, or raise the limit `record_bytes`";
    RecordTooDeep "CAT_RECORD_TOO_DEEP" Skip
        "the record is nested deeper than the limit"
        "flatten the record, or raise the limit `depth`";
    DuplicateKey "CAT_DUPLICATE_KEY" Skip
        "an object has the same key twice, so that readers differ about its value"
        "correct the record";
    TextTooLong "CAT_TEXT_TOO_LONG" Skip
        "a text is longer than the limit"
        "shorten the text, or raise the limit `text_bytes`";
    ControlCharacter "CAT_CONTROL_CHARACTER" Skip
        "a text holds a control character other than tab and line break"
        "remove the character";
    RowNotUtf8 "CAT_ROW_NOT_UTF8" Skip
        "the row is not UTF-8"
        "convert the file, for example with `iconv -f GB18030 -t UTF-8`";
    RowFields "CAT_ROW_FIELDS" Skip
        "the row has more or fewer fields than the header"
        "quote fields that hold the delimiter";
    RowQuote "CAT_ROW_QUOTE" Skip
        "text follows a closing quote"
        "double the quotes inside quoted fields";
    ReferenceOnly "CAT_REFERENCE_ONLY" Skip
        "the source names the record but does not describe it"
        "fetch the descriptions, for example by package_search instead of package_list";
    NotPublic "CAT_NOT_PUBLIC" Skip
        "the catalogue marks the record as private, draft or deleted"
        "nothing, unless the mark is wrong";
    ClaimEmpty "CAT_CLAIM_EMPTY" Skip
        "the history row does not say what happened, or to what"
        "correct the row";
    ClaimDate "CAT_CLAIM_DATE" Skip
        "the history row's date is no civil date"
        "correct the row";

    HashMismatch "CAT_HASH_MISMATCH" Finding
        "the declared hash is neither of the file nor of its git blob"
        "do not deliver the file before its origin is cleared up";
    HashUnreadable "CAT_HASH_UNREADABLE" Finding
        "the declared hash is of no known algorithm, or of the wrong length"
        "state it as `sha256:` and 64 hexadecimal digits";
    BytesMismatch "CAT_BYTES_MISMATCH" Finding
        "the file has another size than declared; the record has the real size"
        "have the catalogue corrected";
    DateUnreadable "CAT_DATE_UNREADABLE" Finding
        "a date is no civil date; it is left out"
        "write it as YYYY-MM-DD";
    FieldUnreadable "CAT_FIELD_UNREADABLE" Finding
        "a field is not of the expected kind; it is left out"
        "have the catalogue corrected";
    FieldsDisagree "CAT_FIELDS_DISAGREE" Finding
        "two parts of the source contradict each other"
        "ask the catalogue which is right";
    UnsafePath "CAT_UNSAFE_PATH" Finding
        "the path of the data file leads out of the catalogue's directory; it was not opened"
        "put the file below the catalogue, and name it by a relative path";
    FileUnusable "CAT_FILE_UNUSABLE" Finding
        "the data file could not be read in full, or is above the limit"
        "check the file, or raise the limit `content_bytes`";
    SeveralFiles "CAT_SEVERAL_FILES" Finding
        "the record is made of several files, so that it has no single size and hash"
        "describe each file by a record of its own";
    UnknownColumn "CAT_UNKNOWN_COLUMN" Finding
        "columns of the table are not read"
        "rename them if they were meant to be read";
    IncompletePage "CAT_INCOMPLETE_PAGE" Finding
        "the answer holds fewer records than the catalogue has"
        "fetch the other pages as well";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
