//! Whether versions of the protocol hold: which one each height follows and what it may have, from the blocks alone.

use ledger_event::event::Act;
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;

/// The first version that lets evidence be recorded, and the first that lets budgets be set.
const EVIDENCE: u32 = 2;
pub(crate) const BUDGETS: u32 = 3;
/// Heights from the block of an activation to the first that may follow it.
pub(crate) const NOTICE: u64 = 2;

/// What was activated so far.
#[derive(Debug)]
pub(crate) struct Versions {
    now: u32,
    /// A version to come, and its first height.
    planned: Option<(u32, u64)>,
}

impl Versions {
    pub(crate) const fn new(genesis: &GenesisDocument) -> Self {
        Self { now: genesis.message().protocol_version, planned: None }
    }

    /// The next block, and the version that its header names.
    ///
    /// # Errors
    /// What is not of the version that is in force, or brings another than the next one.
    pub(crate) fn push(
        &mut self,
        height: u64,
        found: u32,
        entries: &[Entry],
    ) -> Result<(), String> {
        if let Some((version, _)) = self.planned.take_if(|(_, from)| height >= *from) {
            self.now = version;
        }
        let now = self.now;
        if found != now {
            return Err(format!("block {height} follows version {found}, {now} is in force"));
        }
        for act in entries.iter().filter_map(|entry| entry.event().act.as_ref()) {
            if since(act) > now {
                return Err(format!("block {height} has an act of version {}", since(act)));
            }
            if let Act::ProtocolActivated(next) = act {
                if next.version != now + 1 || next.height < height + NOTICE {
                    return Err(format!("block {height} of version {now} has {next:?}"));
                }
                self.planned = Some((next.version, next.height));
            }
        }
        Ok(())
    }
}

const fn since(act: &Act) -> u32 {
    match act {
        Act::MisconductRecorded(_) => EVIDENCE,
        Act::BudgetsSet(_) => BUDGETS,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use ledger_event::Clock;
    use ledger_story::cast::{AUTHORITY, EXCHANGE, REGISTRY};
    use ledger_story::deed::Deed;
    use ledger_story::members::{MEMBERS, budgets_set, protocol_activated, set};
    use ledger_story::{LIMITS, Story, china, genesis_with};

    use super::*;

    const PARTIES: &[&str] = &[EXCHANGE, REGISTRY, AUTHORITY];

    /// What is said of a block with one entry, after block 12 with the activation of version 3 from height 14 on.
    fn judged(height: u64, version: u32, deed: &Deed) -> Result<(), String> {
        let genesis = genesis_with(set(&MEMBERS), 2, Clock::Wall, china("2026-08-03"), LIMITS);
        let story = Story::of(genesis).begun();
        let seal = |deed: &Deed| story.seal(deed);
        let mut versions = Versions::new(&story.genesis);
        let first = versions.push(12, 2, &[seal(&protocol_activated(3, 14, PARTIES))]);
        assert_eq!(first, Ok(()));
        versions.push(height, version, &[seal(deed)])
    }

    #[test]
    fn what_is_too_early_or_too_late_is_found() {
        let budgets = budgets_set(None, PARTIES);
        let next = |version, height| protocol_activated(version, height, PARTIES);
        assert_eq!(judged(14, 3, &budgets), Ok(()));
        assert_eq!(judged(13, 2, &next(3, 15)), Ok(()), "another height");
        assert_eq!(judged(14, 3, &next(4, 16)), Ok(()));
        for (height, version, deed) in [
            (13, 2, &budgets),
            (13, 3, &budgets),
            (14, 2, &next(3, 16)),
            (14, 3, &next(5, 16)),
            (14, 3, &next(4, 15)),
        ] {
            assert!(judged(height, version, deed).is_err(), "{height} {version}");
        }
    }
}
