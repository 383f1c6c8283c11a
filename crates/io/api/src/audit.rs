//! AuditService: the whole log, and proofs about parts of it.

use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use ledger_event::proof_file::Statement;
use ledger_event::{Anchor, EntryProof, RecordProof};
use ledger_format::block::{Block, Body};
use ledger_format::digest::{EntryId, Hash, hash_from_slice};
use ledger_format::evidence::EvidenceId;
use ledger_format::header::Header;
use ledger_format::id::Subject;
use ledger_format::limits::MAX_PROOF_BYTES;
use ledger_format::proof_file;
use ledger_format::vote::Certificate;
use ledger_proto::v1;
use ledger_proto::v1::audit_service_server::AuditService;
use ledger_rules::View as _;
use ledger_verify::proof::encode_state_proof;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::outcomes::Position;
use crate::places::{Places, kept};
use crate::problem::Problem;
use crate::reads::{ANSWER_BYTES, Reading, Reads};
use crate::shared::{Head, Shared};

/// Blocks of one stream that wait to be read: a block may have 16 MiB.
const BLOCK_QUEUE: usize = 1;
/// Messages of records of one stream that wait to be read.
const RECORDS_QUEUE: usize = 2;
/// Records of one message, if they are not too long.
const RECORDS_PER_MESSAGE: usize = 500;
/// Records that are read at once: for so long no block is taken.
const RECORDS_AT_ONCE: usize = 50;
/// Streams of records at a time: each keeps a height in memory.
const RECORD_STREAMS: usize = 4;
/// Streams of blocks at a time: each keeps some blocks in memory.
const BLOCK_STREAMS: usize = 16;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    reads: Reads,
    record_streams: Places,
    block_streams: Places,
    /// Entries after which a height is kept no longer for whoever reads its records.
    kept_for: u64,
}

impl Audit {
    /// The service of a node.
    pub(crate) fn new(reads: Reads, kept_for: u64) -> Self {
        let record_streams = Places::new("streams of records", RECORD_STREAMS);
        let block_streams = Places::new("streams of blocks", BLOCK_STREAMS);
        Self { reads, record_streams, block_streams, kept_for }
    }

    /// The proof file for an entry.
    async fn entry_proof(
        &self,
        source: Option<SocketAddr>,
        id: EntryId,
    ) -> Result<Vec<u8>, Problem> {
        let read = move |shared: &Shared| {
            let receiving = shared.receiving(shared.placed(&id)?)?;
            Ok((shared.anchor(receiving.height)?, receiving))
        };
        let (anchor, receiving) = self.reads.once(source, read).await?;
        let receipt = self.reads.shared().receipt(receiving).await?.encode();
        let entry_id = Bytes::copy_from_slice(id.as_bytes());
        let statement = Statement::Entry(EntryProof { entry_id, receipts: vec![receipt.into()] });
        written(anchor, statement)
    }

    async fn receipt(
        &self,
        source: Option<SocketAddr>,
        id: EntryId,
    ) -> Result<v1::GetReceiptResponse, Problem> {
        let read = move |shared: &Shared| shared.receiving(shared.placed(&id)?);
        let receiving = self.reads.once(source, read).await?;
        let (height, leaf_index) = (receiving.height, receiving.leaf_index);
        let receipt = self.reads.shared().receipt(receiving).await?.encode().into();
        Ok(v1::GetReceiptResponse { receipt, height, leaf_index })
    }
}

impl Shared {
    fn anchor(&self, height: u64) -> Result<Anchor, Problem> {
        let (_, header, certificate) = self.header(height)?;
        let changes = self.set_changes(height)?;
        Ok(Anchor { genesis: self.genesis.bytes().clone(), header, certificate, changes })
    }

    /// The proof file for a record, or its absence, at a kept height.
    pub(crate) fn record_proof(&self, id: &Subject, height: u64) -> Result<Vec<u8>, Problem> {
        let (record, path) = {
            let ledger = self.ledger();
            let gone = || Problem::height_not_kept(format!("height {height}"));
            let state = ledger.state_at(height).ok_or_else(gone)?;
            let record = state.record(&id.state_key()).map(Bytes::copy_from_slice);
            (record, ledger.prove(height, &id.state_key()).ok_or_else(gone)?)
        };
        let anchor = self.anchor(height)?;
        let statement = Statement::Record(RecordProof {
            id: id.to_string(),
            record: record.unwrap_or_default(),
            proof: Some(encode_state_proof(&path)),
        });
        written(anchor, statement)
    }

    fn placed(&self, id: &EntryId) -> Result<Position, Problem> {
        self.position(id)?.ok_or_else(|| Problem::not_found(format!("entry {id}")))
    }

    /// The bytes of a block.
    fn block_bytes(&self, height: u64) -> Result<Bytes, Problem> {
        let stored = self.store.block(height)?;
        let stored = stored.ok_or_else(|| self.no_block(height))?;
        let header = Header::decode(stored.header)?;
        let certificate = Certificate::decode(stored.certificate)?;
        let body = Body { header, entries: stored.entries };
        Ok(Block { body, certificate }.encode().into())
    }
}

/// The bytes of a proof file, which has a bound: each change of the validators since genesis adds to it.
fn written(anchor: Anchor, statement: Statement) -> Result<Vec<u8>, Problem> {
    let file = proof_file::encode(anchor, statement);
    if file.len() > MAX_PROOF_BYTES {
        let detail = format!("a proof of {} bytes, at most {MAX_PROOF_BYTES}", file.len());
        return Err(Problem::too_many(detail));
    }
    Ok(file)
}

type Blocks = Pin<Box<dyn Stream<Item = Result<v1::StreamBlocksResponse, Status>> + Send>>;
type Records = Pin<Box<dyn Stream<Item = Result<v1::StreamRecordsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for Audit {
    async fn get_genesis(
        &self,
        _: Request<v1::GetGenesisRequest>,
    ) -> Result<Response<v1::GetGenesisResponse>, Status> {
        let genesis = &self.reads.shared().genesis;
        let ledger_id = Bytes::copy_from_slice(genesis.id().as_bytes());
        Ok(Response::new(v1::GetGenesisResponse { document: genesis.bytes().clone(), ledger_id }))
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let source = request.remote_addr();
        let shared = self.reads.shared();
        let height = match request.into_inner().height {
            0 => shared.head().height,
            height => height,
        };
        let read = move |shared: &Shared| {
            let (header, _, _) = shared.header(height)?;
            Ok((shared.sealing(&header)?, header))
        };
        let (sealing, header) = self.reads.once(source, read).await?;
        let note = shared.checkpoint(&header, &shared.seal(sealing).await?);
        Ok(Response::new(v1::GetCheckpointResponse { note, height }))
    }

    async fn get_proof(
        &self,
        request: Request<v1::GetProofRequest>,
    ) -> Result<Response<v1::GetProofResponse>, Status> {
        let source = request.remote_addr();
        let proof = match request.into_inner().of {
            Some(v1::get_proof_request::Of::EntryId(id)) => {
                let id = EntryId::from_slice(&id).map_err(Problem::from)?;
                self.entry_proof(source, id).await?
            }
            Some(v1::get_proof_request::Of::RecordId(id)) => {
                let id = Subject::parse("record_id", &id).map_err(Problem::from)?;
                let read = move |shared: &Shared| {
                    let height = shared.ledger().height();
                    shared.record_proof(&id, height)
                };
                self.reads.once(source, read).await?
            }
            None => return Err(Problem::bad_request("neither entry_id nor record_id").into()),
        };
        Ok(Response::new(v1::GetProofResponse { proof: proof.into() }))
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        let source = request.remote_addr();
        let id = EntryId::from_slice(&request.into_inner().entry_id).map_err(Problem::from)?;
        Ok(Response::new(self.receipt(source, id).await?))
    }

    async fn get_consistency(
        &self,
        request: Request<v1::GetConsistencyRequest>,
    ) -> Result<Response<v1::GetConsistencyResponse>, Status> {
        let read = |shared: &Shared, request| {
            let v1::GetConsistencyRequest { from_size, to_size } = request;
            let path = shared.store.consistency_path(from_size, to_size)?;
            let path = path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
            Ok(v1::GetConsistencyResponse { path })
        };
        self.reads.answer(request, read).await
    }

    async fn list_evidence(
        &self,
        _: Request<v1::ListEvidenceRequest>,
    ) -> Result<Response<v1::ListEvidenceResponse>, Status> {
        let evidence = self.reads.shared().evidence.summaries();
        Ok(Response::new(v1::ListEvidenceResponse { evidence }))
    }

    async fn get_evidence(
        &self,
        request: Request<v1::GetEvidenceRequest>,
    ) -> Result<Response<v1::GetEvidenceResponse>, Status> {
        let read = |shared: &Shared, request: v1::GetEvidenceRequest| {
            let id = EvidenceId(hash_from_slice("evidence id", &request.id)?);
            let file = shared.evidence_file(&shared.evidence.get(&id)?)?;
            Ok(v1::GetEvidenceResponse { file: file.into() })
        };
        self.reads.answer(request, read).await
    }

    type StreamBlocksStream = Blocks;

    async fn stream_blocks(
        &self,
        request: Request<v1::StreamBlocksRequest>,
    ) -> Result<Response<Blocks>, Status> {
        let source = request.remote_addr();
        let v1::StreamBlocksRequest { from, to } = request.into_inner();
        let head = self.reads.shared().head().height;
        let to = if to == 0 { head } else { to };
        if from == 0 || to > head || from > to.saturating_add(1) {
            let detail = format!("blocks {from} to {to}, this node has 1 to {head}");
            return Err(Problem::bad_request(detail).into());
        }
        let place = self.block_streams.take(source)?;
        let (sender, receiver) = mpsc::channel(BLOCK_QUEUE);
        let reading = self.reads.stream(source);
        tokio::spawn(async move {
            for height in from..=to {
                let block = reading.piece(move |shared| shared.block_bytes(height)).await;
                let failed = block.is_err();
                let response = block.map(|block| v1::StreamBlocksResponse { height, block });
                if sender.send(response.map_err(Status::from)).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(kept(place, ReceiverStream::new(receiver)))))
    }

    type StreamRecordsStream = Records;

    async fn stream_records(
        &self,
        request: Request<v1::StreamRecordsRequest>,
    ) -> Result<Response<Records>, Status> {
        let source = request.remote_addr();
        let place = self.record_streams.take(source)?;
        let (sender, receiver) = mpsc::channel(RECORDS_QUEUE);
        let (reads, kept_for) = (self.reads.clone(), self.kept_for);
        let reading = reads.stream(source);
        tokio::spawn(async move {
            let outrun = outrun(reads.shared().watch_head(), kept_for);
            let sent = send_last(&reading, outrun, &sender).await;
            if let Err(problem) = sent {
                let _told = sender.send(Err(problem.into())).await;
            }
        });
        Ok(Response::new(Box::pin(kept(place, ReceiverStream::new(receiver)))))
    }
}

type Answers = mpsc::Sender<Result<v1::StreamRecordsResponse, Status>>;

/// Sends the records of the last height, which is kept until then, or until it has been outrun.
async fn send_last(
    reading: &Reading,
    outrun: impl Future<Output = u64>,
    sender: &Answers,
) -> Result<(), Problem> {
    let height = reading.piece(|shared| Ok(pin_last(shared))).await?;
    let sent = tokio::select! {
        sent = send_records(reading, height, sender) => sent,
        entries = outrun => Err(Problem::height_not_kept(format!(
            "height {height}: more than {entries} entries were written since"
        ))),
    };
    // Whatever waits to be sent needs nothing of it any more.
    let unpin = move |shared: &Shared| {
        shared.ledger_mut().unpin(height);
        Ok(())
    };
    reading.piece(unpin).await.and(sent)
}

/// Keeps the last height, and gives it.
fn pin_last(shared: &Shared) -> u64 {
    let mut ledger = shared.ledger_mut();
    let height = ledger.height();
    ledger.pin(height);
    height
}

/// Comes when more entries than so many were written: what a kept height has and the last one has not takes memory for each of them, and
/// whoever reads it may be as slow as it likes.
async fn outrun(mut heads: watch::Receiver<Head>, entries: u64) -> u64 {
    let last = heads.borrow().tree_size.saturating_add(entries);
    if heads.wait_for(|head| head.tree_size > last).await.is_err() {
        // The node is stopping.
        std::future::pending::<()>().await;
    }
    entries
}

/// Sends the records of a height that is kept meanwhile.
async fn send_records(reading: &Reading, height: u64, sender: &Answers) -> Result<(), Problem> {
    let mut after: Option<Hash> = None;
    loop {
        let records = reading.piece(move |shared| some_records(shared, height, after)).await?;
        let Some((last, _)) = records.last() else { return Ok(()) };
        after = Some(*last);
        let records = records.into_iter().map(|(_, record)| record.into()).collect();
        let response = v1::StreamRecordsResponse { height, records };
        if sender.send(Ok(response)).await.is_err() {
            return Ok(());
        }
    }
}

/// Records of a height after a key, as many as one message has.
///
/// # Errors
/// `API_HEIGHT_NOT_KEPT`: an end would say that there are no more.
fn some_records(shared: &Shared, height: u64, after: Option<Hash>) -> Result<Vec<Keyed>, Problem> {
    one_message(after, |after| {
        let more = shared.ledger().records_after(height, after.as_ref(), RECORDS_AT_ONCE);
        more.ok_or_else(|| Problem::height_not_kept(format!("height {height}")))
    })
}

/// A record and its key.
type Keyed = (Hash, Vec<u8>);

/// What one message has of all records. One that is too long for a message with others is alone in it: a record has no bound of its own,
/// and fifty long ones would be an answer that no client takes.
fn one_message(
    mut after: Option<Hash>,
    next: impl Fn(Option<Hash>) -> Result<Vec<Keyed>, Problem>,
) -> Result<Vec<Keyed>, Problem> {
    let (mut records, mut bytes) = (Vec::new(), 0_usize);
    while records.len() < RECORDS_PER_MESSAGE {
        let more = next(after)?;
        let Some((last, _)) = more.last() else { break };
        after = Some(*last);
        for (key, record) in more {
            bytes = bytes.saturating_add(record.len());
            if bytes > ANSWER_BYTES && !records.is_empty() {
                return Ok(records);
            }
            records.push((key, record));
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_records_has_a_bound_and_a_long_record_is_alone() {
        const MIB: usize = 1024 * 1024;
        let lengths = [vec![MIB; 60], vec![5 * MIB], vec![100; 1_200], vec![4 * MIB, 1]].concat();
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
            key
        };
        let all: Vec<Keyed> =
            (0..).zip(&lengths).map(|(n, length)| (key(n), vec![1; *length])).collect();
        let next = |after: Option<Hash>| {
            let rest = all.iter().filter(|(key, _)| after.is_none_or(|after| *key > after));
            Ok(rest.take(RECORDS_AT_ONCE).cloned().collect())
        };
        let (mut after, mut came) = (None, Vec::new());
        loop {
            let records = one_message(after, next).unwrap();
            let Some((last, _)) = records.last() else { break };
            after = Some(*last);
            let bytes: usize = records.iter().map(|(_, record)| record.len()).sum();
            assert!(records.len() == 1 || bytes <= ANSWER_BYTES, "{} of {bytes}", records.len());
            assert!(records.len() <= RECORDS_PER_MESSAGE);
            came.extend(records.into_iter().map(|(_, record)| record.len()));
        }
        assert_eq!(came, lengths);
    }
}
