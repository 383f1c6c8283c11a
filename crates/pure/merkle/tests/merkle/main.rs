//! The log tree and the map against others' implementations, published vectors, their definitions, and liars.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod hostile;
mod log;
mod log_vectors;
mod model;
mod records_after;
mod subtrees;
mod tiles;
mod trie_model;
mod trie_proofs;
mod trie_versions;
