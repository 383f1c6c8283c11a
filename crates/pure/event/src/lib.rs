//! Messages of events, records and governing documents, generated from `proto/ledger/v1`.
//!
//! **Invariant:** nothing here is written by hand, and nothing here knows a transport.
#![no_std]
#![allow(
    missing_docs,
    reason = "documentation of generated code is the comments of the .proto files"
)]

extern crate alloc;

include!(concat!(env!("OUT_DIR"), "/ledger.v1.rs"));
include!(concat!(env!("OUT_DIR"), "/closed.rs"));

/// The compiled `.proto` files, for JSON output and reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// A message all of whose enum fields, at any depth, hold values that this version knows.
///
/// prost keeps unknown enum values as integers, so the canonical form (docs/spec/event.md) needs this check as well.
pub trait Closed {
    /// Whether every enum field holds a known value.
    fn is_closed(&self) -> bool;
}
