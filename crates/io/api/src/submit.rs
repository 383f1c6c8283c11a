//! SubmitService: parse, register who waits, hand on, answer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledger_format::digest::EntryId;
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_proto::v1::submit_service_server::SubmitService;
use ledger_rules::{Code, Refusal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::intake::{Source, Submission};
use crate::outcomes::{Group, Level, Outcome, Outcomes as Board, Position, RefusedAt};
use crate::problem::Problem;
use crate::shared::Shared;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_TIMEOUT: Duration = Duration::from_mins(5);
/// Entries of one stream message.
const MAX_STREAM_ENTRIES: usize = 4_096;
/// Messages of one stream that may be under way: beyond them the stream is not read, and the client waits.
const MESSAGES_UNDER_WAY: usize = 16;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Submit(pub(crate) Arc<Shared>);

/// How an entry fared so far.
enum Taken {
    /// In the log already.
    Settled(Position),
    /// To be checked and put into the pool.
    Under(Box<Entry>),
}

impl Submit {
    /// Parses one entry and looks whether its fate is known already.
    fn take(&self, bytes: &Bytes) -> Result<(EntryId, Taken), Problem> {
        // A decoded entry keeps slices of what it was read from: of its own copy, or an entry in the pool would keep the whole message.
        let entry = Entry::decode(Bytes::copy_from_slice(bytes))?;
        let id = entry.id();
        let ledger = self.0.genesis.id();
        if entry.claims().ledger != ledger {
            let detail = format!("this is {ledger}, it names {}", entry.claims().ledger);
            return Err(Refusal::new(Code::OtherLedger, detail).into());
        }
        let (known, expired) = {
            let ledger = self.0.ledger();
            let known = ledger.window().knows(&entry);
            (known, entry.claims().expires_s.saturating_mul(1000) <= ledger.time_ms())
        };
        if (known.is_some() || expired)
            && let Some(position) = self.0.position(&id)?
        {
            return Ok((id, Taken::Settled(position)));
        }
        match known {
            Some(Code::Duplicate) | None => Ok((id, Taken::Under(Box::new(entry)))),
            Some(code) => {
                let detail = format!("issuer {}", entry.claims().issuer);
                Err(Refusal::new(code, detail).into())
            }
        }
    }

    /// Takes entries in, and gives the group that waits for them with their ids.
    fn take_all(&self, source: Source, entries: &[Bytes], level: Level) -> Message {
        let group = Group::new(entries.len(), level);
        let mut ids = Vec::with_capacity(entries.len());
        let mut under_way = Vec::new();
        let mut expected = Vec::new();
        for (index, bytes) in entries.iter().enumerate() {
            let id = match self.take(bytes) {
                Ok((id, Taken::Settled(position))) => {
                    self.0.outcomes.replication.place(&group, index, position);
                    Some(id)
                }
                Ok((id, Taken::Under(entry))) => {
                    expected.push((id, index));
                    under_way.push(Submission::of_client(entry));
                    Some(id)
                }
                Err(problem) => {
                    self.0.outcomes.count(problem.code);
                    group.settle(index, Outcome::refused(problem));
                    None
                }
            };
            ids.push(id);
        }
        if !under_way.is_empty() {
            // An entry that is sent again while it is under way is not checked again: whoever repeats it must not fill the intake.
            let new = self.0.outcomes.expect(expected, &group);
            let mut left = new.clone();
            under_way.retain(|submission| left.remove(&submission.id()));
            if let Err(problem) = self.0.intake.put(source, under_way) {
                let turned = |id| (id, Outcome::refused(problem.clone()));
                self.0.outcomes.announce(new.into_iter().map(turned));
            }
        }
        Message { sequence: 0, group, ids }
    }
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
        let source = Source::Client(request.remote_addr());
        let request = request.into_inner();
        let wanted = level(&self.0, request.wait_for, request.replicas)?;
        let Message { group, ids, .. } = self.take_all(source, &[request.entry], wanted);
        let id = ids.into_iter().next().flatten();
        let settled = tokio::time::timeout(timeout(request.timeout_ms), group.settled()).await;
        let outcome = group.outcomes().into_iter().next().flatten();
        if settled.is_err() {
            let id = id.unwrap_or_default();
            return Err(too_late(&self.0.outcomes, id, wanted, outcome.as_ref()).into());
        }
        if let Some(Outcome::Refused(refused)) = outcome {
            return Err(refused.problem.into());
        }
        let outcome = answer(&self.0.outcomes, id, outcome);
        Ok(Response::new(v1::SubmitResponse { outcome: Some(outcome) }))
    }

    type SubmitStreamStream = Outcomes;

    async fn submit_stream(
        &self,
        request: Request<Streaming<v1::SubmitStreamRequest>>,
    ) -> Result<Response<Outcomes>, Status> {
        let source = Source::Client(request.remote_addr());
        let mut requests = request.into_inner();
        let (pending, mut order) = mpsc::channel(MESSAGES_UNDER_WAY);
        let (responses, answers) = mpsc::channel(MESSAGES_UNDER_WAY);
        let (service, board) = (self.clone(), Arc::clone(&self.0));
        // One task reads and takes in, another answers in order: messages overlap, and a client that does not read its answers
        // stops being read itself.
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let taken = request.and_then(|request| service.take_message(source, &request));
                let failed = taken.is_err();
                if pending.send(taken).await.is_err() || failed {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some(taken) = order.recv().await {
                let response = match taken {
                    Ok(message) => Ok(message.settled(&board.outcomes).await),
                    Err(status) => Err(status),
                };
                if responses.send(response).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn wait_for(
        &self,
        request: Request<v1::WaitForRequest>,
    ) -> Result<Response<v1::WaitForResponse>, Status> {
        let request = request.into_inner();
        let id = EntryId::from_slice(&request.entry_id).map_err(Problem::from)?;
        let board = &self.0.outcomes;
        let group = Group::new(1, level(&self.0, request.wait_for, request.replicas)?);
        if let Some(position) = self.0.position(&id)? {
            board.replication.place(&group, 0, position);
        } else if let Some(refused) = board.refusal(&id) {
            group.settle(0, Outcome::Refused(refused));
        } else if !board.join(id, &group, 0) {
            // It may have been settled between the two looks.
            let position = self.0.position(&id)?;
            let unknown =
                || Problem::not_found(format!("entry {id} is neither in the log nor under way"));
            board.replication.place(&group, 0, position.ok_or_else(unknown)?);
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

impl Submit {
    fn take_message(
        &self,
        source: Source,
        request: &v1::SubmitStreamRequest,
    ) -> Result<Message, Status> {
        let wanted = level(&self.0, request.wait_for, request.replicas)?;
        let count = request.entries.len();
        if count > MAX_STREAM_ENTRIES {
            let detail = format!("{count} entries in one message, at most {MAX_STREAM_ENTRIES}");
            return Err(Problem::too_many(detail).into());
        }
        let message = self.take_all(source, &request.entries, wanted);
        Ok(Message { sequence: request.sequence, ..message })
    }
}
