//! Who can take a party its keys, and give it new ones: from protocol version 5 on no single key and no single organisation
//! (docs/adr/0029).

use ledger_event::{Clock, KeyRecord, PartyRecord, Purpose, Role};
use ledger_format::digest::EntryId;
use ledger_rules::{Code, Refusal};
use ledger_story::cast::{
    AUTHORITY, BUYER, ENROLLED, EXCHANGE, Key, Label, OMNI, REGISTRY, SUPPLIER,
};
use ledger_story::deed::{Deed, sign, two_officers};
use ledger_story::members::{MEMBERS, key_enrolled_by, key_revoked_by, set, validators_changed};
use ledger_story::{LIMITS, Story, acts, china, genesis_with};

const QUORUM: &[&str] = &[EXCHANGE, REGISTRY];

fn story(version: u32) -> Story {
    let start = china("2026-08-03");
    Story::of(genesis_with(set(&MEMBERS), version, Clock::Wall, start, LIMITS)).begun()
}

/// A revocation by the buyer, signed with these keys.
fn by_buyer(revoked: Label, with: &[Label]) -> Deed {
    let mut deed = acts::key_revoked(BUYER, revoked);
    deed.signers = with
        .iter()
        .enumerate()
        .map(|(number, label)| {
            let purpose = if number == 0 { Purpose::Issue } else { Purpose::SecondFactor };
            sign(BUYER, *label, Role::Buyer, purpose)
        })
        .collect();
    deed
}

fn is_active(story: &Story, party: &'static str, label: Label) -> bool {
    story.record::<KeyRecord>(&format!("key:{}", Key(party, label).kid())).revoked_ms == 0
}

fn codes(taken: &[Result<EntryId, Refusal>]) -> Vec<Option<Code>> {
    taken.iter().map(|taken| taken.as_ref().err().map(|refusal| refusal.code)).collect()
}

#[test]
fn who_has_one_key_of_a_party_cannot_take_it_the_others() {
    let alone = by_buyer(Label::Seal, &[Label::Li]);
    assert_eq!(story(4).judge(&alone), Ok(()));
    let story = story(5);
    assert_eq!(story.refusal(&alone), Some(Code::SigMissingRole));
    // The revoked key is none of the two others.
    let with_itself = by_buyer(Label::Seal, &[Label::Li, Label::Seal]);
    assert_eq!(story.refusal(&with_itself), Some(Code::SigMissingRole));
    assert_eq!(story.judge(&by_buyer(Label::Seal, &[Label::Li, Label::Wang])), Ok(()));
    let with_all = by_buyer(Label::Seal, &[Label::Li, Label::Wang, Label::Seal]);
    assert_eq!(story.judge(&with_all), Ok(()));
}

#[test]
fn keys_that_revoke_each_other_in_one_block_are_not_all_gone() {
    let (one, two, three) = (Label::Seal, Label::Li, Label::Wang);
    // That the key on its way out signs as well does not leave one.
    for last in [&[one, two][..], &[one, two, three]] {
        let mut story = story(5);
        let codes = codes(&story.block(&[
            by_buyer(one, &[two, three]),
            by_buyer(two, &[one, three]),
            by_buyer(three, last),
        ]));
        assert_eq!(codes, [None, None, Some(Code::KeyInactive)]);
        assert!(is_active(&story, BUYER, three));
    }
}

/// Chains of then have such blocks, and are executed again as they were.
#[test]
fn before_version_5_two_keys_may_revoke_each_other_in_one_block() {
    let (one, two) = (Label::Seal, Label::Li);
    let mut story = story(4);
    let codes = codes(&story.block(&[by_buyer(one, &[two]), by_buyer(two, &[one])]));
    assert_eq!(codes, [None, None]);
}

#[test]
fn a_key_is_revoked_once_in_a_block() {
    let mut story = story(5);
    let revoked = acts::key_revoked_by_authority(BUYER, Label::SpareLi);
    let codes = codes(&story.block(&[revoked.clone(), revoked]));
    assert_eq!(codes, [None, Some(Code::KeyInactive)]);
}

#[test]
fn no_authority_alone_takes_a_founder_or_a_validators_party_its_keys() {
    for party in [REGISTRY, EXCHANGE] {
        let deed = acts::key_revoked_by_authority(party, Label::SpareLi);
        assert_eq!(story(4).judge(&deed), Ok(()));
        assert_eq!(story(5).refusal(&deed), Some(Code::ValidatorsQuorum));
    }
    // Others it may, as before.
    let of_a_buyer = acts::key_revoked_by_authority(BUYER, Label::SpareLi);
    assert_eq!(story(5).judge(&of_a_buyer), Ok(()));
}

#[test]
fn a_founder_without_a_validator_and_a_validator_that_is_no_founder_are_guarded_alike() {
    let members = set(&[("a-", EXCHANGE), ("b-", EXCHANGE), ("c-", EXCHANGE), ("d-", AUTHORITY)]);
    let start = china("2026-08-03");
    let mut story = Story::of(genesis_with(members, 5, Clock::Wall, start, LIMITS)).begun();
    let of = |party| acts::key_revoked_by_authority(party, Label::SpareLi);
    assert_eq!(story.refusal(&of(REGISTRY)), Some(Code::ValidatorsQuorum));
    assert_eq!(story.judge(&of(OMNI)), Ok(()));
    let members = [("a-", EXCHANGE), ("b-", EXCHANGE), ("c-", EXCHANGE), ("e-", OMNI)];
    story.take(&validators_changed(set(&members), &[EXCHANGE, OMNI]));
    assert_eq!(story.refusal(&of(OMNI)), Some(Code::ValidatorsQuorum));
}

#[test]
fn the_validators_take_one_of_them_its_keys_without_it() {
    let mut story = story(5);
    story.take(&key_revoked_by(QUORUM, AUTHORITY, Label::SpareLi));
    assert!(!is_active(&story, AUTHORITY, Label::SpareLi));
    // Not fewer of them, and nobody else beside them.
    let few = key_revoked_by(&[REGISTRY, AUTHORITY], EXCHANGE, Label::SpareLi);
    assert_eq!(story.refusal(&few), Some(Code::ValidatorsQuorum));
    let beside = key_revoked_by(&[EXCHANGE, REGISTRY, SUPPLIER], AUTHORITY, Label::Li);
    assert_eq!(story.refusal(&beside), Some(Code::SigUncalledFor));
    let again = key_revoked_by(QUORUM, AUTHORITY, Label::SpareLi);
    assert_eq!(story.refusal(&again), Some(Code::KeyInactive));
    let of_nobody = key_revoked_by(QUORUM, AUTHORITY, Label::Fresh);
    assert_eq!(story.refusal(&of_nobody), Some(Code::KeyUnknown));
}

#[test]
fn who_has_no_key_left_gets_one_by_the_validators_and_signs_with_it() {
    let mut story = story(5);
    let recovery = key_enrolled_by(QUORUM, BUYER);
    // While there is one, its own signature is what counts.
    assert_eq!(story.refusal(&recovery), Some(Code::SigMissingRole));
    // A program's key speaks for nobody: the party is as silent with it.
    for label in ENROLLED.into_iter().filter(|label| *label != Label::System) {
        story.take(&acts::key_revoked_by_authority(BUYER, label));
    }
    assert_eq!(story.judge(&recovery), Ok(()));
    story.take(&acts::key_revoked_by_authority(BUYER, Label::System));
    let usual = acts::key_enrolled(BUYER, Label::Fresh);
    assert_eq!(story.refusal(&usual), Some(Code::KeyInactive));
    assert_eq!(
        story.refusal(&key_enrolled_by(&[REGISTRY, AUTHORITY], BUYER)),
        Some(Code::ValidatorsQuorum)
    );
    let beside = key_enrolled_by(&[EXCHANGE, REGISTRY, SUPPLIER], BUYER);
    assert_eq!(story.refusal(&beside), Some(Code::SigUncalledFor));
    let unproven = recovery.clone().signed_by(acts::founders(QUORUM));
    assert_eq!(story.refusal(&unproven), Some(Code::KeyPossession));
    story.take(&recovery);
    assert!(is_active(&story, BUYER, Label::Fresh));
    let keys = story.record::<PartyRecord>(&format!("party:{BUYER}")).keys;
    assert_eq!(keys.len(), ENROLLED.len() + 1);
    // It is a key like any other: with the authority it brings in the next.
    let next = acts::key_enrolled(BUYER, Label::Newer);
    let signers = next.signers.iter().cloned().map(|mut sign| {
        if sign.key == Key(BUYER, Label::Seal) {
            sign.key = Key(BUYER, Label::Fresh);
        }
        sign
    });
    let signers = signers.collect();
    assert_eq!(story.judge(&next.signed_by(signers)), Ok(()));
}

/// Before version 5 a party without keys has none for ever.
#[test]
fn before_version_5_nobody_gives_a_party_a_key_without_its_own() {
    let mut story = story(4);
    for label in ENROLLED {
        story.take(&acts::key_revoked_by_authority(BUYER, label));
    }
    assert_eq!(story.refusal(&key_enrolled_by(QUORUM, BUYER)), Some(Code::SigMissingRole));
    let alone = acts::key_revoked_by_authority(EXCHANGE, Label::Seal)
        .signed_by(two_officers(AUTHORITY, Role::IdentityAuthority));
    assert_eq!(story.judge(&alone), Ok(()));
}
