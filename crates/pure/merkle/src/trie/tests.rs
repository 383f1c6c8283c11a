//! What cannot be seen from outside: the arithmetic on bits, and the limit on slots.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::arena::{Arena, Leaf, Node};
use super::{Trie, TrieError, Usage, first_difference, goes_right};
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

/// When the slots are used up, a commit is refused as a whole, and goes through once a version is
/// given up.
#[test]
fn a_full_arena_refuses_and_recovers() {
    let mut trie = Trie { arena: Arena::with_limit(4), ..Trie::new() };
    let keys: Vec<Hash> = (1..=4).map(|byte| [byte; 32]).collect();
    let all = |byte| keys.iter().take(2).map(|key| (*key, record(byte))).collect::<Vec<_>>();
    let (_, first) = trie.commit(trie.propose(trie.tip(), all(1)).unwrap()).unwrap();
    let (_, second) = trie.commit(trie.propose(trie.tip(), all(2)).unwrap()).unwrap();
    let full = Usage { nodes: 2, free_nodes: 0, leaves: 4, free_leaves: 0 };
    assert_eq!(trie.usage(), full);

    let delta = trie.propose(trie.tip(), all(3)).unwrap();
    assert_eq!(trie.commit(delta).map(|_| ()), Err(TrieError::Full));
    assert_eq!(trie.usage(), full);
    trie.audit(trie.tip()).unwrap();

    trie.free(first).unwrap();
    trie.free(second).unwrap();
    assert_eq!(trie.usage(), Usage { free_nodes: 1, free_leaves: 2, ..full });
    trie.commit(trie.propose(trie.tip(), all(3)).unwrap()).map(|_| ()).unwrap();
    assert_eq!(trie.get(trie.tip(), &keys[0]), Ok(Some(&[3][..])));
    assert_eq!(trie.usage().leaves, 4);
}
