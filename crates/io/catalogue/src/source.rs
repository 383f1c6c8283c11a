//! Opening a source and going through its items.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::path::Path;

use crate::check;
use crate::code::Code;
use crate::document::{Document, Members, Outline};
use crate::error::SourceError;
use crate::feed::{Feed, file_name, read_text};
use crate::format::terms::Terms;
use crate::format::{Items, Opened, ckan, dcat, dst_fsv, frictionless, table};
use crate::json::Json;
use crate::name::{Key, key, local_name};
use crate::options::{Format, Limits, Options};
use crate::record::{CatalogueRecord, Collection, Finding, Item, Skipped, Summary};

/// A catalogue that was opened. It yields its items in the order of the source; after an error it yields nothing more.
pub struct Source {
    file: String,
    limits: Limits,
    keep_summaries: bool,
    collections: BTreeMap<String, Collection>,
    notices: Vec<Finding>,
    items: Option<Items>,
    seen: HashSet<Key>,
    count: u64,
    summary: Summary,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// Opens a catalogue: a file, or a directory with `datapackage.json` or `dst-fsv.json`.
pub fn open(path: &Path, options: &Options) -> Result<Source, SourceError> {
    let about = fs::metadata(path).map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            SourceError::NotFound { path: path.to_owned() }
        } else {
            SourceError::Io { file: file_name(path), source }
        }
    })?;
    let opened =
        if about.is_dir() { open_directory(path, options) } else { open_file(path, options) }?;
    Ok(Source::new(path, opened, options))
}

fn open_directory(path: &Path, options: &Options) -> Result<Opened, SourceError> {
    let (package, form) = (path.join("datapackage.json"), path.join("dst-fsv.json"));
    match options.format {
        Some(Format::DstFsv) => dst_fsv::open(path, options),
        None if form.is_file() => dst_fsv::open(path, options),
        Some(Format::Frictionless) | None if package.is_file() => open_json(&package, options),
        _ => Err(SourceError::NoCatalogue { path: path.to_owned() }),
    }
}

fn open_file(path: &Path, options: &Options) -> Result<Opened, SourceError> {
    let extension = path.extension().map(|one| one.to_string_lossy().to_lowercase());
    match (options.format, extension.as_deref()) {
        (Some(Format::Csv), _) | (None, Some("csv")) => {
            table::open(path, directory_of(path), options)
        }
        (Some(Format::DstFsv), _) => dst_fsv::open(directory_of(path), options),
        (Some(_), _) | (None, Some("json" | "jsonld")) => open_json(path, options),
        (None, _) if Feed::plain(path, &options.limits)?.starts_like_json()? => {
            open_json(path, options)
        }
        (None, _) => Err(SourceError::FormatUnknown {
            file: file_name(path),
            found: "expected JSON, or a name that ends in .csv, found neither".to_owned(),
        }),
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn open_json(path: &Path, options: &Options) -> Result<Opened, SourceError> {
    let document = Document { file: file_name(path), text: read_text(path, &options.limits)? };
    let outline = document.outline()?;
    let format = match options.format {
        Some(format) => format,
        None => detect(&document, &outline, &options.limits)?,
    };
    match (format, &outline) {
        (Format::Frictionless, Outline::Object(members)) => {
            frictionless::open(&document, members, directory_of(path), options)
        }
        (Format::Ckan, Outline::Object(members)) => ckan::open(&document, members, options),
        (Format::DstFsv, Outline::Object(_)) => dst_fsv::open(directory_of(path), options),
        (Format::Dcat, outline) => dcat::open(&document, outline, options),
        (_, Outline::List(raw)) => Err(document.shape("", "an object", raw)),
        (Format::Csv, Outline::Object(_)) => table::open(path, directory_of(path), options),
    }
}

/// Tells the format by the keys of the outermost object.
fn detect(
    document: &Document,
    outline: &Outline<'_>,
    limits: &Limits,
) -> Result<Format, SourceError> {
    let members: &Members<'_> = match outline {
        Outline::Object(members) => members,
        // Only JSON-LD puts nodes into a bare array.
        Outline::List(_) => return Ok(Format::Dcat),
    };
    let parsed = |key: &str| members.get(key).and_then(|raw| Json::parse(raw.get(), limits).ok());
    let terms = Terms::new(parsed("@context").as_ref());
    if parsed("form")
        .is_some_and(|form| form.as_text().is_some_and(|one| one.starts_with("dst-fsv/")))
    {
        Ok(Format::DstFsv)
    } else if members.contains_key("resources") {
        Ok(Format::Frictionless)
    } else if members.contains_key("result") || members.contains_key("success") {
        Ok(Format::Ckan)
    } else if members.keys().any(|key| key.starts_with('@') || terms.local(key) == "dataset") {
        Ok(Format::Dcat)
    } else {
        let keys: Vec<_> =
            members.keys().take(8).map(|key| crate::document::excerpt(key)).collect();
        Err(SourceError::FormatUnknown {
            file: document.file.clone(),
            found: format!(
                "expected one of the members resources, result, dataset, @graph; found {}",
                keys.join(", ")
            ),
        })
    }
}

impl Source {
    fn new(path: &Path, opened: Opened, options: &Options) -> Self {
        let file = file_name(path);
        let catalogue =
            options.catalogue.clone().or(opened.catalogue).unwrap_or_else(|| file.clone());
        let mut summary = Summary {
            format: opened.format,
            catalogue,
            complete: false,
            records: 0,
            claims: 0,
            collections: u64::try_from(opened.collections.len()).unwrap_or(u64::MAX),
            skipped: BTreeMap::new(),
            findings: BTreeMap::new(),
        };
        count_findings(&mut summary, &opened.notices);
        Self {
            file,
            limits: options.limits,
            keep_summaries: options.keep_summaries,
            collections: opened.collections,
            notices: opened.notices,
            items: Some(opened.items),
            seen: HashSet::new(),
            count: 0,
            summary,
        }
    }

    /// The format that the source is read as.
    pub const fn format(&self) -> Format {
        self.summary.format
    }

    /// The catalogue's name: as the options say, else as it calls itself, else its file's name.
    pub fn catalogue(&self) -> &str {
        &self.summary.catalogue
    }

    /// Findings about the source as a whole.
    pub fn notices(&self) -> &[Finding] {
        &self.notices
    }

    /// The collections that the source describes, by identifier.
    pub const fn collections(&self) -> &BTreeMap<String, Collection> {
        &self.collections
    }

    /// Counts of what was yielded so far; of everything, once the iteration has ended.
    pub fn summary(&self) -> Summary {
        self.summary.clone()
    }

    fn admit(&mut self, item: Item) -> Item {
        match item {
            Item::Record(record) => self.admit_record(record),
            Item::Claim(claim) => match check::claim(&claim, &self.limits) {
                Ok(()) => Item::Claim(claim),
                Err(refusal) => refusal.at(claim.locator),
            },
            skipped @ Item::Skipped(_) => skipped,
        }
    }

    fn admit_record(&mut self, mut record: Box<CatalogueRecord>) -> Item {
        if !self.keep_summaries {
            record.summary = None;
        }
        if let Err(refusal) = check::record(&record, &self.limits) {
            return refusal.at(record.locator);
        }
        if !self.seen.insert(key(&record.record_id)) {
            let id = crate::document::excerpt(&record.record_id);
            return Item::Skipped(Skipped {
                locator: record.locator,
                code: Code::DuplicateIdentifier,
                reason: format!(
                    "expected each identifier once, found {id} again; have the catalogue correct it"
                ),
            });
        }
        record.local_name = local_name(&record.record_id);
        Item::Record(record)
    }

    fn count(&mut self, item: &Item) {
        let summary = &mut self.summary;
        match item {
            Item::Record(record) => {
                summary.records = summary.records.saturating_add(1);
                count_findings(summary, &record.findings);
            }
            Item::Claim(_) => summary.claims = summary.claims.saturating_add(1),
            Item::Skipped(skipped) => add_one(&mut summary.skipped, skipped.code),
        }
    }
}

fn count_findings(summary: &mut Summary, findings: &[Finding]) {
    for finding in findings {
        add_one(&mut summary.findings, finding.code);
    }
}

fn add_one(counts: &mut BTreeMap<Code, u64>, code: Code) {
    let count = counts.entry(code).or_default();
    *count = count.saturating_add(1);
}

impl Iterator for Source {
    type Item = Result<Item, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.items.as_mut()?.next() {
            Some(Ok(_)) if self.count >= self.limits.items => {
                Err(SourceError::TooManyItems { file: self.file.clone(), limit: self.limits.items })
            }
            Some(next) => next,
            None => {
                self.items = None;
                self.summary.complete = true;
                return None;
            }
        };
        self.count = self.count.saturating_add(1);
        Some(match next {
            Ok(item) => {
                let item = self.admit(item);
                self.count(&item);
                Ok(item)
            }
            Err(error) => {
                self.items = None;
                Err(error)
            }
        })
    }
}
