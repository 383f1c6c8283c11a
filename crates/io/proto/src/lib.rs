//! gRPC services, generated from `proto/ledger`, the codes of their errors, and whose an address is.
//!
//! **Invariant:** entries, records and proofs travel as canonical bytes, so that this crate needs none of the vocabulary in
//! `ledger-event`.
#![allow(
    missing_docs,
    reason = "documentation of generated code is the comments of the .proto files"
)]

pub mod address;
pub mod codes;

/// `ledger.v1`.
pub mod v1 {
    tonic::include_proto!("ledger.v1");
}

/// `ledger.peer.v1`.
pub mod peer {
    tonic::include_proto!("ledger.peer.v1");
}

/// The compiled service files, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
