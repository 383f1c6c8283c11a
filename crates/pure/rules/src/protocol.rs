//! Versions of the protocol: which one a height follows, which acts it has, and how validators activate the next.

use alloc::format;
use alloc::vec::Vec;

use ledger_event::event::Act as Kind;
use ledger_event::{LedgerRecord, ProtocolActivated};
use ledger_format::id::SubjectKind;
use ledger_format::planted::{self, Bug};
use ledger_format::validators::Validators;

use crate::act::{Act, Check, Rule, ensure};
use crate::block::{act_name, since};
use crate::code::{Code, Refusal};
use crate::genesis::LEDGER;
use crate::membership::{MEMBERS, in_force, only_parties_signed, quorum};
use crate::table::{Row, row};
use crate::view::{View, Writes, read_as};

/// Heights between the block of an activation and the first that can follow it: as with validators, one header lies between.
const NOTICE: u64 = 2;

/// What the ledger's own record says of versions, at some height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The version that the height follows.
    pub version: u32,
    /// A version that is activated and not yet in force, and its first height.
    pub planned: Option<(u32, u64)>,
}

impl Protocol {
    /// The version of a height, by the state after the height before it. `None` when `base` is not a ledger's state.
    pub fn at(base: &dyn View, height: u64) -> Option<Self> {
        Some(Self::of(&read_as(base, LEDGER)?, height))
    }

    pub(crate) fn of(ledger: &LedgerRecord, height: u64) -> Self {
        let (version, from) = (ledger.activated_version, ledger.activated_height);
        let before = ledger.protocol_version.max(1);
        let early = u64::from(planted::is(Bug::VersionTooEarly));
        match version {
            0 => Self { version: before, planned: None },
            _ if height.saturating_add(early) < from => {
                Self { version: before, planned: Some((version, from)) }
            }
            _ => Self { version, planned: None },
        }
    }
}

/// Refuses acts of later versions.
pub(crate) fn check_active(kind: &Kind, version: u32) -> Result<(), Refusal> {
    let since = since(kind);
    if since <= version || planted::is(Bug::ActTooEarly) {
        return Ok(());
    }
    let detail =
        format!("{} comes with protocol version {since}, {version} is in force", act_name(kind));
    Err(Refusal::new(Code::ProtocolNotActive, detail))
}

/// A version on its way.
struct Activation<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b ProtocolActivated,
    version: u32,
    validators: Validators,
}

type ActivationGuard = for<'a, 'b> fn(&'b Activation<'a, 'b>) -> Check;

const ACTIVATED: Rule<ActivationGuard> = Rule {
    row: "V5 ProtocolActivated",
    subject: SubjectKind::Ledger,
    opens: false,
    binding: true,
    signers: MEMBERS,
    guards: &[
        (Code::Field, |activation| {
            let (found, next) = (activation.event.version, activation.version.saturating_add(1));
            ensure(found == next, || format!("version: expected {next}, found {found}"))
        }),
        (Code::Field, |activation| {
            let (found, first) =
                (activation.event.height, activation.act.height.saturating_add(NOTICE));
            ensure(found >= first, || {
                format!("height: expected {first} or later in this block, found {found}")
            })
        }),
        (Code::ValidatorsQuorum, |activation| quorum(activation.act, &activation.validators)),
        (Code::SigUncalledFor, |activation| {
            only_parties_signed(activation.act, &[&activation.validators])
        }),
    ],
};

/// An activation that is not in force yet is replaced: what counts is the state before the height.
pub(crate) fn activated(act: &Act<'_>, event: &ProtocolActivated) -> Result<Writes, Refusal> {
    let version = act.version();
    let activation = Activation { act, event, version, validators: in_force(&act.state)? };
    act.judge(&ACTIVATED, &|_| None, |guard| guard(&activation))?;
    let mut ledger: LedgerRecord = act.required(LEDGER)?;
    ledger.protocol_version = recorded(version);
    ledger.activated_version = event.version;
    ledger.activated_height = event.height;
    let mut writes = Writes::default();
    writes.put(LEDGER, ledger);
    Ok(writes)
}

/// A version as the ledger's record has it.
pub(crate) const fn recorded(version: u32) -> u32 {
    if version == 1 { 0 } else { version }
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![row("protocol_activated", &ACTIVATED)]
}

#[cfg(test)]
mod tests {
    use ledger_event::DeliveryCompleted;

    use super::*;

    fn record(before: u32, activated: u32, height: u64) -> LedgerRecord {
        LedgerRecord {
            protocol_version: before,
            activated_version: activated,
            activated_height: height,
            ..LedgerRecord::default()
        }
    }

    #[test]
    fn a_version_is_in_force_from_its_height_on() {
        let at = |record: &LedgerRecord, height| Protocol::of(record, height);
        assert_eq!(at(&record(0, 0, 0), 1), Protocol { version: 1, planned: None });
        assert_eq!(at(&record(2, 0, 0), 1), Protocol { version: 2, planned: None });
        let planned = record(0, 2, 9);
        assert_eq!(at(&planned, 8), Protocol { version: 1, planned: Some((2, 9)) });
        for height in [9, 10, u64::MAX] {
            assert_eq!(at(&planned, height), Protocol { version: 2, planned: None });
        }
    }

    #[test]
    fn an_act_is_refused_before_its_version() {
        let kind = Kind::DeliveryCompleted(DeliveryCompleted {});
        assert_eq!(check_active(&kind, since(&kind)), Ok(()));
        let early = check_active(&kind, since(&kind) - 1).unwrap_err();
        assert_eq!(early.code, Code::ProtocolNotActive);
    }
}
