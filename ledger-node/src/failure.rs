//! Why a command failed: code, cause, next step, exit code.

use std::io::ErrorKind;
use std::path::Path;

use ledger_client::ClientError;
use ledger_format::malformed::{Explanation, Malformed};
use ledger_replica::{EngineStopped, StartError};
use ledger_store::StoreError;
use ledger_verify::finding::Refuted;
use ledger_verify::verdict::Verdict;

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// Cause, expected and found.
    pub message: String,
    /// The next step.
    pub help: String,
    /// Exit code of the process (docs/CLI.md).
    pub exit: u8,
}

macro_rules! codes {
    ($($name:ident: $exit:literal = $code:literal, $text:literal, $help:literal;)*) => {
        impl Failure {
            $(#[doc = $text] pub fn $name(detail: impl std::fmt::Display) -> Self {
                Self {
                    code: $code.to_owned(),
                    message: format!("{} ({detail})", $text),
                    help: $help.to_owned(),
                    exit: $exit,
                }
            })*
        }

        /// The codes of this crate.
        pub const CODES: &[Explanation] = &[
            $(Explanation { code: $code, text: $text, source: "docs/OPERATING.md", help: $help },)*
        ];
    };
}

codes! {
    config: 2 = "NODE_CONFIG",
        "The configuration has mistakes.",
        "Each is listed with where it stands; `ledger-node run --help` describes the settings.";
    usage: 2 = "NODE_USAGE",
        "The command line is not right.",
        "See --help of the command.";
    listen: 1 = "NODE_LISTEN",
        "The node cannot listen on its address.",
        "Check --listen: another process may have the port (`ss -ltnp`).";
    exists: 24 = "NODE_EXISTS",
        "There is a ledger in that directory already.",
        "Use `ledger-node run`, or another --data-dir: nothing is ever overwritten.";
    genesis: 11 = "NODE_GENESIS",
        "The genesis file cannot be used.",
        "Get the file that the founders signed again, and compare its hash with them.";
    keys: 22 = "NODE_KEYS",
        "The node's keys are not all there, or not those that genesis, or the set in force, lists for its validator.",
        "Put back the keys whose public halves the members agreed on: all four belong together. A new follower makes its own first: `ledger-node keys new`.";
    block: 31 = "NODE_BLOCK",
        "A stored block does not verify.",
        "Keep a copy of the directory. Blocks are the ledger itself: they can only be had again from a backup or another node.";
    vote_lock: 34 = "NODE_VOTE_LOCK",
        "Nothing vouches for what this validator has voted: it might vote twice.",
        "If this directory was copied, restored or moved, or a part of it was lost: `ledger-node recover`. Never start an older copy beside the node.";
    twin: 34 = "NODE_TWIN",
        "Another process uses a vote key of this node.",
        "Find the other node that has this key, or the restored snapshot. End it; then `ledger-node recover` on the one that stays.";
    recover_alone: 34 = "NODE_RECOVER_ALONE",
        "By the blocks that are here, the other validators are no quorum without this one, so nobody can vouch for what it has voted.",
        "If this validator is the only one by them and others have come in since, as after an old backup, name one of them in peer.known and run `ledger-node recover` again: it then follows them. Else agree with the others that no other copy of this validator runs, and let it vote again on that word: `ledger-node recover --alone`. It may then sign a second vote at the open height.";
    blocks_lost: 31 = "NODE_BLOCKS_LOST",
        "Blocks are missing that this node had made durable.",
        "Copy the directory, and never delete its consensus log: it keeps the node from signing a second history. One of several validators comes back with `ledger-node recover`, which puts the log aside; a sole one needs the whole store/ as it was (docs/OPERATING.md, damage).";
    checkpoint: 12 = "NODE_CHECKPOINT",
        "The chain file does not contain the block that was pinned, or what was pinned is neither a block hash nor a checkpoint of this log.",
        "Get a later chain file from a node that you trust, or compare the checkpoint with other operators; nothing was restored.";
    stopped: 1 = "NODE_STOPPED",
        "The node stopped itself, since it no longer knows what is on disk or what it has signed.",
        "See the log for the cause; after mending it, start again: the node recovers from what is on disk.";
    unusable_log: 31 = "NODE_LOG",
        "The consensus log holds what this node cannot go on from.",
        "It is so at every start. Copy the directory, and do not delete the log: it holds what this validator has voted. `ledger-node recover` puts it aside, and asks the other validators; with --alone where there are none.";
    other_snapshot: 13 = "NODE_SNAPSHOT",
        "The chain file cannot become this node's ledger.",
        "Get the chain file again from a node of this ledger, and check it with `ledger-cli verify chain`; nothing was restored.";
    runtime: 1 = "NODE_RUNTIME",
        "The operating system refused something that the node needs.",
        "Check that the path exists and belongs to the node's user, that there is space, and the limits (`ulimit -a`); then start again.";
    protocol: 33 = "NODE_PROTOCOL",
        "The ledger follows a version of the protocol that this program does not know.",
        "Install a version of the program that knows it and start again: nothing is lost, and the node takes the blocks that it missed.";
    evidence: 1 = "NODE_EVIDENCE",
        "A file of evidence cannot be written or used.",
        "Look at the file: what damaged it may have damaged more. Other nodes send their evidence again when they connect.";
    misconduct: 1 = "NODE_MISCONDUCT",
        "A validator has signed what no honest one signs together.",
        "Ask the organisation: two processes may run with its key. `ledger-cli evidence list` shows the proof, which verifies offline.";
    clock: 1 = "NODE_CLOCK",
        "A validator's clock is further ahead of this node's than the ledger allows, so its proposal gets no vote here.",
        "Compare both with a time server. If it is so with several validators, this node's clock is the wrong one.";
    not_running: 20 = "NODE_NOT_RUNNING",
        "No node answers there.",
        "Start it with `ledger-node run`, or check --node. A process that runs and does not answer within ten seconds is stopped, or has as many clients as client.connections allows.";
    silent: 20 = "NODE_SILENT",
        "A process has the data directory, and no node answers.",
        "It may be starting, which takes minutes when it rebuilds the store (`rebuilding it` in its log), be paused, be a `reindex`, or have as many clients as client.connections allows (its log says so). Look at its log before you end it, and check --node.";
    another: 20 = "NODE_ANOTHER",
        "The node of another directory answers there.",
        "See which process has the port (`ss -ltnp`), and where this directory's settings have its node listen (`ledger-node config`). To ask whoever answers: `ledger-node status --node`, without --data-dir.";
}

impl Failure {
    /// What the operating system refused of a file or directory: `NODE_RUNTIME`, with its path.
    pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::runtime(format!("{}: {error}", path.display()))
    }

    /// Of one of several nodes.
    pub(crate) fn of(self, directory: &Path) -> Self {
        Self { message: format!("{}: {}", directory.display(), self.message), ..self }
    }

    /// A chain file that is not proven: the verifier's own code and exit code, or `NODE_SNAPSHOT` where the verifier has none.
    pub fn snapshot(verdict: &Verdict) -> Self {
        let failure = Self::other_snapshot(verdict.reason());
        let code = verdict.code().map_or(failure.code.clone(), str::to_owned);
        Self { code, exit: verdict.exit_code(), ..failure }
    }
}

impl Failure {
    /// A pinned checkpoint and a chain that are of two histories, by the verifier's own code.
    pub(crate) fn other_history(refuted: &Refuted) -> Self {
        Self {
            code: refuted.code.as_str().to_owned(),
            message: format!("The checkpoint is not of the chain file's history. ({refuted})"),
            help: "No later chain file mends that. See who signed the checkpoint (`ledger-cli verify checkpoint NOTE --chain FILE --trust HASH`), export the chain of a node that stands by it, and have `ledger-cli evidence compare` show where the two part; nothing was restored.".to_owned(),
            exit: Verdict::Refuted(refuted.clone()).exit_code(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let help =
            ledger_store::CODES.iter().find(|e| e.code == error.code()).map_or("", |e| e.help);
        let exit = match &error {
            StoreError::Locked { .. } => 30,
            StoreError::Damaged { .. } | StoreError::WalDamaged { .. } => 31,
            StoreError::Newer { .. } => 33,
            StoreError::Io { source, .. }
                if matches!(
                    source.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
                ) =>
            {
                32
            }
            StoreError::OtherLedger { .. } => 13,
            StoreError::Missing { .. } => 23,
            StoreError::Io { .. } => 1,
        };
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            help: help.to_owned(),
            exit,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = error.failure.exit_code();
        Self { code: error.code, message: error.message, help: error.help, exit }
    }
}

impl From<ledger_peer::PeerError> for Failure {
    fn from(error: ledger_peer::PeerError) -> Self {
        let code = error.code().as_str();
        let known = ledger_peer::CODES.iter().find(|known| known.code == code);
        let help = known.map_or("", |known| known.help).to_owned();
        Self { code: code.to_owned(), message: error.to_string(), help, exit: 1 }
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::genesis(malformed)
    }
}

impl From<Refuted> for Failure {
    fn from(refuted: Refuted) -> Self {
        Self::block(refuted)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::BlocksLost { .. } => Self::blocks_lost(error),
            StartError::Engine(_) | StartError::Body(_) => Self::unusable_log(error),
        }
    }
}

impl From<EngineStopped> for Failure {
    fn from(error: EngineStopped) -> Self {
        Self::stopped(error)
    }
}

#[cfg(test)]
mod tests {
    use ledger_client::explain::explain;

    use super::*;

    /// What `ledger-cli explain` says of a node's codes is from a document: it has to say what the node says.
    #[test]
    fn every_code_of_a_node_is_explained_as_the_node_tells_it() {
        for code in [CODES, ledger_store::CODES, ledger_peer::CODES].concat() {
            let found = explain(code.code);
            let Some(found) = found else { panic!("{} is not explained", code.code) };
            assert_eq!(found.help, code.help, "{}", code.code);
            assert!(found.text.starts_with(code.text), "{}: {}", code.code, found.text);
        }
    }

    /// What a start finds in the log, every later one finds as well.
    #[test]
    fn a_log_that_cannot_be_gone_on_from_is_not_tried_again_and_again() {
        let unit = include_str!("../../docs/OPERATING.md");
        let unit = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
        let prevented: Vec<u8> =
            unit.unwrap().split(' ').map(|exit| exit.parse().unwrap()).collect();
        let engine = StartError::Engine(EngineStopped("another vote".into()));
        for error in [engine, StartError::Body("its body is missing".into())] {
            let failure = Failure::from(error);
            assert!(prevented.contains(&failure.exit), "{failure:?}");
            assert!(failure.help.contains("`ledger-node recover`"), "{failure:?}");
        }
    }
}
