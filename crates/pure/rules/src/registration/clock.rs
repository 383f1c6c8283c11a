//! What time makes of a registration: silence, notice, deadlines, validity (Art. 17, 24, 26, 28, 36).

use jiff::civil::Date;
use ledger_event::{CertificateRecord, RegistrationRecord, RegistrationState, RuleSet};

use crate::calendar::{Days, Undetermined, date_from_number};
use crate::rule_sets;
use crate::view::View;

/// What a registration is at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Applied, and neither answered nor accepted by silence.
    Applied,
    /// Accepted by the registry, or by its silence.
    Accepted,
    /// Reviewed with a positive result.
    Reviewed,
    /// Reviewed with a result that ends the procedure (Art. 18).
    Terminated,
    /// Under public notice.
    Notice,
    /// The notice has ended without objection.
    NoticeDone,
    /// Complete: the evidence is on record (Art. 26).
    Registered,
    /// A certificate was issued and is valid.
    Certified,
    /// The validity has ended (Art. 36). It runs from the evidence (Art. 26), whether or not a certificate was issued.
    Expired,
}

/// What a registration is at `time_ms`.
///
/// # Errors
/// [`Undetermined`] when the count of working days needs a calendar that is not on the ledger.
pub fn status(
    record: &RegistrationRecord,
    days: &Days<'_>,
    rules: &RuleSet,
    time_ms: u64,
) -> Result<Status, Undetermined> {
    let today = days.date(time_ms);
    Ok(match record.state() {
        RegistrationState::Applied => match acceptance_by_silence(record, days, rules)? {
            silence if today >= silence => Status::Accepted,
            _ => Status::Applied,
        },
        RegistrationState::Accepted => Status::Accepted,
        RegistrationState::Reviewed => Status::Reviewed,
        RegistrationState::Terminated | RegistrationState::Unspecified => Status::Terminated,
        RegistrationState::Notice => match last_notice_day(record, days, rules)? {
            last if today > last => Status::NoticeDone,
            _ => Status::Notice,
        },
        RegistrationState::Registered | RegistrationState::Certified
            if is_past(today, record.valid_to) =>
        {
            Status::Expired
        }
        RegistrationState::Registered => Status::Registered,
        RegistrationState::Certified => Status::Certified,
    })
}

/// The last day on which the registry may answer an application (Art. 17).
///
/// # Errors
/// [`Undetermined`] without the calendar.
pub fn last_answer_day(
    record: &RegistrationRecord,
    days: &Days<'_>,
    rules: &RuleSet,
) -> Result<Date, Undetermined> {
    let period = rule_sets::registration(rules).acceptance_days;
    days.working_days_after(days.date(record.applied_ms), period)
}

/// The day on which silence accepts: the first working day after the period to answer (Art. 17).
///
/// # Errors
/// [`Undetermined`] without the calendar.
pub fn acceptance_by_silence(
    record: &RegistrationRecord,
    days: &Days<'_>,
    rules: &RuleSet,
) -> Result<Date, Undetermined> {
    days.working_days_after(last_answer_day(record, days, rules)?, 1)
}

/// The last day of public notice (Art. 24).
///
/// # Errors
/// [`Undetermined`] without the calendar.
pub fn last_notice_day(
    record: &RegistrationRecord,
    days: &Days<'_>,
    rules: &RuleSet,
) -> Result<Date, Undetermined> {
    let period = rule_sets::registration(rules).notice_days;
    days.working_days_after(days.date(record.notice_ms), period)
}

/// Whether the procedure took longer than the rule set allows (Art. 28), up to its end or `time_ms`: a fact that regulators ask
/// for, not a reason to refuse the applicant. The procedure begins with acceptance, also by silence, and ends with the evidence or
/// with a review that terminates it.
///
/// # Errors
/// [`Undetermined`] without the calendar.
pub fn is_overdue(
    record: &RegistrationRecord,
    days: &Days<'_>,
    rules: &RuleSet,
    time_ms: u64,
) -> Result<bool, Undetermined> {
    let end = match record.state() {
        RegistrationState::Terminated => record.reviewed_ms,
        _ if record.registered_ms != 0 => record.registered_ms,
        _ => time_ms,
    };
    let end = days.date(end);
    let accepted = if record.accepted_ms == 0 {
        acceptance_by_silence(record, days, rules)?
    } else {
        days.date(record.accepted_ms)
    };
    let used = days.working_days_between(accepted, end)?;
    let notice = if record.notice_ms == 0 {
        0
    } else {
        let last = last_notice_day(record, days, rules)?.min(end);
        days.working_days_between(days.date(record.notice_ms), last)?
    };
    let rules = rule_sets::registration(rules);
    Ok(used.saturating_sub(notice) > rules.whole_days.saturating_add(rules.extension_days))
}

/// Whether `today` lies after a date as YYYYMMDD.
pub(crate) fn is_past(today: Date, last: u32) -> bool {
    date_from_number(last).is_some_and(|last| today > last)
}

/// Whether a certificate is valid on the day of an instant, by the rule set it was issued under.
///
/// `None` when that rule set is not in the state.
pub fn certificate_is_valid(
    view: &dyn View,
    certificate: &CertificateRecord,
    time_ms: u64,
) -> Option<bool> {
    let rules = rule_sets::rule_set(view, &certificate.rule_set)?;
    let today = Days::new(&rules, view).date(time_ms);
    let from = date_from_number(certificate.valid_from)?;
    Some(today >= from && !is_past(today, certificate.valid_to))
}
