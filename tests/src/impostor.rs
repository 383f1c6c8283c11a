//! A validator's key in other hands: a peer that says with it whatever a test wants, to real nodes.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_client::{ClientError, keys};
use ledger_format::block::Block;
use ledger_format::digest::{BlockHash, KeyId, LedgerId, sha256};
use ledger_format::genesis::GenesisDocument;
use ledger_format::genesis_file::GenesisFile;
use ledger_format::message;
use ledger_format::vote::{VoteStep, proposal_bytes, vote_bytes};
use ledger_peer::{
    By, Certificate, Code, Event, Events, Identity, Lane, Network, Peer, Role, Settings,
};
use ledger_replica::{Message, Statement, StatementKind};
use tokio::task::JoinHandle;

use crate::network::Exchanges;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A peer with the vote key of a node that is down.
#[derive(Debug)]
pub struct Impostor {
    key: SigningKey,
    ledger: LedgerId,
    network: Network,
    /// The node that hears everything it says.
    hearer: KeyId,
    said: Arc<Mutex<Vec<Bytes>>>,
    repeating: JoinHandle<()>,
}

/// Takes a node's place in the network.
fn enter(exchanges: &Exchanges, node: usize) -> (SigningKey, LedgerId, Network, Events) {
    let path = exchanges.path(node);
    let refuse = || Err(ClientError::key("not encrypted"));
    let key = keys::read(&path.join("keys/vote.pem"), refuse).expect("a key");
    let file = fs::read(path.join("genesis")).expect("a genesis file");
    let genesis = GenesisFile::decode(file.into()).expect("a genesis file").document;
    let settings = settings(&path, &genesis, &keys::kid(&key));
    let ledger = genesis.id();
    let identity = Identity {
        keys: vec![key.clone()],
        role: Role::Validator,
        certificate: Certificate::fresh().expect("a certificate"),
    };
    let vote_key = move |id: &KeyId| genesis.validators().get(id).map(|m| m.vote_key);
    let started = Network::start(settings, identity, vote_key, || 0);
    let (network, events) = exchanges.runtime.block_on(started).expect("a network");
    (key, ledger, network, events)
}

impl Impostor {
    /// Takes a node's place, and waits until it is connected with a validator.
    pub fn of(exchanges: &Exchanges, node: usize) -> Self {
        let (key, ledger, network, mut events) = enter(exchanges, node);
        let connected = async {
            loop {
                let event = events.recv().await.expect("the network runs");
                // Votes concern validators: a follower does not listen to them.
                if let Event::Connected { peer, role: Role::Validator, .. } = event {
                    break peer;
                }
            }
        };
        let connected = async { tokio::time::timeout(PATIENCE, connected).await };
        let hearer = exchanges.runtime.block_on(connected).expect("somebody connects");
        let said = Arc::<Mutex<Vec<Bytes>>>::default();
        let repeating =
            exchanges.runtime.spawn(repeat(network.clone(), events, hearer, Arc::clone(&said)));
        Self { key, ledger, network, hearer, said, repeating }
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.network.identity()
    }

    /// Gives the place back.
    pub fn leave(self, exchanges: &Exchanges) {
        exchanges.runtime.block_on(self.network.stop());
        self.repeating.abort();
    }

    /// Signs a statement.
    pub fn state(
        &self,
        height: u64,
        round: u32,
        kind: StatementKind,
        block: Option<BlockHash>,
    ) -> Message {
        let vote = |step| vote_bytes(&self.ledger, step, height, round, block.as_ref());
        let bytes = match kind {
            StatementKind::Prevote => vote(VoteStep::Prevote),
            StatementKind::Precommit => vote(VoteStep::Precommit),
            StatementKind::Proposal { valid_round } => {
                let block = block.expect("a proposal names a block");
                proposal_bytes(&self.ledger, height, round, valid_round, &block)
            }
        };
        let (validator, signature) = (self.id(), self.key.sign(&bytes).to_bytes());
        let statement = Statement { height, round, kind, block, validator, signature };
        Message::stating(&statement).expect("a statement")
    }

    /// Says something to one of the validators, the same one each time, who hears it even if the connection is another one soon.
    pub fn say(&self, message: &Message) {
        let bytes = Bytes::from(message.encode());
        let mut said = self.said.lock().expect("nobody panics with it");
        said.push(bytes.clone());
        let _at_once = self.network.send(&self.hearer, Lane::Consensus, bytes);
    }
}

impl Impostor {
    /// Sends one of the validators bytes that are no message.
    pub fn babble(&self) {
        let _queued = self.network.send(&self.hearer, Lane::Consensus, Bytes::from_static(b"?"));
    }

    /// Whether it was refused with a code.
    pub fn was_refused(&self, code: Code) -> bool {
        self.network.refusals().contains_key(&(code, By::Them))
    }

    /// Frames of a flood that were queued for the validator which still hears it; `None` when it does no more.
    pub fn heard(&self) -> Option<u64> {
        let peers = self.network.peers().into_iter();
        let mut hearers =
            peers.filter(|peer| peer.identity == self.hearer && peer.connected_since.is_some());
        hearers.next().map(|peer| peer.counts.get(Lane::Entries).sent)
    }

    /// Sends the same to one of the validators as fast as it is taken, until the task is aborted: made-up prevotes in that validator's
    /// own name, which cost most to check.
    pub fn flood(&self, exchanges: &Exchanges, height: u64) -> JoinHandle<()> {
        let (network, hearer) = (self.network.clone(), self.hearer);
        let bytes = Bytes::from(false_polka(height, &hearer));
        exchanges.runtime.spawn(async move {
            loop {
                // Frames of this lane are dropped when the queue is full, and the connection stays.
                if !network.send(&hearer, Lane::Entries, bytes.clone()) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        })
    }
}

/// A certificate of prevotes that one validator has signed four times, with signatures of nobody.
fn false_polka(height: u64, validator: &KeyId) -> Vec<u8> {
    let (said, polka, signatures) = (0_u32, 2_u32, 4_u64);
    let mut bytes = said.to_be_bytes().to_vec();
    bytes.extend(height.to_be_bytes());
    bytes.extend(polka.to_be_bytes());
    // Some round: the first one.
    bytes.extend([1, 0, 0, 0, 0]);
    bytes.extend([7; 32]);
    bytes.extend(signatures.to_be_bytes());
    for _ in 0..signatures {
        bytes.extend(validator.0);
        bytes.extend([1; 64]);
    }
    assert!(Message::decode(&bytes).is_ok());
    bytes
}

/// Says everything again to the one that hears it when it is connected anew, as whoever wants to be heard has to ([`Event::Connected`]).
async fn repeat(network: Network, mut events: Events, hearer: KeyId, said: Arc<Mutex<Vec<Bytes>>>) {
    while let Some(event) = events.recv().await {
        if !matches!(event, Event::Connected { peer, .. } if peer == hearer) {
            continue;
        }
        for bytes in said.lock().expect("nobody panics with it").iter() {
            let _at_once = network.send(&hearer, Lane::Consensus, bytes.clone());
        }
    }
}

/// A peer with the vote key of a node that is down, which gives away as decided whatever blocks it was given, signed.
#[derive(Debug)]
pub struct Giver {
    network: Network,
    giving: JoinHandle<()>,
}

impl Giver {
    /// Takes a node's place. It claims to have one block more than it has.
    pub fn of(exchanges: &Exchanges, node: usize, blocks: Vec<Block>) -> Self {
        let (key, _, network, mut events) = enter(exchanges, node);
        let said = network.clone();
        let claimed = u64::try_from(blocks.len()).expect("few blocks") + 1;
        let giving = exchanges.runtime.spawn(async move {
            while let Some(event) = events.recv().await {
                let (to, lane, answer) = match event {
                    Event::Connected { peer, .. } => (peer, Lane::Consensus, Message::tip(claimed)),
                    Event::Received { peer, bytes, .. } => {
                        let wanted = Message::decode(&bytes).ok().and_then(|m| m.wanted_blocks());
                        let Some(from) = wanted else { continue };
                        let known = usize::try_from(from).expect("few blocks") - 1;
                        let blocks = blocks.iter().skip(known);
                        (peer, Lane::Blocks, Message::blocks(blocks, Some(&key)))
                    }
                    Event::Disconnected { .. } => continue,
                };
                let _queued = said.send(&to, lane, answer.encode().into());
            }
        });
        Self { network, giving }
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.network.identity()
    }

    /// Gives the place back.
    pub fn leave(self, exchanges: &Exchanges) {
        exchanges.runtime.block_on(self.network.stop());
        self.giving.abort();
    }
}

/// The settings of a node's own configuration.
fn settings(path: &Path, genesis: &GenesisDocument, own: &KeyId) -> Settings {
    let text = fs::read_to_string(path.join("config.toml")).expect("a configuration");
    let texts: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    let peers = texts.iter().filter_map(|text| text.split_once('@')).map(|(id, address)| Peer {
        identity: KeyId::from_hex(id).expect("an identity"),
        address: address.to_owned(),
    });
    let limits = sha256(&[b"ledger/limits/v1\0", &message::encode(genesis.limits())]);
    let mut settings = Settings::new(genesis.id(), limits);
    settings.listen = texts.get(2).map(|address| address.parse().expect("an address"));
    settings.neighbours.peers = peers.filter(|peer| peer.identity != *own).collect();
    settings
}
