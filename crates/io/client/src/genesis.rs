//! Making a genesis: the document, and the file of signed entries that every node starts from.

use ledger_event::event::Act;
use ledger_event::{
    Calendar, CalendarPublished, Clock, Founder, Genesis, GenesisPublished, Limits, Purpose,
    RuleSet, RuleSetPublished, ValidatorSet,
};
use ledger_format::entry::Entry;
use ledger_format::genesis::{GenesisDocument, PROTOCOL_VERSIONS};
use ledger_format::genesis_file::GenesisFile;
use ledger_format::id::Subject;
use ledger_format::message;
use ledger_rules::genesis::LEDGER;
use ledger_rules::governance::document_digest;

use crate::act::{Signatory, Times, Unsigned};
use crate::error::ClientError;

/// What founders agree on.
#[derive(Clone, Debug)]
pub struct GenesisPlan {
    /// Name of the ledger.
    pub name: String,
    /// Origin of its checkpoints.
    pub origin: String,
    /// What header times mean.
    pub clock: Clock,
    /// When it begins, in milliseconds since 1970.
    pub start_ms: u64,
    /// Founders; they are put in order of their ids.
    pub founders: Vec<Founder>,
    /// How many founders change rules and calendars.
    pub governance_threshold: u32,
    /// Validators, ascending by the id of their vote keys.
    pub validators: ValidatorSet,
    /// First rule sets.
    pub rule_sets: Vec<RuleSet>,
    /// First calendars.
    pub calendars: Vec<Calendar>,
    /// Windows and caps.
    pub limits: Limits,
}

/// Windows and caps for most ledgers: an hour for an entry with one signer, two weeks for one with several.
pub const fn default_limits() -> Limits {
    Limits {
        entry_window_s: 3_600,
        joint_entry_window_s: 14 * 86_400,
        skew_ms: 60_000,
        declared_step_s: 92 * 86_400,
        block_bytes: 4 * 1024 * 1024,
        block_entries: 8_192,
    }
}

impl GenesisPlan {
    /// The document.
    ///
    /// # Errors
    /// What the format refuses.
    pub fn document(&self) -> Result<GenesisDocument, ClientError> {
        let mut founders = self.founders.clone();
        founders.sort_by(|a, b| a.party.cmp(&b.party));
        let sets = self.rule_sets.iter().map(document_digest);
        let calendars = self.calendars.iter().map(document_digest);
        let mut documents: Vec<_> =
            sets.chain(calendars).map(|digest| digest.to_vec().into()).collect();
        documents.sort();
        let genesis = Genesis {
            name: self.name.clone(),
            origin: self.origin.clone(),
            protocol_version: *PROTOCOL_VERSIONS.start(),
            clock: self.clock.into(),
            start_ms: self.start_ms,
            founders,
            governance_threshold: self.governance_threshold,
            validators: Some(self.validators.clone()),
            documents,
            limits: Some(self.limits),
        };
        Ok(GenesisDocument::decode(message::encode(&genesis).into())?)
    }

    /// The genesis file, signed by one key of every founder. The first signatory issues the entries.
    ///
    /// # Errors
    /// What the format refuses, or `CLIENT_SIGNERS`.
    pub fn sign(
        &self,
        signatories: &[Signatory],
    ) -> Result<(GenesisDocument, Vec<u8>), ClientError> {
        let document = self.document()?;
        let times = Times::valid_for(self.start_ms / 1000, u64::from(self.limits.entry_window_s));
        let unsigned = |subject: &str, act: Act| -> Result<Unsigned, ClientError> {
            let subject = Subject::parse("subject", subject)?;
            Ok(Unsigned { ledger: document.id(), subject, prior: None, act, times })
        };
        let publish = GenesisPublished { document: document.bytes().clone() };
        let mut entries =
            vec![unsigned(LEDGER, Act::GenesisPublished(publish))?.sign(signatories)?];
        let issuer = signatories.get(..1).unwrap_or_default();
        for rules in &self.rule_sets {
            let subject = format!("ruleset:{}/{}", rules.id, rules.version);
            let act = Act::RuleSetPublished(RuleSetPublished { rule_set: Some(rules.clone()) });
            entries.push(unsigned(&subject, act)?.sign(issuer)?);
        }
        for calendar in &self.calendars {
            let subject = format!("calendar:{}/{}", calendar.id, calendar.year);
            let act =
                Act::CalendarPublished(CalendarPublished { calendar: Some(calendar.clone()) });
            entries.push(unsigned(&subject, act)?.sign(issuer)?);
        }
        let file = GenesisFile::encode(&entries);
        Ok((document, file))
    }
}

/// A founder as a signer of genesis: the first issues, the others approve.
pub fn founder_signatory(first: bool, signatory: &Signatory) -> Signatory {
    let purpose = if first { Purpose::Issue } else { Purpose::Approve };
    Signatory { purpose, ..signatory.clone() }
}

/// The entries of a genesis file.
///
/// # Errors
/// What the format refuses.
pub fn read_file(bytes: Vec<u8>) -> Result<(GenesisDocument, Vec<Entry>), ClientError> {
    let GenesisFile { document, entries } = GenesisFile::decode(bytes.into())?;
    Ok((document, entries))
}
