//! Protobuf messages as JSON for people and scripts: field names as in the .proto files, byte fields as lower-case hex, enums by
//! name, 64-bit integers as numbers while they are exact and as strings beyond.

use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value,
};
use serde_json::{Map, Number, Value as Json};
use std::sync::LazyLock;

use ledger_format::digest::hex;

use crate::error::ClientError;

/// Above this, JSON readers may round a number (RFC 7493 section 2.2).
const EXACT: u64 = 1 << 53;

#[expect(
    clippy::expect_used,
    reason = "the descriptors are generated with the messages, by the same build"
)]
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(ledger_event::FILE_DESCRIPTOR_SET).expect("generated descriptors")
});

fn descriptor(name: &str) -> Result<MessageDescriptor, ClientError> {
    let full = format!("ledger.v1.{name}");
    POOL.get_message_by_name(&full)
        .ok_or_else(|| ClientError::document(format!("no message {full}")))
}

/// A message's bytes as JSON. `name` is its name in `ledger.v1`.
///
/// # Errors
/// `CLIENT_DOCUMENT` when the bytes are no such message.
pub fn to_json(name: &str, bytes: &[u8]) -> Result<Json, ClientError> {
    let message =
        DynamicMessage::decode(descriptor(name)?, bytes).map_err(ClientError::document)?;
    Ok(message_json(&message))
}

/// A message as JSON.
///
/// # Errors
/// `CLIENT_DOCUMENT` when `name` is not the message's.
pub fn message_to_json(name: &str, message: &impl prost::Message) -> Result<Json, ClientError> {
    to_json(name, &message.encode_to_vec())
}

fn message_json(message: &DynamicMessage) -> Json {
    let fields =
        message.fields().map(|(field, value)| (field.name().to_owned(), value_json(value, &field)));
    Json::Object(fields.collect::<Map<_, _>>())
}

fn value_json(value: &Value, field: &prost_reflect::FieldDescriptor) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::I32(value) => Json::from(*value),
        Value::I64(value) => signed(*value),
        Value::U32(value) => Json::from(*value),
        Value::U64(value) => unsigned(*value),
        // The vocabulary has neither floats nor maps.
        Value::F32(_) | Value::F64(_) | Value::Map(_) => Json::Null,
        Value::String(value) => Json::String(value.clone()),
        Value::Bytes(value) => Json::String(hex(value)),
        Value::EnumNumber(number) => {
            let kind = field.kind();
            let name =
                kind.as_enum().and_then(|e| e.get_value(*number).map(|v| v.name().to_owned()));
            name.map_or_else(|| Json::from(*number), Json::String)
        }
        Value::Message(message) => message_json(message),
        Value::List(values) => values.iter().map(|value| value_json(value, field)).collect(),
    }
}

fn unsigned(value: u64) -> Json {
    if value <= EXACT { Json::Number(Number::from(value)) } else { Json::String(value.to_string()) }
}

fn signed(value: i64) -> Json {
    if value.unsigned_abs() <= EXACT {
        Json::Number(Number::from(value))
    } else {
        Json::String(value.to_string())
    }
}

/// Reads a message from its proto3 JSON form. Unknown fields are refused.
///
/// # Errors
/// `CLIENT_DOCUMENT` with what is wrong and where.
pub fn from_json<M: prost::Message + Default>(name: &str, text: &str) -> Result<M, ClientError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor(name)?, &mut deserializer);
    let message = message.map_err(ClientError::document)?;
    deserializer.end().map_err(ClientError::document)?;
    debug_assert_eq!(message.descriptor().name(), name);
    M::decode(message.encode_to_vec().as_slice()).map_err(ClientError::document)
}
