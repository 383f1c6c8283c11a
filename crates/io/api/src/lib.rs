//! The public gRPC services of a node (proto/ledger/v1; docs/API.md): submit, query, audit.
//!
//! **Invariants.** Parse, call, answer: nothing is decided here. Nothing that may be lost is ever shown. Every error carries a
//! stable code. Queues are bounded; who does not read is not read.

pub mod admission;
mod audit;
mod clocks;
mod connections;
pub mod evidence;
mod health;
mod held;
mod history;
pub mod intake;
mod lineage;
pub mod outcomes;
mod places;
pub mod problem;
mod query;
mod reach;
mod reads;
pub mod recent;
pub mod replication;
pub mod seals;
pub mod server;
mod sets;
pub mod shared;
mod stalled;
mod stops;
mod submit;
pub mod suspects;
pub mod unfinished;
mod unread;

pub use held::Bounds;
pub use server::{ServeError, Serving, serve};
pub use sets::{NodeRole, Term};
pub use shared::{Head, NodeKeys, Shared};
pub use unfinished::Unfinished;
