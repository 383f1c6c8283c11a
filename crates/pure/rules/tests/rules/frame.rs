//! What is asked of every act before its own guards: this ledger, a time, a subject of its kind; and of the ledger's documents, their
//! place.

use ledger_event::{Clock, ContractSigned, DeliveryPlanned, GenesisPublished, ReviewSubmitted};
use ledger_format::digest::LedgerId;
use ledger_format::malformed::MAX_DETAIL_BYTES;
use ledger_rules::Code;
use ledger_story::acts::{self, founders};
use ledger_story::cast::{EXCHANGE, REGISTRY, SUPPLIER};
use ledger_story::data::{calendar, cn_nda_2026};
use ledger_story::deed::{Deed, Prior};
use ledger_story::{LIMITS, NUMBER, RAIN, Stage, Story, china, genesis};

/// Its signatures are good, and it was meant for the other one.
#[test]
fn an_entry_of_another_ledger_is_refused() {
    let deed = acts::asset_described(RAIN);
    assert_eq!(Story::opened().judge(&deed), Ok(()));
    let elsewhere = Deed { ledger: Some(LedgerId([7; 32])), ..deed };
    assert_eq!(Story::opened().refusal(&elsewhere), Some(Code::OtherLedger));
}

#[test]
fn an_act_is_about_a_subject_of_its_kind() {
    let elsewhere = acts::asset_described(RAIN).about(format!("listing:{SUPPLIER}/{RAIN}"));
    assert_eq!(Story::opened().refusal(&elsewhere), Some(Code::SubjectKind));
}

/// What binds is signed by who has seen what it is about; what is stated must be true of every act.
#[test]
fn an_act_that_binds_states_the_head_of_the_history_that_its_signers_saw() {
    let evidence = Story::before(Stage::Recorded).on("2026-08-14");
    let at = Story::before;
    for (story, deed, binding) in [
        (at(Stage::Accepted), acts::registration_accepted(RAIN), false),
        (at(Stage::Reviewed), acts::registration_reviewed(RAIN), true),
        (at(Stage::Noticed), acts::notice_opened(RAIN), false),
        (evidence, acts::evidence_recorded(RAIN), true),
        (at(Stage::Certified), acts::certificate_issued(RAIN, NUMBER), true),
        (at(Stage::Decided), acts::review_decided(RAIN), false),
        (at(Stage::Listed), acts::listing_published(RAIN), false),
        (at(Stage::Acknowledged), acts::batch_acknowledged(RAIN, 1), false),
        (at(Stage::Completed), acts::delivery_completed(RAIN), true),
    ] {
        let stating = |prior: Prior| story.refusal(&Deed { prior, ..deed.clone() });
        let missing = binding.then_some(Code::PriorMissing);
        assert_eq!(stating(Prior::Unstated), missing, "{:?}", deed.act);
        assert_eq!(stating(Prior::Seen), None, "{:?}", deed.act);
        assert_eq!(stating(Prior::Stated([9; 32])), Some(Code::PriorStale), "{:?}", deed.act);
    }
}

/// A declared clock is what entries claim: there is nothing that it could be skewed against.
#[test]
fn on_a_declared_clock_no_entry_is_ahead_of_its_block() {
    let ahead = Deed { issued_after_s: 1, ..acts::asset_described(RAIN) };
    for (clock, code) in [(Clock::Wall, None), (Clock::Declared, Some(Code::Ahead))] {
        assert_eq!(Story::opened_on(clock, "2026-08-03").refusal(&ahead), code, "{clock:?}");
    }
}

/// A day for who signs alone, a week for several, both to the second; and an entry is too late in the millisecond in which it ends.
#[test]
fn an_entry_lives_as_long_as_the_ledger_allows() {
    let alone = acts::asset_described(RAIN);
    let joint = acts::registration_applied(RAIN);
    let story = Story::opened().described();
    let alone = alone.about(format!("asset:{SUPPLIER}/snow"));
    for (deed, most) in [(alone, 86_400), (joint, 7 * 86_400)] {
        let refusal = |issued_after_s: i64, lives_s: i64| {
            story.refusal(&Deed { issued_after_s, lives_s, ..deed.clone() })
        };
        assert_eq!(refusal(0, most), None);
        assert_eq!(refusal(0, most + 1), Some(Code::WindowTooLong));
        // It expires before it was issued, at a time that is still to come.
        assert_eq!(refusal(4, -1), Some(Code::WindowTooLong));
        assert_eq!(refusal(-10, 11), None);
        assert_eq!(refusal(-10, 10), Some(Code::Expired));
        // The ledger's skew: five seconds.
        assert_eq!(refusal(5, most), None);
        assert_eq!(refusal(6, most), Some(Code::Ahead));
    }
    // In the last millisecond of its last second.
    let mut later = story;
    later.time_ms += 999;
    let old = Deed { issued_after_s: -10, lives_s: 11, ..acts::registration_applied(RAIN) };
    assert_eq!(later.refusal(&old), None);
}

#[test]
fn genesis_is_the_first_leaf_and_this_ledgers_own() {
    let mut story = Story::before_genesis(Clock::Wall, "2026-08-03");
    let own = acts::genesis_published(&story.genesis);
    let other = genesis(Clock::Declared, china("2026-08-03"), LIMITS);
    let foreign =
        own.clone().with(|event: &mut GenesisPublished| event.document = other.bytes().clone());
    assert_eq!(story.refusal(&foreign), Some(Code::GenesisPlace));
    let taken = story.block(&[own.clone(), own.clone()]);
    assert_eq!(taken[1].as_ref().unwrap_err().code, Code::GenesisPlace);
    assert_eq!(story.refusal(&own), Some(Code::GenesisPlace));
}

#[test]
fn a_document_is_published_under_its_own_name() {
    let mut rules = cn_nda_2026();
    rules.version = 2;
    let rules = acts::rule_set_published(&rules).about("ruleset:CN-NDA-2026/3");
    let days = acts::calendar_published(&calendar("HK-2026")).about("calendar:HK/2027");
    for deed in [rules, days] {
        assert_eq!(Story::opened().refusal(&deed), Some(Code::Field), "{}", deed.subject);
    }
}

/// All founders have signed for what genesis announces, and for nothing else.
#[test]
fn one_founder_publishes_what_was_announced_and_nothing_else() {
    let mut story = Story::before_genesis(Clock::Wall, "2026-08-03");
    story.take(&acts::genesis_published(&story.genesis));
    let mut rules = cn_nda_2026();
    let announced = acts::rule_set_published(&rules);
    rules.version = 2;
    let other = acts::rule_set_published(&rules);
    let by_one = |deed: &Deed| story.refusal(&deed.clone().signed_by(founders(&[EXCHANGE])));
    assert_eq!(by_one(&announced), None);
    assert_eq!(by_one(&other), Some(Code::GovernanceThreshold));
    assert_eq!(story.judge(&other.signed_by(founders(&[EXCHANGE, REGISTRY]))), Ok(()));
}

/// Every node keeps what it says of a refused entry, and logs it; whoever has a key is refused as often as it likes.
#[test]
fn a_refusal_repeats_little_of_what_was_sent_and_on_one_line() {
    let (strange, lines) = ("\u{1}".repeat(60_000), "x\nINFO y".repeat(8_000));
    for sent in [strange, lines] {
        let review = acts::review_submitted(RAIN)
            .with(|event: &mut ReviewSubmitted| event.asset.clone_from(&sent));
        let contract = acts::contract_signed(RAIN)
            .with(|event: &mut ContractSigned| event.listing.clone_from(&sent));
        let delivery = acts::delivery_planned(RAIN)
            .with(|event: &mut DeliveryPlanned| event.contract.clone_from(&sent));
        for (stage, deed, code) in [
            (Stage::Submitted, review, Code::Field),
            (Stage::Contracted, contract, Code::SubjectUnknown),
            (Stage::Planned, delivery, Code::SubjectUnknown),
        ] {
            let refusal = Story::before(stage).judge(&deed).unwrap_err();
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(refusal.detail.len() <= MAX_DETAIL_BYTES + 3, "{}", refusal.detail.len());
            assert!(!refusal.detail.contains(char::is_control), "{refusal}");
        }
    }
}
