//! What the ledger records of a catalogue. What the catalogue does not state stays unstated: origin, class, grade and personal
//! information among it.

use ledger_catalogue::{CatalogueRecord, Collection, HashForm, HistoryClaim};
use ledger_event::{
    AssetDescription, AssetKind, CatalogueSource, DeclaredHashForm, ImportedHistory,
};
use ledger_format::digest::Hash;

use crate::act::digest;

/// Longest texts that the rules take, in characters.
const NAME_CHARACTERS: usize = 300;
const SUMMARY_CHARACTERS: usize = 4_000;
const TEXT_CHARACTERS: usize = 400;
const WHAT_CHARACTERS: usize = 2_000;

/// Of a collection of records.
pub(super) fn of_collection(
    id: &str,
    collection: &Collection,
    catalogue: &str,
) -> AssetDescription {
    let english = collection.title_en.clone().or_else(|| collection.title.clone());
    AssetDescription {
        kind: AssetKind::Open.into(),
        name_en: cut(&english.unwrap_or_else(|| id.to_owned()), NAME_CHARACTERS),
        source_url: collection.source_url.clone().unwrap_or_default(),
        publisher: cut(catalogue, TEXT_CHARACTERS),
        catalogue: Some(CatalogueSource {
            catalogue: cut(catalogue, 200),
            record: cut(&format!("collection {id}"), TEXT_CHARACTERS),
            record_digest: Some(digest(collection_digest(id, collection))),
            ..CatalogueSource::default()
        }),
        ..AssetDescription::default()
    }
}

/// Of a row of history.
pub(super) fn of_claim(claim: &HistoryClaim, catalogue: &str) -> ImportedHistory {
    let words = claim.what.english.as_ref().unwrap_or(&claim.what.text);
    let kind = claim.category.english.as_ref().unwrap_or(&claim.category.text);
    let what = if words == kind { words.clone() } else { format!("{kind}: {words}") };
    ImportedHistory {
        what: cut(&single_line(&what), WHAT_CHARACTERS),
        when: claim.when,
        according_to: cut(&claim.according_to, TEXT_CHARACTERS),
        source: cut(&format!("{catalogue}, {}", claim.locator), TEXT_CHARACTERS),
        source_digest: Some(digest(claim.digest)),
    }
}

/// Of a record.
pub(super) fn of_record(record: &CatalogueRecord, catalogue: &str) -> AssetDescription {
    let text = |value: &Option<String>, most: usize| {
        cut(&single_line(value.as_deref().unwrap_or_default()), most)
    };
    let other = record.title_zh.is_none() && record.title_en.is_none();
    let name_en =
        record.title_en.clone().or_else(|| other.then(|| record.display_name().to_owned()));
    AssetDescription {
        kind: AssetKind::Open.into(),
        name_zh: text(&record.title_zh, NAME_CHARACTERS),
        name_en: text(&name_en, NAME_CHARACTERS),
        summary: text(&record.summary, SUMMARY_CHARACTERS),
        licence: cut(
            record.licence.as_ref().map_or("", |licence| licence.label()),
            TEXT_CHARACTERS,
        ),
        publisher: text(&record.publisher, TEXT_CHARACTERS),
        source_url: text(&record.source_url, 1_000),
        content: record.sha256.map(digest),
        content_bytes: record.bytes.unwrap_or_default(),
        media_type: text(&record.media_type, 127),
        time_from: record.time_from,
        time_to: record.time_to,
        issued: record.issued,
        catalogue: Some(CatalogueSource {
            catalogue: cut(catalogue, 200),
            record: cut(&record.record_id, TEXT_CHARACTERS),
            record_digest: Some(digest(record.record_digest)),
            declared_hash: record
                .declared_hash
                .as_ref()
                .map_or_else(String::new, |h| cut(&h.text, 200)),
            declared_hash_form: record
                .declared_hash
                .as_ref()
                .map_or(DeclaredHashForm::Unspecified, |hash| match hash.form {
                    HashForm::OfFile => DeclaredHashForm::OfFile,
                    HashForm::OfGitBlob => DeclaredHashForm::OfGitBlob,
                    HashForm::Unchecked => DeclaredHashForm::Unchecked,
                    HashForm::Mismatch => DeclaredHashForm::Mismatch,
                })
                .into(),
        }),
        ..AssetDescription::default()
    }
}

fn collection_digest(id: &str, collection: &Collection) -> Hash {
    let parts = [&collection.title, &collection.title_en, &collection.source_url];
    let mut text = id.to_owned();
    for part in parts {
        text.push('\0');
        text.push_str(part.as_deref().unwrap_or_default());
    }
    crate::content::hash(text.as_bytes())
}

/// The rules take no control characters; catalogues have line breaks.
fn single_line(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.split(char::is_control)
        .filter(|part| !part.trim().is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// At most so many characters; a cut is shown by an ellipsis.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['\u{2026}']).collect()
}
