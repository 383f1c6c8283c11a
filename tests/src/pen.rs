//! Acts signed in the test's own process, for submissions that no command line would make.

use ledger_client::Node;
use ledger_client::act::{Signatory, Times, Unsigned, digest_of};
use ledger_event::ImportedHistory;
use ledger_event::event::Act;
use ledger_format::digest::{Hash, LedgerId};
use ledger_format::entry::Entry;
use ledger_format::id::Subject;

/// How long an entry may wait, in seconds.
const VALID_S: u64 = 1_800;

/// Signs acts on one ledger, at one instant of it.
#[derive(Clone, Debug)]
pub struct Pen {
    /// The ledger.
    pub ledger: LedgerId,
    /// The ledger's time, in seconds since 1970.
    pub now_s: u64,
}

impl Pen {
    /// A pen for the ledger of a node, as it is now.
    pub async fn new(node: &mut Node) -> Self {
        let status = node.status().await.expect("a status");
        let ledger = LedgerId::from_slice(&status.ledger_id).expect("a ledger id");
        Self { ledger, now_s: status.time_ms / 1000 }
    }

    /// An act on a subject, before it is signed.
    pub fn unsigned(&self, subject: &str, prior: Option<Hash>, act: Act) -> Unsigned {
        let subject = Subject::parse("subject", subject).expect("a subject");
        let times = Times::valid_for(self.now_s, VALID_S);
        Unsigned { ledger: self.ledger, subject, prior, act, times }
    }

    /// An act on a subject, signed.
    pub fn sign(&self, subject: &str, act: Act, signers: &[Signatory]) -> Entry {
        self.unsigned(subject, None, act).sign(signers).expect("an entry")
    }

    /// A claim about the market's asset, by whoever signs.
    pub fn claim(&self, signer: &Signatory) -> Entry {
        self.sign("asset:acme/weather", claim(), std::slice::from_ref(signer))
    }
}

/// A claim about an asset's past.
pub fn claim() -> Act {
    Act::ImportedHistory(ImportedHistory {
        what: "published".into(),
        when: 20_190_401,
        according_to: "somebody".into(),
        source: "somewhere".into(),
        source_digest: Some(digest_of(b"somewhere")),
    })
}

/// The bytes of an entry whose signature was changed.
pub fn forged(entry: &Entry) -> Vec<u8> {
    let mut bytes = entry.bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes
}
