//! Stable codes of refusals, and how often each was given and received.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger_format::malformed::{Explanation, bounded};

macro_rules! codes {
    ($($name:ident = $code:literal, $text:literal, $help:literal;)*) => {
        /// Why a peer is refused, or the transport cannot start.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $text] $name,)* }

        impl Code {
            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The code of that name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($code => Some(Self::$name),)* _ => None }
            }
        }

        /// Every code of this crate.
        pub const CODES: &[Explanation] = &[
            $(Explanation { code: $code, text: $text, source: "docs/spec/peer.md", help: $help },)*
        ];
    };
}

codes! {
    OtherLedger = "PEER_OTHER_LEDGER",
        "The peer is a node of another ledger.",
        "Compare genesis hashes, and check the address.";
    Version = "PEER_VERSION",
        "The peer speaks another version of the protocol between nodes, or of TLS.",
        "Run versions of the program that speak the same one.";
    Limits = "PEER_LIMITS",
        "The peer has other limits than this node.",
        "Compare the versions of the program: limits are those of genesis, whose id was compared just before, and no setting changes them.";
    Unknown = "PEER_UNKNOWN",
        "The peer says that it is a validator, and its identity is none of this ledger.",
        "Check the vote key it runs with; a node that only follows has to say so.";
    OtherIdentity = "PEER_OTHER_IDENTITY",
        "The peer is not who was dialled at that address, or has this node's own identity.",
        "Check the address and the identity beside it. Never run one vote key on two nodes.";
    Twin = "PEER_TWIN",
        "Two processes connect as the same validator.",
        "Find the other node that runs with this vote key and end it; then `ledger-node recover` on the one that stays.";
    Identity = "PEER_IDENTITY",
        "The peer's identity did not sign this connection.",
        "Somebody may stand between the nodes: check the address and the way to it.";
    Certificate = "PEER_CERTIFICATE",
        "The certificate is missing, malformed, expired, not yet valid, or not the sender's own.",
        "Check the clocks of both machines; a node makes its certificate when it starts.";
    Timeout = "PEER_TIMEOUT",
        "The peer did not say who it is in time, or does not answer any more.",
        "Check that a node answers at the address, and the network between.";
    TooLarge = "PEER_TOO_LARGE",
        "The peer sent a message above the limit.",
        "Run versions of the program with the same limits.";
    Malformed = "PEER_MALFORMED",
        "The peer sent bytes that are none of the protocol between nodes.",
        "Check what is at the address: it may be another service.";
    Followers = "PEER_FOLLOWERS",
        "The node has as many followers as it takes.",
        "Follow another node, or raise the number of followers there.";
    NotAllowed = "PEER_NOT_ALLOWED",
        "The node takes only followers that its operator has listed.",
        "Ask its operator to add this node's identity to peer.allowed, or follow another node.";
    Places = "PEER_PLACES",
        "The node has as many connections that have not said who they are as it takes, of that address, of strangers, or of all.",
        "Keep strangers from the port of the nodes by a firewall; name validators in peer.known by their IP addresses, for which places are kept.";
    Listen = "PEER_LISTEN",
        "The node cannot listen for its peers.",
        "Check the address: another process may have the port (`ss -ltnp`).";
    Settings = "PEER_SETTINGS",
        "The settings of the transport between nodes contradict each other.",
        "See the message: it names the setting.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which side of a connection refused the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// This node refused the peer.
    Us,
    /// The peer refused this node.
    Them,
}

/// A peer refused by this node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// Expected and found.
    pub detail: String,
}

impl Refusal {
    /// A refusal with what was expected and found, [`bounded`].
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: bounded(detail) }
    }
}

/// How often each code was given to peers and received from them since the start.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counts: Mutex<BTreeMap<(Code, By), u64>>,
    gate: Mutex<Gate>,
    gate_of_places: Mutex<Gate>,
}

impl Refusals {
    pub(crate) fn count(&self, code: Code, by: By) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((code, by)).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn all(&self) -> BTreeMap<(Code, By), u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether one more line may be logged: whoever reaches the port can cause them.
    pub(crate) fn may_log(&self) -> bool {
        pass(&self.gate)
    }

    /// The same for a refusal by this node. One for lack of a place costs no more than a packet: those have lines of their own, so that
    /// they keep no other line out of the log.
    pub(crate) fn may_log_own(&self, code: Code) -> bool {
        pass(if code == Code::Places { &self.gate_of_places } else { &self.gate })
    }
}

fn pass(gate: &Mutex<Gate>) -> bool {
    gate.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now())
}

/// Lets [`Gate::EACH`] through in each [`Gate::SPAN`].
#[derive(Debug, Default)]
struct Gate {
    began: Option<Instant>,
    passed: u32,
}

impl Gate {
    const EACH: u32 = 20;
    const SPAN: Duration = Duration::from_secs(1);

    fn pass(&mut self, now: Instant) -> bool {
        if self.began.is_none_or(|began| now.duration_since(began) >= Self::SPAN) {
            *self = Self { began: Some(now), passed: 0 };
        }
        self.passed = self.passed.saturating_add(1);
        self.passed <= Self::EACH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_codes() {
        for explanation in CODES {
            let code = Code::from_name(explanation.code).unwrap();
            assert_eq!(code.as_str(), explanation.code);
        }
        assert_eq!(Code::from_name("PEER"), None);
    }

    #[test]
    fn a_flood_of_refusals_is_not_a_flood_of_lines() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        assert_eq!((0..100).filter(|_| gate.pass(now)).count(), 20);
        assert!(gate.pass(now + Gate::SPAN));
    }

    #[test]
    fn a_flood_of_connections_does_not_keep_other_refusals_out_of_the_log() {
        let refusals = Refusals::default();
        assert!((0..100).any(|_| !refusals.may_log_own(Code::Places)));
        assert!(refusals.may_log_own(Code::Twin));
    }
}
