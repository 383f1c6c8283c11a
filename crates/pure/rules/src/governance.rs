//! Genesis, rule sets and calendars: the ledger's own documents.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ledger_event::{
    Calendar, CalendarPublished, DeliveryMode, DeliveryRules, GenesisPublished, LedgerRecord,
    RegistrationRules, Role, RuleSet, RuleSetPublished,
};
use ledger_format::digest::sha256;
use ledger_format::genesis::GenesisDocument;
use ledger_format::id::SubjectKind;
use ledger_format::message;
use prost::Message;

use crate::act::{Act, Check, Rule, ensure, jurisdiction, stated_text};
use crate::calendar::{MAX_COUNT, check_calendar, date_from_number};
use crate::code::{Code, Refusal};
use crate::genesis::LEDGER;
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::{Typed, Writes};

/// Founders sign; how many of them, a guard says.
const FOUNDERS: &[Need] = &[Need::one(Role::Unspecified, Who::Anyone)];

/// Longest validity in years that a rule set can allow.
const MAX_YEARS: u32 = 100;

type GenesisGuard = for<'a, 'b> fn(&'b Act<'a>, &'b GenesisPublished) -> Check;

const GENESIS: Rule<GenesisGuard> = Rule {
    row: "V1 GenesisPublished",
    subject: SubjectKind::Ledger,
    opens: false,
    binding: false,
    signers: FOUNDERS,
    guards: &[
        (Code::GenesisPlace, |act, event| {
            let first = act.height == 1 && act.leaf_index == 0;
            let document = GenesisDocument::decode(event.document.clone());
            let own = document.is_ok_and(|document| document.id() == act.claims().ledger);
            ensure(first && own && act.subject().as_str() == LEDGER, || {
                "expected this ledger's own document as its first leaf".into()
            })
        }),
        // Nobody else can sign as well: before genesis only founders have keys.
        (Code::GovernanceThreshold, |act, _| founders_signed(act, act.ledger.founders.len())),
    ],
};

type DocumentGuard = for<'a, 'b> fn(&'b Document<'a, 'b>) -> Check;

/// A rule set or calendar that is being published.
struct Document<'a, 'b> {
    act: &'b Act<'a>,
    /// The subject that it belongs under.
    id: String,
    digest: [u8; 32],
    check: Check,
}

const fn published(row: &'static str, subject: SubjectKind) -> Rule<DocumentGuard> {
    Rule {
        row,
        subject,
        opens: true,
        binding: false,
        signers: FOUNDERS,
        guards: &[
            (Code::Field, |document| document.check.clone()),
            (Code::Field, |document| {
                let expected = &document.id;
                ensure(document.act.subject().as_str() == expected, || {
                    format!("expected the subject {expected}")
                })
            }),
            (Code::GovernanceThreshold, |document| {
                let threshold = if document.is_awaited() {
                    1
                } else {
                    usize::try_from(document.act.ledger.governance_threshold).unwrap_or(usize::MAX)
                };
                founders_signed(document.act, threshold)
            }),
            (Code::SigUncalledFor, |document| only_founders_signed(document.act)),
        ],
    }
}

const RULE_SET: Rule<DocumentGuard> = published("V2 RuleSetPublished", SubjectKind::RuleSet);
const CALENDAR: Rule<DocumentGuard> = published("V3 CalendarPublished", SubjectKind::Calendar);

impl Document<'_, '_> {
    /// Whether genesis announced this very document, so that all founders have signed for it already.
    fn is_awaited(&self) -> bool {
        self.act.ledger.awaited_documents.iter().any(|awaited| **awaited == self.digest)
    }
}

/// At least `threshold` founders are among the signers.
fn founders_signed(act: &Act<'_>, threshold: usize) -> Check {
    let founders = &act.ledger.founders;
    let signed: Vec<&String> =
        founders.iter().filter(|founder| act.signers.include(founder)).collect();
    ensure(signed.len() >= threshold, || {
        format!("signed by {signed:?}, expected {threshold} of {founders:?}")
    })
}

/// Nobody but founders is among the signers.
fn only_founders_signed(act: &Act<'_>) -> Check {
    let founders = &act.ledger.founders;
    let outsider = act.signers.outsider(|party| founders.iter().any(|founder| founder == party));
    outsider.map_or(Ok(()), |party| Err(format!("{party} is no founder")))
}

pub(crate) fn genesis(act: &Act<'_>, event: &GenesisPublished) -> Result<Writes, Refusal> {
    act.judge(&GENESIS, &|_| None, |guard| guard(act, event))?;
    let mut writes = Writes::default();
    writes.touch(LEDGER);
    Ok(writes)
}

pub(crate) fn rule_set(act: &Act<'_>, event: &RuleSetPublished) -> Result<Writes, Refusal> {
    let rules = event.rule_set.clone().unwrap_or_default();
    let id = format!("ruleset:{}/{}", rules.id, rules.version);
    let check = check_rule_set(&rules);
    publish(act, &RULE_SET, id, check, rules)
}

pub(crate) fn calendar(act: &Act<'_>, event: &CalendarPublished) -> Result<Writes, Refusal> {
    let calendar: Calendar = event.calendar.clone().unwrap_or_default();
    let id = format!("calendar:{}/{}", calendar.id, calendar.year);
    let check = check_calendar(&calendar);
    publish(act, &CALENDAR, id, check, calendar)
}

fn publish<T: Typed + Message>(
    act: &Act<'_>,
    rule: &Rule<DocumentGuard>,
    id: String,
    check: Check,
    body: T,
) -> Result<Writes, Refusal> {
    let digest = document_digest(&body);
    let document = Document { act, id, digest, check };
    act.judge(rule, &|_| None, |guard| guard(&document))?;
    let mut writes = Writes::default();
    if document.is_awaited() {
        let mut ledger: LedgerRecord = act.required(LEDGER)?;
        ledger.awaited_documents.retain(|awaited| **awaited != digest);
        writes.put(LEDGER, ledger);
    }
    writes.put(act.subject().as_str(), body);
    Ok(writes)
}

/// The digest by which genesis names a rule set or calendar: SHA-256 of its canonical bytes.
pub fn document_digest(document: &impl Message) -> [u8; 32] {
    sha256(&[&message::encode(document)])
}

/// Most minutes that a zone is east or west of UTC.
const FARTHEST_ZONE: i32 = 14 * 60;

fn check_rule_set(rules: &RuleSet) -> Check {
    let id_ok = !rules.id.is_empty()
        && rules.id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    ensure(id_ok && rules.version > 0, || {
        "id must be letters, digits, dots and hyphens, and version at least 1".to_string()
    })?;
    stated_text("title", &rules.title, 400)?;
    stated_text("source", &rules.source, 400)?;
    jurisdiction("jurisdiction", &rules.jurisdiction)?;
    let dates_ok = date_from_number(rules.effective_from).is_some()
        && (rules.effective_to == 0 || date_from_number(rules.effective_to).is_some())
        && (rules.effective_to == 0 || rules.effective_from <= rules.effective_to);
    ensure(dates_ok, || "effective_from and effective_to must be dates in order".into())?;
    ensure((-FARTHEST_ZONE..=FARTHEST_ZONE).contains(&rules.utc_offset_minutes), || {
        "utc_offset_minutes: at most 14 hours east or west".into()
    })?;
    let calendar = &rules.calendar;
    let calendar_ok = !calendar.is_empty() && calendar.bytes().all(|b| b.is_ascii_alphanumeric());
    ensure(calendar_ok, || "calendar must be the id of one".into())?;
    match (&rules.registration, &rules.trade, &rules.delivery) {
        (Some(registration), Some(_), Some(delivery)) => {
            check_registration_rules(registration)?;
            check_delivery_rules(delivery)
        }
        _ => Err("registration, trade and delivery must be stated".into()),
    }
}

/// Bounds within which every count of days and years can be made.
fn check_registration_rules(rules: &RegistrationRules) -> Check {
    let counts = [
        ("acceptance_days", rules.acceptance_days),
        ("notice_days", rules.notice_days),
        ("whole_days", rules.whole_days),
        ("extension_days", rules.extension_days),
    ];
    for (name, days) in counts {
        ensure(days <= MAX_COUNT, || format!("{name}: {days}, at most {MAX_COUNT} allowed"))?;
    }
    ensure((1..=MAX_YEARS).contains(&rules.validity_years), || {
        format!("validity_years: expected 1 to {MAX_YEARS}, found {}", rules.validity_years)
    })?;
    let prefix = rules.certificate_prefix.as_bytes();
    ensure(prefix.len() == 2 && prefix.iter().all(u8::is_ascii_uppercase), || {
        format!("certificate_prefix: expected two letters, found {:?}", rules.certificate_prefix)
    })
}

fn check_delivery_rules(rules: &DeliveryRules) -> Check {
    let mut modes = rules.compute_modes().chain(rules.important_modes());
    ensure(modes.all(|mode| mode != DeliveryMode::Unspecified), || {
        "compute_modes and important_modes: an unspecified mode".into()
    })
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![
        row("genesis_published", &GENESIS),
        row("rule_set_published", &RULE_SET),
        row("calendar_published", &CALENDAR)
    ]
}
