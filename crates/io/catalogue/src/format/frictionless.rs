//! Frictionless data packages, versions 1 and 2: one record for each resource.

use std::path::{Path, PathBuf};
use std::vec;

use serde_json::value::RawValue;

use super::Opened;
use crate::code::Code;
use crate::contact::without_contacts;
use crate::document::{Document, Members};
use crate::error::SourceError;
use crate::fields::{Notes, is_address, present};
use crate::json::{Json, Object};
use crate::licence::{Statement, licence};
use crate::options::{Format, Options};
use crate::record::{CatalogueRecord, Item, Locator, Place};
use crate::refusal::Refusal;

/// What resources may take over from their package.
#[derive(Default)]
struct Package {
    publisher: Option<String>,
    licences: Option<Json>,
    sources: Option<Json>,
}

struct Resources {
    file: String,
    base: PathBuf,
    package: Package,
    options: Options,
    rest: std::iter::Enumerate<vec::IntoIter<Box<RawValue>>>,
}

pub(crate) fn open(
    document: &Document,
    members: &Members<'_>,
    base: &Path,
    options: &Options,
) -> Result<Opened, SourceError> {
    let Some(raw) = members.get("resources") else {
        return Err(SourceError::JsonShape {
            locator: document.locator(""),
            expected: "a data package with the member `resources`",
            found: "an object without it".to_owned(),
        });
    };
    let resources = document.elements(raw, "/resources", &options.limits)?;
    let mut notes = Notes::default();
    let mut member = |key: &str| -> Option<Json> {
        let raw = members.get(key)?;
        match Json::parse(raw.get(), &options.limits) {
            Ok(json) => Some(json),
            Err(refusal) => {
                notes.note(Code::FieldUnreadable, format!("{key}: {}", refusal.reason));
                None
            }
        }
    };
    let text = |json: Option<Json>| {
        json.as_ref().and_then(Json::as_text).and_then(present).map(str::to_owned)
    };
    let name = text(member("name"));
    let version = text(member("version"));
    let mut package =
        Package { publisher: publisher(member("contributors").as_ref()), ..Package::default() };
    if options.inherit_from_package {
        package.licences = member("licenses");
        package.sources = member("sources");
    }
    let catalogue = name.map(|name| match version {
        Some(version) => format!("{name} {version}"),
        None => name,
    });
    let items = Resources {
        file: document.file.clone(),
        base: base.to_owned(),
        package,
        options: options.clone(),
        rest: resources.into_iter().enumerate(),
    };
    Ok(Opened {
        format: Format::Frictionless,
        catalogue,
        collections: std::collections::BTreeMap::new(),
        notices: notes.0,
        items: Box::new(items),
    })
}

/// The contributor with the role of publisher, by its title. No other contributor is looked at.
fn publisher(contributors: Option<&Json>) -> Option<String> {
    let is_publisher = |object: &Object| {
        ["role", "roles"]
            .iter()
            .filter_map(|key| object.get(*key))
            .any(|roles| roles.elements().iter().any(|role| role.as_text() == Some("publisher")))
    };
    contributors?
        .elements()
        .iter()
        .filter_map(Json::as_object)
        .find(|object| is_publisher(object))
        .and_then(|object| object.get("title"))
        .and_then(Json::as_text)
        .and_then(present)
        .map(str::to_owned)
}

impl Iterator for Resources {
    type Item = Result<Item, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (position, raw) = self.rest.next()?;
        let locator = Locator {
            file: self.file.clone(),
            place: Place::Pointer(format!("/resources/{position}")),
        };
        Some(Ok(match self.record(&raw, locator.clone()) {
            Ok(record) => Item::Record(Box::new(record)),
            Err(refusal) => refusal.at(locator),
        }))
    }
}

impl Resources {
    fn record(&self, raw: &RawValue, locator: Locator) -> Result<CatalogueRecord, Refusal> {
        let json = Json::parse(raw.get(), &self.options.limits)?;
        let object = json
            .as_object()
            .ok_or_else(|| Refusal::shape("a resource as an object", json.kind()))?;
        let mut notes = Notes::default();
        let record_id = notes
            .text(object, "name")
            .ok_or_else(|| Refusal::no_identifier("a member `name` that is a string"))?;
        let mut record = CatalogueRecord { record_id, locator, ..CatalogueRecord::default() };
        record.title = notes.text(object, "title");
        record.summary = notes.text(object, "description");
        record.media_type = notes.text(object, "mediatype");
        record.bytes = object.get("bytes").and_then(|value| notes.count("bytes", value));
        let licences = object.get("licenses").or(self.package.licences.as_ref());
        record.licence = licence(&licence_statements(licences));
        let sources = object.get("sources").or(self.package.sources.as_ref());
        let (source_title, source_url) = first_source(sources);
        record.publisher = publisher(object.get("contributors"))
            .or_else(|| self.package.publisher.clone())
            .or(source_title);
        record.source_url = source_url;
        let hash = notes.text(object, "hash").and_then(|text| notes.hash(&text, None));
        let (hash, declared) = hash.map_or((None, None), |(hash, read)| (Some(hash), read));
        record.declared_hash = hash;
        match paths(object).as_slice() {
            [] => {}
            [one] if is_address(one) => {
                record.source_url.get_or_insert_with(|| (*one).to_owned());
            }
            [one] => {
                notes.attach_file(&mut record, declared.as_ref(), &self.base, one, &self.options);
            }
            several => notes.note(
                Code::SeveralFiles,
                format!("expected one path, found {}; nothing was hashed", several.len()),
            ),
        }
        record.findings = notes.0;
        record.record_digest = self.digest(json);
        Ok(record)
    }

    /// The digest of the resource; of the resource and what it takes from its package, where it takes something.
    fn digest(&self, resource: Json) -> [u8; 32] {
        let taken: Object = [
            ("publisher", self.package.publisher.clone().map(Json::Text)),
            ("licenses", self.package.licences.clone()),
            ("sources", self.package.sources.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
        let whole = if taken.is_empty() {
            resource
        } else {
            let parts = [("package", Json::Object(taken)), ("resource", resource)];
            Json::Object(parts.map(|(key, value)| (key.to_owned(), value)).into())
        };
        without_contacts(whole).digest()
    }
}

fn paths(object: &Object) -> Vec<&str> {
    let path = object.get("path").or_else(|| object.get("url"));
    path.map_or(&[][..], Json::elements).iter().filter_map(Json::as_text).collect()
}

fn licence_statements(licences: Option<&Json>) -> Vec<Statement> {
    let objects = licences.map_or(&[][..], Json::elements).iter().filter_map(Json::as_object);
    objects
        .map(|object| {
            let text = |key: &str| {
                object.get(key).and_then(Json::as_text).and_then(present).map(str::to_owned)
            };
            // Version 0 of the specification wrote `id`, `type` and `url`.
            Statement {
                name: text("name").or_else(|| text("id")).or_else(|| text("type")),
                title: text("title"),
                url: text("path").or_else(|| text("url")),
            }
        })
        .collect()
}

/// Title of the first source, and the first address of any. Their e-mail addresses are not read.
fn first_source(sources: Option<&Json>) -> (Option<String>, Option<String>) {
    let objects = || sources.map_or(&[][..], Json::elements).iter().filter_map(Json::as_object);
    let text = |object: &Object, key: &str| {
        object.get(key).and_then(Json::as_text).and_then(present).map(str::to_owned)
    };
    let title = objects().next().and_then(|one| text(one, "title").or_else(|| text(one, "name")));
    let url = objects()
        .filter_map(|one| text(one, "path").or_else(|| text(one, "web")))
        .find(|address| is_address(address));
    (title, url)
}
