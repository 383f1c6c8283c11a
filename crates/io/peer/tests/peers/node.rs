//! Nodes of a ledger of eight validators, with their events.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_format::digest::{KeyId, LedgerId};
use ledger_peer::{
    By, Certificate, Code, Event, Events, Identity, Lane, Neighbours, Network, Peer, Role,
    Settings, Why,
};
use tokio::time::timeout;

/// Nothing in these tests takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const LEDGER: LedgerId = LedgerId([7; 32]);
pub(crate) const LIMITS: [u8; 32] = [9; 32];
const VALIDATORS: u8 = 8;

/// The validators' keys, ascending by identity.
pub(crate) fn validators() -> Vec<SigningKey> {
    let mut keys: Vec<_> = (1..=VALIDATORS).map(|n| SigningKey::from_bytes(&[n; 32])).collect();
    keys.sort_by_key(id);
    keys
}

/// The key of a follower.
pub(crate) fn follower(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[100 + number; 32])
}

pub(crate) fn id(key: &SigningKey) -> KeyId {
    KeyId::of(key.verifying_key().as_bytes())
}

pub(crate) fn settings() -> Settings {
    Settings { listen: Some(([127, 0, 0, 1], 0).into()), ..Settings::new(LEDGER, LIMITS) }
}

/// The same, of a node that knows `peers`.
pub(crate) fn knowing(peers: &[Peer]) -> Settings {
    Settings { neighbours: Neighbours::knowing(peers.to_vec()), ..settings() }
}

/// A running node.
pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) events: Events,
    /// Payloads that came while another was waited for.
    pub(crate) words: Vec<Bytes>,
}

impl Node {
    pub(crate) async fn start(key: &SigningKey, role: Role, settings: Settings) -> Self {
        let certificate = Certificate::fresh().unwrap();
        let identity = Identity { keys: vec![key.clone()], role, certificate };
        let members = |peer: &KeyId| {
            let keys = validators();
            let key = keys.iter().find(|key| id(key) == *peer);
            key.map(|key| *key.verifying_key().as_bytes())
        };
        let (network, events) = Network::start(settings, identity, members, || 42).await.unwrap();
        Self { network, events, words: Vec::new() }
    }

    /// A validator that knows `peers`.
    pub(crate) async fn validator(key: &SigningKey, peers: &[Peer]) -> Self {
        Self::start(key, Role::Validator, knowing(peers)).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.network.local_addr().unwrap()
    }

    pub(crate) fn id(&self) -> KeyId {
        self.network.identity()
    }

    pub(crate) fn as_peer(&self) -> Peer {
        Peer { identity: self.id(), address: self.address().to_string() }
    }

    /// The next event for which `wanted` has an answer; those before it are passed over.
    pub(crate) async fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the transport runs");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("the event comes in time")
    }

    pub(crate) async fn connected(&mut self, with: &KeyId) -> (Role, u64) {
        self.until(|event| match event {
            Event::Connected { peer, role, height } if peer == with => Some((*role, *height)),
            _ => None,
        })
        .await
    }

    pub(crate) async fn disconnected(&mut self, from: &KeyId) -> Why {
        self.until(|event| match event {
            Event::Disconnected { peer, why } if peer == from => Some(*why),
            _ => None,
        })
        .await
    }

    pub(crate) async fn received(&mut self, from: &KeyId, through: Lane) -> Bytes {
        self.until(|event| match event {
            Event::Received { peer, lane, bytes } if peer == from && *lane == through => {
                Some(bytes.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits until a code was counted.
    pub(crate) async fn counted(&self, code: Code, by: By) {
        let counted = async {
            while !self.network.refusals().contains_key(&(code, by)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = timeout(PATIENCE, counted).await.is_ok();
        assert!(in_time, "{code} by {by:?} in {:?}", self.network.refusals());
    }
}

/// Two validators that are connected, the one with the smaller identity first.
pub(crate) async fn pair() -> (Node, Node) {
    pair_with(settings()).await
}

/// The same with settings for both.
pub(crate) async fn pair_with(settings: Settings) -> (Node, Node) {
    let keys = validators();
    let mut greater = Node::start(&keys[1], Role::Validator, settings.clone()).await;
    let neighbours = Neighbours::knowing(vec![greater.as_peer()]);
    let settings = Settings { neighbours, ..settings };
    let mut smaller = Node::start(&keys[0], Role::Validator, settings).await;
    smaller.connected(&greater.id()).await;
    greater.connected(&smaller.id()).await;
    (smaller, greater)
}

/// That two nodes are still connected, and hear each other.
pub(crate) async fn still_exchange(one: &mut Node, other: &mut Node) {
    for (lane, word) in [(Lane::Consensus, "vote"), (Lane::Entries, "entry")] {
        assert!(one.network.send(&other.id(), lane, Bytes::from(word)));
        assert!(other.network.send(&one.id(), lane, Bytes::from(word)));
        assert_eq!(one.received(&other.id(), lane).await, word);
        assert_eq!(other.received(&one.id(), lane).await, word);
    }
}
