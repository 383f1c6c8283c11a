//! Delivery of files in batches: planned, sent, acknowledged by the named buyer, completed.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ledger_event::{
    AssetRecord, BatchAcknowledged, BatchRecord, BatchSent, ContractRecord, DeliveryMode,
    DeliveryPlanned, DeliveryRecord, DeliveryState, FileManifest, Grade, PersonalInformation, Role,
    RuleSet,
};
use ledger_format::id::SubjectKind;

use crate::act::{Act, Check, Rule, ensure, jurisdiction, optional_date, stated_digest};
use crate::asset::{grade, personal_information};
use crate::calendar::Days;
use crate::code::{Code, Refusal};
use crate::registration::is_past;
use crate::rule_sets::{self, of_subject, today};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

/// Most batches that may await acknowledgement, so that a record stays small.
const MAX_OUTSTANDING: usize = 64;
/// Most batches of one delivery.
const MAX_BATCHES: u32 = 1_000_000;
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// How many chunks a planned file has.
pub fn chunk_count(file: &FileManifest) -> u64 {
    file.bytes.div_ceil(u64::from(file.chunk_bytes).max(1))
}

/// Numbers of the batches that nobody has acknowledged within the rule set's days. Time alone makes them so.
pub fn unacknowledged(record: &DeliveryRecord, rules: &RuleSet, time_ms: u64) -> Vec<u32> {
    let days = u64::from(rule_sets::delivery(rules).acknowledgement_days);
    let period = days.saturating_mul(DAY_MS);
    let late = |batch: &&BatchRecord| batch.sent_ms.saturating_add(period) < time_ms;
    record.outstanding.iter().filter(late).map(|batch| batch.number).collect()
}

// --- D1: the plan --------------------------------------------------------------------------------------------------------

struct Plan<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b DeliveryPlanned,
    contract: &'b ContractRecord,
    rules: &'b RuleSet,
    asset: AssetRecord,
    file: FileManifest,
}

type PlanGuard = for<'a, 'b> fn(&'b Plan<'a, 'b>) -> Check;

const PLANNED: Rule<PlanGuard> = Rule {
    row: "D1 DeliveryPlanned",
    subject: SubjectKind::Delivery,
    opens: true,
    binding: false,
    signers: &[Need::one(Role::Supplier, Who::Seller), Need::one(Role::Buyer, Who::Buyer)],
    guards: &[
        (Code::SubjectNotOwn, |p| {
            ensure(p.contract.seller == p.act.issuer(), || {
                format!("{} is the seller", p.contract.seller)
            })
        }),
        (Code::ContractEnded, |p| {
            ensure(!is_past(today(p.act, p.rules), p.contract.valid_to), || {
                format!("it was in force to {}", p.contract.valid_to)
            })
        }),
        (Code::ModeNotAllowed, |p| {
            let mode = p.contract.delivery_mode();
            ensure(mode == DeliveryMode::File, || {
                format!("the contract says {}", mode.as_str_name())
            })
        }),
        (Code::JurisdictionMissing, |p| {
            jurisdiction("endpoint_jurisdiction", &p.event.endpoint_jurisdiction)
        }),
        (Code::CrossBorderNoBasis, |p| p.stays_or_exempt()),
        (Code::Field, |p| p.manifest()),
        (Code::ContentMismatch, |p| {
            let described = p.asset.description.as_ref().and_then(|d| d.content.as_ref());
            ensure(described.is_none() || described == p.file.content.as_ref(), || {
                "the asset's description declares another digest".into()
            })
        }),
    ],
};

impl Plan<'_, '_> {
    /// Data without personal information and below important grade may leave its jurisdiction (Art. 3 of the Provisions of
    /// March 2024); other paths need filings that are other acts.
    fn stays_or_exempt(&self) -> Check {
        let supplier = self.act.state.party(&self.contract.seller);
        let profile = supplier.as_ref().and_then(|party| party.profile.as_ref());
        let home = profile.map(|profile| profile.jurisdiction.as_str());
        let stays = home == Some(self.event.endpoint_jurisdiction.as_str());
        let general =
            !matches!(grade(&self.asset), Grade::Core | Grade::Important | Grade::Unspecified);
        let exempt = general && personal_information(&self.asset) == PersonalInformation::None;
        ensure(stays || exempt, || format!("from {home:?} to {}", self.event.endpoint_jurisdiction))
    }

    fn manifest(&self) -> Check {
        let file = &self.file;
        let power = file.chunk_bytes.is_power_of_two();
        ensure(power && (1_024..=16_777_216).contains(&file.chunk_bytes), || {
            "chunk_bytes: expected a power of two from 1 KiB to 16 MiB".into()
        })?;
        ensure(file.bytes > 0 && file.root.len() == 32, || "bytes and root must be stated".into())?;
        stated_digest("content", file.content.as_ref())?;
        let batches = u64::from(self.event.batches);
        let most = chunk_count(file).min(u64::from(MAX_BATCHES));
        ensure((1..=most).contains(&batches), || format!("batches: expected 1 to {most}"))?;
        ensure(self.event.window_to != 0, || "window_to: must be stated".into())?;
        optional_date("window_to", self.event.window_to)
    }
}

pub(crate) fn planned(act: &Act<'_>, event: &DeliveryPlanned) -> Result<Writes, Refusal> {
    act.check_subject(&PLANNED)?;
    let contract: ContractRecord = act.required(&event.contract)?;
    let rules = of_subject(act, &contract.rule_set)?;
    let asset: AssetRecord = act.required(&contract.asset)?;
    let file = event.file.clone().unwrap_or_default();
    let context = Plan { act, event, contract: &contract, rules: &rules, asset, file };
    act.judge(&PLANNED, &sides(&contract.seller, &contract.buyer), |guard| guard(&context))?;
    let record = DeliveryRecord {
        state: DeliveryState::Planned.into(),
        contract: event.contract.clone(),
        seller: contract.seller.clone(),
        buyer: contract.buyer.clone(),
        asset: contract.asset.clone(),
        version: contract.version,
        file: event.file.clone(),
        batches: event.batches,
        window_to: event.window_to,
        rule_set: contract.rule_set.clone(),
        ..DeliveryRecord::default()
    };
    let mut writes = Writes::default();
    writes.put(act.subject().as_str(), record);
    writes.touch(&event.contract);
    Ok(writes)
}

fn sides<'a>(seller: &'a str, buyer: &'a str) -> impl Fn(Who) -> Option<String> + 'a {
    |who| match who {
        Who::Seller => Some(seller.to_string()),
        Who::Buyer => Some(buyer.to_string()),
        _ => None,
    }
}

// --- D3 to D9: batches ---------------------------------------------------------------------------------------------------

struct Progress<'a, 'b, E> {
    act: &'b Act<'a>,
    event: &'b E,
    record: DeliveryRecord,
    rules: RuleSet,
}

impl<'a, 'b, E> Progress<'a, 'b, E> {
    fn read(act: &'b Act<'a>, event: &'b E) -> Result<Self, Refusal> {
        let record: DeliveryRecord = act.subject_as()?;
        let rules = of_subject(act, &record.rule_set)?;
        Ok(Self { act, event, record, rules })
    }

    fn judge<G: Copy>(&self, rule: &Rule<G>, guard: impl Fn(G) -> Check) -> Result<(), Refusal> {
        self.act.judge(rule, &sides(&self.record.seller, &self.record.buyer), guard)
    }

    fn is_open(&self) -> Check {
        let state = self.record.state();
        let open = matches!(state, DeliveryState::Planned | DeliveryState::InProgress);
        ensure(open, || format!("it is {}", state.as_str_name()))
    }

    fn write(&self, record: DeliveryRecord) -> Writes {
        let mut writes = Writes::default();
        writes.put(self.act.subject().as_str(), record);
        writes
    }
}

const fn delivery_row<G>(
    row: &'static str,
    binding: bool,
    signers: &'static [Need],
    guards: &'static [(Code, G)],
) -> Rule<G> {
    Rule { row, subject: SubjectKind::Delivery, opens: false, binding, signers, guards }
}

type Sent<'a, 'b> = Progress<'a, 'b, BatchSent>;
type SentGuard = for<'a, 'b> fn(&'b Sent<'a, 'b>) -> Check;

const SENT: Rule<SentGuard> = delivery_row(
    "D3 BatchSent",
    false,
    &[Need::one(Role::Supplier, Who::Seller)],
    &[
        (Code::WrongState, |p| p.is_open()),
        (Code::BatchWindow, |p| {
            let over = is_past(
                Days::new(&p.rules, p.act.state.base()).date(p.act.time_ms),
                p.record.window_to,
            );
            ensure(!over, || format!("the window ended on {}", p.record.window_to))?;
            ensure(p.record.outstanding.len() < MAX_OUTSTANDING, || {
                format!("{MAX_OUTSTANDING} batches await acknowledgement")
            })
        }),
        (Code::BatchGap, |p| p.follows()),
        (Code::Field, |p| {
            ensure(p.event.root.len() == 32, || "root: expected 32 bytes".into())?;
            let expected = p.bytes();
            ensure(p.event.bytes == expected, || {
                format!("bytes: expected {expected} for these chunks")
            })
        }),
    ],
);

impl Sent<'_, '_> {
    fn file(&self) -> FileManifest {
        self.record.file.clone().unwrap_or_default()
    }

    fn end(&self) -> u64 {
        self.event.first_chunk.saturating_add(self.event.chunks)
    }

    /// The next number, the next chunk, no chunk past the end, the last batch ends the file, and each batch that is still to come
    /// finds a chunk.
    fn follows(&self) -> Check {
        let (record, event) = (&self.record, self.event);
        let number = record.sent.saturating_add(1);
        let total = chunk_count(&self.file());
        let after = u64::from(record.batches.saturating_sub(event.number));
        let left = total.checked_sub(self.end());
        let fits = event.number == number
            && event.number <= record.batches
            && event.first_chunk == record.next_chunk
            && event.chunks > 0
            && left.is_some_and(|left| if after == 0 { left == 0 } else { left >= after });
        ensure(fits, || {
            format!(
                "expected batch {number} of {} from chunk {} of {total}, at least one chunk for each batch and the last to \
                 the end; found batch {} with {} chunks from {}",
                record.batches, record.next_chunk, event.number, event.chunks, event.first_chunk
            )
        })
    }

    /// Bytes of the batch's chunks: all full but the file's last.
    fn bytes(&self) -> u64 {
        let file = self.file();
        let chunk = u64::from(file.chunk_bytes);
        let end = self.end().saturating_mul(chunk).min(file.bytes);
        end.saturating_sub(self.event.first_chunk.saturating_mul(chunk))
    }
}

pub(crate) fn sent(act: &Act<'_>, event: &BatchSent) -> Result<Writes, Refusal> {
    act.check_subject(&SENT)?;
    let p = Progress::read(act, event)?;
    p.judge(&SENT, |guard| guard(&p))?;
    let mut record = p.record.clone();
    record.state = DeliveryState::InProgress.into();
    record.sent = event.number;
    record.next_chunk = p.end();
    let (root, number) = (event.root.clone(), event.number);
    record.outstanding.push(BatchRecord { number, root, sent_ms: act.time_ms });
    Ok(p.write(record))
}

type Acknowledged<'a, 'b> = Progress<'a, 'b, BatchAcknowledged>;
type AcknowledgedGuard = for<'a, 'b> fn(&'b Acknowledged<'a, 'b>) -> Check;

const ACKNOWLEDGED: Rule<AcknowledgedGuard> = delivery_row(
    "D4 BatchAcknowledged",
    false,
    &[Need::one(Role::Buyer, Who::Buyer).or_else(Code::AckWrongParty)],
    &[
        (Code::BatchNotSent, |p| {
            ensure(p.batch().is_some(), || format!("batch {}", p.event.number))
        }),
        (Code::AckWrongRoot, |p| {
            let same = p.batch().is_some_and(|batch| batch.root == p.event.root);
            ensure(same, || format!("batch {}: the roots differ", p.event.number))
        }),
    ],
);

impl Acknowledged<'_, '_> {
    fn batch(&self) -> Option<&BatchRecord> {
        self.record.outstanding.iter().find(|batch| batch.number == self.event.number)
    }
}

pub(crate) fn acknowledged(act: &Act<'_>, event: &BatchAcknowledged) -> Result<Writes, Refusal> {
    act.check_subject(&ACKNOWLEDGED)?;
    let p = Progress::read(act, event)?;
    p.judge(&ACKNOWLEDGED, |guard| guard(&p))?;
    let mut record = p.record.clone();
    record.outstanding.retain(|batch| batch.number != event.number);
    record.acknowledged = record.acknowledged.saturating_add(1);
    Ok(p.write(record))
}

type Completed<'a, 'b> = Progress<'a, 'b, ()>;
type CompletedGuard = for<'a, 'b> fn(&'b Completed<'a, 'b>) -> Check;

const COMPLETED: Rule<CompletedGuard> = delivery_row(
    "D9 DeliveryCompleted",
    true,
    &[Need::one(Role::Supplier, Who::Seller), Need::one(Role::Buyer, Who::Buyer)],
    &[
        (Code::WrongState, |p| p.is_open()),
        (Code::DeliveryIncomplete, |p| {
            let (sent, acked, all) = (p.record.sent, p.record.acknowledged, p.record.batches);
            ensure(sent == all && acked == all, || {
                format!("{sent} of {all} sent, {acked} acknowledged")
            })
        }),
    ],
);

pub(crate) fn completed(act: &Act<'_>) -> Result<Writes, Refusal> {
    act.check_subject(&COMPLETED)?;
    let p = Progress::read(act, &())?;
    p.judge(&COMPLETED, |guard| guard(&p))?;
    let mut record = p.record.clone();
    record.state = DeliveryState::Completed.into();
    let contract = record.contract.clone();
    let mut writes = p.write(record);
    writes.touch(&contract);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![
        row("delivery_planned", &PLANNED),
        row("batch_sent", &SENT),
        row("batch_acknowledged", &ACKNOWLEDGED),
        row("delivery_completed", &COMPLETED)
    ]
}
