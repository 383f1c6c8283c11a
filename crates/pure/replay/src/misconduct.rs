//! Evidence that an entry records, judged before the rules see it: by the validators of the state, and by the same judge as a file in an
//! auditor's hand.

use alloc::format;

use ledger_event::event::Act;
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_format::validators::Validators;
use ledger_rules::genesis::{VALIDATORS, VALIDATORS_BEFORE};
use ledger_rules::{Code, Refusal};
use ledger_verify::evidence::judge;
use ledger_verify::verdict::Verdict;

use crate::ledger::{Ledger, recorded_set};

/// Refuses an entry whose evidence proves nothing. Entries without evidence pass.
pub(crate) fn check(ledger: &Ledger, entry: &Entry) -> Result<(), Refusal> {
    let Some(Act::MisconductRecorded(event)) = &entry.event().act else { return Ok(()) };
    let evidence = Evidence::decode(event.evidence.clone())
        .map_err(|error| Refusal::new(Code::Field, format!("evidence: {error}")))?;
    let state = ledger.state();
    let sets = [VALIDATORS, VALIDATORS_BEFORE].map(|id| recorded_set(&state, id));
    let mut judged = sets.iter().flatten().map(|set| guilty(ledger, set, &evidence));
    let now = judged.next().unwrap_or_else(|| {
        Err(Refusal::new(Code::MisconductUnproven, "the state names no validators"))
    });
    if judged.any(|before| before.is_ok()) { Ok(()) } else { now }
}

fn guilty(ledger: &Ledger, set: &Validators, evidence: &Evidence) -> Result<(), Refusal> {
    let unproven = |verdict: Verdict| Refusal::new(Code::MisconductUnproven, verdict.reason());
    judge(&ledger.genesis().id(), set, evidence).map(drop).map_err(unproven)
}
