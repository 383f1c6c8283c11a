//! CSV catalogues: one record for each row.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Opened;
use super::columns::{Column, Header, recognised};
use crate::code::Code;
use crate::contact::without_contacts;
use crate::error::SourceError;
use crate::feed::{Feed, file_name};
use crate::fields::{Edge, Notes};
use crate::language::{Tagged, set_titles};
use crate::licence::{Statement, licence};
use crate::options::{Delimiter, Format, Options};
use crate::record::{CatalogueRecord, Item, Locator};
use crate::refusal::Refusal;
use crate::rows::Rows;

struct Table {
    rows: Rows,
    header: Header,
    base: PathBuf,
    options: Options,
}

pub(crate) fn open(path: &Path, base: &Path, options: &Options) -> Result<Opened, SourceError> {
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter,
        None => detect(path, options)?,
    };
    let mut rows = start(path, delimiter, options)?;
    let cells = header_cells(&mut rows)?;
    let header = Header::new(&file_name(path), &cells)?;
    let notices = header.unknown().into_iter().collect();
    let table = Table { rows, header, base: base.to_owned(), options: options.clone() };
    Ok(Opened {
        format: Format::Csv,
        catalogue: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
        collections: BTreeMap::new(),
        notices,
        items: Box::new(table),
    })
}

fn start(path: &Path, delimiter: Delimiter, options: &Options) -> Result<Rows, SourceError> {
    Rows::new(Feed::plain(path, &options.limits)?, delimiter.byte(), &options.limits)
}

/// The delimiter with which more of the header is known; the comma in doubt.
fn detect(path: &Path, options: &Options) -> Result<Delimiter, SourceError> {
    let known = |delimiter| -> Result<usize, SourceError> {
        let mut rows = start(path, delimiter, options)?;
        // A wrong delimiter may make nonsense of quotes: that is not yet an error.
        Ok(match rows.next_row() {
            Ok(Some(row)) => row.fields.map_or(0, |cells| recognised(&cells)),
            Ok(None) | Err(SourceError::CsvUnclosedQuote { .. }) => 0,
            Err(error) => return Err(error),
        })
    };
    let (commas, semicolons) = (known(Delimiter::Comma)?, known(Delimiter::Semicolon)?);
    Ok(if semicolons > commas { Delimiter::Semicolon } else { Delimiter::Comma })
}

/// The header row; one that cannot be read makes the table unreadable.
pub(crate) fn header_cells(rows: &mut Rows) -> Result<Vec<String>, SourceError> {
    let file = rows.feed().file().to_owned();
    match rows.next_row()?.map(|row| row.fields) {
        Some(Ok(cells)) => Ok(cells),
        Some(Err(refusal)) if refusal.code == Code::RowNotUtf8 => {
            Err(SourceError::NotUtf8 { file, offset: 0 })
        }
        Some(Err(refusal)) => Err(SourceError::CsvHeader { file, reason: refusal.reason }),
        None => Err(SourceError::CsvHeader {
            file,
            reason: "expected a header row, found an empty file; add one".to_owned(),
        }),
    }
}

/// The cells of a row that has as many as the header.
pub(crate) fn checked_cells(
    fields: Result<Vec<String>, Refusal>,
    expected: usize,
) -> Result<Vec<String>, Refusal> {
    let cells = fields?;
    if cells.len() == expected {
        return Ok(cells);
    }
    Err(Refusal::new(
        Code::RowFields,
        format!(
            "expected {expected} fields as in the header, found {}; quote fields that hold the delimiter",
            cells.len()
        ),
    ))
}

impl Iterator for Table {
    type Item = Result<Item, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.rows.next_row() {
            Ok(row) => row?,
            Err(error) => return Some(Err(error)),
        };
        let locator = self.rows.locator(&row);
        let record = checked_cells(row.fields, self.header.len())
            .and_then(|cells| self.record(&cells, locator.clone()));
        Some(Ok(match record {
            Ok(record) => Item::Record(Box::new(record)),
            Err(refusal) => refusal.at(locator),
        }))
    }
}

impl Table {
    fn record(&self, cells: &[String], locator: Locator) -> Result<CatalogueRecord, Refusal> {
        let get = |column| self.header.value(cells, column);
        let text = |column| get(column).map(str::to_owned);
        let record_id =
            text(Column::Id).ok_or_else(|| Refusal::no_identifier("a value in the column `id`"))?;
        let mut notes = Notes::default();
        let statement =
            Statement { name: None, title: text(Column::Licence), url: text(Column::LicenceUrl) };
        let mut record = CatalogueRecord {
            record_id,
            locator,
            collection: text(Column::Collection),
            summary: text(Column::Summary),
            publisher: text(Column::Publisher),
            licence: licence(&[statement]),
            media_type: text(Column::MediaType),
            ..CatalogueRecord::default()
        };
        let title: Option<Tagged> =
            text(Column::Title).map(|title| (text(Column::Language), title));
        set_titles(&mut record, title.as_slice());
        record.title_zh = text(Column::TitleZh).or(record.title_zh);
        record.title_en = text(Column::TitleEn).or(record.title_en);
        record.source_url = get(Column::Url).and_then(|text| notes.address("url", text));
        let mut day =
            |column, field, edge| get(column).map_or(0, |text| notes.day(field, text, edge));
        record.issued = day(Column::Issued, "issued", Edge::Exact);
        record.modified = day(Column::Modified, "modified", Edge::Exact);
        record.time_from = day(Column::TimeFrom, "time_from", Edge::First);
        record.time_to = day(Column::TimeTo, "time_to", Edge::Last);
        record.bytes = get(Column::Bytes).and_then(|text| notes.count_text("bytes", text));
        record.rows = get(Column::Rows).and_then(|text| notes.count_text("rows", text));
        let hash = get(Column::Hash).and_then(|text| notes.hash(text, None));
        let (hash, declared) = hash.map_or((None, None), |(hash, read)| (Some(hash), read));
        record.declared_hash = hash;
        if let Some(path) = get(Column::Path) {
            notes.attach_file(&mut record, declared.as_ref(), &self.base, path, &self.options);
        }
        record.findings = notes.0;
        record.record_digest = without_contacts(self.header.object(cells)).digest();
        Ok(record)
    }
}
