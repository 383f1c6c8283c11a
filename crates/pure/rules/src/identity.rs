//! Parties and their keys: admission, enrolment, revocation. They take effect from the block after.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{
    Factor, KeyEnrolled, KeyGrant, KeyRecord, KeyRevoked, PartyAdmitted, PartyKind, PartyProfile,
    PartyRecord, Role,
};
use ledger_format::digest::KeyId;
use ledger_format::id::{SubjectKind, check_party};
use ledger_format::limits::MAX_SIGNERS;
use ledger_format::validators::Validators;

use crate::act::{Act, Check, Rule, ensure, jurisdiction, optional_hash, stated_text, text};
use crate::budget;
use crate::code::{Code, Refusal};
use crate::genesis::{key_record, kid};
use crate::membership::{MEMBERS, in_force, only_parties_signed, quorum};
use crate::signers::{ActiveSigner, Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

type AdmissionGuard = for<'a, 'b> fn(&'b Act<'a>, &'b PartyAdmitted) -> Check;

const ADMITTED: Rule<AdmissionGuard> = Rule {
    row: "P1 PartyAdmitted",
    subject: SubjectKind::Party,
    opens: true,
    binding: false,
    signers: &[
        Need::one(Role::Exchange, Who::Issuer),
        Need::one(Role::IdentityAuthority, Who::Anyone),
    ],
    guards: &[
        (Code::Field, |act, _| {
            check_party("party", act.subject().name()).map_err(|error| error.to_string())
        }),
        (Code::Field, |_, event| profile(event.profile.as_ref())),
        (Code::Field, |_, event| {
            let named = event.roles().all(|role| role != Role::Unspecified);
            ensure(named && !event.roles.is_empty(), || "roles: expected at least one".into())
        }),
        (Code::Field, |_, event| grants(&event.keys)),
        (Code::KeyDuplicate, |act, event| not_enrolled(act, &event.keys)),
        (Code::KeyPossession, |act, event| {
            possessed(act, &event.keys)?;
            let roles: Vec<Role> = event.roles().collect();
            let strange =
                act.signers.possession.iter().find(|signer| !roles.contains(&signer.role));
            ensure(strange.is_none(), || {
                "a new key signs in a role that is not being granted".into()
            })
        }),
        (Code::SigMissingRole, |act, _| is_near(act)),
    ],
};

/// From version 5 on who admits is near enough to somebody who answers for itself that this one is charged for whom it admits.
fn is_near(act: &Act<'_>) -> Check {
    let near = act.version() < GUARDED || budget::is_near(act);
    ensure(near, || {
        format!("{} was admitted by way of too many others: one of those admits", act.issuer())
    })
}

type EnrolmentGuard = for<'a, 'b> fn(&'b Act<'a>, &'b KeyGrant) -> Check;

const ENROLLED: Rule<EnrolmentGuard> = Rule {
    row: "P2 KeyEnrolled",
    subject: SubjectKind::Party,
    opens: false,
    binding: false,
    signers: &[
        Need::one(Role::IdentityAuthority, Who::Anyone),
        Need::one(Role::Unspecified, Who::Subject),
    ],
    guards: &[
        (Code::Field, |_, key| grants(core::slice::from_ref(key))),
        (Code::KeyDuplicate, |act, key| not_enrolled(act, core::slice::from_ref(key))),
        (Code::KeyPossession, |act, key| possessed(act, core::slice::from_ref(key))),
    ],
};

/// A key on its way out.
struct Revocation {
    kid: KeyId,
    key: Option<KeyRecord>,
}

type RevocationGuard = for<'a, 'b> fn(&'b Act<'a>, &'b Revocation) -> Check;

/// A key that has not yet been revoked, and is the party's.
fn revocable(act: &Act<'_>, revocation: &Revocation) -> Check {
    let own = revocation.key.as_ref().is_some_and(|key| key.party == act.subject().name());
    ensure(own, || format!("{} is not a key of {}", revocation.kid, act.subject()))
}

fn not_yet_revoked(_: &Act<'_>, revocation: &Revocation) -> Check {
    let active = revocation.key.as_ref().is_some_and(|key| key.revoked_ms == 0);
    ensure(active, || format!("{} is revoked already", revocation.kid))
}

const REVOKED_BY_PARTY: Rule<RevocationGuard> = Rule {
    row: "P3 KeyRevoked by the party",
    subject: SubjectKind::Party,
    opens: false,
    binding: false,
    signers: &[Need::one(Role::Unspecified, Who::Subject)],
    guards: &[
        (Code::KeyUnknown, revocable),
        (Code::KeyInactive, not_yet_revoked),
        // A thief of one key must not lock its party out with that key alone.
        (Code::SigMissingRole, |act, revocation| {
            let other = act.entry.kids().any(|kid| kid != revocation.kid);
            ensure(other, || "a key cannot revoke itself: sign with another key".into())
        }),
        (Code::SigMissingRole, by_two_others),
        (Code::KeyInactive, leaves_one),
    ],
};

/// Version from which no single key, and no single organisation, can take a party its keys (docs/adr/0029).
const GUARDED: u32 = 5;

/// Nor must a thief of one key revoke all others, one by one.
fn by_two_others(act: &Act<'_>, revocation: &Revocation) -> Check {
    if act.version() < GUARDED {
        return Ok(());
    }
    let others = act.signers.active.iter().filter(|signer| signer.kid != revocation.kid).count();
    ensure(others >= 2, || {
        "two other keys of the party revoke one; of a party without them, others do (P4, P5)".into()
    })
}

/// Keys that revoke each other in one block would all be gone: each of the acts is judged by the keys before the block.
fn leaves_one(act: &Act<'_>, revocation: &Revocation) -> Check {
    if act.version() < GUARDED {
        return Ok(());
    }
    let is_active = |kid: &KeyId| {
        let key: Option<KeyRecord> = act.state.current(&format!("key:{kid}"));
        key.is_some_and(|key| key.revoked_ms == 0)
    };
    let other = |signer: &ActiveSigner| signer.kid != revocation.kid && is_active(&signer.kid);
    ensure(act.signers.active.iter().any(other), || {
        "the keys that sign have been revoked in this block".into()
    })
}

const REVOKED_BY_AUTHORITY: Rule<RevocationGuard> = Rule {
    row: "P4 KeyRevoked by an identity authority",
    subject: SubjectKind::Party,
    opens: false,
    binding: false,
    signers: &[Need::two_officers(Role::IdentityAuthority, Who::Issuer)],
    guards: &[(Code::KeyUnknown, revocable), (Code::KeyInactive, not_yet_revoked)],
};

const REVOKED_BY_MEMBERS: Rule<MembersGuard<Revocation>> = Rule {
    row: "P5 KeyRevoked by the validators",
    subject: SubjectKind::Party,
    opens: false,
    binding: false,
    signers: MEMBERS,
    guards: &[
        (Code::KeyUnknown, |act, revocation, _| revocable(act, revocation)),
        (Code::KeyInactive, |act, revocation, _| not_yet_revoked(act, revocation)),
        (Code::ValidatorsQuorum, |act, _, validators| quorum(act, validators)),
        (Code::SigUncalledFor, |act, _, validators| only_parties_signed(act, &[validators])),
    ],
};

/// A guard of what the validators agree on, by their set before the block.
type MembersGuard<T> = for<'a, 'b> fn(&'b Act<'a>, &'b T, &'b Validators) -> Check;

const ENROLLED_BY_MEMBERS: Rule<MembersGuard<KeyGrant>> = Rule {
    row: "P6 KeyEnrolled by the validators",
    subject: SubjectKind::Party,
    opens: false,
    binding: false,
    signers: MEMBERS,
    guards: &[
        (Code::Field, |_, key, _| grants(core::slice::from_ref(key))),
        (Code::KeyDuplicate, |act, key, _| not_enrolled(act, core::slice::from_ref(key))),
        (Code::KeyPossession, |act, key, _| possessed(act, core::slice::from_ref(key))),
        (Code::ValidatorsQuorum, |act, _, validators| quorum(act, validators)),
        (Code::SigUncalledFor, |act, _, validators| only_parties_signed(act, &[validators])),
    ],
};

/// Whether a party has no key left, as the state before the block has it, but those of programs, which enrol none: nobody can sign for it
/// any more.
fn has_lost_its_keys(act: &Act<'_>) -> bool {
    let speaks = |id: &Bytes| {
        let key = KeyId::from_slice(id).ok().and_then(|kid| act.state.key(kid));
        key.is_some_and(|key| key.revoked_ms == 0 && key.factor() != Factor::System)
    };
    let party = act.state.party(act.subject().name());
    party.is_some_and(|party| !party.keys.iter().any(speaks))
}

fn profile(profile: Option<&PartyProfile>) -> Check {
    let profile = profile.ok_or_else(|| "profile: must be stated".to_string())?;
    ensure(profile.kind() != PartyKind::Unspecified, || "kind: must be stated".into())?;
    jurisdiction("jurisdiction", &profile.jurisdiction)?;
    if profile.kind() == PartyKind::Natural {
        let bare = profile.name_zh.is_empty()
            && profile.name_en.is_empty()
            && profile.registration_number.is_empty();
        return ensure(bare, || "nothing but a pseudonym of a natural person is recorded".into());
    }
    stated_text("name", &format!("{}{}", profile.name_en, profile.name_zh), 200)?;
    text("registration_number", &profile.registration_number, 40)?;
    text("sector", &profile.sector, 20)?;
    text("region", &profile.region, 10)?;
    let digits = |value: &str, count: usize| {
        value.is_empty() || (value.len() == count && value.bytes().all(|b| b.is_ascii_digit()))
    };
    ensure(digits(&profile.certificate_region, 2) && digits(&profile.certificate_digit, 1), || {
        "certificate_region: two digits; certificate_digit: one".into()
    })
}

fn grants(keys: &[KeyGrant]) -> Check {
    ensure((1..MAX_SIGNERS).contains(&keys.len()), || {
        format!("keys: expected 1 to {}, found {}", MAX_SIGNERS.saturating_sub(1), keys.len())
    })?;
    for key in keys {
        ensure(key.public_key.len() == 32, || "public_key: expected 32 bytes".into())?;
        ensure(key.factor() != Factor::Unspecified, || "factor: must be stated".into())?;
        optional_hash("officer", &key.officer)?;
    }
    Ok(())
}

fn not_enrolled(act: &Act<'_>, keys: &[KeyGrant]) -> Check {
    let mut kids: Vec<KeyId> = keys.iter().map(|key| kid(&key.public_key)).collect();
    kids.sort_unstable();
    let twice = kids.iter().zip(kids.iter().skip(1)).find(|(a, b)| a == b);
    ensure(twice.is_none(), || "a key is listed twice".into())?;
    let known = kids.iter().find(|kid| act.state.exists(&format!("key:{kid}")));
    known.map_or(Ok(()), |kid| Err(format!("{kid} is enrolled")))
}

/// Each new key signs once, for the party that it is enrolled for, and no other key signs as new.
fn possessed(act: &Act<'_>, keys: &[KeyGrant]) -> Check {
    let party = act.subject().name();
    let signed = |key: &KeyGrant| {
        let id = kid(&key.public_key);
        act.signers.possession.iter().any(|signer| signer.kid == id && signer.party == party)
    };
    let silent = keys.iter().find(|key| !signed(key));
    ensure(silent.is_none() && act.signers.possession.len() == keys.len(), || {
        format!("{} new keys, {} signatures of new keys", keys.len(), act.signers.possession.len())
    })
}

pub(crate) fn admitted(act: &Act<'_>, event: &PartyAdmitted) -> Result<Writes, Refusal> {
    act.judge(&ADMITTED, &|_| None, |guard| guard(act, event))?;
    let party = act.subject().name();
    let mut writes = Writes::default();
    let kids = event.keys.iter().map(|key| Bytes::copy_from_slice(kid(&key.public_key).as_bytes()));
    let record = PartyRecord {
        profile: event.profile.clone(),
        roles: event.roles.clone(),
        keys: kids.collect(),
        admitted_by: if act.version() >= budget::SINCE {
            act.issuer().into()
        } else {
            String::new()
        },
    };
    writes.put(act.subject().as_str(), record);
    for key in &event.keys {
        writes.put(&format!("key:{}", kid(&key.public_key)), key_record(party, key));
    }
    Ok(writes)
}

pub(crate) fn enrolled(act: &Act<'_>, event: &KeyEnrolled) -> Result<Writes, Refusal> {
    let key = event.key.clone().unwrap_or_default();
    if act.version() >= GUARDED && has_lost_its_keys(act) {
        let validators = in_force(&act.state)?;
        act.judge(&ENROLLED_BY_MEMBERS, &|_| None, |guard| guard(act, &key, &validators))?;
    } else {
        act.judge(&ENROLLED, &|_| None, |guard| guard(act, &key))?;
    }
    let id = kid(&key.public_key);
    let mut writes = Writes::default();
    let mut party: PartyRecord = act.subject_as()?;
    party.keys.push(Bytes::copy_from_slice(id.as_bytes()));
    writes.put(act.subject().as_str(), party);
    writes.put(&format!("key:{id}"), key_record(act.subject().name(), &key));
    Ok(writes)
}

pub(crate) fn revoked(act: &Act<'_>, event: &KeyRevoked) -> Result<Writes, Refusal> {
    let kid = KeyId::from_slice(&event.kid)
        .map_err(|error| Refusal::new(Code::Field, error.to_string()))?;
    let id = format!("key:{kid}");
    let revocation = Revocation { kid, key: act.state.current(&id) };
    let own = act.issuer() == act.subject().name();
    // Whose word the others need for what they agree on, no authority alone takes its keys.
    let is_needed = || budget::answers_for_itself(act, act.subject().name());
    if !own && act.version() >= GUARDED && is_needed() {
        let validators = in_force(&act.state)?;
        let judge = |guard: MembersGuard<Revocation>| guard(act, &revocation, &validators);
        act.judge(&REVOKED_BY_MEMBERS, &|_| None, judge)?;
    } else {
        let rule = if own { &REVOKED_BY_PARTY } else { &REVOKED_BY_AUTHORITY };
        act.judge(rule, &|_| None, |guard| guard(act, &revocation))?;
    }
    let mut writes = Writes::default();
    writes.touch(act.subject().as_str());
    if let Some(mut key) = revocation.key {
        key.revoked_ms = act.time_ms;
        writes.put(&id, key);
    }
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![
        row("party_admitted", &ADMITTED),
        row("key_enrolled", &ENROLLED),
        row("key_revoked", &REVOKED_BY_PARTY),
        row("key_revoked", &REVOKED_BY_AUTHORITY),
        row("key_revoked", &REVOKED_BY_MEMBERS),
        row("key_enrolled", &ENROLLED_BY_MEMBERS)
    ]
}
