//! What the demonstration tells at its end: what happened, and what to try next.

use std::net::SocketAddr;
use std::path::PathBuf;

use ledger_client::import::Remark;
use ledger_format::digest::LedgerId;
use ledger_format::id::Subject;
use serde_json::{Value, json};

use crate::args::DEFAULT_LISTEN;
use crate::dev::Import;

/// Skipped records that are shown; all are counted.
const SKIPPED_SHOWN: usize = 10;

/// What happened.
pub(crate) struct Summary {
    pub(crate) data_dir: PathBuf,
    pub(crate) once: bool,
    pub(crate) address: SocketAddr,
    pub(crate) genesis: LedgerId,
    pub(crate) height: u64,
    pub(crate) tree_size: u64,
    pub(crate) imports: [Import; 2],
    pub(crate) deliveries: Vec<Subject>,
    pub(crate) played: u64,
}

impl Summary {
    /// Entries of the log: every block but the first begins with the header before it.
    fn entries(&self) -> u64 {
        self.tree_size - self.height.saturating_sub(1)
    }

    fn records(&self) -> u64 {
        self.imports.iter().map(|import| import.records).sum()
    }

    fn claims(&self) -> u64 {
        self.imports.iter().map(|import| import.claims).sum()
    }

    fn skipped(&self) -> impl Iterator<Item = &Remark> {
        self.imports.iter().flat_map(|import| &import.skipped)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "genesis": self.genesis.to_string(),
            "grpc": format!("http://{}", self.address),
            "data_dir": self.data_dir,
            "height": self.height,
            "entries": self.entries(),
            "imported": self.records(),
            "claims": self.claims(),
            "skipped": self.skipped().count(),
            "skipped_reasons": self.skipped().map(skipped_json).collect::<Vec<_>>(),
            "deliveries": self.deliveries.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "acts_played": self.played,
        })
    }

    pub(crate) fn text(&self) -> String {
        let shown = self.skipped().take(SKIPPED_SHOWN);
        let shown = shown.map(|s| format!("\n    {}: {} {}", s.place, s.code, s.reason));
        let delivered = self.deliveries.iter().map(|delivery| format!("\n  {delivery}"));
        format!(
            "A ledger with real data assets is {}.\n\n\
             genesis hash   {}\n\
             gRPC           http://{}\n\
             data           {}\n\
             height         {}, {} entries\n\
             imported       {} records and {} claims about their past; {} skipped{}\n\n\
             Taken the whole way, from registration to delivery in batches:{}\n\n\
             The parties are made up, the clock is declared: times follow what entries claim and prove nothing.\n\n\
             Try next:\n  {}",
            if self.once { "made" } else { "running" },
            self.genesis,
            self.address,
            self.data_dir.display(),
            self.height,
            self.entries(),
            self.records(),
            self.claims(),
            self.skipped().count(),
            shown.collect::<String>(),
            delivered.collect::<String>(),
            self.next_commands().join("\n  "),
        )
    }

    fn next_commands(&self) -> Vec<String> {
        let (cli, genesis) = (program("ledger-cli"), self.genesis);
        let directory = self.data_dir.display();
        let first = self.deliveries.first().map(Subject::name).unwrap_or_default();
        let node = if self.address == DEFAULT_LISTEN {
            String::new()
        } else {
            format!(" --node http://{}", self.address)
        };
        let start = self.once.then(|| {
            let node = program("ledger-node");
            format!(
                "{node} dev --data-dir {directory} --listen {}  # in another terminal",
                self.address
            )
        });
        let commands = [
            format!("{cli}{node} history asset:{first} --trust {genesis}"),
            format!("{cli}{node} trace asset:{first}"),
            format!(
                "{cli}{node} verify file {directory}/dev/data/vega/seattle-weather.csv --delivery {first} --trust {genesis}"
            ),
            format!("{cli}{node} export chain -o chain.ledger"),
            format!("{cli} verify chain chain.ledger --trust {genesis}"),
        ];
        start.into_iter().chain(commands).collect()
    }
}

/// How to call a program from where this one was called: beside it, or through cargo where it is not built yet.
fn program(name: &str) -> String {
    let directory = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    let Some(directory) = directory else { return name.to_owned() };
    let built = directory.join(name);
    if built.exists() {
        let here = std::env::current_dir().unwrap_or_default();
        return built.strip_prefix(&here).unwrap_or(&built).display().to_string();
    }
    if directory.ends_with("target/release") {
        return format!("cargo run --quiet --release --bin {name} --");
    }
    name.to_owned()
}

pub(crate) fn skipped_json(skipped: &Remark) -> Value {
    json!({ "place": skipped.place, "code": skipped.code, "reason": skipped.reason })
}
