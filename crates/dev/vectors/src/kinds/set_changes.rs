//! Proof files of a ledger whose validators have changed twice: one becomes two, and two become others.

use bytes::Bytes;
use ledger_event::proof_file::Statement;
use ledger_event::{Anchor, Clock, SetChange};
use ledger_fixtures::{Chain, World, certificate, record};
use ledger_format::digest::hex;
use ledger_format::header::Header;
use ledger_format::message;
use ledger_format::proof_file::encode;
use ledger_format::validators::Validators;
use serde_json::{Value, json};

use super::{GOOD, SUBJECT, issuer, refuted};
use crate::Vector;

/// The height that the proofs are about.
const LAST: usize = 5;

/// Five blocks: one validator signs two of them, two the next two, and two others the last.
fn chain() -> Chain {
    let world = World::new("changed", &[1], Clock::Wall);
    let ledger = world.genesis.id();
    let mut chain = Chain::new(world);
    for height in 1..=LAST {
        match height {
            2 => chain.change("changed-two", &[1, 1]),
            4 => chain.change("changed-others", &[1, 1]),
            _ => {}
        }
        let nonce = format!("block {height}");
        let claims = ledger_fixtures::claims(ledger, "exchange-00", SUBJECT, &nonce);
        let entry = ledger_fixtures::sign(&issuer(), &[], claims, &ledger_fixtures::summary());
        chain.push(&[&entry], &[record(SUBJECT, &[entry.id()])]);
    }
    chain
}

fn input(chain: &Chain, file: &[u8], entry: Option<&Bytes>) -> Value {
    let entry = entry.map(|entry| hex(entry));
    json!({ "bytes": hex(file), "entry": entry, "trust": chain.world.genesis.id().to_string() })
}

fn of(chain: &Chain, anchor: Anchor) -> Vec<u8> {
    encode(anchor, Statement::Record(chain.record_proof(LAST, SUBJECT)))
}

/// The proof with one change altered.
fn altered(chain: &Chain, number: usize, change: impl FnOnce(&mut SetChange)) -> Vec<u8> {
    let mut anchor = chain.anchor(LAST);
    change(&mut anchor.changes[number]);
    of(chain, anchor)
}

/// A header of a change put in the place of another one, certified by the set that it names.
fn moved(chain: &Chain, number: usize, height: usize, alter: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = chain.header_at(height).clone();
    alter(&mut header);
    let (_, keys) = chain.validators_at(height);
    let by = certificate(&header, 0, keys.iter().map(|keys| &keys.vote));
    altered(chain, number, |change| {
        change.header = header.encode().into();
        change.certificate = by.encode().into();
    })
}

/// All of them.
pub(super) fn files() -> Vec<Vector> {
    let chain = chain();
    let vector = |name: &str, comment: &str, file: &[u8], expected| {
        Vector::new(name, comment, input(&chain, file, None), expected)
    };
    let entry = &chain.blocks[LAST - 1].body.entries[0];
    let id = ledger_format::digest::EntryId(ledger_format::entry::leaf_hash(entry));
    let of_entry = chain.entry_file(LAST, &id);
    let without = |number: usize| {
        let mut anchor = chain.anchor(LAST);
        anchor.changes.remove(number);
        of(&chain, anchor)
    };
    let set = |height: usize| Bytes::from(message::encode(chain.validators_at(height).0.message()));
    let few = altered(&chain, 1, |change| {
        change.certificate = chain.certificate(4, &[0]).encode().into();
    });
    let own = {
        let (_, after) = chain.validators_at(LAST);
        let by = certificate(chain.header_at(4), 0, after.iter().map(|keys| &keys.vote));
        altered(&chain, 1, |change| change.certificate = by.encode().into())
    };
    let mut weak = chain.validators_at(LAST).0.message().clone();
    weak.validators[0].receipt_key = Bytes::from_static(&[0; 32]);
    let weak = Validators::new(weak).unwrap();
    let unsound = {
        let mut header = chain.header_at(4).clone();
        header.next_validators = weak.hash();
        let (_, keys) = chain.validators_at(4);
        let by = certificate(&header, 0, keys.iter().map(|keys| &keys.vote));
        let mut last = chain.header_at(LAST).clone();
        last.validators = weak.hash();
        let (_, keys) = chain.validators_at(LAST);
        let by_last = certificate(&last, 0, keys.iter().map(|keys| &keys.vote));
        let mut anchor = chain.anchor(LAST);
        anchor.header = last.encode().into();
        anchor.certificate = by_last.encode().into();
        anchor.changes[1] = SetChange {
            header: header.encode().into(),
            certificate: by.encode().into(),
            validators: message::encode(weak.message()).into(),
        };
        of(&chain, anchor)
    };
    vec![
        Vector::new(
            "of an entry, after two changes of the validators",
            "",
            input(&chain, &of_entry, Some(entry)),
            GOOD,
        ),
        vector("of a record, after two changes", "", &chain.record_file(LAST, SUBJECT), GOOD),
        vector("a change left out", "the last one", &without(1), ("not determined", "")),
        vector("the first change left out", "", &without(0), ("not determined", "")),
        vector("a change by half of the set", "", &few, refuted("V_QUORUM")),
        vector(
            "a change certified by those who come in",
            "the set before has to",
            &own,
            refuted("V_CERTIFICATE_SIGNER"),
        ),
        vector(
            "a change that brings another set",
            "the header names the one that signs next",
            &altered(&chain, 1, |change| change.validators = set(1)),
            refuted("V_VALIDATORS"),
        ),
        vector(
            "a change above what it leads to",
            "",
            &moved(&chain, 1, 4, |header| header.height = 9),
            refuted("V_HEIGHT"),
        ),
        vector(
            "a change below the one before",
            "",
            &moved(&chain, 1, 4, |header| header.height = 1),
            refuted("V_HEIGHT"),
        ),
        vector("a set with an unsound key", "", &unsound, refuted("V_WEAK_KEY")),
    ]
}
