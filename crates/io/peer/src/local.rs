//! This node's side of all its connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ed25519_dalek::SigningKey;
use ledger_format::digest::{Hash, KeyId};
use ledger_proto::peer as v1;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::code::{By, Code, Refusal, Refusals};
use crate::hello::{self, Binding, Expected, Introduced, Sender};
use crate::inbox::Inbox;
use crate::link::Link;
use crate::outbox::Outbox;
use crate::registry::Registry;
use crate::session::{Failure, Session, Why};
use crate::settings::{Role, Settings};

/// The vote key of a validator.
pub(crate) type Members = dyn Fn(&KeyId) -> Option<[u8; 32]> + Send + Sync;
/// Height of this node's last block.
pub(crate) type Height = dyn Fn() -> u64 + Send + Sync;

/// Who this node is, by what it knows of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) id: KeyId,
    pub(crate) role: Role,
}

/// What all connections of this node share.
pub(crate) struct Local {
    pub(crate) settings: Settings,
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) role: Role,
    pub(crate) spki: Hash,
    pub(crate) members: Box<Members>,
    pub(crate) height: Box<Height>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) registry: Registry,
    pub(crate) refusals: Refusals,
    pub(crate) sessions: AtomicU64,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("own", &self.own()).finish_non_exhaustive()
    }
}

impl Local {
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// Who this node is now.
    pub(crate) fn own(&self) -> Own {
        let is_member = |key: &&SigningKey| (self.members)(&id_of(key)).is_some();
        let validator = self.keys.iter().filter(|_| self.role == Role::Validator).find(is_member);
        let role = if validator.is_some() { Role::Validator } else { Role::Follower };
        let id = validator.or(self.keys.first()).map(id_of).unwrap_or_default();
        Own { id, role }
    }

    /// Whether one of this node's keys has that identity.
    pub(crate) fn is_own(&self, identity: &KeyId) -> bool {
        self.keys.iter().any(|key| id_of(key) == *identity)
    }

    /// Whether both sides of a connection still are what they were when it began.
    pub(crate) fn is_current(&self, session: &Session) -> bool {
        let is_member = (self.members)(&session.peer).is_some();
        session.own() == self.own() && is_member == (session.role == Role::Validator)
    }

    /// Queues of a new connection, with this node's Hello in front, which claims to be a follower's where no more is believed.
    pub(crate) fn outbox(&self, sender: Sender, link: &Link, as_follower: bool) -> Arc<Outbox> {
        let binding = self.binding(self.spki, link.their_spki);
        let own = self.own();
        let role = if as_follower { Role::Follower } else { own.role };
        let key = self.keys.iter().find(|key| id_of(key) == own.id);
        let hello = key.map(|key| hello::make(sender, &binding, key, role, (self.height)()));
        Outbox::new(self.settings.queues, hello, own)
    }

    /// Checks the Hello of the other side of a connection.
    pub(crate) fn verify(
        &self,
        hello: &v1::Hello,
        sender: Sender,
        link: &Link,
        dialled: Option<KeyId>,
    ) -> Result<Introduced, Refusal> {
        let binding = self.binding(link.their_spki, self.spki);
        let members = &*self.members;
        let introduced = hello::verify(
            hello,
            &Expected { sender, binding, dialled, own: self.own().id, members },
        )?;
        link.introduced.store(true, Ordering::Release);
        self.registry.note_network((introduced.peer, sender), link.remote.ip(), members);
        Ok(introduced)
    }

    fn binding(&self, sender_spki: Hash, receiver_spki: Hash) -> Binding {
        let (ledger, limits) = (self.settings.ledger, self.settings.limits);
        Binding { ledger, limits, sender_spki, receiver_spki }
    }

    /// Counts and logs a refusal of a peer.
    pub(crate) fn refuse(&self, refusal: &Refusal, remote: SocketAddr, peer: Option<KeyId>) {
        let Refusal { code, detail } = refusal;
        if self.count(*code, By::Us, peer) && self.refusals.may_log_own(*code) {
            let peer = peer.map(tracing::field::display);
            tracing::warn!(%code, peer, address = %remote, detail, "peer refused");
        }
    }

    /// Counts and logs a refusal by a peer.
    pub(crate) fn refused(&self, code: Code, remote: SocketAddr, peer: Option<KeyId>) {
        if self.count(code, By::Them, peer) && self.refusals.may_log() {
            let peer = peer.map(tracing::field::display);
            tracing::warn!(%code, peer, address = %remote, "refused by peer");
        }
    }

    /// Counts a refusal, and says whether it is news.
    fn count(&self, code: Code, by: By, peer: Option<KeyId>) -> bool {
        self.refusals.count(code, by);
        peer.is_none_or(|peer| self.registry.note_refusal(&peer, code, by))
    }

    /// What a failure says of either side, counted and logged once for each connection.
    pub(crate) fn judged(&self, failure: &Failure, link: &Link, peer: Option<KeyId>) -> Why {
        let first = || !link.judged.swap(true, Ordering::AcqRel);
        match failure {
            Failure::Refused(refusal) => {
                if first() {
                    self.refuse(refusal, link.remote, peer);
                }
                Why::Refused { code: refusal.code, by: By::Us }
            }
            Failure::Ended(why) => {
                if let Why::Refused { code, by: By::Them } = why
                    && first()
                {
                    // A node may end itself on this word (`PEER_TWIN`), which so must be that of the identity that was dialled: who
                    // has not said who it is may be anybody on the way.
                    let is_known = *code != Code::Twin || link.introduced.load(Ordering::Acquire);
                    self.refused(*code, link.remote, peer.filter(|_| is_known));
                }
                *why
            }
        }
    }
}

fn id_of(key: &SigningKey) -> KeyId {
    KeyId::of(key.verifying_key().as_bytes())
}
