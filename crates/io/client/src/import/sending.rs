//! What an import sends, and what becomes of it.
//!
//! Several messages are under way at once. What a node turns away for the moment is sent again, and so is what it does not know the
//! outcome of: the same bytes, which count once. The node is then sent less, until it takes all of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ledger_catalogue::Source;
use ledger_event::record::Body;
use ledger_event::{AssetDescription, AssetRecord, CatalogueSource};
use ledger_format::entry::Entry;
use ledger_format::id::Subject;
use ledger_proto::v1::outcome::Result as Found;
use ledger_proto::{codes, v1};
use ledger_rules::Code;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::plan::Plan;
use super::{Imported, Importer, Planned, Remark, What, once};
use crate::error::{ClientError, Failure};
use crate::node::{Node, refusal};

/// Entries of one stream message.
const MESSAGE_ENTRIES: usize = 256;
/// Bytes after which a message is full. One entry more, and it is still below the 4 MiB that a node takes.
const MESSAGE_BYTES: usize = 3 * 1024 * 1024;
/// Messages under way.
const MESSAGES_UNDER_WAY: usize = 8;
/// How long a node is left alone that turned entries away: what nodes ask for. Twice as long each time that it took nothing.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// An import under way.
pub(super) struct Sending<'a> {
    node: &'a mut Node,
    importer: &'a Importer,
    plan: Plan<'a>,
    done: Imported,
    /// Assets whose subject exists, to be looked at.
    exists: VecDeque<Planned>,
    /// What is to be sent again.
    again: VecDeque<Waiting>,
    pace: Pace,
}

/// An entry, and what it stands for.
struct Signed {
    planned: Planned,
    entry: Entry,
}

/// An entry that has to be sent again.
struct Waiting {
    signed: Signed,
    /// Whether the ledger may have it.
    is_unknown: bool,
}

/// A message that was sent.
struct Sent {
    entries: Vec<Signed>,
    at: Instant,
}

impl<'a> Sending<'a> {
    pub(super) fn new(node: &'a mut Node, importer: &'a Importer, source: Source) -> Self {
        Self {
            node,
            importer,
            plan: Plan::new(importer, source),
            done: Imported::default(),
            exists: VecDeque::new(),
            again: VecDeque::new(),
            pace: Pace::default(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut progress: impl FnMut(u64),
    ) -> Result<Imported, ClientError> {
        let (sender, receiver) = mpsc::channel(MESSAGES_UNDER_WAY);
        let mut responses = self.node.submit_stream(ReceiverStream::new(receiver)).await?;
        let mut under_way: VecDeque<Sent> = VecDeque::new();
        let mut sequence = 0;
        loop {
            let message = self.message().await?;
            let is_last = message.is_empty();
            if !is_last {
                sequence += 1;
                if sender.send(self.request(&message, sequence)).await.is_err() {
                    return Err(why_closed(&mut responses).await);
                }
                under_way.push_back(Sent { entries: message, at: Instant::now() });
            }
            // What is to be sent again goes before anything new, and after all answers that say so.
            while under_way.len() >= self.pace.under_way() || is_last || !self.again.is_empty() {
                let Some(sent) = under_way.pop_front() else { break };
                let response = responses.next().await;
                let ended = || ClientError::interrupted("the stream ended");
                self.settle(sent, response.ok_or_else(ended)??)?;
                progress(self.done.on_ledger());
            }
            if is_last && self.again.is_empty() && self.exists.is_empty() {
                return Ok(self.done);
            }
            if self.pace.is_held {
                self.rest().await?;
            }
        }
    }

    fn request(&self, message: &[Signed], sequence: u64) -> v1::SubmitStreamRequest {
        let entries = message.iter().map(|signed| signed.entry.bytes().clone()).collect();
        let level = self.importer.level;
        let (wait_for, replicas) = (level.finality.into(), level.replicas);
        v1::SubmitStreamRequest { entries, wait_for, sequence, replicas }
    }

    /// The next message; empty when nothing is left that could be sent by now.
    async fn message(&mut self) -> Result<Vec<Signed>, ClientError> {
        let (mut message, mut bytes) = (Vec::new(), 0);
        while message.len() < self.pace.entries && bytes < MESSAGE_BYTES {
            let Some(signed) = self.next().await? else { break };
            bytes += signed.entry.bytes().len();
            message.push(signed);
        }
        Ok(message)
    }

    async fn next(&mut self) -> Result<Option<Signed>, ClientError> {
        if let Some(waiting) = self.again.pop_front() {
            return Ok(Some(waiting.signed));
        }
        while let Some(asset) = self.exists.pop_front() {
            if let Some(revision) = self.revision(asset).await? {
                return self.sign(revision).map(Some);
            }
        }
        let planned = self.plan.next(self.node, &mut self.done).await?;
        planned.map(|planned| self.sign(planned)).transpose()
    }

    fn sign(&self, planned: Planned) -> Result<Signed, ClientError> {
        let entry = self.importer.sign(&planned)?;
        Ok(Signed { planned, entry })
    }

    /// What becomes of an asset that exists: a revision where it has changed.
    async fn revision(&mut self, planned: Planned) -> Result<Option<Planned>, ClientError> {
        let Planned { subject, place, what: What::Asset(description) } = planned else {
            return Ok(None);
        };
        let found = self.node.record(subject.as_str(), 0, 0, false).await?;
        let there = match found.record.and_then(|record| record.body) {
            Some(Body::Asset(asset)) => asset,
            _ => AssetRecord::default(),
        };
        let old = there.description.unwrap_or_default();
        let (from, source) = (source_of(&old), source_of(&description));
        if (&from.catalogue, &from.record) != (&source.catalogue, &source.record) {
            // Somebody described it by hand, or another catalogue has the name: that is not ours to revise.
            let taken = ClientError::name_taken(taken(&subject, &from, &source));
            self.done.skipped.push(Remark { place, code: taken.code, reason: taken.message });
            return Ok(None);
        }
        // The digest is of what the catalogue says, not of the file that lies beside it.
        let is_same_file = description.content.is_none() || old.content == description.content;
        if from.record_digest == source.record_digest && is_same_file {
            self.done.unchanged += 1;
            return Ok(None);
        }
        let cti = once::revision(&subject, there.version);
        Ok(Some(Planned { subject, place, what: What::Revision(description, cti) }))
    }

    /// Sorts the outcomes of a message.
    fn settle(
        &mut self,
        sent: Sent,
        response: v1::SubmitStreamResponse,
    ) -> Result<(), ClientError> {
        let (count, before) = (sent.entries.len(), self.again.len());
        if response.outcomes.len() != count {
            let detail = format!("{} outcomes of {count} entries", response.outcomes.len());
            return Err(ClientError::answer(detail));
        }
        for (signed, outcome) in sent.entries.into_iter().zip(response.outcomes) {
            match outcome.result {
                Some(Found::Position(_)) if outcome.replicas >= self.importer.level.replicas => {
                    self.placed(&signed.planned.what);
                }
                Some(Found::Refused(refused)) => self.refused(signed, refused)?,
                Some(Found::Position(_) | Found::Pending(_)) | None => {
                    self.again.push_back(Waiting { signed, is_unknown: true });
                }
            }
        }
        let left = self.again.len().saturating_sub(before);
        self.pace.answered(sent.at, count > left, left > 0);
        Ok(())
    }

    fn placed(&mut self, what: &What) {
        match what {
            What::Asset(_) => self.done.described += 1,
            What::Revision(..) => self.done.revised += 1,
            What::Claim(..) => self.done.claims += 1,
        }
    }

    /// What the rules refuse is skipped. What would come to nothing for every further entry as well ends the import: a budget that is
    /// spent, times that are over, a node that cannot go on.
    fn refused(&mut self, signed: Signed, refused: v1::Refused) -> Result<(), ClientError> {
        let Signed { planned, entry } = signed;
        let code = refused.code.as_str();
        let is = |rule: Code| code == rule.as_str();
        let is_asset = matches!(planned.what, What::Asset(_));
        if is_asset && is(Code::SubjectExists) {
            self.exists.push_back(planned);
        } else if is(Code::Conflict) && !is_asset {
            self.stated_before(planned);
        } else if code == codes::POOL_FULL.code
            || (!is_asset && is(Code::SubjectUnknown) && self.is_awaited(&planned.subject))
        {
            let signed = Signed { planned, entry };
            self.again.push_back(Waiting { signed, is_unknown: false });
        } else if is(Code::BudgetSpent) || is(Code::Expired) {
            return Err(ClientError { failure: Failure::Busy, ..refusal(&refused) });
        } else if code == codes::STOPPING.code {
            return Err(ClientError { failure: Failure::Connect, ..refusal(&refused) });
        } else if code == codes::INTERNAL.code {
            return Err(ClientError { failure: Failure::Other, ..refusal(&refused) });
        } else {
            let Planned { place, .. } = planned;
            self.done.skipped.push(Remark { place, code: refused.code, reason: refused.message });
        }
        Ok(())
    }

    /// What another run of an import has stated: a claim is there, and of an asset the ledger has a later version than was seen.
    fn stated_before(&mut self, planned: Planned) {
        let Planned { subject, place, what } = planned;
        match what {
            What::Claim(..) => self.done.claims_unchanged += 1,
            What::Asset(description) | What::Revision(description, _) => {
                let what = What::Asset(description);
                self.exists.push_back(Planned { subject, place, what });
            }
        }
    }

    /// Whether an asset's description is to be sent again: until then nothing is known of the asset.
    fn is_awaited(&self, subject: &Subject) -> bool {
        self.again.iter().any(|waiting| waiting.signed.planned.subject == *subject)
    }

    /// Leaves the node alone for a while, unless that has come to nothing for too long.
    async fn rest(&mut self) -> Result<(), ClientError> {
        if self.pace.since.is_some_and(|since| since.elapsed() >= self.importer.patience) {
            return Err(self.given_up());
        }
        tokio::time::sleep(self.pace.pause).await;
        self.pace.slow_down();
        Ok(())
    }

    fn given_up(&self) -> ClientError {
        let unknown = self.again.iter().filter(|waiting| waiting.is_unknown).count();
        let turned = self.again.len().saturating_sub(unknown);
        let (failure, of) = match unknown {
            0 => (Failure::Busy, codes::POOL_FULL),
            _ => (Failure::Unknown, codes::TIMED_OUT),
        };
        let message = format!(
            "{} (for {} s nothing was settled: {turned} entries turned away, {unknown} of unknown outcome; {} records and claims are on the ledger)",
            of.text,
            self.importer.patience.as_secs(),
            self.done.on_ledger()
        );
        let help = "Run the import again when the node has room: it goes on from there, and what is on the ledger counts once. `ledger-cli status` shows what waits.";
        ClientError { failure, code: of.code.to_owned(), message, help: help.to_owned() }
    }
}

/// Where a description is from; nothing of one that was written by hand.
fn source_of(description: &AssetDescription) -> CatalogueSource {
    description.catalogue.clone().unwrap_or_default()
}

/// What has the name of a record, and what would have it.
fn taken(subject: &Subject, there: &CatalogueSource, new: &CatalogueSource) -> String {
    let of = |source: &CatalogueSource| match source.record.as_str() {
        "" => "no record".to_owned(),
        record => format!("record {record:?} of {:?}", source.catalogue),
    };
    format!("{}: the ledger has it from {}, and this is {}", subject.as_str(), of(there), of(new))
}

/// Why a stream takes no more messages: its answers end with the reason.
async fn why_closed(responses: &mut Streaming<v1::SubmitStreamResponse>) -> ClientError {
    loop {
        match responses.next().await {
            Some(Ok(_)) => {}
            Some(Err(status)) => return status.into(),
            None => return ClientError::interrupted("the stream closed"),
        }
    }
}

/// How much is sent at once. A node that turned something away is sent half as much, in one message at a time; then twice as much
/// each time that it takes all of it.
struct Pace {
    entries: usize,
    pause: Duration,
    /// Something has to be sent again, after a pause.
    is_held: bool,
    /// Since when nothing was settled.
    since: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { entries: MESSAGE_ENTRIES, pause: PAUSE, is_held: false, since: None }
    }
}

impl Pace {
    /// Messages that may be under way.
    const fn under_way(&self) -> usize {
        if self.entries < MESSAGE_ENTRIES { 1 } else { MESSAGES_UNDER_WAY }
    }

    /// A message that was sent at an instant was answered: some of it is settled, or some has to be sent again.
    fn answered(&mut self, sent: Instant, is_settled: bool, is_left: bool) {
        if is_settled {
            (self.since, self.pause) = (None, PAUSE);
        }
        if is_left {
            self.since.get_or_insert(if is_settled { Instant::now() } else { sent });
            self.is_held = true;
        } else if !self.is_held {
            self.entries = self.entries.saturating_mul(2).min(MESSAGE_ENTRIES);
        }
    }

    fn slow_down(&mut self) {
        self.is_held = false;
        self.entries = (self.entries / 2).max(1);
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
