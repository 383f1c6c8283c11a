//! Sets of validators that are out of force: who signed two things under one answers for it still.

use alloc::format;

use bytes::Bytes;
use ledger_event::{PastSet, PastSets};
use ledger_format::digest::hex;
use ledger_format::validators::Validators;

use crate::act::Act;
use crate::genesis::PAST_SETS;
use crate::view::{View, Writes, read_as};

/// The version of the protocol that brought them.
const SINCE: u32 = 4;
/// The version from which the past set of a height is asked first: a key may be somebody else's by now (docs/adr/0029).
pub const ASKED_FIRST_SINCE: u32 = 5;
/// Sets that the list names at most; the oldest are left out.
const MOST: usize = 1_024;

/// The set that signed a height, if it is out of force, and was put there since version 4.
pub fn past_set(base: &dyn View, height: u64) -> Option<Validators> {
    let PastSets { sets } = read_as(base, PAST_SETS)?;
    let past = sets.get(sets.partition_point(|past| past.until < height))?;
    Validators::new(read_as(base, &record_of(&past.set))?).ok()
}

/// Keeps the set that a change puts out of force: it signs the block after the change as the last one.
pub(crate) fn keep(act: &Act<'_>, before: &Validators, writes: &mut Writes) {
    if act.version() < SINCE {
        return;
    }
    let set = Bytes::copy_from_slice(&before.hash());
    let mut past: PastSets = act.state.in_force(PAST_SETS).unwrap_or_default();
    past.sets.push(PastSet { until: act.height.saturating_add(1), set: set.clone() });
    let beyond = past.sets.len().saturating_sub(MOST);
    past.sets.drain(..beyond);
    writes.put(&record_of(&set), before.message().clone());
    writes.put(PAST_SETS, past);
}

fn record_of(hash: &[u8]) -> alloc::string::String {
    format!("validators:{}", hex(hash))
}
