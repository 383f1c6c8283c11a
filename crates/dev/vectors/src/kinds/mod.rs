//! The vectors, kind by kind.
#![allow(clippy::too_many_lines, reason = "a list of vectors is a table")]

mod blocks;
mod chain_file;
mod checkpoints;
mod cose;
mod entries;
mod evidence;
mod genesis;
mod log;
mod messages;
mod others;
mod proof_files;
mod proofs;
mod receipts;
mod set_changes;
mod signatures;
mod state;

use ledger_event::Clock;
use ledger_fixtures::{Chain, Key, World, claims, record, sign, summary};
use ledger_format::digest::hex;
use serde_json::{Value, json};

use crate::Kind;

/// Every kind of vectors.
pub(crate) fn all() -> Vec<Kind> {
    vec![
        entries::entries(),
        messages::messages(),
        messages::genesis(),
        blocks::headers(),
        blocks::votes(),
        blocks::proposals(),
        blocks::certificates(),
        log::roots(),
        log::inclusion(),
        log::consistency(),
        state::roots(),
        state::records(),
        state::timelines(),
        proofs::receipts(),
        proofs::files(),
        proofs::checkpoints(),
        evidence::files(),
        signatures::signatures(),
        signatures::enrolment(),
        others::commitments(),
        others::deliveries(),
        chain_file::files(),
    ]
}

const GOOD: (&str, &str) = ("good", "");

fn malformed(code: &'static str) -> (&'static str, &'static str) {
    ("malformed", code)
}

fn refuted(code: &'static str) -> (&'static str, &'static str) {
    ("refuted", code)
}

/// `{"bytes": …}`.
fn bytes_of(bytes: &[u8]) -> Value {
    json!({ "bytes": hex(bytes) })
}

/// A copy with one bit turned.
fn turned(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// A copy with something behind it.
fn longer(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

fn cut(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - 1]
}

fn issuer() -> Key {
    Key::named("vectors issuer")
}

const SUBJECT: &str = "asset:exchange-00/weather";
const ABSENT: &str = "asset:exchange-00/nothing";

/// A ledger of four validators, with two blocks and three records. Nobody executed it.
fn chain() -> Chain {
    chain_of(World::new("vectors", &[1, 1, 1, 1], Clock::Wall))
}

/// The same of one validator: its genesis is shorter, and so are vectors that hold it.
fn small_chain() -> Chain {
    chain_of(World::new("small", &[1], Clock::Wall))
}

fn chain_of(world: World) -> Chain {
    let ledger = world.genesis.id();
    let entry = |nonce: &str| {
        sign(&issuer(), &[], claims(ledger, "exchange-00", SUBJECT, nonce), &summary())
    };
    let (one, two, three) = (entry("one"), entry("two"), entry("three"));
    let mut chain = Chain::new(world);
    chain.push(&[&one], &[record(SUBJECT, &[one.id()]), record("party:exchange-00", &[])]);
    let all = [one.id(), two.id(), three.id()];
    chain.push(&[&two, &three], &[record(SUBJECT, &all), record("party:exchange-01", &[])]);
    chain
}
