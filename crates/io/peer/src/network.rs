//! The transport as the rest of a node sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use ledger_format::digest::KeyId;
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::listen;
use crate::code::{By, Code, Refusals};
use crate::dial::dial;
use crate::inbox::{Events, Inbox};
use crate::local::Local;
use crate::registry::{PeerStatus, Registry};
use crate::session::{Session, Why};
use crate::settings::{Identity, Lane, Neighbours, PeerError, Role, Settings};
use crate::tls::configurations;

/// Whom a broadcast is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Connected validators.
    Validators,
    /// The same, or everybody where no validator is connected: others may be nearer to one.
    Towards,
    /// Everybody who is connected.
    All,
}

/// A handle to the transport; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Network {
    local: Arc<Local>,
    dials_with: Arc<ClientConfig>,
    listening: Option<SocketAddr>,
}

impl Network {
    /// Listens, and dials peers, on the tokio runtime that this is called on.
    ///
    /// `members` gives the vote key of a validator of the ledger, of now or of the height after the next, `height` that of this node's last block; both are asked at every
    /// Hello and must not wait.
    ///
    /// # Errors
    /// `PEER_LISTEN`, `PEER_SETTINGS`, `PEER_CERTIFICATE`.
    pub async fn start(
        mut settings: Settings,
        identity: Identity,
        members: impl Fn(&KeyId) -> Option<[u8; 32]> + Send + Sync + 'static,
        height: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<(Self, Events), PeerError> {
        settings.check()?;
        let (server, client) = configurations(&identity.certificate)?;
        let listener = match settings.listen {
            None => None,
            Some(address) => {
                let wrong = |source| PeerError::Listen { address, source };
                let listener = TcpListener::bind(address).await.map_err(wrong)?;
                let bound = listener.local_addr().map_err(wrong)?;
                Some((listener, bound))
            }
        };
        let listening = listener.as_ref().map(|(_, bound)| *bound);
        // From here on they are the registry's, where they may change.
        let nobody = Neighbours::knowing(Vec::new());
        let neighbours = std::mem::replace(&mut settings.neighbours, nobody);
        let inbox = Arc::<Inbox>::default();
        let stop = CancellationToken::new();
        let events = Events { inbox: Arc::clone(&inbox), stop: stop.clone() };
        let local = Arc::new(Local {
            keys: identity.keys,
            role: identity.role,
            spki: *identity.certificate.spki_sha256(),
            members: Box::new(members),
            height: Box::new(height),
            inbox,
            registry: Registry::new(),
            refusals: Refusals::default(),
            sessions: AtomicU64::new(0),
            stop,
            tasks: TaskTracker::new(),
            settings,
        });
        let network = Self { local: Arc::clone(&local), dials_with: client, listening };
        network.meet(neighbours)?;
        if let Some((listener, _)) = listener {
            local.tasks.spawn(listen(Arc::clone(&local), listener, server));
        }
        let stopping = Arc::clone(&local);
        local.tasks.spawn(async move {
            stopping.stop.cancelled().await;
            stopping.registry.stop();
        });
        Ok((network, events))
    }

    /// Takes up whom the node dials and which followers it lets in from now on. Who is not to be dialled any more stays connected for
    /// as long as the connection lasts; a follower that is not allowed any more is sent away, and one that is named now, or was, begins
    /// anew.
    ///
    /// # Errors
    /// `PEER_SETTINGS`, and then nothing has changed.
    pub fn meet(&self, neighbours: Neighbours) -> Result<(), PeerError> {
        neighbours.check()?;
        let local = &self.local;
        for known in local.registry.meet(neighbours, &local.stop) {
            if !local.is_own(&known.peer.identity) {
                let tls = Arc::clone(&self.dials_with);
                local.tasks.spawn(dial(Arc::clone(local), known, tls));
            }
        }
        Ok(())
    }

    /// Where the node listens, if it does.
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.listening
    }

    /// This node's identity, by what it knows of the ledger now.
    pub fn identity(&self) -> KeyId {
        self.local.own().id
    }

    /// To be called when the validators have changed: ends the connections of which one side is not what it was. They begin anew, as
    /// what both sides are now.
    pub fn members_changed(&self) {
        for session in self.local.registry.all() {
            if !self.local.is_current(&session) {
                session.end(Why::Changed);
            }
        }
    }

    /// Queues a message for a peer. Never waits.
    ///
    /// False when the peer is not connected, the message is too long, or the queue of the lane is full. A full queue of
    /// [`Lane::Consensus`] or [`Lane::Blocks`] ends the connection, so that it can begin again from known state. True says no more
    /// than that the message waits to be sent.
    pub fn send(&self, to: &KeyId, lane: Lane, bytes: Bytes) -> bool {
        self.local.registry.get(to).is_some_and(|session| self.send_in(&session, lane, bytes))
    }

    /// Queues a message for many, as [`Network::send`] does for one, and returns for how many.
    pub fn broadcast(&self, to: Audience, lane: Lane, bytes: &Bytes) -> usize {
        let sessions = self.local.registry.all();
        let is_validator = |session: &Arc<Session>| session.role == Role::Validator;
        let to_all = match to {
            Audience::Validators => false,
            Audience::Towards => !sessions.iter().any(is_validator),
            Audience::All => true,
        };
        let heard = sessions.iter().filter(|session| to_all || is_validator(session));
        heard.filter(|session| self.send_in(session, lane, bytes.clone())).count()
    }

    fn send_in(&self, session: &Session, lane: Lane, bytes: Bytes) -> bool {
        if bytes.len() > self.local.settings.max_frame_bytes {
            session.dropped(lane);
            return false;
        }
        session.send(lane, bytes)
    }

    /// Ends the connection with a peer that sent what is no message of this protocol version, with `PEER_MALFORMED`.
    pub fn refuse(&self, peer: &KeyId) {
        if let Some(session) = self.local.registry.get(peer) {
            session.end(Why::Refused { code: Code::Malformed, by: By::Us });
        }
    }

    /// Bytes in a lane that wait to be sent to a peer; nothing when it is not connected.
    pub fn waiting(&self, to: &KeyId, lane: Lane) -> Option<usize> {
        self.local.registry.get(to).map(|session| session.waiting(lane))
    }

    /// Whether nobody is connected: then nothing need be made ready to be sent.
    pub fn is_alone(&self) -> bool {
        self.local.registry.is_empty()
    }

    /// All configured peers, and all that are connected.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.local.registry.statuses()
    }

    /// How often each code was given to a peer or received from one since the start.
    pub fn refusals(&self) -> BTreeMap<(Code, By), u64> {
        self.local.refusals.all()
    }

    /// Ends all connections, after what is queued for them or half a second, and returns when nothing of the transport runs any more.
    pub async fn stop(self) {
        self.local.stop.cancel();
        self.local.tasks.close();
        self.local.tasks.wait().await;
        self.local.inbox.close();
    }
}
