//! The same blocks give the same ledger, whoever read them and whatever else was offered to it.

use ledger_event::Clock;
use ledger_event::{AssetDescribed, Purpose, Role};
use ledger_fixtures::Rng;
use ledger_format::entry::Entry;
use ledger_replay::replay::{decode_entries, is_genesis};
use ledger_replay::{Ledger, Replay};
use ledger_story::acts;
use ledger_story::cast::{BUYER, Label, SUPPLIER};
use ledger_story::deed::{Deed, alone, sign};
use ledger_story::{RAIN, Story, validator};
use ledger_verify::verdict::Verdict;

use crate::chain::{Chain, begun, body, certified, read, records, sealed, told};

fn assert_same(one: &Ledger, other: &Ledger) {
    assert_eq!(one.header(), other.header());
    assert_eq!(one.tree_size(), other.tree_size());
    assert_eq!(records(one), records(other));
    let rows = |ledger: &Ledger| ledger.window().rows().copied().collect::<Vec<_>>();
    assert_eq!(rows(one), rows(other));
}

#[test]
fn a_reader_from_genesis_has_the_proposers_ledger() {
    for clock in [Clock::Wall, Clock::Declared] {
        let story = told(clock);
        let chain = Chain::of(story);
        let mut replay = read(chain.genesis(), &chain.blocks).unwrap();
        assert_same(replay.ledger(), &chain.ledger);

        // Records that come with the chain, one by one and complete.
        for (_, record) in records(&chain.ledger) {
            replay.check_record(&record.into()).unwrap();
        }
        let report = replay.finish().unwrap();
        assert_eq!(report.verdict, Verdict::Proven);
        let signatures: usize = story.log.iter().map(|l| l.entry.signatures().count()).sum();
        let counts = *replay.counts();
        assert_eq!(counts.blocks, story.height);
        assert_eq!(counts.votes, story.height);
        assert_eq!(counts.entries, u64::try_from(story.log.len()).unwrap());
        assert_eq!(counts.signatures, u64::try_from(signatures).unwrap());
        assert_eq!(counts.records, chain.ledger.record_count());
        assert!(is_genesis(&story.log[0].entry) && !is_genesis(&story.log[1].entry));
    }
}

#[test]
fn the_ledger_says_what_the_rules_alone_say() {
    // The first block of a story has the time that the ledger gives it, to the second; nothing in it depends on less.
    let mut story = Story::before_genesis(Clock::Wall, "2026-08-03").in_earnest();
    story.take(&acts::genesis_published(&story.genesis));
    let chain = Chain::of(&story);
    assert_eq!(records(&chain.ledger), story.state.0.into_iter().collect::<Vec<_>>());
}

/// Refused by the rules, for several reasons.
fn nonsense() -> Vec<Deed> {
    let twice = acts::asset_described(RAIN);
    let stranger = acts::registration_accepted("nothing").signed_by(alone(BUYER, Role::Buyer));
    let unasked = acts::asset_described("other").and(sign(
        BUYER,
        Label::Seal,
        Role::Buyer,
        Purpose::Counterparty,
    ));
    let unstated = acts::asset_described("third").with(|event: &mut AssetDescribed| {
        event.description = None;
    });
    vec![twice, stranger, unasked, unstated]
}

#[test]
fn what_was_refused_proposed_or_pinned_on_the_way_leaves_no_trace() {
    let quiet = Chain::of(told(Clock::Wall));
    let story = told(Clock::Wall);
    let mut busy = Chain::new(story.genesis.clone());
    for block in &quiet.blocks {
        let header = &block.body.header;
        let mut teller = story.clone();
        teller.time_ms = header.time_ms;
        let junk: Vec<Entry> = nonsense().iter().map(|deed| sealed(&mut teller, deed)).collect();
        let first = busy.ledger.tree_size() + u64::from(header.height > 1);
        let good = decode_entries(header.height, first, &block.body.entries).unwrap();

        // Blocks that nobody decides, of the same height: some of the entries, at another time.
        let half: Vec<&Entry> = good.iter().take(good.len().div_ceil(2)).collect();
        let open = busy.ledger.propose(validator(), header.time_ms + 77, &half);
        assert!(open.block.is_some());
        // From the third block on the supplier is admitted and the asset described.
        if header.height > 3 {
            let junk: Vec<&Entry> = junk.iter().collect();
            let proposal = busy.ledger.propose(validator(), header.time_ms, &junk);
            assert!(proposal.block.is_none());
            assert_eq!(proposal.refused.len(), junk.len());
        }
        busy.ledger.pin(header.height.saturating_sub(3));
        busy.take(header.time_ms, &good.iter().collect::<Vec<_>>());
        busy.ledger.unpin(header.height.saturating_sub(4));

        // A block that was executed on another head is refused, and nothing has changed.
        let before = records(&busy.ledger);
        assert!(busy.ledger.commit(open.block.unwrap()).is_err());
        assert_eq!(records(&busy.ledger), before);
        assert_eq!(busy.ledger.header(), Some(header));
    }
    assert_eq!(busy.blocks, quiet.blocks);
    assert_same(&busy.ledger, &quiet.ledger);
}

/// Deeds of many kinds, some of which are allowed at some moment.
fn pile(story: &mut Story, rng: &mut Rng) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let start = story.time_ms;
    for number in 0..rng.below(9) {
        if rng.once_in(6) && !entries.is_empty() {
            entries.push(rng.pick(&entries).clone());
            continue;
        }
        story.time_ms = start + 1_000 * u64::try_from(rng.below(4)).unwrap();
        let name = format!("{RAIN}-{}", rng.below(12));
        let mut deed = match rng.below(7) {
            0 | 1 => acts::asset_described(&name),
            2 => acts::asset_revised(&name, |d| d.content_bytes += 1),
            3 => acts::history_by_supplier(&name),
            4 => acts::registration_applied(&name),
            5 => acts::key_revoked(SUPPLIER, Label::System),
            _ => acts::registration_accepted(&name),
        };
        match rng.below(12) {
            0 => deed.issued_after_s = 60,
            1 => deed.lives_s = 200_000,
            2 => (deed.issued_after_s, deed.lives_s) = (-50, 49),
            3 => deed.nonce = Some([1; 16]),
            4 if number > 0 => deed.issued_after_s = 86_400 * 40,
            _ => {}
        }
        entries.push(sealed(story, &deed));
    }
    story.time_ms = start;
    entries
}

#[test]
fn whatever_a_proposer_builds_everybody_accepts() {
    for (seed, clock) in (0..40).zip([Clock::Wall, Clock::Declared].into_iter().cycle()) {
        let mut rng = Rng(seed);
        let (mut story, mut chain) = begun(clock);
        let mut replay = Replay::new(story.genesis.clone()).unwrap();
        for block in &chain.blocks {
            replay.push(block, |_| ()).unwrap();
        }
        let mut built = 0;
        for _ in 0..12 {
            let pile = pile(&mut story, &mut rng);
            let candidates: Vec<&Entry> = pile.iter().collect();
            let now_ms = story.time_ms - 3_000 + u64::try_from(rng.below(6_000)).unwrap();
            let proposal = chain.ledger.propose(validator(), now_ms, &candidates);

            // Every candidate is in the block, refused, or waits; nobody is two of these.
            let mut seen = proposal.included.clone();
            assert!(seen.is_sorted());
            seen.extend(proposal.refused.iter().map(|(number, _)| *number));
            seen.sort_unstable();
            assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
            assert!(seen.iter().all(|number| *number < candidates.len()));
            // The first is never left waiting, or it could wait for ever.
            assert_eq!(seen.first().copied(), (!candidates.is_empty()).then_some(0));
            assert_eq!(proposal.block.is_some(), !proposal.included.is_empty());

            if proposal.block.is_some() {
                let block = certified(body(&proposal, &candidates));
                replay.push(&block, |_| ()).unwrap();
                chain.commit(proposal, &candidates);
                built += 1;
            }
            story.time_ms += 2_000;
        }
        replay.finish().unwrap();
        assert!(built > 1, "seed {seed}: {built} blocks");
        assert_same(&chain.ledger, replay.ledger());
    }
}
