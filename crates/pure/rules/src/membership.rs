//! The validator set: how its members change it, by agreement and not without the consent of those who come in.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ledger_event::{Role, ValidatorSet, ValidatorsChanged};
use ledger_format::digest::KeyId;
use ledger_format::id::SubjectKind;
use ledger_format::validators::{Member, Validators};

use crate::act::{Act, Check, Rule, ensure};
use crate::code::{Code, Refusal};
use crate::genesis::{VALIDATORS, VALIDATORS_BEFORE};
use crate::past_sets;
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::{State, Writes};

/// Parties of validators sign; how many of them, guards say.
pub(crate) const MEMBERS: &[Need] = &[Need::one(Role::Unspecified, Who::Anyone)];

/// A set on its way.
struct Change<'a, 'b> {
    act: &'b Act<'a>,
    before: Validators,
    after: Validators,
}

type ChangeGuard = for<'a, 'b> fn(&'b Change<'a, 'b>) -> Check;

const CHANGED: Rule<ChangeGuard> = Rule {
    row: "V4 ValidatorsChanged",
    subject: SubjectKind::Validators,
    opens: false,
    binding: true,
    signers: MEMBERS,
    guards: &[
        (Code::SubjectKind, |change| {
            ensure(change.act.subject().as_str() == VALIDATORS, || format!("expected {VALIDATORS}"))
        }),
        // One change a block: the set after it is then in the state by which the next one is judged.
        (Code::ValidatorsPending, |change| {
            let now: Option<ValidatorSet> = change.act.state.current(VALIDATORS);
            ensure(now.as_ref() == Some(change.before.message()), || {
                "the set changes in this block already".into()
            })
        }),
        (Code::Field, |change| {
            ensure(change.after != change.before, || "validators: the set as it is".into())
        }),
        (Code::ValidatorParty, |change| {
            let unfit = change.newcomers().find(|member| !may_validate(change.act, &member.party));
            unfit.map_or(Ok(()), |member| {
                Err(format!("{} is not admitted as an exchange or node operator", member.party))
            })
        }),
        (Code::ValidatorKeyReused, |change| {
            let reused = change.newcomers().find_map(|member| change.reused(member));
            reused.map_or(Ok(()), Err)
        }),
        (Code::ValidatorsQuorum, |change| quorum(change.act, &change.before)),
        (Code::ValidatorsNewQuorum, |change| quorum(change.act, &change.after)),
        (Code::ValidatorConsent, |change| {
            let silent =
                change.newcomers().find(|member| !change.act.signers.include(&member.party));
            silent.map_or(Ok(()), |member| {
                Err(format!("{} has not signed for validator {}", member.party, member.id))
            })
        }),
        (Code::SigUncalledFor, |change| {
            only_parties_signed(change.act, &[&change.before, &change.after])
        }),
    ],
};

impl Change<'_, '_> {
    /// Members that the set before did not have, or not with these keys.
    fn newcomers(&self) -> impl Iterator<Item = &Member> {
        self.after.members().iter().filter(|member| {
            let before = self.before.get(&member.id);
            before.is_none_or(|before| Member { power: member.power, ..before.clone() } != **member)
        })
    }

    /// A key of a member that somebody has already, or that has served another purpose.
    fn reused(&self, member: &Member) -> Option<String> {
        member.keys().into_iter().zip(PURPOSES).find_map(|(key, purpose)| {
            let kid = KeyId::of(key);
            let of_party = self.act.state.exists(&format!("key:{kid}"));
            let elsewhere = self.before.members().iter().any(|other| {
                let mut served = other.keys().into_iter().zip(PURPOSES);
                served.any(|(k, p)| k == key && (p != purpose || other.party != member.party))
            });
            (of_party || elsewhere).then(|| format!("{purpose} key {kid} of {}", member.party))
        })
    }
}

/// Names of the keys in the order of [`Member::keys`].
const PURPOSES: [&str; 4] = ["vote", "log", "cosign", "receipt"];

fn may_validate(act: &Act<'_>, party: &str) -> bool {
    [Role::Exchange, Role::NodeOperator].into_iter().any(|role| act.state.has_role(party, role))
}

/// The validators that the state before the block names: those whose parties can agree on something.
pub(crate) fn in_force(state: &State<'_>) -> Result<Validators, Refusal> {
    let set: ValidatorSet = state.in_force(VALIDATORS).unwrap_or_default();
    Validators::new(set).map_err(|error| Refusal::new(Code::SubjectUnknown, error.to_string()))
}

/// The signing parties run validators with more than two thirds of a set's power.
pub(crate) fn quorum(act: &Act<'_>, set: &Validators) -> Check {
    let signed = set.members().iter().filter(|member| act.signers.include(&member.party));
    let power = signed.map(|member| u64::from(member.power)).sum();
    ensure(set.is_quorum(power), || {
        format!("power {power} of {}, more than two thirds needed", set.total_power())
    })
}

/// Nobody but parties of these sets' validators is among the signers.
pub(crate) fn only_parties_signed(act: &Act<'_>, sets: &[&Validators]) -> Check {
    let runs =
        |party: &str| sets.iter().flat_map(|set| set.members()).any(|member| member.party == party);
    let outsider = act.signers.outsider(runs);
    outsider.map_or(Ok(()), |party| Err(format!("{party} runs no validator")))
}

pub(crate) fn changed(act: &Act<'_>, event: &ValidatorsChanged) -> Result<Writes, Refusal> {
    let set = event.validators.clone().unwrap_or_default();
    let after = Validators::new(set)
        .map_err(|error| Refusal::new(Code::Field, format!("validators: {error}")))?;
    let change = Change { act, before: in_force(&act.state)?, after };
    act.judge(&CHANGED, &|_| None, |guard| guard(&change))?;
    let mut writes = Writes::default();
    writes.put(VALIDATORS, change.after.message().clone());
    writes.put(VALIDATORS_BEFORE, change.before.message().clone());
    past_sets::keep(act, &change.before, &mut writes);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![row("validators_changed", &CHANGED)]
}
