//! Nodes that sent what may not follow, for the operator: how often, and the last time what and where.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ledger_format::digest::KeyId;
use ledger_verify::finding::Refuted;

/// Nodes that are remembered. A stranger that comes back under new names must not hold memory.
const REMEMBERED: usize = 64;

/// What one node sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// How often.
    pub count: u64,
    /// The height that was to come, the last time.
    pub height: u64,
    /// What was wrong, the last time.
    pub why: Refuted,
}

/// All of them since the node started.
#[derive(Debug, Default)]
pub struct Suspects(Mutex<BTreeMap<KeyId, Suspect>>);

impl Suspects {
    /// Notes that a node sent what may not follow.
    pub fn note(&self, peer: KeyId, height: u64, why: Refuted) {
        let mut suspects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.len() >= REMEMBERED && !suspects.contains_key(&peer) {
            let seldom = suspects.iter().min_by_key(|(_, suspect)| suspect.count);
            if let Some(seldom) = seldom.map(|(peer, _)| *peer) {
                suspects.remove(&seldom);
            }
        }
        let count = suspects.get(&peer).map_or(0, |suspect| suspect.count).saturating_add(1);
        suspects.insert(peer, Suspect { count, height, why });
    }

    /// What is known, by node.
    pub fn all(&self) -> BTreeMap<KeyId, Suspect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
