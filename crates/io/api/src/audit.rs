//! AuditService: the whole log, and proofs about parts of it.

use std::pin::Pin;
use std::sync::Arc;

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
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::outcomes::Position;
use crate::places::{Places, kept};
use crate::problem::Problem;
use crate::shared::Shared;

/// Blocks of one stream that wait to be read.
const BLOCK_QUEUE: usize = 8;
/// Records of one message.
const RECORDS_PER_MESSAGE: usize = 500;
/// Streams of records at a time: each keeps a height in memory.
const RECORD_STREAMS: usize = 4;
/// Streams of blocks at a time: each keeps some blocks in memory.
const BLOCK_STREAMS: usize = 16;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    shared: Arc<Shared>,
    record_streams: Places,
    block_streams: Places,
}

impl Audit {
    /// The service of a node.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let record_streams = Places::new("streams of records", RECORD_STREAMS);
        let block_streams = Places::new("streams of blocks", BLOCK_STREAMS);
        Self { shared, record_streams, block_streams }
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

    /// The proof file for an entry.
    async fn entry_proof(&self, id: &EntryId) -> Result<Vec<u8>, Problem> {
        let position = self.placed(id)?;
        let (height, receipt) = self.receipt(&position).await?;
        let receipt = receipt.encode();
        let entry_id = Bytes::copy_from_slice(id.as_bytes());
        let statement = Statement::Entry(EntryProof { entry_id, receipts: vec![receipt.into()] });
        written(self.anchor(height)?, statement)
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
        let genesis = &self.shared.genesis;
        let ledger_id = Bytes::copy_from_slice(genesis.id().as_bytes());
        Ok(Response::new(v1::GetGenesisResponse { document: genesis.bytes().clone(), ledger_id }))
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let height = match request.into_inner().height {
            0 => self.shared.head().height,
            height => height,
        };
        let (header, _, _) = self.shared.header(height)?;
        let note = self.shared.checkpoint(&header).await?;
        Ok(Response::new(v1::GetCheckpointResponse { note, height }))
    }

    async fn get_proof(
        &self,
        request: Request<v1::GetProofRequest>,
    ) -> Result<Response<v1::GetProofResponse>, Status> {
        let proof = match request.into_inner().of {
            Some(v1::get_proof_request::Of::EntryId(id)) => {
                let id = EntryId::from_slice(&id).map_err(Problem::from)?;
                self.shared.entry_proof(&id).await?
            }
            Some(v1::get_proof_request::Of::RecordId(id)) => {
                let id = Subject::parse("record_id", &id).map_err(Problem::from)?;
                let height = self.shared.ledger().height();
                self.shared.record_proof(&id, height)?
            }
            None => return Err(Problem::bad_request("neither entry_id nor record_id").into()),
        };
        Ok(Response::new(v1::GetProofResponse { proof: proof.into() }))
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        let id = EntryId::from_slice(&request.into_inner().entry_id).map_err(Problem::from)?;
        let position = self.shared.placed(&id)?;
        let (height, receipt) = self.shared.receipt(&position).await?;
        let (receipt, leaf_index) = (receipt.encode().into(), position.leaf_index);
        Ok(Response::new(v1::GetReceiptResponse { receipt, height, leaf_index }))
    }

    async fn get_consistency(
        &self,
        request: Request<v1::GetConsistencyRequest>,
    ) -> Result<Response<v1::GetConsistencyResponse>, Status> {
        let v1::GetConsistencyRequest { from_size, to_size } = request.into_inner();
        let path = self.shared.store.consistency_path(from_size, to_size).map_err(Problem::from)?;
        let path = path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
        Ok(Response::new(v1::GetConsistencyResponse { path }))
    }

    async fn list_evidence(
        &self,
        _: Request<v1::ListEvidenceRequest>,
    ) -> Result<Response<v1::ListEvidenceResponse>, Status> {
        let evidence = self.shared.evidence.summaries();
        Ok(Response::new(v1::ListEvidenceResponse { evidence }))
    }

    async fn get_evidence(
        &self,
        request: Request<v1::GetEvidenceRequest>,
    ) -> Result<Response<v1::GetEvidenceResponse>, Status> {
        let id = hash_from_slice("evidence id", &request.into_inner().id);
        let id = EvidenceId(id.map_err(Problem::from)?);
        let file = self.shared.evidence_file(&self.shared.evidence.get(&id)?)?;
        Ok(Response::new(v1::GetEvidenceResponse { file: file.into() }))
    }

    type StreamBlocksStream = Blocks;

    async fn stream_blocks(
        &self,
        request: Request<v1::StreamBlocksRequest>,
    ) -> Result<Response<Blocks>, Status> {
        let source = request.remote_addr();
        let v1::StreamBlocksRequest { from, to } = request.into_inner();
        let head = self.shared.head().height;
        let to = if to == 0 { head } else { to };
        if from == 0 || to > head || from > to.saturating_add(1) {
            let detail = format!("blocks {from} to {to}, this node has 1 to {head}");
            return Err(Problem::bad_request(detail).into());
        }
        let place = self.block_streams.take(source)?;
        let (sender, receiver) = mpsc::channel(BLOCK_QUEUE);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            for height in from..=to {
                let block = shared.block_bytes(height);
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
        let place = self.record_streams.take(request.remote_addr())?;
        let (sender, receiver) = mpsc::channel(BLOCK_QUEUE);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let height = {
                let mut ledger = shared.ledger_mut();
                let height = ledger.height();
                ledger.pin(height);
                height
            };
            let mut after: Option<Hash> = None;
            loop {
                let records =
                    shared.ledger().records_after(height, after.as_ref(), RECORDS_PER_MESSAGE);
                let records = records.unwrap_or_default();
                let Some((last, _)) = records.last() else { break };
                after = Some(*last);
                let records = records.into_iter().map(|(_, record)| record.into()).collect();
                let response = v1::StreamRecordsResponse { height, records };
                if sender.send(Ok(response)).await.is_err() {
                    break;
                }
            }
            shared.ledger_mut().unpin(height);
            drop(place);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
