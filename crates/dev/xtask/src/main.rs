//! `cargo xtask tidy`: one line for each violation, with what to do; exit code 1 if there is any.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program prints what it found")]

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ledger_xtask::tidy;
use ledger_xtask::tree::Tree;

/// Checks of the tree.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Dependency arrows, manifests, sizes, references, stable codes, leaks, debris, the change log
    Tidy,
}

fn main() -> ExitCode {
    let Command::Tidy = Cli::parse().command;
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    match Tree::read(root).map(|tree| tidy::violations(&tree)) {
        Ok(violations) if violations.is_empty() => {
            println!("tidy");
            ExitCode::SUCCESS
        }
        Ok(violations) => {
            for violation in violations {
                println!("{violation}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
