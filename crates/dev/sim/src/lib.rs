//! A whole network on one thread, from a seed.
//!
//! Every node runs the product's own replica and ledger; network, disks, clocks and clients are simulated here, in virtual time. A
//! seed decides everything, so a run that fails is one line to paste:
//! `cargo xtask sim --first S --seeds 1 --nodes N --heights H --planted none`.
//!
//! A run has three parts. First the network starts and clients write, while faults of the plan ([`plan`]) happen: messages are lost,
//! delayed, doubled, overtaken and cut off, disks fail, clocks jump, processes die, one validator may lie, or two of seven ([`liars`]). Then
//! everything is healed. Last, the network must come to rest: every node with the same blocks, every entry with its verdict, and
//! nothing said any more. [`checks`] watches all the while.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a simulation that cannot go on is a finding"
)]

pub mod campaign;
pub mod checks;
mod clients;
mod disk;
mod fairness;
mod index;
pub mod liars;
mod locks;
mod network;
mod node;
pub mod plan;
#[cfg(feature = "planted")]
pub mod planted;
mod spending;
mod versions;
mod world;

pub use world::{Failure, Report, run};
