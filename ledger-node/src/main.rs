//! The node's command line. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ledger_node::main(std::env::args_os())
}
