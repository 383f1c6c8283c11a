//! Drafts on their way between signers: a JSON file with the exact bytes that are signed, and the co-signatures so far.

use std::collections::BTreeMap;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_event::Event;
use ledger_event::event::Act;
use ledger_format::digest::{KeyId, hex};
use ledger_format::entry::{Draft, Entry, Signer};
use ledger_format::message;
use ledger_verify::signature::verify;
use serde_json::{Value, json};

use crate::act::seal;
use crate::error::ClientError;
use crate::keys::kid;
use crate::standing::Standing;

const FORMAT: &str = "ledger-draft/v1";

/// A draft with the co-signatures that it has.
#[derive(Clone, Debug, PartialEq)]
pub struct DraftFile {
    /// The draft.
    pub draft: Draft,
    cosignatures: BTreeMap<KeyId, [u8; 64]>,
}

impl DraftFile {
    /// A draft that nobody has signed.
    pub const fn new(draft: Draft) -> Self {
        Self { draft, cosignatures: BTreeMap::new() }
    }

    /// A draft with co-signatures, which are not checked here.
    pub const fn signed(draft: Draft, cosignatures: BTreeMap<KeyId, [u8; 64]>) -> Self {
        Self { draft, cosignatures }
    }

    /// The co-signatures so far, by key.
    pub const fn cosignatures(&self) -> &BTreeMap<KeyId, [u8; 64]> {
        &self.cosignatures
    }

    /// Reads the file.
    ///
    /// # Errors
    /// `CLIENT_DOCUMENT` or what the draft's parts break.
    pub fn from_json(text: &str) -> Result<Self, ClientError> {
        let file: Value = serde_json::from_str(text).map_err(ClientError::document)?;
        let member = |name: &str| {
            let missing = || ClientError::document(format!("no draft: {name} is missing"));
            file.get(name).and_then(Value::as_str).ok_or_else(missing)
        };
        if member("format")? != FORMAT {
            return Err(ClientError::document(format!("no draft: expected the format {FORMAT}")));
        }
        let (body, payload) = (from_hex(member("body")?)?, from_hex(member("payload")?)?);
        let draft = Draft::from_parts(&body, payload)?;
        let mut cosignatures = BTreeMap::new();
        let signed = file.get("cosignatures").and_then(Value::as_object);
        for (key, signature) in signed.into_iter().flatten() {
            let bytes = from_hex(signature.as_str().unwrap_or_default())?;
            let signature = bytes.try_into();
            let signature =
                signature.map_err(|_length| ClientError::document("a signature has 64 bytes"))?;
            cosignatures.insert(KeyId::from_hex(key)?, signature);
        }
        Ok(Self { draft, cosignatures })
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let cosignatures: serde_json::Map<_, _> = self
            .cosignatures
            .iter()
            .map(|(key, signature)| (key.to_string(), Value::from(hex(signature))))
            .collect();
        let file = json!({
            "format": FORMAT,
            "body": hex(&self.draft.body()),
            "payload": hex(self.draft.payload()),
            "cosignatures": cosignatures,
        });
        format!("{file:#}\n")
    }

    /// Whether a key has co-signed.
    pub fn has(&self, key: &KeyId) -> bool {
        self.cosignatures.contains_key(key)
    }

    /// The co-signers that have not signed yet.
    pub fn missing(&self) -> Vec<&Signer> {
        self.draft.cosigners().filter(|signer| !self.has(&signer.kid)).collect()
    }

    /// How far a signer has come. `known` gives the public keys that are at hand.
    pub fn standing(
        &self,
        signer: &Signer,
        known: impl FnOnce(&KeyId) -> Option<[u8; 32]>,
    ) -> Standing {
        if signer.kid == self.draft.kid() {
            return Standing::Seals;
        }
        let Some(signature) = self.cosignatures.get(&signer.kid) else {
            return Standing::Missing;
        };
        let Some(key) = self.granted(&signer.kid).or_else(|| known(&signer.kid)) else {
            return Standing::Unchecked;
        };
        match verify(&key, &self.draft.cosign_message(), signature) {
            Ok(()) => Standing::Signed,
            Err(_wrong) => Standing::Void,
        }
    }

    /// A key that the act itself enrols.
    fn granted(&self, kid: &KeyId) -> Option<[u8; 32]> {
        let payload = Bytes::copy_from_slice(self.draft.payload());
        let event: Event = message::decode("event", &payload).ok()?;
        let keys = match event.act? {
            Act::PartyAdmitted(event) => event.keys,
            Act::KeyEnrolled(event) => event.key.into_iter().collect(),
            _ => Vec::new(),
        };
        let mut keys = keys.iter().filter_map(|key| key.public_key.as_ref().try_into().ok());
        keys.find(|key| KeyId::of(key) == *kid)
    }

    /// Checks the co-signatures whose keys are known.
    ///
    /// # Errors
    /// `CLIENT_COSIGNATURE` with those that are not of the draft as it is.
    pub fn check(&self, known: impl Fn(&KeyId) -> Option<[u8; 32]>) -> Result<(), ClientError> {
        let void = |signer: &&Signer| self.standing(signer, &known) == Standing::Void;
        let void: Vec<String> = self
            .draft
            .cosigners()
            .filter(void)
            .map(|signer| format!("{} with key {}", signer.party, signer.kid))
            .collect();
        if void.is_empty() { Ok(()) } else { Err(ClientError::cosignature(void.join(", "))) }
    }

    /// Adds a key's co-signature.
    ///
    /// # Errors
    /// `CLIENT_SIGNERS` for a key that is not one of the draft's co-signers.
    pub fn cosign(&mut self, key: &SigningKey) -> Result<(), ClientError> {
        let id = kid(key);
        if !self.draft.cosigners().any(|signer| signer.kid == id) {
            let issuer = if id == self.draft.kid() {
                "; it seals the draft when all others have signed"
            } else {
                ""
            };
            return Err(ClientError::signers(format!(
                "key {id} is no co-signer of the draft{issuer}"
            )));
        }
        self.cosignatures.insert(id, key.sign(&self.draft.cosign_message()).to_bytes());
        Ok(())
    }

    /// Seals the draft with the issuer's key.
    ///
    /// # Errors
    /// `CLIENT_UNSIGNED` while co-signatures are missing, `CLIENT_SIGNERS` for a key that is not the issuer's.
    pub fn seal(&self, key: &SigningKey) -> Result<Entry, ClientError> {
        let missing = self.missing();
        if !missing.is_empty() {
            let names =
                missing.iter().map(|signer| format!("{} with key {}", signer.party, signer.kid));
            return Err(ClientError::unsigned(names.collect::<Vec<_>>().join(", ")));
        }
        let signatures =
            self.draft.cosigners().filter_map(|signer| self.cosignatures.get(&signer.kid));
        seal(&self.draft, &signatures.copied().collect::<Vec<_>>(), key)
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>, ClientError> {
    base16ct::lower::decode_vec(text).map_err(ClientError::document)
}

#[cfg(test)]
mod tests {
    use ledger_event::{DeliveryCompleted, Purpose, Role};
    use ledger_format::digest::LedgerId;
    use ledger_format::id::Subject;

    use super::*;
    use crate::act::{Signatory, Times, Unsigned};

    fn only_the_draft_as_it_is_was_signed(
        file: &DraftFile,
        unsigned: &Unsigned,
        buyer: &SigningKey,
    ) {
        let known = |id: &KeyId| (*id == kid(buyer)).then(|| buyer.verifying_key().to_bytes());
        let claims = file.draft.claims();
        let standings = |file: &DraftFile, known: &dyn Fn(&KeyId) -> Option<[u8; 32]>| {
            let signers = claims.signers.iter().filter(|signer| signer.kid == kid(buyer));
            signers.map(|signer| file.standing(signer, known)).collect::<Vec<_>>()
        };
        assert_eq!(standings(file, &known), [Standing::Signed]);
        assert_eq!(standings(file, &|_| None), [Standing::Unchecked]);
        let later = Unsigned { times: Times::valid_for(2_000, 60), ..unsigned.clone() };
        let edited = later.draft("s", file.draft.kid(), claims.signers.clone()).unwrap();
        let edited = DraftFile::signed(edited, file.cosignatures().clone());
        assert_eq!(standings(&edited, &known), [Standing::Void]);
        assert_eq!(edited.check(known).unwrap_err().code, "CLIENT_COSIGNATURE");
        assert!(edited.check(|_| None).is_ok() && file.check(known).is_ok());
        let mut again = edited;
        again.cosign(buyer).unwrap();
        assert!(again.check(known).is_ok());
    }

    #[test]
    fn a_draft_travels_between_its_signers() {
        let key = |number| SigningKey::from_bytes(&[number; 32]);
        let (seller, buyer) = (key(1), key(2));
        let signer = |party, role, purpose, key| Signatory::new(party, role, purpose, key).signer();
        let signers = vec![
            signer("s", Role::Supplier, Purpose::Issue, &seller),
            signer("b", Role::Buyer, Purpose::Counterparty, &buyer),
        ];
        let unsigned = Unsigned {
            ledger: LedgerId([7; 32]),
            subject: Subject::parse("subject", "delivery:s/d").unwrap(),
            prior: Some([9; 32]),
            act: Act::DeliveryCompleted(DeliveryCompleted {}),
            times: Times::valid_for(1_000, 60),
        };
        let draft = unsigned.clone().draft("s", kid(&seller), signers).unwrap();
        let mut file = DraftFile::from_json(&DraftFile::new(draft).to_json()).unwrap();
        assert_eq!(file.seal(&seller).unwrap_err().code, "CLIENT_UNSIGNED");
        assert_eq!(file.cosign(&seller).unwrap_err().code, "CLIENT_SIGNERS");
        assert_eq!(file.cosign(&key(3)).unwrap_err().code, "CLIENT_SIGNERS");
        file.cosign(&buyer).unwrap();
        let file = DraftFile::from_json(&file.to_json()).unwrap();
        assert!(file.missing().is_empty());
        only_the_draft_as_it_is_was_signed(&file, &unsigned, &buyer);
        assert_eq!(file.seal(&buyer).unwrap_err().code, "CLIENT_SIGNERS");
        let entry = file.seal(&seller).unwrap();
        let keys = [&seller, &buyer].map(|key| (kid(key), key.verifying_key().to_bytes()));
        let known = |id: &KeyId| keys.iter().find(|(key, _)| key == id).map(|(_, key)| *key);
        ledger_verify::entry::check_signatures(&entry, |id| known(id)).unwrap();
    }
}
