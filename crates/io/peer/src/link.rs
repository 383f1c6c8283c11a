//! One TLS connection below HTTP/2: what it tells the layers above, and how they end it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ledger_format::digest::Hash;
use ledger_gather::Gathered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::accept::STREAM_WINDOW;
use crate::certificate::spki_sha256;
use crate::code::{By, Code};
use crate::tls::refusal_of;

/// Bytes that a peer may send before its Hello was found good. A Hello and the frames of HTTP/2 around it are below 1 KiB; the limit of messages
/// is for those whose identity is known.
const MAX_BYTES_BEFORE_HELLO: usize = 32 * 1024;
/// How long a connection is left open after its last message, for the other side to read why.
const LINGER: Duration = Duration::from_millis(500);

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) remote: SocketAddr,
    /// SHA-256 of the SubjectPublicKeyInfo of the certificate that the other side proved to hold.
    pub(crate) their_spki: Hash,
    /// Until when both sides have to be admitted.
    pub(crate) deadline: Instant,
    /// Cancelled to close the connection, and when it is closed.
    pub(crate) closed: CancellationToken,
    /// Cancelled when both sides are admitted.
    pub(crate) admitted: CancellationToken,
    /// Whether the other side's Hello was good.
    pub(crate) introduced: AtomicBool,
    /// Whether both sides are admitted, so that they may send messages of any length.
    is_open: AtomicBool,
    /// Whether a refusal was counted: one connection counts once.
    pub(crate) judged: AtomicBool,
    /// Whether the one call of the connection was made.
    pub(crate) called: AtomicBool,
    fault: OnceLock<(Code, By)>,
    read: AtomicUsize,
}

impl Link {
    /// Wraps a finished handshake.
    pub(crate) fn new(
        stream: TlsStream<TcpStream>,
        remote: SocketAddr,
        deadline: Instant,
        keep_alive: Duration,
    ) -> Result<(Arc<Self>, LinkIo), rustls::Error> {
        let (_, session) = stream.get_ref();
        let certificates = session.peer_certificates().unwrap_or_default();
        let certificate = certificates.first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let link = Arc::new(Self {
            remote,
            their_spki: spki_sha256(certificate)?,
            deadline,
            closed: CancellationToken::new(),
            admitted: CancellationToken::new(),
            introduced: AtomicBool::new(false),
            is_open: AtomicBool::new(false),
            judged: AtomicBool::new(false),
            called: AtomicBool::new(false),
            fault: OnceLock::new(),
            read: AtomicUsize::new(0),
        });
        let closing = Box::pin(link.closed.clone().cancelled_owned());
        let heard = Instant::now();
        let stream = Gathered::new(stream);
        let io =
            LinkIo { stream, link: Arc::clone(&link), closing, heard, keep_alive, is_over: false };
        Ok((link, io))
    }

    /// The refusal that was found below HTTP/2, which reports no more than that the connection is broken.
    pub(crate) fn fault(&self) -> Option<(Code, By)> {
        self.fault.get().copied()
    }

    /// Closes the connection as soon as the other side has, or after a while.
    pub(crate) async fn close(&self) {
        let _either = tokio::time::timeout(LINGER, self.closed.cancelled()).await;
        self.closed.cancel();
    }

    /// Both sides are admitted.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        self.admitted.cancel();
    }

    /// Bytes that the other side may send before it is admitted. After a good Hello it may go on at once, and is held back by the window
    /// of its stream until it is heard.
    fn most(&self) -> usize {
        let window = usize::try_from(STREAM_WINDOW).unwrap_or(usize::MAX);
        if self.introduced.load(Ordering::Acquire) {
            MAX_BYTES_BEFORE_HELLO.saturating_add(window)
        } else {
            MAX_BYTES_BEFORE_HELLO
        }
    }

    /// The first fault counts: those that follow are its consequences.
    fn note(&self, fault: (Code, By)) {
        let _later = self.fault.set(fault);
    }
}

/// The bytes of a [`Link`].
#[derive(Debug)]
pub(crate) struct LinkIo {
    stream: Gathered<TlsStream<TcpStream>>,
    link: Arc<Link>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    /// When the other side said something last. It answers a ping of HTTP/2 in each such time.
    heard: Instant,
    keep_alive: Duration,
    /// Whether the other side has closed the connection, or it broke.
    is_over: bool,
}

impl LinkIo {
    fn check_open(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.link.closed.is_cancelled() || self.closing.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn noted(&mut self, error: io::Error) -> io::Error {
        self.is_over = true;
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(fault) = tls.and_then(refusal_of) {
            self.link.note(fault);
        }
        error
    }
}

impl LinkIo {
    /// Notes why HTTP/2 gave up a connection that neither side has closed: it reports no more than that it is broken.
    fn judge_end(&self) {
        if self.is_over || self.link.closed.is_cancelled() {
            return;
        }
        let said_something = self.link.read.load(Ordering::Relaxed) > 0;
        if self.heard.elapsed() >= self.keep_alive {
            self.link.note((Code::Timeout, By::Us));
        } else if said_something && !self.link.called.load(Ordering::Acquire) {
            self.link.note((Code::Malformed, By::Us));
        }
    }
}

impl Drop for LinkIo {
    fn drop(&mut self) {
        self.judge_end();
        self.link.closed.cancel();
    }
}

impl AsyncRead for LinkIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_open(cx)?;
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let read = buffer.filled().len().saturating_sub(before);
        self.heard = Instant::now();
        self.is_over = read == 0;
        match result {
            Ok(()) if self.link.is_open.load(Ordering::Acquire) => Poll::Ready(Ok(())),
            Ok(()) => {
                let sum = self.link.read.fetch_add(read, Ordering::Relaxed).saturating_add(read);
                if sum > self.link.most() {
                    self.link.note((Code::TooLarge, By::Us));
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.noted(error))),
        }
    }
}

impl AsyncWrite for LinkIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_open(cx)?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| self.noted(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open(cx)?;
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| self.noted(error)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open(cx)?;
        let ended = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        Poll::Ready(ended.map_err(|error| self.noted(error)))
    }
}

impl Connected for LinkIo {
    type ConnectInfo = Arc<Link>;

    fn connect_info(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }
}
