//! QueryService: reading entries, records, histories and lineage, and following what is new.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use ledger_event::Record;
use ledger_format::digest::EntryId;
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::header::Header;
use ledger_format::id::{Subject, check_party, state_key};
use ledger_format::message;
use ledger_proto::v1;
use ledger_proto::v1::query_service_server::QueryService;
use ledger_rules::block::{ACTS, act_name};
use ledger_rules::standing::standing;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::history::Page;
use crate::lineage::Trace;
use crate::places::{Places, kept};
use crate::problem::Problem;
use crate::reads::{Reading, Reads};
use crate::shared::{Head, Shared};
use crate::stops::Stops;

/// Responses of one watch that wait to be read: beyond them the watch waits for its client. Each may have an entry of 64 KiB.
const WATCH_QUEUE: usize = 8;

/// Bytes of entries after which a watch takes no more of a block at once.
pub(crate) const WATCHED_BYTES: usize = 1024 * 1024;

/// Watches at a time: each is a task, and some blocks' entries.
const WATCHES: usize = 256;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    reads: Reads,
    watches: Places,
    /// Bytes of entries of a block that a watch takes at once.
    watched: usize,
    stops: Stops,
}

impl Query {
    /// The service of a node.
    pub(crate) fn new(reads: Reads, watched: usize, stops: Stops) -> Self {
        Self { reads, watches: Places::new("watches", WATCHES), watched, stops }
    }
}

impl Shared {
    fn entry(&self, request: v1::GetEntryRequest) -> Result<v1::GetEntryResponse, Problem> {
        let index = match request.by {
            Some(v1::get_entry_request::By::LeafIndex(index)) => Some(index),
            Some(v1::get_entry_request::By::EntryId(id)) => {
                self.store.find(&EntryId::from_slice(&id)?)?
            }
            None => return Err(Problem::bad_request("neither entry_id nor leaf_index")),
        };
        let leaf = match index {
            Some(index) => self.entry_leaf(index, true)?,
            None => None,
        };
        let leaf = leaf.ok_or_else(|| Problem::not_found("no such entry"))?;
        Ok(v1::GetEntryResponse { leaf: Some(leaf) })
    }

    fn record_answer(
        &self,
        request: &v1::GetRecordRequest,
    ) -> Result<v1::GetRecordResponse, Problem> {
        let id = Subject::parse("id", &request.id)?;
        let (record, height) = self.record(&id, request.height)?;
        let time_ms = match height {
            0 => self.genesis.message().start_ms,
            height => self.header(height)?.0.time_ms,
        };
        let at_ms = if request.at_ms == 0 { time_ms } else { request.at_ms };
        let standing =
            record.as_ref().map(|record| self.standing(record, height, at_ms)).transpose()?;
        let proof =
            if request.with_proof { self.record_proof(&id, height)?.into() } else { Bytes::new() };
        let record = record.unwrap_or_default();
        Ok(v1::GetRecordResponse { record, height, time_ms, standing, proof })
    }

    fn standing(&self, record: &Bytes, height: u64, at_ms: u64) -> Result<v1::Standing, Problem> {
        let record: Record = message::decode("record", record)?;
        let ledger = self.ledger();
        let gone = || Problem::height_not_kept(format!("height {height}"));
        let found = standing(&ledger.state_at(height).ok_or_else(gone)?, &record, at_ms);
        Ok(v1::Standing {
            state: found.state,
            changes_on: found.changes_on,
            marks: found.marks,
            not_determined: found.not_determined,
        })
    }
}

type Watched = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl QueryService for Query {
    async fn get_entry(
        &self,
        request: Request<v1::GetEntryRequest>,
    ) -> Result<Response<v1::GetEntryResponse>, Status> {
        self.reads.answer(request, Shared::entry).await
    }

    async fn get_record(
        &self,
        request: Request<v1::GetRecordRequest>,
    ) -> Result<Response<v1::GetRecordResponse>, Status> {
        self.reads.answer(request, |shared, request| shared.record_answer(&request)).await
    }

    async fn get_history(
        &self,
        request: Request<v1::GetHistoryRequest>,
    ) -> Result<Response<v1::GetHistoryResponse>, Status> {
        let reading = self.reads.begin(request.remote_addr()).await?;
        let request = request.into_inner();
        let page = reading.piece(move |shared| Page::begin(shared, &request)).await?;
        Ok(Response::new(reading.steps(page, Page::step).await?.answer()))
    }

    async fn trace_lineage(
        &self,
        request: Request<v1::TraceLineageRequest>,
    ) -> Result<Response<v1::TraceLineageResponse>, Status> {
        let reading = self.reads.begin(request.remote_addr()).await?;
        let request = request.into_inner();
        let trace = reading.piece(move |shared| Trace::begin(shared, &request)).await?;
        let trace = reading.steps(trace, Trace::step).await?;
        Ok(Response::new(trace.answer(self.reads.shared().head().height)))
    }

    type WatchStream = Watched;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Watched>, Status> {
        let (sender, receiver) = mpsc::channel(WATCH_QUEUE);
        let source = request.remote_addr();
        let request = request.into_inner();
        check_filters(&request)?;
        let place = self.watches.take(source)?;
        let (reading, heads) = (self.reads.stream(source), self.reads.shared().watch_head());
        let (at_once, mut stops) = (self.watched, self.stops.clone());
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = follow(&reading, heads, (request, at_once), &sender) => ended,
                problem = stops.come() => Err(problem),
            };
            if let Err(problem) = ended {
                // Nobody is left to tell when the client has gone.
                let _told = sender.send(Err(problem.into())).await;
            }
        });
        Ok(Response::new(Box::pin(kept(place, ReceiverStream::new(receiver)))))
    }
}

/// Refuses filters that nothing can ever pass: who misspelt one would wait for ever.
fn check_filters(request: &v1::WatchRequest) -> Result<(), Problem> {
    let v1::WatchRequest { subject, party, act, .. } = request;
    if !subject.is_empty() {
        Subject::parse("subject", subject)?;
    }
    if !party.is_empty() {
        check_party("party", party.strip_prefix("party:").unwrap_or(party))?;
    }
    if !act.is_empty() && !ACTS.contains(&act.as_str()) {
        return Err(Problem::bad_request(format!("act {act:?}: none of {}", ACTS.join(", "))));
    }
    Ok(())
}

/// Sends entries block by block, then waits for the next block.
async fn follow(
    reading: &Reading,
    mut heads: watch::Receiver<Head>,
    (request, at_once): (v1::WatchRequest, usize),
    sender: &mpsc::Sender<Result<v1::WatchResponse, Status>>,
) -> Result<(), Problem> {
    let request = Arc::new(request);
    let mut next = request.from;
    loop {
        let head = *heads.borrow_and_update();
        while next < head.tree_size && !sender.is_closed() {
            let wanted = Arc::clone(&request);
            let block = reading.piece(move |shared| block_entries(shared, &wanted, next, at_once));
            let (responses, after) = block.await?;
            for response in responses {
                if sender.send(Ok(response)).await.is_err() {
                    return Ok(());
                }
            }
            next = after;
        }
        if request.until_now {
            return Ok(());
        }
        // Who has gone is noticed here: it keeps no place until the next block.
        tokio::select! {
            changed = heads.changed() => if changed.is_err() {
                return Ok(());
            },
            () = sender.closed() => return Ok(()),
        }
    }
}

/// The wanted entries from a leaf to the end of its block, or as many as are taken at once, and the leaf to go on from.
fn block_entries(
    shared: &Shared,
    request: &v1::WatchRequest,
    from: u64,
    at_once: usize,
) -> Result<(Vec<v1::WatchResponse>, u64), Problem> {
    let missing = || Problem::internal(format!("leaf {from}"));
    let height = shared.store.leaf(from)?.ok_or_else(missing)?.height;
    let block = shared.store.block(height)?.ok_or_else(missing)?;
    let time_ms = Header::decode(block.header)?.time_ms;
    let first = block.first_leaf + u64::from(height > 1);
    let (mut responses, mut taken) = (Vec::new(), 0);
    for (leaf_index, bytes) in (first..).zip(&block.entries) {
        if taken >= at_once {
            return Ok((responses, leaf_index));
        }
        if leaf_index >= from && wanted(shared, request, leaf_index, bytes)? {
            let entry_id = Bytes::copy_from_slice(&leaf_hash(bytes));
            // A slice would keep the page of the store that it is of.
            let entry = Bytes::copy_from_slice(bytes);
            taken += entry.len();
            let leaf = v1::Leaf { entry_id, leaf_index, height, time_ms, entry };
            responses.push(v1::WatchResponse { leaf: Some(leaf), next: leaf_index + 1 });
        }
    }
    let count = u64::try_from(block.entries.len()).unwrap_or_default();
    Ok((responses, first + count))
}

fn wanted(
    shared: &Shared,
    request: &v1::WatchRequest,
    leaf: u64,
    bytes: &Bytes,
) -> Result<bool, Problem> {
    if !request.subject.is_empty() {
        let key = state_key(&request.subject);
        if !shared.store.links(leaf)?.iter().any(|link| key.starts_with(&link.key)) {
            return Ok(false);
        }
    }
    if request.party.is_empty() && request.act.is_empty() {
        return Ok(true);
    }
    let entry = Entry::decode(bytes.clone())?;
    let party = request.party.strip_prefix("party:").unwrap_or(&request.party);
    let signs = entry.claims().issuer == party
        || entry.claims().signers.iter().any(|signer| signer.party == party);
    let act = entry.event().act.as_ref().map_or("", act_name);
    Ok((party.is_empty() || signs) && (request.act.is_empty() || request.act == act))
}
