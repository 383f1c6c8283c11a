//! The node among others: it passes on what the replica says, and brings it what they say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_api::Shared;
use ledger_api::seals::{AskValidators, Seal};
use ledger_format::digest::{Hash, KeyId, sha256};
use ledger_format::genesis::GenesisDocument;
use ledger_format::message;
use ledger_peer::{Audience, Certificate, Event, Events, Identity, Network, Role, Settings};
use ledger_replica::{Addressed, Event as Heard, Lane, Message};

use crate::failure::Failure;
use crate::replica_loop::Arrival;

/// How often a thread that waits for peers looks whether the node is stopping.
const POLL: Duration = Duration::from_millis(250);
/// Bytes of blocks in one answer, beyond which no further block is added.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Blocks in one answer.
const ANSWER_BLOCKS: u64 = 1_024;

/// How the node meets others.
#[derive(Clone, Debug, Default)]
pub struct PeerOptions {
    /// Where others connect; without it nobody does.
    pub listen: Option<std::net::SocketAddr>,
    /// Validators that the node knows.
    pub peers: Vec<ledger_peer::Peer>,
    /// Followers that may be connected at one time.
    pub max_followers: usize,
    /// Followers that may connect; without a list anybody may.
    pub allowed_followers: Option<BTreeSet<KeyId>>,
}

/// SHA-256 over what all nodes of a ledger have to agree on beside its id: nodes whose limits differ must not meet.
fn limits_hash(genesis: &GenesisDocument) -> Hash {
    sha256(&[b"ledger/limits/v1\0", &message::encode(genesis.limits())])
}

/// Listens and dials.
///
/// # Errors
/// `PEER_LISTEN` and its kin.
pub(crate) async fn start(
    options: &PeerOptions,
    key: SigningKey,
    shared: &Arc<Shared>,
) -> Result<(Network, Events), Failure> {
    let genesis = &shared.genesis;
    let mut settings = Settings::new(genesis.id(), limits_hash(genesis));
    settings.listen = options.listen;
    settings.peers.clone_from(&options.peers);
    settings.max_followers = options.max_followers;
    settings.allowed_followers.clone_from(&options.allowed_followers);
    let id = KeyId::of(key.verifying_key().as_bytes());
    let is_validator = shared.ledger().validators().get(&id).is_some();
    settings.peers.retain(|peer| peer.identity != id);
    let role = if is_validator { Role::Validator } else { Role::Follower };
    let identity = Identity { key, role, certificate: Certificate::fresh()? };
    let (members, heights) = (Arc::clone(shared), Arc::clone(shared));
    let vote_key =
        move |id: &KeyId| members.ledger().validators().get(id).map(|member| member.vote_key);
    let network = Network::start(settings, identity, vote_key, move || heights.head().height);
    Ok(network.await?)
}

/// Sends a message of the replica.
pub(crate) fn send(network: &Network, to: &KeyId, message: &Message) {
    // What does not arrive is asked for, or said again when the connection begins anew.
    let _queued = network.send(to, lane(message), Bytes::from(message.encode()));
}

/// Sends a message of the replica to everybody who may want it.
pub(crate) fn broadcast(network: &Network, message: &Message) {
    if network.is_alone() {
        return;
    }
    // Followers take what was decided; what is being decided is of no use to them.
    let audience = if message.is_for_followers() { Audience::All } else { Audience::Validators };
    let _queued = network.broadcast(audience, lane(message), &Bytes::from(message.encode()));
}

const fn lane(message: &Message) -> ledger_peer::Lane {
    match message.lane() {
        Lane::Consensus => ledger_peer::Lane::Consensus,
        Lane::Blocks => ledger_peer::Lane::Blocks,
        Lane::Entries => ledger_peer::Lane::Entries,
    }
}

/// What another node asked for. Whoever reads it for others must not hold up the replica.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Blocks from a height on.
    Blocks {
        /// Who asked.
        to: KeyId,
        /// The first height.
        from: u64,
    },
    /// This validator's signatures of a block.
    Seal {
        /// Who asked.
        to: KeyId,
        /// The block's height.
        height: u64,
    },
}

/// A follower's way to validators' signatures.
#[derive(Debug)]
pub(crate) struct Asking(pub(crate) Network);

impl AskValidators for Asking {
    fn ask_for_seal(&self, height: u64, attempt: u32) {
        let peers = self.0.peers().into_iter();
        let connected = peers.filter(|peer| peer.role == Some(Role::Validator));
        let validators: Vec<KeyId> = connected.map(|peer| peer.identity).collect();
        // Heights are spread over validators, and an attempt that failed goes on with the next one.
        let turn = height.wrapping_add(attempt.into());
        let count = u64::try_from(validators.len()).unwrap_or(u64::MAX).max(1);
        let next = usize::try_from(turn % count).unwrap_or_default();
        if let Some(validator) = validators.get(next) {
            send(&self.0, validator, &Message::want_seal(height));
        }
    }
}

/// Answers nodes that asked for blocks or signatures, until nobody can ask any more.
pub(crate) fn answer_all(network: &Network, shared: &Shared, wanted: &Receiver<Wanted>) {
    while let Ok(wanted) = wanted.recv() {
        match wanted {
            Wanted::Blocks { to, from } => match answer(shared, from) {
                Ok(message) => send(network, &to, &message),
                // The node asks somebody else; this one's operator has to know.
                Err(error) => {
                    tracing::error!(code = %error.code, %error, from, "blocks cannot be read");
                }
            },
            Wanted::Seal { to, height } => {
                if let Some(Seal { log, cosignature, receipt }) = shared.seal_for_others(height) {
                    let seal = Message::seal(height, [log, cosignature, receipt]);
                    send(network, &to, &seal);
                }
            }
        }
    }
}

fn answer(shared: &Shared, from: u64) -> Result<Message, Failure> {
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    for height in from..from.saturating_add(ANSWER_BLOCKS) {
        let Some(stored) = shared.store.block(height)? else { break };
        let block = crate::open::decode(&stored)?.encode();
        bytes += block.len();
        blocks.push(block);
        if bytes >= ANSWER_BYTES {
            break;
        }
    }
    Ok(Message::blocks(blocks))
}

/// Brings the replica what peers say, and their entries to the intake, until the node stops.
pub(crate) fn listen(
    mut events: Events,
    shared: &Shared,
    arrivals: &SyncSender<Arrival>,
    wanted: &SyncSender<Wanted>,
    stopping: &dyn Fn() -> bool,
) {
    while !stopping() {
        let event = match events.recv_timeout(POLL) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let heard = match event {
            Event::Connected { peer, role, height } => {
                tracing::info!(%peer, ?role, height, "peer connected");
                Heard::Connected(peer)
            }
            Event::Disconnected { peer, why } => {
                tracing::info!(%peer, ?why, "peer disconnected");
                Heard::Disconnected(peer)
            }
            Event::Received { peer, lane, bytes } => {
                let Some(message) = read(shared, wanted, peer, lane, &bytes) else { continue };
                Heard::Received { from: peer, message: *message }
            }
        };
        if arrivals.send(Arrival::Peers(Box::new(heard))).is_err() {
            break;
        }
    }
}

/// A message for the replica; what is for others in the node goes to them.
fn read(
    shared: &Shared,
    wanted: &SyncSender<Wanted>,
    peer: KeyId,
    lane: ledger_peer::Lane,
    bytes: &Bytes,
) -> Option<Box<Message>> {
    let Ok(message) = Message::decode(bytes) else {
        tracing::warn!(%peer, ?lane, bytes = bytes.len(), "a peer sent no message of this version");
        return None;
    };
    if let Some(height) = message.as_tip() {
        shared.is_durable_at(peer, height);
    }
    match message.addressed() {
        Addressed::Replica(message) => return Some(message),
        Addressed::Intake(entries) => {
            if let Err(full) = shared.take_from_peer(peer, entries) {
                // The peer says it again while the entries wait there.
                tracing::debug!(%peer, code = full.code, "entries of a peer were turned away");
            }
        }
        Addressed::WantSeal(height) => {
            // Too many ask: this one asks again, or somebody else.
            let _busy = wanted.try_send(Wanted::Seal { to: peer, height });
        }
        Addressed::Seal { height, signatures: [log, cosignature, receipt] } => {
            if !shared.take_seal(peer, height, Seal { log, cosignature, receipt }) {
                tracing::warn!(%peer, height, "a peer sent signatures that are not its own; they were dropped");
            }
        }
    }
    None
}
