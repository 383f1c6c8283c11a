//! A whole ledger in memory: who proposes, who checks and who reads a chain from genesis must agree, byte for byte; and whatever
//! a majority of validators might sign against the rules must be found.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on has failed"
)]

mod agreement;
mod altered;
mod chain;
mod cheating;
mod clock;
mod force;
mod membership;
mod restored;
mod window;
