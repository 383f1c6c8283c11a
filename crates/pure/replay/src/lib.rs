//! A whole ledger in memory, grown block by block: the one place where verification and rules meet.
//!
//! Proposers, validators, followers and auditors use the same code; they differ in where blocks come from and where results go.
//!
//! **Invariants.** Nothing is taken that was not executed. No IO, no clock: time is an argument.
#![no_std]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

extern crate alloc;

pub mod execution;
pub mod ledger;
mod misconduct;
pub mod replay;
mod set_history;
pub mod window;

pub use execution::{Executed, Proposal};
pub use ledger::{Ledger, RestoreError, StateView};
pub use replay::{Counts, Replay};
pub use set_history::SetHistory;
pub use window::{Known, Window};
