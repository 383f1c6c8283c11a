//! The side that is dialled.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger_format::digest::KeyId;
use ledger_proto::address::network_of;
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
use crate::session::{self, Failure, Session, Why, farewell, next};
use crate::settings::Settings;
use crate::tls::refusal_of;
use crate::wire::{self, FRAME_OVERHEAD, Said};

pub(crate) const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes of a call's headers. Ours are below 1 KiB.
pub(crate) const MAX_HEADER_BYTES: u32 = 8 * 1024;
/// Connections that have not said who they are: all, and those of one address, so that one machine cannot keep out the others.
const MAX_PENDING: usize = 256;
const MAX_PENDING_OF_ADDRESS: usize = 32;
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
    let pending = Arc::new(Pending::default());
    while let Some(accepted) = tokio::select! {
        accepted = listener.accept() => Some(accepted),
        () = local.stop.cancelled() => None,
    } {
        match accepted {
            Ok((connection, remote)) => {
                let Some(place) = pending.enter(remote.ip()) else {
                    tracing::debug!(address = %remote, "too many connections that say nothing");
                    continue;
                };
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
    let (link, io) = match Link::new(stream, remote, deadline) {
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

/// Counts connections that have not said who they are.
#[derive(Debug, Default)]
struct Pending(Mutex<BTreeMap<IpAddr, usize>>);

/// A place among them, given back when dropped.
#[derive(Debug)]
struct Place {
    pending: Arc<Pending>,
    address: IpAddr,
}

impl Pending {
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = network_of(address);
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = places.values().sum();
        let of_address = places.get(&address).copied().unwrap_or_default();
        if all >= MAX_PENDING || of_address >= MAX_PENDING_OF_ADDRESS {
            return None;
        }
        places.insert(address, of_address.saturating_add(1));
        Some(Place { pending: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.pending.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = places.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                places.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_places_come_back() {
        let pending = Arc::new(Pending::default());
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mut places: Vec<_> = (0..40).filter_map(|_| pending.enter(address(0))).collect();
        assert_eq!(places.len(), MAX_PENDING_OF_ADDRESS);
        places.extend((0..=255).filter_map(|n| pending.enter(address(n))));
        assert_eq!(places.len(), MAX_PENDING);
        drop(places);
        assert!(pending.enter(address(0)).is_some());
        let address = |n| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        let places: Vec<_> = (0..40).filter_map(|n| pending.enter(address(n))).collect();
        assert_eq!(places.len(), MAX_PENDING_OF_ADDRESS);
        assert!(pending.enter(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1])).is_some());
        drop(places);
        assert!(pending.0.lock().unwrap().is_empty());
    }
}
