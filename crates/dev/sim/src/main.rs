//! `ledger-sim`: many runs from seeds; exit code 0 only when nothing was found that must not be, everything that was meant to go
//! wrong did, and every planted bug was caught.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program prints what it found")]

use std::io::{IsTerminal as _, Write as _, stderr};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};
use ledger_format::digest::hex;
use ledger_sim::campaign::{Campaign, Findings};
use ledger_sim::checks::Violation;
use serde_json::json;

/// Most validators of a network: a trace has a byte for the number of a node, and a network that large takes its time.
const MAX_NODES: i64 = 128;

/// Simulates whole networks
#[derive(Debug, Parser)]
#[command(name = "ledger-sim")]
struct Cli {
    /// How many runs
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, alias = "seed", default_value_t = 1)]
    first: u64,
    /// Validators of each network, 1 to 128; without it half the runs have 4 and half 7
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=MAX_NODES))]
    nodes: Option<u8>,
    /// Heights that each network must reach under faults
    #[arg(long, default_value_t = 50)]
    heights: u64,
    /// Whether to plant bugs that must be caught
    #[arg(long, value_enum, default_value_t = Planting::Too)]
    planted: Planting,
    /// Seeds that are tried to catch a planted bug
    #[arg(long, default_value_t = 60)]
    budget: u64,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Planting {
    /// After the campaign
    Too,
    /// No campaign
    Only,
    /// Not at all
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What became of one planted bug.
struct Caught {
    is: bool,
    line: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let validators = cli.nodes.map_or(vec![4, 7], |nodes| vec![usize::from(nodes)]);
    if cli.seeds == 0 && cli.planted != Planting::Only {
        let why = "--seeds 0 would run nothing, and find nothing: at least 1, or --planted only";
        Cli::command().error(ErrorKind::ValueValidation, why).exit();
    }
    let seeds = if cli.planted == Planting::Only { 0 } else { cli.seeds };
    let campaign = Campaign { first: cli.first, seeds, validators, heights: cli.heights };
    let findings = campaign.go(|done| progress(done, seeds, "runs"));
    let caught = if cli.planted == Planting::None { Vec::new() } else { planted(cli.budget) };
    if caught.is_empty() && cli.planted != Planting::None {
        eprintln!(
            "built without bugs to plant: build with --features planted, or pass --planted none"
        );
        return ExitCode::FAILURE;
    }
    match cli.output {
        Output::Json => println!("{}", as_json(&findings, &caught)),
        Output::Text => print_text(&findings, &caught),
    }
    print_failures(&findings, &caught, cli.heights);
    let is_good = findings.is_good() && caught.iter().all(|caught| caught.is);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(feature = "planted")]
fn planted(budget: u64) -> Vec<Caught> {
    let total = u64::try_from(ledger_sim::planted::Bug::ALL.len()).unwrap_or_default();
    let told = |done: usize| progress(u64::try_from(done).unwrap_or_default(), total, "bugs");
    let hunts = ledger_sim::planted::hunt_all(budget, told).into_iter().map(|hunt| {
        let line = match (&hunt.caught, hunt.is_clean_without) {
            (None, _) => format!("{:?}: not caught", hunt.bug),
            (Some((seed, what)), true) => format!("{:?}: seed {seed}: {what}", hunt.bug),
            (Some((seed, what)), false) => {
                format!("{:?}: seed {seed} fails without it too: {what}", hunt.bug)
            }
        };
        Caught { is: hunt.is_caught(), line }
    });
    hunts.collect()
}

#[cfg(not(feature = "planted"))]
const fn planted(_: u64) -> Vec<Caught> {
    Vec::new()
}

/// How far it is, for somebody who watches.
fn progress(done: u64, all: u64, what: &str) {
    let mut terminal = stderr();
    if terminal.is_terminal() {
        let end = if done == all { "\n" } else { "" };
        // Who cannot be told loses nothing.
        drop(write!(terminal, "\r{done} of {all} {what}{end}"));
        drop(terminal.flush());
    }
}

fn as_json(findings: &Findings, caught: &[Caught]) -> serde_json::Value {
    let forks = findings.count(|v| matches!(v, Violation::Fork { .. }));
    let double_votes = findings.count(|v| matches!(v, Violation::DoubleVote { .. }));
    let framed = findings.count(|v| matches!(v, Violation::Framed { .. }));
    let lost = findings.count(|v| matches!(v, Violation::LostAcknowledgement { .. }));
    json!({
        "seeds": findings.seeds,
        "heights": findings.heights,
        "fewest_heights": findings.fewest_heights,
        "simulated_seconds": findings.simulated_ms / 1000,
        "wall_seconds": findings.wall_ms.div_ceil(1000),
        "messages": findings.messages,
        "acknowledged": findings.acknowledged,
        "longest_wait_heights": findings.waited,
        "trace": findings.trace.map(|trace| hex(&trace)),
        "faults": findings.faults,
        "faults_that_never_happened": findings.never(),
        "forks": forks,
        "double_votes": double_votes,
        "framed": framed,
        "lost_acknowledgements": lost,
        "failed_seeds": findings.failures.len(),
        "planted_caught": caught.iter().filter(|caught| caught.is).count(),
        "planted_total": caught.len(),
    })
}

fn print_text(findings: &Findings, caught: &[Caught]) {
    if findings.seeds > 0 {
        let simulated = findings.simulated_ms / findings.wall_ms.max(1);
        println!(
            "{} runs, {} heights (at least {} each), {} entries acknowledged, {} messages",
            findings.seeds,
            findings.heights,
            findings.fewest_heights,
            findings.acknowledged,
            findings.messages
        );
        println!(
            "{} s of virtual time in {} s: {simulated} to 1; no entry of a quorum waited for more than {} heights",
            findings.simulated_ms / 1000,
            findings.wall_ms / 1000,
            findings.waited
        );
        for (kind, count) in &findings.faults {
            println!("{count:>10} {kind}");
        }
        if let Some(trace) = &findings.trace {
            println!("trace {}", hex(trace));
        }
        println!("{} failed", findings.failures.len());
    }
    for caught in caught {
        println!("planted {}", caught.line);
    }
}

/// Each run that failed as a line to paste, and each bug that was missed.
fn print_failures(findings: &Findings, caught: &[Caught], heights: u64) {
    for failed in &findings.failures {
        eprintln!(
            "cargo xtask sim --first {} --seeds 1 --nodes {} --heights {heights} --planted none",
            failed.failure.report.seed, failed.validators
        );
        for violation in &failed.failure.violations {
            eprintln!("  {violation:?}");
        }
    }
    for kind in findings.never() {
        eprintln!("planned, and never happened: {kind}");
    }
    for missed in caught.iter().filter(|caught| !caught.is) {
        eprintln!("planted {}", missed.line);
    }
}
