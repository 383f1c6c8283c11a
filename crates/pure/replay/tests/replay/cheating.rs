//! Blocks of a validator that makes everything right but one thing: roots, hashes and certificate fit what is in the block, and
//! only the check that is meant can find it.

use bytes::Bytes;
use ledger_event::{AssetDescribed, Clock, Limits};
use ledger_fixtures::Rng;
use ledger_format::block::{Block, Body};
use ledger_format::entry::Entry;
use ledger_format::header::HEADER_BYTES;
use ledger_replay::Replay;
use ledger_replay::replay::decode_entries;
use ledger_story::acts;
use ledger_story::cast::{EXCHANGE, Label, SUPPLIER};
use ledger_story::deed::Deed;
use ledger_story::{LIMITS, RAIN, Story, china, genesis, validator};
use ledger_verify::finding::{Code, Place, Refuted};

use crate::chain::{Chain, begun, body, certified, sealed, told};

/// The next block of these entries. A proposer does not look at signatures: whoever feeds it has. What it refuses is put in all
/// the same, under a header that fits the rest.
fn forged(chain: &Chain, now_ms: u64, entries: &[&Entry]) -> Block {
    let proposal = chain.ledger.propose(validator(), now_ms, entries);
    let mut header = match &proposal.block {
        Some(executed) => executed.header.clone(),
        None => chain.ledger.header().unwrap().clone(),
    };
    if proposal.block.is_none() {
        header.previous = header.hash().0;
        header.height += 1;
        header.time_ms = now_ms.max(header.time_ms + 1);
    }
    let entries = entries.iter().map(|entry| entry.bytes().clone()).collect();
    certified(Body { header, entries })
}

/// What a reader says of a chain that ends with this block.
fn end(chain: &Chain, block: &Block) -> Refuted {
    let mut replay = Replay::new(chain.genesis().clone()).unwrap();
    for good in &chain.blocks {
        replay.push(good, |_| ()).unwrap();
    }
    match replay.push(block, |_| ()) {
        Err(refuted) => refuted,
        Ok(()) => replay.finish().err().unwrap(),
    }
}

/// The place of the entry at a position of the next block.
fn place(chain: &Chain, number: u64, entry: &Entry) -> Place {
    Place::entry(chain.ledger.height() + 1, chain.ledger.tree_size() + 1 + number, entry.id())
}

#[test]
fn entries_that_the_rules_refuse_are_found_wherever_they_stand() {
    let refused: [(Deed, &str); 5] = [
        (acts::asset_described(RAIN), "SUBJECT_EXISTS"),
        (acts::certificate_issued(RAIN, "SJ4412026080001"), "PRIOR_STALE"),
        (acts::batch_sent(RAIN, 1), "WRONG_STATE"),
        (acts::key_revoked(SUPPLIER, Label::Fresh), "KEY_UNKNOWN"),
        (Deed { lives_s: 86_401, ..acts::asset_described("snow") }, "ENTRY_WINDOW"),
    ];
    let mut story = told(Clock::Wall).clone();
    let chain = Chain::of(&story);
    let good = [
        sealed(&mut story, &acts::asset_described("sun")),
        sealed(&mut story, &acts::asset_described("wind")),
    ];
    for (deed, code) in refused {
        let bad = sealed(&mut story, &deed);
        for number in 0..=good.len() {
            let mut entries: Vec<&Entry> = good.iter().collect();
            entries.insert(number, &bad);
            let found = end(&chain, &forged(&chain, story.time_ms, &entries));
            assert_eq!(found.code, Code::Refused, "{found}");
            assert_eq!(*found.place, place(&chain, u64::try_from(number).unwrap(), &bad));
            assert!(found.to_string().contains(code) || code == "PRIOR_STALE", "{found}");
        }
    }
}

#[test]
fn an_entry_counts_once_and_a_cti_too() {
    let mut story = told(Clock::Wall).clone();
    let chain = Chain::of(&story);
    let rain = sealed(&mut story, &acts::asset_described("sun"));
    let again = Deed { nonce: Some(rain.claims().nonce), ..acts::asset_described("moon") };
    let again = sealed(&mut story, &again);
    // Of another issuer the same cti is another.
    let theirs = acts::history_by_exchange(RAIN);
    let theirs = sealed(&mut story, &Deed { nonce: Some(rain.claims().nonce), ..theirs });
    assert_eq!(theirs.claims().issuer, EXCHANGE);

    for second in [&rain, &again] {
        let found = end(&chain, &forged(&chain, story.time_ms, &[&rain, &theirs, second]));
        assert_eq!((found.code, *found.place), (Code::Duplicate, place(&chain, 2, second)));
    }
    // And in a later block.
    let mut chain = chain;
    chain.take(story.time_ms, &[&rain, &theirs]);
    for second in [&rain, &again, &theirs] {
        let found = end(&chain, &forged(&chain, story.time_ms, &[second]));
        assert_eq!((found.code, *found.place), (Code::Duplicate, place(&chain, 0, second)));
    }
}

#[test]
fn genesis_comes_first_and_once() {
    let story = told(Clock::Wall);
    let mut chain = Chain::new(story.genesis.clone());
    let first: Vec<&Entry> = story.log.iter().filter(|l| l.height == 1).map(|l| &l.entry).collect();
    let proposal = chain.ledger.propose(validator(), 0, &first);
    let mut body = body(&proposal, &first);
    body.entries.swap(0, 1);
    let found = end(&chain, &certified(body));
    assert_eq!(found.code, Code::Genesis);
    assert_eq!(*found.place, Place::entry(1, 0, first[1].id()));

    chain.commit(proposal, &first);
    let mut later = story.clone();
    let again = sealed(&mut later, &acts::genesis_published(&story.genesis));
    let found = end(&chain, &forged(&chain, story.time_ms, &[&again]));
    assert_eq!((found.code, *found.place), (Code::Genesis, place(&chain, 0, &again)));
}

#[test]
fn a_block_keeps_to_the_caps_of_genesis() {
    let limits = Limits { block_entries: 15, block_bytes: 128 * 1024, ..LIMITS };
    let mut story =
        Story::of(genesis(Clock::Wall, china("2026-08-03"), limits)).in_earnest().begun();
    let mut chain = Chain::of(&story);
    let small = |number: usize| acts::asset_described(&format!("rain-{number}"));
    let entries: Vec<Entry> = (0..16).map(|number| sealed(&mut story, &small(number))).collect();
    let all: Vec<&Entry> = entries.iter().collect();
    let proposal = chain.ledger.propose(validator(), story.time_ms, &all);
    assert_eq!((proposal.included.len(), proposal.refused.len()), (15, 0));
    let found = end(&chain, &forged(&chain, story.time_ms, &all));
    assert_eq!((found.code, *found.place), (Code::BlockLimits, Place::block(3)));

    // Bytes: header, count, and each entry with its length.
    let bulky = |number: u32| {
        acts::asset_described(&format!("bulky-{number}")).with(|event: &mut AssetDescribed| {
            event.description.as_mut().unwrap().summary = "\u{20000}".repeat(4_000);
        })
    };
    let entries: Vec<Entry> = (0..12).map(|number| sealed(&mut story, &bulky(number))).collect();
    let size = |count: usize| {
        let lengths = entries.iter().take(count).map(|entry| entry.bytes().len() + 2);
        HEADER_BYTES + 4 + lengths.sum::<usize>()
    };
    let cap = usize::try_from(limits.block_bytes).unwrap();
    let fitting = (0..=entries.len()).rfind(|count| size(*count) <= cap).unwrap();
    assert!(fitting < entries.len());
    let all: Vec<&Entry> = entries.iter().collect();
    let proposal = chain.ledger.propose(validator(), story.time_ms, &all);
    assert_eq!((proposal.included.len(), proposal.refused.len()), (fitting, 0));
    let found = end(&chain, &forged(&chain, story.time_ms, &all[..=fitting]));
    assert_eq!((found.code, *found.place), (Code::BlockLimits, Place::block(3)));
    chain.take(story.time_ms, &all[..fitting]);
    let written = chain.blocks[2].body.encode().len();
    assert_eq!(written, size(fitting));
}

#[test]
fn a_signature_that_is_not_the_signers_is_found_in_every_entry() {
    let story = told(Clock::Wall);
    for height in 2..=story.height {
        let chain = Chain::up_to(story, height - 1);
        let logged: Vec<_> = story.log.iter().filter(|l| l.height == height).collect();
        for (number, victim) in (0_u64..).zip(&logged) {
            let mut bytes = victim.entry.bytes().to_vec();
            // The outer signature ends an entry.
            let last = bytes.len() - 5;
            bytes[last] ^= 1;
            let bad = Entry::decode(bytes.into()).unwrap();
            let entries =
                logged.iter().map(|l| if l.leaf == victim.leaf { &bad } else { &l.entry });
            let entries: Vec<&Entry> = entries.collect();
            let block = forged(&chain, victim.time_ms, &entries);
            assert_eq!(block.body.header.tree_size, logged.last().unwrap().leaf + 1);
            let found = end(&chain, &block);
            assert_eq!((found.code, *found.place), (Code::Signature, place(&chain, number, &bad)));
        }
    }
}

#[test]
fn a_signature_that_fails_is_found_though_blocks_follow() {
    let (mut story, mut chain) = begun(Clock::Wall);
    let good = sealed(&mut story, &acts::asset_described("sun"));
    let mut bytes = good.bytes().to_vec();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    let bad = Entry::decode(bytes.into()).unwrap();
    let expected = place(&chain, 0, &bad);
    chain.take(story.time_ms, &[&bad]);
    for name in ["moon", "mars"] {
        let entry = sealed(&mut story, &acts::asset_described(name));
        chain.take(story.time_ms, &[&entry]);
    }
    let mut replay = Replay::new(chain.genesis().clone()).unwrap();
    for block in &chain.blocks {
        replay.push(block, |_| ()).unwrap();
    }
    let found = replay.finish().err().unwrap();
    assert_eq!((found.code, *found.place), (Code::Signature, expected));
}

/// Signatures of a long chain are checked while it is read, as soon as there are enough of them.
#[test]
fn a_signature_that_fails_is_found_before_a_long_chain_ends() {
    let (mut story, mut chain) = begun(Clock::Wall);
    let mut bytes = sealed(&mut story, &acts::asset_described("sun")).bytes().to_vec();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    let bad = Entry::decode(bytes.into()).unwrap();
    let expected = place(&chain, 0, &bad);
    chain.take(story.time_ms, &[&bad]);
    for block in 0..11 {
        let describe = |number| acts::asset_described(&format!("star-{block}-{number}"));
        let all = (0..100).map(|number| sealed(&mut story, &describe(number)));
        let all: Vec<Entry> = all.collect();
        chain.take(story.time_ms, &all.iter().collect::<Vec<_>>());
    }
    let mut replay = Replay::new(chain.genesis().clone()).unwrap();
    let found = chain.blocks.iter().find_map(|block| replay.push(block, |_| ()).err()).unwrap();
    assert_eq!((found.code, *found.place), (Code::Signature, expected));
}

/// Bits of entries, one at a time, under a header that a cheating validator makes for what came of it.
#[test]
fn no_bit_of_an_entry_can_change() {
    let story = told(Clock::Wall);
    let chain = Chain::of(story);
    let mut rng = Rng(7);
    let mut codes = std::collections::BTreeMap::<&str, usize>::new();
    for block in &chain.blocks[1..] {
        let header = &block.body.header;
        let before = chain.stored(header.height - 1);
        let first = before.header.tree_size + 1;
        for (number, entry) in block.body.entries.iter().enumerate() {
            for at in (rng.below(19)..entry.len()).step_by(19) {
                let mut bytes = entry.to_vec();
                bytes[at] ^= 1 << rng.below(8);
                let mut entries = block.body.entries.clone();
                entries[number] = Bytes::from(bytes);
                let ledger = before.restore().unwrap();
                let decoded = decode_entries(header.height, first, &entries);
                let remade = decoded.ok().and_then(|decoded| {
                    let all: Vec<&Entry> = decoded.iter().collect();
                    let proposal = ledger.propose(validator(), header.time_ms, &all);
                    proposal.block.map(|executed| executed.header)
                });
                let header = remade.unwrap_or_else(|| header.clone());
                let mut replay = Replay::resume(ledger);
                let pushed = replay.push(&certified(Body { header, entries }), |_| ());
                let found = pushed.and_then(|()| replay.settle()).unwrap_err();
                assert_eq!(found.place.height, Some(block.body.header.height), "{found}");
                let leaf = first + u64::try_from(number).unwrap();
                assert_eq!(found.place.leaf, Some(leaf), "bit in byte {at}: {found}");
                *codes.entry(found.code.as_str()).or_default() += 1;
            }
        }
    }
    // Each of these found some. What the rules refuse as well is called by the signature that does not fit.
    let expected = [Code::EntryForm, Code::Signature, Code::WeakKey].map(Code::as_str);
    assert!(codes.keys().eq(expected.iter()), "{codes:?}");
    assert!(codes.values().all(|found| *found > 20), "{codes:?}");
}
