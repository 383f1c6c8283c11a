//! A client that speaks HTTP/2 itself, and so may stop in the middle of a message, or not read an answer.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::codegen::http::{HeaderMap, Request, Response};

use crate::node::Node;

/// A connection.
pub(crate) struct Raw {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
    url: String,
}

/// A call that has not ended.
pub(crate) struct Call {
    /// The status with which it ends.
    pub(crate) end: Pin<Box<dyn Future<Output = (String, String)> + Send>>,
    pub(crate) sending: SendStream<Bytes>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Raw {
    pub(crate) async fn connect(node: &Node) -> Self {
        Self::taking(node, None).await
    }

    /// One that takes so many bytes of each answer before it reads any.
    pub(crate) async fn taking(node: &Node, window: Option<u32>) -> Self {
        let stream = TcpStream::connect(node.address).await.unwrap();
        let mut settings = Builder::new();
        if let Some(window) = window {
            settings.initial_window_size(window);
        }
        let (requests, connection) = settings.handshake(stream).await.unwrap();
        let driver = tokio::spawn(async move {
            let _ended = connection.await;
        });
        Self { requests, driver, url: format!("http://{}", node.address) }
    }

    /// Begins a call, and sends these bytes of its body.
    pub(crate) async fn call(&mut self, method: &str, bytes: Vec<u8>) -> Call {
        let mut requests = self.requests.clone().ready().await.unwrap();
        let request = Request::post(format!("{}/{method}", self.url))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let (answer, mut sending) =
            requests.send_request(request.body(()).unwrap(), false).unwrap();
        sending.send_data(bytes.into(), false).unwrap();
        Call { end: Box::pin(end(answer)), sending }
    }

    /// Calls that each announce a message of so many bytes, and send all of it but one.
    pub(crate) async fn halves(&mut self, method: &str, count: usize, length: usize) -> Vec<Call> {
        let mut calls = Vec::new();
        for _ in 0..count {
            calls.push(self.call(method, half(length)).await);
        }
        calls
    }
}

pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], bytes].concat()
}

pub(crate) fn half(length: usize) -> Vec<u8> {
    let mut bytes = message(&vec![0; length]);
    bytes.pop();
    bytes
}

/// The status with which a call ends: its gRPC code, and its message.
async fn end(answer: ResponseFuture) -> (String, String) {
    let answer: Response<RecvStream> = answer.await.unwrap();
    let (head, mut body) = answer.into_parts();
    let told = |headers: &HeaderMap| {
        let text = |name| Some(headers.get(name)?.to_str().unwrap().to_owned());
        Some((text("grpc-status")?, text("grpc-message").unwrap_or_default()))
    };
    if let Some(told) = told(&head.headers) {
        return told;
    }
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
    told(&body.trailers().await.unwrap().unwrap()).unwrap()
}
