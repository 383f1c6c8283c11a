//! Answers of CKAN servers: one record for each package (data set).

use std::collections::BTreeMap;
use std::vec;

use serde_json::value::RawValue;

use super::{Opened, adopt_only_distribution};
use crate::code::Code;
use crate::contact::without_contacts;
use crate::document::{Document, Members};
use crate::error::SourceError;
use crate::fields::{Edge, Notes, is_address, present};
use crate::json::{Json, Object};
use crate::language::{Tagged, like_title, set_titles};
use crate::licence::{Statement, licence};
use crate::options::{Format, Limits, Options};
use crate::record::{CatalogueRecord, Distribution, Finding, Item, Locator, Place};
use crate::refusal::Refusal;

struct Packages {
    file: String,
    prefix: &'static str,
    limits: Limits,
    rest: std::iter::Enumerate<vec::IntoIter<Box<RawValue>>>,
}

pub(crate) fn open(
    document: &Document,
    members: &Members<'_>,
    options: &Options,
) -> Result<Opened, SourceError> {
    if members.get("success").is_some_and(|raw| raw.get() == "false") {
        return Err(SourceError::CatalogueRefused { file: document.file.clone() });
    }
    let Some(&result) = members.get("result") else {
        return Err(SourceError::JsonShape {
            locator: document.locator(""),
            expected: "an answer with the member `result`",
            found: "an object without it".to_owned(),
        });
    };
    let mut notices = Vec::new();
    let (prefix, packages) = if result.get().starts_with('[') {
        ("/result", document.elements(result, "/result", &options.limits)?)
    } else {
        let inner = document.members(result, "/result")?;
        if let Some(results) = inner.get("results") {
            let list = document.elements(results, "/result/results", &options.limits)?;
            notices.extend(incomplete(&inner, list.len()));
            ("/result/results", list)
        } else if inner.contains_key("id") || inner.contains_key("name") {
            ("", vec![result.to_owned()])
        } else {
            return Err(document.shape("/result", "`results`, or a package", result));
        }
    };
    let items = Packages {
        file: document.file.clone(),
        prefix,
        limits: options.limits,
        rest: packages.into_iter().enumerate(),
    };
    Ok(Opened {
        format: Format::Ckan,
        catalogue: server(members),
        collections: BTreeMap::new(),
        notices,
        items: Box::new(items),
    })
}

/// A search answers in pages. Taking one for the whole would lose the rest without a word.
fn incomplete(result: &Members<'_>, found: usize) -> Option<Finding> {
    let count: u64 = result.get("count")?.get().parse().ok()?;
    (count > u64::try_from(found).unwrap_or(u64::MAX)).then(|| Finding {
        code: Code::IncompletePage,
        text: format!("expected the {count} records that the server counts, found {found}"),
    })
}

/// The server's name, from the address of its help text.
fn server(members: &Members<'_>) -> Option<String> {
    let help: String = serde_json::from_str(members.get("help")?.get()).ok()?;
    let host = help.split("://").nth(1)?.split('/').next()?;
    let host = host.rsplit('@').next().unwrap_or(host);
    present(host).map(str::to_owned)
}

impl Iterator for Packages {
    type Item = Result<Item, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (position, raw) = self.rest.next()?;
        let pointer = match self.prefix {
            "" => "/result".to_owned(),
            prefix => format!("{prefix}/{position}"),
        };
        let locator = Locator { file: self.file.clone(), place: Place::Pointer(pointer) };
        Some(Ok(match record(&raw, locator.clone(), &self.limits) {
            Ok(record) => Item::Record(Box::new(record)),
            Err(refusal) => refusal.at(locator),
        }))
    }
}

fn record(raw: &RawValue, locator: Locator, limits: &Limits) -> Result<CatalogueRecord, Refusal> {
    let json = Json::parse(raw.get(), limits)?;
    if json.as_text().is_some() {
        let reason =
            "expected a package, found only its name; fetch the packages by package_search";
        return Err(Refusal::new(Code::ReferenceOnly, reason.to_owned()));
    }
    let object =
        json.as_object().ok_or_else(|| Refusal::shape("a package as an object", json.kind()))?;
    refuse_hidden(object)?;
    let mut notes = Notes::default();
    let record_id = notes
        .text(object, "id")
        .or_else(|| notes.text(object, "name"))
        .ok_or_else(|| Refusal::no_identifier("a member `id` or `name` that is a string"))?;
    let mut record = CatalogueRecord { record_id, locator, ..CatalogueRecord::default() };
    set_titles(&mut record, &translated(&mut notes, object, "title"));
    let summaries = translated(&mut notes, object, "notes");
    record.summary = like_title(&record, summaries);
    record.publisher = publisher(object);
    record.licence = licence(&[licence_statement(&mut notes, object)]);
    record.source_url = notes.text(object, "url").and_then(|text| notes.address("url", &text));
    let mut day = |field: &str, fallback: &str, edge| {
        let text = extra(object, field).or_else(|| extra(object, fallback));
        text.map_or(0, |text| notes.day(field, text, edge))
    };
    record.issued = day("issued", "metadata_created", Edge::Exact);
    record.modified = day("modified", "metadata_modified", Edge::Exact);
    record.time_from = day("temporal_start", "temporal_start", Edge::First);
    record.time_to = day("temporal_end", "temporal_end", Edge::Last);
    let resources = object.get("resources").map_or(&[][..], Json::elements);
    let distributions = resources
        .iter()
        .filter_map(Json::as_object)
        .map(|one| distribution(&mut notes, one))
        .collect();
    adopt_only_distribution(&mut record, distributions);
    record.findings = notes.0;
    record.record_digest = without_contacts(json).digest();
    Ok(record)
}

/// A server that is asked with a key also answers with what is not public.
fn refuse_hidden(object: &Object) -> Result<(), Refusal> {
    let private = object.get("private") == Some(&Json::Bool(true));
    let state = object.get("state").and_then(Json::as_text).unwrap_or("active");
    if !private && state == "active" {
        return Ok(());
    }
    let found = if private { "private" } else { "another state" };
    Err(Refusal::new(
        Code::NotPublic,
        format!("expected an active, public package, found {found}; it is not imported"),
    ))
}

/// A field of the package, or of its list of extra fields.
fn extra<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    let own = object.get(field).and_then(Json::as_text);
    let extras = object.get("extras").map_or(&[][..], Json::elements);
    let listed = extras
        .iter()
        .filter_map(Json::as_object)
        .find(|pair| pair.get("key").and_then(Json::as_text) == Some(field))
        .and_then(|pair| pair.get("value"))
        .and_then(Json::as_text);
    own.or(listed).and_then(present)
}

/// `field`, then the languages of `field_translated`, by tag.
fn translated(notes: &mut Notes, object: &Object, field: &str) -> Vec<Tagged> {
    let mut texts: Vec<Tagged> =
        notes.text(object, field).map(|text| (None, text)).into_iter().collect();
    let translations = object.get(&format!("{field}_translated")).and_then(Json::as_object);
    for (tag, value) in translations.into_iter().flatten() {
        if let Some(text) = value.as_text().and_then(present) {
            texts.push((Some(tag.clone()), text.to_owned()));
        }
    }
    texts
}

/// The organisation. Author and maintainer are people, and not read.
fn publisher(object: &Object) -> Option<String> {
    let organisation = object.get("organization").and_then(Json::as_object);
    let title = organisation.and_then(|one| one.get("title").or_else(|| one.get("name")));
    title
        .and_then(Json::as_text)
        .and_then(present)
        .or_else(|| extra(object, "publisher_name"))
        .map(str::to_owned)
}

fn licence_statement(notes: &mut Notes, object: &Object) -> Statement {
    let name = notes.text(object, "license_id");
    if name.as_deref() == Some("notspecified") {
        return Statement::default();
    }
    let title = notes.text(object, "license_title");
    Statement { name, title, url: notes.text(object, "license_url") }
}

fn distribution(notes: &mut Notes, object: &Object) -> Distribution {
    Distribution {
        id: notes.text(object, "id"),
        title: notes.text(object, "name"),
        url: notes.text(object, "url").filter(|text| is_address(text)),
        media_type: notes.text(object, "mimetype"),
        bytes: object.get("size").and_then(|value| notes.count("size", value)),
        declared_hash: notes
            .text(object, "hash")
            .and_then(|text| notes.hash(&text, None))
            .map(|(hash, _)| hash),
    }
}
