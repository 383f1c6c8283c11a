//! DCAT catalogues: one record for each data set.
//!
//! Understood are a catalogue with its data sets inside, in compact keys, whole addresses or the plain keys of DCAT-US, and
//! a flat `@graph` whose nodes refer to each other. It is not a general JSON-LD reader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec;

use serde_json::value::RawValue;

use super::terms::{Terms, word};
use super::{Opened, adopt_only_distribution};
use crate::code::Code;
use crate::contact::without_contacts;
use crate::document::{Document, Members, Outline};
use crate::error::SourceError;
use crate::fields::{Edge, Notes, is_address};
use crate::json::{Json, Object};
use crate::language::{is_tag, like_title, set_titles};
use crate::licence::{Statement, licence};
use crate::options::{Format, Limits, Options};
use crate::record::{CatalogueRecord, Distribution, Item, Locator, Place};
use crate::refusal::Refusal;

/// Members whose references are looked up, so that they become part of the record.
const EMBEDDED: &[&str] = &["publisher", "distribution", "license", "temporal", "checksum"];
/// References are followed this far: data set, distribution, checksum.
const HOPS: u32 = 3;

/// What is shared by all records of a document.
struct Graph {
    file: String,
    terms: Terms,
    limits: Limits,
    /// Nodes that others may refer to.
    nodes: BTreeMap<String, Box<RawValue>>,
}

struct Datasets {
    graph: Arc<Graph>,
    datasets: vec::IntoIter<(String, Box<RawValue>)>,
}

pub(crate) fn open(
    document: &Document,
    outline: &Outline<'_>,
    options: &Options,
) -> Result<Opened, SourceError> {
    let limits = &options.limits;
    let context = match outline {
        Outline::Object(members) => members.get("@context").copied(),
        Outline::List(_) => None,
    };
    let context = context.and_then(|raw| Json::parse(raw.get(), limits).ok());
    let mut graph = Graph {
        file: document.file.clone(),
        terms: Terms::new(context.as_ref()),
        limits: *limits,
        nodes: BTreeMap::new(),
    };
    let (title, datasets) = match outline {
        Outline::List(raw) => graph.flat(document, raw, "")?,
        Outline::Object(members) => match members.get("@graph") {
            Some(raw) => graph.flat(document, raw, "/@graph")?,
            None => graph.nested(document, members)?,
        },
    };
    let items = Datasets { graph: Arc::new(graph), datasets: datasets.into_iter() };
    Ok(Opened {
        format: Format::Dcat,
        catalogue: title,
        collections: BTreeMap::new(),
        notices: Vec::new(),
        items: Box::new(items),
    })
}

type Found = (Option<String>, Vec<(String, Box<RawValue>)>);

impl Graph {
    /// A catalogue with its data sets inside, or a single data set.
    fn nested(&self, document: &Document, members: &Members<'_>) -> Result<Found, SourceError> {
        let member = |local: &str| members.iter().find(|(key, _)| self.terms.local(key) == local);
        if let Some((key, raw)) = member("dataset") {
            let title =
                member("title").and_then(|(_, raw)| Json::parse(raw.get(), &self.limits).ok());
            let title = self.terms.texts(title.as_ref()).into_iter().next().map(|(_, text)| text);
            return Ok((title, self.inner(document, raw, &pointer("", key))?));
        }
        let types = members.get("@type").and_then(|raw| Json::parse(raw.get(), &self.limits).ok());
        let node: Object = types.map(|types| ("@type".to_owned(), types)).into_iter().collect();
        if self.terms.is_a(&node, "Dataset") {
            let whole = RawValue::from_string(document.text.clone());
            return Ok((None, whole.ok().map(|raw| (String::new(), raw)).into_iter().collect()));
        }
        if self.terms.is_a(&node, "Catalog") {
            return Ok((None, Vec::new()));
        }
        Err(SourceError::JsonShape {
            locator: document.locator(""),
            expected: "a catalogue with `dataset`, a data set, or `@graph`",
            found: "an object without them".to_owned(),
        })
    }

    /// The data sets of a catalogue: an array, or one alone.
    fn inner(
        &self,
        document: &Document,
        raw: &RawValue,
        pointer: &str,
    ) -> Result<Vec<(String, Box<RawValue>)>, SourceError> {
        if !raw.get().starts_with('[') {
            return Ok(vec![(pointer.to_owned(), raw.to_owned())]);
        }
        let list = document.elements(raw, pointer, &self.limits)?;
        Ok((0..).zip(list).map(|(n, raw): (u64, _)| (format!("{pointer}/{n}"), raw)).collect())
    }

    /// A flat list of nodes. Data sets that stand inside a catalogue node count as well.
    fn flat(
        &mut self,
        document: &Document,
        raw: &RawValue,
        prefix: &str,
    ) -> Result<Found, SourceError> {
        let mut title = None;
        let mut datasets = Vec::new();
        let nodes = document.elements(raw, prefix, &self.limits)?;
        for (position, raw) in nodes.into_iter().enumerate() {
            let here = format!("{prefix}/{position}");
            let Ok(json) = Json::parse(raw.get(), &self.limits) else {
                // A catalogue with everything inside may be large; any other is reported when its turn comes.
                match self.large_catalogue(document, &raw, &here) {
                    Some(inner) => datasets.extend(inner),
                    None => datasets.push((here, raw)),
                }
                continue;
            };
            let Some(object) = json.as_object() else {
                datasets.push((here, raw));
                continue;
            };
            if self.terms.is_a(object, "Catalog") {
                let titles = self.terms.texts(self.terms.get(object, "title"));
                title = title.or_else(|| titles.into_iter().next().map(|(_, text)| text));
                datasets.extend(self.large_catalogue(document, &raw, &here).unwrap_or_default());
            } else if self.terms.is_a(object, "Dataset") {
                datasets.push((here, raw));
            } else if let Some(id) = object.get("@id").and_then(Json::as_text) {
                self.nodes.entry(id.to_owned()).or_insert(raw);
            }
        }
        Ok((title, datasets))
    }

    /// The data sets inside a catalogue node, without those that it only refers to.
    fn large_catalogue(
        &self,
        document: &Document,
        raw: &RawValue,
        here: &str,
    ) -> Option<Vec<(String, Box<RawValue>)>> {
        let members = document.members(raw, here).ok()?;
        let (key, inner) = members.iter().find(|(key, _)| self.terms.local(key) == "dataset")?;
        let mut inner = self.inner(document, inner, &pointer(here, key)).ok()?;
        inner.retain(|(_, raw)| {
            let reference = |json: &Json| {
                json.as_text().is_some()
                    || json.as_object().is_some_and(|o| o.len() == 1 && o.contains_key("@id"))
            };
            !Json::parse(raw.get(), &self.limits).is_ok_and(|json| reference(&json))
        });
        Some(inner)
    }

    /// Puts the nodes that a record refers to in the place of the references. Publishers that are people are left out.
    fn embed(&self, json: Json, hops: u32, room: &mut Room) -> Result<Json, Refusal> {
        let Json::Object(object) = json else { return Ok(json) };
        let mut embedded = Object::new();
        for (key, value) in object {
            let local = self.terms.local(&key);
            let value = match value {
                value if !EMBEDDED.contains(&local) => value,
                Json::List(list) => {
                    let list = list.into_iter().map(|one| self.resolve(one, hops, room));
                    Json::List(list.collect::<Result<_, _>>()?)
                }
                one => self.resolve(one, hops, room)?,
            };
            let person = |one: &Json| one.as_object().is_some_and(|o| self.terms.is_a(o, "Person"));
            if !(local == "publisher" && value.elements().iter().any(person)) {
                embedded.insert(key, value);
            }
        }
        Ok(Json::Object(embedded))
    }

    fn resolve(&self, value: Json, hops: u32, room: &mut Room) -> Result<Json, Refusal> {
        let Some(hops) = hops.checked_sub(1) else { return Ok(value) };
        let id = match &value {
            Json::Text(text) => Some(text.as_str()),
            Json::Object(object) if object.len() == 1 => object.get("@id").and_then(Json::as_text),
            _ => None,
        };
        let Some(node) = id.and_then(|id| self.nodes.get(id)) else {
            return self.embed(value, hops, room);
        };
        room.take(node)?;
        let node = Json::parse(node.get(), &self.limits).unwrap_or(value);
        self.embed(node, hops, room)
    }
}

/// Bytes of nodes that may yet become part of a record. A reference is short, and the node that it is replaced by may be large and
/// hold references itself: without a bound a small file asks for any amount of memory.
struct Room {
    left: u64,
    limit: u64,
}

impl Room {
    const fn new(limits: &Limits) -> Self {
        Self { left: limits.record_bytes, limit: limits.record_bytes }
    }

    /// Counts a node before it is copied.
    fn take(&mut self, node: &RawValue) -> Result<(), Refusal> {
        let length = u64::try_from(node.get().len()).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| Refusal::too_large(self.limit))?;
        Ok(())
    }
}

/// A JSON pointer one step further.
fn pointer(prefix: &str, key: &str) -> String {
    format!("{prefix}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl Iterator for Datasets {
    type Item = Result<Item, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (pointer, raw) = self.datasets.next()?;
        let locator = Locator { file: self.graph.file.clone(), place: Place::Pointer(pointer) };
        Some(Ok(match self.graph.record(&raw, locator.clone()) {
            Ok(record) => Item::Record(Box::new(record)),
            Err(refusal) => refusal.at(locator),
        }))
    }
}

impl Graph {
    fn record(&self, raw: &RawValue, locator: Locator) -> Result<CatalogueRecord, Refusal> {
        let own = Json::parse(raw.get(), &self.limits)?;
        let json = self.embed(own, HOPS, &mut Room::new(&self.limits))?;
        let object = match &json {
            Json::Object(object) if object.len() > 1 || !object.contains_key("@id") => object,
            Json::Object(_) | Json::Text(_) => {
                let reason =
                    "expected a data set, found only a reference to one; fetch its description";
                return Err(Refusal::new(Code::ReferenceOnly, reason.to_owned()));
            }
            other => return Err(Refusal::shape("a data set as an object", other.kind())),
        };
        let get = |local: &str| self.terms.get(object, local);
        let own_id =
            || object.get("@id").and_then(Json::as_text).filter(|id| !id.starts_with("_:"));
        let record_id =
            word(get("identifier")).or_else(|| own_id().map(str::to_owned)).ok_or_else(|| {
                Refusal::no_identifier("`dct:identifier`, or an `@id` that is no blank node")
            })?;
        let mut notes = Notes::default();
        let mut record = CatalogueRecord { record_id, locator, ..CatalogueRecord::default() };
        let terms = self.terms_of(get("language"));
        set_titles(&mut record, &terms.texts(get("title")));
        let summaries = terms.texts(get("description"));
        record.summary = like_title(&record, summaries);
        record.publisher = self.publisher(get("publisher"));
        let page = word(get("landingPage")).and_then(|text| notes.address("landingPage", &text));
        record.source_url =
            page.or_else(|| own_id().filter(|id| is_address(id)).map(str::to_owned));
        let mut day =
            |field: &str| word(get(field)).map_or(0, |text| notes.day(field, &text, Edge::Exact));
        record.issued = day("issued");
        record.modified = day("modified");
        record.collection = word(get("inSeries")).or_else(|| word(get("isPartOf")));
        self.set_times(&mut record, &mut notes, get("temporal"));
        let nodes = get("distribution").map_or(&[][..], Json::elements).iter();
        let nodes: Vec<&Object> = nodes.filter_map(Json::as_object).collect();
        record.licence = licence(&self.licence_statements(object, &nodes));
        let distributions = nodes.iter().map(|one| self.distribution(&mut notes, one)).collect();
        adopt_only_distribution(&mut record, distributions);
        record.findings = notes.0;
        record.record_digest = without_contacts(json).digest();
        Ok(record)
    }

    /// A data set that states one language gives it to its texts without a tag.
    fn terms_of(&self, language: Option<&Json>) -> Terms {
        let mut terms = self.terms.clone();
        if terms.language.is_none()
            && let [Json::Text(tag)] = language.map_or(&[][..], Json::elements)
            && is_tag(tag)
        {
            terms.language = Some(tag.clone());
        }
        terms
    }

    /// The name of the publishing organisation.
    fn publisher(&self, value: Option<&Json>) -> Option<String> {
        let first = value?.elements().first()?;
        let Some(object) = first.as_object() else {
            return first.as_text().filter(|text| !is_address(text)).map(str::to_owned);
        };
        let name = self.terms.texts(self.terms.get(object, "name"));
        name.into_iter().next().map(|(_, text)| text)
    }

    /// A period as nodes (`dcat:startDate`, `schema:startDate`) or as DCAT-US writes it: `start/end`.
    fn set_times(&self, record: &mut CatalogueRecord, notes: &mut Notes, value: Option<&Json>) {
        let Some(first) = value.and_then(|value| value.elements().first()) else { return };
        let (start, end) = if let Some(object) = first.as_object() {
            let stated = |local: &str| word(self.terms.get(object, local));
            (stated("startDate"), stated("endDate"))
        } else {
            let text = first.as_text().unwrap_or_default();
            let (start, end) = text.split_once('/').unwrap_or((text, text));
            (Some(start.to_owned()), Some(end.to_owned()))
        };
        record.time_from = start.map_or(0, |text| notes.day("temporal", &text, Edge::First));
        record.time_to = end.map_or(0, |text| notes.day("temporal", &text, Edge::Last));
    }

    /// The data set's licence, else the different ones of its distributions.
    fn licence_statements(&self, dataset: &Object, distributions: &[&Object]) -> Vec<Statement> {
        let own: Vec<_> = self.licences_of(dataset);
        if !own.is_empty() {
            return own;
        }
        let mut found = Vec::new();
        for statement in distributions.iter().flat_map(|one| self.licences_of(one)) {
            if !found.contains(&statement) {
                found.push(statement);
            }
        }
        found
    }

    fn licences_of(&self, object: &Object) -> Vec<Statement> {
        let values = self.terms.get(object, "license").map_or(&[][..], Json::elements).iter();
        let statement = |value: &Json| {
            let node = value.as_object();
            let titles = node.map(|node| self.terms.texts(self.terms.get(node, "title")));
            let title = titles.and_then(|texts| texts.into_iter().next()).map(|(_, text)| text);
            let text = word(Some(value));
            let (url, name) = text.map_or((None, None), |text| {
                if is_address(&text) { (Some(text), None) } else { (None, Some(text)) }
            });
            Statement { name, title, url }
        };
        values.map(statement).filter(|one| *one != Statement::default()).collect()
    }

    fn distribution(&self, notes: &mut Notes, object: &Object) -> Distribution {
        let stated = |local: &str| word(self.terms.get(object, local));
        let size = stated("byteSize").map(|text| {
            // xsd:decimal may end in a point and zeros.
            let whole = text.split_once('.').filter(|(_, part)| part.bytes().all(|b| b == b'0'));
            whole.map_or(text.clone(), |(whole, _)| whole.to_owned())
        });
        let size = size.map(Json::Text);
        let size = size.as_ref().or_else(|| self.terms.get(object, "byteSize"));
        let checksum = self.terms.get(object, "checksum").and_then(|one| one.elements().first());
        let hash = checksum.and_then(Json::as_object).and_then(|node| {
            let value = word(self.terms.get(node, "checksumValue"))?;
            let algorithm = word(self.terms.get(node, "algorithm"));
            notes.hash(&value, algorithm.as_deref())
        });
        let titles = self.terms.texts(self.terms.get(object, "title"));
        Distribution {
            id: stated("identifier"),
            title: titles.into_iter().next().map(|(_, text)| text),
            url: stated("downloadURL")
                .or_else(|| stated("accessURL"))
                .filter(|text| is_address(text)),
            media_type: stated("mediaType").map(|text| media_type(&text).to_owned()),
            bytes: size.and_then(|value| notes.count("byteSize", value)),
            declared_hash: hash.map(|(hash, _)| hash),
        }
    }
}

/// The media type of an address in IANA's list; others as they are.
fn media_type(text: &str) -> &str {
    text.split_once("/media-types/").map_or(text, |(_, rest)| rest)
}
