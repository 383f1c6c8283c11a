//! Requests that have begun and are not whole yet: how much of them is held, and for how long.
//!
//! tonic keeps what has come of a message until the rest is there, and the one message of a plain call until the client has ended its
//! side of the call. HTTP/2's windows are no bound on that, since they open again as bytes are read. So whoever begins many calls and
//! ends none would have the node hold them all, for as long as it likes. What is held here is counted, for the server and for each
//! connection, and a request that does not become whole in time ends its call.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::transport::server::TcpConnectInfo;

use crate::problem::Problem;

/// Bytes of one connection that are held however much others have sent: a flood does not keep out who sends an entry at a time.
const ASSURED: usize = 128 * 1024;
/// Bytes before each message: a flag, and the length.
const PREFIX: usize = 5;
/// Methods to which a client sends one message after the other. In all others one message is the whole request.
const STREAMED: [&str; 2] = ["/ledger.v1.SubmitService/SubmitStream", "/grpc.reflection."];
/// How long a client is asked to wait when as much is held as may be.
const RETRY: Duration = Duration::from_millis(500);

/// What is held of requests that are not whole.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished {
    /// Bytes of all connections, beside a little that each may always send.
    pub server: usize,
    /// Bytes of one connection.
    pub connection: usize,
    /// How long a request, or a message of a stream, may take from when it is waited for until it is whole.
    pub time: Duration,
}

impl Default for Unfinished {
    fn default() -> Self {
        let mib = 1024 * 1024;
        Self { server: 256 * mib, connection: 64 * mib, time: Duration::from_secs(30) }
    }
}

type Source = Option<SocketAddr>;

/// What is held, of whom.
#[derive(Debug)]
pub(crate) struct Budget {
    bounds: Unfinished,
    held: Mutex<(usize, BTreeMap<Source, usize>)>,
}

impl Budget {
    pub(crate) fn new(bounds: Unfinished) -> Arc<Self> {
        Arc::new(Self { bounds, held: Mutex::default() })
    }

    /// The request, with a body that counts.
    pub(crate) fn counting(self: &Arc<Self>, request: Request<Body>) -> Request<Body> {
        let source = request.extensions().get().and_then(TcpConnectInfo::remote_addr);
        let path = request.uri().path();
        let streamed = STREAMED.iter().any(|method| path.starts_with(method));
        let budget = Arc::clone(self);
        request.map(|body| {
            let progress = Progress::default();
            Body::new(Counted { body, budget, source, streamed, progress, held: 0, time: None })
        })
    }

    /// Holds so much of a call instead of what was held of it; less is never refused.
    fn hold(&self, source: Source, before: usize, now: usize) -> Result<(), Problem> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, of) = &mut *held;
        let own = of.get(&source).copied().unwrap_or_default().saturating_sub(before) + now;
        let total = all.saturating_sub(before) + now;
        let Unfinished { server, connection, .. } = self.bounds;
        if now > before && own > connection {
            let detail = format!("{connection} bytes of this connection");
            return Err(Problem::unfinished(detail).retry(RETRY));
        }
        if now > before && total > server && own > ASSURED {
            return Err(Problem::unfinished(format!("{server} bytes in all")).retry(RETRY));
        }
        *all = total;
        if own == 0 {
            of.remove(&source);
        } else {
            of.insert(source, own);
        }
        drop(held);
        Ok(())
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
    budget: Arc<Budget>,
    source: Source,
    streamed: bool,
    progress: Progress,
    held: usize,
    /// Runs while the client is waited for, not while the server is busy with what came before.
    time: Option<Pin<Box<Sleep>>>,
}

impl Counted {
    fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        self.budget.hold(self.source, self.held, bytes)?;
        self.held = bytes;
        Ok(())
    }

    fn take(&mut self, data: &Bytes) -> Result<(), Problem> {
        if !self.streamed {
            return self.hold(self.held.saturating_add(data.len()));
        }
        self.progress.advance(data);
        if self.progress.come == 0 {
            self.time = None;
        }
        self.hold(self.progress.come)
    }

    /// Whether the time is over in which the rest should have come.
    fn is_late(&mut self, cx: &mut Context<'_>, waits: bool) -> bool {
        if waits && self.time.is_none() && (!self.streamed || self.held > 0) {
            self.time = Some(Box::pin(tokio::time::sleep(self.budget.bounds.time)));
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
                Problem::slow(format!("{:?}", self.budget.bounds.time))
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

impl Drop for Counted {
    fn drop(&mut self) {
        self.end();
    }
}
