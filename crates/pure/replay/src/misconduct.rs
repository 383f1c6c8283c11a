//! Evidence that nodes tell each other or an entry records, judged by the validators of the state, and by the same judge as a file in an
//! auditor's hand.

use alloc::format;
use alloc::vec::Vec;

use ledger_event::event::Act;
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_format::validators::Validators;
use ledger_rules::genesis::VALIDATORS_BEFORE;
use ledger_rules::past_sets::{ASKED_FIRST_SINCE, past_set};
use ledger_rules::{Code, Refusal};
use ledger_verify::evidence::{Culprit, judge};
use ledger_verify::verdict::Verdict;

use crate::ledger::{Ledger, recorded_set};

impl Ledger {
    /// Whom evidence proves guilty, by the validators of the state, or else by those before the last change, or else by those that
    /// signed the height that it is about. From protocol version 5 on the last come first: the key may be somebody else's by now.
    ///
    /// # Errors
    /// The verdict by the validators of the state, as [`judge`] gives it.
    pub fn judge(&self, evidence: &Evidence) -> Result<Vec<Culprit>, Verdict> {
        let id = self.genesis().id();
        let past = || past_set(&self.state(), evidence.height);
        let by = |set: Option<Validators>| judge(&id, &set?, evidence).ok();
        let asks_first = self.protocol().version >= ASKED_FIRST_SINCE;
        if let Some(culprits) = asks_first.then(past).and_then(by) {
            return Ok(culprits);
        }
        judge(&id, self.next_validators(), evidence).or_else(|verdict| {
            let before = recorded_set(&self.state(), VALIDATORS_BEFORE);
            by(before).or_else(|| by(past())).ok_or(verdict)
        })
    }
}

/// The evidence that an entry records, if it records any. Refuses what proves nothing, before the rules see it.
pub(crate) fn check(ledger: &Ledger, entry: &Entry) -> Result<Option<Evidence>, Refusal> {
    let Some(Act::MisconductRecorded(event)) = &entry.event().act else { return Ok(None) };
    let evidence = Evidence::decode(event.evidence.clone())
        .map_err(|error| Refusal::new(Code::Field, format!("evidence: {error}")))?;
    let unproven = |verdict: Verdict| Refusal::new(Code::MisconductUnproven, verdict.reason());
    ledger.judge(&evidence).map_err(unproven)?;
    Ok(Some(evidence))
}
