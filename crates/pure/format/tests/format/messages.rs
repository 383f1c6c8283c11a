//! Canonical protobuf (docs/spec/event.md), for every message and every field: the compiled `.proto` files say which there are,
//! so that a new field is tested before anybody thinks of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ledger_event::{Event, Genesis, Record};
use ledger_fixtures::Rng;
use ledger_fixtures::messages::{MESSAGES, decoder, descriptors};
use ledger_format::malformed::{Kind, Malformed};
use ledger_format::message;
use proptest::prelude::*;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor, Value,
};

use crate::generate::{self, numbers};
use crate::samples::kind;

fn all() -> Vec<MessageDescriptor> {
    descriptors().all_messages().collect()
}

fn read(descriptor: &MessageDescriptor, bytes: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    decoder(descriptor.full_name()).unwrap()(&Bytes::from(bytes))
}

#[track_caller]
fn assert_refused(descriptor: &MessageDescriptor, bytes: Vec<u8>, expected: Kind, what: &str) {
    let found = kind(read(descriptor, bytes));
    assert_eq!(found, expected, "{}: {what}", descriptor.full_name());
}

#[test]
fn no_message_is_forgotten() {
    let known: BTreeSet<_> = MESSAGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let compiled: BTreeSet<_> = all().iter().map(|m| m.full_name().to_owned()).collect();
    assert_eq!(known, compiled);
    assert_eq!(known.len(), MESSAGES.len());
}

/// What the canonical form rules out by type: maps, floats, fixed-width numbers, groups, required fields, and oneofs of
/// anything but messages, whose explicit zero would be a second way to say nothing.
#[test]
fn no_field_has_a_type_without_canonical_form() {
    for field in all().iter().flat_map(MessageDescriptor::fields) {
        assert!(!field.is_map() && !field.is_group(), "{field:?}");
        assert_ne!(field.cardinality(), Cardinality::Required, "{field:?}");
        let scalar = matches!(
            field.kind(),
            Type::Bool | Type::Uint32 | Type::Uint64 | Type::Sint32 | Type::String | Type::Bytes
        );
        let message = matches!(field.kind(), Type::Message(_));
        assert!(scalar || message || matches!(field.kind(), Type::Enum(_)), "{field:?}");
        if field.supports_presence() {
            assert!(message, "an optional scalar: {field:?}");
        }
    }
}

#[test]
fn the_zero_of_every_enum_means_not_stated() {
    for kind in descriptors().all_enums() {
        let zero = kind.get_value(0).unwrap();
        assert!(zero.name().ends_with("_UNSPECIFIED"), "{}", zero.full_name());
    }
}

proptest! {
    /// Any content of any message, written by another encoder, is read and written again as the same bytes.
    #[test]
    fn canonical_bytes_are_read(seed: u64) {
        let mut rng = Rng(seed);
        for descriptor in all() {
            let bytes = generate::bytes(&descriptor, &mut rng);
            prop_assert_eq!(read(&descriptor, bytes.clone()), Ok(bytes), "{}", descriptor.full_name());
        }
    }

    /// What is read at all is written again as the same bytes.
    #[test]
    fn what_is_read_is_canonical(seed: u64) {
        let mut rng = Rng(seed);
        for descriptor in all() {
            let mut bytes = generate::bytes(&descriptor, &mut rng);
            rng.mutate(&mut bytes, 3);
            if let Ok(again) = read(&descriptor, bytes.clone()) {
                prop_assert_eq!(again, bytes, "{}", descriptor.full_name());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes: Vec<u8>) {
        for descriptor in all() {
            if let Ok(again) = read(&descriptor, bytes.clone()) {
                prop_assert_eq!(&again, &bytes, "{}", descriptor.full_name());
            }
        }
    }
}

// --- Unknown values of enums ---------------------------------------------------------------------------------------------

type Path = Vec<FieldDescriptor>;

/// All ways from a message down to an enum field.
fn enum_paths(root: &MessageDescriptor) -> Vec<Path> {
    let mut found = Vec::new();
    for field in root.fields() {
        match field.kind() {
            Type::Enum(_) => found.push(vec![field]),
            Type::Message(inner) => {
                let below = enum_paths(&inner).into_iter();
                found.extend(below.map(|path| [vec![field.clone()], path].concat()));
            }
            _ => {}
        }
    }
    found
}

/// A message with nothing but these enum numbers at the end of a path. Where a field on the way is repeated, an empty message
/// goes before.
fn message_with(
    root: &MessageDescriptor,
    path: &[FieldDescriptor],
    values: &[i32],
) -> DynamicMessage {
    let mut message = DynamicMessage::new(root.clone());
    let (field, rest) = path.split_first().unwrap();
    let value = match field.kind() {
        Type::Message(inner) => {
            let below = Value::Message(message_with(&inner, rest, values));
            if field.is_list() {
                Value::List(vec![Value::Message(DynamicMessage::new(inner)), below])
            } else {
                below
            }
        }
        _ if field.is_list() => {
            Value::List(values.iter().map(|number| Value::EnumNumber(*number)).collect())
        }
        _ => Value::EnumNumber(values[0]),
    };
    message.set_field(field, value);
    message
}

/// An unknown number in every enum field of every message, reached in every way, and nothing else wrong.
#[test]
fn every_enum_field_refuses_unknown_values() {
    let mut tried = BTreeMap::new();
    for root in all() {
        for path in enum_paths(&root) {
            let field = path.last().unwrap();
            let Type::Enum(kind) = field.kind() else { unreachable!() };
            let known = numbers(&kind);
            let highest = *known.iter().max().unwrap();
            for unknown in [highest + 1, 127, 128, i32::MAX, -1, i32::MIN] {
                let bytes = message_with(&root, &path, &[unknown]).encode_to_vec();
                let what = format!("{unknown} in {path:?}");
                assert_refused(&root, bytes, Kind::UnknownValue, &what);
                if field.is_list() {
                    let bytes = message_with(&root, &path, &[highest, unknown]).encode_to_vec();
                    assert_refused(&root, bytes, Kind::UnknownValue, &what);
                }
            }
            for number in known.into_iter().filter(|number| *number != 0) {
                let bytes = message_with(&root, &path, &[number]).encode_to_vec();
                assert_eq!(read(&root, bytes.clone()), Ok(bytes), "{number} in {path:?}");
            }
            *tried.entry(root.name().to_owned()).or_insert(0) += 1;
        }
    }
    // Not a count to keep up to date, only a guard against a search that finds nothing.
    for root in ["Event", "Record", "Genesis"] {
        assert!(tried[root] >= 4, "{root}: {tried:?}");
    }
}

/// The typed decoders of the three roots say the same as the table that the test above goes through.
#[test]
fn the_roots_refuse_unknown_values() {
    let unknown = |name: &str| {
        let root = descriptors().get_message_by_name(name).unwrap();
        let paths = enum_paths(&root);
        let spoiled =
            move |path: &Path| Bytes::from(message_with(&root, path, &[99]).encode_to_vec());
        paths.into_iter().map(move |path| spoiled(&path))
    };
    for bytes in unknown("ledger.v1.Event") {
        assert_eq!(kind(message::decode::<Event>("event", &bytes)), Kind::UnknownValue);
    }
    for bytes in unknown("ledger.v1.Record") {
        assert_eq!(kind(message::decode::<Record>("record", &bytes)), Kind::UnknownValue);
    }
    for bytes in unknown("ledger.v1.Genesis") {
        assert_eq!(kind(message::decode::<Genesis>("genesis", &bytes)), Kind::UnknownValue);
    }
}

// --- Other encodings of the same content ---------------------------------------------------------------------------------

/// A varint, `longer` bytes longer than necessary.
fn varint(mut value: u64, longer: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(0x80 | value.to_be_bytes()[7]);
        value >>= 7;
    }
    bytes.push(value.to_be_bytes()[7]);
    for _ in 0..longer {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(0);
    }
    bytes
}

const VARINT: u64 = 0;
const DELIMITED: u64 = 2;

fn tag(number: u32, wire: u64, longer: usize) -> Vec<u8> {
    varint(u64::from(number) << 3 | wire, longer)
}

fn is_delimited(kind: &Type) -> bool {
    matches!(kind, Type::String | Type::Bytes | Type::Message(_))
}

/// The smallest content of a field that is not its default: a varint of one, or a string of one letter, or an empty message.
fn smallest(kind: &Type) -> Vec<u8> {
    match kind {
        Type::String | Type::Bytes => vec![1, b'x'],
        Type::Message(_) => vec![0],
        _ => vec![1],
    }
}

/// A field with its smallest content, in canonical form.
fn field_bytes(field: &FieldDescriptor) -> Vec<u8> {
    let kind = field.kind();
    if is_delimited(&kind) {
        return [tag(field.number(), DELIMITED, 0), smallest(&kind)].concat();
    }
    if field.is_list() {
        return [tag(field.number(), DELIMITED, 0), vec![1, 1]].concat();
    }
    [tag(field.number(), VARINT, 0), smallest(&kind)].concat()
}

fn every_field() -> impl Iterator<Item = (MessageDescriptor, FieldDescriptor)> {
    all().into_iter().flat_map(|message| {
        let fields: Vec<_> = message.fields().collect();
        fields.into_iter().map(move |field| (message.clone(), field))
    })
}

#[test]
fn the_smallest_content_of_every_field_is_read() {
    for (message, field) in every_field() {
        let bytes = field_bytes(&field);
        assert_eq!(read(&message, bytes.clone()), Ok(bytes), "{}", field.full_name());
    }
}

#[test]
fn no_default_is_explicit() {
    for (message, field) in every_field() {
        let kind = field.kind();
        let default = match kind {
            // An empty message says that the message is there.
            Type::Message(_) => continue,
            Type::String | Type::Bytes if field.is_list() => continue,
            Type::String | Type::Bytes => [tag(field.number(), DELIMITED, 0), vec![0]].concat(),
            _ if field.is_list() => [tag(field.number(), DELIMITED, 0), vec![0]].concat(),
            _ => [tag(field.number(), VARINT, 0), vec![0]].concat(),
        };
        assert_refused(&message, default, Kind::NotCanonical, field.name());
    }
}

#[test]
fn no_varint_is_longer_than_necessary() {
    for (message, field) in every_field() {
        let kind = field.kind();
        let packed = field.is_list() && !is_delimited(&kind);
        let wire = if packed || is_delimited(&kind) { DELIMITED } else { VARINT };
        let content = if packed { vec![1, 1] } else { smallest(&kind) };
        for longer in 1..3 {
            let long_tag = [tag(field.number(), wire, longer), content.clone()].concat();
            assert_refused(&message, long_tag, Kind::NotCanonical, field.name());
            let first = varint(u64::from(content[0]), longer);
            let long_content =
                [tag(field.number(), wire, 0), first, content[1..].to_vec()].concat();
            assert_refused(&message, long_content, Kind::NotCanonical, field.name());
        }
        if packed {
            let long_element = [tag(field.number(), DELIMITED, 0), vec![2, 0x81, 0]].concat();
            assert_refused(&message, long_element, Kind::NotCanonical, field.name());
        }
    }
}

/// A varint of more bits than its field has is not cut to fit.
#[test]
fn no_varint_is_wider_than_its_field() {
    for (message, field) in every_field().filter(|(_, field)| !is_delimited(&field.kind())) {
        let wide = match field.kind() {
            Type::Uint64 => continue,
            Type::Bool => 2,
            _ => 1 << 32 | 1,
        };
        let value = varint(wide, 0);
        let bytes = if field.is_list() {
            let length = varint(u64::try_from(value.len()).unwrap(), 0);
            [tag(field.number(), DELIMITED, 0), length, value].concat()
        } else {
            [tag(field.number(), VARINT, 0), value].concat()
        };
        assert_refused(&message, bytes, Kind::NotCanonical, field.name());
    }
}

#[test]
fn repeated_scalars_are_packed_once() {
    let mut tried = 0;
    for (message, field) in every_field() {
        if !field.is_list() || is_delimited(&field.kind()) {
            continue;
        }
        tried += 1;
        let single = [tag(field.number(), VARINT, 0), vec![1]].concat();
        assert_refused(&message, single.clone(), Kind::NotCanonical, "one, not packed");
        let double = [single.clone(), single].concat();
        assert_refused(&message, double, Kind::NotCanonical, "two, not packed");
        let twice = field_bytes(&field).repeat(2);
        assert_refused(&message, twice, Kind::NotCanonical, "two packs");
    }
    assert!(tried > 3);
}

#[test]
fn no_field_comes_twice() {
    for (message, field) in every_field().filter(|(_, field)| !field.is_list()) {
        let twice = field_bytes(&field).repeat(2);
        assert_refused(&message, twice, Kind::NotCanonical, field.name());
    }
}

#[test]
fn fields_rise() {
    for message in all() {
        let mut fields: Vec<_> = message.fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        for pair in fields.windows(2) {
            let [lower, higher] = pair else { unreachable!() };
            let one_of = higher.containing_oneof().is_some() && lower.containing_oneof().is_some();
            let rising = [field_bytes(lower), field_bytes(higher)].concat();
            let falling = [field_bytes(higher), field_bytes(lower)].concat();
            if one_of {
                assert_refused(&message, rising, Kind::NotCanonical, "two of one oneof");
            } else {
                assert_eq!(read(&message, rising.clone()), Ok(rising), "{}", higher.full_name());
            }
            assert_refused(&message, falling, Kind::NotCanonical, higher.name());
        }
    }
}

#[test]
fn no_field_is_unknown() {
    for message in all() {
        let known: BTreeSet<u32> = message.fields().map(|field| field.number()).collect();
        let unknown = (1..300).chain([1 << 28, (1 << 29) - 1]).filter(|n| !known.contains(n));
        for number in unknown {
            for (wire, content) in
                [(0, vec![1]), (1, vec![1; 8]), (2, vec![1, 1]), (2, vec![0]), (5, vec![1; 4])]
            {
                let bytes = [tag(number, wire, 0), content].concat();
                assert_refused(&message, bytes, Kind::NotCanonical, &format!("field {number}"));
            }
        }
    }
}

/// Groups, wire types that do not exist, and field number zero.
#[test]
fn no_tag_is_none() {
    for message in all() {
        for number in [1, 400] {
            let group = [tag(number, 3, 0), tag(number, 4, 0)].concat();
            let found = kind(read(&message, group));
            assert!(matches!(found, Kind::Protobuf | Kind::NotCanonical), "a group: {found}");
            for bytes in
                [tag(number, 3, 0), tag(number, 4, 0), tag(number, 6, 0), tag(number, 7, 0)]
            {
                assert_refused(&message, bytes, Kind::Protobuf, "no wire type");
            }
        }
        assert_refused(&message, vec![0, 0], Kind::Protobuf, "field 0");
        assert_refused(
            &message,
            [tag(1, 0, 0), vec![0x80; 10]].concat(),
            Kind::Protobuf,
            "endless",
        );
    }
}

#[test]
fn a_field_has_its_own_wire_type() {
    for (message, field) in every_field() {
        let wires = [(0, vec![1]), (1, vec![1; 8]), (2, vec![1, 1]), (5, vec![1; 4])];
        let own = if is_delimited(&field.kind()) { 2 } else { 0 };
        for (wire, content) in wires {
            if wire == own || (wire == 2 && field.is_list()) {
                continue;
            }
            let bytes = [tag(field.number(), wire, 0), content].concat();
            assert_refused(&message, bytes, Kind::Protobuf, field.name());
        }
    }
}

#[test]
fn text_is_utf_8() {
    let mut tried = 0;
    for (message, field) in every_field().filter(|(_, field)| field.kind() == Type::String) {
        tried += 1;
        for wrong in [&[0xff][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xe6, 0x95]] {
            let length = varint(u64::try_from(wrong.len()).unwrap(), 0);
            let bytes = [tag(field.number(), DELIMITED, 0), length, wrong.to_vec()].concat();
            assert_refused(&message, bytes, Kind::Protobuf, field.name());
        }
    }
    assert!(tried > 50);
}

/// A length that the bytes do not have: nothing is read, and nothing is allocated for it (`tests/memory.rs`).
#[test]
fn no_length_goes_past_the_end() {
    for (message, field) in every_field() {
        if !is_delimited(&field.kind()) && !field.is_list() {
            continue;
        }
        for length in [1, 0x7fff_ffff, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let bytes = [tag(field.number(), DELIMITED, 0), varint(length, 0)].concat();
            assert_refused(&message, bytes, Kind::Protobuf, field.name());
        }
    }
}
