//! Who may change the validators and the protocol: each guard with the code that it refuses with, and what a change leaves behind.

use ledger_event::{
    Clock, LedgerRecord, PartyRecord, ProtocolActivated, Role, ValidatorSet, ValidatorsChanged,
};
use ledger_rules::Code;
use ledger_rules::protocol::Protocol;
use ledger_story::cast::{AUTHORITY, BUYER, EXCHANGE, Key, Label, OMNI, REGISTRY, SUPPLIER};
use ledger_story::deed::{Deed, Prior};
use ledger_story::members::{
    MEMBERS, genesis, member, protocol_activated, set, validators_changed,
};
use ledger_story::{LIMITS, Story, acts, china, genesis_with};

const QUORUM: &[&str] = &[EXCHANGE, REGISTRY];
const WITH_OMNI: &[&str] = &[EXCHANGE, REGISTRY, OMNI];

fn story() -> Story {
    Story::of(genesis(Clock::Wall, china("2026-08-03"), LIMITS)).begun()
}

/// The first validators and these.
fn more(others: &[(&str, &str)]) -> ValidatorSet {
    set(&[&MEMBERS, others].concat())
}

/// The first validators, one of them changed.
fn altered(number: usize, change: impl FnOnce(&mut ledger_event::Validator)) -> ValidatorSet {
    let mut all: Vec<_> = MEMBERS.map(|(name, party)| member(name, party)).into();
    change(&mut all[number]);
    all.sort_by_key(|member| ledger_format::digest::sha256(&[&member.vote_key]));
    ValidatorSet { validators: all }
}

fn refused(set: ValidatorSet, parties: &[&'static str]) -> Option<Code> {
    story().refusal(&validators_changed(set, parties))
}

#[test]
fn a_quorum_adds_a_validator_with_its_partys_consent() {
    let added = more(&[("e-", OMNI)]);
    let mut story = story();
    assert_eq!(story.judge(&validators_changed(added.clone(), WITH_OMNI)), Ok(()));
    // Two thirds are not more than two thirds, of the set before and of the one after.
    assert_eq!(refused(added.clone(), &[EXCHANGE, OMNI]), Some(Code::ValidatorsQuorum));
    assert_eq!(refused(added.clone(), QUORUM), Some(Code::ValidatorsNewQuorum));
    // With a quorum of both sets, the new party's consent is still missing.
    let everybody = &[EXCHANGE, REGISTRY, AUTHORITY];
    assert_eq!(refused(added.clone(), everybody), Some(Code::ValidatorConsent));
    let before: ValidatorSet = story.record("validators:current");
    story.take(&validators_changed(added.clone(), WITH_OMNI));
    assert_eq!(story.record::<ValidatorSet>("validators:current"), added);
    assert_eq!(story.record::<ValidatorSet>("validators:before"), before);
}

#[test]
fn a_quorum_removes_a_validator_without_its_party() {
    let fewer = set(&[MEMBERS[0], MEMBERS[1], MEMBERS[3]]);
    assert_eq!(refused(fewer, QUORUM), None);
    // Not by those alone who stay, where they are no quorum.
    let two = set(&[MEMBERS[0], MEMBERS[3]]);
    assert_eq!(refused(two, &[EXCHANGE]), Some(Code::ValidatorsQuorum));
    // Nor so that the others have no quorum without those who did not agree.
    let turned = set(&[MEMBERS[2]]);
    assert_eq!(refused(turned, QUORUM), Some(Code::ValidatorsNewQuorum));
}

#[test]
fn keys_are_renewed_with_their_partys_consent() {
    let renewed = set(&[("a2-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]]);
    assert_eq!(refused(renewed.clone(), QUORUM), None);
    // Any of the four keys, and the name: three quarters agree, and not the party that they are of.
    let omni = Story::of(genesis_with(
        set(&[("a-", EXCHANGE), ("b-", EXCHANGE), ("c-", EXCHANGE), ("d-", REGISTRY)]),
        1,
        Clock::Wall,
        china("2026-08-03"),
        LIMITS,
    ))
    .begun();
    let of_omni = set(&[("a-", EXCHANGE), ("b-", EXCHANGE), ("c-", EXCHANGE), ("x-", EXCHANGE)]);
    assert_eq!(omni.refusal(&validators_changed(of_omni, &[EXCHANGE])), None);
    let theirs = set(&[("a-", EXCHANGE), ("b-", EXCHANGE), ("c-", EXCHANGE), ("x-", OMNI)]);
    let refused = omni.refusal(&validators_changed(theirs, &[EXCHANGE]));
    assert_eq!(refused, Some(Code::ValidatorConsent));
    let single: [fn(&mut ledger_event::Validator); 4] = [
        |member| member.name = "other.example".into(),
        |member| member.log_key = vec![1; 32].into(),
        |member| member.cosign_key = vec![2; 32].into(),
        |member| member.receipt_key = vec![3; 32].into(),
    ];
    for change in single {
        // The authority's validator: it is no exchange, so its keys cannot be renewed at all.
        let changed = altered(2, change);
        let refused = self::refused(changed, &[EXCHANGE, REGISTRY, AUTHORITY]);
        assert_eq!(refused, Some(Code::ValidatorParty));
    }
    // Power is the members' to give.
    assert_eq!(
        self::refused(altered(2, |member| member.power = 2), &[EXCHANGE, REGISTRY, AUTHORITY]),
        None
    );
}

#[test]
fn a_validators_party_is_admitted_and_may_run_one() {
    let stranger = more(&[("e-", "nobody")]);
    let all = &[EXCHANGE, REGISTRY, AUTHORITY];
    assert_eq!(refused(stranger, all), Some(Code::ValidatorParty));
    let supplier = more(&[("e-", SUPPLIER)]);
    let signers = &[EXCHANGE, REGISTRY, AUTHORITY, SUPPLIER];
    assert_eq!(refused(supplier, signers), Some(Code::ValidatorParty));
}

/// Who neither trades nor registers may still run a validator, if that is what it was admitted for.
#[test]
fn an_operator_of_nodes_runs_a_validator() {
    let story = story().altered(&format!("party:{BUYER}"), |party: &mut PartyRecord| {
        party.roles.push(Role::NodeOperator.into());
    });
    let with_buyer =
        validators_changed(more(&[("e-", BUYER)]), &[EXCHANGE, REGISTRY, AUTHORITY, BUYER]);
    assert_eq!(story.refusal(&with_buyer), None);
}

#[test]
fn a_key_has_one_holder_and_one_purpose() {
    let with = |change: &dyn Fn(&mut ledger_event::Validator)| {
        let mut added = member("e-", OMNI);
        change(&mut added);
        let mut all: Vec<_> = MEMBERS.map(|(name, party)| member(name, party)).into();
        all.push(added);
        all.sort_by_key(|member| ledger_format::digest::sha256(&[&member.vote_key]));
        refused(ValidatorSet { validators: all }, WITH_OMNI)
    };
    assert_eq!(with(&|_| ()), None);
    // A key of a party's.
    let seal = Key(OMNI, Label::Seal).public().to_vec();
    assert_eq!(with(&|e| e.log_key = seal.clone().into()), Some(Code::ValidatorKeyReused));
    // A key of another member, and one twice, are no set.
    let other = member("a-", EXCHANGE).log_key;
    assert_eq!(with(&|e| e.log_key = other.clone()), Some(Code::Field));
    assert_eq!(with(&|e| e.log_key = e.vote_key.clone()), Some(Code::Field));
    // A key of somebody who leaves, and the own one for another purpose.
    let moved = |name, party, change: &dyn Fn(&mut ledger_event::Validator)| {
        let old = member("a-", EXCHANGE);
        let mut new = member(name, party);
        new.cosign_key = old.cosign_key;
        change(&mut new);
        let mut all: Vec<_> =
            MEMBERS[1..].iter().map(|(name, party)| member(name, party)).collect();
        all.push(new);
        all.sort_by_key(|member| ledger_format::digest::sha256(&[&member.vote_key]));
        refused(ValidatorSet { validators: all }, &[EXCHANGE, REGISTRY, AUTHORITY, OMNI])
    };
    assert_eq!(moved("f-", OMNI, &|_| ()), Some(Code::ValidatorKeyReused));
    let of_exchange = |change: &dyn Fn(&mut ledger_event::Validator)| {
        let old = member("a-", EXCHANGE);
        let mut new = ledger_event::Validator {
            cosign_key: old.cosign_key.clone(),
            ..member("f-", EXCHANGE)
        };
        change(&mut new);
        let mut all: Vec<_> =
            MEMBERS[1..].iter().map(|(name, party)| member(name, party)).collect();
        all.push(new);
        all.sort_by_key(|member| ledger_format::digest::sha256(&[&member.vote_key]));
        refused(ValidatorSet { validators: all }, QUORUM)
    };
    assert_eq!(of_exchange(&|_| ()), None);
    let vote = member("a-", EXCHANGE).vote_key;
    assert_eq!(of_exchange(&|new| new.log_key = vote.clone()), Some(Code::ValidatorKeyReused));
}

#[test]
fn a_set_has_its_form() {
    assert_eq!(refused(ValidatorSet::default(), QUORUM), Some(Code::Field));
    assert_eq!(refused(set(&MEMBERS), QUORUM), Some(Code::Field));
    assert_eq!(refused(altered(0, |member| member.power = 0), QUORUM), Some(Code::Field));
    assert_eq!(refused(altered(0, |member| member.name = "a b".into()), QUORUM), Some(Code::Field));
    let mut unsorted = set(&MEMBERS);
    unsorted.validators.reverse();
    assert_eq!(refused(unsorted, QUORUM), Some(Code::Field));
    let none = validators_changed(set(&MEMBERS), QUORUM)
        .with(|event: &mut ValidatorsChanged| event.validators = None);
    assert_eq!(story().refusal(&none), Some(Code::Field));
}

#[test]
fn outsiders_do_not_sign() {
    let changed = more(&[("e-", OMNI)]);
    let signers = &[EXCHANGE, REGISTRY, OMNI, SUPPLIER];
    assert_eq!(refused(changed, signers), Some(Code::SigUncalledFor));
}

#[test]
fn a_change_meets_the_set_that_its_signers_saw() {
    let added = validators_changed(more(&[("e-", OMNI)]), WITH_OMNI);
    let renewed = set(&[("a2-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]]);
    let renewed = validators_changed(renewed, QUORUM);
    let mut story = story();
    // Before the first change there is no history to state; afterwards there is.
    let (blind, late) = (
        Deed { prior: Prior::Unstated, ..renewed.clone() },
        Deed { prior: Prior::Stated([7; 32]), ..renewed.clone() },
    );
    assert_eq!(story.refusal(&blind), None);
    story.take(&added);
    assert_eq!(story.refusal(&blind), Some(Code::PriorMissing));
    assert_eq!(story.refusal(&late), Some(Code::PriorStale));
    // A second one in the same block is refused, although its signers saw the first.
    let mut again = self::story();
    let results = again.block(&[added, renewed.clone()]);
    let codes: Vec<Option<Code>> =
        results.into_iter().map(|result| result.err().map(|refusal| refusal.code)).collect();
    assert_eq!(codes, [None, Some(Code::ValidatorsPending)]);
    // In the next one it is judged by the set that the first has brought, in force or not.
    assert_eq!(again.refusal(&renewed), Some(Code::ValidatorsQuorum));
}

#[test]
fn the_record_of_the_set_before_is_no_subject() {
    let mut story = story();
    story.take(&validators_changed(more(&[("e-", OMNI)]), WITH_OMNI));
    let deed = validators_changed(set(&MEMBERS), &[EXCHANGE, REGISTRY, AUTHORITY]);
    let deed = deed.about("validators:before");
    assert_eq!(story.refusal(&deed), Some(Code::SubjectKind));
    assert_eq!(story.refusal(&deed.about("validators:next")), Some(Code::SubjectUnknown));
}

#[test]
fn validators_activate_the_next_version_of_the_protocol() {
    let mut story = story();
    let (next, first) = (story.height + 1, story.height + 3);
    let judged = |story: &Story, version, height, parties: &[&'static str]| {
        story.refusal(&protocol_activated(version, height, parties))
    };
    assert_eq!(judged(&story, 2, first, QUORUM), None);
    for version in [0, 1, 3, u32::MAX] {
        assert_eq!(judged(&story, version, first, QUORUM), Some(Code::Field), "{version}");
    }
    for height in [0, next, next + 1] {
        assert_eq!(judged(&story, 2, height, QUORUM), Some(Code::Field), "{height}");
    }
    assert_eq!(judged(&story, 2, first, &[EXCHANGE]), Some(Code::ValidatorsQuorum));
    assert_eq!(judged(&story, 2, first, WITH_OMNI), Some(Code::SigUncalledFor));
    let blind = protocol_activated(2, first, QUORUM);
    let blind = Deed { prior: Prior::Unstated, ..blind };
    assert_eq!(story.refusal(&blind), Some(Code::PriorMissing));

    story.take(&protocol_activated(2, first, QUORUM));
    let at = |story: &Story, height| Protocol::at(&story.state, height).unwrap();
    assert_eq!(at(&story, first - 1), Protocol { version: 1, planned: Some((2, first)) });
    assert_eq!(at(&story, first), Protocol { version: 2, planned: None });
    // Until it is in force another height can be agreed on, of the same version.
    assert_eq!(judged(&story, 3, first + 9, QUORUM), Some(Code::Field));
    story.take(&protocol_activated(2, first + 9, QUORUM));
    assert_eq!(at(&story, first).version, 1);
    story.take(&acts::asset_described("one"));
    // Awaited documents and the rest of the record are as they were.
    let record: LedgerRecord = story.record("ledger:genesis");
    assert_eq!((record.activated_version, record.activated_height), (2, first + 9));
    assert_eq!(record.governance_threshold, 2);
}

/// What is in force until then is what was activated before, and not what the ledger began with.
#[test]
fn between_two_activations_the_first_is_in_force() {
    let mut story = story();
    let second = story.height + 3;
    story.take(&protocol_activated(2, second, QUORUM));
    story.take(&acts::asset_described("one"));
    let third = second + 2;
    story.take(&protocol_activated(3, third, QUORUM));
    let now = Protocol::at(&story.state, third - 1).unwrap();
    assert_eq!(now, Protocol { version: 2, planned: Some((3, third)) });
}

#[test]
fn a_ledger_may_begin_with_any_known_version() {
    let begun = |version| {
        let genesis =
            genesis_with(set(&MEMBERS), version, Clock::Wall, china("2026-08-03"), LIMITS);
        Story::of(genesis).begun()
    };
    for version in ledger_format::genesis::PROTOCOL_VERSIONS {
        let story = begun(version);
        let now = Protocol::at(&story.state, story.height + 1).unwrap();
        assert_eq!(now, Protocol { version, planned: None });
        // The rules let the validators activate what a program does not know: it is the program that has to stop.
        let next = protocol_activated(version + 1, story.height + 3, QUORUM);
        assert_eq!(story.refusal(&next), None);
        let skipped = next.with(|event: &mut ProtocolActivated| event.version += 1);
        assert_eq!(story.refusal(&skipped), Some(Code::Field));
    }
}
