//! Names of things in JSON-LD, as far as DCAT catalogues need them.
//!
//! A key is known by its local name (`title`) if it stands alone, behind a usual prefix (`dct:title`), behind a prefix
//! that the document's own context gives to a known vocabulary, or as a whole address. Contexts are never fetched.

use std::collections::BTreeMap;

use crate::fields::present;
use crate::json::{Json, Object};
use crate::language::{Tagged, is_tag};

/// Vocabularies, and the prefixes that are usual for them.
const VOCABULARIES: &[(&str, &[&str])] = &[
    ("http://purl.org/dc/terms/", &["dct", "dcterms"]),
    ("http://purl.org/dc/elements/1.1/", &["dc"]),
    ("http://www.w3.org/ns/dcat#", &["dcat"]),
    ("http://xmlns.com/foaf/0.1/", &["foaf"]),
    ("http://schema.org/", &["schema"]),
    ("https://schema.org/", &["sdo"]),
    ("http://spdx.org/rdf/terms#", &["spdx"]),
    ("http://www.w3.org/2000/01/rdf-schema#", &["rdfs"]),
    ("http://www.w3.org/2004/02/skos/core#", &["skos"]),
    ("http://www.w3.org/2006/vcard/ns#", &["vcard"]),
    ("http://www.w3.org/2006/time#", &["time"]),
    ("http://www.w3.org/ns/adms#", &["adms"]),
    ("https://project-open-data.cio.gov/v1.1/schema#", &["pod"]),
];

/// What a document's context says of its names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Other prefixes of known vocabularies.
    prefixes: Vec<String>,
    /// Own names for known terms: name, local name.
    aliases: BTreeMap<String, String>,
    /// Language of texts without a tag.
    pub(crate) language: Option<String>,
}

impl Terms {
    pub(crate) fn new(context: Option<&Json>) -> Self {
        let mut terms = Self::default();
        for part in context.map_or(&[][..], Json::elements).iter().filter_map(Json::as_object) {
            for (name, value) in part {
                let nested = value.as_object().and_then(|object| object.get("@id"));
                let Some(text) = value.as_text().or_else(|| nested.and_then(Json::as_text)) else {
                    continue;
                };
                if name == "@language" {
                    terms.language = Some(text.to_owned());
                } else if VOCABULARIES.iter().any(|(address, _)| *address == text) {
                    terms.prefixes.push(name.clone());
                } else if let Some(local) = known(text) {
                    terms.aliases.insert(name.clone(), local.to_owned());
                }
            }
        }
        terms
    }

    /// The local name of a key or type; the key itself if it is of no known vocabulary.
    pub(crate) fn local<'a>(&'a self, key: &'a str) -> &'a str {
        if let Some(local) = self.aliases.get(key) {
            return local;
        }
        if let Some(local) = known(key) {
            return local;
        }
        match key.split_once(':') {
            Some((prefix, local)) if self.prefixes.iter().any(|one| one == prefix) => local,
            _ => key,
        }
    }

    /// The member of that local name; of several the first by key.
    pub(crate) fn get<'a>(&self, object: &'a Object, local: &str) -> Option<&'a Json> {
        object
            .get(local)
            .or_else(|| {
                object.iter().find(|(key, _)| self.local(key) == local).map(|(_, value)| value)
            })
            .filter(|value| **value != Json::Null)
    }

    /// Whether a node is of a type.
    pub(crate) fn is_a(&self, object: &Object, local: &str) -> bool {
        let types = object.get("@type").map_or(&[][..], Json::elements);
        types.iter().filter_map(Json::as_text).any(|one| self.local(one) == local)
    }

    /// The texts of a value: plain, tagged, a list of such, or a map of languages.
    pub(crate) fn texts(&self, value: Option<&Json>) -> Vec<Tagged> {
        value.map_or(&[][..], Json::elements).iter().flat_map(|one| self.texts_of(one)).collect()
    }

    fn texts_of(&self, value: &Json) -> Vec<Tagged> {
        let tagged = |tag: Option<&str>, text: &str| {
            let tag = tag.map(str::to_owned).or_else(|| self.language.clone());
            present(text).map(|text| (tag, text.to_owned()))
        };
        match value {
            Json::Text(text) => tagged(None, text).into_iter().collect(),
            Json::Object(object) => match object.get("@value") {
                Some(inner) => {
                    let tag = object.get("@language").and_then(Json::as_text);
                    inner.as_text().and_then(|text| tagged(tag, text)).into_iter().collect()
                }
                None => object
                    .iter()
                    .filter(|(key, _)| is_tag(key))
                    .filter_map(|(key, text)| tagged(Some(key.as_str()), text.as_text()?))
                    .collect(),
            },
            _ => Vec::new(),
        }
    }
}

/// The first text or address of a value.
pub(crate) fn word(value: Option<&Json>) -> Option<String> {
    value?.elements().iter().find_map(|one| {
        let text = match one {
            Json::Text(text) => Some(text.as_str()),
            Json::Object(object) => {
                object.get("@value").or_else(|| object.get("@id")).and_then(Json::as_text)
            }
            _ => None,
        };
        text.and_then(present).map(str::to_owned)
    })
}

/// The local name of a whole address or of a name with a usual prefix.
fn known(name: &str) -> Option<&str> {
    VOCABULARIES.iter().find_map(|(address, prefixes)| {
        name.strip_prefix(address).or_else(|| {
            let (prefix, local) = name.split_once(':')?;
            prefixes.contains(&prefix).then_some(local)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Limits;

    fn parse(raw: &str) -> Json {
        Json::parse(raw, &Limits::default()).unwrap()
    }

    #[test]
    fn names_are_known_in_every_spelling() {
        let context = parse(
            r#"["https://example.org/never-fetched.jsonld",
                {"d": "http://purl.org/dc/terms/", "titel": "dct:title", "naam": {"@id": "foaf:name"}}]"#,
        );
        let terms = Terms::new(Some(&context));
        for (key, local) in [
            ("title", "title"),
            ("dct:title", "title"),
            ("dcterms:title", "title"),
            ("d:title", "title"),
            ("titel", "title"),
            ("naam", "name"),
            ("http://purl.org/dc/terms/title", "title"),
            ("http://www.w3.org/ns/dcat#Dataset", "Dataset"),
            ("custom:title", "custom:title"),
            ("http://example.org/title", "http://example.org/title"),
        ] {
            assert_eq!(terms.local(key), local, "{key}");
        }
    }

    #[test]
    fn texts_in_every_shape() {
        let terms = Terms::new(Some(&parse(r#"{"@language": "da"}"#)));
        let tagged = |tag: &str, text: &str| (Some(tag.to_owned()), text.to_owned());
        for (raw, expected) in [
            (r#""x""#, vec![tagged("da", "x")]),
            (r#"{"@value": "x", "@language": "zh-Hant"}"#, vec![tagged("zh-Hant", "x")]),
            (
                r#"[{"@value": "x", "@language": "en"}, "y"]"#,
                vec![tagged("en", "x"), tagged("da", "y")],
            ),
            (r#"{"en": "x", "zh-Hant": "y"}"#, vec![tagged("en", "x"), tagged("zh-Hant", "y")]),
            (r#"{"@id": "http://example.org"}"#, vec![]),
            ("7", vec![]),
            (r#""  ""#, vec![]),
        ] {
            assert_eq!(terms.texts(Some(&parse(raw))), expected, "{raw}");
        }
    }
}
