//! An act before it is an entry: what a test changes to see it refused.

use ledger_event::event::Act;
use ledger_event::{
    AssetDescribed, AssetRevised, BatchAcknowledged, BatchSent, BudgetsSet, CalendarPublished,
    CertificateIssued, ContractSigned, DeliveryPlanned, Event, EvidenceRecorded, GenesisPublished,
    ImportedHistory, KeyEnrolled, KeyRevoked, ListingApplied, MisconductRecorded, NoticeOpened,
    PartyAdmitted, ProtocolActivated, Purpose, RegistrationApplied, RegistrationReviewed,
    ReviewDecided, ReviewSubmitted, Role, RuleSetPublished, ValidatorsChanged,
};
use ledger_format::digest::{LedgerId, sha256};
use ledger_format::entry::{Claims, Draft, Entry, Signer};
use ledger_format::id::Subject;

use crate::cast::{Key, Label};

/// One signature of a deed.
#[derive(Clone, Debug)]
pub struct Sign {
    /// The party that the entry names for the key.
    pub party: &'static str,
    /// The key that signs.
    pub key: Key,
    /// Acting as what.
    pub role: Role,
    /// Why.
    pub purpose: Purpose,
}

/// What a deed states as the head that its signers saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prior {
    /// No head.
    Unstated,
    /// The head at the time of sealing.
    Seen,
    /// This one.
    Stated([u8; 32]),
}

/// An act, its signers and its claims. The first signer issues it.
#[derive(Clone, Debug)]
pub struct Deed {
    /// What it is about.
    pub subject: String,
    /// What is done.
    pub act: Act,
    /// Who signs, the issuer first.
    pub signers: Vec<Sign>,
    /// The head that it states.
    pub prior: Prior,
    /// Another ledger than the story's.
    pub ledger: Option<LedgerId>,
    /// Seconds from the time of the block to `iat`.
    pub issued_after_s: i64,
    /// Seconds from `iat` to `exp`.
    pub lives_s: i64,
    /// Instead of a fresh one.
    pub nonce: Option<[u8; 16]>,
}

/// Where and when a deed becomes an entry.
#[derive(Clone, Debug)]
pub struct Place {
    /// The ledger.
    pub ledger: LedgerId,
    /// Time of the block.
    pub time_ms: u64,
    /// Head of the subject's history.
    pub head: Vec<u8>,
    /// Makes the nonce.
    pub serial: u64,
    /// Whether to sign in earnest: the rules do not look at signatures.
    pub signed: bool,
}

impl Deed {
    /// A deed without a stated head, issued at the time of its block.
    pub fn new(subject: impl Into<String>, act: Act, signers: Vec<Sign>) -> Self {
        Self {
            subject: subject.into(),
            act,
            signers,
            prior: Prior::Unstated,
            ledger: None,
            issued_after_s: 0,
            lives_s: 3600,
            nonce: None,
        }
    }

    /// With the head of the subject's history.
    #[must_use]
    pub fn binding(self) -> Self {
        Self { prior: Prior::Seen, ..self }
    }

    /// About another subject.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// With the event changed.
    #[must_use]
    pub fn with<T: Payload>(mut self, change: impl FnOnce(&mut T)) -> Self {
        change(T::of(&mut self.act));
        self
    }

    /// With other signers.
    #[must_use]
    pub fn signed_by(self, signers: Vec<Sign>) -> Self {
        Self { signers, ..self }
    }

    /// With one signer more.
    #[must_use]
    pub fn and(mut self, sign: Sign) -> Self {
        self.signers.push(sign);
        self
    }

    /// The entry.
    pub fn seal(&self, place: &Place) -> Entry {
        let issuer = &self.signers[0];
        let now = i64::try_from(place.time_ms / 1000).unwrap();
        let issued = now + self.issued_after_s;
        let second = |value: i64| u64::try_from(value).unwrap();
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&sha256(&[&place.serial.to_be_bytes()])[..16]);
        let signer = |sign: &Sign| Signer {
            party: sign.party.into(),
            kid: sign.key.kid(),
            role: sign.role,
            purpose: sign.purpose,
        };
        let listed: &[Sign] = if self.signers.len() > 1 { &self.signers } else { &[] };
        let claims = Claims {
            issuer: issuer.party.into(),
            subject: Subject::parse("subject", &self.subject).unwrap(),
            ledger: self.ledger.unwrap_or(place.ledger),
            expires_s: second(issued + self.lives_s),
            issued_s: second(issued),
            nonce: self.nonce.unwrap_or(nonce),
            signers: listed.iter().map(signer).collect(),
        };
        let prior = match self.prior {
            Prior::Unstated => vec![],
            Prior::Seen => place.head.clone(),
            Prior::Stated(head) => head.to_vec(),
        };
        let event = Event { prior: prior.into(), act: Some(self.act.clone()) };
        let draft = Draft::new(issuer.key.kid(), claims, &event);
        if !place.signed {
            return draft.seal(&vec![[7; 64]; draft.cosigners().count()], &[9; 64]).unwrap();
        }
        let key = |kid| self.signers.iter().find(|sign| sign.key.kid() == kid).unwrap().key;
        let message = draft.cosign_message();
        let others: Vec<_> = draft.cosigners().map(|s| key(s.kid).sign(&message)).collect();
        draft.seal(&others, &issuer.key.sign(&draft.seal_message(&others))).unwrap()
    }
}

/// The event of one kind of act.
pub trait Payload {
    /// The event of an act, which must be of this kind.
    fn of(act: &mut Act) -> &mut Self;
}

macro_rules! payloads {
    ($($name:ident)*) => {$(
        impl Payload for $name {
            fn of(act: &mut Act) -> &mut Self {
                match act {
                    Act::$name(event) => event,
                    other => panic!("{other:?} is no {}", stringify!($name)),
                }
            }
        }
    )*};
}

payloads! {
    GenesisPublished RuleSetPublished CalendarPublished PartyAdmitted KeyEnrolled KeyRevoked
    AssetDescribed AssetRevised ImportedHistory RegistrationApplied RegistrationReviewed NoticeOpened
    EvidenceRecorded CertificateIssued ReviewSubmitted ReviewDecided ListingApplied ContractSigned
    DeliveryPlanned BatchSent BatchAcknowledged ValidatorsChanged ProtocolActivated MisconductRecorded
    BudgetsSet
}

/// A signature with a party's own key.
pub fn sign(party: &'static str, label: Label, role: Role, purpose: Purpose) -> Sign {
    Sign { party, key: Key(party, label), role, purpose }
}

/// The organisation alone.
pub fn alone(party: &'static str, role: Role) -> Vec<Sign> {
    vec![sign(party, Label::Seal, role, Purpose::Issue)]
}

/// The organisation's key and an officer's token.
pub fn two_factors(party: &'static str, role: Role) -> Vec<Sign> {
    vec![
        sign(party, Label::Seal, role, Purpose::Issue),
        sign(party, Label::Li, role, Purpose::SecondFactor),
    ]
}

/// Two officers.
pub fn two_officers(party: &'static str, role: Role) -> Vec<Sign> {
    vec![
        sign(party, Label::Li, role, Purpose::Issue),
        sign(party, Label::Wang, role, Purpose::SecondFactor),
    ]
}
