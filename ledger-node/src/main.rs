//! The node's command line. Everything it does is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use ledger_node::args::Cli;

fn main() -> ExitCode {
    ledger_node::main(Cli::parse())
}
