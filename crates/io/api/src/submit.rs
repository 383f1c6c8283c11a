//! SubmitService: parse, register who waits, hand on, answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use ledger_format::digest::EntryId;
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_proto::v1::submit_service_server::SubmitService;
use ledger_rules::{Code, Refusal};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::held::{Bounds, Held, Share};
use crate::intake::{Source, Submission};
use crate::outcomes::{Group, Level, Outcome, Outcomes as Board, Position, RefusedAt};
use crate::problem::Problem;
use crate::reads::{Reading, Reads};
use crate::shared::Shared;
use crate::stops::Stops;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_TIMEOUT: Duration = Duration::from_mins(5);
/// Entries of one stream message.
const MAX_STREAM_ENTRIES: usize = 4_096;
/// Messages of one stream that may be under way: beyond them the stream is not read, and the client waits.
const MESSAGES_UNDER_WAY: usize = 16;

/// Entries of streams that are under way, or whose answers wait to be read: each keeps some hundred bytes.
pub(crate) const UNDER_WAY: Bounds = Bounds {
    server: 128 * MAX_STREAM_ENTRIES,
    address: 64 * MAX_STREAM_ENTRIES,
    connection: 48 * MAX_STREAM_ENTRIES,
    assured: MAX_STREAM_ENTRIES,
};
/// Entries that are parsed at once: the thread that does it has connections to other nodes to serve as well.
const PARSED_AT_ONCE: usize = 256;
/// How long a client is asked to wait when too much of it is under way.
const RETRY: Duration = Duration::from_millis(500);

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Submit {
    reads: Reads,
    under_way: Arc<Held>,
    /// Bytes of entries that wait to be looked up.
    looked_up: Arc<Held>,
    stops: Stops,
}

/// An entry that may be taken in.
struct Parsed {
    id: EntryId,
    entry: Box<Entry>,
    /// What is known of it, or of another one of its name.
    known: Option<Code>,
    /// Whether it may be in the log: only of those is that looked up.
    may_be_placed: bool,
}

impl Submit {
    /// The service of a node.
    pub(crate) fn new(reads: Reads, under_way: Bounds, stops: Stops) -> Self {
        let under_way = Held::new("entries under way", under_way);
        Self { reads, under_way, looked_up: Held::new("bytes", Bounds::default()), stops }
    }

    fn shared(&self) -> &Shared {
        self.reads.shared()
    }

    fn parse(&self, bytes: &Bytes) -> Result<Parsed, Problem> {
        // A decoded entry keeps slices of what it was read from: of its own copy, or an entry in the pool would keep the whole message.
        let entry = Entry::decode(Bytes::copy_from_slice(bytes))?;
        let own = self.shared().genesis.id();
        if entry.claims().ledger != own {
            let detail = format!("this is {own}, it names {}", entry.claims().ledger);
            return Err(Refusal::new(Code::OtherLedger, detail).into());
        }
        let ledger = self.shared().ledger();
        let known = ledger.window().knows(&entry);
        let is_expired = entry.claims().expires_s.saturating_mul(1000) <= ledger.time_ms();
        drop(ledger);
        let may_be_placed = known.is_some() || is_expired;
        Ok(Parsed { id: entry.id(), entry: Box::new(entry), known, may_be_placed })
    }

    /// Where those are in the log that are there. The store is read where that holds up nobody: anybody may ask of any id.
    async fn positions(
        &self,
        caller: &Caller<'_>,
        ids: Vec<EntryId>,
    ) -> Result<BTreeMap<EntryId, Result<Position, Problem>>, Problem> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let begun;
        let reading = if let Some(reading) = caller.stream {
            reading
        } else {
            begun = self.reads.begin(caller.source).await?;
            &begun
        };
        let look = |(ids, found): &mut (Vec<EntryId>, BTreeMap<_, _>), shared: &Shared| {
            let Some(id) = ids.pop() else { return Ok(true) };
            if let Some(position) = shared.position(&id).transpose() {
                found.insert(id, position.map_err(Problem::from));
            }
            Ok(false)
        };
        Ok(reading.steps((ids, BTreeMap::new()), look).await?.1)
    }

    /// Takes entries in, and gives the group that waits for them with their ids.
    async fn take_all(
        &self,
        caller: Caller<'_>,
        entries: &[Bytes],
        level: Level,
    ) -> Result<Message, Problem> {
        let mut parsed = Vec::with_capacity(entries.len());
        for some in entries.chunks(PARSED_AT_ONCE) {
            if !parsed.is_empty() {
                tokio::task::yield_now().await;
            }
            parsed.extend(some.iter().map(|bytes| self.parse(bytes)));
        }
        let perhaps = parsed.iter().flatten().filter(|parsed| parsed.may_be_placed);
        let perhaps: Vec<EntryId> = perhaps.map(|parsed| parsed.id).collect();
        let mut waiting = self.looked_up.share(caller.source);
        if !perhaps.is_empty() {
            // The request, and what was parsed of it.
            let bytes = 2 * entries.iter().map(Bytes::len).sum::<usize>();
            waiting.hold(bytes).map_err(|detail| Problem::busy(detail).retry(RETRY))?;
        }
        let placed = self.positions(&caller, perhaps).await?;
        Ok(self.take_parsed(Source::Client(caller.source), parsed, &placed, level))
    }

    fn take_parsed(
        &self,
        source: Source,
        parsed: Vec<Result<Parsed, Problem>>,
        placed: &BTreeMap<EntryId, Result<Position, Problem>>,
        level: Level,
    ) -> Message {
        let board = &self.shared().outcomes;
        let group = Group::new(parsed.len(), level);
        let mut ids = Vec::with_capacity(parsed.len());
        let (mut under_way, mut expected) = (Vec::new(), Vec::new());
        for (index, parsed) in parsed.into_iter().enumerate() {
            let id = parsed.as_ref().ok().map(|parsed| parsed.id);
            let position = id.and_then(|id| placed.get(&id));
            match (parsed.and_then(Parsed::unknown), position) {
                (_, Some(Ok(position))) => board.replication.place(&group, index, *position),
                (_, Some(Err(problem))) => group.settle(index, Outcome::refused(problem.clone())),
                (Ok(entry), None) => {
                    expected.push((entry.id(), index));
                    under_way.push(Submission::of_client(entry));
                }
                (Err(problem), None) => {
                    board.count(problem.code);
                    group.settle(index, Outcome::refused(problem));
                }
            }
            ids.push(id);
        }
        self.put(source, under_way, expected, &group);
        Message { sequence: 0, group, ids }
    }

    /// Hands entries on to be checked. One that is sent again while it is under way is not checked again: whoever repeats it must not
    /// fill the intake.
    fn put(
        &self,
        source: Source,
        mut under_way: Vec<Submission>,
        expected: Vec<(EntryId, usize)>,
        group: &Arc<Group>,
    ) {
        if under_way.is_empty() {
            return;
        }
        let shared = self.shared();
        let new = shared.outcomes.expect(expected, group);
        let mut left = new.clone();
        under_way.retain(|submission| left.remove(&submission.id()));
        if let Err(problem) = shared.intake.put(source, under_way) {
            let turned = |id| (id, Outcome::refused(problem.clone()));
            shared.outcomes.announce(new.into_iter().map(turned));
        }
    }
}

impl Parsed {
    /// The entry, unless another one of its name is known.
    fn unknown(self) -> Result<Box<Entry>, Problem> {
        match self.known {
            Some(Code::Duplicate) | None => Ok(self.entry),
            Some(code) => {
                let detail = format!("issuer {}", self.entry.claims().issuer);
                Err(Refusal::new(code, detail).into())
            }
        }
    }
}

/// Who submits: over which connection, and for which stream.
struct Caller<'a> {
    source: Option<SocketAddr>,
    stream: Option<&'a Reading>,
}

/// The finality that an outcome shows. One validator's quorum is itself: ordered there is replicated.
fn answer(board: &Board, id: Option<EntryId>, outcome: Option<Outcome>) -> v1::Outcome {
    let entry_id = id.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes()));
    let replicas = match &outcome {
        Some(Outcome::Placed(position)) => board.replication.replicas(position.height),
        _ => 0,
    };
    let (result, reached) = match outcome {
        Some(Outcome::Placed(position)) => {
            (v1::outcome::Result::Position(place(position)), v1::Finality::Replicated)
        }
        Some(Outcome::Refused(RefusedAt { problem, height })) => {
            let (code, message) = (problem.code.to_owned(), problem.message);
            let refused = v1::Refused { code, message, height };
            (v1::outcome::Result::Refused(refused), v1::Finality::Unspecified)
        }
        Some(Outcome::Waiting) => {
            (v1::outcome::Result::Pending(v1::Pending {}), v1::Finality::Accepted)
        }
        None => (v1::outcome::Result::Pending(v1::Pending {}), v1::Finality::Unspecified),
    };
    v1::Outcome { entry_id, result: Some(result), reached: reached.into(), replicas }
}

fn place(position: Position) -> v1::Position {
    let Position { height, leaf_index, time_ms } = position;
    v1::Position { height, leaf_index, time_ms }
}

/// What a caller asks for.
fn level(shared: &Shared, finality: i32, replicas: u32) -> Result<Level, Problem> {
    let finality = v1::Finality::try_from(finality)
        .map_err(|_unknown| Problem::bad_request(format!("unknown finality {finality}")))?;
    let counted = matches!(finality, v1::Finality::Unspecified | v1::Finality::Replicated);
    if replicas > 0 && !counted {
        let detail = format!("{replicas} replicas of what need not be REPLICATED");
        return Err(Problem::bad_request(detail));
    }
    let validators = shared.ledger().validators().members().len();
    if usize::try_from(replicas).is_ok_and(|replicas| replicas > validators) {
        let detail = format!("{replicas} replicas, the ledger has {validators} validators");
        return Err(Problem::replicas(detail));
    }
    match finality {
        v1::Finality::Accepted => Ok(Level::Accepted),
        _ => Ok(Level::Durable { replicas }),
    }
}

/// What an entry had reached when the time was over.
fn too_late(board: &Board, id: EntryId, level: Level, outcome: Option<&Outcome>) -> Problem {
    let reached = match outcome {
        Some(Outcome::Placed(Position { height, .. })) => {
            let replicas = board.replication.replicas(*height);
            let wanted = match level {
                Level::Durable { replicas } => replicas,
                Level::Accepted => 0,
            };
            format!(
                "REPLICATED in block {height}, durable at {replicas} validators of the {wanted} asked for"
            )
        }
        _ if board.is_accepted(&id) => "ACCEPTED".to_owned(),
        _ => "not ACCEPTED yet".to_owned(),
    };
    Problem::timed_out(format!("entry {id} is {reached}"))
}

fn timeout(millis: u32) -> Duration {
    if millis == 0 {
        DEFAULT_TIMEOUT
    } else {
        Duration::from_millis(millis.into()).min(MAX_TIMEOUT)
    }
}

type Outcomes = Pin<Box<dyn Stream<Item = Result<v1::SubmitStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl SubmitService for Submit {
    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let caller = Caller { source: request.remote_addr(), stream: None };
        let request = request.into_inner();
        let board = &self.shared().outcomes;
        let wanted = level(self.shared(), request.wait_for, request.replicas)?;
        let Message { group, ids, .. } = self.take_all(caller, &[request.entry], wanted).await?;
        let id = ids.into_iter().next().flatten();
        let settled = tokio::time::timeout(timeout(request.timeout_ms), group.settled()).await;
        let outcome = group.outcomes().into_iter().next().flatten();
        if settled.is_err() {
            let id = id.unwrap_or_default();
            return Err(too_late(board, id, wanted, outcome.as_ref()).into());
        }
        if let Some(Outcome::Refused(refused)) = outcome {
            return Err(refused.problem.into());
        }
        let outcome = answer(board, id, outcome);
        Ok(Response::new(v1::SubmitResponse { outcome: Some(outcome) }))
    }

    type SubmitStreamStream = Outcomes;

    async fn submit_stream(
        &self,
        request: Request<Streaming<v1::SubmitStreamRequest>>,
    ) -> Result<Response<Outcomes>, Status> {
        let source = request.remote_addr();
        let mut requests = request.into_inner();
        let (pending, order) = mpsc::channel(MESSAGES_UNDER_WAY);
        let (responses, answers) = mpsc::channel(MESSAGES_UNDER_WAY);
        let service = self.clone();
        // One task reads and takes in, another answers in order: messages overlap, and a client that does not read its answers
        // stops being read itself.
        tokio::spawn(async move {
            let (reading, mut stops) = (service.reads.stream(source), service.stops.clone());
            loop {
                let request = tokio::select! {
                    request = requests.next() => request,
                    problem = stops.come() => Some(Err(problem.into())),
                };
                let Some(request) = request else { return };
                let taken = match request {
                    Ok(request) => service.take_message(source, &reading, &request).await,
                    Err(status) => Err(status),
                };
                let failed = taken.is_err();
                if pending.send(taken).await.is_err() || failed {
                    return;
                }
            }
        });
        tokio::spawn(self.clone().settle_in_order(order, responses));
        Ok(Response::new(Box::pin(Answers { answers, last: None })))
    }

    async fn wait_for(
        &self,
        request: Request<v1::WaitForRequest>,
    ) -> Result<Response<v1::WaitForResponse>, Status> {
        let source = request.remote_addr();
        let request = request.into_inner();
        let id = EntryId::from_slice(&request.entry_id).map_err(Problem::from)?;
        let board = &self.shared().outcomes;
        let group = Group::new(1, level(self.shared(), request.wait_for, request.replicas)?);
        // The call keeps no more than the id, so it may wait for its turn beside any number of others.
        let reading = self.reads.stream(source);
        let position = || reading.piece(move |shared| Ok(shared.position(&id)?));
        if let Some(position) = position().await? {
            board.replication.place(&group, 0, position);
        } else if let Some(refused) = board.refusal(&id) {
            group.settle(0, Outcome::Refused(refused));
        } else if !board.join(id, &group, 0) {
            // It may have been settled between the two looks.
            let unknown =
                || Problem::not_found(format!("entry {id} is neither in the log nor under way"));
            board.replication.place(&group, 0, position().await?.ok_or_else(unknown)?);
        }
        let _in_time = tokio::time::timeout(timeout(request.timeout_ms), group.settled()).await;
        let accepted = || board.is_accepted(&id).then_some(Outcome::Waiting);
        let outcome = group.outcomes().into_iter().next().flatten().or_else(accepted);
        let outcome = answer(board, Some(id), outcome);
        Ok(Response::new(v1::WaitForResponse { outcome: Some(outcome) }))
    }
}

/// Entries of one call, under way.
struct Message {
    sequence: u64,
    group: Arc<Group>,
    ids: Vec<Option<EntryId>>,
}

impl Message {
    async fn settled(self, board: &Board) -> v1::SubmitStreamResponse {
        // A time-out is an answer too: what is settled by then is told, the rest is pending.
        let _in_time = tokio::time::timeout(MAX_TIMEOUT, self.group.settled()).await;
        let outcomes = self.ids.into_iter().zip(self.group.outcomes());
        let outcomes = outcomes.map(|(id, outcome)| answer(board, id, outcome)).collect();
        v1::SubmitStreamResponse { sequence: self.sequence, outcomes }
    }
}

/// A message of a stream, and its share of what may be under way.
type Taken = (Message, Share);

impl Submit {
    async fn take_message(
        &self,
        source: Option<SocketAddr>,
        reading: &Reading,
        request: &v1::SubmitStreamRequest,
    ) -> Result<Taken, Status> {
        let wanted = level(self.shared(), request.wait_for, request.replicas)?;
        let count = request.entries.len();
        if count > MAX_STREAM_ENTRIES {
            let detail = format!("{count} entries in one message, at most {MAX_STREAM_ENTRIES}");
            return Err(Problem::too_many(detail).into());
        }
        let mut share = self.under_way.share(source);
        share.hold(count).map_err(|detail| Problem::busy(detail).retry(RETRY))?;
        let caller = Caller { source, stream: Some(reading) };
        let message = self.take_all(caller, &request.entries, wanted).await?;
        Ok((Message { sequence: request.sequence, ..message }, share))
    }

    /// Answers messages in the order in which they came.
    async fn settle_in_order(
        self,
        mut order: mpsc::Receiver<Result<Taken, Status>>,
        responses: mpsc::Sender<Answered>,
    ) {
        while let Some(taken) = order.recv().await {
            let answered = match taken {
                Ok((message, share)) => {
                    let response = tokio::select! {
                        response = message.settled(&self.shared().outcomes) => response,
                        // Nobody waits any more: what was under way for them makes room.
                        () = responses.closed() => return,
                    };
                    Ok((response, share))
                }
                Err(status) => Err(status),
            };
            if responses.send(answered).await.is_err() {
                return;
            }
        }
    }
}

type Answered = Result<(v1::SubmitStreamResponse, Share), Status>;

/// The answers of a stream. Each is under way until the next one is asked for: then it is on its way to the client, and counted there.
struct Answers {
    answers: mpsc::Receiver<Answered>,
    last: Option<Share>,
}

impl Stream for Answers {
    type Item = Result<v1::SubmitStreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.last = None;
        let answered = ready!(self.answers.poll_recv(cx));
        Poll::Ready(answered.map(|answered| {
            let (response, share) = answered?;
            self.last = Some(share);
            Ok(response)
        }))
    }
}
