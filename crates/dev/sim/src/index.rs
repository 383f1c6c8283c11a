//! Whether histories are complete: every entry is on the timeline of its subject and of its issuer, and the timelines that the state
//! commits to are the ones that the index leads through.

use std::collections::BTreeMap;

use bytes::Bytes;
use ledger_event::Record;
use ledger_format::digest::{EntryId, Hash};
use ledger_format::entry::Entry;
use ledger_format::id::state_key;
use ledger_format::message;
use ledger_format::timeline::timeline_step;
use ledger_replay::{Executed, Ledger};

/// The timelines of a chain as the index has them, walked beside the state.
#[derive(Debug, Default)]
pub(crate) struct Index {
    timelines: BTreeMap<Hash, Walked>,
}

/// One timeline so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Walked {
    count: u64,
    head: Vec<u8>,
    last: u64,
}

impl Index {
    /// The index of the next block.
    ///
    /// # Errors
    /// What is missing, or leads astray.
    pub(crate) fn push(&mut self, executed: &Executed, entries: &[Entry]) -> Result<(), String> {
        for ((leaf, entry), links) in (executed.first_entry..).zip(entries).zip(&executed.links) {
            let issuer = format!("activity:party/{}", entry.claims().issuer);
            for id in [entry.claims().subject.as_str(), &issuer] {
                if !links.iter().any(|link| link.key == state_key(id)) {
                    return Err(format!("leaf {leaf} is not on the timeline of {id}"));
                }
            }
            for link in links {
                self.step(&link.key, link.previous, leaf, &entry.id())?;
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        key: &Hash,
        previous: Option<u64>,
        leaf: u64,
        id: &EntryId,
    ) -> Result<(), String> {
        let walked = self.timelines.entry(*key).or_default();
        let expected = (walked.count > 0).then_some(walked.last);
        if previous != expected {
            return Err(format!(
                "leaf {leaf} follows {previous:?} on a timeline, not {expected:?}"
            ));
        }
        walked.count += 1;
        walked.head = timeline_step(&walked.head, id).to_vec();
        walked.last = leaf;
        Ok(())
    }

    /// Every record of the state has the timeline that the index has.
    ///
    /// # Errors
    /// The first that has not.
    pub(crate) fn compare(&self, ledger: &Ledger) -> Result<(), String> {
        let records = ledger.records_after(ledger.height(), None, usize::MAX).unwrap_or_default();
        let mut found = 0;
        for (key, bytes) in records {
            let record: Record = message::decode("record", &Bytes::from(bytes))
                .map_err(|error| error.to_string())?;
            let timeline = record.timeline.unwrap_or_default();
            let in_state =
                Walked { count: timeline.count, head: timeline.head.to_vec(), last: timeline.last };
            let in_index = self.timelines.get(&key).cloned().unwrap_or_default();
            if in_state != in_index {
                return Err(format!("{}: {in_state:?} in the state, not in the index", record.id));
            }
            found += usize::from(timeline.count > 0);
        }
        if found == self.timelines.len() {
            return Ok(());
        }
        Err(format!("{} timelines, and {found} records of them", self.timelines.len()))
    }
}

#[cfg(test)]
mod tests {
    use ledger_event::Clock;
    use ledger_format::block::Body;
    use ledger_story::{Story, validator};

    use super::*;

    /// A ledger of a story's blocks, each of which may be changed before the index sees it; what the index says of it.
    fn walked(mut change: impl FnMut(&mut Executed)) -> Result<(), String> {
        let story = Story::before_genesis(Clock::Wall, "2026-08-03").in_earnest().begun();
        let mut ledger = Ledger::new(story.genesis.clone()).unwrap();
        let mut index = Index::default();
        for height in 1..=story.height {
            let logged = story.log.iter().filter(|logged| logged.height == height);
            let entries: Vec<Entry> = logged.map(|logged| logged.entry.clone()).collect();
            let some: Vec<&Entry> = entries.iter().collect();
            let proposal = ledger.propose(validator(), story.time_ms, &some);
            let mut executed = proposal.block.unwrap();
            let body = Body { header: executed.header.clone(), entries: Vec::new() };
            assert_eq!(body.header.height, height);
            change(&mut executed);
            index.push(&executed, &entries)?;
            ledger.commit(executed).unwrap();
        }
        index.compare(&ledger)
    }

    #[test]
    fn what_is_left_out_or_led_astray_is_found() {
        assert_eq!(walked(|_| ()), Ok(()));
        assert!(walked(|executed| executed.links[0].clear()).is_err());
        let astray = |executed: &mut Executed| {
            let last = executed.links.last_mut().unwrap();
            last[0].previous = Some(last[0].previous.map_or(0, |leaf| leaf + 1));
        };
        assert!(walked(astray).is_err());
        // A timeline that is neither the subject's nor the issuer's: only the state shows that it is missing.
        let mut dropped = false;
        let kind = |executed: &mut Executed| {
            let genesis = state_key("activity:kind/genesis_published");
            for links in &mut executed.links {
                let before = links.len();
                links.retain(|link| link.key != genesis);
                dropped |= links.len() < before;
            }
        };
        let said = walked(kind).unwrap_err();
        assert!(dropped && said.contains("in the state"), "{said}");
    }
}
