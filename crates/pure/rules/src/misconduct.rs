//! Evidence on the ledger: what it proves, of whom. Whether it proves it is judged before ([`crate::BlockRules::apply`]).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{Accused, MisconductRecord, MisconductRecorded, Offence, Role, ValidatorSet};
use ledger_format::digest::KeyId;
use ledger_format::evidence::{self, Evidence};
use ledger_format::id::SubjectKind;
use ledger_format::validators::Member;
use ledger_format::validators::Validators;

use crate::act::{Act, Check, Rule, ensure};
use crate::code::{Code, Refusal};
use crate::genesis::VALIDATORS_BEFORE;
use crate::membership::in_force;
use crate::past_sets::{ASKED_FIRST_SINCE, past_set};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

/// Evidence on its way into the ledger.
struct Recording<'a, 'b> {
    act: &'b Act<'a>,
    evidence: Evidence,
    accused: Vec<Accused>,
}

type RecordingGuard = for<'a, 'b> fn(&'b Recording<'a, 'b>) -> Check;

const RECORDED: Rule<RecordingGuard> = Rule {
    row: "V6 MisconductRecorded",
    subject: SubjectKind::Misconduct,
    opens: true,
    binding: false,
    // Evidence stands by itself: who brings it does not matter, and nobody can hold it back.
    signers: &[Need::one(Role::Unspecified, Who::Issuer)],
    guards: &[
        (Code::Field, |recording| {
            let id = recording.evidence.id().to_string();
            ensure(recording.act.subject().name() == id, || format!("expected misconduct:{id}"))
        }),
        (Code::MisconductUnproven, |recording| {
            let unknown = recording.evidence.accused().into_iter().find(|id| {
                !recording.accused.iter().any(|accused| accused.validator == id.as_bytes()[..])
            });
            unknown.map_or(Ok(()), |id| {
                Err(format!("{id} is a validator neither now nor before the last change, nor was it at that height"))
            })
        }),
    ],
};

/// Those whom evidence accuses, as the set that signed the height has them, or the last two. Before version 5 the last two came first.
fn accused(act: &Act<'_>, evidence: &Evidence) -> Result<Vec<Accused>, Refusal> {
    let now = in_force(&act.state)?;
    let before: Option<ValidatorSet> = act.state.in_force(VALIDATORS_BEFORE);
    let before = before.and_then(|set| Validators::new(set).ok());
    let past = past_set(act.state.base(), evidence.height);
    let (now, before, past) = (Some(&now), before.as_ref(), past.as_ref());
    let sets = match act.version() {
        ..ASKED_FIRST_SINCE => [now, before, past],
        _ => [past, now, before],
    };
    let member = |id: &KeyId| sets.into_iter().flatten().find_map(|set| set.get(id));
    Ok(evidence.accused().iter().filter_map(member).map(named).collect())
}

fn named(member: &Member) -> Accused {
    Accused {
        validator: Bytes::copy_from_slice(member.id.as_bytes()),
        name: member.name.clone(),
        party: member.party.clone(),
    }
}

const fn offence(evidence: &Evidence) -> Offence {
    match evidence.offence {
        evidence::Offence::DoubleVote { .. } => Offence::DoubleVote,
        evidence::Offence::DoubleProposal { .. } => Offence::DoubleProposal,
        evidence::Offence::ConflictingCertificates(_) => Offence::ConflictingCertificates,
        evidence::Offence::ForgedCertificate { .. } => Offence::ForgedCertificate,
    }
}

/// The histories of the parties that answer for the keys show it, beside a record of its own.
pub(crate) fn recorded(act: &Act<'_>, event: &MisconductRecorded) -> Result<Writes, Refusal> {
    let evidence = Evidence::decode(event.evidence.clone())
        .map_err(|error| Refusal::new(Code::Field, format!("evidence: {error}")))?;
    let accused = accused(act, &evidence)?;
    let recording = Recording { act, evidence, accused };
    act.judge(&RECORDED, &|_| None, |guard| guard(&recording))?;
    let Recording { evidence, accused, .. } = recording;
    let mut writes = Writes::default();
    for Accused { party, .. } in &accused {
        writes.touch(&format!("party:{party}"));
    }
    let record = MisconductRecord {
        offence: offence(&evidence).into(),
        height: evidence.height,
        round: evidence.offence.round(),
        accused,
    };
    writes.put(act.subject().as_str(), record);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![row("misconduct_recorded", &RECORDED)]
}
