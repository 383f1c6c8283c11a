//! The services of a node over a loopback connection. The node is real but for its loop: the test decides when entries reach the
//! pool and when a block is made, so that every in-between can be looked at.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on has failed"
)]

mod audit;
mod budgets;
mod lineage;
mod node;
mod query;
mod raw;
mod reads;
mod renewed;
mod seals;
mod stalled;
mod status;
mod submit;
mod unfinished;
mod unread;
mod watch;
