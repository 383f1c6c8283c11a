//! The contract of versions: what is kept, what is refused, and that memory is used again.

use std::collections::VecDeque;

use ledger_merkle::Hash;
use ledger_merkle::trie::{Delta, EMPTY_ROOT, Retired, Trie, TrieError, Usage};

use crate::model::{Map, Numbers, changes, root};

fn put(trie: &mut Trie, keys: &[Hash], byte: u8) -> Retired {
    let block: Map = keys.iter().map(|key| (*key, vec![byte])).collect();
    let delta = trie.propose(trie.tip(), changes(&block)).unwrap();
    trie.commit(delta).unwrap().1
}

/// Two blocks are worked out on one version; when one is decided the other is worth nothing, and
/// can be worked out again.
#[test]
fn one_of_two_deltas_is_committed() {
    let mut trie = Trie::new();
    let _kept = put(&mut trie, &[[1; 32], [2; 32]], 0);
    let base = trie.tip();
    let ours: Map = [([2; 32], vec![7]), ([3; 32], vec![8])].into();
    let theirs: Map = [([0; 32], vec![9])].into();
    let our_delta = trie.propose(base, changes(&ours)).unwrap();
    let their_delta = trie.propose(base, changes(&theirs)).unwrap();
    let (our_root, their_root) = (our_delta.root(), their_delta.root());
    assert_ne!(our_root, their_root);
    assert_eq!(trie.tip(), base);

    let (version, _kept) = trie.commit(their_delta).unwrap();
    assert_eq!(version.root(), their_root);
    assert_eq!(trie.commit(our_delta).map(|_| ()), Err(TrieError::Stale));
    assert_eq!(trie.tip(), version);
    assert_eq!(trie.get(version, &[3; 32]), Ok(None));
    assert_eq!(trie.get(version, &[2; 32]), Ok(Some(&[0][..])));

    let again = trie.propose(base, changes(&ours)).unwrap();
    assert_eq!(again.root(), our_root);
    trie.audit(base).unwrap();
}

/// Versions, deltas and lists of another trie are refused even when it had as many commits.
#[test]
fn other_tries_are_strangers() {
    let (mut one, mut other) = (Trie::new(), Trie::new());
    let mut lists = Vec::new();
    for byte in 1..=2 {
        lists.push(put(&mut one, &[[1; 32]], byte));
        lists.push(put(&mut other, &[[1; 32], [2; 32]], byte));
    }
    let delta = one.propose(one.tip(), Vec::new()).unwrap();
    assert_eq!(other.commit(delta).map(|_| ()), Err(TrieError::Stale));
    assert_eq!(other.get(one.tip(), &[1; 32]), Err(TrieError::Gone));
    assert_eq!(other.audit(one.tip()), Err(TrieError::Gone));
    assert!(other.propose(one.tip(), Vec::new()).is_err());

    let from_one = lists.swap_remove(2);
    let first_of_other = lists.swap_remove(1);
    other.free(first_of_other).unwrap();
    assert_eq!(other.free(from_one), Err(TrieError::NotOldest));
    other.audit(other.oldest()).unwrap();
}

/// Versions are given up oldest first.
#[test]
fn lists_come_back_in_order() {
    let mut trie = Trie::new();
    let first = put(&mut trie, &[[1; 32]], 1);
    let second = put(&mut trie, &[[1; 32]], 2);
    let third = put(&mut trie, &[[1; 32]], 3);
    assert_eq!(trie.free(second), Err(TrieError::NotOldest));
    trie.free(first).unwrap();
    assert_eq!(trie.free(third), Err(TrieError::NotOldest));
    trie.audit(trie.oldest()).unwrap();
    assert_eq!(trie.get(trie.oldest(), &[1; 32]), Ok(Some(&[1][..])));
}

/// A version is named by more than its content.
#[test]
fn the_same_content_again_is_another_version() {
    let mut trie = Trie::new();
    let first = put(&mut trie, &[[1; 32]], 1);
    let before = trie.tip();
    let second = put(&mut trie, &[[1; 32]], 1);
    assert_eq!(trie.tip().root(), before.root());
    assert_ne!(trie.tip(), before);
    let third = put(&mut trie, &[], 1);
    assert_eq!(trie.tip().root(), before.root());
    for retired in [first, second, third] {
        trie.free(retired).unwrap();
    }
    assert_eq!(trie.get(before, &[1; 32]), Err(TrieError::Gone));
    assert_eq!(trie.get(trie.tip(), &[1; 32]), Ok(Some(&[1][..])));
}

/// Over 300 blocks of updates, small and large, the arrays stop growing after the first few, and each version in the
/// window stays whole although the slots of those before it are overwritten.
#[test]
fn slots_are_used_again() {
    const WINDOW: usize = 5;
    let mut numbers = Numbers(3);
    let keys: Vec<Hash> = (0..400).map(|_| numbers.key()).collect();
    let mut map: Map = keys.iter().map(|key| (*key, vec![])).collect();
    let mut trie = Trie::from_sorted(changes(&map)).unwrap();
    let mut window = VecDeque::new();
    let mut usage = Vec::new();
    for height in 0..300 {
        let changed = if height % 7 == 0 { 120 } else { 20 };
        let block: Map = (0..changed)
            .map(|_| (keys[numbers.below(400)], numbers.next().to_be_bytes().to_vec()))
            .collect();
        map.extend(block.clone());
        let (base, delta) = (trie.tip(), trie.propose(trie.tip(), changes(&block)).unwrap());
        let (_, retired) = trie.commit(delta).unwrap();
        window.push_back((base, retired));
        if window.len() > WINDOW {
            let (_, retired) = window.pop_front().unwrap();
            trie.free(retired).unwrap();
        }
        if height % 20 == 0 {
            assert_eq!(trie.tip().root(), root(&map));
        }
        for version in window.iter().map(|(version, _)| *version).chain([trie.tip()]) {
            trie.audit(version).unwrap();
        }
        usage.push(trie.usage());
    }
    let Usage { nodes, leaves, .. } = usage[299];
    // At most one large block and five small ones are in the window and on the way into it; a
    // change touches at most one leaf and some 11 nodes in a map of 400.
    assert!(leaves <= 400 + 120 + 5 * 20, "{leaves}");
    assert!(nodes <= 399 + 399 + 5 * 20 * 11, "{nodes}");
    assert!(leaves - usage[50].leaves < 20 && nodes - usage[50].nodes < 60);

    for (_, retired) in window {
        trie.free(retired).unwrap();
    }
    let Usage { nodes, free_nodes, leaves, free_leaves } = trie.usage();
    assert_eq!((nodes - free_nodes, leaves - free_leaves), (399, 400));
    trie.audit(trie.tip()).unwrap();
}

/// Threads may share a map, and hand over what goes in and out of it.
#[test]
fn maps_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Trie>();
    shared::<Delta>();
    shared::<Retired>();
}

#[test]
fn keys_must_rise() {
    let trie = Trie::new();
    let put = |bytes: &[u8]| -> Vec<(Hash, Box<[u8]>)> {
        bytes.iter().map(|byte| ([*byte; 32], Box::default())).collect()
    };
    for (bytes, position) in [(&[2, 1][..], 1), (&[1, 1], 1), (&[1, 2, 2, 3], 2), (&[0, 5, 4], 2)] {
        let unsorted = TrieError::Unsorted { position };
        assert_eq!(trie.propose(trie.tip(), put(bytes)).map(|_| ()), Err(unsorted));
        assert_eq!(Trie::from_sorted(put(bytes)).map(|_| ()), Err(unsorted));
    }
    assert!(trie.propose(trie.tip(), put(&[1, 2, 3])).is_ok());
}

#[test]
fn a_map_without_keys() {
    let mut trie = Trie::new();
    let empty = trie.tip();
    assert_eq!((empty.root(), empty.len(), empty.is_empty()), (EMPTY_ROOT, 0, true));
    assert_eq!(Trie::from_sorted([]).unwrap().tip(), empty);
    assert_eq!(trie.get(empty, &[0; 32]), Ok(None));
    assert_eq!(trie.records(empty).unwrap().next(), None);
    trie.audit(empty).unwrap();
    let delta = trie.propose(empty, Vec::new()).unwrap();
    assert_eq!((delta.root(), delta.len(), delta.is_empty()), (EMPTY_ROOT, 0, true));
    let (version, retired) = trie.commit(delta).unwrap();
    assert_eq!(version.root(), EMPTY_ROOT);
    trie.free(retired).unwrap();
}
