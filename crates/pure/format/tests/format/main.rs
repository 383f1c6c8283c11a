//! The bytes of the ledger: what is written is read, and nothing else is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod entries;
mod evidence;
mod generate;
mod genesis;
mod hostile;
mod identifiers;
mod judges;
mod layouts;
mod messages;
mod notes;
mod proofs;
mod receipts;
mod samples;
mod tree;
