//! What entries mean (docs/spec/rules.md): the deterministic state machine of a data asset's life.
//!
//! Given the state after one block and the entries of the next, [`block::BlockRules`] says which entries are refused and why,
//! and what the others change. One file a stage, each a set of tables: row, signers, guards with the code of each.
//!
//! **Invariants.** No clock, no randomness, no hash order: the same blocks give the same state everywhere. Keys, roles, rule
//! sets and calendars are judged by the state before the block; subjects move entry by entry. Signatures are checked elsewhere.
#![no_std]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

extern crate alloc;

mod act;
mod asset;
pub mod block;
mod budget;
pub mod calendar;
pub mod code;
mod contract;
pub mod delivery;
pub mod genesis;
pub mod governance;
mod identity;
mod listing;
mod membership;
mod misconduct;
pub mod past_sets;
pub mod protocol;
pub mod registration;
mod review;
pub mod rule_sets;
mod signers;
pub mod standing;
pub mod table;
pub mod view;

pub use block::{BlockRules, Changes, Link};
pub use code::{Code, Refusal};
pub use view::View;
