//! The founders' ceremony: one file that travels between founders until every one of them has signed the genesis that it holds.
//!
//! The file holds what was collected, not the document: that follows from it, so that a change after a signature shows as a
//! signature that fits no more. Private keys never enter it. What a node could not begin with is refused when it is given, not
//! after all have signed (`rehearsal`).

mod rehearsal;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use ledger_event::{
    Calendar, Event, Factor, Founder, Genesis, GenesisPublished, KeyGrant, Purpose, RuleSet,
    Validator, event::Act,
};
use ledger_format::digest::{KeyId, LedgerId, hex, sha256};
use ledger_format::entry::{Claims, Draft, Signer};
use ledger_format::genesis::GenesisDocument;
use ledger_format::genesis_file::GenesisFile;
use ledger_format::id::Subject;
use ledger_format::malformed::{Kind, Malformed};
use ledger_format::message;
use ledger_rules::genesis::LEDGER;
use ledger_verify::signature;
use prost::Message;
use serde_json::{Value, json};

use crate::act::Signatory;
use crate::draft::DraftFile;
use crate::error::ClientError;
use crate::genesis::{GenesisPlan, check};
use crate::standing::Standing;

const FORMAT: &str = "ledger-ceremony/v1";

/// What founders have collected and signed so far. The founder who came first issues genesis, and signs last.
#[derive(Clone, Debug)]
pub struct Ceremony {
    /// What they agree on; founders in the order in which they came, a threshold of 0 for the least that outvotes a third.
    plan: GenesisPlan,
    signatures: BTreeMap<KeyId, [u8; 64]>,
}

impl Ceremony {
    /// A ceremony that nobody has signed. A threshold of 0 stands for more than two thirds of the founders, however many come.
    ///
    /// # Errors
    /// What [`Ceremony::seal`] would refuse of the plan whoever joins, with the same code.
    pub fn begin(plan: GenesisPlan) -> Result<Self, ClientError> {
        let ceremony = Self { plan, signatures: BTreeMap::new() };
        ceremony.rehearse()?;
        Ok(ceremony)
    }

    /// What was collected.
    pub const fn plan(&self) -> &GenesisPlan {
        &self.plan
    }

    /// Reads the file.
    ///
    /// # Errors
    /// `CLIENT_DOCUMENT`.
    pub fn from_json(text: &str) -> Result<Self, ClientError> {
        let file: Value = serde_json::from_str(text).map_err(ClientError::document)?;
        if file.get("format").and_then(Value::as_str) != Some(FORMAT) {
            let detail = format!("no ceremony: expected the format {FORMAT}");
            return Err(ClientError::document(detail));
        }
        let genesis: Genesis = decode(file.get("genesis"))?;
        let list = |name: &str| file.get(name).and_then(Value::as_array).into_iter().flatten();
        let rule_sets = list("rule_sets").map(|item| decode::<RuleSet>(Some(item)));
        let calendars = list("calendars").map(|item| decode::<Calendar>(Some(item)));
        let limits = genesis.limits.ok_or_else(|| ClientError::document("limits are missing"))?;
        let plan = GenesisPlan {
            protocol_version: genesis.protocol_version,
            clock: genesis.clock(),
            name: genesis.name,
            origin: genesis.origin,
            start_ms: genesis.start_ms,
            founders: genesis.founders,
            governance_threshold: genesis.governance_threshold,
            validators: genesis.validators.unwrap_or_default(),
            rule_sets: rule_sets.collect::<Result<_, _>>()?,
            calendars: calendars.collect::<Result<_, _>>()?,
            limits,
        };
        let mut signatures = BTreeMap::new();
        for (key, signature) in
            file.get("signatures").and_then(Value::as_object).into_iter().flatten()
        {
            let bytes = bytes_of(Some(signature))?.try_into();
            let bytes =
                bytes.map_err(|_length| ClientError::document("a signature has 64 bytes"))?;
            signatures.insert(KeyId::from_hex(key)?, bytes);
        }
        Ok(Self { plan, signatures })
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let plan = &self.plan;
        let genesis = Genesis {
            name: plan.name.clone(),
            origin: plan.origin.clone(),
            protocol_version: plan.protocol_version,
            clock: plan.clock.into(),
            start_ms: plan.start_ms,
            founders: plan.founders.clone(),
            governance_threshold: plan.governance_threshold,
            validators: Some(plan.validators.clone()),
            limits: Some(plan.limits),
            ..Genesis::default()
        };
        let signatures: serde_json::Map<_, _> = self
            .signatures
            .iter()
            .map(|(key, signature)| (key.to_string(), Value::from(hex(signature))))
            .collect();
        let file = json!({
            "format": FORMAT,
            "genesis": encoded(&genesis),
            "rule_sets": plan.rule_sets.iter().map(encoded).collect::<Vec<_>>(),
            "calendars": plan.calendars.iter().map(encoded).collect::<Vec<_>>(),
            "signatures": signatures,
        });
        format!("{file:#}\n")
    }

    /// Adds a founder with its validator, if it runs one. The first of its keys that is not a system's signs genesis.
    ///
    /// # Errors
    /// `CLIENT_GENESIS_SIGNED` after the first signature, `CLIENT_FOUNDER_TAKEN` for a party, key or validator's name that is there
    /// already, or for one officer's commitment with two keys, `FMT_VALUE` for an officer's token without a commitment, `CLIENT_SIGNERS`
    /// for a founder without a key to sign with, or what [`Ceremony::seal`] would refuse of the founder.
    pub fn add(
        &mut self,
        founder: Founder,
        validator: Option<Validator>,
    ) -> Result<(), ClientError> {
        self.unsigned()?;
        self.check_new(&founder, validator.as_ref())?;
        let mut next = self.clone();
        next.plan.founders.push(founder);
        next.plan.validators.validators.extend(validator);
        next.rehearse()?;
        *self = next;
        Ok(())
    }

    /// Takes a founder out again, with its validator. If it came first, who came next issues genesis.
    ///
    /// # Errors
    /// `CLIENT_GENESIS_SIGNED` after the first signature, `CLIENT_FOUNDER_ABSENT` for a party that is not there.
    pub fn remove(&mut self, party: &str) -> Result<(), ClientError> {
        self.unsigned()?;
        let founders = &mut self.plan.founders;
        if !founders.iter().any(|founder| founder.party == party) {
            let known: Vec<&str> = founders.iter().map(|founder| founder.party.as_str()).collect();
            let detail = format!("{party} is not one of [{}]", known.join(", "));
            return Err(ClientError::founder_absent(detail));
        }
        founders.retain(|founder| founder.party != party);
        self.plan.validators.validators.retain(|validator| validator.party != party);
        Ok(())
    }

    fn unsigned(&self) -> Result<(), ClientError> {
        if self.signatures.is_empty() {
            return Ok(());
        }
        let signed = self.plan.founders.iter().filter(|founder| {
            signing_key(founder).is_some_and(|(kid, _)| self.signatures.contains_key(&kid))
        });
        let signed: Vec<&str> = signed.map(|founder| founder.party.as_str()).collect();
        Err(ClientError::genesis_signed(format!("signed by {}", signed.join(", "))))
    }

    fn check_new(
        &self,
        founder: &Founder,
        validator: Option<&Validator>,
    ) -> Result<(), ClientError> {
        if self.plan.founders.iter().any(|known| known.party == founder.party) {
            return Err(ClientError::founder_taken(format!("the party {}", founder.party)));
        }
        if signing_key(founder).is_none() {
            let detail = format!(
                "{}: a founder signs with a key of a person or the organisation",
                founder.party
            );
            return Err(ClientError::signers(detail));
        }
        check_officers(founder)?;
        let validators = &self.plan.validators.validators;
        let name = validator.map(|validator| &validator.name);
        if validators.iter().any(|known| Some(&known.name) == name) {
            let name = name.map_or("", |name| name);
            return Err(ClientError::founder_taken(format!("the validator's name {name}")));
        }
        let known = self.plan.founders.iter().flat_map(founder_keys);
        let mut known: Vec<_> = known.chain(validators.iter().flat_map(validator_keys)).collect();
        for (whose, key) in
            founder_keys(founder).chain(validator.into_iter().flat_map(validator_keys))
        {
            if let Some((owner, _)) = known.iter().find(|(_, known)| *known == key) {
                let detail = format!("the key {} as {whose}: it is {owner}", hex(key));
                return Err(ClientError::founder_taken(detail));
            }
            known.push((whose, key));
        }
        Ok(())
    }

    /// The document as it is now. Its id is what founders compare before they sign.
    ///
    /// # Errors
    /// What the format refuses: no validator, or a threshold above the number of founders.
    pub fn document(&self) -> Result<GenesisDocument, ClientError> {
        let mut plan = self.plan.clone();
        if plan.governance_threshold == 0 {
            let founders = plan.founders.len();
            let least = founders - founders.saturating_sub(1) / 3;
            plan.governance_threshold = u32::try_from(least).unwrap_or(u32::MAX);
        }
        plan.document()
    }

    /// Each founder in the order in which they came, the key that it signs with, and how far it is.
    ///
    /// # Errors
    /// What the format refuses of the document.
    pub fn standings(&self) -> Result<Vec<(String, KeyId, Standing)>, ClientError> {
        let draft = self.draft(&self.document()?)?;
        let message = draft.cosign_message();
        let standing = |(number, founder): (usize, &Founder)| {
            let (kid, key) = signing_key(founder)?;
            let standing = match self.signatures.get(&kid) {
                _ if number == 0 => Standing::Seals,
                None => Standing::Missing,
                Some(bytes) if signature::verify(&key, &message, bytes).is_ok() => Standing::Signed,
                Some(_) => Standing::Void,
            };
            Some((founder.party.clone(), kid, standing))
        };
        Ok(self.plan.founders.iter().enumerate().filter_map(standing).collect())
    }

    /// Signs the document as a founder. `hash` is what the founders agreed on: another document is not signed.
    ///
    /// # Errors
    /// `CLIENT_GENESIS_HASH`, `CLIENT_GENESIS_SIGNATURE` when the file holds a signature that fits no more, `CLIENT_SIGNERS` for a
    /// key that is not a founder's, or is the one that seals, and what [`Ceremony::seal`] would refuse of the document.
    pub fn sign(&mut self, key: &SigningKey, hash: &LedgerId) -> Result<(), ClientError> {
        let mut draft = self.agreed(hash)?;
        // A file that was changed by hand, or begun by a version that judged later.
        self.rehearse()?;
        draft.cosign(key)?;
        self.signatures = draft.cosignatures().clone();
        Ok(())
    }

    /// The genesis file, sealed with the key of the founder who came first. It is checked as a node checks it.
    ///
    /// # Errors
    /// As [`Ceremony::sign`], `CLIENT_UNSIGNED` while a signature is missing, and what [`check`] refuses.
    pub fn seal(
        &self,
        key: &SigningKey,
        hash: &LedgerId,
    ) -> Result<(GenesisDocument, Vec<u8>), ClientError> {
        let draft = self.agreed(hash)?;
        self.sealed(&draft, key)
    }

    fn sealed(
        &self,
        draft: &DraftFile,
        key: &SigningKey,
    ) -> Result<(GenesisDocument, Vec<u8>), ClientError> {
        let document = self.document()?;
        let mut entries = vec![draft.seal(key)?];
        let founder =
            self.plan.founders.first().ok_or_else(|| ClientError::signers("no founder"))?;
        let role = founder.roles().next().unwrap_or_default();
        let issuer = Signatory::issuer(&founder.party, role, key);
        entries.extend(self.plan.documents(&document, &issuer)?);
        let bytes = GenesisFile::encode(&entries);
        check(&GenesisFile::decode(bytes.clone().into())?)?;
        Ok((document, bytes))
    }

    /// The draft with its signatures, if it is the one that was agreed on and no signature in the file is foreign to it.
    fn agreed(&self, hash: &LedgerId) -> Result<DraftFile, ClientError> {
        let document = self.document()?;
        if document.id() != *hash {
            let detail = format!("agreed on {hash}, the file holds {}", document.id());
            return Err(ClientError::genesis_hash(detail));
        }
        let standings = self.standings()?;
        for kid in self.signatures.keys() {
            let known = standings
                .iter()
                .find(|(_, key, standing)| key == kid && *standing != Standing::Seals);
            match known {
                Some((_, _, Standing::Signed)) => {}
                Some((party, ..)) => {
                    let detail = format!("that of {party} with key {kid} is not of {hash}");
                    return Err(ClientError::genesis_signature(detail));
                }
                None => {
                    let detail = format!("key {kid} is no founder's that has to sign");
                    return Err(ClientError::genesis_signature(detail));
                }
            }
        }
        Ok(DraftFile::signed(self.draft(&document)?, self.signatures.clone()))
    }

    /// What founders sign: the entry that publishes the document, the same to the byte for everybody who holds the file.
    fn draft(&self, document: &GenesisDocument) -> Result<Draft, ClientError> {
        let mut signers = Vec::new();
        for (number, founder) in self.plan.founders.iter().enumerate() {
            let (kid, _) =
                signing_key(founder).ok_or_else(|| ClientError::signers(&founder.party))?;
            let purpose = if number == 0 { Purpose::Issue } else { Purpose::Approve };
            let role = founder.roles().next().unwrap_or_default();
            signers.push((
                founder.party.clone(),
                Signer { party: founder.party.clone(), kid, role, purpose },
            ));
        }
        let (issuer, first) =
            signers.first().cloned().ok_or_else(|| ClientError::signers("no founder"))?;
        let alone = signers.len() == 1;
        let times = self.plan.times();
        let mut nonce = [0; 16];
        // The document counts once whatever the number; one that everybody derives needs no place in the file.
        nonce.copy_from_slice(&sha256(&[b"ledger/ceremony/v1\0", &document.id().0])[..16]);
        let claims = Claims {
            issuer,
            subject: Subject::parse("subject", LEDGER)?,
            ledger: document.id(),
            expires_s: times.expires_s,
            issued_s: times.issued_s,
            nonce,
            signers: if alone {
                Vec::new()
            } else {
                signers.into_iter().map(|(_, signer)| signer).collect()
            },
        };
        let act = Act::GenesisPublished(GenesisPublished { document: document.bytes().clone() });
        Ok(Draft::new(first.kid, claims, &Event { act: Some(act), ..Event::default() }))
    }
}

/// The key with which a founder signs genesis: the first that is not a system's.
fn signing_key(founder: &Founder) -> Option<(KeyId, [u8; 32])> {
    let key = founder.keys.iter().find(|key| signs(key))?;
    let key: [u8; 32] = key.public_key.as_ref().try_into().ok()?;
    Some((KeyId::of(&key), key))
}

fn signs(key: &KeyGrant) -> bool {
    key.factor() != Factor::System
}

/// Refuses tokens that the rules would take and that count for no officer, or for one officer together: where two officers must sign,
/// the founder would learn of it when genesis cannot be changed any more.
fn check_officers(founder: &Founder) -> Result<(), ClientError> {
    let mut seen: Vec<&[u8]> = Vec::new();
    for ((whose, _), key) in founder_keys(founder).zip(&founder.keys) {
        if key.officer.is_empty() && key.factor() == Factor::OfficerToken {
            let detail =
                format!("{whose} is an officer's token, and has no commitment to its officer");
            return Err(Malformed::new(Kind::Value, "founder", detail).into());
        }
        if seen.contains(&key.officer.as_ref()) {
            let officer = hex(&key.officer);
            let detail =
                format!("the officer {officer} of {whose}: another key of it is that officer's");
            return Err(ClientError::founder_taken(detail));
        }
        seen.extend((!key.officer.is_empty()).then_some(key.officer.as_ref()));
    }
    Ok(())
}

/// The keys of a founder, each with what it is.
fn founder_keys(founder: &Founder) -> impl Iterator<Item = (String, &[u8])> {
    let numbered = founder.keys.iter().zip(1..);
    numbered.map(|(key, number)| {
        (format!("key {number} of {}", founder.party), key.public_key.as_ref())
    })
}

/// The keys of a validator, each with what it is.
fn validator_keys(validator: &Validator) -> impl Iterator<Item = (String, &[u8])> {
    let Validator { vote_key, log_key, cosign_key, receipt_key, .. } = validator;
    let keys =
        [("vote", vote_key), ("log", log_key), ("cosign", cosign_key), ("receipt", receipt_key)];
    keys.map(|(name, key)| {
        (format!("the {name} key of the validator of {}", validator.party), key.as_ref())
    })
    .into_iter()
}

fn encoded(message: &impl Message) -> String {
    hex(&message::encode(message))
}

fn decode<M: Message + Default>(value: Option<&Value>) -> Result<M, ClientError> {
    M::decode(bytes_of(value)?.as_slice()).map_err(ClientError::document)
}

fn bytes_of(value: Option<&Value>) -> Result<Vec<u8>, ClientError> {
    let text = value.and_then(Value::as_str);
    let text = text.ok_or_else(|| ClientError::document("a part of the ceremony is missing"))?;
    base16ct::lower::decode_vec(text).map_err(ClientError::document)
}
