//! Signatures of entries and the keys that they bring, by themselves and in a batch: the verdict is the same.

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{Clock, Factor, KeyEnrolled, PartyAdmitted, ValidatorsChanged};
use ledger_fixtures::{Key, World, claims, event, sign, summary};
use ledger_format::digest::{KeyId, LedgerId};
use ledger_format::entry::Entry;
use ledger_verify::entry::{EntryBatch, check_signatures};
use ledger_verify::finding::Code;

fn issuer() -> Key {
    Key::named("issuer")
}

fn signed(act: Act) -> Entry {
    let claims = claims(LedgerId([1; 32]), "exchange-00", "party:exchange-01", "nonce");
    sign(&issuer(), &[], claims, &event(act))
}

/// What is said of an entry where these keys are known; of a batch, with a good entry beside it.
fn verdict(entry: &Entry, known: &[Key]) -> Result<(), Code> {
    let key = |kid: &KeyId| known.iter().find(|key| key.id() == *kid).map(Key::public);
    let single = check_signatures(entry, key).map_err(|refuted| refuted.code);
    let claims = claims(LedgerId([1; 32]), "exchange-00", "asset:exchange-00/rain", "other");
    let good = sign(&issuer(), &[], claims, &summary());
    let mut batch = EntryBatch::new();
    batch.push(3, &good, |_| Some(issuer().public()));
    batch.push(4, entry, key);
    let failures = batch.verify();
    assert!(failures.iter().all(|(number, _)| *number == 4) && failures.len() <= 1);
    let together = failures.into_iter().next().map_or(Ok(()), |(_, refuted)| Err(refuted.code));
    assert_eq!(together, single);
    single
}

#[test]
fn whose_key_nobody_knows_has_not_signed() {
    let claims = claims(LedgerId([1; 32]), "exchange-00", "asset:exchange-00/rain", "nonce");
    let entry = sign(&issuer(), &[], claims, &summary());
    assert_eq!(verdict(&entry, &[issuer()]), Ok(()));
    assert_eq!(verdict(&entry, &[]), Err(Code::Signature));
    assert_eq!(verdict(&entry, &[Key::named("another one")]), Err(Code::Signature));
}

/// Whoever issues them may have every right to: a weak key would let anybody sign for its party or validator.
#[test]
fn no_act_brings_a_weak_key() {
    let weak = || Bytes::from_static(&[0; 32]);
    let grant = |public_key| ledger_event::KeyGrant {
        public_key,
        ..Key::named("new").grant(Factor::OfficerToken)
    };
    let enrolled = KeyEnrolled { key: Some(grant(weak())) };
    let admitted = PartyAdmitted {
        keys: vec![Key::named("new").grant(Factor::OrgHsm), grant(weak())],
        ..PartyAdmitted::default()
    };
    let mut acts = vec![Act::KeyEnrolled(enrolled), Act::PartyAdmitted(admitted)];
    let world = World::new("entries", &[1; 2], Clock::Wall);
    let good = ValidatorsChanged { validators: Some(world.set().message().clone()) };
    assert_eq!(verdict(&signed(Act::ValidatorsChanged(good.clone())), &[issuer()]), Ok(()));
    for number in 0..4 {
        let mut changed = good.clone();
        let member = &mut changed.validators.as_mut().unwrap().validators[1];
        let keys = [
            &mut member.vote_key,
            &mut member.log_key,
            &mut member.cosign_key,
            &mut member.receipt_key,
        ];
        *keys.into_iter().nth(number).unwrap() = weak();
        acts.push(Act::ValidatorsChanged(changed));
    }
    for act in acts {
        assert_eq!(verdict(&signed(act.clone()), &[issuer()]), Err(Code::WeakKey), "{act:?}");
    }
}
