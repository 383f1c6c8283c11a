//! `ledger-sim`: many runs from seeds; exit code 0 only when nothing was found.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program prints what it found")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ledger_sim::campaign::{Campaign, Findings};
use ledger_sim::checks::Violation;
use serde_json::json;

/// Simulates whole networks
#[derive(Debug, Parser)]
#[command(name = "ledger-sim")]
struct Cli {
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, alias = "seed", default_value_t = 1)]
    first: u64,
    /// Validators of each network
    #[arg(long, default_value_t = 4)]
    nodes: usize,
    /// Heights that each network must reach under faults
    #[arg(long, default_value_t = 50)]
    heights: u64,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Cli { seeds, first, nodes, heights, output } = cli;
    let findings = Campaign { first, seeds, validators: nodes, heights }.go();
    match output {
        Output::Json => println!("{}", as_json(&findings)),
        Output::Text => print_text(&findings),
    }
    for failure in &findings.failures {
        eprintln!(
            "cargo xtask sim --first {} --seeds 1 --nodes {nodes} --heights {heights}",
            failure.report.seed
        );
        for violation in &failure.violations {
            eprintln!("  {violation:?}");
        }
    }
    if findings.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn as_json(findings: &Findings) -> serde_json::Value {
    let forks = findings.count(|v| matches!(v, Violation::Fork { .. }));
    let double_votes = findings.count(|v| matches!(v, Violation::DoubleVote { .. }));
    let lost = findings.count(|v| matches!(v, Violation::LostAcknowledgement { .. }));
    json!({
        "seeds": findings.seeds,
        "heights": findings.heights,
        "fewest_heights": findings.fewest_heights,
        "simulated_seconds": findings.simulated_ms / 1000,
        "wall_seconds": findings.wall_ms.div_ceil(1000),
        "messages": findings.messages,
        "acknowledged": findings.acknowledged,
        "faults": findings.faults,
        "forks": forks,
        "double_votes": double_votes,
        "lost_acknowledgements": lost,
        "failed_seeds": findings.failures.len(),
    })
}

fn print_text(findings: &Findings) {
    let simulated = findings.simulated_ms / findings.wall_ms.max(1);
    println!(
        "{} seeds, {} heights (at least {} each), {} entries acknowledged, {} messages",
        findings.seeds,
        findings.heights,
        findings.fewest_heights,
        findings.acknowledged,
        findings.messages
    );
    println!(
        "{} s of virtual time in {} s: {simulated} to 1",
        findings.simulated_ms / 1000,
        findings.wall_ms / 1000
    );
    for (kind, count) in &findings.faults {
        println!("{count:>10} {kind}");
    }
    println!("{} failed", findings.failures.len());
}
