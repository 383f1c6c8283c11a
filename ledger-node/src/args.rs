//! The command line.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use ledger_client::genesis::NEWEST;
use ledger_format::digest::LedgerId;

use crate::report::Output;

/// A node of the provenance ledger.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ledger-node",
    version,
    about,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Form of the answer; log lines have their own setting.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Output,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Starts a demonstration ledger: one command, real data, the whole way from registration to delivery.
    #[command(after_help = DEV_EXAMPLES)]
    Dev(DevArgs),
    /// Makes a new ledger of one validator: node keys, founder's keys, signed genesis. With --genesis, a node of a network instead.
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
    /// Runs a node until it is told to stop (SIGTERM or Ctrl-C).
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Lets a validator that was copied, restored or moved, or has lost its disk, find its way back without ever voting twice. The node
    /// must not run.
    #[command(after_help = RECOVER_EXAMPLES)]
    Recover(RecoverArgs),
    /// Fills a new follower from an exported chain, verified whole, that contains a block you trust. The node must not run.
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
    /// Rebuilds everything but blocks, by verifying and executing all blocks again. The node must not run.
    Reindex(DirArgs),
    /// Tells how a node is: over the network when one answers, else from its data directory.
    Status(StatusArgs),
    /// Prints the settings in force and where each came from.
    Config(RunArgs),
    /// Shows a node's keys, makes those that it will have, and lets them take the place of the ones that it has.
    #[command(after_help = KEYS_EXAMPLES)]
    Keys(KeysArgs),
    /// Makes a network of several exchanges on this machine and runs it until it is told to stop. A second start goes on.
    #[command(after_help = TESTNET_EXAMPLES)]
    Testnet(TestnetArgs),
}

/// Where a node listens unless told otherwise; `ledger-cli` looks there.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7440);

const DEV_EXAMPLES: &str = "Examples:
  ledger-node dev
  ledger-node dev --once -o json
  ledger-node dev --data-dir /tmp/demo --listen 127.0.0.1:0 \\
      --import my/datapackage.json";

const INIT_EXAMPLES: &str = "Examples:
  ledger-node init --data-dir /var/lib/ledger --party gzdex \\
      --name 'Guangzhou Data Exchange' --jurisdiction CN \\
      --ledger-name 'Greater Bay Area provenance' \\
      --origin ledger.gzdex.example/gba
  ledger-node init --data-dir /var/lib/ledger --genesis gba.genesis \\
      --trust GENESIS_HASH";

const RUN_EXAMPLES: &str = "Examples:
  ledger-node run --data-dir /var/lib/ledger
  LEDGER_LOG_FORMAT=json ledger-node run --data-dir /var/lib/ledger \\
      --listen 127.0.0.1:7440";

const RECOVER_EXAMPLES: &str = "Examples:
  ledger-node recover --data-dir /var/lib/ledger
  ledger-node recover --data-dir /var/lib/ledger --alone";

const RESTORE_EXAMPLES: &str = "Examples:
  ledger-cli --node http://ledger.szdex.example:7440 checkpoint > head.note
  ledger-cli --node http://ledger.hkdex.example:7440 export chain \\
      -o chain.ledger
  ledger-node restore --data-dir /var/lib/follower --snapshot chain.ledger \\
      --checkpoint head.note";

const KEYS_EXAMPLES: &str = "Examples:
  ledger-node keys new --data-dir /var/lib/ledger
  ledger-node keys next --data-dir /var/lib/ledger -o json";

/// Options of `keys`.
#[derive(Clone, Debug, Args)]
pub struct KeysArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: KeysCommand,

    /// Data directory of the node.
    #[arg(long, global = true, env = "LEDGER_DATA_DIR", value_name = "DIR", default_value = ".")]
    pub data_dir: PathBuf,
}

/// What to do with a node's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum KeysCommand {
    /// Shows the public keys, and those that wait.
    Show,
    /// Makes keys for a node that has none.
    New,
    /// Makes keys that wait in keys/next until the validators have put them into the set. The node reads them when it starts.
    Next,
    /// Lets the waiting keys take the place of the node's. Once the change is in force, and at any time after it.
    Promote,
}

const TESTNET_EXAMPLES: &str = "Examples:
  ledger-node testnet --validators 4 --followers 2
  ledger-node testnet --validators 4 --data-dir /tmp/net --base-port 7500 \\
      -o json";

/// As many as genesis has founders (`MAX_FOUNDERS`).
const MAX_VALIDATORS: i64 = 16;

/// Options of `testnet`.
#[derive(Clone, Debug, Args)]
pub struct TestnetArgs {
    /// Validators, each of an exchange of its own: genesis has at most 16 founders.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=MAX_VALIDATORS))]
    pub validators: u16,

    /// Followers.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=32))]
    pub followers: u16,

    /// Version of the protocol of a network that is made; an older one, to rehearse an upgrade. A network that is there keeps its own
    /// [default: the newest].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(NEWEST)))]
    pub protocol_version: Option<u32>,

    /// Where the nodes keep their data, each in a directory of its own.
    #[arg(long, value_name = "DIR", default_value = "ledger-data/testnet")]
    pub data_dir: PathBuf,

    /// First of the ports: each node takes two, for its services and for its peers. A network that is there keeps its ports
    /// [default: 7500].
    #[arg(long, value_name = "PORT")]
    pub base_port: Option<u16>,

    /// Make the directories and stop: the nodes are started one by one with `ledger-node run`.
    #[arg(long)]
    pub init_only: bool,
}

/// Where a node keeps its data, and what it is told to be.
#[derive(Clone, Debug, Args)]
pub struct DirArgs {
    /// Data directory of the node.
    #[arg(long, env = "LEDGER_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Settings file [default: config.toml in the data directory, if it is there].
    #[arg(long, env = "LEDGER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl DirArgs {
    /// A node on a directory, with the settings that are in it.
    pub(crate) const fn at(data_dir: PathBuf) -> Self {
        Self { data_dir, config: None }
    }

    /// The command that runs the node.
    pub(crate) fn run(&self) -> String {
        let config = self.config.iter().map(|file| format!(" --config {}", file.display()));
        let config: String = config.collect();
        format!("ledger-node run --data-dir {}{config}", self.data_dir.display())
    }
}

/// Options of `recover`.
#[derive(Clone, Debug, Args)]
pub struct RecoverArgs {
    /// The node, with its keys and genesis.
    #[command(flatten)]
    pub dir: DirArgs,

    /// Vote again as soon as the node has the blocks that the others have, on the word of the operator that no other copy of this
    /// validator runs or has run since. For a ledger that cannot go on without it.
    #[arg(long)]
    pub alone: bool,

    /// As for `run`, where that is told by a flag: whoever is named may have come in since the blocks that are here.
    #[arg(long, value_name = "PEERS")]
    pub peer_known: Option<String>,
}

impl RecoverArgs {
    /// The settings that were given as flags, by key.
    pub(crate) fn flags(&self) -> BTreeMap<&'static str, String> {
        self.peer_known.iter().map(|known| ("peer.known", known.clone())).collect()
    }
}

/// Options of `restore`.
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// Data directory of the node: it holds the genesis file and the keys, and no blocks yet.
    #[arg(long, env = "LEDGER_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Exported chain (`ledger-cli export chain`).
    #[arg(long, value_name = "FILE")]
    pub snapshot: PathBuf,

    /// A block that the chain must contain: its hash in hex, or a file with a checkpoint (`ledger-cli checkpoint`), from somebody
    /// you trust.
    #[arg(long, value_name = "HASH|FILE")]
    pub checkpoint: String,
}

/// Options of `dev`.
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// Where the demonstration keeps its data. A second start goes on with what is there.
    #[arg(long, value_name = "DIR", default_value = "ledger-data/dev")]
    pub data_dir: PathBuf,

    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value_t = DEFAULT_LISTEN)]
    pub listen: SocketAddr,

    /// Catalogue to import instead of the shipped one: datapackage.json, CSV, CKAN or DCAT JSON, or a directory.
    #[arg(long, value_name = "PATH")]
    pub import: Option<PathBuf>,

    /// Stop when the demonstration is done.
    #[arg(long)]
    pub once: bool,
}

fn ledger_id(text: &str) -> Result<LedgerId, String> {
    LedgerId::from_hex(text).map_err(|error| error.to_string())
}

/// Options of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Where to make the ledger. Must not hold one.
    #[arg(long, env = "LEDGER_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// The genesis file that all founders signed (`ledger-cli network genesis seal`): a validator or follower of that network.
    #[arg(long, value_name = "FILE", conflicts_with = "Founding")]
    pub genesis: Option<PathBuf>,

    /// The genesis hash that the founders published: another file is refused. Without it, compare the hash that is printed.
    #[arg(long, value_name = "HASH", requires = "genesis", value_parser = ledger_id)]
    pub trust: Option<LedgerId>,

    /// A ledger of one validator instead.
    #[command(flatten)]
    pub founding: Option<Founding>,
}

/// Options of `init` for a new ledger of one validator.
#[derive(Clone, Debug, Args)]
pub struct Founding {
    /// Id of the founding party: lower-case letters, digits, dots and hyphens.
    #[arg(long, value_name = "ID", required_unless_present = "genesis")]
    pub party: String,

    /// Name of the founding organisation.
    #[arg(long, value_name = "NAME", required_unless_present = "genesis")]
    pub name: String,

    /// Its jurisdiction, ISO 3166-1 alpha-2.
    #[arg(long, value_name = "CC", default_value = "CN")]
    pub jurisdiction: String,

    /// Name of the ledger.
    #[arg(long, value_name = "NAME", required_unless_present = "genesis")]
    pub ledger_name: String,

    /// Origin line of its checkpoints: a host and path that the consortium controls, without scheme.
    #[arg(long, value_name = "HOST/PATH", required_unless_present = "genesis")]
    pub origin: String,

    /// What header times mean. A declared clock follows what entries claim and proves no time.
    #[arg(long, value_enum, default_value_t = ClockArg::Wall)]
    pub clock: ClockArg,

    /// When a declared clock begins, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    pub start: Option<u64>,

    /// File with the passphrase that encrypts the founder's keys; asked for on the terminal without it [env: LEDGER_PASSPHRASE_FILE].
    // Not read by clap, to which a variable would be as good as typed: --genesis and --plain-keys would not go with it.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// Leave the founder's keys unencrypted. For trials only.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub plain_keys: bool,
}

/// Milliseconds since 1970 of an RFC 3339 instant.
fn milliseconds(text: &str) -> Result<u64, String> {
    let time: Timestamp = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    u64::try_from(time.as_millisecond()).map_err(|_negative| format!("{text:?} is before 1970"))
}

/// What header times mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockArg {
    /// The proposers' clocks.
    Wall,
    /// What entries claim.
    Declared,
}

/// Options of `run`. Flags win over `LEDGER_*` variables, those over the file, the file over defaults.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Its directory and its file.
    #[command(flatten)]
    pub dir: DirArgs,

    /// Address of the gRPC services [default: 127.0.0.1:7440].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// What the node does: `validator` or `follower` [default: validator].
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,

    /// Address for other nodes; without it nobody connects.
    #[arg(long, value_name = "ADDR")]
    pub peer_listen: Option<String>,

    /// Validators to connect to, as `ID@HOST:PORT`, separated by commas.
    #[arg(long, value_name = "PEERS")]
    pub peer_known: Option<String>,

    /// Most followers that may be connected at one time [default: 16].
    #[arg(long, value_name = "N")]
    pub peer_followers: Option<String>,

    /// Identities of the followers that may connect, separated by commas [default: anybody].
    #[arg(long, value_name = "IDS")]
    pub peer_allowed: Option<String>,

    /// Log lines as `text` or `json` [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Which log lines: a level, or targets with levels [default: info].
    #[arg(long, value_name = "FILTER")]
    pub log_filter: Option<String>,

    /// Milliseconds to gather entries before a block after a quiet time [default: 2].
    #[arg(long, value_name = "MS")]
    pub block_gather_ms: Option<String>,

    /// Most entries that may wait for a block [default: 65536].
    #[arg(long, value_name = "N")]
    pub pool_entries: Option<String>,

    /// Most bytes of waiting entries [default: 67108864].
    #[arg(long, value_name = "BYTES")]
    pub pool_bytes: Option<String>,

    /// Most clients that may be connected at one time; others wait; 0: as many as descriptors leave [default: 0].
    #[arg(long, value_name = "N")]
    pub client_connections: Option<String>,

    /// Threads that check signatures; 0: as many as cores [default: 0].
    #[arg(long, value_name = "N")]
    pub check_threads: Option<String>,
}

impl RunArgs {
    /// The settings that were given as flags, by key.
    pub fn flags(&self) -> BTreeMap<&'static str, String> {
        let all = [
            ("listen", &self.listen),
            ("role", &self.role),
            ("peer.listen", &self.peer_listen),
            ("peer.known", &self.peer_known),
            ("peer.followers", &self.peer_followers),
            ("peer.allowed", &self.peer_allowed),
            ("log.format", &self.log_format),
            ("log.filter", &self.log_filter),
            ("block.gather_ms", &self.block_gather_ms),
            ("pool.entries", &self.pool_entries),
            ("pool.bytes", &self.pool_bytes),
            ("client.connections", &self.client_connections),
            ("check.threads", &self.check_threads),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

/// Options of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Address of the node's gRPC services [default: where its settings have it listen, or http://127.0.0.1:7440].
    #[arg(long, env = "LEDGER_NODE", value_name = "URL")]
    pub node: Option<String>,

    /// Data directory of the node: it tells where to ask, and is looked into when no node answers.
    #[arg(long, env = "LEDGER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Settings file of the node, which tells where to ask [default: config.toml in the data directory, if it is there].
    #[arg(long, env = "LEDGER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use ledger_format::limits::MAX_FOUNDERS;

    use super::*;

    #[test]
    fn examples_of_the_help_can_be_pasted_from_a_terminal_of_80_columns() {
        let mut shown = 0;
        for command in Cli::command().get_subcommands() {
            let Some(help) = command.get_after_help().map(ToString::to_string) else { continue };
            let rendered = command.clone().term_width(80).render_help().to_string();
            for line in help.lines().filter(|line| line.starts_with("  ")) {
                assert!(rendered.contains(line), "{}: wrapped: {line}", command.get_name());
                shown += 1;
            }
        }
        assert!(shown > 10);
    }

    #[test]
    fn a_network_for_trying_out_has_no_more_exchanges_than_genesis_has_founders() {
        assert_eq!(usize::try_from(MAX_VALIDATORS), Ok(MAX_FOUNDERS));
        let parsed = |count: &str| {
            Cli::try_parse_from(["ledger-node", "testnet", "--validators", count]).is_ok()
        };
        assert!(parsed("16") && !parsed("17") && !parsed("0"));
    }

    #[test]
    fn whatever_takes_settings_takes_their_file() {
        for command in ["run", "config", "recover", "reindex", "status"] {
            let typed = ["ledger-node", command, "--data-dir", "data", "--config", "settings.toml"];
            let parsed = Cli::try_parse_from(typed).map(|cli| cli.command);
            let config = match parsed {
                Ok(Command::Run(args) | Command::Config(args)) => args.dir.config,
                Ok(Command::Recover(args)) => args.dir.config,
                Ok(Command::Reindex(args)) => args.config,
                Ok(Command::Status(args)) => args.config,
                other => panic!("{command}: {other:?}"),
            };
            assert_eq!(config, Some(PathBuf::from("settings.toml")), "{command}");
        }
    }
}
