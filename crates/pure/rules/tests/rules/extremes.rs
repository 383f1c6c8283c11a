//! Numbers at the ends of their types, in every field of what happens on the main path: whatever an entry states, it is judged. A rule
//! that panics would end every node that is offered such an entry.

use ledger_event::event::Act;
use ledger_event::{Event, FILE_DESCRIPTOR_SET};
use ledger_format::message;
use ledger_story::acts::{self, rule_set_published};
use ledger_story::cast::{Label, SUPPLIER};
use ledger_story::data::{calendar, cn_nda_2026};
use ledger_story::deed::Deed;
use ledger_story::{NUMBER, RAIN, Stage, Story};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value,
};

/// Each act of the main path, where it comes next, and the acts that may come at any time.
fn deeds() -> Vec<(Story, Deed)> {
    let mut rules = cn_nda_2026();
    rules.version = 2;
    let mut next_year = calendar("CN-2026");
    next_year.year = 2027;
    let path = [
        (Stage::Described, rule_set_published(&rules)),
        (Stage::Described, acts::calendar_published(&next_year)),
        (Stage::Described, acts::key_enrolled(SUPPLIER, Label::Li)),
        (Stage::Described, acts::key_revoked(SUPPLIER, Label::Li)),
        (Stage::Described, acts::asset_described(RAIN)),
        (Stage::Applied, acts::asset_revised(RAIN, |_| {})),
        (Stage::Applied, acts::history_by_supplier(RAIN)),
        (Stage::Applied, acts::registration_applied(RAIN)),
        (Stage::Accepted, acts::registration_accepted(RAIN)),
        (Stage::Reviewed, acts::registration_reviewed(RAIN)),
        (Stage::Noticed, acts::notice_opened(RAIN)),
        (Stage::Recorded, acts::evidence_recorded(RAIN)),
        (Stage::Certified, acts::certificate_issued(RAIN, NUMBER)),
        (Stage::Submitted, acts::review_submitted(RAIN)),
        (Stage::Decided, acts::review_decided(RAIN)),
        (Stage::Offered, acts::listing_applied(RAIN, NUMBER)),
        (Stage::Listed, acts::listing_published(RAIN)),
        (Stage::Contracted, acts::contract_signed(RAIN)),
        (Stage::Planned, acts::delivery_planned(RAIN)),
        (Stage::Sent, acts::batch_sent(RAIN, 1)),
        (Stage::Acknowledged, acts::batch_acknowledged(RAIN, 1)),
        (Stage::Completed, acts::delivery_completed(RAIN)),
    ];
    path.into_iter().map(|(stage, deed)| (Story::before(stage), deed)).collect()
}

/// The ends of a number's type, and what is next to zero; of names, all.
fn ends(kind: &Kind) -> Vec<Value> {
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            [i32::MIN, -1, 0, i32::MAX].map(Value::I32).into()
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            [i64::MIN, -1, 0, i64::MAX].map(Value::I64).into()
        }
        Kind::Uint32 | Kind::Fixed32 => [0, 1, u32::MAX].map(Value::U32).into(),
        Kind::Uint64 | Kind::Fixed64 => [0, 1, u64::MAX].map(Value::U64).into(),
        // Others are no entries.
        Kind::Enum(known) => {
            known.values().map(|value| Value::EnumNumber(value.number())).collect()
        }
        _ => Vec::new(),
    }
}

/// A message with one number changed, in every way.
fn changed(message: &DynamicMessage) -> Vec<DynamicMessage> {
    let fields = message.descriptor().fields().collect::<Vec<_>>();
    let of_field = |field: FieldDescriptor| {
        let values = values(message, &field);
        values.into_iter().map(move |value| {
            let mut other = message.clone();
            other.set_field(&field, value);
            other
        })
    };
    fields.into_iter().flat_map(of_field).collect()
}

fn values(message: &DynamicMessage, field: &FieldDescriptor) -> Vec<Value> {
    match message.get_field(field).as_ref() {
        Value::Message(inner) if message.has_field(field) => {
            changed(inner).into_iter().map(Value::Message).collect()
        }
        Value::List(items) => {
            let of_item = |(at, item): (usize, &Value)| {
                let items = items.clone();
                let others = match item {
                    Value::Message(inner) => {
                        changed(inner).into_iter().map(Value::Message).collect()
                    }
                    _ => ends(&field.kind()),
                };
                others.into_iter().map(move |other| {
                    let mut items = items.clone();
                    items[at] = other;
                    Value::List(items)
                })
            };
            items.iter().enumerate().flat_map(of_item).collect()
        }
        _ => ends(&field.kind()),
    }
}

/// The act with one number changed, in every way.
fn extremes(act: &Act) -> Vec<Act> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("ledger.v1.Event").unwrap();
    let event = Event { act: Some(act.clone()), ..Event::default() };
    let bytes = message::encode(&event);
    let event = DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
    let others = changed(&event).into_iter();
    others.map(|other| Event::decode(&*other.encode_to_vec()).unwrap().act.unwrap()).collect()
}

#[test]
fn whatever_number_an_entry_states_it_is_judged() {
    let deeds = deeds();
    let (mut refused, mut taken) = (0, 0);
    for (number, (story, deed)) in deeds.iter().enumerate() {
        for act in extremes(&deed.act) {
            let other = Deed { act, ..deed.clone() };
            if story.judge(&other).is_err() {
                refused += 1;
                continue;
            }
            taken += 1;
            // What has been taken is counted by later.
            let after = story.clone().did(&other);
            for (_, later) in &deeds[number..] {
                let _either = after.judge(later);
            }
        }
    }
    assert!(refused > 100 && taken > 100, "{refused} refused, {taken} taken");
}
