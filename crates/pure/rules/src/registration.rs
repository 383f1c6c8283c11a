//! Registration of property rights under CN-NDA-2026 (国数综政策〔2026〕35号), chapter 3: application, acceptance, review, notice,
//! evidence, certificate.
//!
//! Silence changes state: [`status`] says what a registration is at an instant, from its record, its rule set and the calendars.

mod application;
mod clock;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use jiff::Span;
use jiff::civil::Date;
use ledger_event::{
    AssetRecord, CertificateIssued, CertificateRecord, EvidenceRecorded, Finding, NoticeOpened,
    RegistrationRecord, RegistrationReviewed, RegistrationState, Role, RuleSet,
};
use ledger_format::id::SubjectKind;

use crate::act::{Act, Check, Rule, ensure, optional_digest, stated_digest};
use crate::calendar::{Days, date_to_number};
use crate::code::{Code, Refusal};
use crate::rule_sets::{self, of_subject, today};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

use application::application_row;
pub(crate) use application::applied;
pub(crate) use clock::is_past;
pub use clock::{
    Status, acceptance_by_silence, certificate_is_valid, is_overdue, last_answer_day,
    last_notice_day, status,
};

// --- R5 to R16: the registry's acts --------------------------------------------------------------------------------------

/// A registration on which its registry acts, as it is at the time of the act.
struct Procedure<'a, 'b, E> {
    act: &'b Act<'a>,
    event: &'b E,
    record: RegistrationRecord,
    rules: RuleSet,
    status: Status,
}

impl<'a, 'b, E> Procedure<'a, 'b, E> {
    fn read(act: &'b Act<'a>, event: &'b E) -> Result<Self, Refusal> {
        let record: RegistrationRecord = act.subject_as()?;
        let rules = of_subject(act, &record.rule_set)?;
        let days = Days::new(&rules, act.state.base());
        let status = status(&record, &days, &rules, act.time_ms)?;
        Ok(Self { act, event, record, rules, status })
    }

    fn is(&self, allowed: Status) -> Check {
        ensure(self.status == allowed, || {
            format!("expected {allowed:?}, it is {:?} at {} ms", self.status, self.act.time_ms)
        })
    }

    fn who(&self) -> impl Fn(Who) -> Option<String> + '_ {
        |who| match who {
            Who::Registry => Some(self.record.registry.clone()),
            Who::Applicant => Some(self.record.applicant.clone()),
            _ => None,
        }
    }

    /// When the procedure was accepted: by an entry, or at the start of the day on which silence accepted it.
    fn accepted_ms(&self) -> Result<u64, Refusal> {
        if self.record.accepted_ms != 0 {
            return Ok(self.record.accepted_ms);
        }
        let days = rule_sets::days(self.act, &self.rules);
        Ok(days.start_ms(acceptance_by_silence(&self.record, &days, &self.rules)?))
    }

    fn write(&self, record: RegistrationRecord) -> Writes {
        let mut writes = Writes::default();
        writes.put(self.act.subject().as_str(), record);
        writes
    }
}

/// The part of a registry's rows that is always the same.
const fn registry_row<G>(
    row: &'static str,
    binding: bool,
    signers: &'static [Need],
    guards: &'static [(Code, G)],
) -> Rule<G> {
    Rule { row, subject: SubjectKind::Registration, opens: false, binding, signers, guards }
}

type Accepted<'a, 'b> = Procedure<'a, 'b, ()>;
type AcceptanceGuard = for<'a, 'b> fn(&'b Accepted<'a, 'b>) -> Check;

const ACCEPTED: Rule<AcceptanceGuard> = registry_row(
    "R5 RegistrationAccepted",
    false,
    &[Need::one(Role::Registry, Who::Registry)],
    &[(Code::AlreadyAccepted, |p| p.in_time()), (Code::WrongState, |p| p.is(Status::Applied))],
);

impl Accepted<'_, '_> {
    /// The period to answer is over at the end of its last working day, also where a weekend lies between that day and the one
    /// on which silence accepts.
    fn in_time(&self) -> Check {
        if self.record.state() != RegistrationState::Applied {
            return Ok(());
        }
        let days = rule_sets::days(self.act, &self.rules);
        let last = last_answer_day(&self.record, &days, &self.rules).map_err(|u| u.to_string())?;
        let today = days.date(self.act.time_ms);
        ensure(today <= last, || format!("the last day to answer was {last}, today is {today}"))
    }
}

pub(crate) fn accepted(act: &Act<'_>) -> Result<Writes, Refusal> {
    act.check_subject(&ACCEPTED)?;
    let p = Procedure::read(act, &())?;
    act.judge(&ACCEPTED, &p.who(), |guard| guard(&p))?;
    let mut record = p.record.clone();
    record.state = RegistrationState::Accepted.into();
    record.accepted_ms = act.time_ms;
    Ok(p.write(record))
}

type Reviewed<'a, 'b> = Procedure<'a, 'b, RegistrationReviewed>;
type ReviewGuard = for<'a, 'b> fn(&'b Reviewed<'a, 'b>) -> Check;

const REVIEWED: Rule<ReviewGuard> = registry_row(
    "R8 RegistrationReviewed",
    true,
    &[Need::two_officers(Role::Registry, Who::Registry)],
    &[
        (Code::WrongState, |p| p.is(Status::Accepted)),
        (Code::Field, |p| {
            let e = p.event;
            let stated = [e.description(), e.source(), e.title()]
                .into_iter()
                .all(|f| f != Finding::Unspecified);
            ensure(stated, || "each of description, source and title needs a finding".into())
        }),
        (Code::Field, |p| stated_digest("report", p.event.report.as_ref())),
    ],
);

pub(crate) fn reviewed(act: &Act<'_>, event: &RegistrationReviewed) -> Result<Writes, Refusal> {
    act.check_subject(&REVIEWED)?;
    let p = Procedure::read(act, event)?;
    act.judge(&REVIEWED, &p.who(), |guard| guard(&p))?;
    let findings = [event.description(), event.source(), event.title()];
    let satisfied = findings.into_iter().all(|finding| finding == Finding::Satisfied);
    let mut record = p.record.clone();
    record.accepted_ms = p.accepted_ms()?;
    record.reviewed_ms = act.time_ms;
    record.state =
        if satisfied { RegistrationState::Reviewed } else { RegistrationState::Terminated }.into();
    Ok(p.write(record))
}

type Notice<'a, 'b> = Procedure<'a, 'b, NoticeOpened>;
type NoticeGuard = for<'a, 'b> fn(&'b Notice<'a, 'b>) -> Check;

const NOTICE: Rule<NoticeGuard> = registry_row(
    "R10 NoticeOpened",
    false,
    &[Need::one(Role::Registry, Who::Registry)],
    &[
        (Code::WrongState, |p| p.is(Status::Reviewed)),
        (Code::Field, |p| stated_digest("notice", p.event.notice.as_ref())),
    ],
);

pub(crate) fn notice(act: &Act<'_>, event: &NoticeOpened) -> Result<Writes, Refusal> {
    act.check_subject(&NOTICE)?;
    let p = Procedure::read(act, event)?;
    act.judge(&NOTICE, &p.who(), |guard| guard(&p))?;
    let mut record = p.record.clone();
    record.state = RegistrationState::Notice.into();
    record.notice_ms = act.time_ms;
    Ok(p.write(record))
}

type Evidence<'a, 'b> = Procedure<'a, 'b, EvidenceRecorded>;
type EvidenceGuard = for<'a, 'b> fn(&'b Evidence<'a, 'b>) -> Check;

const EVIDENCE: Rule<EvidenceGuard> = registry_row(
    "R15 EvidenceRecorded",
    true,
    &[Need::two_factors(Role::Registry, Who::Registry)],
    &[
        (Code::NoticeRunning, |p| {
            ensure(p.status != Status::Notice, || "the notice has not ended".into())
        }),
        (Code::WrongState, |p| p.is(Status::NoticeDone)),
        (Code::Field, |p| stated_digest("evidence", p.event.evidence.as_ref())),
    ],
);

pub(crate) fn evidence(act: &Act<'_>, event: &EvidenceRecorded) -> Result<Writes, Refusal> {
    act.check_subject(&EVIDENCE)?;
    let p = Procedure::read(act, event)?;
    act.judge(&EVIDENCE, &p.who(), |guard| guard(&p))?;
    let from = today(act, &p.rules);
    let to = last_valid_day(from, p.record.validity_years)
        .ok_or_else(|| Refusal::new(Code::ValidityTooLong, "past all dates"))?;
    let mut record = p.record.clone();
    record.state = RegistrationState::Registered.into();
    record.registered_ms = act.time_ms;
    record.valid_from = date_to_number(from);
    record.valid_to = date_to_number(to);
    Ok(p.write(record))
}

/// The last day of a number of years that begin with `from`: the day before the anniversary, five years from 2026-08-20 end with
/// 2031-08-19. Where the month of the anniversary has no such day, its last day: five years from 2028-02-29 end with 2033-02-28.
fn last_valid_day(from: Date, years: u32) -> Option<Date> {
    let years = Span::new().try_years(years).ok()?;
    let anniversary = from.checked_add(years).ok()?;
    if anniversary.day() == from.day() { anniversary.yesterday().ok() } else { Some(anniversary) }
}

type Certificate<'a, 'b> = Procedure<'a, 'b, CertificateIssued>;
type CertificateGuard = for<'a, 'b> fn(&'b Certificate<'a, 'b>) -> Check;

const CERTIFICATE: Rule<CertificateGuard> = registry_row(
    "R16 CertificateIssued",
    true,
    &[Need::two_factors(Role::Registry, Who::Registry)],
    &[
        (Code::WrongState, |p| p.is(Status::Registered)),
        (Code::CertificateFormat, |p| p.number_fits()),
        (Code::SubjectExists, |p| {
            let id = format!("certificate:{}", p.event.number);
            ensure(!p.act.state.exists(&id), || format!("{id} exists"))
        }),
        (Code::Field, |p| optional_digest("body", p.event.body.as_ref())),
    ],
);

impl Certificate<'_, '_> {
    /// SJ, region, registry digit, year and month of the evidence, serial from 0001.
    fn number_fits(&self) -> Check {
        let registry = self.act.state.party(&self.record.registry);
        let registry = registry.ok_or_else(|| "the registry is unknown".to_string())?;
        let profile = registry.profile.clone().unwrap_or_default();
        let prefix = rule_sets::registration(&self.rules).certificate_prefix;
        let month = date_to_number(
            Days::new(&self.rules, self.act.state.base()).date(self.record.registered_ms),
        );
        let month = month.checked_div(100).unwrap_or_default();
        let start =
            format!("{prefix}{}{}{month}", profile.certificate_region, profile.certificate_digit);
        let number = &self.event.number;
        ensure(start.len() == 11, || {
            let registry = &self.record.registry;
            format!("the profile of {registry} states no certificate region and digit")
        })?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let fits = number.len() == 15
            && number.strip_prefix(&prefix).is_some_and(digits)
            && number.strip_prefix(&start).is_some_and(|serial| serial != "0000");
        ensure(fits, || {
            format!("expected {start} and a serial from 0001 to 9999, found {number:?}")
        })
    }
}

pub(crate) fn certificate(act: &Act<'_>, event: &CertificateIssued) -> Result<Writes, Refusal> {
    act.check_subject(&CERTIFICATE)?;
    let p = Procedure::read(act, event)?;
    act.judge(&CERTIFICATE, &p.who(), |guard| guard(&p))?;
    let mut record = p.record.clone();
    record.state = RegistrationState::Certified.into();
    record.certificate.clone_from(&event.number);
    let certificate = CertificateRecord {
        registration: act.subject().to_string(),
        registry: record.registry.clone(),
        holder: record.applicant.clone(),
        asset: record.asset.clone(),
        version: record.version,
        rights: record.rights.clone(),
        valid_from: record.valid_from,
        valid_to: record.valid_to,
        body: event.body.clone(),
        rule_set: record.rule_set.clone(),
    };
    let mut asset: AssetRecord = act.required(&record.asset)?;
    asset.certificates.push(event.number.clone());
    let asset_id = record.asset.clone();
    let mut writes = p.write(record);
    writes.put(&format!("certificate:{}", event.number), certificate);
    writes.put(&asset_id, asset);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![
        application_row(),
        row("registration_accepted", &ACCEPTED),
        row("registration_reviewed", &REVIEWED),
        row("notice_opened", &NOTICE),
        row("evidence_recorded", &EVIDENCE),
        row("certificate_issued", &CERTIFICATE)
    ]
}
