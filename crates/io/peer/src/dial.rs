//! The side that dials, again and again.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use ledger_format::digest::KeyId;
use ledger_proto::peer::peer_service_client::PeerServiceClient;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::{TlsConnector, TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::accept::{CONNECTION_WINDOW, MAX_HEADER_BYTES, STREAM_WINDOW, drain, tls_failed};
use crate::code::{Code, Refusal};
use crate::hello::Sender;
use crate::link::{Link, LinkIo};
use crate::local::Local;
use crate::outbox::{Outbox, Requests};
use crate::registry::Known;
use crate::session::{self, Failure, Session, Why, farewell, next};
use crate::settings::{Peer, Role};
use crate::wire::{FRAME_OVERHEAD, Said};

/// Longest wait before the second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Dials one peer until it is forgotten or the node stops.
pub(crate) async fn dial(local: Arc<Local>, known: Arc<Known>, tls: Arc<ClientConfig>) {
    let Known { peer, forgotten, .. } = &*known;
    let connector = TlsConnector::from(tls);
    let mut backoff = Backoff::new(local.settings.max_backoff);
    let mut said = None;
    let (mut as_follower, mut waited) = (false, false);
    while !forgotten.is_cancelled() {
        // The peer may have dialled this node; a second connection would only replace the first.
        if let Some(session) = local.registry.get(&peer.identity) {
            forgotten.run_until_cancelled(session.left.cancelled()).await;
            // One that ended because the validators changed begins anew at once: the peer may not know this node as what it is now.
            waited = session.why() == Why::Changed;
            continue;
        }
        if !dials_first(&local, &peer.identity) && !waited {
            waited = true;
            forgotten.run_until_cancelled(sleep(local.settings.max_backoff)).await;
            continue;
        }
        waited = false;
        let begun = Instant::now();
        let outcome = Box::pin(attempt(&local, peer, &connector, as_follower)).await;
        // Who is behind does not know yet that it is no validator any more. As a follower it learns it.
        let unknown = Why::Refused { code: Code::Unknown, by: crate::By::Them };
        as_follower = matches!(outcome, Ok(why) if why == unknown);
        if begun.elapsed() > local.settings.max_backoff {
            backoff.reset();
        }
        let outcome = outcome.map_err(|error| error.to_string());
        if let Err(error) = &outcome
            && said.as_ref() != Some(&outcome)
        {
            tracing::warn!(peer = %peer.identity, address = %peer.address, error, "peer unreachable");
        }
        said = Some(outcome);
        forgotten.run_until_cancelled(sleep(backoff.next())).await;
    }
}

/// Of two validators the one with the smaller identity dials. The other one does only when that one does not: it may not know this
/// node, which has come in, or has other keys than before.
fn dials_first(local: &Local, peer: &KeyId) -> bool {
    let own = local.own();
    own.role == Role::Follower || own.id < *peer
}

/// Exponential, with full jitter: nodes that lost a peer at one moment do not come back at one moment.
#[derive(Debug)]
struct Backoff {
    most: Duration,
    ceiling: Duration,
}

impl Backoff {
    fn new(most: Duration) -> Self {
        Self { most, ceiling: FIRST_WAIT.min(most) }
    }

    fn reset(&mut self) {
        *self = Self::new(self.most);
    }

    fn next(&mut self) -> Duration {
        let ceiling = u64::try_from(self.ceiling.as_micros()).unwrap_or(u64::MAX);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.most);
        Duration::from_micros(fastrand::u64(0..=ceiling))
    }
}

/// One connection, from the first packet to its end. An error is one of the network.
async fn attempt(
    local: &Local,
    peer: &Peer,
    connector: &TlsConnector,
    as_follower: bool,
) -> io::Result<Why> {
    let deadline = Instant::now() + local.settings.hello_timeout;
    let opened = tokio::select! {
        opened = open(local, peer, connector, deadline) => opened?,
        () = local.stop.cancelled() => Err(Why::Stopped),
    };
    let (link, io) = match opened {
        Ok(opened) => opened,
        Err(why) => return Ok(why),
    };
    let outbox = local.outbox(Sender::Dialler, &link, as_follower);
    let exchange = Box::pin(exchange(local, peer.identity, &link, io, &outbox));
    let why = match exchange.await {
        Ok(why) => return Ok(why),
        Err(failure) => local.judged(&failure, &link, Some(peer.identity)),
    };
    farewell(&outbox, why);
    link.close().await;
    Ok(why)
}

/// TCP and TLS.
async fn open(
    local: &Local,
    peer: &Peer,
    connector: &TlsConnector,
    deadline: Instant,
) -> io::Result<Result<(Arc<Link>, LinkIo), Why>> {
    let timed_out = |_elapsed| io::Error::from(io::ErrorKind::TimedOut);
    let connecting = timeout_at(deadline, TcpStream::connect(&peer.address));
    let connection = connecting.await.map_err(timed_out)??;
    connection.set_nodelay(true)?;
    let remote = connection.peer_addr()?;
    // Neither sent nor checked: the identity is what is checked.
    let name = ServerName::IpAddress(remote.ip().into());
    let handshake = connector.connect(name, connection).into_fallible();
    let stream = match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => TlsStream::from(stream),
        Ok(Err((error, connection))) => {
            let why = tls_failed(local, &error, remote, Some(peer.identity));
            drain(connection).await;
            return Ok(Err(why));
        }
        Err(_elapsed) => {
            let refusal = Refusal::new(Code::Timeout, "no handshake in time");
            local.refuse(&refusal, remote, Some(peer.identity));
            return Ok(Err(Why::Refused { code: Code::Timeout, by: crate::By::Us }));
        }
    };
    let made = Link::new(stream, remote, deadline, local.settings.keep_alive);
    let (link, io) = made.map_err(io::Error::other)?;
    // The call is this side's own.
    link.called.store(true, Ordering::Release);
    Ok(Ok((link, io)))
}

/// HTTP/2, both Hellos, and the session.
async fn exchange(
    local: &Local,
    dialled: KeyId,
    link: &Arc<Link>,
    io: LinkIo,
    outbox: &Arc<Outbox>,
) -> Result<Why, Failure> {
    let most = local.settings.max_frame_bytes.saturating_add(FRAME_OVERHEAD);
    let channel = Box::pin(channel(local, link, io)).await?;
    let mut client = PeerServiceClient::new(channel)
        .max_decoding_message_size(most)
        .max_encoding_message_size(most);
    let mut call = pin!(client.exchange(Requests(Arc::clone(outbox))));
    let Ok(answered) = in_time(local, link, &mut call).await? else {
        let refusal = Refusal::new(Code::Timeout, "no Hello in time");
        // The call is what carries the reason, so it is kept until the connection closes.
        outbox.abort(Some(Code::Timeout));
        tokio::select! { _ = call => {} () = link.close() => {} }
        return Err(refusal.into());
    };
    let mut inbound = answered.map_err(|status| Failure::of(&status, link))?.into_inner();
    let verified = match in_time(local, link, next(link, &mut inbound)).await? {
        Ok(Ok(Said::Hello(hello))) => {
            local.verify(&hello, Sender::Acceptor, link, Some(dialled)).map_err(Failure::from)
        }
        Ok(Ok(_)) => Err(Refusal::new(Code::Malformed, "something before the Hello").into()),
        Ok(Err(failure)) => Err(failure),
        Err(_elapsed) => Err(Refusal::new(Code::Timeout, "no Hello in time").into()),
    };
    match verified {
        Ok(introduced) => {
            outbox.admit();
            link.open();
            let session = Session::new(local, introduced, Arc::clone(link), Arc::clone(outbox));
            Ok(session::run(local, &session, &mut inbound).await)
        }
        Err(failure) => {
            // Told here, while the stream that carries it is still open.
            let why = local.judged(&failure, link, Some(dialled));
            farewell(outbox, why);
            link.close().await;
            Ok(why)
        }
    }
}

/// The result, or that the time for a Hello is over. Stops with the node.
async fn in_time<T>(
    local: &Local,
    link: &Link,
    future: impl Future<Output = T>,
) -> Result<Result<T, tokio::time::error::Elapsed>, Failure> {
    tokio::select! {
        result = timeout_at(link.deadline, future) => Ok(result),
        () = local.stop.cancelled() => Err(Failure::Ended(Why::Stopped)),
    }
}

/// HTTP/2 on the one connection that is there; another is never made.
async fn channel(local: &Local, link: &Link, io: LinkIo) -> Result<Channel, Failure> {
    let keep_alive = local.settings.keep_alive;
    let io = Mutex::new(Some(TokioIo::new(io)));
    let connector = service_fn(move |_: Uri| {
        let io = io.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(io.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let endpoint = Endpoint::from_static("http://peer")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(keep_alive)
        .keep_alive_timeout(keep_alive)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(MAX_HEADER_BYTES);
    let connecting = endpoint.connect_with_connector(connector);
    match in_time(local, link, connecting).await? {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(Failure::of(&tonic::Status::from_error(Box::new(error)), link)),
        Err(_elapsed) => Err(Refusal::new(Code::Timeout, "no HTTP/2 in time").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_anew() {
        let most = Duration::from_secs(5);
        let mut backoff = Backoff::new(most);
        for exponent in 0..12 {
            let ceiling = FIRST_WAIT * 2_u32.pow(exponent);
            assert_eq!(backoff.ceiling, ceiling.min(most));
            assert!(backoff.next() <= ceiling.min(most));
        }
        backoff.reset();
        assert_eq!(backoff.ceiling, FIRST_WAIT);
        let waits: Vec<_> = (0..64).map(|_| Backoff { most, ceiling: most }.next()).collect();
        let spread = waits.iter().max().unwrap().saturating_sub(*waits.iter().min().unwrap());
        assert!(spread > Duration::from_secs(1), "{spread:?}");
    }
}
