//! Texts in several languages.

use crate::record::CatalogueRecord;

/// A text and its BCP 47 tag, where the source states one.
pub(crate) type Tagged = (Option<String>, String);

fn is(tag: Option<&str>, language: &str) -> bool {
    tag.and_then(|tag| tag.split(['-', '_']).next())
        .is_some_and(|one| one.eq_ignore_ascii_case(language))
}

/// Whether a text looks like a language tag: two or three letters, and subtags.
pub(crate) fn is_tag(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    let first = parts.next().unwrap_or("");
    matches!(first.len(), 2 | 3)
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|part| {
            matches!(part.len(), 1..=8) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// Sets the titles of a record: the first is the main one; Chinese and English are those that are marked so, the first of
/// each where a source has several (traditional and simplified).
pub(crate) fn set_titles(record: &mut CatalogueRecord, texts: &[Tagged]) {
    if let Some((tag, text)) = texts.first() {
        record.title = Some(text.clone());
        record.title_language.clone_from(tag);
    }
    let first_in = |language| {
        texts.iter().find(|(tag, _)| is(tag.as_deref(), language)).map(|(_, text)| text.clone())
    };
    record.title_zh = first_in("zh");
    record.title_en = first_in("en");
}

/// The text in the language of the title, else the first.
pub(crate) fn like_title(record: &CatalogueRecord, texts: Vec<Tagged>) -> Option<String> {
    let position = texts.iter().position(|(tag, _)| *tag == record.title_language).unwrap_or(0);
    texts.into_iter().nth(position).map(|(_, text)| text)
}
