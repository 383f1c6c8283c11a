//! Registration of property rights under CN-NDA-2026 (国数综政策〔2026〕35号), chapter 3: application, acceptance, review, notice,
//! evidence, certificate.
//!
//! Silence changes state: [`status`] says what a registration is at an instant, from its record, its rule set and the calendars.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use jiff::Span;
use jiff::civil::Date;
use ledger_event::{
    AssetDescription, AssetRecord, Basis, CertificateIssued, CertificateRecord, DataClass,
    EvidenceRecorded, Finding, Grade, NoticeOpened, PartyKind, PartyRecord, RegistrationApplied,
    RegistrationRecord, RegistrationReviewed, RegistrationState, Right, RightClaim, Role, RuleSet,
};
use ledger_format::id::SubjectKind;

use crate::act::{Act, Check, Rule, ensure, optional_digest, stated_digest, stated_text};
use crate::asset::{current_version, grade};
use crate::calendar::{Days, Undetermined, date_from_number, date_to_number};
use crate::code::{Code, Refusal};
use crate::rule_sets::{self, in_force, of_subject, today};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::{View, Writes};

/// Most rights and scenarios of one application.
const MAX_ITEMS: usize = 32;

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

// --- R1: application -----------------------------------------------------------------------------------------------------

struct Application<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b RegistrationApplied,
    asset: AssetRecord,
    rules: RuleSet,
}

type ApplicationGuard = for<'a, 'b> fn(&'b Application<'a, 'b>) -> Check;

const APPLIED: Rule<ApplicationGuard> = Rule {
    row: "R1 RegistrationApplied",
    subject: SubjectKind::Registration,
    opens: true,
    binding: false,
    signers: &[Need::two_factors(Role::Supplier, Who::Applicant)],
    guards: &[
        (Code::Field, |a| a.fields()),
        (Code::SubjectNotOwn, |a| {
            ensure(a.asset.supplier == a.act.issuer(), || {
                format!("{} supplies the asset", a.asset.supplier)
            })
        }),
        (Code::NotARegistry, |a| {
            let party: Option<PartyRecord> =
                a.act.state.in_force(&format!("party:{}", a.event.registry));
            let registry =
                party.is_some_and(|party| party.roles().any(|role| role == Role::Registry));
            ensure(registry, || a.event.registry.clone())
        }),
        (Code::SelfRegistration, |a| {
            ensure(a.event.registry != a.act.issuer(), || {
                format!("{} applies to itself", a.act.issuer())
            })
        }),
        (Code::Entrusted, |a| {
            let processor = a.asset.description.as_ref().map(|d| d.entrusted_processor.as_str());
            ensure(processor != Some(a.act.issuer()), || {
                "the applicant is the entrusted processor".into()
            })
        }),
        (Code::CoreData, |a| {
            ensure(grade(&a.asset) != Grade::Core, || "graded as core data".into())
        }),
        (Code::Field, |a| {
            ensure(grade(&a.asset) != Grade::Unspecified, || {
                "the asset's grade must be stated".into()
            })
        }),
        (Code::RawPublic, |a| {
            ensure(a.data_class() != DataClass::PublicRaw, || "raw public data".into())
        }),
        (Code::NoPublicRegistration, |a| {
            let description = a.asset.description.as_ref();
            let number = description.is_some_and(|d| !d.public_registration.is_empty());
            ensure(a.data_class() != DataClass::Public || number, || {
                "a product of public data without a public registration number".into()
            })
        }),
        (Code::NameLength, |a| a.name_length()),
        (Code::NoScenario, |a| {
            let required = rule_sets::registration(&a.rules).scenario_required;
            ensure(!required || !a.event.scenarios.is_empty(), || "no scenario".into())
        }),
        (Code::ValidityTooLong, |a| {
            let most = rule_sets::registration(&a.rules).validity_years;
            ensure((1..=most).contains(&a.event.validity_years), || {
                format!("{} years asked, at most {most} allowed", a.event.validity_years)
            })
        }),
        (Code::ConsentMissing, |a| {
            a.each_right(|claim| {
                !(claim.right() == Right::Operate && claim.basis() == Basis::CoDeveloped)
            })
        }),
        (Code::BasisDoesNotCarry, |a| a.each_right(|claim| a.carries(claim))),
    ],
};

impl Application<'_, '_> {
    fn fields(&self) -> Check {
        let rights = &self.event.rights;
        ensure((1..=MAX_ITEMS).contains(&rights.len()), || "rights: expected 1 to 32".into())?;
        let stated =
            |c: &RightClaim| c.right() != Right::Unspecified && c.basis() != Basis::Unspecified;
        ensure(rights.iter().all(stated), || "rights: each needs a right and a basis".into())?;
        let ascending = rights.iter().zip(rights.iter().skip(1)).all(|(a, b)| a.right < b.right);
        ensure(ascending, || "rights: each at most once, in ascending order".into())?;
        ensure(self.event.scenarios.len() <= MAX_ITEMS, || "scenarios: more than 32".into())?;
        for scenario in &self.event.scenarios {
            stated_text("scenario", scenario, 100)?;
        }
        stated_digest("materials", self.event.materials.as_ref())
    }

    fn data_class(&self) -> DataClass {
        let description = self.asset.description.as_ref();
        description.map_or(DataClass::Unspecified, AssetDescription::data_class)
    }

    fn name_length(&self) -> Check {
        let rules = rule_sets::registration(&self.rules);
        let most = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let description = self.asset.description.clone().unwrap_or_default();
        stated_text("name_zh", &description.name_zh, most(rules.name_characters))?;
        stated_text("summary", &description.summary, most(rules.summary_characters))
    }

    fn each_right(&self, holds: impl Fn(RightClaim) -> bool) -> Check {
        match self.event.rights.iter().find(|claim| !holds(**claim)) {
            None => Ok(()),
            Some(claim) => Err(format!(
                "{} on the basis {}",
                claim.right().as_str_name(),
                claim.basis().as_str_name()
            )),
        }
    }

    /// Art. 21(3): only natural persons have what natural persons collect, by that basis.
    fn applicant_is_natural(&self) -> bool {
        let party: Option<PartyRecord> =
            self.act.state.in_force(&format!("party:{}", self.act.issuer()));
        let profile = party.and_then(|party| party.profile);
        profile.is_some_and(|profile| profile.kind() == PartyKind::Natural)
    }

    /// Art. 21(4): scraped public data carries holding and use; a product made from it carries all three. The basis "licensed"
    /// carries use only; a transferred right needs a transfer registration, which is another procedure.
    fn carries(&self, claim: RightClaim) -> bool {
        let product = self
            .asset
            .description
            .as_ref()
            .is_some_and(|d| d.kind() == ledger_event::AssetKind::Product);
        match claim.basis() {
            Basis::SelfCollected | Basis::Commissioned | Basis::CoDeveloped => true,
            Basis::NaturalPerson => self.applicant_is_natural(),
            Basis::Derived => {
                self.asset.description.as_ref().is_some_and(|d| !d.derived_from.is_empty())
            }
            Basis::PublicScrape => product || claim.right() != Right::Operate,
            Basis::Licensed => claim.right() == Right::Use,
            Basis::Transferred | Basis::Unspecified => false,
        }
    }
}

pub(crate) fn applied(act: &Act<'_>, event: &RegistrationApplied) -> Result<Writes, Refusal> {
    act.check_subject(&APPLIED)?;
    let rules = in_force(act, &event.rule_set)?;
    let asset = current_version(act, &event.asset, event.version)?;
    let context = Application { act, event, asset, rules };
    act.judge(&APPLIED, &|_| Some(act.issuer().to_string()), |guard| guard(&context))?;
    let mut writes = Writes::default();
    let record = RegistrationRecord {
        state: RegistrationState::Applied.into(),
        applicant: act.issuer().to_string(),
        registry: event.registry.clone(),
        rule_set: event.rule_set.clone(),
        asset: event.asset.clone(),
        version: event.version,
        rights: event.rights.clone(),
        validity_years: event.validity_years,
        applied_ms: act.time_ms,
        ..RegistrationRecord::default()
    };
    writes.put(act.subject().as_str(), record);
    writes.touch(&event.asset);
    Ok(writes)
}

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
        let registry: PartyRecord = self
            .act
            .state
            .in_force(&format!("party:{}", self.record.registry))
            .ok_or_else(|| "the registry is unknown".to_string())?;
        let profile = registry.profile.unwrap_or_default();
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
        row("registration_applied", &APPLIED),
        row("registration_accepted", &ACCEPTED),
        row("registration_reviewed", &REVIEWED),
        row("notice_opened", &NOTICE),
        row("evidence_recorded", &EVIDENCE),
        row("certificate_issued", &CERTIFICATE)
    ]
}
