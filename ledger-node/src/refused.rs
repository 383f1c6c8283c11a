//! Which refusals of entries are worth a line in the log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ledger_rules::Code;

/// After so long the count begins anew, so that one refusal now and then is always told.
const SPAN: Duration = Duration::from_hours(1);

/// How often entries were refused lately, by code. Whoever has a key can have any number refused, and must not fill the disks of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Refused(BTreeMap<Code, (Instant, u64)>);

impl Refused {
    /// Notes a refusal. Gives how many of this code there were in its hour if that is news: the first, second, fourth, eighth and so on are.
    pub(crate) fn note(&mut self, code: Code, now: Instant) -> Option<u64> {
        let (began, times) = self.0.entry(code).or_insert((now, 0));
        if now.duration_since(*began) >= SPAN {
            (*began, *times) = (now, 0);
        }
        *times = times.saturating_add(1);
        times.is_power_of_two().then_some(*times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refused_entries_is_not_a_flood_of_lines() {
        let (mut refused, now) = (Refused::default(), Instant::now());
        let told: Vec<u64> =
            (0..10_000).filter_map(|_| refused.note(Code::SubjectExists, now)).collect();
        assert_eq!(told.len(), 14);
        assert_eq!(told[..4], [1, 2, 4, 8]);
        // It keeps neither another code out of the log, nor its own for ever.
        assert_eq!(refused.note(Code::KeyUnknown, now), Some(1));
        assert_eq!(refused.note(Code::SubjectExists, now + SPAN / 2), None);
        assert_eq!(refused.note(Code::SubjectExists, now + SPAN), Some(1));
    }
}
