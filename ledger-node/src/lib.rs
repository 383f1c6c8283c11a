//! A node of the provenance ledger: configuration, wiring, and the loop that carries out what the replica asks for.
//!
//! **Invariants.** Acknowledged means on disk. When a write fails the node stops: what the disk holds is then unknown, and is read
//! again at the next start. Only `report` prints.

pub mod args;
mod commands;
pub mod config;
mod descriptors;
pub mod dev;
mod ending;
mod evidence;
pub mod failure;
mod founding;
mod join;
mod keys;
mod maintenance;
pub mod node;
pub mod open;
pub mod peers;
mod recover;
mod refused;
mod replica_loop;
mod report;
mod requests;
mod restore;
mod running;
pub mod setup;
mod status;
mod stored;
mod telemetry;
mod testnet;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::report::Output;

/// Runs a command line and gives the exit code of the process.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(cli),
        Err(error) => usage(&error, Output::guess(&arguments)),
    }
}

/// Help and version as they are; what is wrong with a command line in the form that it asks for.
fn usage(error: &clap::Error, output: Output) -> ExitCode {
    if output == Output::Text || !error.use_stderr() {
        let _closed = error.print();
    } else {
        report::failure(output, &Failure::usage(error.render().to_string().trim()));
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn run(cli: Cli) -> ExitCode {
    quiet_trials();
    let output = cli.output;
    let result = match cli.command {
        Command::Dev(args) => blocking(dev::run(&args, output)),
        Command::Init(args) => commands::init(&args, output),
        Command::Run(args) => blocking(running::run(&args, output)),
        Command::Recover(args) => recover::run(&args, output),
        Command::Restore(args) => restore::restore(&args, output),
        Command::Reindex(args) => commands::reindex(&args, output),
        Command::Status(args) => blocking(status::status(&args, output)),
        Command::Config(args) => commands::show_config(&args, output),
        Command::Keys(args) => keys::run(&args, output),
        Command::Testnet(args) => blocking(testnet::testnet(&args, output)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::failure(output, &failure);
            ExitCode::from(failure.exit)
        }
    }
}

/// A panic while a store is tried is reported as damage, with its code; every other one as ever.
fn quiet_trials() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !ledger_store::is_on_trial() {
            report(panic);
        }
    }));
}

/// How long what still runs may take to end once the command is done.
const GRACE: Duration = Duration::from_secs(5);

fn blocking(future: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::runtime)?;
    let result = runtime.block_on(future);
    // A node that was told to stop while it opened its directory is not waited for without end.
    runtime.shutdown_timeout(GRACE);
    result
}
