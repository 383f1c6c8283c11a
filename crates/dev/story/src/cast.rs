//! Who acts: parties, their roles, and their keys.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_event::{Factor, Founder, KeyGrant, PartyKind, PartyProfile, Role};
use ledger_format::digest::{KeyId, sha256};

/// Founder: exchange.
pub const EXCHANGE: &str = "gzdex";
/// Founder: registration authority.
pub const REGISTRY: &str = "gd-registry";
/// Founder: identity authority.
pub const AUTHORITY: &str = "gd-ida";
/// Supplies the asset of the story.
pub const SUPPLIER: &str = "weather-co";
/// Buys it.
pub const BUYER: &str = "insurer";
/// Reviews it.
pub const REVIEWER: &str = "law-firm";
/// Has every role, and no part in the story.
pub const OMNI: &str = "omni-group";

/// Everybody, and as what.
pub const CAST: [(&str, &[Role]); 7] = [
    (EXCHANGE, &[Role::Exchange, Role::Auditor]),
    (REGISTRY, &[Role::Registry, Role::Auditor]),
    (AUTHORITY, &[Role::Auditor, Role::IdentityAuthority]),
    (SUPPLIER, &[Role::Supplier, Role::Auditor]),
    (BUYER, &[Role::Buyer, Role::Auditor]),
    (REVIEWER, &[Role::Reviewer, Role::Auditor]),
    (
        OMNI,
        &[
            Role::Supplier,
            Role::Buyer,
            Role::Exchange,
            Role::Registry,
            Role::Reviewer,
            Role::Auditor,
            Role::IdentityAuthority,
        ],
    ),
];

/// The founders, in the order of a genesis document.
pub const FOUNDERS: [&str; 3] = [AUTHORITY, REGISTRY, EXCHANGE];

/// One of a party's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The organisation's seal, in its HSM.
    Seal,
    /// A second key of that class.
    SpareSeal,
    /// The token of officer Li.
    Li,
    /// A second token of officer Li.
    SpareLi,
    /// The token of officer Wang.
    Wang,
    /// The key of a program.
    System,
    /// A token that is not enrolled from the start.
    Fresh,
    /// Another one.
    Newer,
}

/// What everybody has enrolled from the start.
pub const ENROLLED: [Label; 6] =
    [Label::Seal, Label::SpareSeal, Label::Li, Label::SpareLi, Label::Wang, Label::System];

const ALL: [Label; 8] = [
    Label::Seal,
    Label::SpareSeal,
    Label::Li,
    Label::SpareLi,
    Label::Wang,
    Label::System,
    Label::Fresh,
    Label::Newer,
];

/// A key of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub &'static str, pub Label);

static SIGNING: LazyLock<BTreeMap<Key, SigningKey>> = LazyLock::new(|| {
    let keys = CAST.iter().flat_map(|(party, _)| ALL.map(|label| Key(party, label)));
    keys.map(|key| (key, signing_key(&format!("{key:?}")))).collect()
});

/// A signing key made of a text.
pub fn signing_key(seed: &str) -> SigningKey {
    SigningKey::from_bytes(&sha256(&[seed.as_bytes()]))
}

impl Key {
    /// The public key.
    pub fn public(self) -> [u8; 32] {
        SIGNING[&self].verifying_key().to_bytes()
    }

    /// SHA-256 of it.
    pub fn kid(self) -> KeyId {
        KeyId::of(&self.public())
    }

    /// Signs a message.
    pub fn sign(self, message: &[u8]) -> [u8; 64] {
        SIGNING[&self].sign(message).to_bytes()
    }

    /// What kind of factor the key is.
    pub fn factor(self) -> Factor {
        match self.1 {
            Label::Seal | Label::SpareSeal => Factor::OrgHsm,
            Label::System => Factor::System,
            Label::Li | Label::SpareLi | Label::Wang | Label::Fresh | Label::Newer => {
                Factor::OfficerToken
            }
        }
    }

    /// What enrols it.
    pub fn grant(self) -> KeyGrant {
        let officer = |name: &str| {
            let commitment = sha256(&[self.0.as_bytes(), name.as_bytes()]);
            Bytes::copy_from_slice(&commitment)
        };
        KeyGrant {
            public_key: Bytes::copy_from_slice(&self.public()),
            factor: self.factor().into(),
            officer: match self.1 {
                Label::Seal | Label::SpareSeal | Label::System => Bytes::new(),
                Label::Li | Label::SpareLi => officer("li"),
                Label::Wang => officer("wang"),
                Label::Fresh | Label::Newer => officer("zhao"),
            },
        }
    }
}

/// The roles of a member of the cast.
pub fn roles(party: &str) -> &'static [Role] {
    CAST.iter().find(|(name, _)| *name == party).unwrap().1
}

/// Its public profile.
pub fn profile(party: &str) -> PartyProfile {
    let (region, digit) = match party {
        REGISTRY => ("44", "1"),
        OMNI => ("44", "2"),
        _ => ("", ""),
    };
    PartyProfile {
        kind: PartyKind::Legal.into(),
        name_en: format!("The {party} company"),
        jurisdiction: "CN".into(),
        region: "440100".into(),
        certificate_region: region.into(),
        certificate_digit: digit.into(),
        ..PartyProfile::default()
    }
}

/// The keys that a party has from the start.
pub fn grants(party: &'static str) -> Vec<KeyGrant> {
    ENROLLED.map(|label| Key(party, label).grant()).into()
}

/// A founder as genesis names it.
pub fn founder(party: &'static str) -> Founder {
    Founder {
        party: party.into(),
        profile: Some(profile(party)),
        roles: roles(party).iter().map(|role| i32::from(*role)).collect(),
        keys: grants(party),
    }
}
