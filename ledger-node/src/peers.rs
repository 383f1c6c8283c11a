//! The node among others: it passes on what the replica says, and brings it what they say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_api::problem::Problem;
use ledger_api::seals::{AskValidators, Refusals, RefusedPeer, Seal};
use ledger_api::{Shared, Term};
use ledger_format::block::Block;
use ledger_format::digest::{Hash, KeyId, sha256};
use ledger_format::genesis::GenesisDocument;
use ledger_format::message;
use ledger_format::validators::Validators;
use ledger_peer::{
    Audience, By, Certificate, Event, Events, Identity, Neighbours, Network, PeerStatus, Role,
    Settings,
};
use ledger_replica::{Addressed, Answer, Event as Heard, Lane, Message};
use ledger_verify::finding::{Code, Place, Refuted};

use crate::failure::Failure;
use crate::node::Options;
use crate::replica_loop::Arrival;
use crate::requests::{Requests, Wanted};

/// How often a thread that waits for peers looks whether the node is stopping.
const POLL: Duration = Duration::from_millis(250);

/// How the node meets others.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Where others connect; without it nobody does.
    pub listen: Option<std::net::SocketAddr>,
    /// Whom it dials, and which followers it lets in.
    pub neighbours: Neighbours,
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
    settings.neighbours.clone_from(&options.neighbours);
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
    let bytes = Bytes::from(message.encode());
    let _queued = network.broadcast(audience(message), lane(message), &bytes);
}

/// Followers take what was decided; what is being decided is of no use to them. What they pass on goes on over others where no
/// validator is connected.
const fn audience(message: &Message) -> Audience {
    if message.is_for_followers() {
        Audience::All
    } else if message.is_passed_on() {
        Audience::Towards
    } else {
        Audience::Validators
    }
}

const fn lane(message: &Message) -> ledger_peer::Lane {
    match message.lane() {
        Lane::Consensus => ledger_peer::Lane::Consensus,
        Lane::Blocks => ledger_peer::Lane::Blocks,
        Lane::Entries => ledger_peer::Lane::Entries,
    }
}

/// A node's way to validators' signatures.
#[derive(Debug)]
pub(crate) struct Asking(pub(crate) Network);

impl AskValidators for Asking {
    fn ask_for_seal(
        &self,
        height: u64,
        validators: &Validators,
        attempt: u32,
        askers: &BTreeSet<KeyId>,
    ) {
        // Heights are spread over nodes, and an attempt that failed goes on with the next one.
        let turn = height.wrapping_add(attempt.into());
        let mut connected = self.connected();
        connected.retain(|peer| !askers.contains(peer));
        if let Some(asked) = chosen(connected, validators, turn) {
            send(&self.0, &asked, &Message::want_seal(height));
        }
    }

    fn connected(&self) -> Vec<KeyId> {
        let peers = self.0.peers().into_iter().filter(|peer| peer.connected_since.is_some());
        peers.map(|peer| peer.identity).collect()
    }

    fn refused(&self) -> Vec<RefusedPeer> {
        let apart = self.0.peers().into_iter().filter(|peer| peer.connected_since.is_none());
        let refused = |peer: PeerStatus| {
            let (code, by) = peer.last_refusal?;
            let why = ledger_peer::CODES.iter().find(|known| known.code == code.as_str())?;
            Some(RefusedPeer { peer: peer.identity, by_us: by == By::Us, why })
        };
        apart.filter_map(refused).collect()
    }

    fn refusals(&self) -> Vec<Refusals> {
        let all = self.0.refusals().into_iter();
        let told = |((code, by), count): ((ledger_peer::Code, By), u64)| Refusals {
            code: code.as_str(),
            count,
            by_others: by == By::Them,
        };
        all.map(told).collect()
    }
}

/// Whose turn it is of those of a set that are connected, or of all where none of them is: others may reach one.
fn chosen(mut connected: Vec<KeyId>, set: &Validators, turn: u64) -> Option<KeyId> {
    let is_member = |peer: &KeyId| set.get(peer).is_some();
    if connected.iter().any(is_member) {
        connected.retain(is_member);
    }
    let count = u64::try_from(connected.len()).unwrap_or(u64::MAX).max(1);
    let next = usize::try_from(turn % count).unwrap_or_default();
    connected.get(next).copied()
}

/// Who refuses this process since another one has come as the same validator.
pub(crate) fn seen_twice(network: &Network) -> Vec<KeyId> {
    let refuses = |peer: &PeerStatus| {
        peer.connected_since.is_none()
            && peer.last_refusal == Some((ledger_peer::Code::Twin, By::Them))
    };
    network.peers().into_iter().filter(refuses).map(|peer| peer.identity).collect()
}

/// Answers nodes that asked for blocks or signatures, until the node stops. A validator signs the blocks that it gives away with its key.
pub(crate) fn answer_all(
    network: &Network,
    shared: &Shared,
    keys: &[SigningKey],
    requests: &Requests,
    stopping: &dyn Fn() -> bool,
) {
    while !stopping() {
        let Some((wanted, is_validator)) = requests.next(POLL) else { continue };
        // Who has gone, or does not take what it was given, gets no more. A validator's queue has bodies as well.
        let waiting = network.waiting(&wanted.to(), ledger_peer::Lane::Blocks);
        if waiting.is_none_or(|bytes| bytes > 0 && !is_validator) {
            continue;
        }
        match wanted {
            Wanted::Blocks { to, from } => match answer(shared, keys, from) {
                Ok(message) => send(network, &to, &message),
                // The node asks somebody else; this one's operator has to know.
                Err(error) => {
                    tracing::error!(code = %error.code, %error, from, "blocks cannot be read");
                }
            },
            // Of a height that is not here yet, or never will be, nothing is said: somebody else is asked.
            Wanted::Seal { height, .. } if height == 0 || height > shared.head().height => {}
            Wanted::Seal { to, height } => {
                if let Err(problem) = seal(network, shared, to, height) {
                    let (code, why) = (problem.code, problem.message);
                    tracing::error!(code, why, height, "a block cannot be signed for others");
                }
            }
        }
    }
}

/// Gives a node a validator's signatures of a block, or asks somebody else for them.
fn seal(network: &Network, shared: &Shared, to: KeyId, height: u64) -> Result<(), Problem> {
    let Some((validator, seal)) = shared.seal_for_others(height)? else {
        return shared.ask_for_others(to, height);
    };
    let Seal { log, cosignature, receipt } = seal;
    send(network, &to, &Message::seal(height, &validator, [log, cosignature, receipt]));
    Ok(())
}

/// Blocks from a height on, signed with the key by which others know this node: whoever is behind may still take it for a validator.
fn answer(shared: &Shared, keys: &[SigningKey], from: u64) -> Result<Message, Failure> {
    let is_member = |key: &&SigningKey| {
        let (id, ledger) = (ledger_client::keys::kid(key), shared.ledger());
        [ledger.validators(), ledger.next_validators()].iter().any(|set| set.get(&id).is_some())
    };
    let validator = keys.iter().find(is_member).or(keys.first());
    let (mut blocks, mut bytes, whole) = (Vec::new(), 0, Answer::default());
    let mut term = None;
    for height in (from..).take(whole.blocks) {
        let block = match stored(shared, height, validator.is_some(), &mut term) {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(error) if blocks.is_empty() => return Err(error),
            // What could be read is given.
            Err(error) => {
                tracing::error!(code = %error.code, %error, height, "blocks cannot be read");
                break;
            }
        };
        bytes += block.encode().len();
        blocks.push(block);
        if bytes >= whole.bytes {
            break;
        }
    }
    Ok(Message::blocks(&blocks, validator))
}

/// A block of the store. Before it is signed for, its certificate is checked: for a damaged one this validator would have to answer like
/// a forger.
fn stored(
    shared: &Shared,
    height: u64,
    is_signed_for: bool,
    term: &mut Option<Term>,
) -> Result<Option<Block>, Failure> {
    let Some(stored) = shared.store.block(height)? else { return Ok(None) };
    let block = crate::open::decode(&stored)?;
    if is_signed_for {
        let refused =
            |problem: Problem| Failure::block(format!("{}: {}", problem.code, problem.message));
        shared.check_certified(&block, term).map_err(refused)?;
    }
    Ok(Some(block))
}

/// Notes that a peer sent what may not follow, and logs it ever more seldom: who lies without end must not fill the disk. The status has
/// the number.
pub(crate) fn suspect(shared: &Shared, peer: KeyId, height: u64, why: Refuted) {
    let (code, told) = (why.code.as_str(), why.to_string());
    let times = shared.suspects.note(peer, height, why);
    if times.is_power_of_two() {
        tracing::warn!(%peer, height, code, why = told, times, "a node sent what may not follow; it was dropped");
    }
}

/// Notes that a validator's clock is too far ahead of this node's, and logs it ever more seldom: it may be so for days.
pub(crate) fn ahead(shared: &Shared, peer: KeyId, height: u64, ahead_ms: u64) {
    let times = shared.clocks.note(peer, ahead_ms);
    if times.is_power_of_two() {
        let ahead_s = ahead_ms / 1_000;
        let failure = Failure::clock(format!("height {height}"));
        tracing::warn!(code = %failure.code, %peer, height, ahead_s, times, help = %failure.help, "{}", failure.message);
    }
}

/// Brings the replica what peers say, and their entries to the intake, until the node stops.
pub(crate) fn listen(
    mut events: Events,
    network: &Network,
    shared: &Shared,
    arrivals: &SyncSender<Arrival>,
    requests: &Requests,
    stopping: &dyn Fn() -> bool,
) {
    while !stopping() {
        let event = match events.recv_timeout(POLL) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let heard = match event {
            // The transport has said so in the log, with the address.
            Event::Connected { peer, .. } => Heard::Connected(peer),
            Event::Disconnected { peer, .. } => Heard::Disconnected(peer),
            Event::Received { peer, bytes, .. } => {
                let Ok(message) = Message::decode(&bytes) else {
                    network.refuse(&peer);
                    continue;
                };
                let Some(message) = read(shared, requests, peer, message) else { continue };
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
    requests: &Requests,
    peer: KeyId,
    message: Message,
) -> Option<Box<Message>> {
    if let Some(height) = message.as_tip() {
        shared.is_durable_at(peer, height);
    }
    if shared.is_recovering() && message.is_report() {
        shared.has_reported(peer);
    }
    match message.addressed() {
        Addressed::Replica(message) => return Some(message),
        Addressed::Intake { entries, asked } => {
            if let Err(full) = shared.take_from_peer(peer, entries, asked) {
                // The peer says it again while the entries wait there.
                tracing::debug!(%peer, code = full.code, "entries of a peer were turned away");
            }
        }
        Addressed::WantSeal(height) => {
            requests.ask(Wanted::Seal { to: peer, height }, shared.is_validator(&peer));
        }
        Addressed::Seal { height, validator, signatures } => {
            let [log, cosignature, receipt] = *signatures;
            let seal = Seal { log, cosignature, receipt };
            match shared.take_seal(height, validator, &seal) {
                Ok(true) => {
                    for to in shared.seals.take_askers(height) {
                        requests.ask(Wanted::Seal { to, height }, shared.is_validator(&to));
                    }
                }
                Ok(false) => {
                    let detail = format!("{validator} did not sign this");
                    let why = Refuted::new(Code::Signature, Place::block(height), detail);
                    suspect(shared, peer, height, why);
                }
                // What this node cannot read is nobody else's fault.
                Err(Problem { code, message: why, .. }) => {
                    tracing::warn!(%peer, code, why, height, "a seal could not be checked");
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use ledger_event::Clock;
    use ledger_fixtures::World;

    use super::*;

    #[test]
    fn validators_of_the_height_are_asked_in_turn_and_others_only_where_none_of_them_is() {
        let world = World::new("asked", &[1, 1, 1], Clock::Wall);
        let asked = |connected: &[KeyId]| {
            [0, 1, 2].map(|turn| chosen(connected.to_vec(), world.set(), turn))
        };
        let (stranger, other) = (KeyId([8; 32]), KeyId([9; 32]));
        let (one, two) = (world.member(0).id, world.member(1).id);
        assert_eq!(asked(&[stranger, one, other, two]), [Some(one), Some(two), Some(one)]);
        assert_eq!(asked(&[stranger, other]), [Some(stranger), Some(other), Some(stranger)]);
        assert_eq!(asked(&[]), [None; 3]);
    }
}
