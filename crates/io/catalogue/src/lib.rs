//! Reads catalogues of open data and turns them into plain values.
//!
//! **This crate knows nothing of the ledger: neither its events nor its store nor the network. It never changes what it
//! reads, and never fills in what a source does not state.**
//!
//! [`open`] detects the format of a file or directory. The [`Source`] it returns yields [`Item`]s in the order of the
//! source: records, claims about the past, and what was skipped, with a stable [`Code`] for why. The same bytes always
//! yield the same items.
//!
//! # Formats
//!
//! | [`Format`] | recognised by | a record is |
//! | --- | --- | --- |
//! | `Frictionless` | `datapackage.json`, or the member `resources` | a resource |
//! | `Csv` | a name that ends in `.csv` | a row |
//! | `Ckan` | the member `result` (package_search, package_show, current_package_list_with_resources) | a package |
//! | `Dcat` | JSON-LD members, or the member `dataset` | a data set |
//! | `DstFsv` | `dst-fsv.json` | a data set; each row of history is a claim |
//!
//! A CSV table has a header row. Only `id` is needed. Columns are known by these names, whatever the case, with `_`, `-` or
//! a space between words; others are reported once, as a notice.
//!
//! | column | other names |
//! | --- | --- |
//! | `id` | `identifier` `record_id` `標識` `标识` `編號` `编号` |
//! | `title` | `name` `標題` `标题` `名稱` `名称` |
//! | `title_zh` | `name_zh` `中文名稱` `中文名称` |
//! | `title_en` | `name_en` `英文名稱` `英文名称` |
//! | `language`, of `title` | `lang` `語言` `语言` |
//! | `summary` | `description` `摘要` `簡介` `简介` |
//! | `publisher` | `organisation` `organization` `發布機構` `发布机构` |
//! | `licence` | `license` `授權` `授权` |
//! | `licence_url` | `license_url` |
//! | `url` | `source_url` `landing_page` `網址` `网址` |
//! | `issued`, `modified` | `發布日期` `发布日期`, `更新日期` |
//! | `time_from`, `time_to` | `開始日期` `开始日期`, `結束日期` `结束日期` |
//! | `media_type` | `mediatype` `mimetype` |
//! | `bytes`, `rows` | `size`, `records` |
//! | `hash` | `checksum` |
//! | `path`, of a file below the table's directory | `file` |
//! | `collection` | `series` |
//!
//! # What is carried, and what is not
//!
//! - Texts are carried byte for byte: no trimming, no Unicode normalisation, no folding of traditional and simplified
//!   characters.
//! - A missing licence is none, not a skip. An SPDX identifier is given only for a name or address that means one licence
//!   in one version. Resources of a Frictionless package do not inherit its licence unless
//!   [`Options::inherit_from_package`] says so.
//! - Dates are civil days as written. Sentinels such as 9999-12-31 are 0, that is, not stated.
//! - **By-lines and contact points are not carried**: authors, maintainers, contributors other than publishers, contact
//!   points, e-mail addresses and telephone numbers, publishers that a source marks as persons. They are no part of the
//!   digest either, so that a digest proves nothing about a person. Names inside free text (descriptions, titles of
//!   sources, reasons in a history) cannot be told apart and stay; [`Options::keep_summaries`] leaves descriptions out.
//! - Nothing is said of personal information in the data: catalogues do not state it.
//!
//! # Digests
//!
//! [`CatalogueRecord::record_digest`] is the SHA-256 of the source record as canonical JSON (RFC 8785, except that integers
//! of 64 bits keep all their digits), without its contact members. A CSV row is an object of its filled cells by column
//! name; a DCAT record includes the nodes it refers to; a data set of `DstFsv` includes its register's titles and address.
//! Order of members and layout do not matter; any other change of the record changes the digest.
//!
//! A hash that a catalogue declares is compared with the file in two habits: the hash of the file, and the hash of its git
//! blob, `"blob <length>\0"` and the bytes. [`HashForm`] tells which one it was.
//!
//! # Bounds
//!
//! [`Limits`] bounds the size of files, records, texts and the depth of nesting. Tables are read row by row. A JSON document
//! is one value: it is read whole, up to [`Limits::catalogue_bytes`], and its records are parsed one at a time, so that a
//! malformed record costs only itself.
//!
//! ```
//! use ledger_catalogue::{Item, Options, open};
//! # use std::path::Path;
//!
//! # let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/data/vega"));
//! let mut source = open(directory, &Options::default())?;
//! for item in &mut source {
//!     match item? {
//!         Item::Record(record) => assert!(record.bytes.is_some()),
//!         Item::Claim(claim) => assert_ne!(claim.what.text, ""),
//!         Item::Skipped(skipped) => panic!("{skipped}"),
//!     }
//! }
//! assert_eq!(source.summary().records, 16);
//! # Ok::<(), ledger_catalogue::SourceError>(())
//! ```

mod check;
mod code;
mod contact;
mod content;
mod date;
mod document;
mod error;
mod feed;
mod fields;
mod format;
mod json;
mod language;
mod licence;
mod name;
mod options;
mod record;
mod refusal;
mod rows;
mod source;

pub use code::{CODES, Code, CodeKind, CodeText};
pub use error::SourceError;
pub use name::local_name;
pub use options::{Delimiter, Format, Limits, Options};
pub use record::{
    About, CatalogueRecord, CivilDate, Collection, DeclaredHash, Distribution, Finding, HashForm,
    HistoryClaim, Item, Licence, Locator, Place, Skipped, Summary, Wording,
};
pub use source::{Source, open};
