//! Protobuf messages in canonical form, and genesis documents.

use bytes::Bytes;
use ledger_event::{Clock, Event, Record, Timeline};
use ledger_fixtures::{World, every_act};
use ledger_format::digest::hex;
use ledger_format::message;
use serde_json::{Value, json};

use super::{GOOD, bytes_of, cut, longer, malformed};
use crate::{Kind, Vector};

fn input(name: &str, bytes: &[u8]) -> Value {
    json!({ "type": format!("ledger.v1.{name}"), "bytes": hex(bytes) })
}

/// One event of every act, records, and what is not canonical.
pub(super) fn messages() -> Kind {
    let mut vectors: Vec<Vector> = every_act()
        .into_iter()
        .map(|(subject, act)| {
            let event = Event { prior: Bytes::new(), act: Some(act) };
            let name = ledger_event_name(&event);
            Vector::new(
                name,
                format!("about {subject}"),
                input("Event", &message::encode(&event)),
                GOOD,
            )
        })
        .collect();
    let timeline = Timeline { count: 2, head: Bytes::from_static(&[9; 32]), last: 300 };
    let record = Record { id: "asset:a/b".into(), timeline: Some(timeline), body: None };
    let record = message::encode(&record);
    let bad = |name: &str, bytes: &[u8], code| {
        Vector::new(name, "event.md, canonical form", input("Record", bytes), malformed(code))
    };
    vectors.push(Vector::new(
        "record",
        "what the state tree hashes",
        input("Record", &record),
        GOOD,
    ));
    vectors.push(bad("record, cut", cut(&record), "FMT_PROTOBUF"));
    vectors.push(bad("record, a field of number 0", &longer(&record), "FMT_PROTOBUF"));
    let mut long_varint = record.clone();
    let length = long_varint[1];
    long_varint.splice(1..2, [length | 0x80, 0x00]);
    vectors.push(bad("record, length not minimal", &long_varint, "FMT_NOT_CANONICAL"));
    let unknown = [record.as_slice(), &[0xf8, 0x7f, 0x01]].concat();
    vectors.push(bad("record, unknown field", &unknown, "FMT_NOT_CANONICAL"));
    let wrong_text = [&[0x0a, 0x01, 0xff][..], &record[2 + usize::from(length)..]].concat();
    vectors.push(bad("record, id not UTF-8", &wrong_text, "FMT_PROTOBUF"));
    Kind {
        name: "message",
        description: "Protobuf messages of proto/ledger/v1 in their canonical form (event.md). `json` is the protobuf JSON mapping.",
        vectors,
    }
}

/// The name of an event's act: the first field that its JSON has.
fn ledger_event_name(event: &Event) -> String {
    let bytes = message::encode(event).into();
    let json = ledger_fixtures::messages::json("ledger.v1.Event", &bytes);
    json.as_object().and_then(|fields| fields.keys().next().cloned()).unwrap_or_default()
}

/// Genesis documents.
pub(super) fn genesis() -> Kind {
    let good = |name: &str, powers: &[u32], clock| {
        let world = World::new(name, powers, clock);
        Vector::new(
            name,
            format!("{} validators", powers.len()),
            bytes_of(world.genesis.bytes()),
            GOOD,
        )
    };
    let changed = |name: &str, change: &dyn Fn(&mut ledger_event::Genesis), code| {
        let (genesis, _) = World::message("vectors", &[1, 1, 1, 1], |genesis| change(genesis));
        Vector::new(name, "genesis.md", bytes_of(&message::encode(&genesis)), malformed(code))
    };
    let bytes = World::new("vectors", &[1, 1, 1, 1], Clock::Wall).genesis.bytes().clone();
    let validators = |genesis: &mut ledger_event::Genesis| genesis.validators.take().unwrap();
    let mut vectors = vec![
        good("one", &[1], Clock::Declared),
        good("vectors", &[1, 1, 1, 1], Clock::Wall),
        good("weighted", &[5, 1, 1, 1, 1], Clock::Wall),
        Vector::new(
            "cut",
            "the last byte is missing",
            bytes_of(cut(&bytes)),
            malformed("FMT_PROTOBUF"),
        ),
        changed("no founder", &|genesis| genesis.founders.clear(), "FMT_VALUE"),
        changed("founders out of order", &|genesis| genesis.founders.reverse(), "FMT_VALUE"),
        changed("no clock", &|genesis| genesis.clock = 0, "FMT_VALUE"),
        changed(
            "a validator without power",
            &|genesis| {
                let mut set = validators(genesis);
                set.validators[0].power = 0;
                genesis.validators = Some(set);
            },
            "FMT_VALUE",
        ),
        changed(
            "validators out of order",
            &|genesis| {
                let mut set = validators(genesis);
                set.validators.reverse();
                genesis.validators = Some(set);
            },
            "FMT_VALUE",
        ),
        changed(
            "one key for two purposes",
            &|genesis| {
                let mut set = validators(genesis);
                set.validators[0].log_key = set.validators[0].vote_key.clone();
                genesis.validators = Some(set);
            },
            "FMT_VALUE",
        ),
    ];
    vectors.extend(super::genesis::wrong());
    Kind {
        name: "genesis",
        description: "Genesis documents (genesis.md): ledger id, validator set hash, ids of the members.",
        vectors,
    }
}
