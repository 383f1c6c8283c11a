//! `testnet`: several exchanges and followers on one machine, with keys and genesis made on the spot. For trying out and for tests: all
//! keys of a consortium on one disk are no consortium.

use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::task::Poll;

use ledger_client::act::Signatory;
use ledger_client::genesis::{GenesisPlan, NEWEST, default_limits, founder_signatory};
use ledger_client::keys;
use ledger_event::{
    Clock, Founder, PartyKind, PartyProfile, Purpose, Role, Validator, ValidatorSet,
};
use ledger_format::digest::LedgerId;
use ledger_store::write_durably;
use serde_json::{Value, json};

use crate::args::{DirArgs, TestnetArgs};
use crate::commands::{of, settings_of};
use crate::config::LogFormat;
use crate::failure::Failure;
use crate::founding::{self, Founding};
use crate::node::Node;
use crate::open::Layout;
use crate::replica_loop::now_ms;
use crate::report::{self, Output};
use crate::running::Signals;
use crate::setup::{
    FOUNDER, FounderKey, NodeKeyFiles, calendars, founder_keys, grant, node_keys, rule_sets,
    write_node_keys,
};
use crate::telemetry;

const ORIGIN: &str = "ledger.invalid/testnet";
/// First of the ports, unless told otherwise.
const BASE_PORT: u16 = 7500;
const ROLES: [Role; 3] = [Role::Exchange, Role::IdentityAuthority, Role::NodeOperator];

/// One exchange that founds the network.
struct Exchange {
    party: String,
    founder: Vec<FounderKey>,
    node: NodeKeyFiles,
}

/// `testnet`.
///
/// # Errors
/// What keeps it from being made or run.
pub(crate) async fn testnet(args: &TestnetArgs, output: Output) -> Result<(), Failure> {
    let directories = directories(args);
    founding::finish(&args.data_dir)?;
    let there = existing(&args.data_dir);
    if there.is_empty() {
        let nodes = directories.len().saturating_mul(2).saturating_sub(1);
        let base_port = args.base_port.unwrap_or(BASE_PORT);
        if usize::from(base_port).saturating_add(nodes) > usize::from(u16::MAX) {
            let why = "each node takes two ports, and the last is above 65535";
            return Err(Failure::config(format!("--base-port {base_port}: {why}")));
        }
        create(args, base_port, &directories)?;
    } else if there != directories {
        return Err(other_network(args, &there));
    } else {
        keeps_ports(args, &there)?;
        keeps_version(args, &there)?;
    }
    if args.init_only {
        return made(&directories, output);
    }
    telemetry::start(LogFormat::Text, tracing_subscriber::EnvFilter::new("warn"));
    let nodes = start_all(&directories).await?;
    let mut signals = Signals::new()?;
    announce(args, &nodes, &directories, output);
    tokio::select! {
        failed = first_of(nodes.iter().map(|(_, node)| node.failed())) => {
            let name = directories.get(failed).map(|directory| directory.display());
            tracing::error!(node = name.map(tracing::field::display), "a node has failed; the others are stopped");
        }
        () = signals.until_told() => {}
    }
    stop_all(nodes.into_iter().map(|(number, node)| (number, node.stop())), &directories).await
}

/// Says which directories are there, and the genesis hash, which is to be known before any node is asked for it.
fn made(directories: &[PathBuf], output: Output) -> Result<(), Failure> {
    let first = directories.first().cloned().unwrap_or_default();
    let genesis = Layout(first).read_genesis()?.document.id().to_string();
    let run = |directory: &PathBuf| format!("\nledger-node run --data-dir {}", directory.display());
    let text = format!("ledger {genesis}{}", directories.iter().map(run).collect::<String>());
    report::result(output, &text, &json!({ "directories": directories, "genesis": genesis }))
}

/// All nodes, each with its number; or what keeps one from starting, when those that have started are stopped again.
async fn start_all(directories: &[PathBuf]) -> Result<Vec<(usize, Node)>, Failure> {
    let mut starting = tokio::task::JoinSet::new();
    for (number, directory) in directories.iter().cloned().enumerate() {
        starting.spawn(async move {
            let start = async {
                let settings = settings_of(&DirArgs::at(directory.clone()))?;
                Node::start(&of(&directory, &settings)?).await
            };
            Ok((number, start.await.map_err(|failure| failure.of(&directory))?))
        });
    }
    let mut nodes = Vec::new();
    while let Some(started) = starting.join_next().await {
        match started.map_err(Failure::runtime).flatten() {
            Ok(node) => nodes.push(node),
            Err(failure) => {
                let stop =
                    nodes.into_iter().map(|(number, node): (usize, Node)| (number, node.stop()));
                let _like_the_first = stop_all(stop, directories).await;
                return Err(failure);
            }
        }
    }
    nodes.sort_by_key(|(number, _)| *number);
    Ok(nodes)
}

/// Which of several things happens first, by its number.
async fn first_of<F: Future<Output = ()>>(all: impl Iterator<Item = F>) -> usize {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    poll_fn(|context| {
        let done = all.iter_mut().position(|one| one.as_mut().poll(context).is_ready());
        done.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Stops all nodes, whatever one of them ends with, and says which one it is.
async fn stop_all<F>(
    nodes: impl Iterator<Item = (usize, F)>,
    directories: &[PathBuf],
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut stopping = tokio::task::JoinSet::new();
    for (number, stop) in nodes {
        let directory = directories.get(number).cloned().unwrap_or_default();
        stopping.spawn(async move { stop.await.map_err(|failure| failure.of(&directory)) });
    }
    let mut ended = Ok(());
    while let Some(stopped) = stopping.join_next().await {
        ended = ended.and(stopped.map_err(Failure::runtime).flatten());
    }
    ended
}

fn announce(args: &TestnetArgs, nodes: &[(usize, Node)], directories: &[PathBuf], output: Output) {
    let genesis = nodes.first().map(|(_, node)| node.shared.genesis.id().to_string());
    let genesis = genesis.unwrap_or_default();
    let rows: Vec<Value> = nodes
        .iter()
        .zip(directories)
        .map(|((number, node), directory)| {
            let role =
                if *number < usize::from(args.validators) { "validator" } else { "follower" };
            let grpc = format!("http://{}", node.address);
            json!({ "role": role, "grpc": grpc, "data_dir": directory })
        })
        .collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            format!("{:<10} {}  {}", text("role"), text("grpc"), text("data_dir"))
        })
        .collect();
    let first = rows.first().and_then(|row| row["grpc"].as_str()).unwrap_or_default();
    let text = format!(
        "ledger {genesis}\n{}\n\nnext: ledger-cli --node {first} export chain -o chain.ledger\n      \
         ledger-cli verify chain chain.ledger --trust {genesis}",
        lines.join("\n")
    );
    report::ready(output, &text, &json!({ "ready": true, "genesis": genesis, "nodes": rows }));
}

fn directories(args: &TestnetArgs) -> Vec<PathBuf> {
    let of = |kind: &str, number: u16| args.data_dir.join(format!("{kind}-{number}"));
    let validators = (1..=args.validators).map(|number| of("validator", number));
    validators.chain((1..=args.followers).map(|number| of("follower", number))).collect()
}

/// The directories of the network that is there, as [`directories`] lists them.
fn existing(data_dir: &Path) -> Vec<PathBuf> {
    let of = |kind: &'static str| {
        let all = (1_u16..).map(move |number| data_dir.join(format!("{kind}-{number}")));
        all.take_while(|directory| Layout(directory.clone()).genesis().exists())
    };
    of("validator").chain(of("follower")).collect()
}

/// Another network than the one that was asked for is neither started in part nor added to.
fn other_network(args: &TestnetArgs, there: &[PathBuf]) -> Failure {
    let names = there.iter().filter_map(|directory| directory.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    let validators = names.iter().filter(|name| name.starts_with("validator")).count();
    Failure::exists(format!(
        "{} holds {}: start them with --validators {validators} --followers {}",
        args.data_dir.display(),
        names.join(", "),
        names.len() - validators
    ))
}

/// A network's ports are in its nodes' settings: others that are asked for would be passed over in silence.
fn keeps_ports(args: &TestnetArgs, there: &[PathBuf]) -> Result<(), Failure> {
    let (Some(asked), Some(first)) = (args.base_port, there.first()) else { return Ok(()) };
    let port = settings_of(&DirArgs::at(first.clone()))?.listen.port();
    if asked == port {
        return Ok(());
    }
    let path = args.data_dir.display();
    Err(Failure::exists(format!(
        "{path} has ports from {port} on: leave --base-port out, or state that"
    )))
}

/// The same of the version that genesis states.
fn keeps_version(args: &TestnetArgs, there: &[PathBuf]) -> Result<(), Failure> {
    let (Some(asked), Some(first)) = (args.protocol_version, there.first()) else { return Ok(()) };
    let genesis = Layout(first.clone()).read_genesis()?.document;
    let version = genesis.message().protocol_version;
    if asked == version {
        return Ok(());
    }
    let path = args.data_dir.display();
    Err(Failure::exists(format!(
        "{path} was made with protocol version {version}: leave --protocol-version out, or state that"
    )))
}

/// Makes all directories: keys, the genesis that all founders sign, and a configuration.
fn create(
    args: &TestnetArgs,
    base_port: u16,
    directories: &[PathBuf],
) -> Result<LedgerId, Failure> {
    if let Some(taken) = directories.iter().find(|directory| directory.exists()) {
        return Err(Failure::exists(taken.display()));
    }
    let exchange = |number: u16| -> Result<Exchange, Failure> {
        let party = format!("exchange-{number}");
        Ok(Exchange { party, founder: founder_keys()?, node: node_keys()? })
    };
    let exchanges: Vec<Exchange> = (1..=args.validators).map(exchange).collect::<Result<_, _>>()?;
    let (id, file) = genesis(&exchanges, args.protocol_version.unwrap_or(NEWEST))?;
    let known: Vec<String> = exchanges
        .iter()
        .zip(0_u16..)
        .map(|(exchange, number)| {
            let [vote, ..] = &exchange.node;
            format!("\"{}@127.0.0.1:{}\"", keys::kid(&vote.1), ports(base_port, number).1)
        })
        .collect();
    let founding = Founding::begin(&args.data_dir)?;
    for (directory, number) in directories.iter().zip(0_u16..) {
        let directory = &founding.stage().join(directory.file_name().unwrap_or_default());
        let exchange = exchanges.get(usize::from(number));
        let node = match exchange {
            Some(exchange) => exchange.node.clone(),
            None => node_keys()?,
        };
        write_node(directory, &node, exchange)?;
        let role = if exchange.is_some() { "validator" } else { "follower" };
        let (grpc, peer) = ports(base_port, number);
        let config = format!(
            "listen = \"127.0.0.1:{grpc}\"\nrole = \"{role}\"\n\n[peer]\nlisten = \"127.0.0.1:{peer}\"\nknown = [{}]\n",
            known.join(", ")
        );
        let layout = Layout(directory.clone());
        fs::write(layout.config(), config).map_err(Failure::at(&layout.config()))?;
        write_durably(&layout.genesis(), &file)?;
    }
    founding.whole()?;
    Ok(id)
}

const fn ports(base_port: u16, number: u16) -> (u16, u16) {
    let first = base_port.saturating_add(number.saturating_mul(2));
    (first, first.saturating_add(1))
}

fn write_node(
    directory: &Path,
    node: &NodeKeyFiles,
    exchange: Option<&Exchange>,
) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(Failure::at(directory))?;
    let layout = Layout(directory.to_owned());
    write_node_keys(&layout, &layout.keys(), node)?;
    for key in exchange.map(|exchange| &exchange.founder).into_iter().flatten() {
        let path = directory.join(FOUNDER).join(format!("{}.pem", key.name));
        keys::write(&path, &key.key, None)?;
    }
    Ok(())
}

fn genesis(exchanges: &[Exchange], protocol_version: u32) -> Result<(LedgerId, Vec<u8>), Failure> {
    let validators = exchanges.iter().map(validator).collect();
    let founders = exchanges.iter().map(founder).collect();
    let quorum = exchanges.len() - exchanges.len().saturating_sub(1) / 3;
    let plan = GenesisPlan {
        name: "A network for trying out".into(),
        origin: ORIGIN.into(),
        protocol_version,
        clock: Clock::Wall,
        start_ms: now_ms(),
        founders,
        governance_threshold: u32::try_from(quorum).unwrap_or(1),
        validators: ValidatorSet { validators },
        rule_sets: rule_sets()?,
        calendars: calendars()?,
        limits: default_limits(),
    };
    let signatory = |(number, exchange): (usize, &Exchange)| {
        let key = exchange.founder.first()?;
        let signatory = Signatory::new(&exchange.party, Role::Exchange, Purpose::Issue, &key.key);
        Some(founder_signatory(number == 0, &signatory))
    };
    let signatories: Vec<Signatory> = exchanges.iter().enumerate().filter_map(signatory).collect();
    let (document, file) = plan.sign(&signatories)?;
    Ok((document.id(), file))
}

fn founder(exchange: &Exchange) -> Founder {
    let keys = exchange.founder.iter();
    Founder {
        party: exchange.party.clone(),
        profile: Some(PartyProfile {
            kind: PartyKind::Legal.into(),
            name_en: format!("{} of a test network", exchange.party),
            jurisdiction: "CN".into(),
            ..PartyProfile::default()
        }),
        roles: ROLES.iter().map(|role| i32::from(*role)).collect(),
        keys: keys.map(|k| grant(&exchange.party, &k.key, k.factor, k.officer)).collect(),
    }
}

fn validator(exchange: &Exchange) -> Validator {
    crate::setup::validator(&exchange.party, ORIGIN, &exchange.node)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SOON: std::time::Duration = std::time::Duration::from_secs(5);

    #[tokio::test]
    async fn whichever_node_ends_is_noticed() {
        for ends in 0..3 {
            let node = |number| -> Pin<Box<dyn Future<Output = ()>>> {
                if number == ends { Box::pin(ready(())) } else { Box::pin(pending()) }
            };
            let first = first_of((0..3).map(node));
            assert_eq!(tokio::time::timeout(SOON, first).await, Ok(ends));
        }
    }

    #[tokio::test]
    async fn all_nodes_are_stopped_and_the_one_that_failed_is_named() {
        let stopped = Arc::new(AtomicUsize::new(0));
        let nodes = (0..3).map(|number| {
            let stopped = Arc::clone(&stopped);
            let stop = async move {
                if number == 1 {
                    return Err(Failure::twin("its key"));
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                stopped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            (number, stop)
        });
        let directories = ["net/validator-1", "net/validator-2", "net/validator-3"];
        let failure = stop_all(nodes, &directories.map(PathBuf::from)).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.exit), ("NODE_TWIN", 34));
        assert!(failure.message.starts_with("net/validator-2: "), "{}", failure.message);
        assert_eq!(stopped.load(Ordering::Relaxed), 2);
    }
}
