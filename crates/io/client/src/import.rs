//! Importing a catalogue: every record becomes an asset, every row of history an attested claim; signed here, streamed to a node.
//!
//! An import can be broken off and run again: what is there unchanged is left alone, what changed becomes a new version. Nothing of
//! a catalogue becomes a certificate or a completed act.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ed25519_dalek::SigningKey;
use ledger_catalogue::{About, CatalogueRecord, Collection, HistoryClaim, Item, Source};
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{AssetDescribed, AssetDescription, AssetRevised, ImportedHistory, Role};
use ledger_format::digest::{Hash, LedgerId};
use ledger_format::entry::Entry;
use ledger_format::id::{Subject, SubjectKind};
use ledger_proto::v1;
use ledger_rules::Code;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::act::{Signatory, Times, Unsigned};
use crate::error::{ClientError, Failure};
use crate::node::{Node, refusal};

mod recorded;

/// Entries of one stream message.
const MESSAGE_ENTRIES: usize = 256;
/// Messages under way.
const MESSAGES_UNDER_WAY: usize = 8;

/// Who imports, and when it is claimed to happen.
#[derive(Clone, Debug)]
pub struct Importer {
    /// The ledger.
    pub ledger: LedgerId,
    /// The party in whose name assets are described.
    pub party: String,
    /// Its key.
    pub key: SigningKey,
    /// Times of every entry.
    pub times: Times,
}

/// Something about one place of a source: why it was not imported, or what is worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where in the source.
    pub place: String,
    /// Stable code.
    pub code: String,
    /// Why, in words.
    pub reason: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Assets that were new.
    pub described: u64,
    /// Assets that had changed.
    pub revised: u64,
    /// Assets that were there, unchanged.
    pub unchanged: u64,
    /// Claims that were new.
    pub claims: u64,
    /// Claims that were there.
    pub claims_unchanged: u64,
    /// What was skipped or refused.
    pub skipped: Vec<Remark>,
    /// What was imported and is worth a look, such as a declared hash that is not the file's.
    pub findings: Vec<Remark>,
}

/// One thing to import.
struct Planned {
    subject: Subject,
    place: String,
    what: What,
}

enum What {
    Asset(Box<AssetDescription>),
    Claim(ImportedHistory),
}

/// Imports everything that a source yields. `progress` is called with records done.
///
/// # Errors
/// What the source or the node answers; what was imported until then stays, and a second run goes on.
pub async fn import(
    node: &mut Node,
    importer: &Importer,
    source: Source,
    mut progress: impl FnMut(u64),
) -> Result<Imported, ClientError> {
    let mut done = Imported::default();
    let mut existing = Existing::default();
    let (sender, receiver) = mpsc::channel(MESSAGES_UNDER_WAY);
    let mut responses = node.clone().submit_stream(ReceiverStream::new(receiver)).await?;
    let mut under_way: VecDeque<Vec<Planned>> = VecDeque::new();
    let mut retry: Vec<Planned> = Vec::new();
    let mut plan = Plan::new(importer, source);
    let mut sequence = 0;
    loop {
        let message = plan.message(node, &mut existing, &mut done).await?;
        let ended = message.is_empty();
        if !ended {
            let entries = message.iter().map(|planned| Ok(importer.sign(planned)?.bytes().clone()));
            let entries = entries.collect::<Result<Vec<_>, ClientError>>()?;
            sequence += 1;
            let request = v1::SubmitStreamRequest { entries, wait_for: 0, sequence, replicas: 0 };
            if sender.send(request).await.is_err() {
                return Err(why_closed(&mut responses).await);
            }
            under_way.push_back(message);
        }
        while under_way.len() >= MESSAGES_UNDER_WAY || (ended && !under_way.is_empty()) {
            let response = responses
                .next()
                .await
                .ok_or_else(|| ClientError::interrupted("the stream ended"))??;
            let sent = under_way.pop_front().unwrap_or_default();
            settle(sent, response, &mut done, &mut retry)?;
            progress(done.described + done.unchanged + done.claims);
        }
        if ended {
            break;
        }
    }
    drop(sender);
    for planned in retry {
        revisit(node, importer, planned, &mut done).await?;
        progress(done.described + done.unchanged + done.revised + done.claims);
    }
    Ok(done)
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

impl Importer {
    fn sign(&self, planned: &Planned) -> Result<Entry, ClientError> {
        let act = match &planned.what {
            What::Asset(description) => {
                Act::AssetDescribed(AssetDescribed { description: Some((**description).clone()) })
            }
            What::Claim(claim) => Act::ImportedHistory(claim.clone()),
        };
        self.sign_act(&planned.subject, act)
    }

    fn sign_act(&self, subject: &Subject, act: Act) -> Result<Entry, ClientError> {
        let unsigned = Unsigned {
            ledger: self.ledger,
            subject: subject.clone(),
            prior: None,
            act,
            times: self.times,
        };
        unsigned.sign(&[Signatory::issuer(&self.party, Role::Supplier, &self.key)])
    }

    fn subject(&self, name: &str) -> Result<Subject, ClientError> {
        Ok(Subject::new(SubjectKind::Asset, &format!("{}/{name}", self.party))?)
    }
}

/// Sorts the outcomes of a message. An asset that exists is looked at again afterwards. A budget that is spent ends the import: nothing
/// more would be taken before the next window.
fn settle(
    sent: Vec<Planned>,
    response: v1::SubmitStreamResponse,
    done: &mut Imported,
    retry: &mut Vec<Planned>,
) -> Result<(), ClientError> {
    for (planned, outcome) in sent.into_iter().zip(response.outcomes) {
        match (outcome.result, &planned.what) {
            (Some(v1::outcome::Result::Position(_)), What::Asset(_)) => done.described += 1,
            (Some(v1::outcome::Result::Position(_)), What::Claim(_)) => done.claims += 1,
            (Some(v1::outcome::Result::Refused(refused)), What::Asset(_))
                if refused.code == "SUBJECT_EXISTS" =>
            {
                retry.push(planned);
            }
            (Some(v1::outcome::Result::Refused(refused)), _)
                if refused.code == Code::BudgetSpent.as_str() =>
            {
                return Err(ClientError { failure: Failure::Busy, ..refusal(&refused) });
            }
            (Some(v1::outcome::Result::Refused(refused)), _) => done.skipped.push(Remark {
                place: planned.place,
                code: refused.code,
                reason: refused.message,
            }),
            (Some(v1::outcome::Result::Pending(_)) | None, _) => done.skipped.push(Remark {
                place: planned.place,
                code: "API_TIMEOUT".to_owned(),
                reason: "its outcome was not known in time; run the import again".to_owned(),
            }),
        }
    }
    Ok(())
}

/// An asset that exists: unchanged, or to be revised.
async fn revisit(
    node: &mut Node,
    importer: &Importer,
    planned: Planned,
    done: &mut Imported,
) -> Result<(), ClientError> {
    let What::Asset(description) = planned.what else { return Ok(()) };
    let found = node.record(planned.subject.as_str(), 0, 0, false).await?;
    let there = found.record.and_then(|record| record.body);
    let there = match there {
        Some(Body::Asset(asset)) => asset.description,
        _ => None,
    };
    let source_of =
        |d: Option<&AssetDescription>| d.and_then(|d| d.catalogue.clone()).unwrap_or_default();
    let (old, new) = (source_of(there.as_ref()), source_of(Some(&description)));
    if (&old.catalogue, &old.record) != (&new.catalogue, &new.record) {
        // Somebody described it by hand, or another catalogue has the name: that is not ours to revise.
        let taken = ClientError::name_taken(planned.subject.as_str());
        done.skipped.push(Remark { place: planned.place, code: taken.code, reason: taken.message });
        return Ok(());
    }
    if old.record_digest == new.record_digest {
        done.unchanged += 1;
        return Ok(());
    }
    let reason = "the catalogue's record has changed".to_owned();
    let act = Act::AssetRevised(AssetRevised { description: Some(*description), reason });
    let entry = importer.sign_act(&planned.subject, act)?;
    match node.submit(&entry).await {
        Ok(_) => done.revised += 1,
        Err(error) => done.skipped.push(Remark {
            place: planned.place,
            code: error.code,
            reason: error.message,
        }),
    }
    Ok(())
}

/// Claims that the ledger has already, by subject. Read once a subject, and only for subjects that were there before.
#[derive(Default)]
struct Existing {
    claims: BTreeMap<Subject, BTreeSet<(String, Hash)>>,
}

impl Existing {
    async fn has(
        &mut self,
        node: &mut Node,
        subject: &Subject,
        claim: &ImportedHistory,
    ) -> Result<bool, ClientError> {
        if !self.claims.contains_key(subject) {
            let claims = claims_of(node, subject).await?;
            self.claims.insert(subject.clone(), claims);
        }
        let known = self.claims.get(subject);
        Ok(known.is_some_and(|known| claim_key(claim).is_some_and(|key| known.contains(&key))))
    }
}

fn claim_key(claim: &ImportedHistory) -> Option<(String, Hash)> {
    let digest = claim.source_digest.as_ref()?.value.as_ref().try_into().ok()?;
    Some((claim.source.clone(), digest))
}

async fn claims_of(
    node: &mut Node,
    subject: &Subject,
) -> Result<BTreeSet<(String, Hash)>, ClientError> {
    if node.record(subject.as_str(), 0, 0, false).await?.record.is_none() {
        return Ok(BTreeSet::new());
    }
    let leaves = node.history(subject.as_str()).await?;
    let mut claims = BTreeSet::new();
    for leaf in leaves {
        let entry = Entry::decode(leaf.entry)?;
        if let Some(Act::ImportedHistory(claim)) = &entry.event().act {
            claims.extend(claim_key(claim));
        }
    }
    Ok(claims)
}

/// What a source yields, turned into what to import, a message at a time.
struct Plan<'a> {
    importer: &'a Importer,
    source: Source,
    collections_planned: bool,
    collections: VecDeque<(String, Collection)>,
}

impl<'a> Plan<'a> {
    fn new(importer: &'a Importer, source: Source) -> Self {
        let collections =
            source.collections().iter().map(|(id, c)| (id.clone(), c.clone())).collect();
        Self { importer, source, collections_planned: false, collections }
    }

    /// The next message; empty at the end.
    async fn message(
        &mut self,
        node: &mut Node,
        existing: &mut Existing,
        done: &mut Imported,
    ) -> Result<Vec<Planned>, ClientError> {
        let mut message = Vec::new();
        while message.len() < MESSAGE_ENTRIES {
            if let Some((id, collection)) = self.collections.pop_front() {
                message.push(self.collection(&id, &collection)?);
                continue;
            }
            self.collections_planned = true;
            match self.source.next().transpose()? {
                None => break,
                Some(Item::Record(record)) => {
                    done.findings.extend(remarks(&record));
                    message.push(self.record(&record)?);
                }
                Some(Item::Claim(claim)) => {
                    let planned = self.claim(&claim)?;
                    if let What::Claim(history) = &planned.what
                        && existing.has(node, &planned.subject, history).await?
                    {
                        done.claims_unchanged += 1;
                    } else {
                        message.push(planned);
                    }
                }
                Some(Item::Skipped(skipped)) => done.skipped.push(Remark {
                    place: skipped.locator.to_string(),
                    code: skipped.code.to_string(),
                    reason: skipped.reason,
                }),
            }
        }
        Ok(message)
    }

    fn collection(&self, id: &str, collection: &Collection) -> Result<Planned, ClientError> {
        let subject = self.importer.subject(&collection_name(id))?;
        let description = recorded::of_collection(id, collection, self.source.catalogue());
        Ok(Planned {
            subject,
            place: format!("collection {id}"),
            what: What::Asset(Box::new(description)),
        })
    }

    fn record(&self, record: &CatalogueRecord) -> Result<Planned, ClientError> {
        let subject = self.importer.subject(&record.local_name)?;
        let description = recorded::of_record(record, self.source.catalogue());
        Ok(Planned {
            subject,
            place: record.locator.to_string(),
            what: What::Asset(Box::new(description)),
        })
    }

    fn claim(&self, claim: &HistoryClaim) -> Result<Planned, ClientError> {
        let name = match &claim.about {
            About::Record(id) => ledger_catalogue::local_name(id),
            About::Collection(id) => collection_name(id),
        };
        let history = recorded::of_claim(claim, self.source.catalogue());
        let place = claim.locator.to_string();
        Ok(Planned { subject: self.importer.subject(&name)?, place, what: What::Claim(history) })
    }
}

/// Local names of records have no slash, so a collection's name is never one of them.
fn collection_name(id: &str) -> String {
    format!("collection/{}", ledger_catalogue::local_name(id))
}

fn remarks(record: &CatalogueRecord) -> impl Iterator<Item = Remark> + '_ {
    record.findings.iter().map(|finding| Remark {
        place: record.locator.to_string(),
        code: finding.code.to_string(),
        reason: finding.text.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> v1::SubmitStreamResponse {
        let refused = v1::Refused { code: code.to_owned(), ..v1::Refused::default() };
        let result = Some(v1::outcome::Result::Refused(refused));
        let outcomes = vec![v1::Outcome { result, ..v1::Outcome::default() }];
        v1::SubmitStreamResponse { outcomes, ..v1::SubmitStreamResponse::default() }
    }

    fn planned() -> Vec<Planned> {
        let subject = Subject::new(SubjectKind::Asset, "supplier/one").expect("an id");
        let what = What::Claim(ImportedHistory::default());
        vec![Planned { subject, place: "line 1".to_owned(), what }]
    }

    #[test]
    fn a_budget_that_is_spent_ends_the_import_and_other_refusals_do_not() {
        let (mut done, mut retry) = (Imported::default(), Vec::new());
        settle(planned(), refused("FIELD_VALUE"), &mut done, &mut retry).expect("it goes on");
        assert_eq!((done.skipped.len(), done.skipped[0].code.as_str()), (1, "FIELD_VALUE"));
        let ended = settle(planned(), refused("BUDGET_SPENT"), &mut done, &mut retry);
        let ended = ended.expect_err("it ends");
        assert_eq!((ended.failure, ended.code.as_str()), (Failure::Busy, "BUDGET_SPENT"));
        assert!(!ended.help.is_empty() && done.skipped.len() == 1);
    }
}
