//! Keys of the one sled tree: a letter, then big-endian numbers, so that neighbours in time are neighbours on disk.
//!
//! | letter | numbers | value |
//! | --- | --- | --- |
//! | `B` | height, page | entries of a block |
//! | `F` | first leaf | height of the block that begins with that leaf |
//! | `H` | height | [`crate::blocks::BlockRow`] |
//! | `D` | height | [`crate::blocks::DerivedRow`] |
//! | `L` | height, page | timelines that each entry is on |
//! | `R` | height, page | records that a block changed |
//! | `W` | height, page | what a block adds to the window of known entries |
//! | `T` | level, index | complete tiles of the log |
//! | `I` | run, page | sorted entry ids |
//! | `J` | run, page | first id of each page of a run |
//! | `S` | generation, page | records of a snapshot |
//! | `V` | generation, page | window of a snapshot |
//! | `M` | name | single facts |
//!
//! Only `B`, `F` and `H` are the ledger; all else can be rebuilt from them.

/// Everything that `reindex` throws away and makes again.
pub(crate) const DERIVED: [u8; 9] = *b"DLRWTIJSV";

/// A letter and one number.
pub(crate) fn one(letter: u8, number: u64) -> [u8; 9] {
    let mut key = [letter; 9];
    for (place, byte) in key.iter_mut().skip(1).zip(number.to_be_bytes()) {
        *place = byte;
    }
    key
}

/// A letter, a number and a page.
pub(crate) fn two(letter: u8, number: u64, page: u32) -> [u8; 13] {
    let mut key = [letter; 13];
    let rest = number.to_be_bytes().into_iter().chain(page.to_be_bytes());
    for (place, byte) in key.iter_mut().skip(1).zip(rest) {
        *place = byte;
    }
    key
}

/// The first number of a key.
pub(crate) fn number(key: &[u8]) -> Option<u64> {
    key.get(1..9)?.try_into().ok().map(u64::from_be_bytes)
}

/// Key of a tile.
pub(crate) fn tile(level: u8, index: u64) -> [u8; 10] {
    let mut key = [b'T'; 10];
    let rest = [level].into_iter().chain(index.to_be_bytes());
    for (place, byte) in key.iter_mut().skip(1).zip(rest) {
        *place = byte;
    }
    key
}

/// Key of a single fact.
pub(crate) fn meta(name: &str) -> Vec<u8> {
    [b"M", name.as_bytes()].concat()
}
