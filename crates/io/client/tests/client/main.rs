//! What a client makes of files and of a node's answers. The node is a stand-in on the loopback that answers as the test says: it takes
//! entries as a ledger would, has room or none, and cuts its pages where it likes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on has failed"
)]

mod ceremony;
mod hostile;
mod import;
mod node;
mod reading;
