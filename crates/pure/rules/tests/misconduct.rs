//! Evidence on the ledger: when, of whom, under which name. That it proves something is judged before.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use ledger_event::{Clock, MisconductRecord, MisconductRecorded, Offence, Role};
use ledger_rules::Code;
use ledger_story::cast::{EXCHANGE, REGISTRY, SUPPLIER};
use ledger_story::deed::Deed;
use ledger_story::members::{MEMBERS, misconduct_recorded, set, validators_changed, voted};
use ledger_story::{LIMITS, Story, acts, china, genesis_with};

const QUORUM: &[&str] = &[EXCHANGE, REGISTRY];

fn story(version: u32) -> Story {
    let start = china("2026-08-03");
    Story::of(genesis_with(set(&MEMBERS), version, Clock::Wall, start, LIMITS)).begun()
}

fn accusation(story: &Story, name: &str) -> Deed {
    misconduct_recorded(&voted(story.genesis.id(), name, 1, [1, 2]), SUPPLIER, Role::Supplier)
}

#[test]
fn what_evidence_proves_is_in_a_record_and_in_the_history_of_who_answers_for_the_key() {
    let mut story = story(2);
    let accusation = accusation(&story, "b-");
    let party = format!("party:{REGISTRY}");
    let before = story.timeline(&party).count;
    let id = story.take(&accusation);
    let evidence = voted(story.genesis.id(), "b-", 1, [1, 2]);
    let record: MisconductRecord = story.record(&format!("misconduct:{}", evidence.id()));
    assert_eq!((record.offence(), record.height, record.round), (Offence::DoubleVote, 1, 0));
    let [accused] = record.accused.as_slice() else { panic!("{record:?}") };
    assert_eq!((accused.party.as_str(), accused.name.as_str()), (REGISTRY, "b-validator.example"));
    assert_eq!(accused.validator, evidence.accused()[0].as_bytes()[..]);
    assert_eq!(story.timeline(&party).count, before + 1);
    assert_eq!(story.log.last().unwrap().entry.id(), id);
    // Once is enough.
    assert_eq!(story.refusal(&accusation), Some(Code::SubjectExists));
}

#[test]
fn a_ledger_of_the_first_version_has_no_such_act() {
    let story = story(1);
    assert_eq!(story.refusal(&accusation(&story, "b-")), Some(Code::ProtocolNotActive));
}

#[test]
fn the_name_is_the_id_of_the_evidence() {
    let story = story(2);
    let of = |evidence| misconduct_recorded(&evidence, SUPPLIER, Role::Supplier);
    let other = of(voted(story.genesis.id(), "a-", 1, [1, 2]));
    let named = accusation(&story, "b-").about(other.subject.as_str());
    assert_eq!(story.refusal(&named), Some(Code::Field));
    let none = accusation(&story, "b-").with(|event: &mut MisconductRecorded| {
        event.evidence = event.evidence.slice(1..);
    });
    assert_eq!(story.refusal(&none), Some(Code::Field));
}

#[test]
fn validators_of_the_last_two_sets_can_be_accused() {
    let mut story = story(2);
    let stranger = accusation(&story, "a2-");
    assert_eq!(story.refusal(&stranger), Some(Code::MisconductUnproven));
    let renewed = |name| set(&[(name, EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]]);
    story.take(&validators_changed(renewed("a2-"), QUORUM));
    let former = accusation(&story, "a-");
    assert_eq!((story.refusal(&stranger), story.refusal(&former)), (None, None));
    story.take(&acts::asset_described("one"));
    story.take(&validators_changed(renewed("a3-"), QUORUM));
    assert_eq!(story.refusal(&former), Some(Code::MisconductUnproven));
}
