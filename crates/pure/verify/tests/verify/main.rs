//! Signatures, entries, headers, changes of the set, checkpoints and what a verdict says: against other implementations, published
//! cases, and liars.

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
