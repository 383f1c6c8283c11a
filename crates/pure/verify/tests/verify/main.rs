//! Signatures, entries, headers, changes of the set, checkpoints and what a verdict says: against other implementations, published
//! cases, and liars.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod batches;
mod cases;
mod caveats;
mod checkpoint;
mod edge_cases;
mod enrolment;
mod entries;
mod headers;
mod hostile;
mod published;
mod set_changes;
