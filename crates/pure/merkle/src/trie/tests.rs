//! What cannot be seen from outside: the arithmetic on bits, and the limit on slots.

use alloc::boxed::Box;
use alloc::vec;

use super::arena::{Arena, Leaf, Node, Ref};
use super::{
    Kept, Trie, TrieError, Usage, Version, first_difference, goes_right, leaf_hash, node_hash,
    record_hash,
};
use crate::hash::Hash;

fn record(byte: u8) -> Box<[u8]> {
    vec![byte].into()
}

/// What [`Usage`] says of memory, and ten million keys within 1.3 GB beside their records.
#[test]
#[cfg(target_pointer_width = "64")]
fn nodes_and_leaves_are_small() {
    assert_eq!((size_of::<Node>(), size_of::<Leaf>()), (76, 48));
}

#[test]
fn bits_are_counted_from_the_front() {
    let zero = Hash::default();
    assert_eq!(first_difference(&zero, &zero), None);
    for bit in 0..=255_u8 {
        let mut one = zero;
        one[usize::from(bit / 8)] = 0b1000_0000 >> (bit % 8);
        assert_eq!(first_difference(&zero, &one), Some(bit));
        assert_eq!(first_difference(&one, &zero), Some(bit));
        for other in 0..=255_u8 {
            assert_eq!(goes_right(&one, other), other == bit);
        }
        // Later differences do not matter.
        let mut later = one;
        for byte in later.iter_mut().skip(usize::from(bit / 8) + 1) {
            *byte = 0xff;
        }
        assert_eq!(first_difference(&zero, &later), Some(bit));
    }
}

fn pair(byte: u8) -> (Hash, Box<[u8]>) {
    ([byte; 32], record(byte))
}

/// When the slots are used up, a commit is refused as a whole, and goes through once a version is
/// given up. The records of the version that is given up are dropped at once.
#[test]
fn a_full_arena_refuses_and_recovers() {
    let mut trie = Trie { arena: Arena::with_limit(4), ..Trie::new() };
    let block = |byte| vec![([1; 32], record(byte)), ([2; 32], record(byte))];
    let (_, first) = trie.commit(trie.propose(trie.tip(), block(1)).unwrap()).unwrap();
    let (_, second) = trie.commit(trie.propose(trie.tip(), block(2)).unwrap()).unwrap();
    let full = Usage { nodes: 2, free_nodes: 0, leaves: 4, free_leaves: 0 };
    assert_eq!(trie.usage(), full);

    let delta = trie.propose(trie.tip(), block(3)).unwrap();
    assert_eq!(trie.commit(delta).map(|_| ()), Err(TrieError::Full));
    assert_eq!(trie.usage(), full);
    trie.audit(trie.tip()).unwrap();

    let bytes_held =
        |trie: &Trie| (0..4).map(|index| trie.arena.leaf(index).record.len()).sum::<usize>();
    assert_eq!(bytes_held(&trie), 4);
    trie.free(first).unwrap();
    trie.free(second).unwrap();
    assert_eq!(trie.usage(), Usage { free_nodes: 1, free_leaves: 2, ..full });
    assert_eq!(bytes_held(&trie), 2);
    trie.commit(trie.propose(trie.tip(), block(3)).unwrap()).map(|_| ()).unwrap();
    assert_eq!(trie.get(trie.tip(), &[1; 32]), Ok(Some(&[3][..])));
    assert_eq!(trie.usage().leaves, 4);
}

/// The other two places that could run out of references.
#[test]
fn limits_of_building_and_proposing() {
    let build = |keys| Trie::build(Arena::with_limit(4), (0..keys).map(pair)).map(|_| ());
    assert_eq!((build(4), build(5)), (Ok(()), Err(TrieError::Full)));

    let mut trie = Trie::new();
    trie.tip.version.len = 1 << 30;
    let propose = |changes| trie.propose(trie.tip(), changes).map(|_| ());
    assert_eq!((propose(vec![]), propose(vec![pair(1)])), (Ok(()), Err(TrieError::Full)));
}

/// A map of the given root in an arena that no update made.
fn forged(arena: Arena, root: Ref, hash: Hash, len: u64) -> Trie {
    let version = Version { serial: 0, hash, len };
    Trie::with_tip(arena, Kept { version, root: Some(root) })
}

/// The audit is what other tests rely on, so it must find each kind of damage by itself.
#[test]
fn audits_find_damage() {
    let audit = |[left, right]: [u8; 2], bit: u8, wrong_hash: bool, len: u64| {
        let mut arena = Arena::new();
        let tops = [left, right].map(|byte| {
            let (key, record) = pair(byte);
            let hash = leaf_hash(&key, &record_hash(&record));
            (arena.insert_leaf(Leaf { key, record }), hash)
        });
        let root_hash = node_hash(bit, &tops[0].1, &tops[1].1);
        let mut hashes = tops.map(|top| top.1);
        hashes[1][31] ^= u8::from(wrong_hash);
        let root = arena.insert_node(Node { children: tops.map(|top| top.0), hashes, bit });
        let trie = forged(arena, root, root_hash, len);
        trie.audit(trie.tip())
    };
    assert_eq!(audit([0x00, 0x80], 0, false, 2), Ok(()));
    assert_eq!(audit([0x00, 0x80], 0, true, 2), Err(TrieError::Damaged));
    assert_eq!(audit([0x00, 0x80], 0, false, 3), Err(TrieError::Damaged));
    assert_eq!(audit([0x00, 0x80], 1, false, 2), Err(TrieError::Damaged));
    assert_eq!(audit([0x80, 0x00], 0, false, 2), Err(TrieError::Damaged));
    assert_eq!(audit([0x80, 0x80], 0, false, 2), Err(TrieError::Damaged));
}

/// Nodes that stand below themselves do not keep an audit from ending.
#[test]
fn audits_end() {
    let mut arena = Arena::new();
    let leaf = arena.insert_leaf(Leaf { key: [0; 32], record: record(0) });
    let node = |child, bit| Node { children: [leaf, child], hashes: [[0; 32]; 2], bit };
    let upper = arena.insert_node(node(leaf, 3));
    let lower = arena.insert_node(node(upper, 5));
    arena.release(upper);
    assert_eq!(arena.insert_node(node(lower, 3)), upper);
    let trie = forged(arena, upper, [1; 32], 2);
    assert_eq!(trie.audit(trie.tip()), Err(TrieError::Damaged));
}
