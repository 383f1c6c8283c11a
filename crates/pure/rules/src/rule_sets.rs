//! Rule sets: which one judges an act, and how its days are counted.

use alloc::format;
use alloc::string::ToString;

use jiff::civil::Date;
use ledger_event::{DeliveryRules, RegistrationRules, RuleSet, TradeRules};

use crate::act::Act;
use crate::calendar::{Days, Undetermined, date_from_number};
use crate::code::{Code, Refusal};
use crate::view::{View, read_as};

/// Reads `ID/VERSION` from a state.
pub fn rule_set(view: &dyn View, name: &str) -> Option<RuleSet> {
    read_as(view, &format!("ruleset:{name}"))
}

/// The rule set that a subject was opened under, whether or not it is still in force: an old subject keeps its rules.
pub(crate) fn of_subject(act: &Act<'_>, name: &str) -> Result<RuleSet, Refusal> {
    rule_set(act.state.base(), name)
        .ok_or_else(|| Refusal::new(Code::RulesetNotInForce, format!("{name:?} is unknown")))
}

/// The rule set that an act opens a subject under: it must be in force on the act's day.
pub(crate) fn in_force(act: &Act<'_>, name: &str) -> Result<RuleSet, Refusal> {
    let rules = of_subject(act, name)?;
    let today = days(act, &rules).date(act.time_ms);
    let from = date_from_number(rules.effective_from);
    let to = date_from_number(rules.effective_to);
    if from.is_some_and(|from| from <= today) && to.is_none_or(|to| today <= to) {
        return Ok(rules);
    }
    let detail = format!("{name} is in force from {from:?} to {to:?}, today is {today}");
    Err(Refusal::new(Code::RulesetNotInForce, detail))
}

/// Days by a rule set, with the calendars in force.
pub(crate) fn days<'a>(act: &Act<'a>, rules: &'a RuleSet) -> Days<'a> {
    Days::new(rules, act.state.base())
}

/// The act's civil date by a rule set.
pub(crate) fn today(act: &Act<'_>, rules: &RuleSet) -> Date {
    Days::new(rules, act.state.base()).date(act.time_ms)
}

/// A count of days that cannot be made refuses the act that needs it.
impl From<Undetermined> for Refusal {
    fn from(undetermined: Undetermined) -> Self {
        Self::new(Code::CalendarMissing, undetermined.to_string())
    }
}

/// The parts of a rule set; a published one has them all.
pub(crate) fn registration(rules: &RuleSet) -> RegistrationRules {
    rules.registration.clone().unwrap_or_default()
}

/// The trade part.
pub(crate) fn trade(rules: &RuleSet) -> TradeRules {
    rules.trade.unwrap_or_default()
}

/// The delivery part.
pub(crate) fn delivery(rules: &RuleSet) -> DeliveryRules {
    rules.delivery.clone().unwrap_or_default()
}
