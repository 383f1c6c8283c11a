//! Campaigns, each liar by itself, that a seed decides everything, and the program.

mod arguments;
mod campaign;
mod determinism;
mod liars;
