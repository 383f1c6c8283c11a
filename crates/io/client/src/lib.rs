//! What participants and auditors use: keys and signatures, a node's services, imports, exported chains, delivered files.
//!
//! **Invariants.** Private keys never leave this crate except encrypted or into a file of their owner. Every error carries a
//! stable code and a next step. Nothing prints.

pub mod act;
pub mod ceremony;
pub mod chain;
pub mod content;
pub mod delivered;
pub mod draft;
pub mod error;
pub mod explain;
pub mod genesis;
pub mod import;
pub mod json;
pub mod keys;
pub mod level;
pub mod node;
pub mod shown;
pub mod signers;
pub mod standing;
pub mod status;
pub mod verified;

pub use error::{ClientError, Failure};
pub use level::Level;
pub use node::Node;
