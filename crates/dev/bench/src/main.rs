//! `cargo run --release -p ledger-bench -- ingest`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::float_arithmetic,
    reason = "a benchmark prints what it measured"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ledger_bench::catch_up::{Absence, run_catch_up};
use ledger_bench::followers::{Following, json, run_followers};
use ledger_bench::ingest::{Load, run};
use ledger_bench::network::{NetworkLoad, run_network};

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
    /// Clients that wait for each answer, on a network of validators over TLS on this machine
    Network(NetworkArgs),
    /// A validator that was away: how fast it gets what the others wrote meanwhile
    CatchUp(CatchUpArgs),
    /// What followers cost a validator, at the same offered load
    Followers(FollowersArgs),
}

#[derive(Debug, Args)]
struct CatchUpArgs {
    /// Validators; the last one is away
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=32))]
    validators: u16,
    /// Entries that are written meanwhile
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    /// Clients that write them, each with one entry under way
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Fail unless they are got so many times faster than they were written
    #[arg(long, value_name = "RATIO")]
    require: Option<f64>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Debug, Args)]
struct FollowersArgs {
    /// Validators
    #[arg(long, default_value_t = 4)]
    validators: u16,
    /// Followers
    #[arg(long, default_value_t = 10)]
    followers: u16,
    /// Entries a second that clients offer
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How long they do
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
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

#[derive(Debug, Args)]
struct NetworkArgs {
    /// Validators
    #[arg(long, default_value_t = 4)]
    validators: u16,
    /// Clients, each with one entry under way
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How long they write
    #[arg(long, default_value_t = 10)]
    seconds: u64,
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
    match Cli::parse().command {
        Command::Ingest(args) => ingest(&args),
        Command::Network(args) => network(&args),
        Command::CatchUp(args) => catch_up(&args),
        Command::Followers(args) => followers(&args),
    }
}

fn catch_up(args: &CatchUpArgs) -> ExitCode {
    let CatchUpArgs { validators, entries, clients, .. } = *args;
    let measured = run_catch_up(Absence { validators, entries, clients });
    if args.output == Format::Json {
        println!("{}", measured.json());
    } else {
        println!(
            "{} entries in {} blocks: written in {:?}, got in {:?}, {:.1} times as fast; at most {} MiB held",
            measured.entries,
            measured.blocks,
            measured.written,
            measured.caught_up,
            measured.ratio(),
            measured.peak_bytes / (1024 * 1024),
        );
    }
    if args.require.is_some_and(|least| measured.ratio() < least) {
        eprintln!("below what was required");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn followers(args: &FollowersArgs) -> ExitCode {
    let FollowersArgs { validators, followers, rate, .. } = *args;
    let time = Duration::from_secs(args.seconds);
    let (alone, followed) = run_followers(Following { validators, followers, rate, time });
    if args.output == Format::Json {
        println!("{}", json(&alone, &followed));
    } else {
        println!(
            "processor time of one validator of {validators}: {:.0} us an entry alone ({} entries), {:.0} us with {followers} followers ({} entries)",
            alone.micros(),
            alone.entries,
            followed.micros(),
            followed.entries,
        );
    }
    ExitCode::SUCCESS
}

fn network(args: &NetworkArgs) -> ExitCode {
    let time = Duration::from_secs(args.seconds);
    let load = NetworkLoad { validators: args.validators, clients: args.clients, time };
    let measured = run_network(load);
    if args.output == Format::Json {
        println!("{}", measured.json());
    } else {
        println!(
            "{:.0} entries/s of {} bytes, durable at a quorum of {} validators, from {} clients; {} blocks; p50 {:?}, p99 {:?}",
            measured.rate(),
            measured.entry_bytes,
            args.validators,
            args.clients,
            measured.blocks,
            measured.p50,
            measured.p99
        );
    }
    ExitCode::SUCCESS
}

fn ingest(args: &Ingest) -> ExitCode {
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
