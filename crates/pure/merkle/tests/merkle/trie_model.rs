//! Random histories of the map against its definition.

use std::collections::VecDeque;

use ledger_merkle::Hash;
use ledger_merkle::trie::{Outcome, Retired, Trie, TrieError, Version, record_hash};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::{Map, Numbers, changes, root, search, sha};

/// Keys that are hard on a trie, next to random ones: prefixes of up to 31 bytes in common, one bit
/// of difference, runs of zeros and ones.
fn key() -> impl Strategy<Value = Hash> {
    let base = prop_oneof![Just([0; 32]), Just([0xff; 32]), Just(sha(&[b"base"]))];
    prop_oneof![
        3 => (0..30_u8).prop_map(|number| sha(&[&[number]])),
        2 => (base.clone(), 0..32_usize, 0..4_u8).prop_map(|(mut key, place, value)| {
            key[place] = value;
            key
        }),
        2 => (base.clone(), 0..12_u8).prop_map(|(mut key, last)| {
            key[31] ^= last;
            key
        }),
        2 => (base, 0..256_usize).prop_map(|(mut key, bit)| {
            key[bit / 8] ^= 0x80 >> (bit % 8);
            key
        }),
        1 => any::<u8>().prop_map(|byte| [byte; 32]),
    ]
}

fn block(keys: usize) -> impl Strategy<Value = Map> {
    proptest::collection::btree_map(key(), vec(any::<u8>(), 0..3), 0..keys)
}

/// One step of a history.
#[derive(Clone, Debug)]
struct Step {
    block: Map,
    /// Another proposal for the same height.
    rival: Map,
    /// Whether the rival is the one that is decided.
    rival_wins: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (block(9), block(5), any::<bool>()).prop_map(|(block, rival, rival_wins)| Step {
        block,
        rival,
        rival_wins,
    })
}

/// A version that should be readable, with what it should hold.
struct Held {
    version: Version,
    map: Map,
    /// What frees it; the newest has none yet.
    retired: Option<Retired>,
}

fn with(map: &Map, block: &Map) -> Map {
    map.iter().chain(block).map(|(key, record)| (*key, record.clone())).collect()
}

fn check(trie: &Trie, held: &Held, keys: &[Hash]) {
    let Held { version, map, .. } = held;
    assert_eq!(version.root(), root(map));
    assert_eq!(version.len(), u64::try_from(map.len()).unwrap());
    trie.audit(*version).unwrap();
    let records = trie.records(*version).unwrap();
    assert_eq!(records.len(), map.len());
    assert!(records.eq(map.iter().map(|(key, record)| (key, record.as_slice()))));
    for key in keys {
        let record = map.get(key).map(Vec::as_slice);
        assert_eq!(trie.get(*version, key), Ok(record));
        let proof = trie.prove(*version, key).unwrap();
        let expected = match record {
            Some(record) => Outcome::Present { record_hash: record_hash(record) },
            None => Outcome::Absent,
        };
        assert_eq!(proof.verify(&version.root(), key), Ok(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Each version in the window stays as it was while later ones come, rivals are dropped and
    /// slots are used again; each version behind the window is refused.
    #[test]
    fn histories(steps in vec(step(), 1..14), window in 1..6_usize, absent in vec(key(), 3)) {
        let mut trie = Trie::new();
        let mut held = VecDeque::from([Held { version: trie.tip(), map: Map::new(), retired: None }]);
        let mut gone = Vec::new();
        let mut keys = absent;
        for Step { block, rival, rival_wins } in steps {
            keys.extend(block.keys().chain(rival.keys()).take(4));
            let newest = held.back_mut().unwrap();
            let (map, rival_map) = (with(&newest.map, &block), with(&newest.map, &rival));
            let delta = trie.propose(newest.version, changes(&block)).unwrap();
            let rival_delta = trie.propose(newest.version, changes(&rival)).unwrap();
            prop_assert_eq!(delta.root(), root(&map));
            prop_assert_eq!(rival_delta.root(), root(&rival_map));
            prop_assert_eq!(delta.base(), newest.version);
            prop_assert!(delta.changes().eq(block.iter().map(|(key, record)| (key, &record[..]))));

            let (delta, map, dropped) = if rival_wins {
                (rival_delta, rival_map, delta)
            } else {
                (delta, map, rival_delta)
            };
            let len = delta.len();
            let (version, retired) = trie.commit(delta).unwrap();
            prop_assert_eq!(trie.commit(dropped).map(|_| ()), Err(TrieError::Stale));
            prop_assert_eq!(retired.last_user(), newest.version);
            prop_assert_eq!((version, version.len()), (trie.tip(), len));
            newest.retired = Some(retired);
            held.push_back(Held { version, map, retired: None });

            while held.len() > window {
                let oldest = held.pop_front().unwrap();
                trie.free(oldest.retired.unwrap()).unwrap();
                gone.push(oldest.version);
            }
            prop_assert_eq!(trie.oldest(), held[0].version);
            for version in &held {
                check(&trie, version, &keys);
            }
            // What would have followed an older version can still be worked out.
            let old = &held[0];
            let delta = trie.propose(old.version, changes(&block)).unwrap();
            prop_assert_eq!(delta.root(), root(&with(&old.map, &block)));
            if held.len() > 1 {
                prop_assert_eq!(trie.commit(delta).map(|_| ()), Err(TrieError::Stale));
            }
            for version in &gone {
                prop_assert_eq!(trie.get(*version, &keys[0]), Err(TrieError::Gone));
                prop_assert_eq!(trie.prove(*version, &keys[0]), Err(TrieError::Gone));
                prop_assert_eq!(trie.audit(*version), Err(TrieError::Gone));
                prop_assert!(trie.records(*version).is_err());
                prop_assert!(trie.propose(*version, Vec::new()).is_err());
            }
        }
    }

    /// Proofs are what the definition says, step by step, and the root does not depend on how the
    /// map came about.
    #[test]
    fn one_root_for_one_content(map in block(40), absent in vec(key(), 10), seed in any::<u64>()) {
        let expected = root(&map);
        let built = Trie::from_sorted(changes(&map)).unwrap();
        prop_assert_eq!(built.tip().root(), expected);
        prop_assert_eq!(built.tip().len(), u64::try_from(map.len()).unwrap());
        built.audit(built.tip()).unwrap();
        prop_assert_eq!(built.usage().nodes, map.len().saturating_sub(1));

        let mut order = changes(&map);
        Numbers(seed).shuffle(&mut order);
        let mut one_by_one = Trie::new();
        for (key, record) in order {
            // First some other record, so that updates are part of it.
            for record in [Box::from([7]), record] {
                let delta = one_by_one.propose(one_by_one.tip(), vec![(key, record)]).unwrap();
                let (_, retired) = one_by_one.commit(delta).unwrap();
                one_by_one.free(retired).unwrap();
            }
        }
        prop_assert_eq!(one_by_one.tip().root(), expected);
        one_by_one.audit(one_by_one.tip()).unwrap();

        for key in map.keys().chain(&absent) {
            let proof = built.prove(built.tip(), key).unwrap();
            prop_assert_eq!(&one_by_one.prove(one_by_one.tip(), key).unwrap(), &proof);
            let shown = proof.leaf.map(|leaf| {
                let path = proof.path.iter().map(|step| (step.bit, step.sibling)).collect();
                (path, (leaf.key, leaf.record_hash))
            });
            prop_assert_eq!(shown, search(&map, key));
        }
    }
}

/// Blocks that are large against the map and small against it, with keys that part early and keys
/// that share long prefixes.
#[test]
fn large_blocks() {
    let mut numbers = Numbers(5);
    let mut trie = Trie::new();
    let mut map = Map::new();
    for size in [1000, 1, 200, 40, 33, 32, 700, 2] {
        let mut block = Map::new();
        for number in 0..size {
            let mut key = numbers.key();
            match number % 4 {
                0 if !map.is_empty() => key = *map.keys().nth(numbers.below(map.len())).unwrap(),
                1 => key[..31].fill(0),
                2 => key[..2].fill(0x77),
                _ => {}
            }
            block.insert(key, numbers.next().to_be_bytes().to_vec());
        }
        map.extend(block.clone());
        let delta = trie.propose(trie.tip(), changes(&block)).unwrap();
        let (version, _kept_for_ever) = trie.commit(delta).unwrap();
        assert_eq!(version.root(), root(&map));
        trie.audit(version).unwrap();
    }
    assert_eq!(Trie::from_sorted(changes(&map)).unwrap().tip().root(), root(&map));
}

/// The deepest map there can be: keys that part at each of the 256 bits, one after the other.
#[test]
fn deepest_map() {
    let keys = (0..256).map(|bit| {
        let mut key = [0; 32];
        key[bit / 8] = 0x80 >> (bit % 8);
        key
    });
    let map: Map = keys.chain([[0; 32]]).map(|key| (key, vec![1])).collect();
    let mut trie = Trie::from_sorted(changes(&map)).unwrap();
    let before = trie.tip();
    assert_eq!(before.root(), root(&map));
    for changed in [1, 20, 257] {
        let block: Map = map.keys().take(changed).map(|key| (*key, vec![2])).collect();
        let delta = trie.propose(before, changes(&block)).unwrap();
        assert_eq!(delta.root(), root(&with(&map, &block)));
    }
    let all: Map = map.keys().map(|key| (*key, vec![3])).collect();
    let (version, retired) = trie.commit(trie.propose(before, changes(&all)).unwrap()).unwrap();
    trie.audit(before).unwrap();
    trie.audit(version).unwrap();
    trie.free(retired).unwrap();
    let proof = trie.prove(version, &[0; 32]).unwrap();
    assert!(proof.path.iter().map(|step| step.bit).eq(0..=255));
    let present = Outcome::Present { record_hash: record_hash(&[3]) };
    assert_eq!(proof.verify(&version.root(), &[0; 32]), Ok(present));
}

/// Roots that were computed by another program from the definition alone: a change of format cannot
/// go unseen.
#[test]
fn frozen_roots() {
    for (keys, expected) in [
        (0, "0000000000000000000000000000000000000000000000000000000000000000"),
        (1, "cfd0169bfe7efc11d858a8e81ecebccf49c2024e55700ec4a5e2235264aa6524"),
        (2, "c3359a2e6284f138fd508063c5c1df623cb8e08b6a099f496fe5ea97a4dbcf6d"),
        (3, "d97e34199728e6711cb2bcacfce630558d40e2e5a7e4e6031de33a4278a51780"),
        (5, "c97fff27548426ea37ed3df9022ef860821a2c100b1c891e02423e93b7c0a2d1"),
        (100, "9459eb23aa77efbecd64a3ddb054a5e338cc006ecdb555f21ac94967736b9178"),
    ] {
        let map: Map = (0..keys)
            .map(|n| (sha(&[format!("key {n}").as_bytes()]), format!("record {n}").into_bytes()))
            .collect();
        assert_eq!(hex(&Trie::from_sorted(changes(&map)).unwrap().tip().root()), expected);
    }
    let byte = |byte| {
        let mut key = [0; 32];
        key[31] = byte;
        (key, Vec::new())
    };
    let map: Map = (0..=255).map(byte).collect();
    assert_eq!(
        hex(&Trie::from_sorted(changes(&map)).unwrap().tip().root()),
        "243b594a75846d45e960a1ee80a6bfb5a1872e89229c36a02cc51c8992cc74f8"
    );
}

fn hex(hash: &Hash) -> String {
    hash.map(|byte| format!("{byte:02x}")).concat()
}
