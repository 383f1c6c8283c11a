//! Making a genesis: the document, and the file of signed entries that every node starts from.

use ledger_event::event::Act;
use ledger_event::{
    Calendar, CalendarPublished, Clock, Founder, Genesis, GenesisPublished, Limits, Purpose,
    RuleSet, RuleSetPublished, ValidatorSet,
};
use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;
use ledger_format::genesis::{GenesisDocument, PROTOCOL_VERSIONS};
use ledger_format::genesis_file::GenesisFile;
use ledger_format::id::Subject;
use ledger_format::message;
use ledger_replay::Ledger;
use ledger_rules::genesis::LEDGER;
use ledger_rules::governance::document_digest;
use ledger_verify::entry::check_signatures;

use crate::act::{Signatory, Times, Unsigned};
use crate::error::ClientError;

/// The newest version of the protocol that this program knows. A ledger that begins has no reason to follow an older one: it would have
/// to activate one version after the other to come to the same rules.
pub const NEWEST: u32 = *PROTOCOL_VERSIONS.end();

/// What founders agree on.
#[derive(Clone, Debug)]
pub struct GenesisPlan {
    /// Name of the ledger.
    pub name: String,
    /// Origin of its checkpoints.
    pub origin: String,
    /// The version of the protocol from block 1 on: [`NEWEST`], unless an upgrade is to be rehearsed.
    pub protocol_version: u32,
    /// What header times mean.
    pub clock: Clock,
    /// When it begins, in milliseconds since 1970.
    pub start_ms: u64,
    /// Founders; they are put in order of their ids.
    pub founders: Vec<Founder>,
    /// How many founders change rules and calendars.
    pub governance_threshold: u32,
    /// Validators; they are put in order of their ids.
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
    /// Refuses what people type wrong and nothing refuses later: a genesis cannot be changed once the ledger has begun.
    ///
    /// # Errors
    /// `CLIENT_USAGE` for an origin with a scheme (C2SP tlog-checkpoint wants a URL without one), or a founder's jurisdiction that is not
    /// two upper-case letters.
    pub fn check_names(&self) -> Result<(), ClientError> {
        if self.origin.contains("://") {
            let why =
                "expected a host and path without scheme, for example ledger.gzdex.example/gba";
            return Err(ClientError::usage(format!("origin {:?}: {why}", self.origin)));
        }
        for founder in &self.founders {
            let of = founder.profile.as_ref().map_or("", |profile| &profile.jurisdiction);
            if of.len() != 2 || !of.bytes().all(|b| b.is_ascii_uppercase()) {
                let why =
                    format!("jurisdiction {of:?}: expected two upper-case letters (ISO 3166-1)");
                return Err(ClientError::usage(format!("{}: {why}", founder.party)));
            }
        }
        Ok(())
    }

    /// The document.
    ///
    /// # Errors
    /// As [`GenesisPlan::check_names`], and what the format refuses.
    pub fn document(&self) -> Result<GenesisDocument, ClientError> {
        self.check_names()?;
        let mut founders = self.founders.clone();
        founders.sort_by(|a, b| a.party.cmp(&b.party));
        let mut validators = self.validators.clone();
        validators.validators.sort_by_key(|validator| {
            let key = validator.vote_key.as_ref().try_into();
            key.map(|key| KeyId::of(&key)).unwrap_or_default()
        });
        let sets = self.rule_sets.iter().map(document_digest);
        let calendars = self.calendars.iter().map(document_digest);
        let mut documents: Vec<_> =
            sets.chain(calendars).map(|digest| digest.to_vec().into()).collect();
        documents.sort();
        let genesis = Genesis {
            name: self.name.clone(),
            origin: self.origin.clone(),
            protocol_version: self.protocol_version,
            clock: self.clock.into(),
            start_ms: self.start_ms,
            founders,
            governance_threshold: self.governance_threshold,
            validators: Some(validators),
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
        let issuer = signatories.first().ok_or_else(|| ClientError::signers("nobody signs"))?;
        let publish = GenesisPublished { document: document.bytes().clone() };
        let genesis = self.unsigned(&document, LEDGER, Act::GenesisPublished(publish))?;
        let mut entries = vec![genesis.sign(signatories)?];
        entries.extend(self.documents(&document, issuer)?);
        let file = GenesisFile::encode(&entries);
        Ok((document, file))
    }

    /// The entries that publish the first rule sets and calendars, which genesis announces: one founder's signature is enough.
    ///
    /// # Errors
    /// What the format refuses, or `CLIENT_RANDOM`.
    pub fn documents(
        &self,
        document: &GenesisDocument,
        issuer: &Signatory,
    ) -> Result<Vec<Entry>, ClientError> {
        let issuer = std::slice::from_ref(issuer);
        let mut entries = Vec::new();
        for rules in &self.rule_sets {
            let subject = format!("ruleset:{}/{}", rules.id, rules.version);
            let act = Act::RuleSetPublished(RuleSetPublished { rule_set: Some(rules.clone()) });
            entries.push(self.unsigned(document, &subject, act)?.sign(issuer)?);
        }
        for calendar in &self.calendars {
            let subject = format!("calendar:{}/{}", calendar.id, calendar.year);
            let act =
                Act::CalendarPublished(CalendarPublished { calendar: Some(calendar.clone()) });
            entries.push(self.unsigned(document, &subject, act)?.sign(issuer)?);
        }
        Ok(entries)
    }

    /// The times of the entries of block 1, whose header has the time of the start, whenever it is made.
    pub(crate) fn times(&self) -> Times {
        Times::valid_for(self.start_ms / 1000, u64::from(self.limits.entry_window_s))
    }

    fn unsigned(
        &self,
        document: &GenesisDocument,
        subject: &str,
        act: Act,
    ) -> Result<Unsigned, ClientError> {
        let subject = Subject::parse("subject", subject)?;
        Ok(Unsigned { ledger: document.id(), subject, prior: None, act, times: self.times() })
    }
}

/// Whether a node can begin with a genesis file: all signatures are good, and the rules take every entry into block 1, for which
/// every founder has to have signed the document.
///
/// # Errors
/// `CLIENT_GENESIS_SIGNATURE`, `V_WEAK_KEY`, what the rules refuse of a document with their code, or `CLIENT_VERIFY` for more than a
/// block holds.
pub fn check(file: &GenesisFile) -> Result<(), ClientError> {
    let ledger = Ledger::new(file.document.clone())?;
    for entry in &file.entries {
        check_signatures(entry, |kid| ledger.public_key(kid))
            .map_err(ClientError::genesis_signature)?;
    }
    let first = file.document.validators().members().first();
    let proposer = first.map(|member| member.id).unwrap_or_default();
    let entries: Vec<&Entry> = file.entries.iter().collect();
    let block = ledger.propose(proposer, file.document.message().start_ms, &entries);
    if let Some((number, refusal)) = block.refused.first() {
        let subject = entries.get(*number).map_or(LEDGER, |entry| entry.claims().subject.as_str());
        return Err(if *number == 0 {
            ClientError::genesis_signature(format!("{subject}: {refusal}"))
        } else {
            ClientError::refused(subject, refusal)
        });
    }
    if block.included.len() < entries.len() {
        return Err(ClientError::verification("the entries do not fit block 1"));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use ledger_event::{Factor, KeyGrant, PartyProfile, Role, Validator};

    use super::*;

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn public(number: u8) -> bytes::Bytes {
        key(number).verifying_key().to_bytes().to_vec().into()
    }

    fn founder(party: &str, number: u8, factor: Factor) -> Founder {
        Founder {
            party: party.into(),
            profile: Some(PartyProfile { jurisdiction: "HK".into(), ..PartyProfile::default() }),
            roles: vec![Role::Exchange.into()],
            keys: vec![KeyGrant {
                public_key: public(number),
                factor: factor.into(),
                ..KeyGrant::default()
            }],
        }
    }

    fn plan(second: Factor) -> GenesisPlan {
        GenesisPlan {
            name: "A ledger".into(),
            origin: "ledger.invalid/test".into(),
            protocol_version: NEWEST,
            clock: Clock::Wall,
            start_ms: 1_000_000,
            founders: vec![founder("b", 2, second), founder("a", 1, Factor::OrgHsm)],
            governance_threshold: 2,
            validators: ValidatorSet {
                validators: vec![Validator {
                    party: "a".into(),
                    name: "ledger.invalid/test/a".into(),
                    power: 1,
                    vote_key: public(11),
                    log_key: public(12),
                    cosign_key: public(13),
                    receipt_key: public(14),
                }],
            },
            rule_sets: Vec::new(),
            calendars: Vec::new(),
            limits: default_limits(),
        }
    }

    #[test]
    fn names_that_nothing_refuses_later_are_refused() {
        let good = plan(Factor::OrgHsm);
        assert!(good.check_names().is_ok());
        let mut scheme = good.clone();
        scheme.origin = "https://ledger.invalid/test".into();
        let mut place = good.clone();
        place.founders[0].profile.as_mut().unwrap().jurisdiction = "China".into();
        let mut nowhere = good;
        nowhere.founders[1].profile = None;
        let found =
            [(scheme, "without scheme"), (place, "\"China\""), (nowhere, "a: jurisdiction")];
        for (plan, why) in found {
            let error = plan.document().unwrap_err();
            assert_eq!(error.code, "CLIENT_USAGE");
            assert!(error.message.contains(why), "{error}");
        }
    }

    fn signatory(party: &str, number: u8, first: bool) -> Signatory {
        let signatory = Signatory::new(party, Role::Exchange, Purpose::Issue, &key(number));
        founder_signatory(first, &signatory)
    }

    fn verdict(plan: &GenesisPlan, signatories: &[Signatory]) -> Result<(), String> {
        let (_, bytes) = plan.sign(signatories).unwrap();
        let file = GenesisFile::decode(bytes.into()).unwrap();
        check(&file).map_err(|error| error.code)
    }

    #[test]
    fn every_founder_has_to_have_signed_with_a_key_of_its_own() {
        let (a, b) = (signatory("a", 1, true), signatory("b", 2, false));
        let refused = Err("CLIENT_GENESIS_SIGNATURE".to_owned());
        let plain = plan(Factor::OrgHsm);
        assert_eq!(verdict(&plain, &[a.clone(), b.clone()]), Ok(()));
        assert_eq!(verdict(&plain, std::slice::from_ref(&a)), refused, "b is missing");
        let foreign = signatory("b", 3, false);
        assert_eq!(verdict(&plain, &[a.clone(), foreign]), refused, "nobody's key");
        assert_eq!(verdict(&plan(Factor::System), &[a, b]), refused, "a system signs for b");
    }
}
