//! `cargo run --release -p ledger-bench -- ingest`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::float_arithmetic,
    reason = "a benchmark prints what it measured"
)]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ledger_bench::catch_up::{Absence, run_catch_up};
use ledger_bench::etcd::{EtcdMeasured, run_etcd};
use ledger_bench::followers::{Following, json, ratio, run_followers};
use ledger_bench::ingest::{Load, run};
use ledger_bench::network::{Calls, Clients, NetworkMeasured, run_network};

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
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=16))]
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
    /// Fail when with followers an entry costs a validator more than this many times what it costs without
    #[arg(long, value_name = "RATIO")]
    at_most: Option<f64>,
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
    #[arg(long, default_value = "64")]
    clients: NonZeroUsize,
    /// How long they write
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How they send an entry
    #[arg(long, value_enum, default_value_t)]
    calls: Calls,
    /// Streams instead of such clients
    #[arg(long, value_name = "STREAMS", conflicts_with_all = ["seconds", "calls"])]
    streaming: Option<usize>,
    /// Entries that streams send in all
    #[arg(long, default_value_t = 50_000, requires = "streaming")]
    entries: usize,
    /// The program `etcd`, to measure three of its members in turn with the network under the same clients, with values of 500 bytes
    #[arg(long, value_name = "PROGRAM", conflicts_with = "streaming")]
    beside_etcd: Option<PathBuf>,
    /// How often to measure, each time with a new network
    #[arg(long, default_value = "1")]
    rounds: NonZeroUsize,
    /// Fail if the median of entries a second is below
    #[arg(long, value_name = "RATE")]
    require_rate: Option<f64>,
    /// Fail if the median of the waits that 99 of 100 answers did not exceed is above
    #[arg(long, value_name = "MILLISECONDS")]
    require_p99_ms: Option<u64>,
    /// Fail if the median of the ratios to etcd is below
    #[arg(long, value_name = "RATIO", requires = "beside_etcd")]
    require_ratio: Option<f64>,
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
    let cli = Cli::parse();
    eprintln!(
        "cargo builds ledger-node and ledger-cli first, unless they are up to date; while another cargo builds here, it waits"
    );
    match cli.command {
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
    if args.at_most.is_some_and(|most| ratio(&alone, &followed) > most) {
        eprintln!("above what was allowed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Members of etcd, and bytes of its values.
const ETCD_MEMBERS: u16 = 3;
const ETCD_VALUE: usize = 500;

fn network(args: &NetworkArgs) -> ExitCode {
    let time = Duration::from_secs(args.seconds);
    let clients = match args.streaming {
        Some(streams) => Clients::Streaming(streams, args.entries),
        None => Clients::Waiting(args.clients.get(), time, args.calls),
    };
    let (mut rates, mut p99s, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds.get() {
        let etcd = args
            .beside_etcd
            .as_ref()
            .map(|program| run_etcd(program, ETCD_MEMBERS, args.clients.get(), ETCD_VALUE, time));
        let etcd = match etcd.transpose() {
            Ok(etcd) => etcd,
            Err(why) => {
                eprintln!("etcd: {why}");
                return ExitCode::FAILURE;
            }
        };
        let measured = run_network(args.validators, clients);
        report(args, &measured, etcd.as_ref());
        rates.push(measured.rate());
        p99s.push(measured.waits.percentile(99).as_secs_f64() * 1e3);
        ratios.extend(etcd.map(|etcd| measured.rate() / etcd.waits.rate()));
    }
    let required = |least: Option<f64>, found: f64| least.is_none_or(|least| found >= least);
    let in_time = args
        .require_p99_ms
        .is_none_or(|most| median(&mut p99s) <= Duration::from_millis(most).as_secs_f64() * 1e3);
    if required(args.require_rate, median(&mut rates))
        && required(args.require_ratio, median(&mut ratios))
        && in_time
    {
        return ExitCode::SUCCESS;
    }
    eprintln!("below what was required");
    ExitCode::FAILURE
}

fn median(found: &mut [f64]) -> f64 {
    found.sort_by(f64::total_cmp);
    found.get(found.len() / 2).copied().unwrap_or_default()
}

fn report(args: &NetworkArgs, measured: &NetworkMeasured, etcd: Option<&EtcdMeasured>) {
    if args.output == Format::Json {
        let mut json = measured.json();
        if let Some(EtcdMeasured { waits: etcd, spent }) = etcd {
            json["etcd_puts_per_second"] = etcd.rate().into();
            json["etcd_p99_ms"] = (etcd.percentile(99).as_secs_f64() * 1e3).into();
            json["etcd_us_a_put"] = spent.json(etcd.count());
            json["ratio"] = (measured.rate() / etcd.rate()).into();
        }
        println!("{json}");
        return;
    }
    let [payload, whole] = measured.bytes;
    println!(
        "{:.0} entries/s with payloads of {payload} bytes ({whole} with envelope and signature), durable at a quorum of {} validators; \
         {} blocks; p50 {:.0?}, p99 {:.0?}",
        measured.rate(),
        args.validators,
        measured.blocks,
        measured.waits.percentile(50),
        measured.waits.percentile(99)
    );
    let [validators, clients] = &measured.spent;
    println!("processor time an entry: validators {}", validators.text(measured.entries));
    println!("processor time an entry: clients {}", clients.text(measured.entries));
    if let Some(EtcdMeasured { waits: etcd, spent }) = etcd {
        println!(
            "etcd, {ETCD_MEMBERS} members, values of {ETCD_VALUE} bytes: {:.0} puts/s; p50 {:.0?}, p99 {:.0?}; ratio {:.2}",
            etcd.rate(),
            etcd.percentile(50),
            etcd.percentile(99),
            measured.rate() / etcd.rate()
        );
        println!("processor time a put: etcd {}", spent.text(etcd.count()));
    }
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
