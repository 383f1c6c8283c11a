//! Somebody who writes: a supplier on a ledger of the wall clock, with entries of several acts.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use ledger_client::act::{Signatory, Times, Unsigned, digest_of};
use ledger_client::{ClientError, Node, keys};
use ledger_event::event::Act;
use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, AssetRevised, Factor, ImportedHistory, KeyGrant,
    PartyAdmitted, PartyKind, PartyProfile, Purpose, Role,
};
use ledger_format::digest::LedgerId;
use ledger_format::entry::Entry;
use ledger_format::id::{Subject, SubjectKind};

use crate::places::{Places, place};
use crate::running::Running;

/// How long an entry may wait, in seconds.
const VALID_S: u64 = 600;

/// A supplier that the founder of [`crate::new_ledger`] has admitted.
#[derive(Clone, Debug)]
pub struct Supplier {
    ledger: LedgerId,
    party: String,
    key: SigningKey,
}

impl Supplier {
    /// Admits a new supplier, signed with the founder's keys in the data directory.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn admit(
        node: &mut Node,
        directory: &Path,
        party: &str,
    ) -> Result<Self, ClientError> {
        Self::admit_by(node, directory, "exchange", party).await
    }

    /// The same, signed by the founder of that name.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn admit_by(
        node: &mut Node,
        directory: &Path,
        exchange: &str,
        party: &str,
    ) -> Result<Self, ClientError> {
        let founder = |name: &str| {
            keys::read(&directory.join(format!("founder/{name}.pem")), || {
                Err(ClientError::key("the keys of tests are not encrypted"))
            })
        };
        let key = keys::generate()?;
        let event = PartyAdmitted {
            profile: Some(PartyProfile {
                kind: PartyKind::Legal.into(),
                name_en: "A supplier".into(),
                jurisdiction: "CN".into(),
                ..PartyProfile::default()
            }),
            roles: vec![Role::Supplier.into()],
            keys: vec![KeyGrant {
                public_key: key.verifying_key().to_bytes().to_vec().into(),
                factor: Factor::OrgHsm.into(),
                ..KeyGrant::default()
            }],
        };
        let (organisation, officer) = (founder("organisation")?, founder("officer-1")?);
        let signers = [
            Signatory::issuer(exchange, Role::Exchange, &organisation),
            Signatory::new(exchange, Role::IdentityAuthority, Purpose::Approve, &officer),
            Signatory::new(party, Role::Supplier, Purpose::Possession, &key),
        ];
        let ledger = node.ledger_id().await?;
        let subject = Subject::new(SubjectKind::Party, party)?;
        let act = Act::PartyAdmitted(event);
        let unsigned = Unsigned { ledger, subject, prior: None, act, times: from_now() };
        node.submit(&unsigned.sign(&signers)?).await?;
        Ok(Self { ledger, party: party.to_owned(), key })
    }

    /// The entry that describes an asset of that name.
    ///
    /// # Errors
    /// `CLIENT_RANDOM`, or a name that no id can have.
    pub fn describe(&self, name: &str) -> Result<Entry, ClientError> {
        let description = Some(description(name));
        self.sign(name, Act::AssetDescribed(AssetDescribed { description }))
    }

    /// The same, with a summary of so many characters.
    ///
    /// # Errors
    /// As [`Supplier::describe`].
    pub fn describe_at_length(&self, name: &str, characters: usize) -> Result<Entry, ClientError> {
        let summary = "x".repeat(characters);
        let description = Some(AssetDescription { summary, ..description(name) });
        self.sign(name, Act::AssetDescribed(AssetDescribed { description }))
    }

    /// An entry that revises such an asset.
    ///
    /// # Errors
    /// As [`Supplier::describe`].
    pub fn revise(&self, name: &str, number: u64) -> Result<Entry, ClientError> {
        let description = Some(description(&format!("{name}, issue {number}")));
        let reason = "readings were added".into();
        self.sign(name, Act::AssetRevised(AssetRevised { description, reason }))
    }

    /// An entry that states something about the past of such an asset.
    ///
    /// # Errors
    /// As [`Supplier::describe`].
    pub fn claim(&self, name: &str, number: u64) -> Result<Entry, ClientError> {
        let claim = ImportedHistory {
            what: format!("revision {number} published"),
            when: 20_200_101,
            according_to: "the supplier".into(),
            source: "its own list".into(),
            source_digest: Some(digest_of(&number.to_be_bytes())),
        };
        self.sign(name, Act::ImportedHistory(claim))
    }

    fn sign(&self, name: &str, act: Act) -> Result<Entry, ClientError> {
        let subject = Subject::new(SubjectKind::Asset, &format!("{}/{name}", self.party))?;
        let (ledger, times) = (self.ledger, from_now());
        let unsigned = Unsigned { ledger, subject, prior: None, act, times };
        unsigned.sign(&[Signatory::issuer(&self.party, Role::Supplier, &self.key)])
    }
}

fn description(name: &str) -> AssetDescription {
    AssetDescription {
        kind: AssetKind::Open.into(),
        name_en: format!("Readings {name}"),
        summary: "Hourly readings of stations that do not exist, for tests of the whole.".into(),
        publisher: "A supplier".into(),
        content: Some(digest_of(name.as_bytes())),
        content_bytes: 1_024,
        media_type: "text/csv".into(),
        ..AssetDescription::default()
    }
}

fn from_now() -> Times {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Times::valid_for(now.as_secs(), VALID_S)
}

/// Writes as a new party until the node no longer answers, and gives what it answered. Something may happen once the party is admitted.
///
/// # Panics
/// If the party cannot be admitted.
pub async fn write_until_it_ends(
    node: &Running,
    directory: &Path,
    party: &str,
    before: impl FnOnce(),
) -> Places {
    let mut client = Node::connect(&node.url, Duration::from_secs(20)).await.expect("a node");
    let who = Supplier::admit(&mut client, directory, party).await.expect("a party");
    before();
    let mut answered = Places::new();
    for number in 0_u64.. {
        let entry = who.describe(&format!("asset-{number}")).expect("an entry");
        let Ok(position) = client.submit(&entry).await else { break };
        answered.insert(entry.id(), place(position));
    }
    answered
}
