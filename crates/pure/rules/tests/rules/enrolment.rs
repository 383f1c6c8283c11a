//! What a party and its keys must be to come into force: a party is described, and a key of the right form, nobody's yet, and in the
//! hands of who brings it.

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{
    Clock, KeyGrant, KeyRecord, PartyAdmitted, PartyKind, PartyProfile, Purpose, Role,
};
use ledger_rules::Code;
use ledger_story::acts;
use ledger_story::cast::{BUYER, ENROLLED, EXCHANGE, Key, Label, OMNI, REGISTRY, SUPPLIER};
use ledger_story::deed::{Deed, sign};
use ledger_story::members::{MEMBERS, key_enrolled_by, set};
use ledger_story::{LIMITS, Story, china, genesis_with};

fn genesis() -> Story {
    Story::of(genesis_with(set(&MEMBERS), 5, Clock::Wall, china("2026-08-03"), LIMITS))
}

/// With its party, by its party and an authority, and by the validators for a party that has none left.
fn ways() -> [(&'static str, Story, Deed); 3] {
    let begun = genesis().begun();
    let mut first = genesis();
    first.take(&acts::genesis_published(&first.genesis));
    let locked_out = ENROLLED.iter().fold(begun.clone(), |story, label| {
        let id = format!("key:{}", Key(BUYER, *label).kid());
        story.altered(&id, |key: &mut KeyRecord| key.revoked_ms = 1)
    });
    [
        ("P1", first, acts::party_admitted(OMNI)),
        ("P2", begun, acts::key_enrolled(BUYER, Label::Fresh)),
        ("P6", locked_out, key_enrolled_by(&[EXCHANGE, REGISTRY], BUYER)),
    ]
}

/// The first key that a deed brings.
fn grant(deed: &mut Deed) -> &mut KeyGrant {
    match &mut deed.act {
        Act::PartyAdmitted(event) => &mut event.keys[0],
        Act::KeyEnrolled(event) => event.key.as_mut().unwrap(),
        other => panic!("{other:?} enrols no key"),
    }
}

/// Every way is refused with a code once this was changed.
#[track_caller]
fn refused(code: Code, change: impl Fn(&mut Deed)) {
    for (way, story, mut deed) in ways() {
        assert_eq!(story.judge(&deed), Ok(()), "{way}");
        change(&mut deed);
        assert_eq!(story.refusal(&deed), Some(code), "{way}");
    }
}

/// Its record would be the new party's, and whatever it signs from then on as well.
#[test]
fn a_key_that_is_somebodys_is_not_enrolled_for_another_one() {
    refused(Code::KeyDuplicate, |deed| {
        let (old, taken) = (grant(deed).public_key.clone(), Key(REGISTRY, Label::Wang));
        grant(deed).public_key = Bytes::copy_from_slice(&taken.public());
        for sign in deed.signers.iter_mut().filter(|sign| sign.key.public() == old[..]) {
            sign.key = taken;
        }
    });
}

#[test]
fn a_revoked_key_does_not_come_back() {
    let enrolled = acts::key_enrolled(BUYER, Label::Fresh);
    let mut story = genesis().begun();
    // Nor does one come twice in a block.
    let taken = story.block(&[enrolled.clone(), enrolled.clone()]);
    assert_eq!(taken[1].as_ref().unwrap_err().code, Code::KeyDuplicate);
    story.take(&acts::key_revoked_by_authority(BUYER, Label::Fresh));
    assert_eq!(story.refusal(&enrolled), Some(Code::KeyDuplicate));
}

#[test]
fn who_is_admitted_lists_each_key_once_and_one_at_least() {
    let [(_, story, admitted), ..] = ways();
    let changed = |change: fn(&mut PartyAdmitted)| story.refusal(&admitted.clone().with(change));
    assert_eq!(changed(|event| event.keys[1] = event.keys[0].clone()), Some(Code::KeyDuplicate));
    assert_eq!(changed(|event| event.keys.clear()), Some(Code::Field));
    assert_eq!(changed(|event| event.roles.clear()), Some(Code::Field));
    assert_eq!(changed(|event| event.roles.push(0)), Some(Code::Field));
}

#[test]
fn a_key_has_its_length_a_factor_and_perhaps_an_officer() {
    refused(Code::Field, |deed| grant(deed).public_key.truncate(31));
    refused(Code::Field, |deed| grant(deed).factor = 0);
    refused(Code::Field, |deed| grant(deed).officer = Bytes::from_static(b"Zhao"));
}

#[test]
fn each_new_key_signs_itself_for_its_party() {
    let of_first = |deed: &mut Deed| {
        let key = grant(deed).public_key.clone();
        deed.signers.iter().position(|sign| sign.key.public() == key[..]).unwrap()
    };
    // Another new key in its place.
    refused(Code::KeyPossession, |deed| {
        let first = of_first(deed);
        deed.signers[first].key.1 = Label::Newer;
    });
    refused(Code::KeyPossession, |deed| {
        let first = of_first(deed);
        deed.signers[first].party = SUPPLIER;
    });
    refused(Code::KeyPossession, |deed| {
        let first = of_first(deed);
        let party = deed.signers[first].party;
        deed.signers.push(sign(party, Label::Newer, Role::Auditor, Purpose::Possession));
    });
    // In a role that who is admitted does not get.
    let [(_, story, mut admitted), ..] = ways();
    let first = of_first(&mut admitted);
    admitted.signers[first].role = Role::NodeOperator;
    assert_eq!(story.refusal(&admitted), Some(Code::KeyPossession));
}

/// What an admission meets whose profile was changed.
fn profiled(change: impl FnOnce(&mut PartyProfile)) -> Option<Code> {
    let [(_, story, admitted), ..] = ways();
    story.refusal(
        &admitted.with(|event: &mut PartyAdmitted| change(event.profile.as_mut().unwrap())),
    )
}

#[test]
fn a_party_has_an_id_that_parties_can_have() {
    let [(_, story, admitted), ..] = ways();
    for id in ["Omni", "omni_group", "omni/group"] {
        let mut deed = admitted.clone().about(format!("party:{id}"));
        deed.signers.retain(|sign| sign.purpose != Purpose::Possession);
        assert_eq!(story.refusal(&deed), Some(Code::Field), "{id}");
    }
}

#[test]
fn a_profile_says_what_kind_of_party_it_is_of_and_where() {
    let [(_, story, admitted), ..] = ways();
    let without = admitted.with(|event: &mut PartyAdmitted| event.profile = None);
    assert_eq!(story.refusal(&without), Some(Code::Field));
    assert_eq!(profiled(|profile| profile.kind = 0), Some(Code::Field));
    for place in ["", "cn", "CHN"] {
        let refusal = profiled(|profile| profile.jurisdiction = place.into());
        assert_eq!(refusal, Some(Code::Field), "{place:?}");
    }
}

#[test]
fn a_party_has_a_name_in_one_language_or_in_both() {
    let named = |english: usize, chinese: usize| {
        profiled(|profile| {
            (profile.name_en, profile.name_zh) = ("n".repeat(english), "名".repeat(chinese));
        })
    };
    assert_eq!(named(0, 1), None);
    assert_eq!(named(100, 100), None);
    assert_eq!(named(0, 0), Some(Code::Field));
    assert_eq!(named(100, 101), Some(Code::Field));
}

#[test]
fn texts_of_a_profile_have_their_lengths() {
    type Text = fn(&mut PartyProfile) -> &mut String;
    let texts: [(&str, Text, usize); 3] = [
        ("registration_number", |profile| &mut profile.registration_number, 40),
        ("sector", |profile| &mut profile.sector, 20),
        ("region", |profile| &mut profile.region, 10),
    ];
    for (name, field, most) in texts {
        assert_eq!(profiled(|profile| *field(profile) = "字".repeat(most)), None, "{name}");
        let longer = profiled(|profile| *field(profile) = "字".repeat(most + 1));
        assert_eq!(longer, Some(Code::Field), "{name}");
    }
}

/// They are part of every number that the party gives as a registry.
#[test]
fn region_and_digit_of_a_profile_are_digits() {
    let with = |region: &str, digit: &str| {
        profiled(|profile| {
            profile.certificate_region = region.into();
            profile.certificate_digit = digit.into();
        })
    };
    for (region, digit) in [("44", "1"), ("", ""), ("44", ""), ("", "1")] {
        assert_eq!(with(region, digit), None, "{region:?}, {digit:?}");
    }
    for (region, digit) in
        [("4", "1"), ("444", "1"), ("4A", "1"), ("44", "12"), ("44", "A"), ("44", "１")]
    {
        assert_eq!(with(region, digit), Some(Code::Field), "{region:?}, {digit:?}");
    }
}

/// What is on a ledger stays there.
#[test]
fn of_a_natural_person_nothing_is_recorded_that_names_it() {
    let bare = |profile: &mut PartyProfile| {
        profile.kind = PartyKind::Natural.into();
        profile.name_en.clear();
    };
    assert_eq!(profiled(bare), None);
    let named: [fn(&mut PartyProfile); 3] = [
        |profile| profile.name_en = "Zhao".into(),
        |profile| profile.name_zh = "赵".into(),
        |profile| profile.registration_number = "440100".into(),
    ];
    for (number, name) in named.into_iter().enumerate() {
        let refusal = profiled(|profile| {
            bare(profile);
            name(profile);
        });
        assert_eq!(refusal, Some(Code::Field), "name {number}");
    }
}
