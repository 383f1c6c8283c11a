//! Budgets: who is charged with what, until when, and what stays possible.

use ledger_event::{
    ActivityRecord, Budget, Budgets, Clock, LedgerRecord, PartyAdmitted, PartyRecord, Purpose,
    Role, Spending,
};
use ledger_rules::Code;
use ledger_story::acts::{self, asset_described, history_by_exchange};
use ledger_story::cast::{AUTHORITY, BUYER, EXCHANGE, Key, Label, OMNI, REGISTRY, SUPPLIER};
use ledger_story::data::{calendar, cn_nda_2026};
use ledger_story::deed::{Deed, Sign, alone, sign};
use ledger_story::members::{MEMBERS, budgets_set, protocol_activated, set, validators_changed};
use ledger_story::{LIMITS, Story, china, genesis_with};

const QUORUM: &[&str] = &[EXCHANGE, REGISTRY];
/// Nine o'clock in China is a whole minute, and a whole hour.
const WINDOW_S: u32 = 60;

/// No limit.
const ANY: Budget = of(0, 0);

const fn of(entries: u64, bytes: u64) -> Budget {
    Budget { entries, bytes }
}

const fn budgets(party: Budget, exchange: Budget) -> Budgets {
    Budgets { window_s: WINDOW_S, party: Some(party), exchange: Some(exchange) }
}

fn version(version: u32) -> Story {
    let start = china("2026-08-03");
    Story::of(genesis_with(set(&MEMBERS), version, Clock::Wall, start, LIMITS)).begun()
}

fn limited(party: Budget, exchange: Budget) -> Story {
    version(3).did(&budgets_set(Some(budgets(party, exchange)), QUORUM))
}

/// An asset of the exchange that is also a supplier.
fn of_omni(name: &str) -> Deed {
    asset_described(name)
        .about(format!("asset:{OMNI}/{name}"))
        .signed_by(alone(OMNI, Role::Supplier))
}

fn activity(story: &Story, party: &str) -> ActivityRecord {
    story.find(&format!("activity:party/{party}")).unwrap_or_default()
}

fn entries(spending: Option<Spending>) -> u64 {
    spending.unwrap_or_default().entries
}

#[test]
fn a_party_spends_its_own_budget_and_that_of_the_exchange_that_admitted_it() {
    let mut story = limited(of(3, 0), of(100, 0));
    let record: PartyRecord = story.record(&format!("party:{SUPPLIER}"));
    assert_eq!(record.admitted_by, EXCHANGE);
    let before = entries(activity(&story, EXCHANGE).charged);
    // In one block and in the next.
    story.take_all(&[asset_described("one"), asset_described("two")]);
    story.take(&asset_described("three"));
    assert_eq!(story.refusal(&asset_described("four")), Some(Code::BudgetSpent));
    let own = activity(&story, SUPPLIER);
    assert_eq!((entries(own.own), own.charged), (3, None));
    let bytes: usize = story.log.iter().rev().take(3).map(|l| l.entry.bytes().len()).sum();
    let spent = own.own.unwrap();
    assert_eq!(spent.bytes, u64::try_from(bytes).unwrap());
    assert_eq!(spent.since_s, story.time_ms / 1_000 / 60 * 60);
    assert_eq!(entries(activity(&story, EXCHANGE).charged), before + 3);
    assert_eq!(activity(&story, EXCHANGE).own, None);
    // Others are not touched by it.
    assert_eq!(story.refusal(&of_omni("one")), None);
}

#[test]
fn within_a_block_the_entries_before_count() {
    let mut story = limited(of(2, 0), ANY);
    let names = ["one", "two", "three", "four"].map(asset_described);
    let results = story.block(&names);
    let refused: Vec<bool> = results.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, true, true]);
}

#[test]
fn bytes_count_as_well() {
    let mut story = limited(ANY, ANY);
    story.take(&asset_described("one"));
    let length = u64::try_from(story.log.last().unwrap().entry.bytes().len()).unwrap();
    let mut story = limited(of(0, 2 * length), ANY);
    story.take_all(&[asset_described("one"), asset_described("two")]);
    assert_eq!(story.refusal(&asset_described("six")), Some(Code::BudgetSpent));
    let mut story = limited(of(0, 2 * length - 1), ANY);
    story.take(&asset_described("one"));
    assert_eq!(story.refusal(&asset_described("two")), Some(Code::BudgetSpent));
}

#[test]
fn the_next_window_begins_with_nothing_spent() {
    let mut story = limited(of(1, 0), ANY);
    story.take(&asset_described("one"));
    let begin = story.time_ms / 60_000 * 60_000;
    story.time_ms = begin + 59_999;
    assert_eq!(story.refusal(&asset_described("two")), Some(Code::BudgetSpent));
    story.time_ms = begin + 60_000;
    story.take(&asset_described("two"));
    assert_eq!(entries(activity(&story, SUPPLIER).own), 1);
}

/// Admitting a second party does not give an exchange a second budget.
#[test]
fn an_exchange_answers_for_all_whom_it_admitted() {
    let mut story = limited(ANY, of(3, 0));
    story.take(&asset_described("one"));
    story.take(&acts::key_enrolled(BUYER, Label::Fresh));
    story.take(&history_by_exchange("one"));
    assert_eq!(entries(activity(&story, EXCHANGE).charged), 3);
    for deed in [asset_described("two"), history_by_exchange("one")] {
        assert_eq!(story.refusal(&deed), Some(Code::BudgetSpent));
    }
    // So it does for an exchange that it admitted, until the others have agreed that it runs a validator.
    assert_eq!(story.refusal(&of_omni("one")), Some(Code::BudgetSpent));
}

/// An exchange that another one admitted does not give that one a second budget for what its parties write.
#[test]
fn from_version_5_on_all_the_way_to_who_answers_for_itself_is_charged() {
    for (number, charged) in [(3, 0), (5, 1)] {
        let mut story = version(number)
            .did(&budgets_set(Some(budgets(ANY, of(2, 0))), QUORUM))
            .altered(&format!("party:{SUPPLIER}"), |party: &mut PartyRecord| {
                party.admitted_by = OMNI.into();
            });
        let before = entries(activity(&story, EXCHANGE).charged);
        story.take(&asset_described("one"));
        assert_eq!(entries(activity(&story, OMNI).charged), 1);
        assert_eq!(entries(activity(&story, EXCHANGE).charged), before + charged);
        story.take(&of_omni("one"));
        let spent = (number == 5).then_some(Code::BudgetSpent);
        assert_eq!(story.refusal(&asset_described("two")), spent, "version {number}");
    }
}

/// A party that nobody knows yet, admitted by the one that is an exchange as well.
fn newcomer() -> Deed {
    let key = Key(BUYER, Label::Fresh);
    let shows = Sign { party: "newcomer", key, role: Role::Buyer, purpose: Purpose::Possession };
    let authority = sign(AUTHORITY, Label::Seal, Role::IdentityAuthority, Purpose::Approve);
    acts::party_admitted(BUYER)
        .about("party:newcomer")
        .with(|event: &mut PartyAdmitted| event.keys = vec![key.grant()])
        .signed_by(vec![sign(OMNI, Label::Seal, Role::Exchange, Purpose::Issue), authority, shows])
}

/// Nor by a way so long that its end is not charged any more.
#[test]
fn from_version_5_on_who_is_too_far_from_one_that_answers_for_itself_admits_nobody() {
    for (number, refusal) in [(4, None), (5, Some(Code::SigMissingRole))] {
        let story = version(number);
        assert_eq!(story.refusal(&newcomer()), None, "version {number}");
        // A way without end, which no entries lead to.
        let by =
            |other: &'static str| move |party: &mut PartyRecord| party.admitted_by = other.into();
        let story = story.altered(&format!("party:{OMNI}"), by(SUPPLIER));
        let story = story.altered(&format!("party:{SUPPLIER}"), by(OMNI));
        assert_eq!(story.refusal(&newcomer()), refusal, "version {number}");
    }
}

#[test]
fn who_runs_a_validator_answers_for_itself() {
    let members = set(&[MEMBERS[0], MEMBERS[1], MEMBERS[2], ("d2-", OMNI)]);
    let all = &[EXCHANGE, REGISTRY, AUTHORITY];
    let mut story = version(3)
        .did(&validators_changed(members, &[EXCHANGE, REGISTRY, OMNI]))
        .did(&budgets_set(Some(budgets(of(1, 0), of(2, 0))), all));
    story.take_all(&[of_omni("one"), of_omni("two")]);
    assert_eq!(story.refusal(&of_omni("three")), Some(Code::BudgetSpent));
    let omni = activity(&story, OMNI);
    assert_eq!((omni.own, entries(omni.charged)), (None, 2));
    assert_eq!(activity(&story, EXCHANGE).charged, None);
}

/// Who has spent everything can still take a key out of force, and agree on larger budgets.
#[test]
fn what_must_always_be_possible_is_free() {
    let mut story = limited(of(1, 0), of(1, 0));
    story.take(&asset_described("one"));
    assert_eq!(story.refusal(&acts::key_enrolled(BUYER, Label::Fresh)), Some(Code::BudgetSpent));
    story.take(&acts::key_revoked(BUYER, Label::System));
    story.take(&budgets_set(None, QUORUM));
    story.take(&asset_described("two"));
    assert_eq!(story.record::<LedgerRecord>("ledger:genesis").budgets, None);
}

/// Nor does what was spent keep the parties that govern from governing.
#[test]
fn what_several_parties_agree_on_is_free() {
    let mut story = limited(ANY, of(1, 0));
    story.take(&asset_described("one"));
    assert_eq!(story.refusal(&history_by_exchange("one")), Some(Code::BudgetSpent));
    let mut rules = cn_nda_2026();
    rules.version = 2;
    for deed in [
        acts::rule_set_published(&rules),
        acts::calendar_published(&calendar("HK-2026")),
        validators_changed(set(&[MEMBERS[0], MEMBERS[1], MEMBERS[3]]), QUORUM),
        protocol_activated(4, story.height + 3, QUORUM),
    ] {
        assert_eq!(story.refusal(&deed), None, "{:?}", deed.act);
    }
}

#[test]
fn budgets_are_in_force_from_the_block_after() {
    let mut story = version(3);
    story.take_all(&[
        budgets_set(Some(budgets(of(1, 0), ANY)), QUORUM),
        asset_described("one"),
        asset_described("two"),
    ]);
    assert_eq!(activity(&story, SUPPLIER).own, None);
    story.take(&asset_described("three"));
    assert_eq!(story.refusal(&asset_described("four")), Some(Code::BudgetSpent));
}

#[test]
fn a_quorum_of_the_validators_sets_them_and_a_window_has_a_length() {
    let story = version(3);
    let set = Some(budgets(ANY, ANY));
    assert_eq!(story.refusal(&budgets_set(set, QUORUM)), None);
    assert_eq!(story.refusal(&budgets_set(set, &[EXCHANGE])), Some(Code::ValidatorsQuorum));
    for window_s in [0, 86_401] {
        let set = Some(Budgets { window_s, party: None, exchange: None });
        assert_eq!(story.refusal(&budgets_set(set, QUORUM)), Some(Code::Field));
    }
}

#[test]
fn they_came_with_the_third_version() {
    let mut story = version(2);
    let set = budgets_set(Some(budgets(of(1, 0), of(1, 0))), QUORUM);
    assert_eq!(story.refusal(&set), Some(Code::ProtocolNotActive));
    story.take(&protocol_activated(3, story.height + 3, QUORUM));
    story.take(&asset_described("one"));
    story.take(&set);
    // Who came before has nobody on record who answers for it, and has a budget of its own.
    let record: PartyRecord = story.record(&format!("party:{SUPPLIER}"));
    assert_eq!(record.admitted_by, "");
    story.take(&asset_described("two"));
    assert_eq!(story.refusal(&asset_described("three")), Some(Code::BudgetSpent));
    assert_eq!(activity(&story, EXCHANGE).charged, None);
}
