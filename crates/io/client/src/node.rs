//! A node's services, with errors that carry their stable codes.

use std::time::Duration;

use bytes::Bytes;
use ledger_event::{Record, Timeline};
use ledger_format::digest::{EntryId, Hash, LedgerId};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_format::message;
use ledger_proto::v1;
use ledger_proto::v1::audit_service_client::AuditServiceClient;
use ledger_proto::v1::node_service_client::NodeServiceClient;
use ledger_proto::v1::query_service_client::QueryServiceClient;
use ledger_proto::v1::submit_service_client::SubmitServiceClient;
use tokio_stream::Stream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};

use crate::error::ClientError;
use crate::level::Level;

/// Longest answer that is read: a block.
const MAX_RESPONSE_BYTES: usize = 20 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a node is asked whether it is still there. One that vanishes with its network closes nothing, and a stream that waits
/// for its next message has no time limit of its own.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long its answer to that may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a call may take, where nobody says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The answer to a question, which is no submission.
async fn read<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, ClientError> {
    Ok(call.await.map_err(ClientError::of_reading)?.into_inner())
}

/// A connection to a node.
#[derive(Clone, Debug)]
pub struct Node {
    submit: SubmitServiceClient<Channel>,
    query: QueryServiceClient<Channel>,
    audit: AuditServiceClient<Channel>,
    own: NodeServiceClient<Channel>,
}

/// A record with where and when it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRecord {
    /// The record; `None`: nothing of that id exists.
    pub record: Option<Record>,
    /// Its canonical bytes.
    pub bytes: Bytes,
    /// Height of the state.
    pub height: u64,
    /// Header time of that height.
    pub time_ms: u64,
    /// What it is at the asked instant.
    pub standing: Option<v1::Standing>,
    /// A proof file, when asked for.
    pub proof: Bytes,
}

impl ReadRecord {
    /// The record's timeline; empty without a record.
    pub fn timeline(&self) -> Timeline {
        self.record.as_ref().and_then(|record| record.timeline.clone()).unwrap_or_default()
    }

    /// Head of the history, for `prior`.
    pub fn head(&self) -> Option<Hash> {
        self.timeline().head.as_ref().try_into().ok()
    }
}

/// What the ledger answered to a submission.
pub type Placed = v1::Position;

impl Node {
    /// Connects. Calls that take longer than `timeout` end with an unknown outcome; streams may last.
    ///
    /// # Errors
    /// `CLIENT_CONNECT`.
    pub async fn connect(url: &str, timeout: Duration) -> Result<Self, ClientError> {
        let failed = |error: tonic::transport::Error| {
            ClientError::connect(format!("{url}: {}", chain(&error)))
        };
        let why = "expected http://HOST:PORT: nodes serve clients in clear, behind a proxy that ends TLS; point at a local one";
        let no_address = || ClientError::usage(format!("{url}: {why}"));
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_unread| no_address())?;
        if endpoint.uri().scheme_str() != Some("http") {
            return Err(no_address());
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .initial_stream_window_size(4 * 1024 * 1024)
            .initial_connection_window_size(16 * 1024 * 1024);
        let channel = endpoint
            .connect_with_connector(ledger_gather::connector(CONNECT_TIMEOUT))
            .await
            .map_err(failed)?;
        Ok(Self {
            submit: SubmitServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            query: QueryServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            audit: AuditServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_RESPONSE_BYTES),
            own: NodeServiceClient::new(channel),
        })
    }

    /// The node's status.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn status(&mut self) -> Result<v1::GetStatusResponse, ClientError> {
        read(self.own.get_status(v1::GetStatusRequest {})).await
    }

    /// The ledger's genesis document. Whether it is the trusted one, the caller checks.
    ///
    /// # Errors
    /// What the node answers, or what is malformed.
    pub async fn genesis(&mut self) -> Result<GenesisDocument, ClientError> {
        let response = read(self.audit.get_genesis(v1::GetGenesisRequest {})).await?;
        Ok(GenesisDocument::decode(response.document)?)
    }

    /// The id of the node's ledger.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn ledger_id(&mut self) -> Result<LedgerId, ClientError> {
        Ok(LedgerId::from_slice(&self.status().await?.ledger_id)?)
    }

    /// Submits an entry and waits until it is in a durable, certified block.
    ///
    /// # Errors
    /// The refusal, or `API_TIMEOUT` when the outcome is not known.
    pub async fn submit(&mut self, entry: &Entry) -> Result<Placed, ClientError> {
        match self.submit_until(entry, Level::default(), 0).await?.result {
            Some(v1::outcome::Result::Position(position)) => Ok(position),
            _ => Err(ClientError::answer("submit: no position")),
        }
    }

    /// Submits an entry and waits until it has come as far as a level, at most `timeout_ms` (0: the node's default). The outcome is
    /// a position, or `pending` where no more was asked for.
    ///
    /// # Errors
    /// The refusal, or `API_TIMEOUT` when the level was not reached in time; the message says what was.
    pub async fn submit_until(
        &mut self,
        entry: &Entry,
        level: Level,
        timeout_ms: u32,
    ) -> Result<v1::Outcome, ClientError> {
        let Level { finality, replicas } = level;
        let (entry, wait_for) = (entry.bytes().clone(), finality.into());
        let request = v1::SubmitRequest { entry, wait_for, timeout_ms, replicas };
        let response = self.submit.submit(request).await?.into_inner();
        let outcome = response.outcome.ok_or_else(|| ClientError::answer("submit: no outcome"))?;
        match &outcome.result {
            Some(v1::outcome::Result::Refused(refused)) => Err(refusal(refused)),
            _ => Ok(outcome),
        }
    }

    /// Opens a submission stream.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn submit_stream(
        &mut self,
        requests: impl Stream<Item = v1::SubmitStreamRequest> + Send + 'static,
    ) -> Result<Streaming<v1::SubmitStreamResponse>, ClientError> {
        Ok(self.submit.submit_stream(requests).await?.into_inner())
    }

    /// Waits for an entry that was submitted before.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn wait_for(
        &mut self,
        id: &EntryId,
        timeout_ms: u32,
    ) -> Result<v1::Outcome, ClientError> {
        let entry_id = Bytes::copy_from_slice(id.as_bytes());
        let request = v1::WaitForRequest { entry_id, timeout_ms, ..Default::default() };
        let response = self.submit.wait_for(request).await?.into_inner();
        response.outcome.ok_or_else(|| ClientError::answer("wait: no outcome"))
    }

    /// Reads a record at a height (0: the latest) as of an instant (0: the height's own time).
    ///
    /// # Errors
    /// What the node answers.
    pub async fn record(
        &mut self,
        id: &str,
        height: u64,
        at_ms: u64,
        with_proof: bool,
    ) -> Result<ReadRecord, ClientError> {
        let request = v1::GetRecordRequest { id: id.to_owned(), height, at_ms, with_proof };
        let response = read(self.query.get_record(request)).await?;
        let record = if response.record.is_empty() {
            None
        } else {
            Some(message::decode("record", &response.record)?)
        };
        Ok(ReadRecord {
            record,
            bytes: response.record,
            height: response.height,
            time_ms: response.time_ms,
            standing: response.standing,
            proof: response.proof,
        })
    }

    /// An entry by its id.
    ///
    /// # Errors
    /// `API_NOT_FOUND`, or what else the node answers.
    pub async fn entry(&mut self, id: &EntryId) -> Result<v1::Leaf, ClientError> {
        self.entry_by(v1::get_entry_request::By::EntryId(Bytes::copy_from_slice(id.as_bytes())))
            .await
    }

    /// The entry at a leaf of the log.
    ///
    /// # Errors
    /// `API_NOT_FOUND`, also for a leaf that is a header, or what else the node answers.
    pub async fn entry_at(&mut self, leaf_index: u64) -> Result<v1::Leaf, ClientError> {
        self.entry_by(v1::get_entry_request::By::LeafIndex(leaf_index)).await
    }

    async fn entry_by(&mut self, by: v1::get_entry_request::By) -> Result<v1::Leaf, ClientError> {
        let request = v1::GetEntryRequest { by: Some(by) };
        let response = read(self.query.get_entry(request)).await?;
        response.leaf.ok_or_else(|| ClientError::answer("entry: no leaf"))
    }

    /// One page of a history, newest first.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn history_page(
        &mut self,
        id: &str,
        page_token: &str,
        page_size: u32,
        with_entries: bool,
    ) -> Result<v1::GetHistoryResponse, ClientError> {
        let request = v1::GetHistoryRequest {
            id: id.to_owned(),
            page_size,
            page_token: page_token.to_owned(),
            with_entries,
        };
        read(self.query.get_history(request)).await
    }

    /// All entries about a subject that the node knows, oldest first. [`crate::verified::history`] also checks them.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn history(&mut self, id: &str) -> Result<Vec<v1::Leaf>, ClientError> {
        let (mut leaves, mut token) = (Vec::new(), String::new());
        loop {
            // A node may end a page before it has as many: the last one is the one without a token.
            let mut page = self.history_page(id, &token, 1_000, true).await?;
            token = page.next_page_token;
            if page.leaves.is_empty() && !token.is_empty() {
                return Err(ClientError::answer("history: an empty page that is not the last"));
            }
            leaves.append(&mut page.leaves);
            if token.is_empty() {
                break;
            }
        }
        leaves.reverse();
        Ok(leaves)
    }

    /// Lineage.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn trace(
        &mut self,
        id: &str,
        up: u32,
        down: u32,
        limit: u32,
    ) -> Result<v1::TraceLineageResponse, ClientError> {
        let request = v1::TraceLineageRequest { id: id.to_owned(), up, down, limit };
        read(self.query.trace_lineage(request)).await
    }

    /// Follows entries from a cursor on.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn watch(
        &mut self,
        request: v1::WatchRequest,
    ) -> Result<Streaming<v1::WatchResponse>, ClientError> {
        read(self.query.watch(request)).await
    }

    /// The tree head after a height (0: the latest), as a signed note.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn checkpoint(
        &mut self,
        height: u64,
    ) -> Result<v1::GetCheckpointResponse, ClientError> {
        read(self.audit.get_checkpoint(v1::GetCheckpointRequest { height })).await
    }

    /// The proof file for an entry.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn prove_entry(&mut self, id: &EntryId) -> Result<Bytes, ClientError> {
        let of = v1::get_proof_request::Of::EntryId(Bytes::copy_from_slice(id.as_bytes()));
        Ok(read(self.audit.get_proof(v1::GetProofRequest { of: Some(of) })).await?.proof)
    }

    /// The proof file for a record, or for its absence.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn prove_record(&mut self, id: &str) -> Result<Bytes, ClientError> {
        let of = v1::get_proof_request::Of::RecordId(id.to_owned());
        Ok(read(self.audit.get_proof(v1::GetProofRequest { of: Some(of) })).await?.proof)
    }

    /// The receipt of an entry.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn receipt(&mut self, id: &EntryId) -> Result<Bytes, ClientError> {
        let entry_id = Bytes::copy_from_slice(id.as_bytes());
        Ok(read(self.audit.get_receipt(v1::GetReceiptRequest { entry_id })).await?.receipt)
    }

    /// What the node holds against validators, in short.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn list_evidence(&mut self) -> Result<Vec<v1::EvidenceSummary>, ClientError> {
        Ok(read(self.audit.list_evidence(v1::ListEvidenceRequest {})).await?.evidence)
    }

    /// One evidence as a file that verifies offline.
    ///
    /// # Errors
    /// `API_NOT_FOUND`, or what else the node answers.
    pub async fn evidence(&mut self, id: &Hash) -> Result<Bytes, ClientError> {
        let request = v1::GetEvidenceRequest { id: Bytes::copy_from_slice(id) };
        Ok(read(self.audit.get_evidence(request)).await?.file)
    }

    /// Blocks of a range, `to` inclusive.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn blocks(
        &mut self,
        from: u64,
        to: u64,
    ) -> Result<Streaming<v1::StreamBlocksResponse>, ClientError> {
        read(self.audit.stream_blocks(v1::StreamBlocksRequest { from, to })).await
    }

    /// All records at the latest height.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn records(&mut self) -> Result<Streaming<v1::StreamRecordsResponse>, ClientError> {
        read(self.audit.stream_records(v1::StreamRecordsRequest {})).await
    }
}

/// A refusal that came as an outcome.
pub fn refusal(refused: &v1::Refused) -> ClientError {
    let help = crate::explain::explain(&refused.code).map_or("", |explanation| explanation.help);
    ClientError {
        failure: crate::error::Failure::Refused,
        code: refused.code.clone(),
        message: refused.message.clone(),
        help: help.to_owned(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
