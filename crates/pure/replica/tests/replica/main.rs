//! A validator as a function: what it does with what happens, in which order, and what is left when it dies in between.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on has failed"
)]

mod abuse;
mod authors;
mod blame;
mod blocks;
mod crash;
mod given;
mod host;
mod idle;
mod log;
mod membership;
mod network;
mod notary;
mod pacing;
mod passing;
mod pool;
mod recall;
mod several;
mod start;
