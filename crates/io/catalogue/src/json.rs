//! JSON of one record, read with bounds, and its canonical bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use crate::code::Code;
use crate::options::Limits;
use crate::refusal::Refusal;

/// serde_json itself gives up at 128 levels, with an error that cannot be told from others.
const DEEPEST: u32 = 100;

pub(crate) type Object = BTreeMap<String, Json>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Object(Object),
}

impl Json {
    pub(crate) fn parse(raw: &str, limits: &Limits) -> Result<Self, Refusal> {
        if u64::try_from(raw.len()).unwrap_or(u64::MAX) > limits.record_bytes {
            return Err(Refusal::too_large(limits.record_bytes));
        }
        let refusal = RefCell::new(None);
        let reader = Reader { levels: limits.depth.min(DEEPEST), refusal: &refusal };
        let mut source = serde_json::Deserializer::from_str(raw);
        let parsed = reader.deserialize(&mut source).and_then(|json| source.end().map(|()| json));
        parsed.map_err(|error| {
            refusal.take().unwrap_or_else(|| {
                Refusal::new(
                    Code::RecordMalformed,
                    format!("expected JSON with a value, found: {error}; correct the record"),
                )
            })
        })
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The elements of a list; anything else is a list of itself, null an empty one.
    pub(crate) fn elements(&self) -> &[Self] {
        match self {
            Self::Null => &[],
            Self::List(list) => list,
            other => std::slice::from_ref(other),
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// SHA-256 of the canonical bytes.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        self.write_canonical(&mut bytes);
        Sha256::digest(&bytes).into()
    }

    /// RFC 8785, except that integers of 64 bits keep all their digits. Recursion is bounded by the depth limit.
    pub(crate) fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Unsigned(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Signed(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Float(value) => out.extend_from_slice(ecmascript_number(*value).as_bytes()),
            Self::Text(text) => write_string(text, out),
            Self::List(list) => {
                out.push(b'[');
                for (position, element) in list.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    element.write_canonical(out);
                }
                out.push(b']');
            }
            Self::Object(object) => {
                let mut members: Vec<_> = object.iter().collect();
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push(b'{');
                for (position, (key, value)) in members.into_iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    value.write_canonical(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A finite number as ECMAScript prints it (ECMA-262, Number::toString).
fn ecmascript_number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // The shortest digits that read back as the same number, as `d.ddde±n`.
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = exponent.parse::<i32>().unwrap_or(0).saturating_add(1);
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    if count <= point && point <= 21 {
        format!("{sign}{digits}{}", zeros(point - count))
    } else if 0 < point && point <= 21 {
        let (whole, part) = digits.split_at(usize::try_from(point).unwrap_or(0).min(digits.len()));
        format!("{sign}{whole}.{part}")
    } else if -6 < point && point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
    }
}

/// Builds a tree, no deeper than `levels`, and refuses repeated keys.
#[derive(Clone, Copy)]
struct Reader<'a> {
    levels: u32,
    refusal: &'a RefCell<Option<Refusal>>,
}

impl Reader<'_> {
    fn refuse<E: Error>(&self, code: Code, reason: String) -> E {
        let error = E::custom(&reason);
        self.refusal.replace(Some(Refusal::new(code, reason)));
        error
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels, ..self }),
            None => Err(self.refuse(
                Code::RecordTooDeep,
                "expected fewer levels of nesting than the limit, found more; flatten the record"
                    .to_owned(),
            )),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(element) = source.next_element_seed(inner)? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut object = Object::new();
        while let Some(key) = source.next_key::<String>()? {
            match object.entry(key) {
                Entry::Vacant(slot) => {
                    slot.insert(source.next_value_seed(inner)?);
                }
                Entry::Occupied(slot) => {
                    let reason = format!(
                        "expected each key once in an object, found {:?} again; correct the record",
                        slot.key()
                    );
                    return Err(self.refuse(Code::DuplicateKey, reason));
                }
            }
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> String {
        let json = Json::parse(raw, &Limits::default()).unwrap();
        let mut out = Vec::new();
        json.write_canonical(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn code_of(raw: &str, limits: &Limits) -> Code {
        Json::parse(raw, limits).unwrap_err().code
    }

    #[test]
    fn canonical_form_sorts_keys_and_escapes_as_rfc_8785_says() {
        // The order example of RFC 8785 section 3.2.3, with keys that UTF-8 and UTF-16 order differently.
        assert_eq!(
            canonical(
                "{\"\u{20ac}\":1,\"\\r\":2,\"\u{fb33}\":3,\"1\":4,\"\u{1f600}\":5,\"\u{80}\":6,\"\u{f6}\":7}"
            ),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
        assert_eq!(canonical(r#" "\u0001\b\/\u20ac\\" "#), "\"\\u0001\\b/\u{20ac}\\\\\"");
    }

    #[test]
    fn canonical_numbers_are_those_of_ecmascript() {
        for (raw, expected) in [
            ("333333333.33333329", "333333333.3333333"),
            ("1E30", "1e+30"),
            ("4.50", "4.5"),
            ("2e-3", "0.002"),
            ("0.000000000000000000000000001", "1e-27"),
            ("-0.0", "0"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("-1.5e-7", "-1.5e-7"),
            ("0.000001", "0.000001"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            assert_eq!(canonical(raw), expected, "{raw}");
        }
    }

    #[test]
    fn layout_and_order_do_not_change_the_digest() {
        let limits = Limits::default();
        let one = Json::parse(r#"{"a":[1,2],"b":"x"}"#, &limits).unwrap();
        let two = Json::parse("{\n \"b\": \"\\u0078\", \"a\": [1, 2]}", &limits).unwrap();
        assert_eq!(one.digest(), two.digest());
        let other = Json::parse(r#"{"a":[2,1],"b":"x"}"#, &limits).unwrap();
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn refusals_have_codes() {
        let limits = Limits::default();
        assert_eq!(code_of(r#"{"a":1,"a":1}"#, &limits), Code::DuplicateKey);
        assert_eq!(code_of("1e999", &limits), Code::RecordMalformed);
        assert_eq!(code_of(r#""\ud800""#, &limits), Code::RecordMalformed);
        assert_eq!(code_of("[1] 2", &limits), Code::RecordMalformed);
        let nested = "[".repeat(65) + &"]".repeat(65);
        assert_eq!(code_of(&nested, &limits), Code::RecordTooDeep);
        let fits = "[".repeat(64) + &"]".repeat(64);
        assert!(Json::parse(&fits, &limits).is_ok());
        assert_eq!(code_of("[1]", &Limits { record_bytes: 2, ..limits }), Code::RecordTooLarge);
        let deep = Limits { depth: u32::MAX, record_bytes: 1 << 22, ..limits };
        assert_eq!(code_of(&"[".repeat(1_000_000), &deep), Code::RecordTooDeep);
    }
}
