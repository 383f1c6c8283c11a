//! Who is connected: one connection of each identity.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use ledger_format::digest::{Hash, KeyId};
use ledger_proto::address::network_of;
use tokio_util::sync::CancellationToken;

use crate::code::{By, Code, Refusal};
use crate::hello::Sender;
use crate::local::{Local, Members};
use crate::session::{Counts, Failure, Session, Traffic, Why};
use crate::settings::{Lanes, Neighbours, Peer, Role};

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
pub(crate) struct Known {
    pub(crate) peer: Peer,
    /// Cancelled when the peer is not to be dialled there any more.
    pub(crate) forgotten: CancellationToken,
    /// Where it is, if the settings say so by an IP address.
    network: Option<IpAddr>,
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

#[derive(Debug)]
struct Sessions {
    neighbours: Neighbours,
    known: BTreeMap<KeyId, Arc<Known>>,
    live: BTreeMap<KeyId, Arc<Session>>,
    /// The last processes that connected as each validator, by the key of the certificate that a node makes when it starts.
    instances: BTreeMap<KeyId, Vec<Hash>>,
    /// Where the last good Hello of each validator, and of each node that the settings name, was from: where it dials from, and where
    /// it is dialled. Who is neither any more is forgotten when another one comes, so that there are never many.
    networks: BTreeMap<(KeyId, Sender), IpAddr>,
    stopped: bool,
}

impl Sessions {
    /// Takes up whom to dial from now on, and returns who is new or somewhere else.
    fn know(&mut self, stop: &CancellationToken) -> Vec<Arc<Known>> {
        let mut former = std::mem::take(&mut self.known);
        let mut fresh = Vec::new();
        for peer in &self.neighbours.peers {
            let before = former.remove(&peer.identity);
            let known = match before {
                Some(known) if known.peer == *peer => known,
                before => {
                    let counted = before.map(|known| {
                        known.forgotten.cancel();
                        Arc::clone(&known.traffic)
                    });
                    let live =
                        || self.live.get(&peer.identity).map(|live| Arc::clone(&live.traffic));
                    let known = Arc::new(Known {
                        peer: peer.clone(),
                        forgotten: stop.child_token(),
                        network: network(&peer.address),
                        traffic: counted.or_else(live).unwrap_or_default(),
                        refusals: Mutex::default(),
                    });
                    fresh.push(Arc::clone(&known));
                    known
                }
            };
            self.known.insert(peer.identity, known);
        }
        for known in former.values() {
            known.forgotten.cancel();
        }
        fresh
    }

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
    sessions: RwLock<Sessions>,
}

impl Registry {
    /// Nobody is known yet, nor let in.
    pub(crate) fn new() -> Self {
        Self {
            sessions: RwLock::new(Sessions {
                neighbours: Neighbours { max_followers: 0, ..Neighbours::knowing(Vec::new()) },
                known: BTreeMap::new(),
                live: BTreeMap::new(),
                instances: BTreeMap::new(),
                networks: BTreeMap::new(),
                stopped: false,
            }),
        }
    }

    /// Takes up whom the node dials and lets in from now on, and returns whom it has to begin to dial. Followers that are not allowed
    /// any more are sent away, and those begin anew that are named now or were; who else is connected stays so, since a validator has
    /// its place by the ledger.
    pub(crate) fn meet(&self, neighbours: Neighbours, stop: &CancellationToken) -> Vec<Arc<Known>> {
        let mut sessions = self.write();
        sessions.neighbours = neighbours;
        for session in sessions.live.values() {
            let is_named =
                sessions.neighbours.peers.iter().any(|peer| peer.identity == session.peer);
            let is_allowed = is_named || sessions.neighbours.allow(&session.peer);
            if session.role == Role::Follower && !is_allowed {
                session.end(Why::Refused { code: Code::NotAllowed, by: By::Us });
            } else if session.role == Role::Follower && session.is_bounded == is_named {
                session.end(Why::Changed);
            }
        }
        sessions.know(stop)
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

    /// Whether the settings name a node.
    pub(crate) fn is_known(&self, peer: &KeyId) -> bool {
        self.read().known.contains_key(peer)
    }

    /// Notes where a good Hello was from, if a validator or a node that the settings name has sent it.
    pub(crate) fn note_network(
        &self,
        (peer, sender): (KeyId, Sender),
        address: IpAddr,
        members: &Members,
    ) {
        let network = network_of(address);
        let sessions = self.read();
        let is_noted = sessions.networks.get(&(peer, sender)) == Some(&network);
        let counts = sessions.known.contains_key(&peer) || members(&peer).is_some();
        drop(sessions);
        if is_noted || !counts {
            return;
        }
        let mut sessions = self.write();
        let Sessions { networks, known, .. } = &mut *sessions;
        networks.insert((peer, sender), network);
        networks.retain(|(peer, _), _| known.contains_key(peer) || members(peer).is_some());
    }

    /// Whether a validator, or a node that the settings name, was or should be in the network of an address.
    pub(crate) fn is_familiar(&self, address: IpAddr) -> bool {
        let network = network_of(address);
        let sessions = self.read();
        sessions.networks.values().any(|one| *one == network)
            || sessions.known.values().any(|known| known.network == Some(network))
    }

    pub(crate) fn traffic(&self, peer: &KeyId) -> Arc<Traffic> {
        let known = self.read().known.get(peer).map(|known| Arc::clone(&known.traffic));
        known.unwrap_or_default()
    }

    /// Notes a refusal, and says whether it is news: of one that is repeated the first, second, fourth, eighth time and so on are. A
    /// peer that has another identity now is dialled for as long as the settings name it.
    pub(crate) fn note_refusal(&self, peer: &KeyId, code: Code, by: By) -> bool {
        let Some(known) = self.read().known.get(peer).cloned() else { return true };
        let mut refusals = known.refusals();
        if refusals.last.replace((code, by)) != Some((code, by)) {
            refusals.times = 0;
        }
        refusals.times = refusals.times.saturating_add(1);
        refusals.times.is_power_of_two()
    }

    /// Whether one more follower is taken. One that comes again takes its own place.
    pub(crate) fn may_enter(&self, peer: &KeyId, role: Role) -> Result<(), Refusal> {
        may_enter(&self.read(), peer, role)
    }

    /// Adds a connection, instead of an older one of the same identity. Whoever holds the key may do that, and a peer that lost its
    /// connection knows it sooner than this node.
    pub(crate) fn register(&self, local: &Local, session: &Arc<Session>) -> Result<(), Failure> {
        let mut sessions = self.write();
        if sessions.stopped {
            return Err(Failure::Ended(Why::Stopped));
        }
        // Others may have come since the Hello was answered, and the validators may have changed.
        may_enter(&sessions, &session.peer, session.role)?;
        if !local.is_current(session) {
            return Err(Failure::Ended(Why::Changed));
        }
        sessions.note_instance(session)?;
        if let Some(known) = sessions.known.get(&session.peer) {
            *known.refusals() = Repeated::default();
        }
        if let Some(older) = sessions.live.insert(session.peer, Arc::clone(session)) {
            older.end(Why::Replaced);
            older.left.cancel();
            local.inbox.end(older.peer, older.number, Why::Replaced);
        }
        // Under the lock, so that the consumer sees connections in the order in which they replace each other.
        let bounds = *local.settings.receive_queues(session.is_bounded);
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
            let (known, live) = (sessions.known.get(identity), sessions.live.get(identity));
            let came_from = || live.map(|live| live.link.remote.to_string()).unwrap_or_default();
            let traffic = known.map(|known| &known.traffic).or(live.map(|live| &live.traffic));
            PeerStatus {
                identity: *identity,
                role: live.map(|live| live.role),
                address: known.map_or_else(came_from, |known| known.peer.address.clone()),
                connected_since: live.map(|live| live.since),
                height: live.map(|live| live.height),
                counts: traffic.map(|traffic| traffic.counts()).unwrap_or_default(),
                last_refusal: known.and_then(|known| known.refusals().last),
            }
        };
        let others = sessions.live.keys().filter(|peer| !sessions.known.contains_key(*peer));
        sessions.known.keys().chain(others).map(status).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Sessions> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sessions> {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network of an address that is no name. Names are not looked up: whoever answers for them would say who is familiar.
fn network(address: &str) -> Option<IpAddr> {
    address.parse::<SocketAddr>().ok().map(|address| network_of(address.ip()))
}

/// A node that the settings name has its place, also while it is a follower to this node: one of the two may be behind.
fn may_enter(sessions: &Sessions, peer: &KeyId, role: Role) -> Result<(), Refusal> {
    if sessions.known.contains_key(peer) {
        return Ok(());
    }
    if role == Role::Follower && !sessions.neighbours.allow(peer) {
        return Err(Refusal::new(Code::NotAllowed, format!("{peer} is not listed")));
    }
    let others = sessions.live.values().filter(|other| other.peer != *peer);
    let followers = others
        .filter(|other| other.role == Role::Follower && !sessions.known.contains_key(&other.peer))
        .count();
    if role == Role::Follower && followers >= sessions.neighbours.max_followers {
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
        let registry = Registry::new();
        registry.meet(Neighbours::knowing(vec![peer]), &CancellationToken::new());
        let news = |code| registry.note_refusal(&identity, code, By::Us);
        let told: Vec<usize> = (1..=16).filter(|_| news(Code::OtherIdentity)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16]);
        assert!(news(Code::Twin) && news(Code::OtherIdentity));
        let stranger = KeyId([8; 32]);
        assert!((0..5).all(|_| registry.note_refusal(&stranger, Code::Twin, By::Them)));
    }

    #[test]
    fn networks_of_validators_and_of_named_nodes_are_familiar() {
        let (named, member, other) = (KeyId([1; 32]), KeyId([2; 32]), KeyId([3; 32]));
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let peer = |address: &str| Peer { identity: named, address: address.into() };
        let registry = Registry::new();
        let meet =
            |peers| drop(registry.meet(Neighbours::knowing(peers), &CancellationToken::new()));
        meet(vec![peer("[2001:db8::1]:7441")]);
        assert!(registry.is_familiar("2001:db8::2".parse().unwrap()));
        meet(vec![peer("10.0.0.1:7441")]);
        assert!(registry.is_familiar(address(1)) && !registry.is_familiar(address(2)));
        meet(vec![peer("node.example:7441")]);
        assert!(!registry.is_familiar(address(1)));

        let note = |peer, n, now: KeyId| {
            let members = move |peer: &KeyId| (*peer == now).then_some([0; 32]);
            registry.note_network((peer, Sender::Dialler), address(n), &members);
            registry.is_familiar(address(n))
        };
        assert!(note(named, 3, member) && note(member, 4, member) && !note(other, 5, member));
        // It has moved, and is taken out of the set.
        assert!(note(member, 6, member) && !registry.is_familiar(address(4)));
        assert!(note(other, 7, other) && !registry.is_familiar(address(6)));
        assert!(registry.is_familiar(address(3)));
    }
}
