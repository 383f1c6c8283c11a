//! Settings: flag > `LEDGER_*` environment > file > default. Unknown keys are refused, and every mistake is reported at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ledger_peer::Neighbours;
use ledger_replica::{PoolLimits, Settings};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::peers::PeerOptions;

mod peers;

use peers::{Allowed, Known, Listen};

/// One setting: its key in files, its variable, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Key in the file, dotted below a table.
    pub key: &'static str,
    /// Environment variable.
    pub variable: &'static str,
    /// Default.
    pub default: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
}

/// Every setting of a node.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        variable: "LEDGER_LISTEN",
        default: "127.0.0.1:7440",
        about: "address of the gRPC services",
    },
    Setting {
        key: "role",
        variable: "LEDGER_ROLE",
        default: "validator",
        about: "`validator`: votes with its key; `follower`: replicates and verifies, never votes",
    },
    Setting {
        key: "peer.listen",
        variable: "LEDGER_PEER_LISTEN",
        default: "",
        about: "address for other nodes (TLS 1.3 both ways); empty: nobody connects",
    },
    Setting {
        key: "peer.known",
        variable: "LEDGER_PEER_KNOWN",
        default: "",
        about: "validators to connect to, as `ID@HOST:PORT`, separated by commas (an array in the file)",
    },
    Setting {
        key: "peer.followers",
        variable: "LEDGER_PEER_FOLLOWERS",
        default: "16",
        about: "most followers that may be connected at one time",
    },
    Setting {
        key: "peer.allowed",
        variable: "LEDGER_PEER_ALLOWED",
        default: "",
        about: "identities of the followers that may connect, separated by commas (an array in the file); empty: anybody",
    },
    Setting {
        key: "log.format",
        variable: "LEDGER_LOG_FORMAT",
        default: "text",
        about: "log lines as `text` or `json`, on standard error",
    },
    Setting {
        key: "log.filter",
        variable: "LEDGER_LOG_FILTER",
        default: "info",
        about: "which lines: a level, or targets with levels (`info,ledger_node=debug`)",
    },
    Setting {
        key: "block.gather_ms",
        variable: "LEDGER_BLOCK_GATHER_MS",
        default: "2",
        about: "milliseconds to gather entries before a block after a quiet time",
    },
    Setting {
        key: "pool.entries",
        variable: "LEDGER_POOL_ENTRIES",
        default: "65536",
        about: "most entries that may wait for a block",
    },
    Setting {
        key: "pool.bytes",
        variable: "LEDGER_POOL_BYTES",
        default: "67108864",
        about: "most bytes of waiting entries",
    },
    Setting {
        key: "client.connections",
        variable: "LEDGER_CLIENT_CONNECTIONS",
        default: "0",
        about: "most clients that may be connected at one time; 0: as many as descriptors leave",
    },
    Setting {
        key: "check.threads",
        variable: "LEDGER_CHECK_THREADS",
        default: "0",
        about: "threads that check signatures; 0: as many as cores",
    },
];

/// Variables of the same prefix that other programs of the ledger know.
const OTHER_VARIABLES: &[&str] = &[
    "LEDGER_CONFIG",
    "LEDGER_DATA_DIR",
    "LEDGER_NODE",
    "LEDGER_TRUST",
    "LEDGER_KEYS",
    "LEDGER_PASSPHRASE_FILE",
];

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("expected `text` or `json`, found {other:?}")),
        }
    }
}

/// What a node does on its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleSetting {
    /// Votes.
    Validator,
    /// Follows.
    Follower,
}

impl FromStr for RoleSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "validator" => Ok(Self::Validator),
            "follower" => Ok(Self::Follower),
            other => Err(format!("expected `validator` or `follower`, found {other:?}")),
        }
    }
}

/// Settings in force, and where each came from.
#[derive(Debug)]
pub struct Config {
    /// Address of the gRPC services.
    pub listen: SocketAddr,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Which log lines.
    pub log_filter: EnvFilter,
    /// How the replica behaves.
    pub settings: Settings,
    /// Threads that check signatures.
    pub check_threads: usize,
    /// Whether the node votes.
    pub role: RoleSetting,
    /// How the node meets others.
    pub peers: PeerOptions,
    /// Connections of clients at one time; zero: as many as descriptors leave.
    pub connections: usize,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Value and origin of each setting, in the order of [`SETTINGS`].
    pub origins: Vec<(&'static str, String, String)>,
}

/// Where values come from, the strongest first.
#[derive(Debug, Default)]
pub struct Sources {
    /// By key.
    pub flags: BTreeMap<&'static str, String>,
    /// By variable.
    pub environment: BTreeMap<String, String>,
    /// Path and text.
    pub file: Option<(PathBuf, String)>,
}

/// Resolves all settings.
///
/// # Errors
/// `NODE_CONFIG` with every mistake.
pub fn resolve(sources: &Sources) -> Result<Config, Failure> {
    let mut mistakes = Vec::new();
    let file = read_file(sources, &mut mistakes);
    unknown_variables(sources, &mut mistakes);
    let mut values = Values { sources, file, mistakes, origins: Vec::new() };
    let config = (
        values.get::<SocketAddr>("listen"),
        values.get::<RoleSetting>("role"),
        values.get::<Listen>("peer.listen"),
        values.get::<Known>("peer.known"),
        values.number("peer.followers", 0, 1_024),
        values.get::<Allowed>("peer.allowed"),
        values.get::<LogFormat>("log.format"),
        values.get::<EnvFilter>("log.filter"),
        values.number("block.gather_ms", 0, 10_000),
        values.number("pool.entries", 1, 10_000_000),
        values.number("pool.bytes", 65_536, 8 * 1024 * 1024 * 1024),
        values.number("client.connections", 0, 65_536),
        values.number("check.threads", 0, 1_024),
    );
    let Values { mistakes, origins, .. } = values;
    match config {
        (
            Some(listen),
            Some(role),
            Some(Listen(peer_listen)),
            Some(Known(peers)),
            Some(followers),
            Some(Allowed(allowed_followers)),
            Some(log_format),
            Some(log_filter),
            Some(gather),
            Some(entries),
            Some(bytes),
            Some(connections),
            Some(threads),
        ) if mistakes.is_empty() => {
            let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let pool = PoolLimits { entries: size(entries), bytes: size(bytes) };
            let gather = Duration::from_millis(gather);
            let settings = Settings { gather, pool, ..Settings::default() };
            let max_followers = size(followers);
            let neighbours = Neighbours { peers, max_followers, allowed_followers };
            let peers = PeerOptions { listen: peer_listen, neighbours };
            let check_threads = if threads == 0 { cores() } else { size(threads) };
            Ok(Config {
                listen,
                log_format,
                log_filter,
                settings,
                check_threads,
                role,
                peers,
                connections: size(connections),
                file: sources.file.as_ref().map(|(path, _)| path.clone()),
                origins,
            })
        }
        _ => Err(Failure::config(mistakes.join("; "))),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The file as dotted keys.
fn read_file(sources: &Sources, mistakes: &mut Vec<String>) -> BTreeMap<String, String> {
    let Some((path, text)) = &sources.file else { return BTreeMap::new() };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            mistakes.push(format!("{}: {error}", path.display()));
            return BTreeMap::new();
        }
    };
    let mut values = BTreeMap::new();
    flatten("", &table, &mut values);
    for key in values.keys() {
        if !SETTINGS.iter().any(|setting| setting.key == key) {
            let near = nearest(key, SETTINGS.iter().map(|setting| setting.key));
            mistakes.push(format!("{}: unknown key `{key}`{near}", path.display()));
        }
    }
    values
}

fn flatten(prefix: &str, table: &toml::Table, values: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(table) => flatten(&key, table, values),
            toml::Value::String(text) => drop(values.insert(key, text.clone())),
            toml::Value::Array(items) => {
                let text =
                    |item: &toml::Value| item.as_str().map_or(item.to_string(), str::to_owned);
                let items: Vec<String> = items.iter().map(text).collect();
                values.insert(key, items.join(","));
            }
            other => drop(values.insert(key, other.to_string())),
        }
    }
}

fn unknown_variables(sources: &Sources, mistakes: &mut Vec<String>) {
    for name in sources.environment.keys().filter(|name| name.starts_with("LEDGER_")) {
        let known =
            SETTINGS.iter().map(|setting| setting.variable).chain(OTHER_VARIABLES.iter().copied());
        if !known.clone().any(|known| known == name) {
            mistakes
                .push(format!("environment: unknown variable `{name}`{}", nearest(name, known)));
        }
    }
}

/// A hint at the known name that was probably meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let distance = |known: &str| {
        let same = known.chars().zip(name.chars()).filter(|(a, b)| a == b).count();
        known.chars().count().max(name.chars().count()) - same
    };
    match known.map(|known| (distance(known), known)).min() {
        Some((distance, known)) if distance <= 3 => format!(" (did you mean `{known}`?)"),
        _ => String::new(),
    }
}

struct Values<'a> {
    sources: &'a Sources,
    file: BTreeMap<String, String>,
    mistakes: Vec<String>,
    origins: Vec<(&'static str, String, String)>,
}

impl Values<'_> {
    fn find(&mut self, key: &'static str) -> Option<(String, String)> {
        let setting = SETTINGS.iter().find(|setting| setting.key == key)?;
        let flag = self
            .sources
            .flags
            .get(key)
            .map(|value| (value.clone(), format!("--{}", key.replace(['.', '_'], "-"))));
        let variable = self
            .sources
            .environment
            .get(setting.variable)
            .map(|value| (value.clone(), setting.variable.to_owned()));
        let path = self
            .sources
            .file
            .as_ref()
            .map_or_else(String::new, |(path, _)| path.display().to_string());
        let file = self.file.get(key).map(|value| (value.clone(), path));
        let found = flag
            .or(variable)
            .or(file)
            .unwrap_or_else(|| (setting.default.to_owned(), "default".to_owned()));
        self.origins.push((setting.key, found.0.clone(), found.1.clone()));
        Some(found)
    }

    fn get<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        let (value, origin) = self.find(key)?;
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.mistakes.push(format!("{origin}: `{key}` = {value:?}: {error}"));
                None
            }
        }
    }

    fn number(&mut self, key: &'static str, least: u64, most: u64) -> Option<u64> {
        let number = self.get::<u64>(key)?;
        if (least..=most).contains(&number) {
            return Some(number);
        }
        let origin = self.origins.last().map_or_else(String::new, |(_, _, origin)| origin.clone());
        self.mistakes.push(format!("{origin}: `{key}` = {number}: expected {least} to {most}"));
        None
    }
}

/// Reads a configuration file. The one of the data directory may be missing, one that was named may not.
///
/// # Errors
/// `NODE_CONFIG` when it cannot be read, `NODE_RUNTIME` when nobody can see whether the directory has one.
pub fn file(named: Option<&Path>, default: &Path) -> Result<Option<(PathBuf, String)>, Failure> {
    let path = named.unwrap_or(default);
    if named.is_none() && !path.try_exists().map_err(Failure::at(path))? {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Failure::config(format!("{}: {error}", path.display())))?;
    Ok(Some((path.to_owned(), text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(
        flags: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: &str,
    ) -> Sources {
        Sources {
            flags: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
            environment: environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            file: Some((PathBuf::from("config.toml"), file.to_owned())),
        }
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let file = "listen = \"127.0.0.1:3\"\n[pool]\nentries = 7\n[log]\nformat = \"json\"\n";
        let environment = [("LEDGER_LISTEN", "127.0.0.1:2"), ("LEDGER_POOL_ENTRIES", "9")];
        let config = resolve(&sources(&[("listen", "127.0.0.1:1")], &environment, file)).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.settings.pool.entries, 9);
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!(config.settings.pool.bytes, 64 * 1024 * 1024);
        let stated: Vec<(&str, &str)> = config
            .origins
            .iter()
            .filter(|(.., origin)| origin != "default")
            .map(|(key, _, origin)| (*key, origin.as_str()))
            .collect();
        let expected = [
            ("listen", "--listen"),
            ("log.format", "config.toml"),
            ("pool.entries", "LEDGER_POOL_ENTRIES"),
        ];
        assert_eq!(stated, expected);
        assert_eq!(config.origins.len(), SETTINGS.len());
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let file = "listne = \"x\"\n[pool]\nentries = 0\n[log]\nformat = \"xml\"\n";
        let failure =
            resolve(&sources(&[], &[("LEDGER_LISTN", "y"), ("LEDGER_LISTEN", "nowhere")], file))
                .unwrap_err();
        for part in [
            "unknown key `listne` (did you mean `listen`?)",
            "unknown variable `LEDGER_LISTN`",
            "`pool.entries` = 0: expected 1 to",
            "`log.format` = \"xml\"",
            "`listen` = \"nowhere\"",
        ] {
            assert!(failure.message.contains(part), "{part} is missing in {}", failure.message);
        }
        assert_eq!(failure.exit, 2);
    }

    #[test]
    fn a_peer_that_is_listed_twice_is_a_mistake_like_others() {
        let id = "ab".repeat(32);
        let known = format!("{id}@one.example:7441,{id}@two.example:7441");
        let environment = [("LEDGER_PEER_KNOWN", known.as_str()), ("LEDGER_ROLE", "x")];
        let failure = resolve(&sources(&[], &environment, "")).unwrap_err();
        for part in ["LEDGER_PEER_KNOWN: `peer.known` = ", "two peers have the identity", "`role`"]
        {
            assert!(failure.message.contains(part), "{part} is missing in {}", failure.message);
        }
        assert_eq!(failure.exit, 2);
    }

    #[test]
    fn every_entry_of_a_list_that_is_wrong_is_named() {
        let good = format!("{}@one.example:7441", "ab".repeat(32));
        let file =
            format!("[peer]\nknown = [\"x@a:1\", \"{good}\", \"y\"]\nallowed = [\"z\", \"w\"]\n");
        let failure = resolve(&sources(&[], &[], &file)).unwrap_err();
        for part in ["\"x@a:1\": ", "ID@HOST:PORT, found \"y\"", "\"z\": ", "\"w\": "] {
            assert!(failure.message.contains(part), "{part} is missing in {}", failure.message);
        }
    }

    #[test]
    fn a_file_that_is_no_toml_names_the_place() {
        let failure = resolve(&sources(&[], &[], "listen = ")).unwrap_err();
        assert!(
            failure.message.contains("config.toml: TOML parse error at line 1"),
            "{}",
            failure.message
        );
    }
}
