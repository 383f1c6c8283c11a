//! Which entries count? A validator as a function from events to actions, around the engine's core (docs/adr/0004).
//!
//! The engine is Tendermint as `arc-malachitebft-core-consensus` implements it: rounds, locks, votes, equivocation checks and
//! replay are its work. Ours is the driver: what a value is, what is signed, what is logged and when, when a height opens.
//!
//! **Invariants.** No IO and no clock: the host carries out actions in order, and stops the process when one fails. Timers carry
//! their height. No height is opened without a block to propose.
#![warn(clippy::indexing_slicing, clippy::as_conversions)]

mod context;
mod engine;
mod log_record;
pub mod pool;
pub mod replica;

pub use engine::{EngineStopped, Timer};
pub use pool::{PoolLimits, Turned};
pub use replica::{Action, Decided, Event, Replica, Settings, StartError, done};
