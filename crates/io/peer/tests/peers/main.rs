//! Nodes on the loopback, and strangers that speak to them as the specification says, or not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod decoding;
mod exchange;
mod floods;
mod impostor;
mod members;
mod neighbours;
mod node;
#[cfg(target_os = "linux")]
mod places;
mod refused_by_acceptor;
mod refused_by_dialler;
mod replaced;
mod stranger;
mod timeouts;
