//! The bytes of the ledger (docs/spec): what an entry, a header, a vote, a certificate, a checkpoint and a receipt are.
//!
//! **Invariants.** Every decoder is bounded before it allocates and accepts exactly one encoding of each content. Nothing here
//! knows keys' validity, rules, storage or transport, and nothing here says whether content is true.
#![no_std]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

extern crate alloc;

pub mod block;
mod cbor;
pub mod chain_file;
pub mod commitment;
pub mod digest;
pub mod entry;
pub mod evidence;
pub mod fixed;
pub mod genesis;
pub mod genesis_file;
pub mod header;
pub mod id;
pub mod limits;
pub mod malformed;
pub mod message;
pub mod note;
#[doc(hidden)]
pub mod planted;
pub mod proof_file;
pub mod receipt;
pub mod timeline;
pub mod validators;
pub mod vote;
