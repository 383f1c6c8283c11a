//! The node among others: it passes on what the replica says, and brings it what they say.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_api::Shared;
use ledger_format::block::Block;
use ledger_format::digest::{Hash, KeyId, sha256};
use ledger_format::genesis::GenesisDocument;
use ledger_format::message;
use ledger_peer::{Audience, Certificate, Event, Events, Identity, Network, Role, Settings};
use ledger_replica::{Event as Heard, Lane, Message};
use ledger_verify::block::check_certificate;

use crate::failure::Failure;
use crate::node::Options;
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
    options: &Options,
    keys: Vec<SigningKey>,
    shared: &Arc<Shared>,
) -> Result<(Network, Events), Failure> {
    let Options { peers: options, is_follower, .. } = options;
    let genesis = &shared.genesis;
    let mut settings = Settings::new(genesis.id(), limits_hash(genesis));
    settings.listen = options.listen;
    settings.peers.clone_from(&options.peers);
    settings.max_followers = options.max_followers;
    let role = if *is_follower { Role::Follower } else { Role::Validator };
    let identity = Identity { keys, role, certificate: Certificate::fresh()? };
    let (members, heights) = (Arc::clone(shared), Arc::clone(shared));
    // Who is about to come in is heard already: it has a say at the height after the next.
    let vote_key = move |id: &KeyId| {
        let ledger = members.ledger();
        let member = ledger.validators().get(id).or_else(|| ledger.next_validators().get(id));
        member.map(|member| member.vote_key)
    };
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

/// Answers nodes that asked for blocks, until the replica's loop is gone.
/// A validator signs what it gives away with its key.
pub(crate) fn answer_all(
    network: &Network,
    shared: &Shared,
    keys: &[SigningKey],
    wanted: &Receiver<(KeyId, u64)>,
) {
    while let Ok((to, from)) = wanted.recv() {
        match answer(shared, keys, from) {
            Ok(message) => send(network, &to, &message),
            // The node asks somebody else; this one's operator has to know.
            Err(error) => {
                tracing::error!(code = %error.code, %error, from, "blocks cannot be read");
            }
        }
    }
}

/// Blocks from a height on, signed with the key by which others know this node: whoever is behind may still take it for a validator.
fn answer(shared: &Shared, keys: &[SigningKey], from: u64) -> Result<Message, Failure> {
    let is_member = |key: &&SigningKey| {
        let (id, ledger) = (ledger_client::keys::kid(key), shared.ledger());
        [ledger.validators(), ledger.next_validators()].iter().any(|set| set.get(&id).is_some())
    };
    let validator = keys.iter().find(is_member).or(keys.first());
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    for height in from..from.saturating_add(ANSWER_BLOCKS) {
        let Some(stored) = shared.store.block(height)? else { break };
        let block = crate::open::decode(&stored)?;
        if validator.is_some() {
            check_stored(shared, &block)?;
        }
        bytes += block.body.entries.iter().map(Bytes::len).sum::<usize>();
        blocks.push(block);
        if bytes >= ANSWER_BYTES {
            break;
        }
    }
    Ok(Message::blocks(&blocks, validator))
}

/// Checks what the disk says before this validator signs for it: for a damaged certificate it would have to answer like a forger.
fn check_stored(shared: &Shared, block: &Block) -> Result<(), Failure> {
    let validators = shared.ledger().validators().clone();
    let header = &block.body.header;
    // Of a set that is not at hand, the store's own checksums have to do.
    if header.validators == validators.hash() {
        check_certificate(&validators, header, &block.certificate)?;
    }
    Ok(())
}

/// Brings the replica what peers say, and their entries to the intake, until the node stops.
pub(crate) fn listen(
    mut events: Events,
    shared: &Shared,
    arrivals: &SyncSender<Arrival>,
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
                let Some(message) = read(shared, peer, lane, &bytes) else { continue };
                Heard::Received { from: peer, message: *message }
            }
        };
        if arrivals.send(Arrival::Peers(Box::new(heard))).is_err() {
            break;
        }
    }
}

/// A message for the replica; entries go to the intake, like a client's.
fn read(
    shared: &Shared,
    peer: KeyId,
    lane: ledger_peer::Lane,
    bytes: &Bytes,
) -> Option<Box<Message>> {
    let Ok(message) = Message::decode(bytes) else {
        tracing::warn!(%peer, ?lane, bytes = bytes.len(), "a peer sent no message of this version");
        return None;
    };
    match message.into_entries() {
        Ok(entries) => {
            if let Err(full) = shared.take_from_peer(peer, entries) {
                // The peer says it again while the entries wait there.
                tracing::debug!(%peer, code = full.code, "entries of a peer were turned away");
            }
            None
        }
        Err(message) => Some(message),
    }
}
