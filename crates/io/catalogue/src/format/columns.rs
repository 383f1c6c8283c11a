//! Columns of a CSV catalogue.

use crate::code::Code;
use crate::document::excerpt;
use crate::error::SourceError;
use crate::fields::present;
use crate::json::{Json, Object};
use crate::record::Finding;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Id,
    Title,
    TitleZh,
    TitleEn,
    Language,
    Summary,
    Publisher,
    Licence,
    LicenceUrl,
    Url,
    Issued,
    Modified,
    TimeFrom,
    TimeTo,
    MediaType,
    Bytes,
    Rows,
    Hash,
    Path,
    Collection,
}

/// Names of columns, in lower case.
const NAMES: &[(Column, &[&str])] = &[
    (Column::Id, &["id", "identifier", "record_id", "標識", "标识", "編號", "编号"]),
    (Column::Title, &["title", "name", "標題", "标题", "名稱", "名称"]),
    (Column::TitleZh, &["title_zh", "name_zh", "中文名稱", "中文名称"]),
    (Column::TitleEn, &["title_en", "name_en", "英文名稱", "英文名称"]),
    (Column::Language, &["language", "lang", "語言", "语言"]),
    (Column::Summary, &["summary", "description", "摘要", "簡介", "简介"]),
    (Column::Publisher, &["publisher", "organisation", "organization", "發布機構", "发布机构"]),
    (Column::Licence, &["licence", "license", "授權", "授权"]),
    (Column::LicenceUrl, &["licence_url", "license_url"]),
    (Column::Url, &["url", "source_url", "landing_page", "網址", "网址"]),
    (Column::Issued, &["issued", "發布日期", "发布日期"]),
    (Column::Modified, &["modified", "更新日期"]),
    (Column::TimeFrom, &["time_from", "開始日期", "开始日期"]),
    (Column::TimeTo, &["time_to", "結束日期", "结束日期"]),
    (Column::MediaType, &["media_type", "mediatype", "mimetype"]),
    (Column::Bytes, &["bytes", "size"]),
    (Column::Rows, &["rows", "records"]),
    (Column::Hash, &["hash", "checksum"]),
    (Column::Path, &["path", "file"]),
    (Column::Collection, &["collection", "series"]),
];

/// A header row: the name of each column, and what it holds where that is known.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    names: Vec<String>,
    columns: Vec<Option<Column>>,
}

impl Header {
    pub(crate) fn new(file: &str, cells: &[String]) -> Result<Self, SourceError> {
        let wrong = |reason| SourceError::CsvHeader { file: file.to_owned(), reason };
        let mut header = Self { names: Vec::new(), columns: Vec::new() };
        for (number, cell) in (1_u64..).zip(cells) {
            let name =
                present(cell).map_or_else(|| format!("#{number}"), |name| name.trim().to_owned());
            if header.names.contains(&name) {
                return Err(wrong(format!(
                    "expected each column once, found {} again; rename one",
                    excerpt(&name)
                )));
            }
            let column = column(&name);
            if column.is_some() && header.columns.contains(&column) {
                return Err(wrong(format!(
                    "expected one column for each field, found {} as a second one; rename one",
                    excerpt(&name)
                )));
            }
            header.names.push(name);
            header.columns.push(column);
        }
        if header.columns.contains(&Some(Column::Id)) {
            Ok(header)
        } else {
            let found = excerpt(&header.names.join(" "));
            Err(wrong(format!(
                "expected a column `id`, found the columns {found}; rename one to `id`"
            )))
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn value<'a>(&self, row: &'a [String], column: Column) -> Option<&'a str> {
        let position = self.columns.iter().position(|one| *one == Some(column))?;
        present(row.get(position)?)
    }

    /// The row as an object of its filled cells by column name.
    pub(crate) fn object(&self, row: &[String]) -> Json {
        let cells = self.names.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
        Json::Object(
            cells.map(|(name, cell)| (name.clone(), Json::Text(cell.clone()))).collect::<Object>(),
        )
    }

    /// Which columns are not read, once for the whole table.
    pub(crate) fn unknown(&self) -> Option<Finding> {
        let unknown: Vec<String> = self
            .names
            .iter()
            .zip(&self.columns)
            .filter(|(_, column)| column.is_none())
            .map(|(name, _)| excerpt(name))
            .collect();
        let named = unknown.get(..20).unwrap_or(&unknown).join(", ");
        let more = if unknown.len() > 20 { ", and more" } else { "" };
        (!unknown.is_empty()).then(|| Finding {
            code: Code::UnknownColumn,
            text: format!("{} columns are not read: {named}{more}", unknown.len()),
        })
    }
}

/// How many cells are names of known columns.
pub(crate) fn recognised(cells: &[String]) -> usize {
    cells.iter().filter(|cell| column(cell).is_some()).count()
}

fn column(name: &str) -> Option<Column> {
    let name = name.trim().to_lowercase().replace([' ', '-'], "_");
    NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_every_column() {
        let documentation = include_str!("../lib.rs");
        for name in NAMES.iter().flat_map(|(_, names)| *names) {
            assert!(documentation.contains(&format!("`{name}`")), "{name}");
            assert!(column(&name.to_uppercase().replace('_', " ")).is_some(), "{name}");
        }
    }
}
