//! Proofs that were changed, cut, or made up.

use ledger_merkle::Hash;
use ledger_merkle::trie::{
    EMPTY_ROOT, Outcome, Proof, ProofError, ProofLeaf, ProofStep, Trie, record_hash,
};
use proptest::prelude::*;

use crate::model::{Map, Numbers, changes, sha};

fn flip(hash: &Hash, bit: usize) -> Hash {
    let mut flipped = *hash;
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// The proof with each bit of each field flipped, each step dropped, doubled and swapped, the leaf
/// taken away.
fn changed(proof: &Proof) -> Vec<Proof> {
    let mut all = Vec::new();
    let mut change = |edit: &dyn Fn(&mut Proof)| {
        let mut proof = proof.clone();
        edit(&mut proof);
        all.push(proof);
    };
    change(&|proof| proof.leaf = None);
    if let Some(leaf) = proof.leaf {
        for bit in 0..256 {
            let (key, record_hash) = (flip(&leaf.key, bit), flip(&leaf.record_hash, bit));
            change(&|proof| proof.leaf = Some(ProofLeaf { key, ..leaf }));
            change(&|proof| proof.leaf = Some(ProofLeaf { record_hash, ..leaf }));
        }
    }
    for place in 0..proof.path.len() {
        let step = proof.path[place];
        for bit in 0..256 {
            change(&|proof| proof.path[place].sibling = flip(&step.sibling, bit));
        }
        for bit in 0..8 {
            change(&|proof| proof.path[place].bit ^= 1 << bit);
        }
        change(&|proof| proof.path = [&proof.path[..place], &proof.path[place + 1..]].concat());
        change(&|proof| proof.path.insert(place, step));
        if place > 0 {
            change(&|proof| proof.path.swap(place, place - 1));
        }
    }
    all
}

/// Small maps, their keys, and keys that they do not have.
fn examples() -> Vec<(Map, Vec<Hash>)> {
    let mut numbers = Numbers(11);
    [0, 1, 2, 3, 20]
        .into_iter()
        .map(|size| {
            let map: Map = (0..size).map(|_| (numbers.key(), vec![1, 2, 3])).collect();
            let mut keys: Vec<Hash> = map.keys().take(3).copied().collect();
            keys.extend(keys.clone().iter().map(|key| flip(key, 255)));
            keys.extend([numbers.key(), numbers.key(), [0; 32], [0xff; 32]]);
            (map, keys)
        })
        .collect()
}

/// Nothing that differs from the proof in any bit is accepted in its place.
#[test]
fn changed_proofs_are_refused() {
    for (map, keys) in examples() {
        let trie = Trie::from_sorted(changes(&map)).unwrap();
        let root = trie.tip().root();
        for key in keys {
            let proof = trie.prove(trie.tip(), &key).unwrap();
            assert!(proof.verify(&root, &key).is_ok());
            for changed in changed(&proof) {
                if changed != proof {
                    assert!(changed.verify(&root, &key).is_err(), "{changed:?}");
                }
            }
            for bit in 0..256 {
                let refused = proof.verify(&flip(&root, bit), &key);
                assert_eq!(refused, Err(ProofError::RootMismatch));
            }
        }
    }
}

/// A proof that is shown for another key is refused, or says what is true of that key.
#[test]
fn borrowed_proofs_say_nothing_false() {
    for (map, keys) in examples() {
        let trie = Trie::from_sorted(changes(&map)).unwrap();
        let root = trie.tip().root();
        for key in &keys {
            let proof = trie.prove(trie.tip(), key).unwrap();
            let near = (0..256).map(|bit| flip(key, bit));
            for other in keys.iter().copied().chain(near).chain(map.keys().copied()) {
                let truth = match map.get(&other) {
                    Some(record) => Outcome::Present { record_hash: record_hash(record) },
                    None => Outcome::Absent,
                };
                let said = proof.verify(&root, &other);
                assert!(said.is_err() || said == Ok(truth), "{said:?} is not {truth:?}");
            }
        }
    }
}

/// A leaf on its own, and its hash.
fn leaf(key: Hash) -> (ProofLeaf, Hash) {
    let record_hash = record_hash(b"record");
    (ProofLeaf { key, record_hash }, sha(&[&[0x10], &key, &record_hash]))
}

fn node(bit: u8, left: &Hash, right: &Hash) -> Hash {
    sha(&[&[0x11, bit], left, right])
}

/// A root whose two leaves stand on the wrong sides: the search for either key meets the other,
/// which would prove the absence of a key that the map has.
#[test]
fn leaves_on_the_wrong_side_prove_nothing() {
    let (low, low_hash) = leaf([0x00; 32]);
    let (high, high_hash) = leaf([0x80; 32]);
    let root = node(0, &high_hash, &low_hash);
    for (searched, met, sibling) in [(low, high, low_hash), (high, low, high_hash)] {
        let proof = Proof { leaf: Some(met), path: vec![ProofStep { bit: 0, sibling }] };
        assert_eq!(proof.verify(&root, &searched.key), Err(ProofError::LeafOffPath));
        let proof = Proof { leaf: Some(searched), path: vec![ProofStep { bit: 0, sibling }] };
        assert_eq!(proof.verify(&root, &searched.key), Err(ProofError::RootMismatch));
    }
}

/// A root whose nodes stand in an order that no map has.
#[test]
fn bits_that_do_not_rise_prove_nothing() {
    let (shown, shown_hash) = leaf([0; 32]);
    let sibling = [9; 32];
    for (upper, lower) in [(3, 3), (7, 3), (255, 0)] {
        let root = node(upper, &node(lower, &shown_hash, &sibling), &sibling);
        let steps = [upper, lower].map(|bit| ProofStep { bit, sibling });
        let proof = Proof { leaf: Some(shown), path: steps.to_vec() };
        assert_eq!(proof.verify(&root, &shown.key), Err(ProofError::BitsNotRising));
    }
    let root = node(3, &node(7, &shown_hash, &sibling), &sibling);
    let proof =
        Proof { leaf: Some(shown), path: [3, 7].map(|bit| ProofStep { bit, sibling }).into() };
    assert!(proof.verify(&root, &shown.key).is_ok());
}

/// The zero root is that of the empty map and of nothing else; a proof without a leaf belongs to it
/// and to nothing else.
#[test]
fn proofs_of_the_empty_map() {
    let nothing = Proof::default();
    assert_eq!(nothing.verify(&EMPTY_ROOT, &[5; 32]), Ok(Outcome::Absent));
    assert_eq!(nothing.verify(&[1; 32], &[5; 32]), Err(ProofError::RootMismatch));
    let steps = vec![ProofStep { bit: 0, sibling: [0; 32] }];
    let without_leaf = Proof { leaf: None, path: steps };
    assert_eq!(without_leaf.verify(&EMPTY_ROOT, &[5; 32]), Err(ProofError::StepsWithoutLeaf));
    let (shown, hash) = leaf([5; 32]);
    let alone = Proof { leaf: Some(shown), path: vec![] };
    assert_eq!(alone.verify(&EMPTY_ROOT, &[5; 32]), Err(ProofError::RootMismatch));
    let present = Outcome::Present { record_hash: shown.record_hash };
    assert_eq!(alone.verify(&hash, &[5; 32]), Ok(present));
    assert_eq!(alone.verify(&hash, &[6; 32]), Ok(Outcome::Absent));
}

/// Nodes and leaves of the log are none of the map: the same two hashes under the log's prefixes.
#[test]
fn trees_do_not_mix() {
    let (shown, _) = leaf([5; 32]);
    let as_log_node = sha(&[&[0x01], &shown.key, &shown.record_hash]);
    let as_log_leaf = sha(&[&[0x00], &shown.key, &shown.record_hash]);
    let proof = Proof { leaf: Some(shown), path: vec![] };
    for root in [as_log_node, as_log_leaf] {
        assert_eq!(proof.verify(&root, &shown.key), Err(ProofError::RootMismatch));
    }
}

proptest! {
    /// Whatever is sent, verification returns, and nothing made up is accepted.
    #[test]
    fn made_up_proofs(
        leaf in any::<Option<[Hash; 2]>>(),
        bits in proptest::collection::vec(any::<u8>(), 0..300),
        rising in any::<bool>(),
        sibling in any::<Hash>(),
        root in any::<Hash>(),
    ) {
        let mut bits = bits;
        if rising {
            bits.sort_unstable();
            bits.dedup();
        }
        let path = bits.into_iter().map(|bit| ProofStep { bit, sibling }).collect();
        let leaf = leaf.map(|[key, record_hash]| ProofLeaf { key, record_hash });
        let proof = Proof { leaf, path };
        let key = leaf.map_or(sibling, |leaf| leaf.key);
        prop_assert!(proof.verify(&root, &key).is_err());
    }
}
