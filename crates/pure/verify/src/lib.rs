//! Is it true? This crate answers for what the bytes of a ledger claim, from the bytes alone.
//!
//! It decides whether keys are sound, signatures are their keys', headers follow each other, certificates carry a quorum, and
//! proofs lead to roots. A node that orders entries and an auditor with nothing but a file call the same functions, so they cannot
//! come to different verdicts.
//!
//! **Invariant:** no IO, no clock, no randomness. The same bytes get the same verdict on every machine, today and in twenty years.
//!
//! **Invariant:** no rules. Whether a party was allowed to do what it signed is decided in `ledger-rules`.
//!
//! **Invariant:** every function is total. Hostile bytes get an error that names the failed check, never a panic.
#![no_std]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

extern crate alloc;

pub mod block;
pub mod checkpoint;
pub mod entry;
pub mod evidence;
pub mod finding;
pub mod proof;
pub mod signature;
pub mod verdict;
