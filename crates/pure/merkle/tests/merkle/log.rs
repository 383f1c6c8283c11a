//! The log tree against `ct-merkle`, an implementation of RFC 6962 that shares no code with this
//! one, and against liars.

use std::convert::Infallible;

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use ledger_merkle::Hash;
use ledger_merkle::log::{
    ArgumentError, EMPTY_ROOT, Frontier, FrontierError, MAX_SIZE, PathError, ProofError, Subtree,
    consistency_path, inclusion_path, leaf_hash, node_hash, root_at, root_from_consistency,
    root_from_inclusion, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use sha2::Sha256;

use crate::subtrees::Subtrees;

type Judge = MemoryBackedTree<Sha256, Vec<u8>>;

fn leaf(number: u64) -> Vec<u8> {
    number.to_be_bytes()[..usize::try_from(number % 9).unwrap()].to_vec()
}

/// Every proof of every size up to 300, byte for byte.
#[test]
fn every_small_proof_equals_the_judges() {
    const SIZES: u64 = 300;
    let subtrees = Subtrees::new((0..SIZES).map(|i| leaf_hash(&leaf(i))).collect());
    let (mut judge, mut frontier, mut roots) = (Judge::new(), Frontier::new(), vec![EMPTY_ROOT]);
    for size in 1..=SIZES {
        let newest = leaf(size - 1);
        frontier.push(leaf_hash(&newest));
        judge.push(newest);
        let root = frontier.root();
        assert_eq!(root[..], judge.root().as_bytes()[..]);
        assert_eq!(root_at(size, |s| subtrees.get(s)), Ok(root));
        let stored = Frontier::from_nodes(frontier.size(), frontier.nodes().to_vec());
        assert_eq!(stored.as_ref(), Ok(&frontier));

        for index in 0..size {
            let path = inclusion_path(index, size, |s| subtrees.get(s)).unwrap();
            let expected = judge.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(path.concat(), expected.as_bytes(), "leaf {index} of {size}");
            let leaf = leaf_hash(&leaf(index));
            assert_eq!(verify_inclusion(&leaf, index, size, &path, &root), Ok(()));
        }
        for size1 in 1..size {
            let path = consistency_path(size1, size, |s| subtrees.get(s)).unwrap();
            let expected = judge.prove_consistency(usize::try_from(size - size1).unwrap());
            assert_eq!(path.concat(), expected.as_bytes(), "{size1} in {size}");
            let root1 = &roots[usize::try_from(size1).unwrap()];
            assert_eq!(verify_consistency(size1, root1, size, &root, &path), Ok(()));
        }
        roots.push(root);
    }
}

/// A log far too large to build: all leaves are alike except one.
struct Sparse {
    odd_one: u64,
}

impl Sparse {
    fn leaf(&self, index: u64) -> &'static [u8] {
        if index == self.odd_one { b"odd" } else { b"even" }
    }

    fn get(&self, subtree: Subtree) -> Hash {
        let Subtree { level, index } = subtree;
        let inside = self.odd_one.checked_shr(u32::from(level)) == Some(index);
        let mut hash = leaf_hash(if inside { b"odd" } else { b"even" });
        let mut alike = leaf_hash(b"even");
        for height in 0..level {
            let odd_is_right = inside && self.odd_one >> height & 1 == 1;
            hash = if odd_is_right { node_hash(&alike, &hash) } else { node_hash(&hash, &alike) };
            alike = node_hash(&alike, &alike);
        }
        hash
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Sizes up to the limit: the judge accepts our proofs, and so do we.
    #[test]
    fn huge_logs(
        size in (0..63_u32, any::<u64>()).prop_map(|(shift, any)| (any & MAX_SIZE) >> shift)
            .prop_filter("two leaves", |size| *size > 1),
        place in any::<u64>(),
        older in any::<u64>(),
    ) {
        let (index, size1) = (place % size, 1 + older % (size - 1));
        let log = Sparse { odd_one: index };
        let fetch = |subtree| Ok::<_, Infallible>(log.get(subtree));
        let root = root_at(size, fetch).unwrap();
        let judged_root = RootHash::<Sha256>::new(root.into(), size);

        let path = inclusion_path(index, size, fetch).unwrap();
        prop_assert!(path.len() <= 63);
        let odd = leaf_hash(b"odd");
        prop_assert_eq!(verify_inclusion(&odd, index, size, &path, &root), Ok(()));
        let proof = InclusionProof::<Sha256>::from_digests(
            path.iter().map(Into::into).collect::<Vec<_>>());
        prop_assert!(judged_root.verify_inclusion(&log.leaf(index), index, &proof).is_ok());

        let root1 = root_at(size1, fetch).unwrap();
        let path = consistency_path(size1, size, fetch).unwrap();
        prop_assert!(path.len() <= 64);
        prop_assert_eq!(verify_consistency(size1, &root1, size, &root, &path), Ok(()));
        let proof = ConsistencyProof::<Sha256>::from_digests(
            path.iter().map(Into::into).collect::<Vec<_>>());
        let judged_root1 = RootHash::<Sha256>::new(root1.into(), size1);
        prop_assert!(judged_root.verify_consistency(&judged_root1, &proof).is_ok());
    }

    /// Whatever the input, verification returns, and never accepts another root.
    #[test]
    fn hostile_arguments(
        numbers in any::<[u64; 2]>(),
        small in any::<[u8; 2]>(),
        path in proptest::collection::vec(any::<Hash>(), 0..70),
        root in any::<Hash>(),
    ) {
        for [a, b] in [numbers, small.map(u64::from), [u64::MAX, u64::MAX], [0, u64::MAX]] {
            prop_assert!(verify_inclusion(&[7; 32], a, b, &path, &root).is_err());
            let consistent = verify_consistency(a, &[7; 32], b, &root, &path);
            prop_assert!(consistent.is_err());
            // A first tree that is one complete subtree goes into the second root unchecked, so
            // that only the comparison of that root refuses.
            let unchecked = a == b || a.is_power_of_two();
            prop_assert!(root_from_consistency(a, &root, b, &path).is_err() || unchecked);
            let fetch = |_| Err::<Hash, _>("no hash");
            prop_assert!(inclusion_path(a, b, fetch).is_err() || b == 1);
            prop_assert!(consistency_path(a, b, fetch).is_err() || a == b);
        }
    }
}

/// No bit of anything that a proof consists of can be changed, and no hash added, dropped or moved.
#[test]
fn tampered_inclusion_is_refused() {
    let leaves: Vec<Hash> = (0..21).map(|i| leaf_hash(&leaf(i))).collect();
    let subtrees = Subtrees::new(leaves.clone());
    let root = |size| root_at(size, |s| subtrees.get(s)).unwrap();
    for (index, size) in [(0, 1), (0, 2), (3, 4), (4, 5), (6, 7), (13, 14), (20, 21), (2, 21)] {
        let leaf = leaves[usize::try_from(index).unwrap()];
        let path = inclusion_path(index, size, |s| subtrees.get(s)).unwrap();
        let check = |leaf: &Hash, path: &[Hash], root: &Hash| {
            verify_inclusion(leaf, index, size, path, root)
        };
        for flipped in flips(&leaf) {
            assert_eq!(check(&flipped, &path, &root(size)), Err(ProofError::RootMismatch));
        }
        for root in flips(&root(size)) {
            assert_eq!(check(&leaf, &path, &root), Err(ProofError::RootMismatch));
        }
        for path in changed_paths(&path) {
            assert!(check(&leaf, &path, &root(size)).is_err());
        }
        for other in 0..40 {
            let elsewhere = verify_inclusion(&leaf, other, size, &path, &root(size));
            assert_eq!(elsewhere.is_ok(), other == index);
        }
        assert_eq!(
            root_from_inclusion(&leaf, index, size, &[&path[..], &[leaf]].concat()),
            Err(ProofError::PathTooLong)
        );
        if let Some((_, short)) = path.split_last() {
            assert_eq!(check(&leaf, short, &root(size)), Err(ProofError::PathTooShort));
        }
    }
}

/// The same of consistency.
#[test]
fn tampered_consistency_is_refused() {
    let subtrees = Subtrees::new((0..21).map(|i| leaf_hash(&leaf(i))).collect());
    let root = |size| root_at(size, |s| subtrees.get(s)).unwrap();
    for (size1, size2) in [(1, 2), (2, 3), (3, 4), (4, 7), (6, 7), (7, 21), (8, 21), (20, 21)] {
        let path = consistency_path(size1, size2, |s| subtrees.get(s)).unwrap();
        let (root1, root2) = (root(size1), root(size2));
        let check = |root1: &Hash, path: &[Hash], root2: &Hash| {
            verify_consistency(size1, root1, size2, root2, path)
        };
        assert_eq!(check(&root1, &path, &root2), Ok(()));
        for root1 in flips(&root1) {
            assert!(check(&root1, &path, &root2).is_err());
        }
        for root2 in flips(&root2) {
            assert_eq!(check(&root1, &path, &root2), Err(ProofError::SecondRootMismatch));
        }
        for path in changed_paths(&path) {
            assert!(check(&root1, &path, &root2).is_err());
        }
        let (_, short) = path.split_last().unwrap();
        assert_eq!(check(&root1, short, &root2), Err(ProofError::PathTooShort));
        assert_eq!(
            check(&root1, &[&path[..], &[root1]].concat(), &root2),
            Err(ProofError::PathTooLong)
        );
    }
}

/// A path that leads to the second root but not to the first must not pass: the old tree could then
/// be any.
#[test]
fn the_first_root_is_checked() {
    let leaves: Vec<Hash> = (0..7).map(|i| leaf_hash(&leaf(i))).collect();
    let subtrees = Subtrees::new(leaves.clone());
    let root2 = root_at(7, |s| subtrees.get(s)).unwrap();
    let path = consistency_path(3, 7, |s| subtrees.get(s)).unwrap();
    assert_eq!(
        verify_consistency(3, &leaf_hash(b"invented"), 7, &root2, &path),
        Err(ProofError::FirstRootMismatch)
    );
}

#[test]
fn bad_arguments_are_named() {
    let never = |subtree: Subtree| -> Result<Hash, Subtree> { Err(subtree) };
    let too_large = MAX_SIZE + 1;
    for (index, size, error) in [
        (0, 0, ArgumentError::IndexOutOfRange { index: 0, size: 0 }),
        (5, 5, ArgumentError::IndexOutOfRange { index: 5, size: 5 }),
        (u64::MAX, 5, ArgumentError::IndexOutOfRange { index: u64::MAX, size: 5 }),
        (0, too_large, ArgumentError::SizeTooLarge { size: too_large }),
    ] {
        assert_eq!(inclusion_path(index, size, never), Err(PathError::Arguments(error)));
        let verified = verify_inclusion(&[0; 32], index, size, &[], &[0; 32]);
        assert_eq!(verified, Err(ProofError::Arguments(error)));
    }
    for (size1, size2, error) in [
        (0, 0, ArgumentError::FirstSizeZero),
        (0, 5, ArgumentError::FirstSizeZero),
        (6, 5, ArgumentError::SizesReversed { size1: 6, size2: 5 }),
        (1, too_large, ArgumentError::SizeTooLarge { size: too_large }),
    ] {
        assert_eq!(consistency_path(size1, size2, never), Err(PathError::Arguments(error)));
        let verified = verify_consistency(size1, &[0; 32], size2, &[0; 32], &[]);
        assert_eq!(verified, Err(ProofError::Arguments(error)));
    }
    // Equal sizes: the empty path and equal roots, nothing else.
    assert_eq!(verify_consistency(4, &[1; 32], 4, &[1; 32], &[]), Ok(()));
    assert_eq!(
        verify_consistency(4, &[1; 32], 4, &[2; 32], &[]),
        Err(ProofError::SecondRootMismatch)
    );
    assert_eq!(
        verify_consistency(4, &[1; 32], 4, &[1; 32], &[[1; 32]]),
        Err(ProofError::PathTooLong)
    );
    // The caller's own error comes back.
    let asked = Subtree { level: 0, index: 1 };
    assert_eq!(inclusion_path(0, 2, never), Err(PathError::Fetch(asked)));
    assert_eq!(consistency_path(1, 2, never), Err(PathError::Fetch(asked)));
    assert_eq!(root_at(too_large, never).ok(), None);
    assert_eq!(root_at(0, never), Ok(EMPTY_ROOT));
}

#[test]
fn frontiers_are_checked() {
    assert_eq!(Frontier::from_nodes(0, vec![]), Ok(Frontier::new()));
    assert_eq!(
        Frontier::from_nodes(5, vec![[0; 32]]),
        Err(FrontierError::WrongCount { size: 5, expected: 2, found: 1 })
    );
    assert_eq!(
        Frontier::from_nodes(0, vec![[0; 32]]),
        Err(FrontierError::WrongCount { size: 0, expected: 0, found: 1 })
    );
    let too_large = ArgumentError::SizeTooLarge { size: u64::MAX };
    assert_eq!(
        Frontier::from_nodes(u64::MAX, vec![[0; 32]; 64]),
        Err(FrontierError::Size(too_large))
    );
}

#[test]
fn ends_of_subtrees() {
    let end = |level, index| Subtree { level, index }.end();
    assert_eq!(end(0, 0), Some(1));
    assert_eq!(end(3, 2), Some(24));
    assert_eq!(end(0, MAX_SIZE - 1), Some(MAX_SIZE));
    for (level, index) in [(0, MAX_SIZE), (0, u64::MAX), (63, 0), (62, 1), (64, 0), (255, 7)] {
        assert_eq!(end(level, index), None, "{level} {index}");
    }
}

/// The hash with each of its 256 bits flipped.
fn flips(hash: &Hash) -> impl Iterator<Item = Hash> {
    let hash = *hash;
    (0..256).map(move |bit| {
        let mut flipped = hash;
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// The path with each bit flipped, each hash dropped, doubled, or swapped with its neighbour.
fn changed_paths(path: &[Hash]) -> Vec<Vec<Hash>> {
    let mut changed = Vec::new();
    for place in 0..path.len() {
        for flipped in flips(&path[place]) {
            let mut path = path.to_vec();
            path[place] = flipped;
            changed.push(path);
        }
        let mut dropped = path.to_vec();
        dropped.remove(place);
        changed.push(dropped);
        let mut doubled = path.to_vec();
        doubled.insert(place, path[place]);
        changed.push(doubled);
        if place > 0 && path[place] != path[place - 1] {
            let mut swapped = path.to_vec();
            swapped.swap(place, place - 1);
            changed.push(swapped);
        }
    }
    changed
}
