//! Heights that nothing could fill, whose rounds wait until something could; and those that are not agreed on in many rounds.

use ledger_format::block::Body;
use ledger_replica::{Action, Event, Timer};

use crate::abuse::{Begun, prevote, proposal};
use crate::several::prevotes;

const CENTURY_MS: u64 = 100 * 365 * 86_400_000;

/// Timers that are left set.
fn timers(actions: &[Action]) -> Vec<Timer> {
    let mut set = Vec::new();
    for action in actions {
        match action {
            Action::SetTimer(timer, _) => set.push(*timer),
            Action::CancelTimer(timer) => set.retain(|known| known != timer),
            Action::CancelTimers => set.clear(),
            _ => {}
        }
    }
    set
}

/// Rounds about a block that nobody votes for and whose entries no block can have would follow each other for ever.
#[test]
fn a_block_that_all_have_voted_against_keeps_no_rounds_going() {
    let mut begun = Begun::new();
    let (liar, next, now_ms) = (begun.turn(0), begun.turn(1), begun.now_ms());
    let number = begun.network.number_of(&next).unwrap();
    let (block, body) = begun.block_of(now_ms + CENTURY_MS);
    let others = begun.all_but(number);
    let mut said = vec![(liar, body), (liar, proposal(liar, (2, 0), None, block))];
    // Its turn comes, and the liar's entry, which it had kept, can enter no block of its own.
    said.extend(others.iter().take(2).map(|by| (*by, prevote(*by, (2, 1), None))));
    let actions = begun.hears(number, now_ms, &said);
    assert_eq!(prevotes(&actions), [None]);
    assert!(actions.iter().any(|action| matches!(action, Action::Refused(..))), "{actions:?}");
    let running = timers(&actions);
    assert!(!running.is_empty());
    let node = &mut begun.network.nodes[number];
    for timer in running {
        let event = Event::TimerFired(timer);
        let fired = node.replica.step(&node.ledger, now_ms + 1_000, event).unwrap();
        assert!(fired.is_empty(), "{fired:?}");
    }
    assert!(node.replica.is_at_rest());
    // A quorum has voted for it after all.
    let polka: Vec<_> = others.iter().map(|by| (*by, prevote(*by, (2, 0), Some(block)))).collect();
    let woken = begun.hears(number, now_ms + 2_000, &polka);
    assert!(!begun.network.nodes[number].replica.is_at_rest());
    assert_eq!(prevotes(&woken), [None], "the round goes on: {woken:?}");
}

/// Fires timers.
fn fire(begun: &mut Begun, number: usize, now_ms: u64, timers: Vec<Timer>) -> Vec<Action> {
    let node = &mut begun.network.nodes[number];
    let mut fired = Vec::new();
    for timer in timers {
        fired.extend(node.replica.step(&node.ledger, now_ms, Event::TimerFired(timer)).unwrap());
    }
    fired
}

fn refused(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Refused(..))).count()
}

/// A liar brings what no block can have again and again, beside a block that nobody votes for.
#[test]
fn entries_that_no_block_can_have_keep_no_rounds_going() {
    let mut begun = Begun::new();
    let (liar, now_ms) = (begun.turn(0), begun.now_ms());
    let number = begun.network.number_of(&begun.turn(3)).unwrap();
    let (block, body) = begun.block_of(now_ms + CENTURY_MS);
    begun.submit(number, now_ms, 0, now_ms + CENTURY_MS);
    let open = [(liar, body), (liar, proposal(liar, (2, 0), None, block))];
    let mut actions = begun.hears(number, now_ms, &open);
    let others = begun.all_but(number);
    let against = others.iter().take(2).map(|by| (*by, prevote(*by, (2, 0), None)));
    actions.extend(begun.hears(number, now_ms, &against.collect::<Vec<_>>()));
    // It waits when the round's time is over, and is dropped.
    let (later_ms, running) = (now_ms + 1_000, timers(&actions));
    assert!(!running.is_empty());
    let fired = fire(&mut begun, number, later_ms, running);
    assert_eq!((refused(&fired), fired.len()), (1, 1), "{fired:?}");
    // Others come while the rounds wait: they are dropped with the first one's patience.
    let first = begun.submit(number, later_ms, 1, now_ms + CENTURY_MS);
    let patience = timers(&first);
    assert_eq!((patience.len(), first.len()), (1, 1), "{first:?}");
    assert!(begun.submit(number, later_ms, 2, now_ms + CENTURY_MS).is_empty());
    assert!(begun.network.nodes[number].replica.is_at_rest());
    let fired = fire(&mut begun, number, later_ms + 250, patience);
    assert_eq!((refused(&fired), fired.len()), (2, 2), "{fired:?}");
    assert!(begun.network.nodes[number].replica.is_at_rest());
    // What a block may have ends that at once.
    let woken = begun.submit(number, later_ms, 3, now_ms);
    assert!(!woken.is_empty());
    assert!(!begun.network.nodes[number].replica.is_at_rest());
}

/// Entries of the bodies that somebody broadcasts.
fn filled(actions: &[Action]) -> Vec<usize> {
    let bodies = actions.iter().filter_map(|action| match action {
        Action::Broadcast(message) => message.as_body(),
        _ => None,
    });
    let decode = |body: &[u8]| Body::decode(body.to_vec().into()).unwrap().entries.len();
    bodies.map(|(_, body)| decode(body)).collect()
}

/// Each round of a height that is not agreed on brings another block, and everybody logs it.
#[test]
fn after_many_rounds_blocks_have_ever_fewer_entries() {
    for (round, entries) in [(3, 2), (5, 1)] {
        let mut begun = Begun::new();
        let now_ms = begun.now_ms();
        let number = begun.network.number_of(&begun.turn(round)).unwrap();
        let (liar, others) = (begun.turn(0), begun.all_but(number));
        let (block, body) = begun.block_of(now_ms + CENTURY_MS);
        let open = [(liar, body), (liar, proposal(liar, (2, 0), None, block))];
        let mut actions = begun.hears(number, now_ms, &open);
        begun.submit_two(number, now_ms);
        let skip = others.iter().take(2).map(|by| (*by, prevote(*by, (2, round), None)));
        actions.extend(begun.hears(number, now_ms, &skip.collect::<Vec<_>>()));
        assert_eq!(filled(&actions), [entries], "round {round}");
    }
}
