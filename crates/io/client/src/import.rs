//! Importing a catalogue: every record becomes an asset, every row of history an attested claim; signed here, streamed to a node.
//!
//! An import can be broken off and run again, also while what the last one sent is still under way: what is there unchanged is left
//! alone, what changed becomes a new version. Nothing of a catalogue becomes a certificate or a completed act.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use ledger_catalogue::Source;
use ledger_event::event::Act;
use ledger_event::{AssetDescribed, AssetDescription, AssetRevised, ImportedHistory, Role};
use ledger_format::digest::LedgerId;
use ledger_format::entry::Entry;
use ledger_format::id::{Subject, SubjectKind};

use crate::act::{Signatory, Times, Unsigned};
use crate::error::ClientError;
use crate::keys::nonce;
use crate::level::Level;
use crate::node::Node;

mod once;
mod plan;
mod recorded;
mod sending;

/// Who imports, and when it is claimed to happen.
#[derive(Clone, Debug)]
pub struct Importer {
    /// The ledger.
    pub ledger: LedgerId,
    /// The party in whose name assets are described.
    pub party: String,
    /// Its key.
    pub key: SigningKey,
    /// Times of every entry.
    pub times: Times,
    /// How far an entry must have come to count as imported. With `accepted` nothing would: what is told is what the ledger has.
    pub level: Level,
    /// How long it goes on without anything being settled, while the node turns entries away or their outcome is not known.
    pub patience: Duration,
}

/// Something about one place of a source: why it was not imported, or what is worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where in the source.
    pub place: String,
    /// Stable code.
    pub code: String,
    /// Why, in words.
    pub reason: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Assets that were new.
    pub described: u64,
    /// Assets that had changed.
    pub revised: u64,
    /// Assets that were there, unchanged.
    pub unchanged: u64,
    /// Claims that were new.
    pub claims: u64,
    /// Claims that were there.
    pub claims_unchanged: u64,
    /// What was skipped or refused.
    pub skipped: Vec<Remark>,
    /// What was imported and is worth a look, such as a declared hash that is not the file's.
    pub findings: Vec<Remark>,
}

impl Imported {
    /// Records and claims that the ledger has.
    pub const fn on_ledger(&self) -> u64 {
        self.described + self.revised + self.unchanged + self.claims + self.claims_unchanged
    }
}

/// One thing to import.
struct Planned {
    subject: Subject,
    place: String,
    what: What,
}

enum What {
    Asset(Box<AssetDescription>),
    Revision(Box<AssetDescription>, Cti),
    Claim(ImportedHistory, once::Row),
}

/// What an entry of the importer counts once by.
type Cti = [u8; 16];

/// Imports everything that a source yields. `progress` is called with records and claims that the ledger has.
///
/// # Errors
/// What the source or the node answers. `API_POOL_FULL` or `API_TIMEOUT` when entries that the node turned away for the moment, or of
/// which the outcome is not known, did not get further for as long as the importer's patience. What was imported until then stays,
/// and a second run goes on.
pub async fn import(
    node: &mut Node,
    importer: &Importer,
    source: Source,
    progress: impl FnMut(u64),
) -> Result<Imported, ClientError> {
    sending::Sending::new(node, importer, source).run(progress).await
}

impl Importer {
    fn sign(&self, planned: &Planned) -> Result<Entry, ClientError> {
        let (act, cti) = match &planned.what {
            // Of two descriptions the rules take one.
            What::Asset(description) => {
                let description = Some((**description).clone());
                (Act::AssetDescribed(AssetDescribed { description }), nonce()?)
            }
            What::Revision(description, cti) => {
                let description = Some((**description).clone());
                let reason = "the catalogue's record has changed".to_owned();
                (Act::AssetRevised(AssetRevised { description, reason }), *cti)
            }
            What::Claim(claim, row) => {
                (Act::ImportedHistory(claim.clone()), row.cti(&planned.subject))
            }
        };
        let unsigned = Unsigned {
            ledger: self.ledger,
            subject: planned.subject.clone(),
            prior: None,
            act,
            times: self.times,
        };
        unsigned.sign_as(cti, &[Signatory::issuer(&self.party, Role::Supplier, &self.key)])
    }

    fn subject(&self, name: &str) -> Result<Subject, ClientError> {
        Ok(Subject::new(SubjectKind::Asset, &format!("{}/{name}", self.party))?)
    }
}
