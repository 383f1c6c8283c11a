//! Who may sign: every row of every table, and every way to sign it wrongly.

use ledger_event::{KeyRecord, PartyRecord, Purpose, Role};
use ledger_rules::Code;
use ledger_rules::block::ACTS;
use ledger_rules::table::{Keys, Need, Row, Who, rows};
use ledger_story::acts::{self, founders};
use ledger_story::cast::{
    AUTHORITY, BUYER, ENROLLED, EXCHANGE, FOUNDERS, Key, Label, OMNI, REGISTRY, SUPPLIER, roles,
};
use ledger_story::deed::{Deed, Sign, sign};
use ledger_story::members::{
    MEMBERS, budgets_set, key_enrolled_by, key_revoked_by, misconduct_recorded, protocol_activated,
    set, validators_changed, voted,
};
use ledger_story::{NUMBER, RAIN, Stage, Story, genesis_with};

/// For each row: a story in which the deed passes.
fn cases() -> Vec<(Row, Story, Deed)> {
    let genesis = Story::before_genesis(ledger_event::Clock::Wall, "2026-08-03");
    let first = acts::genesis_published(&genesis.genesis);
    let mut rules = ledger_story::data::cn_nda_2026();
    rules.version = 2;
    let renewed = set(&[("a2-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]]);
    let opened = Story::opened;
    let at = Story::before;
    let deeds: Vec<(&str, Story, Deed)> = vec![
        ("V1", genesis, first),
        ("V2", opened(), acts::rule_set_published(&rules)),
        ("V3", opened(), acts::calendar_published(&ledger_story::data::calendar("HK-2026"))),
        ("V4", members(), validators_changed(renewed, &[EXCHANGE, REGISTRY])),
        ("V5", members(), protocol_activated(2, 100, &[EXCHANGE, REGISTRY])),
        ("V6", version(2), accusation(&version(2))),
        ("V7", version(3), budgets_set(None, &[EXCHANGE, REGISTRY])),
        ("P1", without(OMNI), acts::party_admitted(OMNI)),
        ("P2", opened(), acts::key_enrolled(BUYER, Label::Fresh)),
        ("P3", opened(), acts::key_revoked(BUYER, Label::System)),
        ("P4", opened(), acts::key_revoked_by_authority(BUYER, Label::System)),
        ("P5", version(5), key_revoked_by(&[EXCHANGE, REGISTRY], AUTHORITY, Label::SpareLi)),
        ("P6", locked_out(), key_enrolled_by(&[EXCHANGE, REGISTRY], BUYER)),
        ("A1", opened(), acts::asset_described(RAIN)),
        ("A2", at(Stage::Applied), acts::asset_revised(RAIN, |_| {})),
        ("A3", at(Stage::Applied), acts::history_by_supplier(RAIN)),
        ("A4", at(Stage::Applied), acts::history_by_exchange(RAIN)),
        ("R1", at(Stage::Applied), acts::registration_applied(RAIN)),
        ("R5", at(Stage::Accepted), acts::registration_accepted(RAIN)),
        ("R8", at(Stage::Reviewed), acts::registration_reviewed(RAIN)),
        ("R10", at(Stage::Noticed), acts::notice_opened(RAIN)),
        ("R15", at(Stage::Recorded).on("2026-08-14"), acts::evidence_recorded(RAIN)),
        ("R16", at(Stage::Certified), acts::certificate_issued(RAIN, NUMBER)),
        ("T1", at(Stage::Submitted), acts::review_submitted(RAIN)),
        ("T2", at(Stage::Decided), acts::review_decided(RAIN)),
        ("T3", at(Stage::Offered), acts::listing_applied(RAIN, NUMBER)),
        ("T4", at(Stage::Listed), acts::listing_published(RAIN)),
        ("T8", at(Stage::Contracted), acts::contract_signed(RAIN)),
        ("D1", at(Stage::Planned), acts::delivery_planned(RAIN)),
        ("D3", at(Stage::Sent), acts::batch_sent(RAIN, 1)),
        ("D4", at(Stage::Acknowledged), acts::batch_acknowledged(RAIN, 1)),
        ("D9", at(Stage::Completed), acts::delivery_completed(RAIN)),
    ];
    let rows = rows();
    let row = |number: &str| {
        let found = rows.iter().find(|row| row.row.split(' ').next() == Some(number));
        found.unwrap_or_else(|| panic!("no row {number}")).clone()
    };
    deeds.into_iter().map(|(number, story, deed)| (row(number), story, deed)).collect()
}

/// The usual beginning, with validators of several parties.
fn members() -> Story {
    let (clock, start) = (ledger_event::Clock::Wall, ledger_story::china("2026-08-03"));
    Story::of(ledger_story::members::genesis(clock, start, ledger_story::LIMITS)).begun()
}

/// The same on a ledger that began with that protocol version.
fn version(version: u32) -> Story {
    let (clock, start) = (ledger_event::Clock::Wall, ledger_story::china("2026-08-03"));
    Story::of(genesis_with(set(&MEMBERS), version, clock, start, ledger_story::LIMITS)).begun()
}

fn accusation(story: &Story) -> Deed {
    let evidence = voted(story.genesis.id(), "b-", 1, [1, 2]);
    misconduct_recorded(&evidence, SUPPLIER, Role::Supplier)
}

/// The usual beginning, before one party was admitted.
fn without(party: &'static str) -> Story {
    let mut story = Story::before_genesis(ledger_event::Clock::Wall, "2026-08-03");
    story.take_all(&[acts::genesis_published(&story.genesis)]);
    assert!(story.find::<PartyRecord>(&format!("party:{party}")).is_none());
    story
}

/// The signers that stand in a place of the table, by their numbers in the deed.
fn places(row: &Row, deed: &Deed) -> Vec<(Need, Vec<usize>)> {
    let signs = |need: &Need, sign: &Sign| match (need.role, need.who) {
        _ if sign.purpose == Purpose::Possession => false,
        (Role::Unspecified, Who::Subject) => deed.subject == format!("party:{}", sign.party),
        (Role::Unspecified, _) => true,
        (role, _) => sign.role == role,
    };
    let numbers = |need: &Need| {
        let all = deed.signers.iter().enumerate();
        all.filter(|(_, sign)| signs(need, sign)).map(|(number, _)| number).collect()
    };
    row.signers.iter().map(|need| (*need, numbers(need))).collect()
}

/// The usual beginning, after one party has lost all its keys.
fn locked_out() -> Story {
    ENROLLED.iter().fold(version(5), |story, label| {
        let id = format!("key:{}", Key(BUYER, *label).kid());
        story.altered(&id, |key: &mut KeyRecord| key.revoked_ms = 1)
    })
}

/// Whether so many parties have to agree.
fn is_governance(row: &Row) -> bool {
    ["V", "P5", "P6"].iter().any(|some| row.row.starts_with(some))
}

/// Runs a change of the deed for every place of every row. The change says what it expects, or that it does not apply.
fn each_place(
    mut change: impl FnMut(&Row, &Need, &[usize], &mut Story, &mut Deed) -> Option<Code>,
) {
    let mut tried = 0;
    for (row, story, deed) in cases() {
        assert_eq!(story.judge(&deed), Ok(()), "{}", row.row);
        for (need, numbers) in places(&row, &deed) {
            assert!(!numbers.is_empty(), "{}: nobody stands for {need:?}", row.row);
            let (mut story, mut deed) = (story.clone(), deed.clone());
            let expected = change(&row, &need, &numbers, &mut story, &mut deed);
            let Some(expected) = expected else { continue };
            let verdict = story.judge(&deed);
            let found = verdict.as_ref().err().map(|refusal| refusal.code);
            assert_eq!(found, Some(expected), "{}, {need:?}: {verdict:?}", row.row);
            tried += 1;
        }
    }
    assert!(tried > 0);
}

#[test]
fn every_act_has_a_row_and_every_row_a_case() {
    let rows = rows();
    for act in ACTS {
        assert!(rows.iter().any(|row| row.act == *act), "{act}");
    }
    let cases = cases();
    assert_eq!(cases.len(), rows.len());
    for (row, case) in rows.iter().zip(&cases) {
        assert_eq!(row.row, case.0.row);
    }
}

/// Each signature is needed: without it the place's own code comes.
#[test]
fn missing_signer() {
    let mut dropped = 0;
    for (row, story, deed) in cases() {
        for (need, numbers) in places(&row, &deed) {
            for number in numbers {
                let mut deed = deed.clone();
                let gone = deed.signers.remove(number);
                if deed.signers.is_empty() {
                    continue; // an entry has an issuer; another one is the next test
                }
                if gone.purpose == Purpose::Issue {
                    let next = &mut deed.signers[0];
                    if next.party != gone.party && !is_governance(&row) {
                        continue; // another party's entry
                    }
                    next.purpose = Purpose::Issue;
                }
                let expected = match row.row.split(' ').next().unwrap() {
                    "V4" | "V5" | "V7" | "P5" | "P6" => Code::ValidatorsQuorum,
                    _ if is_governance(&row) => Code::GovernanceThreshold,
                    _ => need.missing,
                };
                assert_eq!(story.refusal(&deed), Some(expected), "{} without {gone:?}", row.row);
                dropped += 1;
            }
        }
    }
    assert!(dropped > 25, "{dropped}");
}

/// Somebody else, who has every role and two factors, cannot stand in for the party that the act is about.
#[test]
fn wrong_party() {
    each_place(|row, need, numbers, _, deed| {
        for (number, label) in numbers.iter().zip(ENROLLED) {
            let sign = &mut deed.signers[*number];
            (sign.party, sign.key) = (OMNI, Key(OMNI, label));
        }
        match (row.row.split(' ').next().unwrap(), need.who) {
            // Any exchange or identity authority will do: it is another entry, and a good one.
            ("V6" | "P1" | "P2" | "P4" | "A4", Who::Issuer | Who::Anyone) => None,
            ("V1", _) => Some(Code::KeyUnknown),
            ("V2" | "V3", _) => Some(Code::GovernanceThreshold),
            ("V4" | "V5" | "V7" | "P5" | "P6", _) => Some(Code::ValidatorsQuorum),
            // Who is neither the supplier nor an exchange says nothing about an asset.
            ("A3", _) => {
                *deed = deed.clone().signed_by(ledger_story::deed::alone(BUYER, Role::Buyer));
                Some(Code::RoleNotGranted)
            }
            // Subjects are opened by their owner.
            ("A1" | "R1" | "T1" | "T3", _) | ("T8" | "D1", Who::Seller) => {
                Some(Code::SubjectNotOwn)
            }
            _ => Some(need.missing),
        }
    });
}

/// A party signs in the role that the act calls for, and not in another one that it has.
#[test]
fn wrong_role() {
    each_place(|_, need, numbers, _, deed| {
        if need.role == Role::Unspecified {
            return None;
        }
        if deed.signers.len() == 1 {
            // A lone signer states no role.
            let second =
                Sign { key: Key(deed.signers[0].party, Label::Li), ..deed.signers[0].clone() };
            deed.signers.push(Sign { purpose: Purpose::SecondFactor, ..second });
        }
        let party = deed.signers[numbers[0]].party;
        for sign in deed.signers.iter_mut().filter(|sign| sign.party == party) {
            sign.role = Role::Auditor;
        }
        Some(need.missing)
    });
}

#[test]
fn role_not_granted() {
    each_place(|_, need, numbers, story, deed| {
        let party = deed.signers[numbers[0]].party;
        let role = if need.role == Role::Unspecified {
            for number in numbers {
                deed.signers[*number].role = Role::Court;
            }
            Role::Court
        } else {
            need.role
        };
        *story = story.clone().altered(&format!("party:{party}"), |record: &mut PartyRecord| {
            record.roles.retain(|granted| *granted != i32::from(role));
        });
        // A lone signer states no role, and where any will do, none is looked for.
        let unasked = need.role == Role::Unspecified && deed.signers.len() == 1;
        (!unasked).then_some(Code::RoleNotGranted)
    });
}

#[test]
fn revoked_key() {
    each_place(|row, _, numbers, story, deed| {
        let key = deed.signers[numbers[0]].key;
        if ["V1", "P5", "P6"].iter().any(|some| row.row.starts_with(some)) {
            // Nothing can be revoked before genesis, nor with one other key from version 5 on.
            let id = format!("key:{}", key.kid());
            *story = story.clone().altered(&id, |record: &mut KeyRecord| record.revoked_ms = 1);
        } else if row.row.starts_with("P3") {
            story.take(&acts::key_revoked_by_authority(key.0, key.1));
        } else {
            story.take(&acts::key_revoked(key.0, key.1));
        }
        Some(Code::KeyInactive)
    });
}

#[test]
fn unknown_key() {
    each_place(|_, _, numbers, _, deed| {
        deed.signers[numbers[0]].key.1 = Label::Newer;
        Some(Code::KeyUnknown)
    });
}

#[test]
fn key_of_other_party() {
    each_place(|_, _, numbers, _, deed| {
        let number = numbers[0];
        let other = if deed.signers[number].party == EXCHANGE { REGISTRY } else { EXCHANGE };
        deed.signers[number].key = Key(other, Label::SpareLi);
        Some(Code::KeyOfOtherParty)
    });
}

/// Two keys of one class are one factor.
#[test]
fn same_factor_twice() {
    for (first, second) in [(Label::Seal, Label::SpareSeal), (Label::Li, Label::Wang)] {
        each_place(|_, need, numbers, _, deed| {
            if need.keys != Keys::TwoFactors {
                return None;
            }
            for (number, label) in numbers.iter().zip([first, second]) {
                deed.signers[*number].key.1 = label;
            }
            Some(Code::SigSameFactor)
        });
    }
}

/// Programs do not bind their organisation, not even next to people.
#[test]
fn system_key() {
    each_place(|_, _, numbers, _, deed| {
        deed.signers[numbers[0]].key.1 = Label::System;
        Some(Code::SigWeakFactor)
    });
    each_place(|row, need, numbers, _, deed| {
        let extra = Sign {
            key: Key(deed.signers[numbers[0]].party, Label::System),
            purpose: Purpose::Approve,
            ..deed.signers[numbers[0]].clone()
        };
        deed.signers.push(extra);
        let _ = (row, need);
        Some(Code::SigWeakFactor)
    });
}

/// Nor does a key of which nobody said what it is.
#[test]
fn a_key_of_no_known_factor() {
    each_place(|_, _, numbers, story, deed| {
        let id = format!("key:{}", deed.signers[numbers[0]].key.kid());
        *story = story.clone().altered(&id, |record: &mut KeyRecord| record.factor = 0);
        Some(Code::SigWeakFactor)
    });
}

/// Two tokens of one officer are one officer, and a seal is no officer at all.
#[test]
fn same_officer_twice() {
    for (first, second) in [(Label::Li, Label::SpareLi), (Label::Seal, Label::Li)] {
        each_place(|_, need, numbers, _, deed| {
            if need.keys != Keys::TwoOfficers {
                return None;
            }
            for (number, label) in numbers.iter().zip([first, second]) {
                deed.signers[*number].key.1 = label;
            }
            Some(Code::SigSameOfficer)
        });
    }
}

/// Nobody signs who is not called for: a signature must mean something.
#[test]
fn surplus_signer() {
    each_place(|row, _, _, _, deed| {
        let party = if row.row.starts_with("P1") { REGISTRY } else { OMNI };
        deed.signers.push(sign(party, Label::SpareSeal, Role::Auditor, Purpose::Approve));
        // Before genesis only founders have keys.
        Some(if row.row.starts_with("V1") { Code::KeyUnknown } else { Code::SigUncalledFor })
    });
    // Nor a party that is called for, in a role that is not.
    each_place(|_, need, numbers, _, deed| {
        if need.role == Role::Unspecified {
            return None;
        }
        let party = deed.signers[numbers[0]].party;
        deed.signers.push(sign(party, Label::SpareSeal, Role::Auditor, Purpose::Approve));
        Some(Code::SigUncalledFor)
    });
}

/// A second key of the same party in the same role says nothing new, and does no harm.
#[test]
fn one_key_more_of_the_same_party() {
    for (row, story, deed) in cases() {
        for (_, numbers) in places(&row, &deed) {
            let mut deed = deed.clone();
            let extra = Sign {
                key: Key(deed.signers[numbers[0]].party, Label::SpareSeal),
                purpose: Purpose::Approve,
                ..deed.signers[numbers[0]].clone()
            };
            if deed.signers.iter().all(|sign| sign.key != extra.key) {
                deed.signers.push(extra);
                assert_eq!(story.judge(&deed), Ok(()), "{}", row.row);
            }
        }
    }
}

/// Only a key that the entry enrols signs to show that somebody has it.
#[test]
fn possession_where_nothing_is_enrolled() {
    each_place(|_, _, _, _, deed| {
        deed.signers.push(sign(OMNI, Label::Newer, Role::Auditor, Purpose::Possession));
        Some(Code::KeyPossession)
    });
}

/// One key stands in one place: who has several roles still needs several keys.
#[test]
fn one_key_for_two_places() {
    // An identity authority that enrols a key for itself.
    let mut deed = acts::key_enrolled(OMNI, Label::Fresh);
    deed.signers[1] = sign(OMNI, Label::Li, Role::IdentityAuthority, Purpose::Approve);
    let story = Story::opened();
    assert_eq!(story.judge(&deed), Ok(()));
    deed.signers.remove(1);
    deed.signers[0].role = Role::IdentityAuthority;
    assert_eq!(story.refusal(&deed), Some(Code::SigMissingRole));
}

/// Where a key would do in two places it leaves the one that another key can fill, wherever it stands in the list.
#[test]
fn an_authority_enrols_its_own_key_with_another_authority() {
    let story = Story::opened();
    let signed = |party, label, purpose| sign(party, label, Role::IdentityAuthority, purpose);
    let new = signed(OMNI, Label::Fresh, Purpose::Possession);
    let deed = |first, second: &[&'static str]| {
        let mut signers = vec![signed(first, Label::Seal, Purpose::Issue)];
        signers.extend(second.iter().map(|party| signed(party, Label::Li, Purpose::Approve)));
        signers.push(new.clone());
        acts::key_enrolled(OMNI, Label::Fresh).signed_by(signers)
    };
    for (first, second) in [(OMNI, AUTHORITY), (AUTHORITY, OMNI)] {
        assert_eq!(story.judge(&deed(first, &[second])), Ok(()), "{first}, {second}");
    }
    // One key stays one key, and two of another party are nobody of this one.
    for (first, second) in [(OMNI, &[][..]), (AUTHORITY, &[]), (AUTHORITY, &[AUTHORITY])] {
        let refused = story.refusal(&deed(first, second));
        assert_eq!(refused, Some(Code::SigMissingRole), "{first}, {second:?}");
    }
}

/// Who issues matters; in which order the others signed does not.
#[test]
fn the_order_of_the_other_signers_decides_nothing() {
    for (row, story, deed) in cases() {
        for turn in 1..deed.signers.len() {
            let mut deed = deed.clone();
            deed.signers[1..].rotate_left(turn - 1);
            assert_eq!(story.judge(&deed), Ok(()), "{}, {:?}", row.row, deed.signers);
        }
    }
}

/// Two officers are told apart within their own place: that is exact while no other place competes for their keys.
#[test]
fn two_officers_are_all_that_their_acts_ask_for() {
    for row in rows() {
        let pairs = row.signers.iter().filter(|need| need.keys == Keys::TwoOfficers).count();
        assert!(pairs == 0 || row.signers.len() == 1, "{}", row.row);
    }
}

/// A key cannot be revoked on its own word: who has stolen the only one must not lock its party out, and who still has it can
/// show another.
#[test]
fn a_key_does_not_revoke_itself() {
    let story = Story::opened();
    let mut deed = acts::key_revoked(BUYER, Label::SpareSeal);
    assert_eq!(story.refusal(&deed), Some(Code::SigMissingRole));
    deed.signers.push(sign(BUYER, Label::Li, Role::Buyer, Purpose::SecondFactor));
    assert_eq!(story.judge(&deed), Ok(()));
}

/// What every founder must sign, every founder must sign, and with one key each at least.
#[test]
fn founders_count_by_party() {
    let story = Story::opened();
    let calendar = ledger_story::data::calendar("HK-2026");
    let deed = acts::calendar_published(&calendar);
    let mut twice = deed.clone().signed_by(founders(&[EXCHANGE]));
    twice.signers.push(sign(EXCHANGE, Label::Li, roles(EXCHANGE)[0], Purpose::SecondFactor));
    assert_eq!(story.refusal(&twice), Some(Code::GovernanceThreshold));
    assert_eq!(story.judge(&deed.clone().signed_by(founders(&FOUNDERS))), Ok(()));
    let stranger =
        deed.signed_by(vec![sign(SUPPLIER, Label::Seal, Role::Supplier, Purpose::Issue)]);
    assert_eq!(story.refusal(&stranger), Some(Code::GovernanceThreshold));
}
