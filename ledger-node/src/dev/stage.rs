//! How the demonstration acts: through the node's own gRPC services, one signed entry at a time, each only if it has not happened.

use jiff::Timestamp;
use ledger_client::act::{Signatory, Times, Unsigned};
use ledger_client::{ClientError, Node};
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_format::digest::LedgerId;
use ledger_format::id::{Subject, SubjectKind};

/// How long an entry of one signer may wait, in seconds; of several signers, longer.
const ALONE_S: u64 = 3_000;
const TOGETHER_S: u64 = 7 * 86_400;

/// A connection to the node, on which acts are played.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) ledger: LedgerId,
    /// Acts that were new in this run.
    pub(crate) played: u64,
}

/// An act with its place in the story.
pub(crate) struct Scene<'a> {
    /// When it is claimed to happen, RFC 3339.
    pub(crate) at: &'a str,
    /// What it is about.
    pub(crate) subject: &'a Subject,
    /// The act.
    pub(crate) act: Act,
    /// Who signs; the first issues.
    pub(crate) signers: Vec<Signatory>,
    /// Whether it states the head of the history that its signers saw.
    pub(crate) binding: bool,
}

impl Stage {
    pub(crate) async fn new(mut node: Node) -> Result<Self, ClientError> {
        let ledger = node.ledger_id().await?;
        Ok(Self { node, ledger, played: 0 })
    }

    /// Plays a scene unless `happened` says that the subject's record shows it.
    pub(crate) async fn play(
        &mut self,
        scene: Scene<'_>,
        happened: impl Fn(&Body) -> bool,
    ) -> Result<(), ClientError> {
        let found = self.node.record(scene.subject.as_str(), 0, 0, false).await?;
        let body = found.record.as_ref().and_then(|record| record.body.as_ref());
        if body.is_some_and(happened) {
            return Ok(());
        }
        let prior = if scene.binding { found.head() } else { None };
        let window = if scene.signers.len() > 1 { TOGETHER_S } else { ALONE_S };
        // After a break the ledger's time may be past the story's: then the scene happens now.
        let issued = seconds(scene.at)?.max(found.time_ms / 1000);
        let unsigned = Unsigned {
            ledger: self.ledger,
            subject: scene.subject.clone(),
            prior,
            act: scene.act,
            times: Times::valid_for(issued, window),
        };
        self.node.submit(&unsigned.sign(&scene.signers)?).await?;
        self.played += 1;
        Ok(())
    }

    /// Plays the scene that opens a subject, unless the subject exists.
    pub(crate) async fn open(&mut self, scene: Scene<'_>) -> Result<(), ClientError> {
        self.play(scene, |_| true).await
    }
}

/// Seconds since 1970 of an RFC 3339 instant.
pub(crate) fn seconds(at: &str) -> Result<u64, ClientError> {
    let time: Timestamp = at.parse().map_err(ClientError::document)?;
    u64::try_from(time.as_second()).map_err(ClientError::document)
}

/// A subject of the story.
pub(crate) fn subject(kind: SubjectKind, name: &str) -> Result<Subject, ClientError> {
    Ok(Subject::new(kind, name)?)
}
