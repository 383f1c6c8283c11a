//! Evidence on the ledger: when, of whom, under which name. That it proves something is judged before.

use ledger_event::{
    Clock, MisconductRecord, MisconductRecorded, Offence, PastSets, Role, ValidatorSet,
};
use ledger_format::digest::hex;
use ledger_format::validators::Validators;
use ledger_rules::Code;
use ledger_story::cast::{AUTHORITY, EXCHANGE, REGISTRY, SUPPLIER};
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

fn renewed(name: &'static str) -> ValidatorSet {
    set(&[(name, EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]])
}

#[test]
fn who_signed_a_height_can_be_accused_of_it_for_ever_since_version_4() {
    let at = |story: &Story, name: &str, height: u64| {
        let lie = voted(story.genesis.id(), name, height, [1, 2]);
        story.refusal(&misconduct_recorded(&lie, SUPPLIER, Role::Supplier))
    };
    for (version, refused) in [(3, Some(Code::MisconductUnproven)), (4, None)] {
        let mut story = story(version);
        let mut last = Vec::new();
        for name in ["a2-", "a3-", "a4-"] {
            last.push(story.height + 2);
            story.take(&validators_changed(renewed(name), QUORUM));
            story.take(&acts::asset_described(name.trim_end_matches('-')));
        }
        let [first, second, _] = last[..] else { panic!("three changes") };
        assert_eq!(at(&story, "a-", first), refused);
        assert_eq!(at(&story, "a2-", first + 1), refused);
        assert_eq!(at(&story, "a2-", second), refused);
        // Each of the heights that its set signed.
        let unproven = Some(Code::MisconductUnproven);
        let outside = [("a-", first + 1), ("a2-", first), ("a2-", second + 1), ("a-", u64::MAX)];
        for (name, height) in outside {
            assert_eq!(at(&story, name, height), unproven, "{name} at {height}");
        }
        // The last two are known whatever the height.
        assert_eq!((at(&story, "a3-", 1), at(&story, "a4-", 1)), (None, None));
    }
}

/// A validator's keys come to another party: what was signed with them before is still the first one's.
#[test]
fn from_version_5_on_who_had_the_key_at_the_height_is_accused_and_not_who_has_it_now() {
    for (version, accused) in [(4, EXCHANGE), (5, AUTHORITY)] {
        let mut story = story(version);
        let evidence = voted(story.genesis.id(), "c-", 1, [1, 2]);
        story.take(&validators_changed(set(&[MEMBERS[0], MEMBERS[1], MEMBERS[3]]), QUORUM));
        let moved = [MEMBERS[0], MEMBERS[1], ("c-", EXCHANGE), MEMBERS[3]];
        story.take(&validators_changed(set(&moved), QUORUM));
        story.take(&misconduct_recorded(&evidence, SUPPLIER, Role::Supplier));
        let record: MisconductRecord = story.record(&format!("misconduct:{}", evidence.id()));
        let parties: Vec<&str> = record.accused.iter().map(|one| one.party.as_str()).collect();
        assert_eq!(parties, [accused], "version {version}");
    }
}

#[test]
fn past_sets_are_named_with_their_last_height_and_kept_by_their_hash() {
    let mut story = story(4);
    let first = story.height + 2;
    story.take(&validators_changed(renewed("a2-"), QUORUM));
    story.take(&validators_changed(renewed("a3-"), QUORUM));
    let past: PastSets = story.record("validators:past");
    let sets = [set(&MEMBERS), renewed("a2-")];
    for ((past, set), until) in past.sets.iter().zip(&sets).zip(first..) {
        let hash = Validators::new(set.clone()).unwrap().hash();
        assert_eq!((past.until, &past.set[..]), (until, &hash[..]));
        assert_eq!(story.record::<ValidatorSet>(&format!("validators:{}", hex(&hash))), *set);
    }
    assert_eq!(past.sets.len(), 2);
    assert_eq!(story.timeline("validators:past").count, 2);
}

#[test]
fn the_list_of_past_sets_is_bounded() {
    let mut story = story(4);
    let first = story.height + 2;
    for number in 0..1_030_u64 {
        let name = if number % 2 == 0 { "a2-" } else { "a-" };
        story.take(&validators_changed(renewed(name), QUORUM));
    }
    let past: PastSets = story.record("validators:past");
    let until: Vec<u64> = past.sets.iter().map(|past| past.until).collect();
    assert_eq!(until, (first + 6..first + 1_030).collect::<Vec<u64>>());
}
