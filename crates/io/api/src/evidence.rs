//! What the node holds against validators, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ledger_format::evidence::{Evidence, EvidenceId};
use ledger_proto::v1;
use ledger_verify::evidence::Culprit;

use crate::problem::Problem;

/// Evidence that is durable, by id. The replica bounds how much there is.
#[derive(Debug, Default)]
pub struct EvidenceList(Mutex<BTreeMap<EvidenceId, (Evidence, Vec<Culprit>)>>);

impl EvidenceList {
    /// Adds evidence that was checked and is durable.
    pub fn add(&self, evidence: Evidence, culprits: Vec<Culprit>) {
        self.lock().insert(evidence.id(), (evidence, culprits));
    }

    /// Adds what was kept before the node was started.
    pub fn extend(&self, known: Vec<(Evidence, Vec<Culprit>)>) {
        self.lock().extend(known.into_iter().map(|known| (known.0.id(), known)));
    }

    /// How much there is.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of it, in short.
    pub(crate) fn summaries(&self) -> Vec<v1::EvidenceSummary> {
        let summary = |(id, (evidence, culprits)): (&EvidenceId, &(Evidence, Vec<Culprit>))| {
            v1::EvidenceSummary {
                id: Bytes::copy_from_slice(&id.0),
                offence: evidence.offence.name().to_owned(),
                height: evidence.height,
                round: evidence.offence.round(),
                accused: culprits.iter().map(accused).collect(),
            }
        };
        self.lock().iter().map(summary).collect()
    }

    /// One of it.
    pub(crate) fn get(&self, id: &EvidenceId) -> Result<Evidence, Problem> {
        let found = self.lock().get(id).map(|(evidence, _)| evidence.clone());
        found.ok_or_else(|| Problem::not_found(format!("evidence {id}")))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EvidenceId, (Evidence, Vec<Culprit>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accused(culprit: &Culprit) -> v1::Accused {
    v1::Accused {
        key_id: Bytes::copy_from_slice(culprit.key.as_bytes()),
        name: culprit.name.clone(),
        party: culprit.party.clone(),
    }
}
