//! The map as its definition says, slow and without sharing a line with the crate: keys are strings
//! of zeros and ones, subtrees are computed anew each time.

use std::collections::BTreeMap;

use ledger_merkle::Hash;
use sha2::{Digest, Sha256};

/// Key to record.
pub(crate) type Map = BTreeMap<Hash, Vec<u8>>;

/// A search: bit and sibling hash from the root down, then key and record hash of the leaf.
pub(crate) type Search = (Vec<(u8, Hash)>, (Hash, Hash));

pub(crate) fn sha(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

fn written_out(key: &Hash) -> String {
    key.map(|byte| format!("{byte:08b}")).concat()
}

/// Some keys and records, with the keys written out.
type Part<'a> = Vec<(String, &'a Hash, &'a Vec<u8>)>;

fn whole(map: &Map) -> Part<'_> {
    map.iter().map(|(key, record)| (written_out(key), key, record)).collect()
}

/// The first bit at which the keys of a part are not all alike, and the two parts on its sides.
fn split<'a>(part: &Part<'a>) -> Option<(u8, Part<'a>, Part<'a>)> {
    let mut alike = part[0].0.as_str();
    for (key, ..) in part {
        let common = alike.bytes().zip(key.bytes()).take_while(|(one, other)| one == other);
        alike = &alike[..common.count()];
    }
    let bit = alike.len();
    let side = |wanted: char| {
        part.iter().filter(|(key, ..)| key[bit..].starts_with(wanted)).cloned().collect()
    };
    (bit < 256).then(|| (u8::try_from(bit).unwrap(), side('0'), side('1')))
}

fn part_root(part: &Part<'_>) -> Hash {
    match (part.as_slice(), part.first().and_then(|_| split(part))) {
        ([], _) => [0; 32],
        (_, Some((bit, left, right))) => {
            sha(&[&[0x11, bit], &part_root(&left), &part_root(&right)])
        }
        ([(_, key, record), ..], None) => sha(&[&[0x10], &key[..], &sha(&[record])]),
    }
}

/// The root of a map.
pub(crate) fn root(map: &Map) -> Hash {
    part_root(&whole(map))
}

/// The search for a key, `None` in the empty map.
pub(crate) fn search(map: &Map, key: &Hash) -> Option<Search> {
    let wanted = written_out(key);
    let mut part = whole(map);
    let mut path = Vec::new();
    part.first()?;
    while let Some((bit, left, right)) = split(&part) {
        let (other, way) = match wanted.as_bytes()[usize::from(bit)] {
            b'0' => (right, left),
            _ => (left, right),
        };
        path.push((bit, part_root(&other)));
        part = way;
    }
    let (_, leaf, record) = &part[0];
    Some((path, (**leaf, sha(&[record]))))
}

/// Numbers that look random (splitmix64), the same in each run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn key(&mut self) -> Hash {
        sha(&[&self.next().to_be_bytes()])
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

/// Changes as the trie takes them.
pub(crate) fn changes(map: &Map) -> Vec<(Hash, Box<[u8]>)> {
    map.iter().map(|(key, record)| (*key, record.clone().into())).collect()
}
