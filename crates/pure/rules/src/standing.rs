//! What a subject is at an instant: the state that its last entry made, and what time alone has made of it since.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use jiff::civil::Date;
use ledger_event::record::Body;
use ledger_event::{
    CertificateRecord, ContractRecord, DeliveryRecord, KeyRecord, Record, RegistrationRecord,
    RuleSet,
};

use crate::calendar::{Days, Undetermined, date_from_number, date_to_number};
use crate::delivery::unacknowledged;
use crate::registration::{self, Status};
use crate::rule_sets::rule_set;
use crate::view::View;

/// What a subject is at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Upper case, for example `NOTICE_DONE`.
    pub state: String,
    /// The next day, YYYYMMDD, on which time changes the state; zero: none.
    pub changes_on: u32,
    /// Marks that time has set, for example `UNACKNOWLEDGED`.
    pub marks: Vec<String>,
    /// Not empty: the state cannot be computed, and why.
    pub not_determined: String,
}

impl Standing {
    fn of(state: &str) -> Self {
        Self { state: state.to_string(), ..Self::default() }
    }

    fn changing(state: &str, on: Option<Date>) -> Self {
        Self { changes_on: on.map_or(0, date_to_number), ..Self::of(state) }
    }

    fn unknown(not_determined: String) -> Self {
        Self { not_determined, ..Self::default() }
    }
}

/// Computes the standing of a record at `time_ms`, by rule sets and calendars of the state that it was read from.
pub fn standing(view: &dyn View, record: &Record, time_ms: u64) -> Standing {
    let by_rules =
        |name: &str, compute: &dyn Fn(&RuleSet, &Days<'_>) -> Result<Standing, Undetermined>| {
            let Some(rules) = rule_set(view, name) else {
                return Standing::unknown(alloc::format!("rule set {name} is not on the ledger"));
            };
            compute(&rules, &Days::new(&rules, view))
                .unwrap_or_else(|undetermined| Standing::unknown(undetermined.to_string()))
        };
    match &record.body {
        Some(Body::Registration(r)) => {
            by_rules(&r.rule_set, &|rules, days| registered(r, rules, days, time_ms))
        }
        Some(Body::Certificate(c)) => {
            by_rules(&c.rule_set, &|_, days| Ok(certified(c, days.date(time_ms))))
        }
        Some(Body::Contract(c)) => {
            by_rules(&c.rule_set, &|_, days| Ok(contracted(c, days.date(time_ms))))
        }
        Some(Body::Delivery(d)) => by_rules(&d.rule_set, &|rules, days| {
            Ok(delivered(d, rules, days.date(time_ms), time_ms))
        }),
        Some(Body::Review(r)) => Standing::of(last_word(r.state().as_str_name(), "REVIEW_STATE_")),
        Some(Body::Listing(l)) => {
            Standing::of(last_word(l.state().as_str_name(), "LISTING_STATE_"))
        }
        Some(Body::Key(KeyRecord { revoked_ms: 0, .. })) => Standing::of("ACTIVE"),
        Some(Body::Key(_)) => Standing::of("REVOKED"),
        Some(
            Body::Ledger(_)
            | Body::RuleSet(_)
            | Body::Calendar(_)
            | Body::Validators(_)
            | Body::Misconduct(_)
            | Body::PastSets(_)
            | Body::Party(_)
            | Body::Asset(_)
            | Body::Activity(_),
        ) => Standing::of("RECORDED"),
        None => Standing::unknown("the record has no body".to_string()),
    }
}

fn last_word<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn registered(
    record: &RegistrationRecord,
    rules: &RuleSet,
    days: &Days<'_>,
    time_ms: u64,
) -> Result<Standing, Undetermined> {
    let after = |last: Date| days.next(last).map(Some);
    // Validity runs from the evidence, whether or not a certificate follows (Art. 26, 36).
    let expiry = || date_from_number(record.valid_to).map_or(Ok(None), after);
    let (word, on) = match registration::status(record, days, rules, time_ms)? {
        Status::Applied => {
            ("APPLIED", Some(registration::acceptance_by_silence(record, days, rules)?))
        }
        Status::Accepted => ("ACCEPTED", None),
        Status::Reviewed => ("REVIEWED", None),
        Status::Terminated => ("TERMINATED", None),
        Status::Notice => ("NOTICE", after(registration::last_notice_day(record, days, rules)?)?),
        Status::NoticeDone => ("NOTICE_DONE", None),
        Status::Registered => ("REGISTERED", expiry()?),
        Status::Certified => ("CERTIFIED", expiry()?),
        Status::Expired => ("EXPIRED", None),
    };
    let mut standing = Standing::changing(word, on);
    // Whether the procedure was in time is a second question: without a calendar it stays open, and the state does not.
    match registration::is_overdue(record, days, rules, time_ms) {
        Ok(true) => standing.marks.push("OVERDUE".to_string()),
        Ok(false) => {}
        Err(undetermined) => {
            standing.marks.push(alloc::format!("OVERDUE not determined: {undetermined}"));
        }
    }
    Ok(standing)
}

fn certified(record: &CertificateRecord, today: Date) -> Standing {
    let (from, to) = (date_from_number(record.valid_from), date_from_number(record.valid_to));
    match (from, to) {
        (Some(from), _) if today < from => Standing::changing("NOT_YET_VALID", Some(from)),
        (_, Some(to)) if today > to => Standing::of("EXPIRED"),
        (_, to) => Standing::changing("VALID", to.and_then(|to| to.tomorrow().ok())),
    }
}

fn contracted(record: &ContractRecord, today: Date) -> Standing {
    match date_from_number(record.valid_to) {
        Some(to) if today > to => Standing::of("ENDED"),
        to => Standing::changing("IN_FORCE", to.and_then(|to| to.tomorrow().ok())),
    }
}

fn delivered(record: &DeliveryRecord, rules: &RuleSet, today: Date, time_ms: u64) -> Standing {
    let mut standing = Standing::of(last_word(record.state().as_str_name(), "DELIVERY_STATE_"));
    let late = unacknowledged(record, rules, time_ms);
    let late = late.into_iter().map(|number| alloc::format!("UNACKNOWLEDGED batch {number}"));
    standing.marks.extend(late);
    let open = record.state() != ledger_event::DeliveryState::Completed;
    if open && registration::is_past(today, record.window_to) {
        standing.marks.push("WINDOW_OVER".to_string());
    }
    standing
}
