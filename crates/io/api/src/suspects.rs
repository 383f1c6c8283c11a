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
    /// Notes that a node sent what may not follow, and says how often it has.
    pub fn note(&self, peer: KeyId, height: u64, why: Refuted) -> u64 {
        let mut suspects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.len() >= REMEMBERED && !suspects.contains_key(&peer) {
            let seldom = suspects.iter().min_by_key(|(_, suspect)| suspect.count);
            if let Some(seldom) = seldom.map(|(peer, _)| *peer) {
                suspects.remove(&seldom);
            }
        }
        let count = suspects.get(&peer).map_or(0, |suspect| suspect.count).saturating_add(1);
        suspects.insert(peer, Suspect { count, height, why });
        count
    }

    /// What is known, by node.
    pub fn all(&self) -> BTreeMap<KeyId, Suspect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use ledger_verify::finding::{Code, Place};

    use super::*;

    const fn peer(name: u8) -> KeyId {
        KeyId([name; 32])
    }

    #[test]
    fn who_sends_often_is_counted_and_strangers_do_not_push_it_out() {
        let suspects = Suspects::default();
        let note = |name| {
            suspects.note(peer(name), 7, Refuted::new(Code::Height, Place::block(7), "none"))
        };
        assert_eq!([note(200), note(200), note(200)], [1, 2, 3]);
        for name in 0..100 {
            assert_eq!(note(name), 1);
        }
        let all = suspects.all();
        assert_eq!(all.len(), REMEMBERED);
        assert_eq!(all[&peer(200)].count, 3);
    }
}
