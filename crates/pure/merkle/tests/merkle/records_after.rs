//! Reading a version piece by piece gives what reading it whole gives.

use ledger_merkle::Hash;
use ledger_merkle::trie::Trie;
use proptest::prelude::*;

fn key(bytes: [u8; 2]) -> Hash {
    // Few bits differ, so that keys share long prefixes and short ones.
    let mut key = [0; 32];
    key[0] = bytes[0];
    key[31] = bytes[1];
    key
}

proptest! {
    #[test]
    fn the_records_above_any_key(keys in prop::collection::btree_set(any::<[u8; 2]>(), 0..60), at in any::<[u8; 2]>()) {
        let keys: Vec<Hash> = keys.into_iter().map(key).collect();
        let trie = Trie::from_sorted(keys.iter().map(|key| (*key, Box::from(&key[..])))).unwrap();
        let at = key(at);
        let found: Vec<Hash> = trie.records_after(trie.tip(), &at).unwrap().map(|(key, _)| *key).collect();
        let expected: Vec<Hash> = keys.iter().filter(|key| **key > at).copied().collect();
        prop_assert_eq!(found, expected);
    }
}
