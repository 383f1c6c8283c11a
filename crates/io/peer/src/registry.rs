//! Who is connected: one connection of each identity.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use ledger_format::digest::{Hash, KeyId};

use crate::code::{By, Code, Refusal};
use crate::local::Local;
use crate::session::{Counts, Failure, Session, Traffic, Why};
use crate::settings::{Lanes, Peer, Role};

/// One peer, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub identity: KeyId,
    /// What it is, when it is connected.
    pub role: Option<Role>,
    /// The configured address, or the one that a peer without came from.
    pub address: String,
    /// Since when it is connected, if it is.
    pub connected_since: Option<SystemTime>,
    /// Height of its last block as its Hello said, when it is connected.
    pub height: Option<u64>,
    /// Frames and bytes.
    pub counts: Lanes<Counts>,
    /// The last refusal between the two nodes since they were connected, and whose it was. Only of configured peers.
    pub last_refusal: Option<(Code, By)>,
}

/// A configured peer.
#[derive(Debug)]
struct Known {
    address: String,
    traffic: Arc<Traffic>,
    refusals: Mutex<Repeated>,
}

/// The last refusal since the two were connected, and how often it was repeated.
#[derive(Debug, Default)]
struct Repeated {
    last: Option<(Code, By)>,
    times: u64,
}

impl Known {
    fn refusals(&self) -> MutexGuard<'_, Repeated> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Processes of one validator that are told apart: a new one comes with each start.
const INSTANCES: usize = 8;

#[derive(Debug, Default)]
struct Sessions {
    live: BTreeMap<KeyId, Arc<Session>>,
    /// The last processes that connected as each validator, by the key of the certificate that a node makes when it starts.
    instances: BTreeMap<KeyId, Vec<Hash>>,
    stopped: bool,
}

impl Sessions {
    /// A process that comes back after another has come as the same validator shows that both run: one that was started again never
    /// comes back as it was. What is left of its connection may still be there, and keeps nobody out.
    fn note_instance(&mut self, session: &Session) -> Result<(), Refusal> {
        if session.role != Role::Validator {
            return Ok(());
        }
        let (instances, own) =
            (self.instances.entry(session.peer).or_default(), session.link.their_spki);
        if instances.last() == Some(&own) {
            return Ok(());
        }
        if instances.contains(&own) {
            let detail = format!("another process came as {} meanwhile", session.peer);
            return Err(Refusal::new(Code::Twin, detail));
        }
        if instances.len() >= INSTANCES {
            instances.remove(0);
        }
        instances.push(own);
        Ok(())
    }
}

/// Connections by identity, and what is known of configured peers without one.
#[derive(Debug)]
pub(crate) struct Registry {
    known: BTreeMap<KeyId, Known>,
    sessions: RwLock<Sessions>,
}

impl Registry {
    pub(crate) fn new(peers: &[Peer]) -> Self {
        let known = peers.iter().map(|peer| {
            let address = peer.address.clone();
            let known = Known { address, traffic: Arc::default(), refusals: Mutex::default() };
            (peer.identity, known)
        });
        Self { known: known.collect(), sessions: RwLock::default() }
    }

    pub(crate) fn get(&self, peer: &KeyId) -> Option<Arc<Session>> {
        self.read().live.get(peer).cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.read().live.is_empty()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.read().live.values().cloned().collect()
    }

    pub(crate) fn traffic(&self, peer: &KeyId) -> Arc<Traffic> {
        self.known.get(peer).map(|known| Arc::clone(&known.traffic)).unwrap_or_default()
    }

    /// Notes a refusal, and says whether it is news: of one that is repeated the first, second, fourth, eighth time and so on are. A
    /// peer that has another identity now is dialled for as long as the settings name it.
    pub(crate) fn note_refusal(&self, peer: &KeyId, code: Code, by: By) -> bool {
        let Some(known) = self.known.get(peer) else { return true };
        let mut refusals = known.refusals();
        if refusals.last.replace((code, by)) != Some((code, by)) {
            refusals.times = 0;
        }
        refusals.times = refusals.times.saturating_add(1);
        refusals.times.is_power_of_two()
    }

    /// Whether one more follower is taken. One that comes again takes its own place.
    pub(crate) fn may_enter(&self, local: &Local, peer: &KeyId, role: Role) -> Result<(), Refusal> {
        may_enter(&self.read(), local, peer, role)
    }

    /// Adds a connection, instead of an older one of the same identity. Whoever holds the key may do that, and a peer that lost its
    /// connection knows it sooner than this node.
    pub(crate) fn register(&self, local: &Local, session: &Arc<Session>) -> Result<(), Failure> {
        let mut sessions = self.write();
        if sessions.stopped {
            return Err(Failure::Ended(Why::Stopped));
        }
        // Others may have come since the Hello was answered, and the validators may have changed.
        may_enter(&sessions, local, &session.peer, session.role)?;
        if !local.is_current(session) {
            return Err(Failure::Ended(Why::Changed));
        }
        sessions.note_instance(session)?;
        if let Some(known) = self.known.get(&session.peer) {
            *known.refusals() = Repeated::default();
        }
        if let Some(older) = sessions.live.insert(session.peer, Arc::clone(session)) {
            older.end(Why::Replaced);
            older.left.cancel();
            local.inbox.end(older.peer, older.number, Why::Replaced);
        }
        // Under the lock, so that the consumer sees connections in the order in which they replace each other.
        let bounds = *local.settings.receive_queues(session.role);
        local.inbox.open(session.peer, session.number, session.role, session.height, bounds);
        Ok(())
    }

    pub(crate) fn remove(&self, session: &Session) {
        let mut sessions = self.write();
        let live = sessions.live.get(&session.peer);
        if live.is_some_and(|live| live.number == session.number) {
            sessions.live.remove(&session.peer);
        }
        session.left.cancel();
    }

    /// Ends all connections; none is added any more.
    pub(crate) fn stop(&self) {
        let mut sessions = self.write();
        sessions.stopped = true;
        for session in sessions.live.values() {
            session.end(Why::Stopped);
        }
    }

    /// All configured peers, and all connected ones.
    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let sessions = self.read();
        let status = |identity: &KeyId| {
            let (known, live) = (self.known.get(identity), sessions.live.get(identity));
            let came_from = || live.map(|live| live.link.remote.to_string()).unwrap_or_default();
            let traffic = known.map(|known| &known.traffic).or(live.map(|live| &live.traffic));
            PeerStatus {
                identity: *identity,
                role: live.map(|live| live.role),
                address: known.map_or_else(came_from, |known| known.address.clone()),
                connected_since: live.map(|live| live.since),
                height: live.map(|live| live.height),
                counts: traffic.map(|traffic| traffic.counts()).unwrap_or_default(),
                last_refusal: known.and_then(|known| known.refusals().last),
            }
        };
        let others = sessions.live.keys().filter(|peer| !self.known.contains_key(*peer));
        self.known.keys().chain(others).map(status).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Sessions> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sessions> {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn may_enter(sessions: &Sessions, local: &Local, peer: &KeyId, role: Role) -> Result<(), Refusal> {
    let listed = local.settings.allowed_followers.as_ref();
    if role == Role::Follower && listed.is_some_and(|listed| !listed.contains(peer)) {
        return Err(Refusal::new(Code::NotAllowed, format!("{peer} is not listed")));
    }
    let others = sessions.live.values().filter(|other| other.peer != *peer);
    let followers = others.filter(|other| other.role == Role::Follower).count();
    if role == Role::Follower && followers >= local.settings.max_followers {
        return Err(Refusal::new(Code::Followers, format!("{followers} are connected")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_news_ever_more_seldom() {
        let identity = KeyId([7; 32]);
        let peer = Peer { identity, address: "127.0.0.1:1".into() };
        let registry = Registry::new(&[peer]);
        let news = |code| registry.note_refusal(&identity, code, By::Us);
        let told: Vec<usize> = (1..=16).filter(|_| news(Code::OtherIdentity)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16]);
        assert!(news(Code::Twin) && news(Code::OtherIdentity));
        let stranger = KeyId([8; 32]);
        assert!((0..5).all(|_| registry.note_refusal(&stranger, Code::Twin, By::Them)));
    }
}
