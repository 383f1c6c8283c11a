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
/// Entries of one subject that are looked through for children.
const MAX_ENTRIES_LOOKED: usize = 10_000;

/// A relation from source to result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Relation {
    from: String,
    to: String,
    kind: String,
}

/// Answers a request.
pub(crate) fn trace(
    shared: &Shared,
    request: &v1::TraceLineageRequest,
) -> Result<v1::TraceLineageResponse, Problem> {
    let limit = if request.limit == 0 { DEFAULT_NODES } else { request.limit.min(MAX_NODES) };
    let mut graph = Graph {
        shared,
        nodes: BTreeMap::new(),
        edges: BTreeSet::new(),
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        omitted: BTreeSet::new(),
    };
    let record = shared.latest(&request.id)?;
    let record = record.ok_or_else(|| Problem::not_found(request.id.clone()))?;
    graph.add(&record, 0);
    graph.walk(&request.id, -1, request.up.min(MAX_DEPTH), &|_, record| Ok(parents(record)))?;
    graph.walk(&request.id, 1, request.down.min(MAX_DEPTH), &children)?;
    let omitted = u64::try_from(graph.omitted.len()).unwrap_or(u64::MAX);
    let edges =
        graph.edges.into_iter().map(|Relation { from, to, kind }| v1::Edge { from, to, kind });
    Ok(v1::TraceLineageResponse {
        edges: edges.collect(),
        nodes: graph.nodes.into_values().collect(),
        omitted,
        height: shared.head().height,
    })
}

struct Graph<'a> {
    shared: &'a Shared,
    nodes: BTreeMap<String, v1::Node>,
    edges: BTreeSet<Relation>,
    limit: usize,
    omitted: BTreeSet<String>,
}

type Neighbours = dyn Fn(&Shared, &Record) -> Result<Vec<Relation>, Problem>;

impl Graph<'_> {
    fn add(&mut self, record: &Record, depth: i32) {
        let ledger = self.shared.ledger();
        let state = standing(&ledger.state(), record, ledger.time_ms()).state;
        let node = v1::Node { id: record.id.clone(), label: label(record), state, depth };
        self.nodes.insert(record.id.clone(), node);
    }

    /// Breadth first, so that what is nearest is shown when not all can be.
    fn walk(
        &mut self,
        start: &str,
        direction: i32,
        depth: u32,
        neighbours: &Neighbours,
    ) -> Result<(), Problem> {
        let mut queue = VecDeque::from([(start.to_owned(), 0_u32)]);
        let mut seen = BTreeSet::from([start.to_owned()]);
        while let Some((id, at)) = queue.pop_front() {
            if at == depth {
                continue;
            }
            let Some(record) = self.shared.latest(&id)? else { continue };
            for relation in neighbours(self.shared, &record)? {
                let other = if direction < 0 { &relation.from } else { &relation.to };
                let other = other.clone();
                if !self.nodes.contains_key(&other) {
                    let Some(found) = self.shared.latest(&other)? else { continue };
                    if self.nodes.len() >= self.limit {
                        self.omitted.insert(other);
                        continue;
                    }
                    let steps = i32::try_from(at).unwrap_or(i32::MAX).saturating_add(1);
                    self.add(&found, direction.saturating_mul(steps));
                }
                self.edges.insert(relation);
                if seen.insert(other.clone()) {
                    queue.push_back((other, at.saturating_add(1)));
                }
            }
        }
        Ok(())
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
fn children(shared: &Shared, record: &Record) -> Result<Vec<Relation>, Problem> {
    let timeline = record.timeline.clone().unwrap_or_default();
    let mut walk = Walk::of(shared, &record.id, &timeline);
    let mut found = BTreeSet::new();
    let mut looked = 0;
    while let Some(leaf) = walk.step(true)? {
        looked += 1;
        if looked > MAX_ENTRIES_LOOKED {
            break;
        }
        let entry = Entry::decode(leaf.entry)?;
        let subject = entry.claims().subject.as_str();
        let relation = |to: &str, kind: &str| Relation {
            from: record.id.clone(),
            to: to.to_owned(),
            kind: kind.to_owned(),
        };
        match &entry.event().act {
            Some(Act::CertificateIssued(issued)) if subject == record.id => {
                found.insert(relation(
                    &format!("certificate:{}", issued.number),
                    "certificate_issued",
                ));
            }
            // On the asset's timeline too; it hangs from the registration.
            Some(Act::CertificateIssued(_)) => {}
            Some(act) if subject != record.id && opens(act) && opens_from(record, subject) => {
                let kind = derived_kind(entry.event(), &record.id).unwrap_or_else(|| act_name(act));
                found.insert(relation(subject, kind));
            }
            Some(_) | None => {}
        }
    }
    Ok(found.into_iter().collect())
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
