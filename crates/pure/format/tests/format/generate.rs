//! Messages of any type with any content, made from the compiled `.proto` files.

use ledger_fixtures::Rng;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};

/// A message whose every field may or may not be there.
pub(crate) fn message(descriptor: &MessageDescriptor, rng: &mut Rng) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    let emptiness = 1 + rng.below(4);
    for field in descriptor.fields().filter(|field| field.containing_oneof().is_none()) {
        if rng.once_in(emptiness) {
            message.set_field(&field, value(&field, rng));
        }
    }
    for oneof in descriptor.oneofs() {
        let fields: Vec<_> = oneof.fields().collect();
        if !rng.once_in(5) {
            let field = rng.pick(&fields).clone();
            message.set_field(&field, value(&field, rng));
        }
    }
    message
}

/// Its canonical bytes.
pub(crate) fn bytes(descriptor: &MessageDescriptor, rng: &mut Rng) -> Vec<u8> {
    message(descriptor, rng).encode_to_vec()
}

fn value(field: &FieldDescriptor, rng: &mut Rng) -> Value {
    if field.cardinality() == Cardinality::Repeated {
        let count = rng.below(4);
        return Value::List((0..count).map(|_| single(&field.kind(), rng)).collect());
    }
    single(&field.kind(), rng)
}

fn single(kind: &Kind, rng: &mut Rng) -> Value {
    let number = rng.number();
    let low = u32::try_from(number >> 32).unwrap();
    match kind {
        Kind::Bool => Value::Bool(number & 1 == 1),
        Kind::Uint32 => Value::U32(low >> (number & 31)),
        Kind::Uint64 => Value::U64(number),
        Kind::Sint32 => Value::I32(low.cast_signed()),
        Kind::String => Value::String(text(rng)),
        Kind::Bytes => Value::Bytes(some_bytes(rng).into()),
        Kind::Enum(kind) => Value::EnumNumber(*rng.pick(&numbers(kind))),
        Kind::Message(descriptor) => Value::Message(message(descriptor, rng)),
        other => unreachable!("the vocabulary has no {other:?}"),
    }
}

/// The numbers that an enum knows.
pub(crate) fn numbers(kind: &EnumDescriptor) -> Vec<i32> {
    kind.values().map(|value| value.number()).collect()
}

fn text(rng: &mut Rng) -> String {
    let letters = ['a', 'Z', '0', ' ', '\n', '\0', 'é', '数', '\u{1f4c4}'];
    (0..rng.below(12)).map(|_| *rng.pick(&letters)).collect()
}

fn some_bytes(rng: &mut Rng) -> Vec<u8> {
    if rng.once_in(2) { rng.bytes::<32>().to_vec() } else { rng.some_bytes(40) }
}
