//! Benchmarks. Speed is told as a ratio to something measured in the same run, since machines are shared and noisy
//! (docs/performance/README.md has figures and the commands that gave them).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_arithmetic,
    clippy::missing_panics_doc,
    reason = "a benchmark that cannot run has no figure to give"
)]

pub mod catch_up;
pub mod etcd;
pub mod followers;
pub mod ingest;
pub mod limit;
pub mod network;
pub mod processor;
pub mod waits;
