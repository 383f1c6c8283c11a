//! How many validators have a block: what each has reported, and who waits for more of them.
//!
//! A validator reports a height after its block, certificate and state are flushed to its disk, and the transport knows who reports. The
//! answering one counts itself once its log has the block.
//! A validator may lie about itself, and about nobody else. Those count who sign the next block: who has left answers for nothing any
//! more, and who came in later has all blocks from the first on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ledger_format::digest::KeyId;
use ledger_format::validators::Validators;

use crate::outcomes::{Group, Level, Outcome, Position};

/// Heights that validators have reported durable, and calls that wait for reports.
#[derive(Debug, Default)]
pub struct Replication(Mutex<Reports>);

#[derive(Debug, Default)]
struct Reports {
    /// Those who count.
    validators: BTreeSet<KeyId>,
    /// Those who are about to: they may have reported before they do.
    coming: BTreeSet<KeyId>,
    /// The last report of each. A lower one stands as well: it has lost its disk, and says so.
    durable: BTreeMap<KeyId, u64>,
    /// Entries of calls, by the height of their block.
    waiting: BTreeMap<u64, Vec<(Weak<Group>, usize, Position)>>,
}

impl Reports {
    fn replicas(&self, height: u64) -> u32 {
        let has = |id: &&KeyId| self.durable.get(*id).is_some_and(|durable| *durable >= height);
        let having = self.validators.iter().filter(has).count();
        u32::try_from(having).unwrap_or(u32::MAX)
    }

    /// Settles what has enough reports now, and drops calls that are over.
    fn settle(&mut self, upto: u64) {
        let counts: Vec<(u64, u32)> = self
            .waiting
            .range(..=upto)
            .map(|(height, _)| (*height, self.replicas(*height)))
            .collect();
        for (height, replicas) in counts {
            let Some(waiting) = self.waiting.get_mut(&height) else { continue };
            waiting.retain(|(group, index, position)| {
                let Some(group) = group.upgrade() else { return false };
                let enough = is_enough(group.level, replicas);
                if enough {
                    group.settle(*index, Outcome::Placed(*position));
                }
                !enough
            });
            if waiting.is_empty() {
                self.waiting.remove(&height);
            }
        }
    }
}

fn is_enough(level: Level, replicas: u32) -> bool {
    match level {
        Level::Accepted => true,
        Level::Durable { replicas: wanted } => replicas >= wanted,
    }
}

impl Replication {
    /// Counts these validators from now on, who sign the next block, and listens to those of the block after it.
    pub fn count(&self, validators: &Validators, next: &Validators) {
        let ids = |set: &Validators| set.members().iter().map(|member| member.id).collect();
        let (validators, coming): (BTreeSet<KeyId>, BTreeSet<KeyId>) = (ids(validators), ids(next));
        let mut reports = self.lock();
        if reports.validators == validators && reports.coming == coming {
            return;
        }
        reports.durable.retain(|id, _| validators.contains(id) || coming.contains(id));
        (reports.validators, reports.coming) = (validators, coming);
        reports.settle(u64::MAX);
    }

    /// A node has reported that all blocks up to a height are durable with it. What others than validators report is not kept.
    pub fn report(&self, node: KeyId, height: u64) {
        let mut reports = self.lock();
        if reports.validators.contains(&node) || reports.coming.contains(&node) {
            reports.durable.insert(node, height);
            reports.settle(height);
        }
    }

    /// Validators that have reported a height durable.
    pub fn replicas(&self, height: u64) -> u32 {
        self.lock().replicas(height)
    }

    /// The last report of each validator.
    pub(crate) fn reported(&self) -> BTreeMap<KeyId, u64> {
        self.lock().durable.clone()
    }

    /// An entry is in a certified block whose body is durable here: settles it, or waits for reports.
    pub(crate) fn place(&self, group: &Arc<Group>, index: usize, position: Position) {
        // Nearly every entry: nobody asked for more than the certificate.
        if group.level == Level::CERTIFIED {
            group.settle(index, Outcome::Placed(position));
            return;
        }
        let mut reports = self.lock();
        if is_enough(group.level, reports.replicas(position.height)) {
            group.settle(index, Outcome::Placed(position));
            return;
        }
        group.note(index, Outcome::Placed(position));
        let waiting = reports.waiting.entry(position.height).or_default();
        // An entry may be asked for again and again by calls that are over. Looked at when the list would grow, so that a block of
        // many entries is no square of them.
        if waiting.len() == waiting.capacity() {
            waiting.retain(|(group, ..)| group.strong_count() > 0);
        }
        waiting.push((Arc::downgrade(group), index, position));
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
