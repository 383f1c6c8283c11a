//! The stand-in.

use std::sync::Arc;
use std::time::Duration;

use ledger_client::Node;
use ledger_client::node::CALL_TIMEOUT;
use ledger_proto::v1;
use ledger_proto::v1::query_service_server::{QueryService, QueryServiceServer};
use ledger_proto::v1::submit_service_server::{SubmitService, SubmitServiceServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Empty, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// What a node takes of one message (docs/API.md).
const MESSAGE_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;

type Answer<T> = Result<Response<T>, Status>;
type Page = dyn Fn(&v1::GetHistoryRequest) -> Result<v1::GetHistoryResponse, Status> + Send + Sync;
type Take =
    dyn Fn(&v1::SubmitStreamRequest) -> Result<v1::SubmitStreamResponse, Status> + Send + Sync;

/// How it answers.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) take: Arc<Take>,
    pub(crate) record: v1::GetRecordResponse,
    pub(crate) page: Arc<Page>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            take: Arc::new(|_| Err(unasked())),
            record: v1::GetRecordResponse::default(),
            page: Arc::new(|_| Err(unasked())),
        }
    }
}

impl Answers {
    /// Serves, and connects to it.
    pub(crate) async fn node(self) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let submit =
            SubmitServiceServer::new(self.clone()).max_decoding_message_size(MESSAGE_BYTES);
        let served =
            Server::builder().add_service(submit).add_service(QueryServiceServer::new(self));
        tokio::spawn(served.serve_with_incoming(TcpListenerStream::new(listener)));
        Node::connect(&url, CALL_TIMEOUT.min(Duration::from_secs(20))).await.unwrap()
    }
}

fn unasked() -> Status {
    Status::unimplemented("the test does not ask this")
}

#[tonic::async_trait]
impl SubmitService for Answers {
    async fn submit(&self, _: Request<v1::SubmitRequest>) -> Answer<v1::SubmitResponse> {
        Err(unasked())
    }

    type SubmitStreamStream = ReceiverStream<Result<v1::SubmitStreamResponse, Status>>;

    async fn submit_stream(
        &self,
        requests: Request<Streaming<v1::SubmitStreamRequest>>,
    ) -> Answer<Self::SubmitStreamStream> {
        let (mut requests, take) = (requests.into_inner(), Arc::clone(&self.take));
        let (sender, answers) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let answer = request.and_then(|request| take(&request));
                let failed = answer.is_err();
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn wait_for(&self, _: Request<v1::WaitForRequest>) -> Answer<v1::WaitForResponse> {
        Err(unasked())
    }
}

#[tonic::async_trait]
impl QueryService for Answers {
    async fn get_entry(&self, _: Request<v1::GetEntryRequest>) -> Answer<v1::GetEntryResponse> {
        Err(unasked())
    }

    async fn get_record(&self, _: Request<v1::GetRecordRequest>) -> Answer<v1::GetRecordResponse> {
        Ok(Response::new(self.record.clone()))
    }

    async fn get_history(
        &self,
        request: Request<v1::GetHistoryRequest>,
    ) -> Answer<v1::GetHistoryResponse> {
        (self.page)(request.get_ref()).map(Response::new)
    }

    async fn trace_lineage(
        &self,
        _: Request<v1::TraceLineageRequest>,
    ) -> Answer<v1::TraceLineageResponse> {
        Err(unasked())
    }

    type WatchStream = Empty<Result<v1::WatchResponse, Status>>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        Err(unasked())
    }
}
