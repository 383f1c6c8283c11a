//! `run`, and what an operator or a supervisor tells a process that runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::RunArgs;
use crate::commands::{of, settings};
use crate::failure::Failure;
use crate::node::{Node, Options};
use crate::report::{self, Output};
use crate::telemetry::{self, Filter};

/// Settings that a running node takes up when it is told to read them again. The others wait for the next start.
const TAKEN_UP: [&str; 4] = ["peer.known", "peer.followers", "peer.allowed", "log.filter"];

/// `run`.
///
/// # Errors
/// What keeps the node from starting, or stopped it.
pub(crate) async fn run(args: &RunArgs, output: Output) -> Result<(), Failure> {
    let config = settings(args)?;
    let options = of(&args.dir.data_dir, &config)?;
    let mut again = args.clone();
    insist_on(config.file, &mut again);
    let mut in_force = InForce::new(&config.origins);
    let filter = telemetry::start(config.log_format, config.log_filter);
    let mut signals = Signals::new()?;
    let Some(node) = signals.unless_told(options).await? else { return Ok(()) };
    let head = node.shared.head();
    let genesis = node.shared.genesis.id();
    tracing::info!(%genesis, address = %node.address, height = head.height, "node is ready");
    let text = format!("ledger {genesis}\nlistening on {}\nheight {}", node.address, head.height);
    let ready = json!({
        "ready": true,
        "genesis": genesis.to_string(),
        "grpc": format!("http://{}", node.address),
        "height": head.height,
    });
    report::ready(output, &text, &ready);
    let stopped = loop {
        match signals.next(&node).await {
            Told::Stop(reason) => break reason,
            Told::ReadAgain => {
                if let Err(failure) = read_again(&mut again, &node, &filter, &mut in_force) {
                    let (code, help) = (&failure.code, &failure.help);
                    tracing::error!(%code, %help, "the settings stay as they were: {failure}");
                }
            }
        }
    };
    tracing::info!(reason = stopped, "node is stopping");
    node.stop().await?;
    tracing::info!("node has stopped");
    Ok(())
}

/// Values of the settings by which the node runs, by key.
struct InForce(BTreeMap<&'static str, String>);

impl InForce {
    fn new(origins: &[(&'static str, String, String)]) -> Self {
        Self(origins.iter().map(|(key, value, _)| (*key, value.clone())).collect())
    }

    /// Takes up what a running node can, and returns the keys that changed: those, and those that wait for a start.
    fn change(&mut self, read: Self) -> [Vec<&'static str>; 2] {
        let changed = read.0.into_iter().filter(|(key, value)| self.0.get(key) != Some(value));
        let (taken, waiting): (Vec<_>, Vec<_>) =
            changed.partition(|(key, _)| TAKEN_UP.contains(key));
        let keys = |some: &[(&'static str, String)]| some.iter().map(|(key, _)| *key).collect();
        let named = [keys(&taken), keys(&waiting)];
        self.0.extend(taken);
        named
    }
}

/// A file that was read has to be there from then on: without it, the node would go back to defaults and leave its peers.
fn insist_on(file: Option<PathBuf>, args: &mut RunArgs) {
    args.dir.config = file.or_else(|| args.dir.config.take());
}

/// Reads the settings again. If one is wrong, or their file is gone, none is taken up.
fn read_again(
    args: &mut RunArgs,
    node: &Node,
    filter: &Filter,
    in_force: &mut InForce,
) -> Result<(), Failure> {
    let config = settings(args)?;
    node.network.meet(config.peers.neighbours)?;
    filter.change(config.log_filter);
    insist_on(config.file, args);
    let [taken, waiting] = in_force.change(InForce::new(&config.origins));
    tracing::info!(changed = taken.join(" "), "the settings were read again");
    if !waiting.is_empty() {
        let waiting = waiting.join(" ");
        tracing::warn!(waiting, "settings that are taken up at the next start only have changed");
    }
    Ok(())
}

/// What the process was told.
enum Told {
    /// To end, by what.
    Stop(&'static str),
    /// To read its settings again.
    ReadAgain,
}

/// What an operator or a supervisor tells the process. From when this is there, signals wait in it and end nothing.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::runtime);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The node, or nothing when the process was told to stop before that was ready. What it had begun it can go on from like after a
    /// crash; a directory that is opened or derived anew is not waited for.
    pub(crate) async fn unless_told(&mut self, options: Options) -> Result<Option<Node>, Failure> {
        // A task of its own: opening a directory takes long, and gives way to nobody.
        let starting = tokio::spawn(async move { Node::start(&options).await });
        let reason = tokio::select! {
            started = starting => return started.map_err(Failure::runtime)?.map(Some),
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::info!(reason, "node has stopped before it was ready");
        Ok(None)
    }

    /// The next signal, or that the node has failed.
    async fn next(&mut self, node: &Node) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            () = node.failed() => Told::Stop("failure"),
            _ = self.hangup.recv() => Told::ReadAgain,
        }
    }

    /// Waits until nodes that have no settings to be read again are to end: the end of their terminal tells them as well.
    pub(crate) async fn until_told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SETTINGS;

    #[test]
    fn what_waits_for_a_start_is_named_until_then() {
        let of = |listen: &str, known: &str| {
            let pairs = [("listen", listen), ("peer.known", known)];
            InForce(pairs.map(|(key, value)| (key, value.to_owned())).into())
        };
        let mut in_force = of("a", "b");
        assert_eq!(in_force.change(of("c", "d")), [vec!["peer.known"], vec!["listen"]]);
        assert_eq!(in_force.change(of("c", "d")), [vec![], vec!["listen"]]);
        assert_eq!(in_force.change(of("a", "b")), [vec!["peer.known"], vec![]]);
    }

    #[test]
    fn what_is_taken_up_are_settings() {
        assert!(TAKEN_UP.iter().all(|key| SETTINGS.iter().any(|known| known.key == *key)));
    }
}
