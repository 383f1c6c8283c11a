//! Is it true? This crate answers for what the bytes of a ledger claim, from the bytes alone.
//!
//! It decides whether a key may be enrolled and whether a signature is its key's. A node that
//! orders entries and an auditor with nothing but a file call the same functions, so they cannot
//! come to different verdicts.
//!
//! **Invariant:** no IO, no clock, no randomness. The same bytes get the same verdict on every
//! machine, today and in twenty years.
//!
//! **Invariant:** no rules. Whether a party was allowed to sign what it signed is not decided here.
//!
//! **Invariant:** every function is total. Hostile bytes get an error that names the failed check,
//! never a panic.
#![no_std]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

extern crate alloc;

pub mod signature;
