//! The transport between the nodes of a ledger (proto/ledger/peer/v1; docs/spec/peer.md).
//!
//! Nodes keep one connection for each pair: TLS 1.3 with certificates that they make for themselves, HTTP/2, one stream. The first
//! message each way is a Hello, in which a key of the ledger signs both certificates. What follows are frames in three lanes.
//!
//! **Invariants.** What frames carry is not known here. Nobody is heard before its Hello is good, and until then nobody can send more
//! than 32 KiB. Sending never waits. Every queue is bounded, and each peer has its own. Every refusal has a code, is counted, and is
//! told to the refused side where there is a way to.

mod accept;
mod certificate;
mod code;
mod dial;
pub mod hello;
mod inbox;
mod link;
mod local;
mod network;
mod outbox;
mod places;
mod registry;
mod session;
mod settings;
mod tls;
pub mod wire;

pub use certificate::{Certificate, validity};
pub use code::{By, CODES, Code, Refusal};
pub use inbox::{Event, Events};
pub use network::{Audience, Network};
pub use registry::PeerStatus;
pub use session::{Counts, Why};
pub use settings::{Bound, Identity, Lane, Lanes, Neighbours, Peer, PeerError, Role, Settings};
