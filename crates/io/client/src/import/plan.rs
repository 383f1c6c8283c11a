//! What a source yields, turned into what to import.

use std::collections::{BTreeMap, VecDeque};

use ledger_catalogue::{About, CatalogueRecord, Collection, HistoryClaim, Item, Source};
use ledger_event::event::Act;
use ledger_format::entry::Entry;
use ledger_format::id::Subject;

use super::once::{Row, Rows, Stated};
use super::{Imported, Importer, Planned, Remark, What, recorded};
use crate::error::ClientError;
use crate::node::Node;

/// What is still to be imported.
pub(super) struct Plan<'a> {
    importer: &'a Importer,
    source: Source,
    existing: Existing,
    rows: Rows,
    collections: VecDeque<(String, Collection)>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(importer: &'a Importer, source: Source) -> Self {
        let collections =
            source.collections().iter().map(|(id, c)| (id.clone(), c.clone())).collect();
        let (existing, rows) = (Existing::default(), Rows::default());
        Self { importer, source, existing, rows, collections }
    }

    /// The next thing to import; none at the end. What needs no entry goes into what was done.
    pub(super) async fn next(
        &mut self,
        node: &mut Node,
        done: &mut Imported,
    ) -> Result<Option<Planned>, ClientError> {
        if let Some((id, collection)) = self.collections.pop_front() {
            return self.collection(&id, &collection).map(Some);
        }
        while let Some(item) = self.source.next().transpose()? {
            match item {
                Item::Record(record) => {
                    done.findings.extend(remarks(&record));
                    return self.record(&record).map(Some);
                }
                Item::Claim(claim) => {
                    let planned = self.claim(&claim)?;
                    if let What::Claim(_, row) = &planned.what
                        && self.existing.has(node, &planned.subject, row).await?
                    {
                        done.claims_unchanged += 1;
                    } else {
                        return Ok(Some(planned));
                    }
                }
                Item::Skipped(skipped) => done.skipped.push(Remark {
                    place: skipped.locator.to_string(),
                    code: skipped.code.to_string(),
                    reason: skipped.reason,
                }),
            }
        }
        Ok(None)
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

    fn claim(&mut self, claim: &HistoryClaim) -> Result<Planned, ClientError> {
        let name = match &claim.about {
            About::Record(id) => ledger_catalogue::local_name(id),
            About::Collection(id) => collection_name(id),
        };
        let history = recorded::of_claim(claim, self.source.catalogue());
        let (subject, place) = (self.importer.subject(&name)?, claim.locator.to_string());
        let row = self.rows.next(&subject, claim.digest);
        Ok(Planned { subject, place, what: What::Claim(history, row) })
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

/// Claims that the ledger has already, by subject. Read once a subject, and only for subjects that were there before.
#[derive(Default)]
struct Existing {
    claims: BTreeMap<Subject, Stated>,
}

impl Existing {
    async fn has(
        &mut self,
        node: &mut Node,
        subject: &Subject,
        row: &Row,
    ) -> Result<bool, ClientError> {
        if !self.claims.contains_key(subject) {
            let claims = claims_of(node, subject).await?;
            self.claims.insert(subject.clone(), claims);
        }
        Ok(self.claims.get(subject).is_some_and(|stated| stated.has(subject, row)))
    }
}

async fn claims_of(node: &mut Node, subject: &Subject) -> Result<Stated, ClientError> {
    if node.record(subject.as_str(), 0, 0, false).await?.record.is_none() {
        return Ok(Stated::default());
    }
    let mut claims = Vec::new();
    for leaf in node.history(subject.as_str()).await? {
        let entry = Entry::decode(leaf.entry)?;
        if let Some(Act::ImportedHistory(claim)) = &entry.event().act {
            let digest =
                claim.source_digest.as_ref().and_then(|d| d.value.as_ref().try_into().ok());
            claims.extend(digest.map(|digest| (digest, entry.claims().nonce)));
        }
    }
    Ok(Stated::of(subject, claims))
}
