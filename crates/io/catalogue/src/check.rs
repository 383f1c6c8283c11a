//! What every text must keep, whatever format it came from.

use crate::code::Code;
use crate::document::excerpt;
use crate::options::Limits;
use crate::record::{About, CatalogueRecord, HistoryClaim, Wording};
use crate::refusal::Refusal;

pub(crate) fn record(record: &CatalogueRecord, limits: &Limits) -> Result<(), Refusal> {
    identifier(&record.record_id, limits)?;
    let licence = record.licence.as_ref();
    let own = [
        ("collection", record.collection.as_deref()),
        ("title", record.title.as_deref()),
        ("title language", record.title_language.as_deref()),
        ("Chinese title", record.title_zh.as_deref()),
        ("English title", record.title_en.as_deref()),
        ("summary", record.summary.as_deref()),
        ("publisher", record.publisher.as_deref()),
        ("licence", licence.map(|one| one.stated.as_str())),
        ("licence address", licence.and_then(|one| one.url.as_deref())),
        ("source address", record.source_url.as_deref()),
        ("media type", record.media_type.as_deref()),
        ("hash", record.declared_hash.as_ref().map(|one| one.text.as_str())),
    ];
    let files = record.distributions.iter().flat_map(|one| {
        [
            ("file identifier", one.id.as_deref()),
            ("file title", one.title.as_deref()),
            ("file address", one.url.as_deref()),
            ("file media type", one.media_type.as_deref()),
            ("file hash", one.declared_hash.as_ref().map(|hash| hash.text.as_str())),
        ]
    });
    own.into_iter().chain(files).try_for_each(|(name, value)| optional(name, value, limits))
}

pub(crate) fn claim(claim: &HistoryClaim, limits: &Limits) -> Result<(), Refusal> {
    let (About::Record(id) | About::Collection(id)) = &claim.about;
    identifier(id, limits)?;
    wording("category", &claim.category, limits)?;
    wording("reason", &claim.what, limits)?;
    optional("source of the claim", Some(&claim.according_to), limits)
}

fn wording(name: &str, wording: &Wording, limits: &Limits) -> Result<(), Refusal> {
    optional(name, Some(&wording.text), limits)?;
    optional(name, wording.language.as_deref(), limits)?;
    optional(name, wording.english.as_deref(), limits)
}

fn identifier(id: &str, limits: &Limits) -> Result<(), Refusal> {
    if length(id) > limits.identifier_bytes {
        return Err(Refusal::new(
            Code::IdentifierUnusable,
            format!(
                "expected an identifier of at most {} bytes, found {} that start {}; shorten it",
                limits.identifier_bytes,
                id.len(),
                excerpt(id)
            ),
        ));
    }
    // Line breaks are no part of an identifier either.
    control("identifier", id, |_| false)
}

fn optional(name: &str, value: Option<&str>, limits: &Limits) -> Result<(), Refusal> {
    let Some(text) = value else { return Ok(()) };
    if length(text) > limits.text_bytes {
        return Err(Refusal::new(
            Code::TextTooLong,
            format!(
                "{name}: expected at most {} bytes, found {}; shorten the text",
                limits.text_bytes,
                text.len()
            ),
        ));
    }
    control(name, text, |c| matches!(c, '\t' | '\n' | '\r'))
}

fn control(name: &str, text: &str, allowed: fn(char) -> bool) -> Result<(), Refusal> {
    match text.char_indices().find(|(_, c)| c.is_ascii_control() && !allowed(*c)) {
        None => Ok(()),
        Some((position, found)) => Err(Refusal::new(
            Code::ControlCharacter,
            format!(
                "{name}: expected text without control characters, found U+{:04X} at byte {position}; remove it",
                u32::from(found)
            ),
        )),
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
