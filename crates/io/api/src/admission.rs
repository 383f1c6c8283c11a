//! Admission: signatures are checked in batches before an entry may wait for a block.
//!
//! All calls, unary and streams, feed one intake; a few threads take what is there, check it together and hand it to the replica.
//! Under load batches grow by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;
use ledger_rules::{Code, Refusal};
use ledger_verify::entry::EntryBatch;

use crate::intake::{Batch, Intake, Sent, Source, Submission};
use crate::outcomes::Outcome;
use crate::problem::Problem;
use crate::shared::Shared;

/// Checks submissions until the node stops. Several threads may run this side by side.
///
/// `forward` takes checked entries to the replica; when it is closed the thread ends. `now_ms` is the node's clock.
pub fn run(
    shared: &Arc<Shared>,
    now_ms: fn() -> u64,
    forward: &dyn Fn(Checked) -> bool,
    stopping: &dyn Fn() -> bool,
) {
    let intake = &shared.intake;
    loop {
        let Some(batch) = intake.take() else {
            if stopping() {
                break;
            }
            continue;
        };
        let turn = batch.turn();
        let mut opened = open(shared, batch);
        turn_away(shared, now_ms(), &mut opened);
        let (checked, bad) = check(shared, opened);
        let dropped = intake.checked(&turn, bad);
        let full = |sent: Submission| (sent.id(), Outcome::refused(Intake::dropped()));
        shared.outcomes.announce(dropped.into_iter().map(full));
        let forwarded = intake.in_turn(&turn, || checked.is_empty() || forward(checked));
        if !forwarded {
            break;
        }
    }
    intake.close();
}

/// Entries that may enter the pool. Boxed: they are moved several times, and are large.
pub type Checked = Vec<CheckedEntry>;

/// An entry whose signatures are good.
#[derive(Clone, Debug)]
pub struct CheckedEntry {
    /// The entry.
    pub entry: Box<Entry>,
    /// Who sent it.
    pub source: Source,
    /// Whether that is a node that judges nothing itself, and wants to hear if it is refused.
    pub asked: bool,
}

/// An entry whose signatures are to be checked.
struct Unchecked(CheckedEntry);

/// Decodes what other nodes passed on, and leaves out what is no entry, or no news.
fn open(shared: &Shared, batch: Batch) -> Vec<Unchecked> {
    let decode = |(source, Submission { sent, asked })| {
        let entry = match sent {
            Sent::Decoded(entry) => entry,
            Sent::Undecoded(bytes) => Box::new(Entry::decode(bytes).ok()?),
        };
        Some(Unchecked(CheckedEntry { entry, source, asked }))
    };
    let mut opened: Vec<Unchecked> = batch.submissions.into_iter().filter_map(decode).collect();
    let ledger = shared.ledger();
    let mut passed_on = BTreeSet::new();
    opened.retain(|Unchecked(CheckedEntry { entry, source, asked })| match source {
        Source::Client(_) => true,
        Source::Peer(from) => {
            shared.is_news(&ledger, entry, *asked) && passed_on.insert((*from, entry.id(), *asked))
        }
    });
    opened
}

/// Leaves out what clients sent beyond a budget, before work is spent on it, and tells them. What other nodes pass on is judged with the
/// block: their clients wait for a verdict of the validators.
fn turn_away(shared: &Shared, now_ms: u64, opened: &mut Vec<Unchecked>) {
    let sent: Vec<&Entry> = opened.iter().map(|sent| &*sent.0.entry).collect();
    let beyond = shared.ledger().beyond_budget(now_ms, &sent);
    let mut told = Vec::new();
    // From behind, so that numbers stay what they are.
    for (number, refusal) in beyond.into_iter().rev() {
        if opened.get(number).is_some_and(|sent| matches!(sent.0.source, Source::Client(_))) {
            let id = opened.remove(number).0.entry.id();
            told.push((id, Outcome::refused(refusal.into())));
        }
    }
    shared.outcomes.announce(told);
}

/// Checks the signatures of entries; whoever waits for a bad one is told. Gives the good ones, and who sent bad ones.
fn check(shared: &Shared, opened: Vec<Unchecked>) -> (Checked, Vec<Source>) {
    let keys = shared.ledger().public_keys(opened.iter().map(|sent| &*sent.0.entry));
    let mut signatures = EntryBatch::new();
    let mut refused: BTreeMap<usize, (Problem, bool)> = BTreeMap::new();
    for (number, Unchecked(sent)) in opened.iter().enumerate() {
        // Whoever asks what became of an entry that waits here, or went on, may ask again and again: its signatures were checked.
        let id = sent.entry.id();
        if sent.asked && (shared.recent.contains(&id) || shared.handed_on.contains(&id)) {
            continue;
        }
        signatures.push(number, &sent.entry, |kid| keys.get(kid).copied().flatten());
    }
    for (number, refuted) in signatures.verify() {
        let Some(Unchecked(sent)) = opened.get(number) else { continue };
        let unknown = unknown_key(&sent.entry, &keys);
        // A node that passes an entry on may have a block more than this one, and know the key.
        let is_doubtful = unknown.is_none() || matches!(sent.source, Source::Client(_));
        refused.insert(number, (unknown.unwrap_or_else(|| refuted.into()), is_doubtful));
    }
    let mut good = Vec::with_capacity(opened.len());
    let (mut bad, mut senders) = (Vec::new(), Vec::new());
    for (number, Unchecked(sent)) in opened.into_iter().enumerate() {
        match refused.remove(&number) {
            None => good.push(sent),
            Some((problem, is_doubtful)) => {
                bad.push((sent.entry.id(), Outcome::refused(problem)));
                senders.extend(is_doubtful.then_some(sent.source));
            }
        }
    }
    senders.dedup();
    shared.outcomes.announce(bad);
    (good, senders)
}

/// A key that nobody has enrolled is another cause than a bad signature, with another remedy.
fn unknown_key(entry: &Entry, keys: &BTreeMap<KeyId, Option<[u8; 32]>>) -> Option<Problem> {
    let enrolled = ledger_verify::entry::enrolled_keys(entry);
    let new = |kid: &KeyId| {
        enrolled
            .iter()
            .filter_map(|key| key.public_key.as_ref().try_into().ok())
            .any(|key| KeyId::of(&key) == *kid)
    };
    let unknown =
        entry.kids().find(|kid| keys.get(kid).is_none_or(Option::is_none) && !new(kid))?;
    Some(Refusal::new(Code::KeyUnknown, format!("key {unknown}")).into())
}
