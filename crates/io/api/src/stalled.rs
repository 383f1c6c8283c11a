//! Streams of which their clients take nothing for long: they end, and nothing is kept for them any more.
//!
//! A client that takes what comes asks for more by HTTP/2's windows, so a stream that has something is asked for it. One that has
//! nothing new was asked, and waits for as long as it likes. Nothing asks for more of a stream that nobody reads; so what it keeps is
//! dropped from outside, and whoever reads on after all is told.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;

use crate::held::Share;
use crate::problem::Problem;

/// Streams of answers.
const STREAMS: [&str; 4] = [
    "/ledger.v1.AuditService/StreamBlocks",
    "/ledger.v1.AuditService/StreamRecords",
    "/ledger.v1.QueryService/Watch",
    "/ledger.v1.SubmitService/SubmitStream",
];
/// Bytes that are given to a connection at once, which keeps them until they are taken, or the call is dropped: two such pieces at most.
const PIECE: usize = 64 * 1024;

/// Whether a call is one of them.
pub(crate) fn is_watched(path: &str) -> bool {
    STREAMS.contains(&path)
}

/// A stream that ends when its client takes nothing of it for so long.
pub(crate) fn watched(body: Body, share: Share, allowed: Duration) -> Body {
    Body::new(Watched::new(body, share, allowed))
}

/// A stream.
#[derive(Debug)]
struct Sent {
    /// None when it has ended.
    body: Option<Body>,
    /// What is left of the frame that is being sent.
    rest: Bytes,
    /// Who is given it: each piece counts until it is written.
    share: Share,
    /// Since when the client has taken nothing; none while more is asked for than there is.
    unread_since: Option<Instant>,
    /// What the client is told at the end.
    end: Option<Problem>,
}

impl Sent {
    /// Keeps nothing any more.
    fn end(&mut self, why: Problem) {
        (self.body, self.rest, self.end) = (None, Bytes::new(), Some(why));
    }

    /// The next piece, if there is room for it.
    fn piece(&mut self) -> Result<Bytes, Problem> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        let piece = self.share.over(piece).map_err(Problem::unread)?;
        self.unread_since = Some(Instant::now());
        Ok(piece)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.unread_since = None;
        if self.rest.is_empty()
            && let Some(body) = &mut self.body
        {
            match ready!(Pin::new(body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => self.body = None,
            }
        }
        if !self.rest.is_empty() {
            match self.piece() {
                Ok(piece) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Err(why) => self.end(why),
            }
        }
        Poll::Ready(self.end.take().map(|why| {
            let mut trailers = HeaderMap::new();
            Status::from(why).add_header(&mut trailers)?;
            Ok(Frame::trailers(trailers))
        }))
    }
}

/// A stream that is ended when its client takes nothing of it.
struct Watched {
    sent: Arc<Mutex<Sent>>,
    watch: JoinHandle<()>,
}

impl Watched {
    fn new(body: Body, share: Share, allowed: Duration) -> Self {
        let unread_since = Some(Instant::now());
        let sent = Sent { body: Some(body), rest: Bytes::new(), share, unread_since, end: None };
        let sent = Arc::new(Mutex::new(sent));
        let watch = tokio::spawn(end_stalled(Arc::clone(&sent), allowed));
        Self { sent, watch }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        lock(&self.sent).poll(cx)
    }
}

/// Ends a stream when nothing of it was taken for so long.
async fn end_stalled(sent: Arc<Mutex<Sent>>, allowed: Duration) {
    loop {
        tokio::time::sleep(allowed / 4).await;
        let mut sent = lock(&sent);
        if sent.unread_since.is_some_and(|since| since.elapsed() >= allowed) {
            sent.end(Problem::stalled(format!("{allowed:?}")));
            return;
        }
    }
}

fn lock(sent: &Mutex<Sent>) -> MutexGuard<'_, Sent> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}
