//! A ledger from its stored parts is the ledger that was read block by block; parts that do not belong together are refused.

use ledger_event::Clock;
use ledger_merkle::log::Frontier;
use ledger_replay::ledger::KEPT_HEIGHTS;
use ledger_replay::{Replay, RestoreError};
use ledger_story::acts;

use crate::chain::{Chain, begun, records, sealed, told};

#[test]
fn restored_at_every_height_it_goes_on_as_if_it_had_never_stopped() {
    let chain = Chain::of(told(Clock::Declared));
    for height in 1..=chain.ledger.height() {
        let stored = chain.stored(height);
        let restored = stored.restore().unwrap();
        assert_eq!(restored.height(), height);
        assert_eq!(records(&restored), stored.records);

        let mut replay = Replay::resume(restored);
        for block in &chain.blocks[usize::try_from(height).unwrap()..] {
            replay.push(block, |_| ()).unwrap();
        }
        replay.settle().unwrap();
        let ledger = replay.into_ledger();
        assert_eq!(ledger.header(), chain.ledger.header());
        assert_eq!(records(&ledger), records(&chain.ledger));
        assert!(ledger.window().rows().eq(chain.ledger.window().rows()));
    }
}

#[test]
fn records_that_only_genesis_made_need_not_be_stored() {
    let chain = Chain::of(told(Clock::Wall));
    let genesis = Chain::new(chain.genesis().clone());
    let mut stored = chain.stored(chain.ledger.height());
    let all = stored.records.len();
    let first = records(&genesis.ledger);
    stored.records.retain(|record| !first.contains(record));
    assert!(stored.records.len() < all);
    assert_eq!(records(&stored.restore().unwrap()).len(), all);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let chain = Chain::of(told(Clock::Wall));
    let height = chain.ledger.height();
    let stored = chain.stored(height);

    for number in 0..stored.records.len() {
        let mut other = stored.clone();
        other.records[number].1[5] ^= 1;
        assert_eq!(other.restore().unwrap_err(), RestoreError::StateRoot { height });
        let mut other = stored.clone();
        let (key, record) = other.records.remove(number);
        let restored = other.restore().map(|ledger| records(&ledger));
        // One that no block has changed comes from genesis; any other is missed.
        assert!(
            restored.as_ref().is_ok_and(|all| all.contains(&(key, record)))
                || restored == Err(RestoreError::StateRoot { height })
        );
    }
    let mut other = stored.clone();
    other.records[0].0[31] ^= 1;
    assert!(other.restore().is_err());

    let mut other = stored.clone();
    other.records.push(other.records[0].clone());
    assert!(matches!(other.restore(), Err(RestoreError::Order(_))));

    let mut other = stored.clone();
    other.frontier = chain.stored(height - 1).frontier;
    assert_eq!(other.restore().unwrap_err(), RestoreError::TreeRoot { height });
    let mut other = stored.clone();
    other.frontier.push([0; 32]);
    assert_eq!(other.restore().unwrap_err(), RestoreError::TreeRoot { height });
    // Of the same size, and of the same root.
    let (size, root) = (stored.frontier.size(), stored.frontier.root());
    let mut nodes = stored.frontier.nodes().to_vec();
    nodes[0][0] ^= 1;
    for (size, nodes) in [(size, nodes), (1, vec![root])] {
        let mut other = stored.clone();
        other.frontier = Frontier::from_nodes(size, nodes).unwrap();
        assert_eq!(other.restore().unwrap_err(), RestoreError::TreeRoot { height });
    }
    let mut other = stored;
    other.header = chain.stored(height - 1).header;
    assert_eq!(other.restore().unwrap_err(), RestoreError::TreeRoot { height: height - 1 });
}

#[test]
fn heights_stay_readable_while_they_are_kept_or_pinned() {
    let (mut story, mut chain) = begun(Clock::Wall);
    let key = chain.stored(2).records[0].0;
    let pinned = records(&chain.ledger);
    assert!(chain.ledger.pin(2) && chain.ledger.pin(2));
    assert!(!chain.ledger.pin(3));
    let kept = u64::try_from(KEPT_HEIGHTS).unwrap();
    for number in 3..kept + 10 {
        let entry = sealed(&mut story, &acts::asset_described(&format!("rain-{number}")));
        chain.take(story.time_ms, &[&entry]);
    }
    let ledger = &mut chain.ledger;
    let last = ledger.height();
    assert_eq!(ledger.records_after(2, None, usize::MAX), Some(pinned));
    ledger.unpin(2);
    assert!(ledger.state_at(2).is_some(), "pinned twice, unpinned once");
    ledger.unpin(2);
    for height in 0..=last + 1 {
        let readable = height > last - kept && height <= last;
        assert_eq!(ledger.state_at(height).is_some(), readable, "{height}");
        assert_eq!(ledger.prove(height, &key).is_some(), readable, "{height}");
        assert_eq!(ledger.records_after(height, None, 1).is_some(), readable, "{height}");
    }
}
