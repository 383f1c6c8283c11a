//! The pool's bounds: what is beyond them is turned away, and nothing is lost or counted twice.

use ledger_event::{Clock, Limits};
use ledger_fixtures::Rng;
use ledger_format::entry::Entry;
use ledger_replica::pool::Pool;
use ledger_replica::{PoolLimits, Settings, Turned};
use ledger_story::{LIMITS, Story, acts};

use crate::blocks::{assets, begun_with, sealed};

#[test]
fn what_does_not_fit_is_turned_away_and_may_come_back() {
    let pool = PoolLimits { entries: 5, bytes: usize::MAX };
    let settings = Settings { pool, ..Settings::default() };
    let (mut story, mut host) = begun_with(Clock::Wall, LIMITS, settings);
    let entries = assets(&mut story, "rain", 7);
    host.submit_all(&entries).unwrap();
    let full = |entry: &Entry| (entry.id(), Turned::Full);
    assert_eq!(host.turned, [full(&entries[5]), full(&entries[6])]);
    // One that waits is known, full or not; the answer to it changes nothing.
    host.turned.clear();
    let before = host.replica.pool_size();
    host.submit(&entries[2]).unwrap();
    assert_eq!(host.turned, [(entries[2].id(), Turned::Known)]);
    assert_eq!(host.replica.pool_size(), before);
    host.gathered().unwrap();
    assert_eq!(host.entries(3).len(), 5);

    host.turned.clear();
    host.submit_all(&entries[5..]).unwrap();
    host.gathered().unwrap();
    assert_eq!((host.turned.len(), host.entries(4).len()), (0, 2));
}

/// Whoever sends what the rules refuse, such as more than its budget, does not stand in front of others.
#[test]
fn a_block_is_filled_behind_entries_that_are_refused() {
    let limits = Limits { block_entries: 5, ..LIMITS };
    let (mut story, mut host) = begun_with(Clock::Wall, limits, Settings::default());
    let same = acts::asset_described("same");
    let flood: Vec<Entry> = (0..12).map(|_| sealed(&mut story, &same)).collect();
    let others = assets(&mut story, "rain", 3);
    host.submit_all(&[flood.clone(), others.clone()].concat()).unwrap();
    host.gathered().unwrap();
    let expected = [&flood[..1], &others].concat();
    assert_eq!(host.entries(3), expected.iter().map(Entry::id).collect::<Vec<_>>());
    assert_eq!(host.replica.pool_size(), (0, 0));
}

#[test]
fn bytes_count_as_well() {
    let mut story = Story::opened().in_earnest();
    let entries = assets(&mut story, "rain", 3);
    let two = entries[0].bytes().len() + entries[1].bytes().len();
    for (bytes, fits) in [(two - 1, 1), (two, 2), (two + 1, 2)] {
        let mut pool = Pool::new(PoolLimits { entries: 10, bytes });
        let taken = entries.iter().take_while(|entry| pool.add(Box::new((*entry).clone())).is_ok());
        assert_eq!(taken.count(), fits);
    }
}

/// The pool against a list.
#[test]
fn a_pool_is_a_list_without_repetition() {
    let mut story = Story::opened();
    let entries = assets(&mut story, "rain", 30);
    let mut rng = Rng(11);
    for _ in 0..200 {
        let limits = PoolLimits { entries: rng.below(20), bytes: rng.below(12_000) };
        let mut pool = Pool::new(limits);
        let mut list: Vec<&Entry> = Vec::new();
        for _ in 0..60 {
            let size =
                |list: &[&Entry]| list.iter().map(|entry| entry.bytes().len()).sum::<usize>();
            if rng.once_in(3) {
                let (count, bytes) = (rng.below(8), rng.below(4_000));
                let (tickets, first) = pool.first(count, bytes);
                let fit = |number: &usize| size(&list[..*number]) <= bytes;
                let expected = (0..=count.min(list.len())).filter(fit).max().unwrap();
                assert!(
                    first
                        .iter()
                        .map(|entry| entry.id())
                        .eq(list[..expected].iter().map(|entry| entry.id()))
                );
                for ticket in tickets {
                    let removed = pool.remove(ticket).unwrap();
                    assert_eq!(removed.id(), list.remove(0).id());
                    assert!(pool.remove(ticket).is_none());
                }
            } else {
                let entry = rng.pick(&entries);
                let known = list.iter().any(|waiting| waiting.id() == entry.id());
                let full = list.len() >= limits.entries
                    || size(&list) + entry.bytes().len() > limits.bytes;
                let expected = match (known, full) {
                    (true, _) => Err(Turned::Known),
                    (false, true) => Err(Turned::Full),
                    (false, false) => Ok(()),
                };
                assert_eq!(pool.add(Box::new(entry.clone())), expected);
                if expected.is_ok() {
                    list.push(entry);
                }
            }
            assert_eq!((pool.len(), pool.bytes()), (list.len(), size(&list)));
            assert_eq!(pool.is_empty(), list.is_empty());
            assert!(
                entries
                    .iter()
                    .all(|e| pool.contains(&e.id()) == list.iter().any(|l| l.id() == e.id()))
            );
        }
    }
}
