//! A JSON document, taken apart into raw records that are then read one by one.
//!
//! Only the outline is parsed here. A record that is too deep, repeats a key or holds a number out of range therefore
//! costs that record, not the document.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::SourceError;
use crate::options::Limits;
use crate::record::{Locator, Place};

/// The text of a JSON catalogue and its name.
pub(crate) struct Document {
    pub(crate) file: String,
    pub(crate) text: String,
}

/// Members of the outermost object, by key.
pub(crate) type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The outermost value of a document.
pub(crate) enum Outline<'a> {
    Object(Members<'a>),
    List(&'a RawValue),
}

impl Document {
    pub(crate) fn locator(&self, pointer: impl Into<String>) -> Locator {
        Locator { file: self.file.clone(), place: Place::Pointer(pointer.into()) }
    }

    pub(crate) fn outline(&self) -> Result<Outline<'_>, SourceError> {
        let raw: &RawValue =
            serde_json::from_str(&self.text).map_err(|error| self.syntax(&error))?;
        if raw.get().starts_with('[') {
            return Ok(Outline::List(raw));
        }
        self.members(raw, "").map(Outline::Object)
    }

    /// The members of an object; the last of repeated keys is not silently preferred.
    pub(crate) fn members<'a>(
        &self,
        raw: &'a RawValue,
        pointer: &str,
    ) -> Result<Members<'a>, SourceError> {
        let expected = "an object in which each key occurs once";
        let mut source = serde_json::Deserializer::from_str(raw.get());
        let read = (&mut source).deserialize_map(MembersVisitor);
        read.map_err(|_shape| self.shape(pointer, expected, raw))
    }

    /// The raw elements of an array.
    pub(crate) fn elements(
        &self,
        raw: &RawValue,
        pointer: &str,
        limits: &Limits,
    ) -> Result<Vec<Box<RawValue>>, SourceError> {
        let visitor = ElementsVisitor { limit: limits.items };
        let mut source = serde_json::Deserializer::from_str(raw.get());
        match (&mut source).deserialize_seq(visitor) {
            Ok(Some(list)) => Ok(list),
            Ok(None) => {
                Err(SourceError::TooManyItems { file: self.file.clone(), limit: limits.items })
            }
            Err(_shape) => Err(self.shape(pointer, "an array", raw)),
        }
    }

    pub(crate) fn shape(
        &self,
        pointer: &str,
        expected: &'static str,
        found: &RawValue,
    ) -> SourceError {
        SourceError::JsonShape {
            locator: self.locator(pointer),
            expected,
            found: excerpt(found.get()),
        }
    }

    fn syntax(&self, error: &serde_json::Error) -> SourceError {
        SourceError::JsonSyntax {
            file: self.file.clone(),
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        }
    }
}

/// The beginning of a raw value, fit for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::new();
        while let Some((key, value)) = source.next_entry::<String, &'de RawValue>()? {
            if members.insert(key, value).is_some() {
                return Err(A::Error::custom("a key occurs twice"));
            }
        }
        Ok(members)
    }
}

struct ElementsVisitor {
    limit: u64,
}

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Option<Vec<Box<RawValue>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        let mut within = true;
        while let Some(element) = source.next_element::<&'de RawValue>()? {
            within = within && u64::try_from(list.len()).unwrap_or(u64::MAX) < self.limit;
            if within {
                list.push(element.to_owned());
            }
        }
        Ok(within.then_some(list))
    }
}
