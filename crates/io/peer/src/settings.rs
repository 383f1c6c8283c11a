//! What a node's transport is started with, and why it may not start.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use ledger_format::digest::{Hash, KeyId, LedgerId};

use crate::certificate::Certificate;
use crate::code::Code;

/// What a node is on its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A member of the validator set.
    Validator,
    /// Anybody who follows the ledger.
    Follower,
}

/// Queues of one connection, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Votes, proposals of a block again and what completes them; requests for bodies and blocks.
    Consensus,
    /// Bodies of proposed blocks, the proposals that follow them, and blocks of the past, which validators sign when they give them away.
    Blocks,
    /// Entries on their way to a proposer and refusals of them; requests for signatures of a block, these signatures, and evidence.
    Entries,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 3] = [Self::Consensus, Self::Blocks, Self::Entries];
}

/// One value for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes<T> {
    /// Of [`Lane::Consensus`].
    pub consensus: T,
    /// Of [`Lane::Blocks`].
    pub blocks: T,
    /// Of [`Lane::Entries`].
    pub entries: T,
}

impl<T> Lanes<T> {
    /// The value of a lane.
    pub const fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Consensus => &self.consensus,
            Lane::Blocks => &self.blocks,
            Lane::Entries => &self.entries,
        }
    }

    pub(crate) const fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Consensus => &mut self.consensus,
            Lane::Blocks => &mut self.blocks,
            Lane::Entries => &mut self.entries,
        }
    }
}

/// How much one queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Frames.
    pub frames: usize,
    /// Bytes of all frames together.
    pub bytes: usize,
}

/// Who this node is to others.
///
/// One of the keys signs each connection; the certificate is what TLS uses, and any will do.
#[derive(Debug)]
pub struct Identity {
    /// Vote keys of a validator, or any key of a follower. The first that is a validator's now counts; without one the first, and
    /// the node is a follower until one is.
    pub keys: Vec<SigningKey>,
    /// The most that the node claims to be.
    pub role: Role,
    /// What TLS uses; [`Certificate::fresh`] makes one.
    pub certificate: Certificate,
}

/// A node that this one knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who has to answer there.
    pub identity: KeyId,
    /// Host name or IP address, a colon, and the port.
    pub address: String,
}

/// Whom a node dials, and which followers it lets in. Validators are let in as the ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// Nodes that this one knows. A follower dials all of them; a validator those with a greater identity than its own, and the others
    /// too when they have not dialled within [`Settings::max_backoff`].
    pub peers: Vec<Peer>,
    /// Followers connected to this node at one time.
    pub max_followers: usize,
    /// Followers that may connect; without a list anybody may.
    pub allowed_followers: Option<BTreeSet<KeyId>>,
}

impl Neighbours {
    /// A node that knows `peers` and lets anybody follow, up to 16.
    pub const fn knowing(peers: Vec<Peer>) -> Self {
        Self { peers, max_followers: 16, allowed_followers: None }
    }

    /// Whether a follower may connect at all, when there is a place.
    pub(crate) fn allow(&self, follower: &KeyId) -> bool {
        self.allowed_followers.as_ref().is_none_or(|listed| listed.contains(follower))
    }

    /// Whether a node can be started with them, or take them up.
    ///
    /// # Errors
    /// `PEER_SETTINGS`.
    pub fn check(&self) -> Result<(), PeerError> {
        let mut identities: Vec<_> = self.peers.iter().map(|peer| peer.identity).collect();
        identities.sort_unstable();
        let twice = identities.iter().zip(identities.iter().skip(1)).find(|(a, b)| a == b);
        twice.map_or(Ok(()), |(identity, _)| {
            Err(PeerError::Settings(format!("two peers have the identity {identity}")))
        })
    }
}

/// Settings of the transport. [`Settings::new`] has defaults for all that is not the ledger's.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where others connect; without it nobody does.
    pub listen: Option<SocketAddr>,
    /// Whom the node dials and lets in when it starts; see [`Network::meet`](crate::Network::meet).
    pub neighbours: Neighbours,
    /// The ledger.
    pub ledger: LedgerId,
    /// SHA-256 over the limits that all nodes of the ledger have to share.
    pub limits: Hash,
    /// Longest payload of a frame, in bytes.
    pub max_frame_bytes: usize,
    /// Of each connection, what waits to be sent, and as much again of what waits to be taken.
    pub queues: Lanes<Bound>,
    /// What waits to be taken from a follower that `neighbours` do not name: there may be many, and strangers. A longer frame is refused.
    pub follower_queues: Lanes<Bound>,
    /// From the acceptance of a connection to the end of both sides' Hello.
    pub hello_timeout: Duration,
    /// Between two pings of HTTP/2, and how long the answer may take.
    pub keep_alive: Duration,
    /// Longest wait between two attempts to reach a peer. The first wait is at most 50 ms.
    pub max_backoff: Duration,
}

impl Settings {
    /// A node of `ledger` that neither listens nor knows anybody.
    pub fn new(ledger: LedgerId, limits: Hash) -> Self {
        let (kib, mib) = (1024, 1024 * 1024);
        Self {
            listen: None,
            neighbours: Neighbours::knowing(Vec::new()),
            ledger,
            limits,
            max_frame_bytes: 24 * mib,
            queues: Lanes {
                consensus: Bound { frames: 4_096, bytes: 64 * mib },
                blocks: Bound { frames: 256, bytes: 64 * mib },
                entries: Bound { frames: 256, bytes: 32 * mib },
            },
            follower_queues: Lanes {
                consensus: Bound { frames: 16, bytes: 64 * kib },
                blocks: Bound { frames: 16, bytes: 64 * kib },
                entries: Bound { frames: 64, bytes: 4 * mib },
            },
            hello_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(5),
            max_backoff: Duration::from_secs(1),
        }
    }

    /// What waits to be taken from a peer, which may be anybody.
    pub(crate) const fn receive_queues(&self, is_bounded: bool) -> &Lanes<Bound> {
        if is_bounded { &self.follower_queues } else { &self.queues }
    }

    /// Longest payload that a peer may send, in bytes.
    pub(crate) fn longest_from(&self, is_bounded: bool, lane: Lane) -> usize {
        self.receive_queues(is_bounded).get(lane).bytes.min(self.max_frame_bytes)
    }

    pub(crate) fn check(&self) -> Result<(), PeerError> {
        let wrong = |detail: String| Err(PeerError::Settings(detail));
        for lane in Lane::ALL {
            let Bound { frames, bytes } = *self.queues.get(lane);
            if frames == 0 || bytes < self.max_frame_bytes {
                return wrong(format!(
                    "the queue {lane:?} holds {frames} frames and {bytes} bytes; one frame of {} has to fit",
                    self.max_frame_bytes
                ));
            }
            if self.follower_queues.get(lane).frames == 0 {
                return wrong(format!("the queue {lane:?} of followers holds no frame"));
            }
        }
        self.neighbours.check()
    }
}

/// Why the transport cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The address cannot be listened on.
    #[error("cannot listen for peers on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A setting contradicts another.
    #[error("{0}")]
    Settings(String),
    /// The certificate cannot be made or used.
    #[error("certificate: {0}")]
    Certificate(String),
}

impl PeerError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Listen { .. } => Code::Listen,
            Self::Settings(_) => Code::Settings,
            Self::Certificate(_) => Code::Certificate,
        }
    }
}
