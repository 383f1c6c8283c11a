//! The rules: what each act may do, in which state, signed by whom, and what it leaves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod applications;
mod assets;
mod blocks;
mod budgets;
mod contracts;
mod deliveries;
mod documents;
mod enrolment;
mod extremes;
mod frame;
mod keys;
mod listings;
mod main_path;
mod membership;
mod misconduct;
mod procedure;
mod signers;
mod tables;
mod times;
