//! Connections on which what is said at one moment goes out in one piece.
//!
//! HTTP/2 flushes after each frame that it has no more to add to: a call's headers, its message and its end are three packets, each
//! with a system call, and mostly a wake-up of whoever reads. [`Gathered`] lets the tasks that can run have their turn before it
//! writes little; it waits for nothing else, so a short answer is as late as the tasks before it, and a long one is not held up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::util::{MapResponse, ServiceExt as _};

/// With so many bytes, nobody else is asked first: a frame of HTTP/2 as long as they come.
const ENOUGH: usize = 16 * 1024;
/// Most bytes that wait: two such frames.
const MOST: usize = 2 * ENOUGH;

/// A stream whose writes are gathered until it is flushed, and until then the other tasks that can run have had their turn.
#[derive(Debug)]
pub struct Gathered<S> {
    stream: S,
    waiting: BytesMut,
    /// Whether others have had their turn since the last flush.
    has_yielded: bool,
}

impl<S> Gathered<S> {
    /// Gathers what is written to a stream.
    pub fn new(stream: S) -> Self {
        Self { stream, waiting: BytesMut::new(), has_yielded: false }
    }

    /// The stream.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

/// No vectored writes: what is gathered is copied anyway, and HTTP/2 then joins frames to pieces itself.
impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.len().saturating_add(bytes.len()) > MOST {
            ready!(self.poll_drain(cx))?;
        }
        if bytes.len() > MOST {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        self.waiting.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if (1..ENOUGH).contains(&self.waiting.len()) && !self.has_yielded {
            self.has_yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_drain(cx))?;
        self.has_yielded = false;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Makes connections of a client in clear.
pub type Connector =
    MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> TokioIo<Gathered<TcpStream>>>;

/// A [`Connector`]. The addresses of a name share the time that connecting may take.
pub fn connector(timeout: Duration) -> Connector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timeout));
    connector.map_response(|stream| TokioIo::new(Gathered::new(stream.into_inner())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// What was written, in its pieces; at most so many bytes are taken of each.
    #[derive(Debug)]
    struct Wire {
        pieces: Vec<Vec<u8>>,
        most: usize,
        is_full: bool,
        is_closed: bool,
    }

    impl Wire {
        fn gathered(most: usize) -> Gathered<Self> {
            Gathered::new(Self { pieces: Vec::new(), most, is_full: false, is_closed: false })
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.is_full {
                return Poll::Pending;
            }
            let taken = bytes.len().min(self.most);
            self.pieces.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.is_closed = true;
            Poll::Ready(Ok(()))
        }
    }

    /// How often a task was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A task with a stream.
    struct Task {
        gathered: Gathered<Wire>,
        woken: Arc<Woken>,
    }

    impl Task {
        fn new(most: usize) -> Self {
            Self { gathered: Wire::gathered(most), woken: Arc::default() }
        }

        fn poll<T>(
            &mut self,
            act: impl FnOnce(Pin<&mut Gathered<Wire>>, &mut Context<'_>) -> Poll<T>,
        ) -> Poll<T> {
            let waker = Waker::from(Arc::clone(&self.woken));
            act(Pin::new(&mut self.gathered), &mut Context::from_waker(&waker))
        }

        fn write(&mut self, bytes: &[u8]) -> usize {
            let Poll::Ready(written) = self.poll(|stream, cx| stream.poll_write(cx, bytes)) else {
                panic!("there is room");
            };
            written.unwrap()
        }

        fn flush(&mut self) -> Poll<io::Result<()>> {
            self.poll(AsyncWrite::poll_flush)
        }

        fn pieces(&self) -> &[Vec<u8>] {
            &self.gathered.get_ref().pieces
        }
    }

    #[test]
    fn what_is_said_at_one_moment_goes_out_in_one_piece() {
        let mut task = Task::new(usize::MAX);
        task.write(b"headers ");
        assert!(task.flush().is_pending());
        // Somebody else has had a turn meanwhile, and the task comes again by itself.
        assert_eq!(task.woken.0.load(Ordering::Relaxed), 1);
        task.write(b"message ");
        task.write(b"end");
        assert!(task.flush().is_ready());
        assert_eq!(task.pieces(), [b"headers message end".to_vec()]);
        // And the same the next time.
        task.write(b"again");
        assert!(task.flush().is_pending());
        assert!(task.flush().is_ready());
        assert_eq!(task.pieces().len(), 2);
        // Where nothing waits, nobody is waited for.
        assert!(task.flush().is_ready());
        assert_eq!(task.woken.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn it_is_flushed_when_all_has_gone_in_order() {
        let mut task = Task::new(3);
        task.write(b"0123456789");
        assert!(task.flush().is_pending());
        task.gathered.stream.is_full = true;
        assert!(task.flush().is_pending());
        task.write(b"ab");
        task.gathered.stream.is_full = false;
        assert!(task.flush().is_ready());
        assert_eq!(task.pieces().concat(), b"0123456789ab");
    }

    #[test]
    fn no_more_than_two_frames_wait() {
        let mut task = Task::new(usize::MAX);
        let all: Vec<u8> = (0..=255).cycle().take(10 * MOST).collect();
        let mut rest = &all[..];
        for length in [1, MOST - 1, MOST, MOST + 1, 3 * MOST, 7, MOST - 6].into_iter().cycle() {
            let written = task.write(&rest[..length.min(rest.len())]);
            assert!(task.gathered.waiting.len() <= MOST);
            rest = &rest[written..];
            if rest.is_empty() {
                break;
            }
        }
        task.gathered.stream.is_full = true;
        let more = task.poll(|stream, cx| stream.poll_write(cx, &all));
        assert!(more.is_pending());
        task.gathered.stream.is_full = false;
        if task.flush().is_pending() {
            assert!(task.flush().is_ready());
        }
        assert_eq!(task.pieces().concat(), all);
    }

    #[test]
    fn what_is_long_goes_out_at_once() {
        let mut task = Task::new(usize::MAX);
        task.write(&[7; ENOUGH]);
        assert!(task.flush().is_ready());
        assert_eq!(task.pieces().concat(), [7; ENOUGH]);
        assert_eq!(task.woken.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_end_takes_what_waits_with_it() {
        let mut task = Task::new(usize::MAX);
        task.write(b"the last word");
        assert!(task.poll(AsyncWrite::poll_shutdown).is_ready());
        assert_eq!(task.pieces(), [b"the last word".to_vec()]);
        assert!(task.gathered.get_ref().is_closed);
    }

    #[test]
    fn a_wire_that_takes_nothing_is_broken() {
        let mut task = Task::new(0);
        task.write(b"x");
        assert!(task.flush().is_pending());
        let Poll::Ready(Err(error)) = task.flush() else { panic!("nothing was taken") };
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
