//! Lineage: what an asset, or anything opened from one, came from and led to.
//!
//! Upwards a record names what it was opened from and its inputs. Downwards the timeline does: whatever is opened from a subject,
//! or derived from it, is an entry on that subject's timeline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{DerivationKind, Event, Record};
use ledger_format::entry::Entry;
use ledger_format::id::SubjectKind;
use ledger_proto::v1;
use ledger_rules::block::act_name;
use ledger_rules::standing::standing;

use crate::history::Walk;
use crate::problem::Problem;
use crate::shared::Shared;

/// Steps in one direction at most.
const MAX_DEPTH: u32 = 32;
/// Nodes of one answer at most, and by default.
const MAX_NODES: u32 = 2_000;
const DEFAULT_NODES: u32 = 200;
/// Relations of one answer at most.
const MAX_RELATIONS: usize = 20_000;
/// Nodes that are counted at most though they are not shown.
const MAX_OMITTED: usize = 10_000;
/// Entries of one subject that are looked through for children.
const MAX_ENTRIES_LOOKED: usize = 10_000;

/// A relation from source to result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Relation {
    from: String,
    to: String,
    kind: String,
}

/// What has been found of a lineage, and what is still to be looked at.
#[derive(Debug)]
pub(crate) struct Trace {
    start: String,
    nodes: BTreeMap<String, v1::Node>,
    edges: BTreeSet<Relation>,
    limit: usize,
    omitted: BTreeSet<String>,
    /// Directions with their depths, the present one first.
    directions: VecDeque<(i32, u32)>,
    /// Breadth first, so that what is nearest is shown when not all can be.
    queue: VecDeque<(String, u32)>,
    seen: BTreeSet<String>,
    /// Steps from the start to the record that is looked at.
    at: u32,
    children: Option<Children>,
    relations: VecDeque<Relation>,
}

impl Trace {
    /// A lineage of which only the start is known.
    pub(crate) fn begin(
        shared: &Shared,
        request: &v1::TraceLineageRequest,
    ) -> Result<Self, Problem> {
        let limit = if request.limit == 0 { DEFAULT_NODES } else { request.limit.min(MAX_NODES) };
        let record = shared.latest(&request.id)?;
        let record = record.ok_or_else(|| Problem::not_found(request.id.clone()))?;
        let mut trace = Self {
            start: request.id.clone(),
            nodes: BTreeMap::new(),
            edges: BTreeSet::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            omitted: BTreeSet::new(),
            directions: [(-1, request.up), (1, request.down)].into(),
            queue: VecDeque::new(),
            seen: BTreeSet::new(),
            at: 0,
            children: None,
            relations: VecDeque::new(),
        };
        trace.add(shared, &record, 0);
        trace.set_out();
        Ok(trace)
    }

    /// Begins at the start in a new direction.
    fn set_out(&mut self) {
        self.queue = [(self.start.clone(), 0)].into();
        self.seen = [self.start.clone()].into();
    }

    /// Looks at one thing more; whether there was none.
    pub(crate) fn step(&mut self, shared: &Shared) -> Result<bool, Problem> {
        let Some(&(direction, depth)) = self.directions.front() else { return Ok(true) };
        if let Some(relation) = self.relations.pop_front() {
            self.follow(shared, relation, direction)?;
        } else if let Some(children) = &mut self.children {
            if children.look(shared)? {
                self.relations = children.found.iter().cloned().collect();
                self.children = None;
            }
        } else if let Some((id, at)) = self.queue.pop_front() {
            self.at = at;
            let further = at < depth.min(MAX_DEPTH);
            let record = if further { shared.latest(&id)? } else { None };
            match record {
                Some(record) if direction < 0 => self.relations = parents(&record).into(),
                record => self.children = record.map(Children::of),
            }
        } else {
            self.directions.pop_front();
            self.set_out();
        }
        Ok(false)
    }

    /// Goes from the record that is looked at to one of its neighbours.
    fn follow(
        &mut self,
        shared: &Shared,
        relation: Relation,
        direction: i32,
    ) -> Result<(), Problem> {
        let other = if direction < 0 { &relation.from } else { &relation.to }.clone();
        if self.edges.len() >= MAX_RELATIONS && !self.edges.contains(&relation) {
            self.omit(other);
            return Ok(());
        }
        if !self.nodes.contains_key(&other) {
            let Some(found) = shared.latest(&other)? else { return Ok(()) };
            if self.nodes.len() >= self.limit {
                self.omit(other);
                return Ok(());
            }
            let steps = i32::try_from(self.at).unwrap_or(i32::MAX).saturating_add(1);
            self.add(shared, &found, direction.saturating_mul(steps));
        }
        self.edges.insert(relation);
        if self.seen.insert(other.clone()) {
            self.queue.push_back((other, self.at.saturating_add(1)));
        }
        Ok(())
    }

    fn omit(&mut self, other: String) {
        if self.omitted.len() < MAX_OMITTED {
            self.omitted.insert(other);
        }
    }

    fn add(&mut self, shared: &Shared, record: &Record, depth: i32) {
        let ledger = shared.ledger();
        let state = standing(&ledger.state(), record, ledger.time_ms()).state;
        let node = v1::Node { id: record.id.clone(), label: label(record), state, depth };
        self.nodes.insert(record.id.clone(), node);
    }

    /// The answer, when all has been looked at.
    pub(crate) fn answer(self, height: u64) -> v1::TraceLineageResponse {
        let omitted = u64::try_from(self.omitted.len()).unwrap_or(u64::MAX);
        let edge = |Relation { from, to, kind }| v1::Edge { from, to, kind };
        let edges = self.edges.into_iter().map(edge).collect();
        v1::TraceLineageResponse {
            nodes: self.nodes.into_values().collect(),
            edges,
            omitted,
            height,
        }
    }
}

/// What a record was opened from, and its inputs.
fn parents(record: &Record) -> Vec<Relation> {
    let opened = |from: &str, kind: &str| Relation {
        from: from.to_owned(),
        to: record.id.clone(),
        kind: kind.to_owned(),
    };
    match &record.body {
        Some(Body::Asset(asset)) => {
            let inputs = asset.description.iter().flat_map(|d| &d.derived_from);
            inputs.map(|input| opened(&input.asset, derivation(input.kind()))).collect()
        }
        Some(Body::Registration(r)) => vec![opened(&r.asset, "registration_applied")],
        Some(Body::Certificate(c)) => vec![opened(&c.registration, "certificate_issued")],
        Some(Body::Review(r)) => vec![opened(&r.asset, "review_submitted")],
        Some(Body::Listing(l)) => vec![opened(&l.asset, "listing_applied")],
        Some(Body::Contract(c)) => vec![opened(&c.listing, "contract_signed")],
        Some(Body::Delivery(d)) => vec![opened(&d.contract, "delivery_planned")],
        _ => Vec::new(),
    }
}

/// What was opened from a record or derived from it: the entries on its timeline that are about another subject.
#[derive(Debug)]
struct Children {
    record: Record,
    walk: Walk,
    looked: usize,
    found: BTreeSet<Relation>,
}

impl Children {
    fn of(record: Record) -> Self {
        let walk = Walk::of(&record.id, &record.timeline.clone().unwrap_or_default());
        Self { record, walk, looked: 0, found: BTreeSet::new() }
    }

    /// Looks at one entry more; whether there is none.
    fn look(&mut self, shared: &Shared) -> Result<bool, Problem> {
        if self.looked >= MAX_ENTRIES_LOOKED {
            return Ok(true);
        }
        let Some(leaf) = self.walk.step(shared, true)? else { return Ok(true) };
        self.looked += 1;
        let entry = Entry::decode(leaf.entry)?;
        self.found.extend(child(&self.record, &entry));
        Ok(false)
    }
}

/// What an entry on a record's timeline opened from the record or derived from it.
fn child(record: &Record, entry: &Entry) -> Option<Relation> {
    let subject = entry.claims().subject.as_str();
    let relation = |to: &str, kind: &str| Relation {
        from: record.id.clone(),
        to: to.to_owned(),
        kind: kind.to_owned(),
    };
    match entry.event().act.as_ref()? {
        Act::CertificateIssued(issued) if subject == record.id => {
            Some(relation(&format!("certificate:{}", issued.number), "certificate_issued"))
        }
        // On the asset's timeline too; it hangs from the registration.
        Act::CertificateIssued(_) => None,
        act if subject != record.id && opens(act) && opens_from(record, subject) => {
            let kind = derived_kind(entry.event(), &record.id).unwrap_or_else(|| act_name(act));
            Some(relation(subject, kind))
        }
        _ => None,
    }
}

/// Whether an act opens its subject or says what it is made from. Others are on a parent's timeline too: a contract's has the
/// completion of its deliveries.
const fn opens(act: &Act) -> bool {
    matches!(
        act,
        Act::AssetDescribed(_)
            | Act::AssetRevised(_)
            | Act::RegistrationApplied(_)
            | Act::ReviewSubmitted(_)
            | Act::ListingApplied(_)
            | Act::ContractSigned(_)
            | Act::DeliveryPlanned(_)
    )
}

/// Whether a subject of that kind hangs below the record in the graph.
fn opens_from(record: &Record, subject: &str) -> bool {
    let kind = |word: SubjectKind| subject.starts_with(word.word());
    match &record.body {
        Some(Body::Asset(_)) => {
            kind(SubjectKind::Asset)
                || kind(SubjectKind::Registration)
                || kind(SubjectKind::Review)
                || kind(SubjectKind::Listing)
        }
        Some(Body::Listing(_)) => kind(SubjectKind::Contract),
        Some(Body::Contract(_)) => kind(SubjectKind::Delivery),
        _ => false,
    }
}

fn derived_kind(event: &Event, input: &str) -> Option<&'static str> {
    let description = match &event.act {
        Some(Act::AssetDescribed(event)) => event.description.as_ref()?,
        Some(Act::AssetRevised(event)) => event.description.as_ref()?,
        _ => return None,
    };
    let edge = description.derived_from.iter().find(|edge| edge.asset == input)?;
    Some(derivation(edge.kind()))
}

fn derivation(kind: DerivationKind) -> &'static str {
    let name = kind.as_str_name();
    name.strip_prefix("DERIVATION_KIND_").unwrap_or(name)
}

/// A short text for a node.
fn label(record: &Record) -> String {
    match &record.body {
        Some(Body::Asset(asset)) => asset.description.as_ref().map_or_else(String::new, |d| {
            if d.name_en.is_empty() { d.name_zh.clone() } else { d.name_en.clone() }
        }),
        Some(Body::Registration(r)) => format!("{} at {}", r.applicant, r.registry),
        Some(Body::Certificate(c)) => format!("held by {}", c.holder),
        Some(Body::Review(r)) => format!("by {}", r.reviewer),
        Some(Body::Listing(l)) => format!("{} at {}", l.seller, l.venue),
        Some(Body::Contract(c)) => format!("{} to {}", c.seller, c.buyer),
        Some(Body::Delivery(d)) => {
            format!("{} of {} batches acknowledged", d.acknowledged, d.batches)
        }
        _ => String::new(),
    }
}
