//! The research data catalogue of Statistics Denmark: one record for each data set, one claim for each row of history.
//!
//! A directory with `dst-fsv.json`, which names three gzip-compressed tables and their SHA-256. Registers are collections.

use std::collections::BTreeMap;
use std::path::Path;

use super::Opened;
use super::table::{checked_cells, header_cells};
use crate::code::Code;
use crate::date::{self, Stated};
use crate::error::SourceError;
use crate::feed::{Feed, file_name, read_text};
use crate::fields::{Edge, Notes, present};
use crate::json::{Json, Object};
use crate::options::{Format, Limits, Options};
use crate::record::{About, CatalogueRecord, Collection, HistoryClaim, Item, Locator, Wording};
use crate::refusal::Refusal;
use crate::rows::Rows;

/// The form that this module reads.
const FORM: &str = "dst-fsv/1";
const LANGUAGE: &str = "da";

const REGISTERS: &str = "registers.csv.gz";
const DATASETS: &str = "datasets.csv.gz";
const HISTORY: &str = "history.csv.gz";

const REGISTER_COLUMNS: &[&str] = &["register", "title_da", "title_en", "url_datasets"];
const DATASET_COLUMNS: &[&str] = &[
    "register",
    "dataset",
    "created_raw",
    "created_iso",
    "n_variables",
    "n_observations",
    "n_bytes",
    "raw",
];
const HISTORY_COLUMNS: &[&str] =
    &["register", "category_da", "category_en", "reason_da", "reason_en", "update_date"];

struct Manifest {
    catalogue: String,
    publisher: String,
    digests: BTreeMap<String, String>,
}

/// A table, and where in it each column stands.
struct Table {
    rows: Rows,
    names: Vec<String>,
    digest: String,
}

/// A row of a table, by column.
struct Cells<'a> {
    names: &'a [String],
    values: Vec<String>,
}

/// A row and where it stands.
type Placed<'a> = (Locator, Result<Cells<'a>, Refusal>);

struct Entries {
    publisher: String,
    registers: BTreeMap<String, Collection>,
    datasets: Option<Table>,
    history: Option<Table>,
}

pub(crate) fn open(directory: &Path, options: &Options) -> Result<Opened, SourceError> {
    let limits = &options.limits;
    let manifest = read_manifest(&directory.join("dst-fsv.json"), limits)?;
    let table = |name, columns| Table::open(directory, name, columns, &manifest, limits);
    let registers = read_registers(table(REGISTERS, REGISTER_COLUMNS)?, limits)?;
    let entries = Entries {
        publisher: manifest.publisher.clone(),
        registers: registers.clone(),
        datasets: Some(table(DATASETS, DATASET_COLUMNS)?),
        history: Some(table(HISTORY, HISTORY_COLUMNS)?),
    };
    Ok(Opened {
        format: Format::DstFsv,
        catalogue: Some(manifest.catalogue),
        collections: registers,
        notices: Vec::new(),
        items: Box::new(entries),
    })
}

fn read_manifest(path: &Path, limits: &Limits) -> Result<Manifest, SourceError> {
    let wrong = |reason: String| SourceError::FormVersion { file: file_name(path), reason };
    let text = read_text(path, limits)?;
    let json = Json::parse(&text, limits).map_err(|refusal| wrong(refusal.reason))?;
    let object = json.as_object().ok_or_else(|| wrong("expected an object".to_owned()))?;
    let text = |key: &str| {
        let found = object.get(key).and_then(Json::as_text).and_then(present);
        found.map(str::to_owned).ok_or_else(|| wrong(format!("expected the member `{key}`")))
    };
    let form = text("form")?;
    if form != FORM {
        return Err(wrong(format!("expected the form {FORM}, found {form:?}")));
    }
    let files = object.get("files").and_then(Json::as_object);
    let mut digests = BTreeMap::new();
    for name in [REGISTERS, DATASETS, HISTORY] {
        let about = files.and_then(|files| files.get(name)).and_then(Json::as_object);
        let digest = about.and_then(|about| about.get("sha256")).and_then(Json::as_text);
        let digest = digest.ok_or_else(|| wrong(format!("expected files / {name} / sha256")))?;
        digests.insert(name.to_owned(), digest.to_owned());
    }
    Ok(Manifest {
        catalogue: format!("{} {}", text("package")?, text("version")?),
        publisher: text("publisher")?,
        digests,
    })
}

impl Table {
    /// Compares the whole file with its declared digest before a row is given: rows are sent to a ledger while others are read, and
    /// nothing that was sent can be taken back.
    fn open(
        directory: &Path,
        name: &str,
        columns: &[&str],
        manifest: &Manifest,
        limits: &Limits,
    ) -> Result<Self, SourceError> {
        let path = directory.join(name);
        let digest = manifest.digests.get(name).cloned().unwrap_or_default();
        let mut whole = Feed::gzip(&path, limits)?;
        whole.finish()?;
        whole.check_digest(&digest)?;
        let feed = Feed::gzip(&path, limits)?;
        let mut rows = Rows::new(feed, b',', limits)?;
        let names = header_cells(&mut rows)?;
        if let Some(missing) =
            columns.iter().find(|column| !names.iter().any(|name| name == *column))
        {
            return Err(SourceError::CsvHeader {
                file: name.to_owned(),
                reason: format!("expected the column `{missing}`; make the directory again"),
            });
        }
        Ok(Self { rows, names, digest })
    }

    /// The next row. At the end the table is compared with its declared digest again: the file may have changed meanwhile.
    fn next(&mut self) -> Result<Option<Placed<'_>>, SourceError> {
        let Some(row) = self.rows.next_row()? else {
            self.rows.feed().check_digest(&self.digest)?;
            return Ok(None);
        };
        let locator = self.rows.locator(&row);
        let names = self.names.as_slice();
        let cells = checked_cells(row.fields, names.len()).map(|values| Cells { names, values });
        Ok(Some((locator, cells)))
    }
}

impl Cells<'_> {
    fn get(&self, column: &str) -> &str {
        let position = self.names.iter().position(|name| name == column);
        position.and_then(|position| self.values.get(position)).map_or("", String::as_str)
    }

    fn text(&self, column: &str) -> Option<String> {
        present(self.get(column)).map(str::to_owned)
    }

    /// All cells, empty ones too: the table's form is fixed.
    fn object(&self) -> Object {
        let cells = self.names.iter().zip(&self.values);
        cells.map(|(name, value)| (name.clone(), Json::Text(value.clone()))).collect()
    }
}

/// Registers are few, and every data set needs one: they are read first.
fn read_registers(
    mut table: Table,
    limits: &Limits,
) -> Result<BTreeMap<String, Collection>, SourceError> {
    let mut registers = BTreeMap::new();
    while let Some((locator, cells)) = table.next()? {
        let cells = cells.map_err(|refusal| SourceError::CsvHeader {
            file: locator.to_string(),
            reason: refusal.reason,
        })?;
        let collection = Collection {
            title: cells.text("title_da"),
            title_language: Some(LANGUAGE.to_owned()),
            title_en: cells.text("title_en"),
            source_url: cells.text("url_datasets"),
        };
        registers.insert(cells.get("register").to_owned(), collection);
        if u64::try_from(registers.len()).unwrap_or(u64::MAX) > limits.items {
            return Err(SourceError::TooManyItems { file: locator.file, limit: limits.items });
        }
    }
    Ok(registers)
}

impl Iterator for Entries {
    type Item = Result<Item, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(table) = &mut self.datasets {
            match table.next() {
                Ok(Some((locator, cells))) => {
                    let record = cells.and_then(|cells| {
                        record(&cells, &self.publisher, &self.registers, locator.clone())
                    });
                    return Some(Ok(match record {
                        Ok(record) => Item::Record(Box::new(record)),
                        Err(refusal) => refusal.at(locator),
                    }));
                }
                Ok(None) => self.datasets = None,
                Err(error) => return Some(Err(error)),
            }
        }
        let table = self.history.as_mut()?;
        match table.next() {
            Ok(Some((locator, cells))) => {
                let claim = cells.and_then(|cells| claim(&cells, &self.publisher, locator.clone()));
                Some(Ok(claim.map_or_else(
                    |refusal| refusal.at(locator),
                    |claim| Item::Claim(Box::new(claim)),
                )))
            }
            Ok(None) => {
                self.history = None;
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn record(
    cells: &Cells<'_>,
    publisher: &str,
    registers: &BTreeMap<String, Collection>,
    locator: Locator,
) -> Result<CatalogueRecord, Refusal> {
    let record_id = cells
        .text("dataset")
        .ok_or_else(|| Refusal::no_identifier("a value in the column `dataset`"))?;
    let mut notes = Notes::default();
    let register = registers.get(cells.get("register"));
    if register.is_none() {
        let text =
            format!("expected the register {:?} in {REGISTERS}, found none", cells.get("register"));
        notes.note(Code::FieldsDisagree, text);
    }
    let named =
        |title: &Option<String>| title.as_ref().map(|title| format!("{title} ({record_id})"));
    let mut record = CatalogueRecord {
        locator,
        collection: cells.text("register"),
        title: register.and_then(|register| named(&register.title)),
        title_language: register.and_then(|register| register.title_language.clone()),
        title_en: register.and_then(|register| named(&register.title_en)),
        publisher: Some(publisher.to_owned()),
        source_url: register.and_then(|register| register.source_url.clone()),
        issued: notes.day("created_iso", cells.get("created_iso"), Edge::Exact),
        bytes: notes.count_text("n_bytes", cells.get("n_bytes")),
        rows: notes.count_text("n_observations", cells.get("n_observations")),
        summary: summary(cells),
        ..CatalogueRecord::default()
    };
    if let Some(text) = disagreement(cells) {
        notes.note(Code::FieldsDisagree, text);
    }
    record.findings = notes.0;
    record.record_digest = digest(cells, register);
    record.record_id = record_id;
    Ok(record)
}

/// What the listing counts, in its own digits.
fn summary(cells: &Cells<'_>) -> Option<String> {
    let part = |label: &str, column: &str| {
        present(cells.get(column)).map(|count| format!("{label}: {count}."))
    };
    let parts: Vec<_> = [part("Variables", "n_variables"), part("Observations", "n_observations")]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The listing's own line is `name | date | variables | observations | bytes`, with dots between thousands and `.` for none.
fn disagreement(cells: &Cells<'_>) -> Option<String> {
    let line = cells.get("raw");
    let plain: Vec<String> = line
        .split(" | ")
        .enumerate()
        .map(|(position, part)| if position < 2 { part.to_owned() } else { part.replace('.', "") })
        .collect();
    let columns = ["dataset", "created_raw", "n_variables", "n_observations", "n_bytes"];
    let parsed: Vec<&str> = columns.iter().map(|column| cells.get(column)).collect();
    (plain != parsed).then(|| {
        format!("expected {} as in the listing's line, found other fields", line.escape_debug())
    })
}

/// The digest covers the row and what it takes from its register.
fn digest(cells: &Cells<'_>, register: Option<&Collection>) -> [u8; 32] {
    let text = |text: &Option<String>| text.clone().map_or(Json::Null, Json::Text);
    let taken = register.map_or(Json::Null, |register| {
        let members = [
            ("title_da", text(&register.title)),
            ("title_en", text(&register.title_en)),
            ("url_datasets", text(&register.source_url)),
        ];
        Json::Object(members.map(|(key, value)| (key.to_owned(), value)).into())
    });
    let parts = [("dataset", Json::Object(cells.object())), ("register", taken)];
    Json::Object(parts.map(|(key, value)| (key.to_owned(), value)).into()).digest()
}

fn claim(cells: &Cells<'_>, publisher: &str, locator: Locator) -> Result<HistoryClaim, Refusal> {
    let wording = |danish: &str, english: &str| {
        cells.text(danish).map(|text| Wording {
            text,
            language: Some(LANGUAGE.to_owned()),
            english: cells.text(english),
        })
    };
    let category = wording("category_da", "category_en");
    let what = wording("reason_da", "reason_en").or_else(|| category.clone());
    let (Some(register), Some(what)) = (cells.text("register"), what) else {
        return Err(Refusal::new(
            Code::ClaimEmpty,
            "expected a register and a category or reason, found neither or one; correct the row"
                .to_owned(),
        ));
    };
    let when = match date::day_first(cells.get("update_date")) {
        Stated::Day(day) => day,
        Stated::Nothing => 0,
        Stated::Period(..) | Stated::Unreadable => {
            return Err(Refusal::new(
                Code::ClaimDate,
                format!(
                    "expected a day as DD/MM/YYYY, found {:?}; correct the row",
                    cells.get("update_date")
                ),
            ));
        }
    };
    Ok(HistoryClaim {
        about: About::Collection(register),
        category: category.unwrap_or_default(),
        what,
        when,
        according_to: publisher.to_owned(),
        locator,
        digest: Json::Object(cells.object()).digest(),
    })
}
