//! `cargo xtask tidy`: one line for each violation, with what to do; exit code 1 if there is any.
//!
//! `cargo xtask sim`: builds the simulator with bugs to plant, and runs it. Through cargo, so that this program needs nothing of the
//! workspace, and features of the simulator reach no other build.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program prints what it found")]

use std::path::Path;
use std::process::{Command as Process, ExitCode};

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
    /// Simulates whole networks: seeds, faults, liars, planted bugs (`cargo xtask sim -- --help` says what it takes)
    Sim {
        /// What the simulator takes: --seeds N, --nodes N, -o json, ...
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// The simulator: its package, built with bugs that can be planted.
const SIMULATOR: [&str; 9] = [
    "run",
    "--quiet",
    "--release",
    "--offline",
    "--package",
    "ledger-sim",
    "--features",
    "planted",
    "--",
];

fn main() -> ExitCode {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    match Cli::parse().command {
        Command::Tidy => tidy_up(root),
        Command::Sim { arguments } => simulate(root, &arguments),
    }
}

/// Passes on what the simulator prints, and how it ends.
fn simulate(root: &Path, arguments: &[String]) -> ExitCode {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_unset| "cargo".to_owned());
    let status = Process::new(cargo).args(SIMULATOR).args(arguments).current_dir(root).status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo does not start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tidy_up(root: &Path) -> ExitCode {
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
