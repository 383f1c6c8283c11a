//! What a header has in common with the one before, field by field, and whose turn a round is.

use std::collections::BTreeSet;

use ledger_event::Clock;
use ledger_fixtures::{Chain, World};
use ledger_format::digest::KeyId;
use ledger_format::header::Header;
use ledger_format::validators::Validators;
use ledger_verify::block::{check_fixed_time, check_header, proposer};
use ledger_verify::finding::Code;

fn chain(clock: Clock) -> Chain {
    let mut chain = Chain::new(World::new("headers", &[1; 4], clock));
    chain.push(&[], &[]);
    chain.push(&[], &[]);
    chain
}

/// The second header of a chain, changed, by a set that signs it.
fn judged(set: Option<&Validators>, change: impl FnOnce(&mut Header)) -> Result<(), Code> {
    let chain = chain(Clock::Wall);
    let (genesis, previous) = (&chain.world.genesis, chain.header_at(1));
    let mut header = chain.header_at(2).clone();
    change(&mut header);
    let set = set.unwrap_or_else(|| chain.world.set());
    check_header(genesis, Some(previous), 1, set, &header).map_err(|refuted| refuted.code)
}

type Change = fn(&mut Header);

#[test]
fn a_header_follows_the_one_before_in_every_field() {
    let before_ms = chain(Clock::Wall).header_at(1).time_ms;
    assert_eq!(judged(None, |_| ()), Ok(()));
    assert_eq!(judged(None, |header| header.time_ms = before_ms + 1), Ok(()));
    let wrong: [(Change, Code); 7] = [
        (|header| header.ledger.0[0] ^= 1, Code::HeaderLedger),
        (|header| header.protocol_version = 2, Code::Version),
        (|header| header.height = 1, Code::Height),
        (|header| header.height = 3, Code::Height),
        (|header| header.previous[0] ^= 1, Code::Previous),
        (|header| header.validators[0] ^= 1, Code::Validators),
        (|header| header.proposer = KeyId([7; 32]), Code::Proposer),
    ];
    for (change, code) in wrong {
        assert_eq!(judged(None, change), Err(code));
    }
    // Times ascend strictly.
    for time_ms in [before_ms, before_ms - 1] {
        assert_eq!(judged(None, |header| header.time_ms = time_ms), Err(Code::Time));
    }
    // Whoever judges by another set than the header before has named is told so.
    let other = World::new("others", &[1; 4], Clock::Wall);
    assert_eq!(judged(Some(other.set()), |_| ()), Err(Code::Validators));
}

#[test]
fn a_declared_clock_moves_no_further_than_genesis_allows_in_one_block() {
    let chain = chain(Clock::Declared);
    let (genesis, before_ms) = (&chain.world.genesis, chain.header_at(1).time_ms);
    let last_s = before_ms / 1000 + u64::from(genesis.limits().declared_step_s);
    for (latest_s, expected) in [(last_s, Ok(())), (last_s + 1, Err(Code::Time))] {
        let header = Header { time_ms: latest_s * 1000, ..chain.header_at(2).clone() };
        let checked = check_fixed_time(genesis, before_ms, &header, latest_s);
        assert_eq!(checked.map_err(|refuted| refuted.code), expected);
    }
}

#[test]
fn validators_take_turns_by_height_and_by_round() {
    let world = World::new("turns", &[1; 4], Clock::Wall);
    let turn = |height, round| proposer(world.set(), height, round);
    let all = |turns: [KeyId; 4]| turns.into_iter().collect::<BTreeSet<_>>().len() == 4;
    assert!(all([7, 8, 9, 10].map(|height| turn(height, 0))));
    assert!(all([0, 1, 2, 3].map(|round| turn(7, round))));
    assert_eq!((turn(7, 1), turn(7, 4)), (turn(8, 0), turn(7, 0)));
}
