//! Validators whose clocks are too far ahead of this node's, for the operator: as far as the last of their proposals shows.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger_format::digest::KeyId;
use ledger_format::validators::Validators;

/// For so long after the last proposal that was ahead it is told. A clock that was set shows only in that nothing more comes.
const TOLD: Duration = Duration::from_mins(15);

/// How far a clock was ahead the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ahead {
    at: Instant,
    by_ms: u64,
    count: u64,
}

/// All of them since the node started. Only what a validator has signed is noted here, so they are few.
#[derive(Debug, Default)]
pub struct Clocks(Mutex<BTreeMap<KeyId, Ahead>>);

impl Clocks {
    /// Notes how far the time of a proposal was ahead of this node's clock, and says how often it was too far.
    pub fn note(&self, peer: KeyId, by_ms: u64) -> u64 {
        let mut clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clocks.get(&peer).map_or(0, |ahead| ahead.count).saturating_add(1);
        clocks.insert(peer, Ahead { at: Instant::now(), by_ms, count });
        count
    }

    /// What there is to tell of those that were ahead lately.
    pub(crate) fn notice(&self, set: &Validators, now: Instant) -> Option<String> {
        let clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |(peer, ahead): (&KeyId, &Ahead)| {
            let member = set.get(peer)?;
            let ago = now.saturating_duration_since(ahead.at);
            let (seconds, minutes) = (ahead.by_ms / 1_000, ago.as_secs() / 60);
            (ago < TOLD).then(|| format!("{} (by {seconds} s, {minutes} min ago)", member.name))
        };
        let names: Vec<String> = clocks.iter().filter_map(lately).collect();
        let whose = match names.len() {
            0 => return None,
            1 => "one of the two is wrong",
            _ => "this node's is likely the wrong one",
        };
        let names = names.join(", ");
        Some(format!("NODE_CLOCK: this node's clock is behind that of {names}: {whose}"))
    }
}

#[cfg(test)]
mod tests {
    use ledger_story::members::{MEMBERS, set};

    use super::*;

    #[test]
    fn the_clock_that_is_behind_several_is_the_wrong_one() {
        let (clocks, set) = (Clocks::default(), Validators::new(set(&MEMBERS)).unwrap());
        let members: Vec<_> = set.members().iter().collect();
        let notice = |after| clocks.notice(&set, Instant::now() + after);
        assert_eq!(notice(Duration::ZERO), None);
        assert_eq!(clocks.note(KeyId([9; 32]), 90_000), 1);
        assert_eq!(notice(Duration::ZERO), None, "no validator any more");
        let first = members[0];
        assert_eq!([clocks.note(first.id, 61_000), clocks.note(first.id, 90_500)], [1, 2]);
        let told = notice(Duration::from_mins(3)).unwrap();
        let (name, ending) = (&first.name, "one of the two is wrong");
        assert!(told.ends_with(&format!("of {name} (by 90 s, 3 min ago): {ending}")), "{told}");
        clocks.note(members[1].id, 70_000);
        let told = notice(Duration::ZERO).unwrap();
        assert!(told.contains(&format!("{} (by 70 s, 0 min ago)", members[1].name)), "{told}");
        assert!(told.ends_with("this node's is likely the wrong one"), "{told}");
        assert_eq!(notice(TOLD + Duration::from_secs(1)), None);
    }
}
