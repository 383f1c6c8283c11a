//! Budgets: how much is written in a window of time by a party, and by an exchange together with the parties that it admitted. Who
//! admits parties answers for what they write, so nobody gains by admitting many.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use jiff::Timestamp;
use ledger_event::event::Act as Kind;
use ledger_event::{
    ActivityRecord, Budget, Budgets, BudgetsSet, LedgerRecord, Record, Spending, ValidatorSet,
};
use ledger_format::entry::Entry;
use ledger_format::id::SubjectKind;
use ledger_format::planted::{self, Bug};
use ledger_format::validators::Validators;

use crate::act::{Act, Check, Rule, ensure};
use crate::code::{Code, Refusal};
use crate::genesis::{LEDGER, VALIDATORS};
use crate::membership::{MEMBERS, in_force, only_parties_signed, quorum};
use crate::protocol::Protocol;
use crate::table::{Row, row};
use crate::view::{State, Typed as _, View, Writes, read_as};

/// The protocol version that budgets came with, and with them the record of who admitted a party.
pub(crate) const SINCE: u32 = 3;
/// The version from which everybody on the way to who answers for itself is charged (docs/adr/0029): an exchange that admitted another
/// got, for what that one's parties wrote, one budget more.
const ALL_THE_WAY_SINCE: u32 = 5;
/// How many are charged for one entry at most.
const MAX_CHARGED: usize = 8;
/// Longest window: a day.
const MAX_WINDOW_S: u32 = 86_400;

/// The budgets that a block is held to.
#[derive(Debug)]
pub(crate) struct Limits {
    budgets: Budgets,
    /// Begin of the window that the block's time is in.
    since_s: u64,
    /// Parties that answer for themselves: founders, and who runs a validator, since for each of these others had to agree.
    answerable: BTreeSet<String>,
    /// How many are charged for one entry at most.
    charged: usize,
}

/// What an entry costs, and whom.
#[derive(Debug)]
pub(crate) struct Charge<'a> {
    limits: &'a Limits,
    /// Bytes of the entry.
    bytes: u64,
    payers: Vec<Payer>,
}

/// One whose budget an entry is taken from.
#[derive(Debug)]
pub(crate) struct Payer {
    party: String,
    purse: Purse,
}

#[derive(Clone, Copy, Debug)]
enum Purse {
    Own,
    Charged,
}

/// Who admitted a party, who admitted that one, and so on to one that answers for itself, or of which nobody knows who admitted it.
fn way<'a>(
    party: &str,
    state: &'a State<'_>,
    is_answerable: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = String> + 'a {
    let admitted_by = |party: &str| {
        let by = state.party(party).map(|record| record.admitted_by.clone());
        by.filter(|by| !by.is_empty())
    };
    let next = move |party: &String| {
        if is_answerable(party) { None } else { admitted_by(party) }
    };
    core::iter::successors(admitted_by(party), next)
}

/// Whether a party answers for itself, and the others need its word: a founder, or who runs a validator (base).
pub(crate) fn answers_for_itself(act: &Act<'_>, party: &str) -> bool {
    let set: ValidatorSet = act.state.in_force(VALIDATORS).unwrap_or_default();
    act.ledger.founders.iter().any(|founder| founder == party)
        || set.validators.iter().any(|member| member.party == party)
}

/// Whether all on the way from whom an act's issuer admits to one that answers for itself are charged for what that one writes.
pub(crate) fn is_near(act: &Act<'_>) -> bool {
    let is_answerable = |party: &str| answers_for_itself(act, party);
    let issuer = act.issuer();
    is_answerable(issuer)
        || way(issuer, &act.state, is_answerable).take(MAX_CHARGED).count() < MAX_CHARGED
}

impl Limits {
    /// Those of a block of that time on a state. `None`: nothing is limited.
    pub(crate) fn of(
        base: &dyn View,
        ledger: &LedgerRecord,
        height: u64,
        time_ms: u64,
    ) -> Option<Self> {
        let budgets = ledger.budgets?;
        let window_s = u64::from(budgets.window_s.max(1));
        let windows = (time_ms / 1_000).checked_div(window_s).unwrap_or_default();
        let set: ValidatorSet = read_as(base, VALIDATORS).unwrap_or_default();
        let members = set.validators.into_iter().map(|member| member.party);
        let answerable = members.chain(ledger.founders.iter().cloned()).collect();
        let all_the_way = Protocol::of(ledger, height).version >= ALL_THE_WAY_SINCE;
        let charged = if all_the_way { MAX_CHARGED } else { 1 };
        Some(Self { budgets, since_s: windows.saturating_mul(window_s), answerable, charged })
    }

    /// What an entry costs. `None`: it is free.
    pub(crate) fn charge(&self, entry: &Entry, state: &State<'_>) -> Option<Charge<'_>> {
        if is_free(entry.event().act.as_ref()) {
            return None;
        }
        let bytes = u64::try_from(entry.bytes().len()).unwrap_or(u64::MAX);
        let payers = self.payers(&entry.claims().issuer, state);
        Some(Charge { limits: self, bytes, payers })
    }

    /// Whoever does not answer for itself has a budget of its own, and so has the exchange that admitted it, and who admitted that, up to
    /// one that answers for itself.
    fn payers(&self, issuer: &str, state: &State<'_>) -> Vec<Payer> {
        let payer = |party: &str, purse| Payer { party: party.to_string(), purse };
        if self.answerable.contains(issuer) {
            return [payer(issuer, Purse::Charged)].into();
        }
        let way = way(issuer, state, |party| self.answerable.contains(party)).take(self.charged);
        let way = way.filter(|_| !planted::is(Bug::ExchangeUncharged));
        let charged = way.map(|party| payer(&party, Purse::Charged));
        core::iter::once(payer(issuer, Purse::Own)).chain(charged).collect()
    }

    fn budget(&self, purse: Purse) -> Budget {
        let budget = match purse {
            Purse::Own => self.budgets.party,
            Purse::Charged => self.budgets.exchange,
        };
        budget.unwrap_or_default()
    }

    /// What was spent in the window so far.
    fn spent(&self, purse: Purse, activity: &ActivityRecord) -> Spending {
        let spending = match purse {
            Purse::Own => activity.own,
            Purse::Charged => activity.charged,
        };
        let now = spending.filter(|spending| spending.since_s == self.since_s);
        now.unwrap_or(Spending { since_s: self.since_s, ..Spending::default() })
    }
}

impl Charge<'_> {
    /// Whether everybody who is charged can pay.
    pub(crate) fn check(&self, state: &State<'_>) -> Result<(), Refusal> {
        for payer in &self.payers {
            let activity = state.current(&payer.record()).unwrap_or_default();
            let spent = self.limits.spent(payer.purse, &activity);
            let (after, budget) = (self.with(spent), self.limits.budget(payer.purse));
            let within = |value: u64, most: u64| most == 0 || value <= most;
            if !within(after.entries, budget.entries) || !within(after.bytes, budget.bytes) {
                return Err(self.refusal(payer, spent, budget));
            }
        }
        Ok(())
    }

    /// Says what is limited, what of it is gone, and when there is more.
    fn refusal(&self, payer: &Payer, spent: Spending, budget: Budget) -> Refusal {
        let of = |spent: u64, most: u64, what: &str| {
            (most != 0).then(|| format!("{spent} of {most} {what}"))
        };
        let limited =
            [of(spent.entries, budget.entries, "entries"), of(spent.bytes, budget.bytes, "bytes")];
        let Limits { budgets, since_s, .. } = self.limits;
        let whose = match payer.purse {
            Purse::Own => "",
            Purse::Charged => " with those that it admitted",
        };
        let detail = format!(
            "{}{whose} has spent {}, and this entry has {} bytes; the next window begins at {}",
            payer.party,
            limited.into_iter().flatten().collect::<Vec<_>>().join(" and "),
            self.bytes,
            instant(since_s.saturating_add(u64::from(budgets.window_s))),
        );
        Refusal::new(Code::BudgetSpent, detail)
    }

    /// Takes it from one of the payers, whose record this is.
    pub(crate) fn take_from(&self, payer: &Payer, record: &mut Record) {
        let activity = record.body.take().and_then(ActivityRecord::from_body);
        let mut activity = activity.unwrap_or_default();
        let after = Some(self.with(self.limits.spent(payer.purse, &activity)));
        match payer.purse {
            Purse::Own => activity.own = after,
            Purse::Charged => activity.charged = after,
        }
        record.body = Some(activity.into_body());
    }

    /// Whom it is taken from.
    pub(crate) fn payers(&self) -> &[Payer] {
        &self.payers
    }

    const fn with(&self, spent: Spending) -> Spending {
        Spending {
            since_s: spent.since_s,
            entries: spent.entries.saturating_add(1),
            bytes: spent.bytes.saturating_add(self.bytes),
        }
    }
}

impl Payer {
    /// Id of the record that says what was spent.
    pub(crate) fn record(&self) -> String {
        format!("activity:party/{}", self.party)
    }
}

/// What must always be possible: to govern the ledger, which takes several parties, and to revoke a key, of which there are few.
const fn is_free(act: Option<&Kind>) -> bool {
    matches!(
        act,
        Some(
            Kind::GenesisPublished(_)
                | Kind::RuleSetPublished(_)
                | Kind::CalendarPublished(_)
                | Kind::ValidatorsChanged(_)
                | Kind::ProtocolActivated(_)
                | Kind::BudgetsSet(_)
                | Kind::KeyRevoked(_)
        )
    )
}

/// Budgets on their way.
struct Setting<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b BudgetsSet,
    validators: Validators,
}

type SettingGuard = for<'a, 'b> fn(&'b Setting<'a, 'b>) -> Check;

const SET: Rule<SettingGuard> = Rule {
    row: "V7 BudgetsSet",
    subject: SubjectKind::Ledger,
    opens: false,
    binding: true,
    signers: MEMBERS,
    guards: &[
        (Code::Field, |setting| {
            let window = setting.event.budgets.map(|budgets| budgets.window_s);
            ensure(window.is_none_or(|window| (1..=MAX_WINDOW_S).contains(&window)), || {
                format!("window_s: expected 1 to {MAX_WINDOW_S}, found {}", window.unwrap_or(0))
            })
        }),
        (Code::ValidatorsQuorum, |setting| quorum(setting.act, &setting.validators)),
        (Code::SigUncalledFor, |setting| only_parties_signed(setting.act, &[&setting.validators])),
    ],
};

/// In force from the block after, like all that governs.
pub(crate) fn set(act: &Act<'_>, event: &BudgetsSet) -> Result<Writes, Refusal> {
    let setting = Setting { act, event, validators: in_force(&act.state)? };
    act.judge(&SET, &|_| None, |guard| guard(&setting))?;
    let mut ledger: LedgerRecord = act.required(LEDGER)?;
    ledger.budgets = event.budgets;
    let mut writes = Writes::default();
    writes.put(LEDGER, ledger);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![row("budgets_set", &SET)]
}

/// Seconds since 1970 as people write them (RFC 3339).
fn instant(seconds: u64) -> String {
    let instant = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    instant.map_or_else(|| format!("{seconds} s"), |instant| instant.to_string())
}
