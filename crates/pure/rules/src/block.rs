//! A block on its way through the rules: entry by entry, then what the whole block changed.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::event::Act as Kind;
use ledger_event::{ActivityRecord, Clock, LedgerRecord, Limits, Record, Timeline};
use ledger_format::digest::{EntryId, Hash};
use ledger_format::entry::Entry;
use ledger_format::id::state_key;
use ledger_format::message;
use ledger_format::planted::{self, Bug};
use ledger_format::timeline::timeline_step;

use crate::act::Act;
use crate::budget;
use crate::code::{Code, Refusal};
use crate::genesis::LEDGER;
use crate::protocol::Protocol;
use crate::view::{Changed, Opened, Register, State, Typed as _, View, Writes, decode, read_as};
use crate::{
    asset, contract, delivery, governance, identity, listing, membership, misconduct, protocol,
    registration, review, signers,
};

/// One timeline that an entry is on, and the leaf of the entry before it there. Not part of the state: an index that can be
/// rebuilt from blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// State key of the record that the timeline belongs to.
    pub key: Hash,
    /// Leaf index of the entry before; `None` for the first.
    pub previous: Option<u64>,
}

/// What a block changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// New record bytes by state key, ascending.
    pub records: Vec<(Hash, Vec<u8>)>,
    /// The timelines that each entry is on, in order of entries.
    pub links: Vec<Vec<Link>>,
}

/// A block in execution. Its `base` is the state after the block before.
pub struct BlockRules<'a> {
    base: &'a dyn View,
    ledger: LedgerRecord,
    limits: Limits,
    id: Hash,
    height: u64,
    time_ms: u64,
    /// Shared, so that what an entry costs does not borrow the block that it changes.
    budgets: Option<Rc<budget::Limits>>,
    register: Register,
    changed: Changed,
    links: Vec<Vec<Link>>,
}

impl core::fmt::Debug for BlockRules<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BlockRules").field("height", &self.height).finish_non_exhaustive()
    }
}

impl<'a> BlockRules<'a> {
    /// Begins a block of that height and header time. `None` when `base` is not a ledger's state.
    pub fn begin(base: &'a dyn View, height: u64, time_ms: u64) -> Option<Self> {
        let ledger: LedgerRecord = read_as(base, LEDGER)?;
        let limits = ledger.limits?;
        let id = Hash::try_from(ledger.genesis.as_ref()).ok()?;
        let budgets = budget::Limits::of(base, &ledger, height, time_ms).map(Rc::new);
        let (register, changed, links) = (Register::default(), Changed::new(), Vec::new());
        Some(Self { base, ledger, limits, id, height, time_ms, budgets, register, changed, links })
    }

    /// Judges the next entry, which is to be leaf `leaf_index`. On a refusal nothing has changed.
    ///
    /// Signatures must have been verified against the keys that the entry names, and evidence that it records must have been judged
    /// by the validators of the state.
    ///
    /// # Errors
    /// The first reason to refuse.
    pub fn apply(&mut self, entry: &Entry, leaf_index: u64) -> Result<(), Refusal> {
        self.check_claims(entry)?;
        if let Some(kind) = &entry.event().act {
            protocol::check_active(kind, Protocol::of(&self.ledger, self.height).version)?;
        }
        let state = State::new(self.base, &self.register, &self.changed);
        let budgets = self.budgets.clone();
        let charge = budgets.as_ref().and_then(|budgets| budgets.charge(entry, &state));
        charge.as_ref().map_or(Ok(()), |charge| charge.check(&state))?;
        let act = Act {
            entry,
            state,
            ledger: &self.ledger,
            signers: signers::look_up(entry, &state)?,
            height: self.height,
            time_ms: self.time_ms,
            leaf_index,
        };
        let writes = dispatch(&act)?;
        let activities = activities(&act);
        self.write(entry, leaf_index, writes, activities);
        if let Some(charge) = charge {
            for payer in charge.payers() {
                charge.take_from(payer, &mut self.open(payer.record()).record);
            }
        }
        Ok(())
    }

    /// Whether the budgets of those who are charged for an entry allow it here, before anything of it is checked.
    ///
    /// # Errors
    /// [`Code::BudgetSpent`].
    pub fn afford(&self, entry: &Entry) -> Result<(), Refusal> {
        let state = State::new(self.base, &self.register, &self.changed);
        let charge = self.budgets.as_ref().and_then(|budgets| budgets.charge(entry, &state));
        charge.map_or(Ok(()), |charge| charge.check(&state))
    }

    /// What the entries applied so far have changed.
    pub fn finish(self) -> Changes {
        let opened = self.changed.into_values();
        let encoded = opened.map(|opened| (opened.key, message::encode(&opened.record)));
        let mut records: Vec<_> = encoded.collect();
        records.sort_unstable_by_key(|(key, _)| *key);
        Changes { records, links: self.links }
    }

    /// Audience and times (docs/spec/entry.md).
    fn check_claims(&self, entry: &Entry) -> Result<(), Refusal> {
        let claims = entry.claims();
        if claims.ledger.0 != self.id {
            return Err(Refusal::new(Code::OtherLedger, format!("it names {}", claims.ledger)));
        }
        let window = if claims.signers.is_empty() {
            self.limits.entry_window_s
        } else {
            self.limits.joint_entry_window_s
        };
        let detail = match claims.expires_s.checked_sub(claims.issued_s) {
            Some(length) if length <= u64::from(window) => None,
            Some(length) => Some(format!("{length} seconds, at most {window} allowed")),
            None => Some("it expires before it was issued".into()),
        };
        if let Some(detail) = detail {
            return Err(Refusal::new(Code::WindowTooLong, detail));
        }
        let ahead = claims.issued_s.saturating_mul(1000);
        let skew = match self.ledger.clock() {
            Clock::Declared => 0,
            Clock::Wall | Clock::Unspecified => u64::from(self.limits.skew_ms),
        };
        if ahead > self.time_ms.saturating_add(skew) {
            let detail = format!("issued at {ahead} ms, the block is at {} ms", self.time_ms);
            return Err(Refusal::new(Code::Ahead, detail));
        }
        let end = claims.expires_s.saturating_mul(1000);
        if end <= self.time_ms {
            let detail = format!("expired at {end} ms, the block is at {} ms", self.time_ms);
            return Err(Refusal::new(Code::Expired, detail));
        }
        Ok(())
    }

    fn write(&mut self, entry: &Entry, leaf: u64, writes: Writes, activities: Vec<String>) {
        let mut links = Vec::with_capacity(writes.records.len().saturating_add(activities.len()));
        for (id, body) in writes.records {
            let opened = self.open(id);
            if let Some(body) = body {
                opened.record.body = Some(*body);
            }
            links.push(opened.append(entry.id(), leaf));
        }
        for id in activities {
            let is_linked =
                !(planted::is(Bug::IssuerUnlinked) && id.starts_with("activity:party/"));
            let opened = self.open(id);
            opened.record.body.get_or_insert_with(|| ActivityRecord::default().into_body());
            let link = opened.append(entry.id(), leaf);
            links.extend(is_linked.then_some(link));
        }
        self.links.push(links);
    }

    /// The record of an id in the block's changes, copied from the base or new.
    fn open(&mut self, id: String) -> &mut Opened {
        let base = self.base;
        self.changed.entry(id).or_insert_with_key(|id| {
            let key = state_key(id);
            let record = base.record(&key).and_then(decode).unwrap_or_else(|| Record {
                id: id.clone(),
                timeline: Some(Timeline::default()),
                ..Record::default()
            });
            Box::new(Opened { key, record })
        })
    }
}

impl Opened {
    /// Adds an entry to the record's timeline.
    fn append(&mut self, entry: EntryId, leaf: u64) -> Link {
        let timeline = self.record.timeline.get_or_insert_default();
        let previous = (timeline.count > 0).then_some(timeline.last);
        *timeline = Timeline {
            count: timeline.count.saturating_add(1),
            head: Bytes::copy_from_slice(&timeline_step(&timeline.head, &entry)),
            last: leaf,
        };
        Link { key: self.key, previous }
    }
}

/// The timelines across subjects that an entry is on, in order: one a signing party, one for the kind of act.
fn activities(act: &Act<'_>) -> Vec<String> {
    let kind = act.entry.event().act.as_ref().map_or("", act_name);
    let parties = act.signers.active.iter().map(|signer| ["activity:party/", &signer.party]);
    let all = parties.chain(core::iter::once(["activity:kind/", kind]));
    let mut all: Vec<String> = all.map(|id| id.concat()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

macro_rules! acts {
    ($($variant:ident($event:pat) = $name:literal, since $since:expr => |$act:ident| $run:expr;)*) => {
        /// The name of an act, as its protobuf field is called.
        pub fn act_name(kind: &Kind) -> &'static str {
            match kind { $(Kind::$variant(_) => $name,)* }
        }

        /// The protocol version that an act came with.
        pub(crate) fn since(kind: &Kind) -> u32 {
            match kind { $(Kind::$variant(_) => $since,)* }
        }

        /// Every act that this program knows, by name.
        pub const ACTS: &[&str] = &[$($name,)*];

        fn dispatch(act: &Act<'_>) -> Result<Writes, Refusal> {
            match act.entry.event().act.as_ref() {
                $(Some(Kind::$variant($event)) => { let $act = act; $run })*
                None => Err(Refusal::new(Code::Field, "no act")),
            }
        }
    };
}

acts! {
    GenesisPublished(event) = "genesis_published", since 1 => |act| governance::genesis(act, event);
    RuleSetPublished(event) = "rule_set_published", since 1 => |act| governance::rule_set(act, event);
    CalendarPublished(event) = "calendar_published", since 1 => |act| governance::calendar(act, event);
    ValidatorsChanged(event) = "validators_changed", since 1 => |act| membership::changed(act, event);
    ProtocolActivated(event) = "protocol_activated", since 1 => |act| protocol::activated(act, event);
    MisconductRecorded(event) = "misconduct_recorded", since 2 => |act| misconduct::recorded(act, event);
    BudgetsSet(event) = "budgets_set", since budget::SINCE => |act| budget::set(act, event);
    PartyAdmitted(event) = "party_admitted", since 1 => |act| identity::admitted(act, event);
    KeyEnrolled(event) = "key_enrolled", since 1 => |act| identity::enrolled(act, event);
    KeyRevoked(event) = "key_revoked", since 1 => |act| identity::revoked(act, event);
    AssetDescribed(event) = "asset_described", since 1 => |act| asset::described(act, event);
    AssetRevised(event) = "asset_revised", since 1 => |act| asset::revised(act, event);
    ImportedHistory(event) = "imported_history", since 1 => |act| asset::imported(act, event);
    RegistrationApplied(event) = "registration_applied", since 1 => |act| registration::applied(act, event);
    RegistrationAccepted(_) = "registration_accepted", since 1 => |act| registration::accepted(act);
    RegistrationReviewed(event) = "registration_reviewed", since 1 => |act| registration::reviewed(act, event);
    NoticeOpened(event) = "notice_opened", since 1 => |act| registration::notice(act, event);
    EvidenceRecorded(event) = "evidence_recorded", since 1 => |act| registration::evidence(act, event);
    CertificateIssued(event) = "certificate_issued", since 1 => |act| registration::certificate(act, event);
    ReviewSubmitted(event) = "review_submitted", since 1 => |act| review::submitted(act, event);
    ReviewDecided(event) = "review_decided", since 1 => |act| review::decided(act, event);
    ListingApplied(event) = "listing_applied", since 1 => |act| listing::applied(act, event);
    ListingPublished(_) = "listing_published", since 1 => |act| listing::published(act);
    ContractSigned(event) = "contract_signed", since 1 => |act| contract::signed(act, event);
    DeliveryPlanned(event) = "delivery_planned", since 1 => |act| delivery::planned(act, event);
    BatchSent(event) = "batch_sent", since 1 => |act| delivery::sent(act, event);
    BatchAcknowledged(event) = "batch_acknowledged", since 1 => |act| delivery::acknowledged(act, event);
    DeliveryCompleted(_) = "delivery_completed", since 1 => |act| delivery::completed(act);
}
