//! Answers of plain calls that their clients have not read yet: how much of them is held.
//!
//! HTTP/2 lets a client open many calls and take what it likes of their answers, when it likes. Until then the node holds them. So an
//! answer is made at once, counted, and held no more when the connection has written it; one that would be too much is not given.
//! Streams are counted piece by piece, and end when their clients take nothing (stalled.rs).

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};

use crate::held::{Bounds, Held, Share};
use crate::problem::Problem;
use crate::stalled;

/// How long a client is asked to wait when as much is held as may be.
const RETRY: Duration = Duration::from_millis(500);

/// Counts the answers of what it is around, and ends streams that stall.
#[derive(Clone, Debug)]
pub(crate) struct CountAnswers {
    held: Arc<Held>,
    /// How long the client of a stream may take nothing.
    allowed: Duration,
}

impl CountAnswers {
    pub(crate) fn new(unread: Bounds, allowed: Duration) -> Self {
        Self { held: Held::new("bytes", unread), allowed }
    }
}

impl<S> Layer<S> for CountAnswers {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        Counting { inner, by: self.clone() }
    }
}

/// A service whose answers are counted.
#[derive(Clone, Debug)]
pub(crate) struct Counting<S> {
    inner: S,
    by: CountAnswers,
}

impl<S> Service<Request<Body>> for Counting<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let source = request.extensions().get().and_then(TcpConnectInfo::remote_addr);
        let (share, allowed) = (self.by.held.share(source), self.by.allowed);
        let is_stream = stalled::is_watched(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if is_stream {
                return Ok(answer.map(|body| stalled::watched(body, share, allowed)));
            }
            Ok(counted(answer, share).await)
        })
    }
}

/// An answer whose first message is made and counted, if it can be made without waiting.
async fn counted(answer: Response<Body>, share: Share) -> Response<Body> {
    let (head, mut rest) = answer.into_parts();
    let made = poll_fn(|cx| match Pin::new(&mut rest).poll_frame(cx) {
        Poll::Ready(first) => Poll::Ready(first),
        Poll::Pending => Poll::Ready(None),
    });
    let first = match made.await.map(|first| counting(first, &share)) {
        Some(Err(detail)) => return unread(detail).into_http(),
        Some(Ok(first)) => Some(first),
        None => None,
    };
    Response::from_parts(head, Body::new(Answer { first, rest, share }))
}

type Part = Result<Frame<Bytes>, Status>;

/// A part of an answer, whose bytes count until they are written.
fn counting(part: Part, share: &Share) -> Result<Part, String> {
    match part.map(Frame::into_data) {
        Ok(Ok(data)) => Ok(Ok(Frame::data(share.over(data)?))),
        Ok(Err(other)) => Ok(Ok(other)),
        Err(status) => Ok(Err(status)),
    }
}

fn unread(detail: String) -> Status {
    Problem::unread(detail).retry(RETRY).into()
}

/// An answer. Its first message was asked for when there was room for it.
struct Answer {
    first: Option<Part>,
    rest: Body,
    share: Share,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let Some(part) = ready!(Pin::new(&mut self.rest).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let counted = counting(part, &self.share);
        Poll::Ready(Some(counted.unwrap_or_else(|detail| Err(unread(detail)))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.first.is_some() { SizeHint::default() } else { self.rest.size_hint() }
    }
}
