//! Which entries count? A validator as a function from events to actions, around the engine's core (docs/adr/0004).
//!
//! The engine is Tendermint as `arc-malachitebft-core-consensus` implements it: rounds, locks, votes, equivocation checks and
//! replay are its work. Ours is the driver: what a value is, what is signed, what is logged and when, when a height opens.
//!
//! **Invariants.** No IO and no clock: the host carries out actions in order, and stops the process when one fails. Timers carry
//! their height. No height is opened without a block to propose.
#![warn(clippy::indexing_slicing, clippy::as_conversions)]

mod bodies;
mod catch_up;
mod certificates;
mod context;
mod engine;
mod examine;
mod log_record;
mod look_ahead;
pub mod message;
mod passed;
pub mod pool;
mod recall;
mod recovery;
pub mod replica;
mod said;
mod settings;
mod verified;
mod witness;

pub use engine::EngineStopped;
#[doc(hidden)]
pub use ledger_format::planted;
pub use message::{Addressed, Lane, Message, Statement, StatementKind};
pub use pool::{PoolLimits, Turned};
pub use recovery::StartError;
pub use replica::{Action, Decided, Event, Replica, Timer, done};
pub use settings::{Answer, Settings, Timeouts};
