//! The side that is dialled.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger_format::digest::KeyId;
use ledger_proto::peer as v1;
use ledger_proto::peer::peer_service_server::{PeerService, PeerServiceServer};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::code::{By, Code, Refusal};
use crate::hello::{Introduced, Sender};
use crate::link::{Link, LinkIo};
use crate::local::Local;
use crate::outbox::{Outbox, Responses};
use crate::places::{Place, Places};
use crate::session::{self, Failure, Session, Why, farewell, next};
use crate::settings::Settings;
use crate::tls::refusal_of;
use crate::wire::{self, FRAME_OVERHEAD, Said};

pub(crate) const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes of a call's headers. Ours are below 1 KiB.
pub(crate) const MAX_HEADER_BYTES: u32 = 8 * 1024;
/// How long to wait after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long what a refused side still sends is read. Closing a socket with unread bytes resets the connection, and some systems then
/// drop what the other side has not read yet: the alert that says why.
const DRAIN: Duration = Duration::from_millis(500);

/// Takes connections until the node stops.
pub(crate) async fn listen(local: Arc<Local>, listener: TcpListener, tls: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(tls);
    let (sender, receiver) = mpsc::channel(1);
    local.tasks.spawn(serve(Arc::clone(&local), ReceiverStream::new(receiver)));
    let places = Arc::<Places>::default();
    while let Some(accepted) = tokio::select! {
        accepted = listener.accept() => Some(accepted),
        () = local.stop.cancelled() => None,
    } {
        match accepted {
            Ok((connection, remote)) => {
                let Some(place) = place(&local, &places, remote) else { continue };
                let (local, acceptor) = (Arc::clone(&local), acceptor.clone());
                let (sender, tasks) = (sender.clone(), local.tasks.clone());
                tasks.spawn(async move {
                    admit(&local, connection, remote, acceptor, sender).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A place for a connection. One that gets none is closed and counted.
fn place(local: &Local, places: &Arc<Places>, remote: SocketAddr) -> Option<Place> {
    let is_familiar = local.registry.is_familiar(remote.ip());
    let place = places.enter(remote.ip(), is_familiar);
    if place.is_none() {
        let detail = "too many connections have not said who they are";
        local.refuse(&Refusal::new(Code::Places, detail), remote, None);
    }
    place
}

async fn serve(local: Arc<Local>, incoming: ReceiverStream<io::Result<LinkIo>>) {
    let Settings { max_frame_bytes, keep_alive, .. } = local.settings;
    let most = max_frame_bytes.saturating_add(FRAME_OVERHEAD);
    let service = PeerServiceServer::new(Acceptor(Arc::clone(&local)))
        .max_decoding_message_size(most)
        .max_encoding_message_size(most);
    let served = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(keep_alive))
        .http2_keepalive_timeout(Some(keep_alive))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(1)
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, local.stop.cancelled())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "peers are not served any more");
    }
}

/// TLS, and a watch over the time until both sides are admitted.
async fn admit(
    local: &Local,
    connection: TcpStream,
    remote: SocketAddr,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<io::Result<LinkIo>>,
) {
    let deadline = Instant::now() + local.settings.hello_timeout;
    // Without it answers are late and not wrong.
    let _slower = connection.set_nodelay(true);
    let handshake = timeout_at(deadline, acceptor.accept(connection).into_fallible());
    let handshake = tokio::select! {
        handshake = handshake => handshake,
        () = local.stop.cancelled() => return,
    };
    let timeout = || Refusal::new(Code::Timeout, "no Hello in time");
    let stream = match handshake {
        Ok(Ok(stream)) => TlsStream::from(stream),
        Ok(Err((error, connection))) => {
            tls_failed(local, &error, remote, None);
            return drain(connection).await;
        }
        Err(_elapsed) => return local.refuse(&timeout(), remote, None),
    };
    let (link, io) = match Link::new(stream, remote, deadline, local.settings.keep_alive) {
        Ok(made) => made,
        Err(error) => {
            tls_failed(local, &io::Error::other(error), remote, None);
            return;
        }
    };
    if sender.send(Ok(io)).await.is_err() {
        return;
    }
    tokio::select! {
        () = link.admitted.cancelled() => {}
        () = link.closed.cancelled() => {
            // A call is dropped with its connection, and cannot say why that broke.
            if let Some((code, by)) = link.fault() {
                let failure = Failure::with(Why::Refused { code, by }, "before a Hello");
                local.judged(&failure, &link, None);
            }
        }
        () = local.stop.cancelled() => link.close().await,
        () = tokio::time::sleep_until(deadline) => {
            // A call has its own timer, and tells the dialler.
            if !link.called.load(Ordering::Acquire) {
                local.judged(&timeout().into(), &link, None);
            }
            link.close().await;
        }
    }
}

/// Counts what a failed handshake says of either side.
pub(crate) fn tls_failed(
    local: &Local,
    error: &io::Error,
    remote: SocketAddr,
    peer: Option<KeyId>,
) -> Why {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls.and_then(refusal_of) {
        Some((code, By::Us)) => {
            local.refuse(&Refusal::new(code, error.to_string()), remote, peer);
            Why::Refused { code, by: By::Us }
        }
        Some((code, By::Them)) => {
            local.refused(code, remote, peer);
            Why::Refused { code, by: By::Them }
        }
        None => {
            tracing::debug!(address = %remote, %error, "no TLS");
            Why::Closed
        }
    }
}

/// Lets the other side read the alert that was sent to it.
pub(crate) async fn drain(mut connection: TcpStream) {
    let drained = async {
        connection.shutdown().await?;
        let mut buffer = [0; 1024];
        while connection.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    let _either = tokio::time::timeout(DRAIN, drained).await;
}

/// The service that peers call, once a connection.
#[derive(Debug)]
struct Acceptor(Arc<Local>);

#[tonic::async_trait]
impl PeerService for Acceptor {
    type ExchangeStream = Responses;

    async fn exchange(
        &self,
        request: Request<Streaming<v1::ExchangeRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let local = &self.0;
        let link = request.extensions().get::<Arc<Link>>().cloned();
        let link = link.ok_or_else(|| wire::status(Code::Certificate))?;
        let mut inbound = request.into_inner();
        match introduce(local, &link, &mut inbound).await {
            Ok(introduced) => {
                let outbox = local.outbox(Sender::Acceptor, &link, false);
                let responses = Responses(Arc::clone(&outbox));
                let local = Arc::clone(local);
                let tasks = local.tasks.clone();
                tasks.spawn(
                    async move { accepted(&local, link, inbound, introduced, outbox).await },
                );
                Ok(Response::new(responses))
            }
            Err(failure) => {
                let why = local.judged(&failure, &link, None);
                local.tasks.spawn(async move { link.close().await });
                match why {
                    Why::Refused { code, .. } => Err(wire::status(code)),
                    _ => Err(Status::cancelled("the stream ended before a Hello")),
                }
            }
        }
    }
}

/// The dialler's Hello.
async fn introduce(
    local: &Local,
    link: &Link,
    inbound: &mut Streaming<v1::ExchangeRequest>,
) -> Result<Introduced, Failure> {
    if link.called.swap(true, Ordering::AcqRel) {
        return Err(Refusal::new(Code::Malformed, "a second call on one connection").into());
    }
    let said = timeout_at(link.deadline, next(link, inbound)).await;
    let Ok(said) = said else {
        return Err(Refusal::new(Code::Timeout, "no Hello in time").into());
    };
    let Said::Hello(hello) = said? else {
        return Err(Refusal::new(Code::Malformed, "something before the Hello").into());
    };
    let introduced = local.verify(&hello, Sender::Dialler, link, None)?;
    local.registry.may_enter(&introduced.peer, introduced.role)?;
    Ok(introduced)
}

/// The connection from this node's Hello on.
async fn accepted(
    local: &Local,
    link: Arc<Link>,
    mut inbound: Streaming<v1::ExchangeRequest>,
    introduced: Introduced,
    outbox: Arc<Outbox>,
) {
    let peer = Some(introduced.peer);
    let failure = match timeout_at(link.deadline, next(&link, &mut inbound)).await {
        Ok(Ok(Said::Admitted)) => {
            link.open();
            let session = Session::new(local, introduced, link, outbox);
            session::run(local, &session, &mut inbound).await;
            return;
        }
        Ok(Ok(_)) => Refusal::new(Code::Malformed, "something before Admitted").into(),
        Ok(Err(failure)) => failure,
        Err(_elapsed) => Refusal::new(Code::Timeout, "no Admitted in time").into(),
    };
    let why = local.judged(&failure, &link, peer);
    farewell(&outbox, why);
    link.close().await;
}
