//! Header times: on a declared clock they follow what entries claim, on a wall clock they are the proposer's within its bounds.

use ledger_event::Clock;
use ledger_format::entry::Entry;
use ledger_rules::Code;
use ledger_story::deed::Deed;
use ledger_story::{LIMITS, Story, acts, validator};

use crate::chain::{Chain, begun, read, sealed};

/// An asset described some seconds after the story's time.
fn after(story: &mut Story, seconds: i64, name: &str) -> Entry {
    let deed = acts::asset_described(name);
    sealed(story, &Deed { issued_after_s: seconds, lives_s: 86_400, ..deed })
}

/// Entries of the next block, its time, and who is refused and why.
fn next(chain: &Chain, now_ms: u64, entries: &[&Entry]) -> (Vec<usize>, u64, Vec<(usize, Code)>) {
    let proposal = chain.ledger.propose(validator(), now_ms, entries);
    let refused = proposal.refused.iter().map(|(number, refusal)| (*number, refusal.code));
    let time_ms = proposal.block.as_ref().map_or(0, |block| block.header.time_ms);
    (proposal.included.clone(), time_ms, refused.collect())
}

#[test]
fn the_first_header_is_one_millisecond_after_genesis_on_any_clock() {
    for clock in [Clock::Wall, Clock::Declared] {
        let (story, chain) = begun(clock);
        let start_ms = story.genesis.message().start_ms;
        assert_eq!(chain.blocks[0].body.header.time_ms, start_ms + 1);
        // Whatever the proposer's clock says.
        let first: Vec<&Entry> =
            story.log.iter().filter(|l| l.height == 1).map(|l| &l.entry).collect();
        let fresh = Chain::new(story.genesis.clone());
        for now_ms in [0, start_ms, start_ms + 500, u64::MAX] {
            assert_eq!(next(&fresh, now_ms, &first).1, start_ms + 1);
        }
    }
}

#[test]
fn declared_time_is_the_latest_that_an_entry_claims() {
    let (mut story, mut chain) = begun(Clock::Declared);
    let start_ms = story.time_ms;
    let [now, late, later] = [0, 60, 120].map(|s| after(&mut story, s, &format!("asset-{s}")));
    let second = |s: u64| start_ms + s * 1000;
    let before = chain.ledger.time_ms();
    // The proposer's own clock does not matter.
    for now_ms in [0, u64::MAX] {
        assert_eq!(next(&chain, now_ms, &[&now]), (vec![0], before + 1, vec![]));
        assert_eq!(next(&chain, now_ms, &[&late, &now]), (vec![0, 1], second(60), vec![]));
        // Later claims wait for a block of their own, and so does what came after them.
        assert_eq!(next(&chain, now_ms, &[&late, &later, &now]), (vec![0], second(60), vec![]));
        assert_eq!(next(&chain, now_ms, &[&now, &late]), (vec![0], before + 1, vec![]));
    }
    chain.take(0, &[&late]);
    chain.take(0, &[&later]);
    chain.take(0, &[&now]);
    let times: Vec<u64> = chain.blocks[2..].iter().map(|block| block.body.header.time_ms).collect();
    assert_eq!(times, [second(60), second(120), second(120) + 1]);
    read(chain.genesis(), &chain.blocks).unwrap();
}

#[test]
fn a_refused_first_candidate_moves_no_clock() {
    let (mut story, chain) = begun(Clock::Declared);
    let start_ms = story.time_ms;
    let before = chain.ledger.time_ms();
    let nobody =
        sealed(&mut story, &Deed { issued_after_s: 50, ..acts::asset_revised("none", |_| ()) });
    let now = after(&mut story, 0, "one");
    let late = after(&mut story, 60, "two");
    let unknown = |number: usize| (number, Code::SubjectUnknown);
    assert_eq!(next(&chain, 0, &[&nobody, &now]), (vec![1], before + 1, vec![unknown(0)]));
    let all = next(&chain, 0, &[&nobody, &nobody, &late, &now]);
    assert_eq!(all, (vec![2, 3], start_ms + 60_000, vec![unknown(0), unknown(1)]));
    assert_eq!(next(&chain, 0, &[&nobody]), (vec![], 0, vec![unknown(0)]));
}

#[test]
fn a_declared_clock_moves_at_most_one_step_a_block() {
    let (mut story, mut chain) = begun(Clock::Declared);
    let step = i64::from(LIMITS.declared_step_s);
    // Between its start and now the ledger's clock has moved two milliseconds, so that a whole step just fits.
    let most = after(&mut story, step, "one");
    let beyond = after(&mut story, step + 1, "two");
    let ahead = vec![(0, Code::Ahead)];
    assert_eq!(next(&chain, 0, &[&beyond]), (vec![], 0, ahead.clone()));
    let time_ms = story.time_ms + u64::from(LIMITS.declared_step_s) * 1000;
    assert_eq!(next(&chain, 0, &[&beyond, &most]), (vec![1], time_ms, ahead));
    chain.take(0, &[&most]);
    chain.take(0, &[&beyond]);
    read(chain.genesis(), &chain.blocks).unwrap();
}

#[test]
fn a_wall_clock_never_goes_back_and_is_the_proposers() {
    let (mut story, mut chain) = begun(Clock::Wall);
    let one = after(&mut story, 0, "one");
    let before = chain.ledger.time_ms();
    for (now_ms, time_ms) in [(0, before + 1), (before, before + 1), (before + 77, before + 77)] {
        assert_eq!(next(&chain, now_ms, &[&one]), (vec![0], time_ms, vec![]));
    }
    // A claim ahead of the block by more than the skew is refused, by the skew itself it is not.
    let skew_s = i64::from(LIMITS.skew_ms / 1000);
    let ahead = after(&mut story, skew_s, "two");
    let claimed = ahead.claims().issued_s * 1000;
    let skew_ms = u64::from(LIMITS.skew_ms);
    let now_ms = story.time_ms.max(before + 1);
    assert_eq!(next(&chain, now_ms, &[&ahead]), (vec![0], now_ms, vec![]));
    let far = after(&mut story, 3600, "three");
    let far_ms = far.claims().issued_s * 1000;
    assert_eq!(next(&chain, far_ms - skew_ms - 1, &[&far]).2, [(0, Code::Ahead)]);
    assert_eq!(next(&chain, far_ms - skew_ms, &[&far]).2, []);
    assert!(claimed > story.time_ms);
    chain.take(far_ms, &[&one, &ahead, &far]);
    read(chain.genesis(), &chain.blocks).unwrap();
}
