//! What tests of the whole need: the two programs as they are shipped, started on a free port of this machine and stopped again.
//!
//! **Invariant:** nothing here looks into a node but through its command line, its files and its services.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what fails here is a test that cannot run"
)]

mod book;
mod demonstration;
mod exported;
mod hosts;
mod impostor;
mod load;
mod market;
mod network;
mod pen;
mod places;
mod power;
mod program;
mod recorded;
mod running;
mod shared;
mod vouched;

pub use book::{Book, SharedBook, connect};
pub use demonstration::{Demonstration, copy_directory, copy_node, demonstration, recover_alone};
pub use exported::{Exported, verdict};
pub use hosts::Hosts;
pub use impostor::{Giver, Impostor};
pub use load::{Supplier, write_until_it_ends};
pub use market::{Machine, Market};
pub use network::{Exchanges, ports};
pub use pen::{Pen, claim, forged};
pub use places::{Place, Places, place, places_in, verified_places};
pub use power::Disk;
pub use program::{CLI, Finished, NODE, assert_refused, command, run, run_in};
pub use recorded::{Answer, Operation, Record, SharedRecord, Sight, Summary};
pub use running::{Running, Signal, new_ledger, node_on, processor_time};
pub use shared::Shared;
pub use vouched::vouch;
