//! Campaigns, each liar by itself, that a seed decides everything, and the program.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arguments;
mod campaign;
mod determinism;
mod liars;
