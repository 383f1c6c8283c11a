//! `cargo run --release -p ledger-bench -- ingest`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::float_arithmetic,
    reason = "a benchmark prints what it measured"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ledger_bench::ingest::{Load, run};

/// Benchmarks of the ledger.
#[derive(Debug, Parser)]
#[command(name = "ledger-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Signed entries over the gRPC stream into one node, beside the machine's limit of signature checks
    Ingest(Ingest),
}

#[derive(Debug, Args)]
struct Ingest {
    /// Entries in all
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    /// Suppliers that sign them
    #[arg(long, default_value_t = 100)]
    signers: u64,
    /// Streams that send them
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Where to put the node's data; on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = "target")]
    directory: PathBuf,
    /// Fail below this part of the limit, for example 0.10
    #[arg(long, value_name = "RATIO")]
    require: Option<f64>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn main() -> ExitCode {
    let Command::Ingest(args) = Cli::parse().command;
    let load = Load { entries: args.entries, signers: args.signers, clients: args.clients };
    let measured = run(&args.directory, load);
    match args.output {
        Format::Table => println!("{}", measured.text()),
        Format::Json => println!("{:#}", measured.json()),
    }
    if args.require.is_some_and(|least| measured.ratio() < least) {
        eprintln!("below what was required");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
