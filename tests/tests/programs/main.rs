//! One node and the command line, as their users have them. What would starve, flood or kill others is a program of its own beside this
//! one; networks are in `networks`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod acts;
mod auditor;
mod directories;
mod disks;
mod hostile;
mod imports;
mod operations;
mod receipts;
mod services;
mod story;
mod tampered;
mod votes;
