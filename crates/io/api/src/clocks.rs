//! Validators whose clocks are too far from this node's, for the operator: as far as the last of their proposals shows.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ledger_format::digest::KeyId;
use ledger_format::validators::Validators;

/// For so many blocks more it is told that a clock was apart. A clock that was set is not asked again before its validator's next turn.
const TOLD_BLOCKS: u64 = 64;

/// How far a clock was apart the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Apart {
    height: u64,
    ahead_ms: i64,
    count: u64,
}

/// All of them since the node started. Only what a validator has signed is noted here, so they are few.
#[derive(Debug, Default)]
pub struct Clocks(Mutex<BTreeMap<KeyId, Apart>>);

impl Clocks {
    /// Notes how far the time of a proposal was ahead of this node's clock, and says how often it was too far.
    pub fn note(&self, peer: KeyId, height: u64, ahead_ms: i64) -> u64 {
        let mut clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clocks.get(&peer).map_or(0, |apart| apart.count).saturating_add(1);
        clocks.insert(peer, Apart { height, ahead_ms, count });
        count
    }

    /// What there is to tell of those that were apart lately.
    pub(crate) fn notice(&self, set: &Validators, height: u64) -> Option<String> {
        let clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |(peer, apart): (&KeyId, &Apart)| {
            let member = set.get(peer)?;
            let is_recent = apart.height.saturating_add(TOLD_BLOCKS) > height;
            is_recent.then(|| format!("{} ({})", member.name, distance(apart.ahead_ms)))
        };
        let names: Vec<String> = clocks.iter().filter_map(lately).collect();
        let whose = match names.len() {
            0 => return None,
            1 => "one of the two is wrong",
            _ => "this node's is likely the wrong one",
        };
        let names = names.join(", ");
        Some(format!("NODE_CLOCK: this node's clock is apart from that of {names}: {whose}"))
    }
}

fn distance(ahead_ms: i64) -> String {
    let (seconds, way) =
        (ahead_ms.unsigned_abs() / 1_000, if ahead_ms < 0 { "behind" } else { "ahead" });
    format!("{seconds} s {way}")
}

#[cfg(test)]
mod tests {
    use ledger_story::members::{MEMBERS, set};

    use super::*;

    #[test]
    fn the_clock_that_differs_from_several_is_the_wrong_one() {
        let (clocks, set) = (Clocks::default(), Validators::new(set(&MEMBERS)).unwrap());
        let members: Vec<_> = set.members().iter().collect();
        assert_eq!(clocks.notice(&set, 9), None);
        assert_eq!(clocks.note(KeyId([9; 32]), 9, 90_000), 1);
        assert_eq!(clocks.notice(&set, 9), None, "no validator any more");
        assert_eq!(
            [clocks.note(members[0].id, 8, 61_000), clocks.note(members[0].id, 9, 90_500)],
            [1, 2]
        );
        let told = clocks.notice(&set, 9).unwrap();
        assert!(
            told.contains(&format!("of {} (90 s ahead): one of the two", members[0].name)),
            "{told}"
        );
        clocks.note(members[1].id, 9, -90_500);
        let told = clocks.notice(&set, 9).unwrap();
        assert!(told.contains(&format!("{} (90 s behind)", members[1].name)), "{told}");
        assert!(told.ends_with("this node's is likely the wrong one"), "{told}");
        assert!(clocks.notice(&set, 9 + TOLD_BLOCKS - 1).is_some());
        assert_eq!(clocks.notice(&set, 9 + TOLD_BLOCKS), None);
    }
}
