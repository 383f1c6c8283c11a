//! Signing acts: an event, its claims, and everybody's signatures.

use ed25519_dalek::{Signer as _, SigningKey};
use ledger_event::event::Act;
use ledger_event::{Digest, Event, HashAlgorithm, Purpose, Role};
use ledger_format::digest::{Hash, KeyId, LedgerId, sha256};
use ledger_format::entry::{Claims, Draft, Entry, Signer};
use ledger_format::id::Subject;

use crate::error::ClientError;
use crate::keys::{kid, nonce};

/// When an act is claimed to happen, and until when a block may take it. Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `iat`.
    pub issued_s: u64,
    /// `exp`.
    pub expires_s: u64,
}

impl Times {
    /// Issued at an instant, valid for some seconds.
    pub const fn valid_for(issued_s: u64, seconds: u64) -> Self {
        Self { issued_s, expires_s: issued_s.saturating_add(seconds) }
    }
}

/// Somebody who signs: a party, in a role, with a key.
#[derive(Clone, Debug)]
pub struct Signatory {
    /// Who.
    pub party: String,
    /// Acting as what.
    pub role: Role,
    /// Why.
    pub purpose: Purpose,
    /// With which key.
    pub key: SigningKey,
}

impl Signatory {
    /// The author of an act.
    pub fn issuer(party: &str, role: Role, key: &SigningKey) -> Self {
        Self::new(party, role, Purpose::Issue, key)
    }

    /// Any signer.
    pub fn new(party: &str, role: Role, purpose: Purpose, key: &SigningKey) -> Self {
        Self { party: party.to_owned(), role, purpose, key: key.clone() }
    }

    /// As the entry lists it.
    pub fn signer(&self) -> Signer {
        let (party, kid) = (self.party.clone(), kid(&self.key));
        Signer { party, kid, role: self.role, purpose: self.purpose }
    }
}

/// An act before it is signed.
#[derive(Clone, Debug)]
pub struct Unsigned {
    /// The ledger that it is for.
    pub ledger: LedgerId,
    /// What it is about.
    pub subject: Subject,
    /// Head of the subject's history that the signers saw; `None`: nobody looked.
    pub prior: Option<Hash>,
    /// The act.
    pub act: Act,
    /// Its times.
    pub times: Times,
}

impl Unsigned {
    /// The draft for an issuer's key and all signers, the issuer's own included; none for an issuer alone.
    ///
    /// # Errors
    /// `CLIENT_RANDOM`.
    pub fn draft(
        self,
        issuer: &str,
        key: KeyId,
        signers: Vec<Signer>,
    ) -> Result<Draft, ClientError> {
        Ok(self.draft_as(nonce()?, issuer, key, signers))
    }

    fn draft_as(self, nonce: [u8; 16], issuer: &str, key: KeyId, signers: Vec<Signer>) -> Draft {
        let claims = Claims {
            issuer: issuer.to_owned(),
            subject: self.subject,
            ledger: self.ledger,
            expires_s: self.times.expires_s,
            issued_s: self.times.issued_s,
            nonce,
            signers,
        };
        let prior = self.prior.map(|head| head.to_vec().into()).unwrap_or_default();
        Draft::new(key, claims, &Event { prior, act: Some(self.act) })
    }

    /// Signs the act with keys that are all at hand. The first signatory issues.
    ///
    /// # Errors
    /// `CLIENT_SIGNERS` without signatories, or what the entry's limits refuse.
    pub fn sign(self, signatories: &[Signatory]) -> Result<Entry, ClientError> {
        self.sign_as(nonce()?, signatories)
    }

    /// Signs the act under a `cti` of the caller's: of all that the issuer signs with it, one counts.
    ///
    /// # Errors
    /// As [`Unsigned::sign`].
    pub fn sign_as(self, nonce: [u8; 16], signatories: &[Signatory]) -> Result<Entry, ClientError> {
        let issuer = signatories.first().ok_or_else(|| ClientError::signers("nobody signs"))?;
        let signers = match signatories {
            [_alone] => Vec::new(),
            all => all.iter().map(Signatory::signer).collect(),
        };
        let draft = self.draft_as(nonce, &issuer.party, kid(&issuer.key), signers);
        let message = draft.cosign_message();
        let mut cosignatures = Vec::new();
        for signer in draft.cosigners() {
            let signatory = signatories.iter().find(|s| kid(&s.key) == signer.kid);
            let signatory = signatory.ok_or_else(|| ClientError::signers(signer.kid))?;
            cosignatures.push(signatory.key.sign(&message).to_bytes());
        }
        seal(&draft, &cosignatures, &issuer.key)
    }
}

/// Puts the issuer's signature over a draft and its co-signatures.
///
/// # Errors
/// `CLIENT_SIGNERS` when the key is not the draft's issuer's, or what the entry's limits refuse.
pub fn seal(
    draft: &Draft,
    cosignatures: &[[u8; 64]],
    key: &SigningKey,
) -> Result<Entry, ClientError> {
    if kid(key) != draft.kid() {
        let detail = format!("the draft is issued with key {}", draft.kid());
        return Err(ClientError::signers(detail));
    }
    let signature = key.sign(&draft.seal_message(cosignatures)).to_bytes();
    Ok(draft.seal(cosignatures, &signature)?)
}

/// The digest of some bytes, as events carry it.
pub fn digest_of(bytes: &[u8]) -> Digest {
    digest(sha256(&[bytes]))
}

/// A SHA-256 value, as events carry it.
pub fn digest(hash: Hash) -> Digest {
    Digest { algorithm: HashAlgorithm::Sha256.into(), value: hash.to_vec().into() }
}
