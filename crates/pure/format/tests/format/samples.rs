//! What the tests of this crate read and spoil.

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{Clock, Event, ImportedHistory, Purpose, Role};
use ledger_fixtures::{
    Chain, Key, Signing, World, claims, event, joint_claims, record, sign, summary,
};
use ledger_format::digest::LedgerId;
use ledger_format::entry::{Claims, Entry};
use ledger_format::malformed::{Kind, Malformed};

/// The kind of an error that must have come.
#[track_caller]
pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, Malformed>) -> Kind {
    result.expect_err("accepted").kind
}

pub(crate) const LEDGER: LedgerId = LedgerId([0xab; 32]);

/// Claims of `exchange-00` about an asset of its own.
pub(crate) fn own_claims() -> Claims {
    claims(LEDGER, "exchange-00", "asset:exchange-00/weather", "one")
}

pub(crate) fn issuer() -> Key {
    Key::named("issuer")
}

/// The shortest entry with one signer.
pub(crate) fn single() -> Entry {
    sign(&issuer(), &[], own_claims(), &summary())
}

/// The co-signers of [`joint`], in the order in which they sign.
pub(crate) fn cosigners() -> Vec<Key> {
    let mut keys: Vec<Key> = ["officer", "buyer"].map(Key::named).into();
    keys.sort_by_key(Key::id);
    keys
}

/// An entry with three signers.
pub(crate) fn joint() -> Entry {
    let (officer, buyer) = (Key::named("officer"), Key::named("buyer"));
    let others = [
        Signing {
            party: "exchange-00",
            key: &officer,
            role: Role::Supplier,
            purpose: Purpose::SecondFactor,
        },
        Signing {
            party: "buyer-one",
            key: &buyer,
            role: Role::Buyer,
            purpose: Purpose::Counterparty,
        },
    ];
    let claims = joint_claims(own_claims(), (&issuer(), Role::Supplier), &others);
    sign(&issuer(), &[&officer, &buyer], claims, &summary())
}

/// An event whose text has that many bytes.
pub(crate) fn wordy(length: usize) -> Event {
    let what = "x".repeat(length);
    event(Act::ImportedHistory(ImportedHistory { what, ..ImportedHistory::default() }))
}

/// A ledger of four validators with two blocks and three records.
pub(crate) fn chain() -> Chain {
    let world = World::new("format", &[1, 1, 1, 1], Clock::Wall);
    let ledger = world.genesis.id();
    let entry = |nonce: &str| {
        let claims = claims(ledger, "exchange-00", "asset:exchange-00/weather", nonce);
        sign(&issuer(), &[], claims, &summary())
    };
    let (one, two, three) = (entry("one"), entry("two"), entry("three"));
    let mut chain = Chain::new(world);
    let subject = "asset:exchange-00/weather";
    chain.push(&[&one], &[record(subject, &[one.id()]), record("party:exchange-00", &[])]);
    let all = [one.id(), two.id(), three.id()];
    chain.push(&[&two, &three], &[record(subject, &all), record("party:exchange-01", &[])]);
    chain
}

/// The proof files that can be made of [`chain`]: of an entry, of a record, of an absence.
pub(crate) fn proof_files() -> [Bytes; 3] {
    let chain = chain();
    let entry = Entry::decode(chain.blocks[1].body.entries[0].clone()).unwrap();
    [
        chain.entry_file(2, &entry.id()),
        chain.record_file(2, "asset:exchange-00/weather"),
        chain.record_file(2, "asset:exchange-00/nothing"),
    ]
}
