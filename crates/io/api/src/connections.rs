//! Connections of clients: as they come, and no more at a time than the node is set to hold. What is open beside them, the store's files
//! and other nodes, must not want for descriptors.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ledger_gather::Gathered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long to wait after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take to say that it speaks HTTP/2. Later, pings tell who is gone.
const GREETING_TIME: Duration = Duration::from_secs(10);
/// Bytes with which a client says so (RFC 9113, section 3.4).
const GREETING_BYTES: usize = 24;

/// A client's connection, which keeps one of the node's places until it ends.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Gathered<TcpStream>,
    /// Until the client has said all of its greeting: how much of it is missing, and until when it may be.
    greeting: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        let greeting = Some((GREETING_BYTES, Box::pin(tokio::time::sleep(GREETING_TIME))));
        Self { stream: Gathered::new(stream), greeting, _place: place }
    }
}

/// Connections as they come, at most so many at a time: whoever comes then waits in the system's queue until another one ends.
pub(crate) fn connections(
    listener: TcpListener,
    most: usize,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(most));
        tokio::select! {
            () = take(&listener, &places, &sender) => {}
            () = sender.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

/// Takes connections until nobody wants them. When none can be taken, for want of descriptors, the next attempt waits: asked again at
/// once, the system would give the same answer, and a core would do nothing else.
async fn take(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    sender: &Sender<io::Result<Connection>>,
) {
    let mut was_full = false;
    loop {
        let is_full = places.available_permits() == 0;
        if is_full && !was_full {
            tracing::warn!(
                "as many clients are connected as client.connections allows; others wait"
            );
        }
        was_full = is_full;
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it answers are late and not wrong.
                let _slower = stream.set_nodelay(true);
                if sender.send(Ok(Connection::new(stream, place))).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.get_ref().connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some((missing, time)) = &mut self.greeting {
            *missing = missing.saturating_sub(buffer.filled().len() - before);
            if *missing == 0 {
                self.greeting = None;
            } else if read.is_pending() && time.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
