//! The two trees of the ledger: the log of everything that was written, and the map of what holds.
//!
//! [`log`] is the append-only Merkle tree of RFC 9162, [`tile`] cuts it into files, and [`trie`] is
//! an authenticated map from keys to records with a root for each version.
//!
//! **Invariants:** nothing here does IO, reads a clock or draws a random number. Bytes and proofs
//! from strangers give an error, never a panic. Nothing here knows what a leaf or a record means.
#![no_std]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

extern crate alloc;

mod hash;
pub mod log;
pub mod tile;
pub mod trie;

pub use hash::Hash;
