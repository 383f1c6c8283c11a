//! Several nodes, each a process of its own. One network at a time: each takes both cores, and some are timed.
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod blame;
mod ceremony;
mod followers;
mod membership;
mod network;
mod outages;
mod recover;
mod versions;
