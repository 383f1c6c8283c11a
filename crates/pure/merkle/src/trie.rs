//! The state: an authenticated map from 32-byte keys to records, with a root for each version.
//!
//! # What is hashed
//!
//! The map is a binary trie over the bits of the keys, without nodes that have one child (a crit-bit
//! or Patricia trie): `n` keys have `n - 1` nodes. Bits are numbered from 0, the most significant
//! bit of the first byte, to 255. A node stands where the keys below it part: they agree in all bits
//! before the node's, and differ in it. SHA-256 throughout:
//!
//! - leaf: `H(0x10 || key || H(record))`
//! - node: `H(0x11 || bit || left || right)`, `bit` as one byte, left for keys with a zero there
//! - no keys at all: 32 zero bytes
//!
//! So the root depends on the set of keys and records and on nothing else, and in particular not on
//! the order in which they came. The prefixes differ from those of the log (0x00 and 0x01), so that
//! no node of one tree is a node of the other.
//!
//! # Why presence and absence of a key cannot both be proven
//!
//! A proof is the leaf at which the search for the key ends and the siblings on the way. Take any 32
//! bytes as the root, honest or not. Finding two inputs with one hash is not feasible, so the root
//! stands for at most one input: by its prefix and length a node or a leaf, never both. If it is a
//! node, its bit is fixed, the key's own bit says left or right, and so the next hash is fixed; and
//! so on down to one leaf, whose key either is the searched one or is not. Every proof that is
//! accepted for this root and this key therefore shows the same leaf. (The zero root has no input
//! at all, and only the proof without a leaf is accepted for it.) A root that somebody made up may
//! be that of no map, but it cannot say two things about one key.
//!
//! [`Proof::verify`] asks for more, so that a made-up root shows itself: bits must rise, which also
//! bounds the work, and the leaf must lie on the searched side of every node.
//!
//! # Versions
//!
//! A commit never changes a node that exists: it adds the changed leaves and the nodes above them,
//! and lists in [`Retired`] what the version before has and the new one has not. All versions from
//! [`Trie::oldest`] to [`Trie::tip`] can be read and proven. [`Trie::free`] gives up the oldest and
//! uses its slots again. Who never frees keeps every version, and the memory for it.
//!
//! Reading and [`Trie::propose`] take `&self`: queries go on while a block is worked out, several
//! deltas may be open on one version, and only what was decided is committed.
//!
//! **Invariants:** keys are never removed (a record of the ledger may end, but not vanish). Nothing
//! here reads or writes files: a map is built from its records, [`Trie::from_sorted`], and kept by
//! who owns it. Lists and deltas must come back to the trie that gave them.

mod arena;
mod build;
mod commit;
mod proof;
mod read;
mod update;

use alloc::collections::VecDeque;

pub use commit::Retired;
pub use proof::{Outcome, Proof, ProofError, ProofLeaf, ProofStep};
pub use read::Records;
pub use update::Delta;

use crate::hash::{Hash, sha256, sha256_labelled_pair, sha256_pair};
use arena::{Arena, Ref};

/// The root of the map without keys: 32 zero bytes, which nothing is known to hash to.
pub const EMPTY_ROOT: Hash = [0; 32];

const LEAF_PREFIX: u8 = 0x10;
const NODE_PREFIX: u8 = 0x11;

/// The hash of a record as leaves and proofs hold it, SHA-256(record).
pub fn record_hash(record: &[u8]) -> Hash {
    sha256(record)
}

/// SHA-256(0x10 || key || record hash).
fn leaf_hash(key: &Hash, record_hash: &Hash) -> Hash {
    sha256_pair(LEAF_PREFIX, key, record_hash)
}

/// SHA-256(0x11 || bit || left || right).
fn node_hash(bit: u8, left: &Hash, right: &Hash) -> Hash {
    sha256_labelled_pair(NODE_PREFIX, bit, left, right)
}

/// Whether a key has a one at a bit.
fn goes_right(key: &Hash, bit: u8) -> bool {
    key.get(usize::from(bit >> 3)).is_some_and(|byte| byte << (bit & 7) & 0x80 != 0)
}

/// The first bit at which two keys differ, `None` if they are equal.
fn first_difference(one: &Hash, other: &Hash) -> Option<u8> {
    let (ones, _none_left_over) = one.as_chunks::<8>();
    let (others, _none_left_over) = other.as_chunks::<8>();
    let words = ones.iter().zip(others);
    [0_u8, 64, 128, 192].into_iter().zip(words).find_map(|(start, (one, other))| {
        let difference = u64::from_be_bytes(*one) ^ u64::from_be_bytes(*other);
        let bit = u8::try_from(difference.leading_zeros()).ok()?;
        (difference != 0).then_some(start | bit)
    })
}

/// Why the trie did not do what it was asked. It is unchanged then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrieError {
    /// The version is none that is kept: it was freed, or another trie made it.
    #[error("this version is not kept")]
    Gone,
    /// Keys must rise strictly.
    #[error("key number {position} is not larger than the one before it")]
    Unsorted {
        /// Position of the key that is too small, from 0.
        position: usize,
    },
    /// The delta was proposed on a version that is not the newest, or not the newest any more.
    #[error("the delta is based on a version that is not the newest")]
    Stale,
    /// The list is not that of the oldest version that is kept.
    #[error("this list does not belong to the oldest version")]
    NotOldest,
    /// There would be more than 2^30 nodes or leaves, counted over all versions that are kept.
    #[error("there are more than 2^30 nodes or leaves")]
    Full,
    /// What is stored for the version does not give its root: memory was damaged, or this crate has
    /// a fault.
    #[error("what is stored for this version does not give its root")]
    Damaged,
}

/// One state of the map: a name for it, not the state itself. Only the trie that gave it knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Counts commits: two versions with the same content are two versions.
    serial: u64,
    hash: Hash,
    len: u64,
}

impl Version {
    /// The root hash, [`EMPTY_ROOT`] without keys.
    pub fn root(&self) -> Hash {
        self.hash
    }

    /// The number of keys.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The map: its newest version, and older ones as long as they are kept. See the [module](self).
#[derive(Debug)]
pub struct Trie {
    arena: Arena,
    tip: Kept,
    /// The versions before the tip that are kept, oldest first; their serial numbers leave no gap.
    older: VecDeque<Kept>,
}

/// A version and where its root is; `None` without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    version: Version,
    root: Option<Ref>,
}

/// How much of its memory a trie uses. A node takes 76 bytes, a leaf 48 and its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Slots for nodes.
    pub nodes: usize,
    /// Slots for nodes that no kept version uses.
    pub free_nodes: usize,
    /// Slots for leaves.
    pub leaves: usize,
    /// Slots for leaves that no kept version uses.
    pub free_leaves: usize,
}

impl Default for Trie {
    fn default() -> Self {
        let version = Version { serial: 0, hash: EMPTY_ROOT, len: 0 };
        Self::with_tip(Arena::new(), Kept { version, root: None })
    }
}

impl Trie {
    /// A map without keys.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_tip(arena: Arena, tip: Kept) -> Self {
        Self { arena, tip, older: VecDeque::new() }
    }

    /// The newest version.
    pub fn tip(&self) -> Version {
        self.tip.version
    }

    /// The oldest version that is kept; the newest if no other is.
    pub fn oldest(&self) -> Version {
        self.older.front().unwrap_or(&self.tip).version
    }

    /// How much memory is in use.
    pub fn usage(&self) -> Usage {
        self.arena.usage()
    }

    /// Where a version has its root.
    fn kept(&self, version: Version) -> Result<Kept, TrieError> {
        let age = self.tip.version.serial.checked_sub(version.serial).ok_or(TrieError::Gone)?;
        let kept = if age == 0 {
            &self.tip
        } else {
            let place = usize::try_from(age).ok().and_then(|age| self.older.len().checked_sub(age));
            place.and_then(|place| self.older.get(place)).ok_or(TrieError::Gone)?
        };
        if kept.version == version { Ok(*kept) } else { Err(TrieError::Gone) }
    }
}

#[cfg(test)]
mod tests;
