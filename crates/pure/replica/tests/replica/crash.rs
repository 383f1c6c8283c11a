//! The process dies before every single action, and what was not synced is lost, all of it or in part. Whatever is left, the
//! next process never signs anything that contradicts what could have left the machine, and every client gets its answer.

use std::collections::BTreeSet;

use ledger_event::Clock;
use ledger_format::digest::EntryId;
use ledger_format::entry::Entry;
use ledger_replica::Settings;
use ledger_story::Story;

use crate::blocks::{assets, begun, logged};
use crate::host::{Died, Disk, Host};
use crate::notary::{Kind, Notary};

/// What clients submit, wave after wave; after a crash they do it again.
type Waves = Vec<Vec<Entry>>;

/// One life of a process: what it leaves, and whether it died.
fn live(disk: Disk, waves: &Waves, left: usize) -> (Host, Result<(), Died>) {
    let (mut host, started) = Host::start_until(disk, Settings::default(), left).unwrap();
    let lived = started.and_then(|()| {
        waves.iter().try_for_each(|wave| {
            host.submit_all(wave)?;
            host.gathered()
        })
    });
    (host, lived)
}

/// How many actions an undisturbed life has.
fn actions(disk: &Disk, waves: &Waves) -> usize {
    usize::MAX - live(disk.clone(), waves, usize::MAX).0.left
}

struct Campaign {
    disk: Disk,
    waves: Waves,
    /// The same entries in another order with one more: another block, if it may be another one.
    others: Waves,
    /// Whether the log is thrown away at every start.
    forgetful: bool,
}

/// What a campaign found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    lives: usize,
    /// Deaths that left a signature for a block that was not yet decided.
    bound: usize,
    /// Of these, restarts in which another block was decided: a double vote.
    doubles: usize,
}

impl Campaign {
    fn after_crash(&self, disk: &Disk, unsynced: usize) -> Disk {
        let mut left = disk.after_crash(unsynced);
        if self.forgetful {
            left.log.clear();
            left.synced = 0;
        }
        left
    }

    fn run(&self) -> Found {
        let mut found = Found::default();
        for death in 0..actions(&self.disk, &self.waves) {
            let (host, lived) = live(self.disk.clone(), &self.waves, death);
            assert_eq!(lived, Err(Died));
            for unsynced in 0..=host.disk.unsynced() {
                self.second(&host.disk, unsynced, &mut found);
            }
        }
        found
    }

    /// The life after the first death, and those after it dies as well.
    fn second(&self, first: &Disk, unsynced: usize, found: &mut Found) {
        let mut notary = Notary::new(self.disk.genesis.id());
        let left = first.after_crash(unsynced);
        notary.read_log(&left.log);
        notary.read_blocks(&left.blocks);
        let start = self.after_crash(first, unsynced);
        for waves in [&self.waves, &self.others] {
            self.last(&start, waves, notary.clone(), found);
        }
        // Enough to interrupt the recovery or the next height anywhere.
        let deaths = if self.forgetful { 0 } else { 13 };
        for death in 0..deaths {
            let (host, lived) = live(start.clone(), &self.others, death);
            if lived.is_ok() {
                break;
            }
            for unsynced in BTreeSet::from([0, host.disk.unsynced()]) {
                let left = host.disk.after_crash(unsynced);
                let mut notary = notary.clone();
                notary.read_log(&left.log);
                notary.read_blocks(&left.blocks);
                self.last(&self.after_crash(&host.disk, unsynced), &self.waves, notary, found);
            }
        }
    }

    /// A life that goes on until everybody has an answer.
    fn last(&self, start: &Disk, waves: &Waves, mut notary: Notary, found: &mut Found) {
        let next = start.blocks.len() + 1;
        let bound = notary.block(u64::try_from(next).unwrap());
        let (host, lived) = live(start.clone(), waves, usize::MAX);
        lived.unwrap();
        let disk = host.disk;
        notary.read_log(&disk.log);
        notary.read_blocks(&disk.blocks);

        found.lives += 1;
        found.bound += usize::from(bound.is_some());
        found.doubles += usize::from(!notary.doubles().is_empty());
        if !self.forgetful {
            assert_eq!(notary.doubles(), []);
            if let Some(bound) = bound {
                assert_eq!(disk.blocks[next - 1].certificate.block, bound);
            }
        }
        // What was durable stays, everything submitted is in the chain once, and there is no empty block.
        assert_eq!(disk.blocks[..start.blocks.len()], start.blocks);
        let entries = disk.blocks.iter().flat_map(|block| &block.body.entries);
        let ids: Vec<EntryId> =
            entries.map(|bytes| Entry::decode(bytes.clone()).unwrap().id()).collect();
        let unique: BTreeSet<&EntryId> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        assert!(waves.iter().flatten().all(|entry| unique.contains(&entry.id())));
        assert!(disk.blocks.iter().all(|block| !block.body.entries.is_empty()));
        assert_eq!(host.replica.pool_size(), (0, 0));
        if found.lives.is_multiple_of(100) {
            assert_eq!(disk.verified().header(), host.ledger.header());
        }
    }
}

/// Two blocks after the beginning.
fn campaign(forgetful: bool) -> Campaign {
    let (mut story, mut host) = begun();
    host.disk.log.clear();
    host.disk.synced = 0;
    let (rain, sun) = (assets(&mut story, "rain", 3), assets(&mut story, "sun", 2));
    let other = assets(&mut story, "other", 1);
    let waves = vec![rain.clone(), sun.clone()];
    let others = vec![[other, rain].concat(), sun];
    Campaign { disk: host.disk, waves, others, forgetful }
}

#[test]
fn no_crash_makes_it_sign_twice_or_lose_an_answer() {
    let found = campaign(false).run();
    assert!(found.lives > 500 && found.bound > 100, "{found:?}");
    assert_eq!(found.doubles, 0);
}

/// The check can fail: a validator that starts without its log does what the log is there to prevent.
#[test]
fn a_log_that_is_thrown_away_shows_as_double_votes() {
    let found = campaign(true).run();
    assert!(found.doubles > 10, "{found:?}");
}

#[test]
fn the_first_height_is_no_exception() {
    let story = Story::before_genesis(Clock::Wall, "2026-08-03").in_earnest().begun();
    let first = logged(&story, 1);
    // Genesis must come first; the documents may come in any order.
    let mut others = first.clone();
    others[1..].reverse();
    let (waves, others) = (vec![first], vec![others]);
    let disk = Disk::new(story.genesis.clone());
    let found = Campaign { disk, waves, others, forgetful: false }.run();
    assert!(found.lives > 100 && found.bound > 20, "{found:?}");
}

#[test]
fn every_signature_is_logged_before_it_counts() {
    let Campaign { disk, waves, .. } = campaign(false);
    let height = u64::try_from(disk.blocks.len()).unwrap() + 1;
    let slots = [Kind::Proposal, Kind::Prevote, Kind::Precommit].map(|kind| (height, 0, kind));
    let mut seen = BTreeSet::new();
    for death in 0..actions(&disk, &waves) {
        let (host, _) = live(disk.clone(), &waves, death);
        let mut notary = Notary::new(disk.genesis.id());
        notary.read_log(&host.disk.log[..host.disk.synced]);
        let slots_now = notary.slots(height);
        // A block is durable only after all that was signed for it.
        if host.disk.blocks.len() >= usize::try_from(height).unwrap() {
            assert_eq!(slots_now, slots);
        }
        seen.insert(slots_now);
    }
    assert_eq!(seen, BTreeSet::from([vec![], slots.to_vec()]));
}

#[test]
fn an_interrupted_height_is_decided_before_anything_else() {
    let Campaign { disk, waves, others, .. } = campaign(false);
    let height = disk.blocks.len() + 1;
    let done = live(disk.clone(), &waves, usize::MAX).0;
    let decided = &done.disk.blocks[height - 1];
    for death in 0..actions(&disk, &waves) {
        let (host, _) = live(disk.clone(), &waves, death);
        let left = host.disk.after_crash(host.disk.unsynced());
        let mut notary = Notary::new(disk.genesis.id());
        notary.read_log(&left.log);
        if left.blocks.len() >= height || notary.block(u64::try_from(height).unwrap()).is_none() {
            continue;
        }
        // Without any entry submitted again, and although others are.
        let host = Host::start(left.clone(), Settings::default()).unwrap();
        assert_eq!(&host.disk.blocks[height - 1].body, &decided.body);
        assert_eq!(host.ledger.height(), u64::try_from(height).unwrap());
        assert!(host.timers.is_empty() && !host.gathering);
        let (host, _) = live(left, &others, usize::MAX);
        assert_eq!(&host.disk.blocks[height - 1].body, &decided.body);
    }
}
