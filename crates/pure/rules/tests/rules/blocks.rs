//! What the entries of a block see of each other, and what waits for the next one (docs/spec/rules.md, execution).

use ledger_event::{Calendar, Clock, DeliveryRecord, DeliveryState, RegistrationApplied};
use ledger_rules::Code;
use ledger_story::acts::{self, delivery};
use ledger_story::cast::{BUYER, OMNI, REVIEWER, SUPPLIER};
use ledger_story::data::{calendar, cn_nda_2026};
use ledger_story::deed::Deed;
use ledger_story::{ANNOUNCED, NUMBER, RAIN, Stage, Story};

/// The second of two deeds in one block, and then again in the next.
#[track_caller]
fn waits(mut story: Story, first: Deed, second: &Deed, code: Code) {
    assert_eq!(story.refusal(second), Some(code));
    let taken = story.block(&[first, second.clone()]);
    assert!(taken[0].is_ok(), "{taken:?}");
    assert_eq!(taken[1].as_ref().unwrap_err().code, code);
    assert_eq!(story.judge(second), Ok(()));
}

/// Subjects move entry by entry: each act relies on what the one before it wrote.
#[test]
fn what_an_entry_wrote_is_seen_by_those_after_it() {
    let mut story = Story::before(Stage::Certified);
    story.take_all(&[
        acts::certificate_issued(RAIN, NUMBER),
        acts::review_submitted(RAIN),
        acts::review_decided(RAIN),
        acts::listing_applied(RAIN, NUMBER),
        acts::listing_published(RAIN),
        acts::contract_signed(RAIN),
        acts::delivery_planned(RAIN),
        acts::batch_sent(RAIN, 1),
        acts::batch_sent(RAIN, 2),
        acts::batch_acknowledged(RAIN, 1),
        acts::batch_acknowledged(RAIN, 2),
        acts::delivery_completed(RAIN),
    ]);
    let record: DeliveryRecord = story.record(&delivery(RAIN));
    assert_eq!(record.state(), DeliveryState::Completed);
}

#[test]
fn a_party_is_what_it_was_admitted_for_from_the_next_block_on() {
    let mut story = Story::before_genesis(Clock::Wall, "2026-08-03");
    let mut first = vec![acts::genesis_published(&story.genesis)];
    first.extend(ANNOUNCED.map(|name| acts::calendar_published(&calendar(name))));
    first.push(acts::rule_set_published(&cn_nda_2026()));
    story.take_all(&first);
    story.take_all(&[SUPPLIER, BUYER, REVIEWER].map(acts::party_admitted));
    let apply = acts::registration_applied(RAIN)
        .with(|event: &mut RegistrationApplied| event.registry = OMNI.into());
    waits(story.described(), acts::party_admitted(OMNI), &apply, Code::NotARegistry);
}

#[test]
fn rules_are_applied_under_from_the_next_block_on() {
    let mut rules = cn_nda_2026();
    rules.version = 2;
    let apply = acts::registration_applied(RAIN)
        .with(|event: &mut RegistrationApplied| event.rule_set = "CN-NDA-2026/2".into());
    let publish = acts::rule_set_published(&rules);
    waits(Story::before(Stage::Applied), publish, &apply, Code::RulesetNotInForce);
}

#[test]
fn days_are_counted_by_a_calendar_from_the_next_block_on() {
    let next = Calendar {
        id: "CN".into(),
        year: 2027,
        holidays: vec![101],
        source: "invented for a test".into(),
        ..Calendar::default()
    };
    let story = Story::opened().described().on("2026-12-30").applied().on("2026-12-31");
    let accept = acts::registration_accepted(RAIN);
    waits(story, acts::calendar_published(&next), &accept, Code::CalendarMissing);
}
