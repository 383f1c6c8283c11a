//! The command line of participants and auditors. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ledger_cli::main(std::env::args_os())
}
