//! Requests that have begun and are not whole yet: how much of them is held, and for how long.
//!
//! tonic keeps what has come of a message until the rest is there, and the one message of a plain call until the client has ended its
//! side of the call. HTTP/2's windows are no bound on that, since they open again as bytes are read. So whoever begins many calls and
//! ends none would have the node hold them all, for as long as it likes. What is held here is counted, for the server and for each
//! connection, and a request that does not become whole in time ends its call.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::transport::server::TcpConnectInfo;

use crate::held::{Bounds, Held, Share};
use crate::problem::Problem;

/// Bytes before each message: a flag, and the length.
const PREFIX: usize = 5;
/// Methods to which a client sends one message after the other. In all others one message is the whole request.
const STREAMED: [&str; 2] = ["/ledger.v1.SubmitService/SubmitStream", "/grpc.reflection."];
/// How long a client is asked to wait when as much is held as may be.
const RETRY: Duration = Duration::from_millis(500);

/// What is held of requests that are not whole.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished {
    /// How much.
    pub bounds: Bounds,
    /// How long a request, or a message of a stream, may take from when it is waited for until it is whole.
    pub time: Duration,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self { bounds: Bounds::default(), time: Duration::from_secs(30) }
    }
}

/// Counts requests.
#[derive(Clone, Debug)]
pub(crate) struct CountRequests {
    held: Arc<Held>,
    time: Duration,
}

impl CountRequests {
    pub(crate) fn new(Unfinished { bounds, time }: Unfinished) -> Self {
        Self { held: Held::new("bytes", bounds), time }
    }

    /// The request, with a body that counts.
    pub(crate) fn counting(&self, request: Request<Body>) -> Request<Body> {
        let source = request.extensions().get().and_then(TcpConnectInfo::remote_addr);
        let path = request.uri().path();
        let streamed = STREAMED.iter().any(|method| path.starts_with(method));
        let (share, allowed) = (self.held.share(source), self.time);
        request.map(|body| {
            let progress = Progress::default();
            Body::new(Counted { body, share, allowed, streamed, progress, time: None })
        })
    }
}

/// How far the last message of a stream has come.
#[derive(Debug, Default)]
struct Progress {
    prefix: [u8; PREFIX],
    /// Bytes that are there, those of the prefix included; 0 between messages.
    come: usize,
}

impl Progress {
    fn advance(&mut self, mut data: &[u8]) {
        while let Some(first) = data.first() {
            if let Some(byte) = self.prefix.get_mut(self.come) {
                *byte = *first;
                self.come += 1;
                data = data.get(1..).unwrap_or_default();
            }
            let [_flag, length @ ..] = self.prefix;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            let missing = length.saturating_add(PREFIX).saturating_sub(self.come);
            if self.come >= PREFIX {
                let taken = missing.min(data.len());
                self.come = if taken == missing { 0 } else { self.come + taken };
                data = data.get(taken..).unwrap_or_default();
            }
        }
    }
}

/// A request's body. What it holds is held no more when it ends, or is dropped with its call.
struct Counted {
    body: Body,
    share: Share,
    /// How long the client may be waited for.
    allowed: Duration,
    streamed: bool,
    progress: Progress,
    /// Runs while the client is waited for, not while the server is busy with what came before.
    time: Option<Pin<Box<Sleep>>>,
}

impl Counted {
    fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        self.share.hold(bytes).map_err(|detail| Problem::unfinished(detail).retry(RETRY))
    }

    fn take(&mut self, data: &Bytes) -> Result<(), Problem> {
        if !self.streamed {
            return self.hold(self.share.amount().saturating_add(data.len()));
        }
        self.progress.advance(data);
        if self.progress.come == 0 {
            self.time = None;
        }
        self.hold(self.progress.come)
    }

    /// Whether the time is over in which the rest should have come.
    fn is_late(&mut self, cx: &mut Context<'_>, waits: bool) -> bool {
        if waits && self.time.is_none() && (!self.streamed || self.share.amount() > 0) {
            self.time = Some(Box::pin(tokio::time::sleep(self.allowed)));
        }
        self.time.as_mut().is_some_and(|time| time.as_mut().poll(cx).is_ready())
    }

    /// Holds nothing any more, and reads nothing.
    fn end(&mut self) {
        self.body = Body::empty();
        self.time = None;
        // Less is never refused.
        let _held = self.hold(0);
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let read = Pin::new(&mut self.body).poll_frame(cx);
        let taken = match &read {
            Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(Ok(()), |data| self.take(data)),
            Poll::Ready(Some(Err(_)) | None) => {
                self.end();
                return read;
            }
            Poll::Pending => Ok(()),
        };
        let failed = match taken {
            Ok(()) if self.is_late(cx, read.is_pending()) => {
                Problem::slow(format!("{:?}", self.allowed))
            }
            Ok(()) => return read,
            Err(problem) => problem,
        };
        self.end();
        Poll::Ready(Some(Err(failed.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
