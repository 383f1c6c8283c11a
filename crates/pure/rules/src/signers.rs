//! Who must sign an act: keys in force, roles granted, factors of different classes (docs/spec/rules.md, signers).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{Factor, KeyRecord, PartyRecord, Purpose, Role};
use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;

use crate::code::{Code, Refusal};
use crate::view::State;

/// A signer whose key is in force and belongs to the party that it signs for.
#[derive(Clone, Debug)]
pub(crate) struct ActiveSigner {
    pub(crate) party: String,
    /// `None` when the entry has one signer: then the act's table says in which role it acts.
    pub(crate) role: Option<Role>,
    pub(crate) factor: Factor,
    pub(crate) officer: Bytes,
    roles: Vec<i32>,
}

/// A key that the entry itself enrols, whose holder signs to show that it has it.
#[derive(Clone, Debug)]
pub(crate) struct Possession {
    pub(crate) party: String,
    pub(crate) kid: KeyId,
    pub(crate) role: Role,
}

/// The signers of one entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signers {
    pub(crate) active: Vec<ActiveSigner>,
    pub(crate) possession: Vec<Possession>,
}

/// Which party a need is about, by its place in the act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The entry's issuer, whoever that is.
    Issuer,
    /// Any party with the role.
    Anyone,
    /// The applicant of the registration.
    Applicant,
    /// The registry that the application named.
    Registry,
    /// The supplier of the asset.
    Supplier,
    /// The reviewer that the submission named.
    Reviewer,
    /// The seller of the listing or contract.
    Seller,
    /// The exchange that the listing named.
    Venue,
    /// The buyer of the contract.
    Buyer,
    /// The party that the act is about.
    Subject,
}

/// How many keys, of which kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One key, not a system's (class B).
    One,
    /// An organisation key and an officer's token (class A).
    TwoFactors,
    /// Keys of two different officers.
    TwoOfficers,
}

/// One required signature, or pair of them.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// In which role; unspecified: any.
    pub role: Role,
    /// Which party.
    pub who: Who,
    /// Which keys of the party.
    pub keys: Keys,
    /// The code when nobody signs in this place.
    pub missing: Code,
}

impl Need {
    pub(crate) const fn one(role: Role, who: Who) -> Self {
        Self { role, who, keys: Keys::One, missing: Code::SigMissingRole }
    }

    pub(crate) const fn two_factors(role: Role, who: Who) -> Self {
        Self { role, who, keys: Keys::TwoFactors, missing: Code::SigMissingRole }
    }

    pub(crate) const fn two_officers(role: Role, who: Who) -> Self {
        Self { role, who, keys: Keys::TwoOfficers, missing: Code::SigMissingRole }
    }

    pub(crate) const fn or_else(mut self, code: Code) -> Self {
        self.missing = code;
        self
    }
}

/// Looks every signer up in the state before the block: key known, active, of the named party; party in the named role.
pub(crate) fn look_up(entry: &Entry, state: &State<'_>) -> Result<Signers, Refusal> {
    let claims = entry.claims();
    let mut signers = Signers::default();
    if claims.signers.is_empty() {
        signers.active.push(active(state, &claims.issuer, entry.kid(), None)?);
    }
    for signer in &claims.signers {
        if signer.purpose == Purpose::Possession {
            let (party, kid, role) = (signer.party.clone(), signer.kid, signer.role);
            signers.possession.push(Possession { party, kid, role });
        } else {
            signers.active.push(active(state, &signer.party, signer.kid, Some(signer.role))?);
        }
    }
    Ok(signers)
}

fn active(
    state: &State<'_>,
    party: &str,
    kid: KeyId,
    role: Option<Role>,
) -> Result<ActiveSigner, Refusal> {
    let key: KeyRecord = state
        .in_force(&format!("key:{kid}"))
        .ok_or_else(|| Refusal::new(Code::KeyUnknown, format!("key {kid} of {party}")))?;
    if key.party != party {
        let detail = format!("key {kid} belongs to {}, not to {party}", key.party);
        return Err(Refusal::new(Code::KeyOfOtherParty, detail));
    }
    if key.revoked_ms != 0 {
        let detail = format!("key {kid} of {party} was revoked at {} ms", key.revoked_ms);
        return Err(Refusal::new(Code::KeyInactive, detail));
    }
    let record: PartyRecord = state
        .in_force(&format!("party:{party}"))
        .ok_or_else(|| Refusal::new(Code::KeyUnknown, format!("party {party}")))?;
    let signer = ActiveSigner {
        party: party.to_string(),
        role,
        factor: key.factor(),
        officer: key.officer,
        roles: record.roles,
    };
    if let Some(role) = role {
        signer.check_granted(role)?;
    }
    Ok(signer)
}

impl ActiveSigner {
    fn has(&self, role: Role) -> bool {
        role == Role::Unspecified || self.roles.contains(&i32::from(role))
    }

    fn check_granted(&self, role: Role) -> Result<(), Refusal> {
        if self.has(role) {
            return Ok(());
        }
        let detail = format!("{} does not have the role {}", self.party, role.as_str_name());
        Err(Refusal::new(Code::RoleNotGranted, detail))
    }

    fn check_factor(&self, need: Need) -> Result<(), Refusal> {
        if !matches!(self.factor, Factor::System | Factor::Unspecified) {
            return Ok(());
        }
        let detail = format!("{} as {}: a system key", self.party, name(need.role));
        Err(Refusal::new(Code::SigWeakFactor, detail))
    }

    /// Whether this signer can stand for a need about `party`.
    fn serves(&self, need: Need, party: Option<&str>) -> bool {
        let party_fits = party.is_none_or(|party| party == self.party);
        let role_fits = need.role == Role::Unspecified || self.role.is_none_or(|r| r == need.role);
        party_fits && role_fits
    }
}

/// Checks the signers against the needs of an act. `resolve` names the party of each place; `None` for a place means that any
/// party will do.
///
/// A key stands in one place only: who has two roles signs with two keys. Further keys of a place's party and role say nothing
/// new and do no harm; a key that stands in no place is refused.
pub(crate) fn check(
    signers: &Signers,
    needs: &[Need],
    resolve: &dyn Fn(Who) -> Option<String>,
) -> Result<(), Refusal> {
    let mut called_for = alloc::vec![false; signers.active.len()];
    let mut taken = called_for.clone();
    for need in needs.iter().copied() {
        let party = resolve(need.who);
        let mut free = Vec::new();
        let marks = called_for.iter_mut().zip(taken.iter_mut());
        for (signer, (called, taken)) in signers.active.iter().zip(marks) {
            if !signer.serves(need, party.as_deref()) {
                continue;
            }
            signer.check_granted(need.role)?;
            signer.check_factor(need)?;
            *called = true;
            if !*taken && (free.is_empty() || need.keys != Keys::One) {
                *taken = true;
                free.push(signer);
            }
        }
        satisfied(need, party.as_deref(), &free)?;
    }
    match signers.active.iter().zip(&called_for).find(|(_, called)| !**called) {
        None => Ok(()),
        Some((signer, _)) => {
            let role = signer.role.map_or("its own", |role| role.as_str_name());
            let detail = format!("{} signed as {role}", signer.party);
            Err(Refusal::new(Code::SigUncalledFor, detail))
        }
    }
}

/// A role as messages name it.
fn name(role: Role) -> &'static str {
    if role == Role::Unspecified { "itself" } else { role.as_str_name() }
}

fn satisfied(need: Need, party: Option<&str>, serving: &[&ActiveSigner]) -> Result<(), Refusal> {
    let who = party.unwrap_or("any party");
    let refuse = |code: Code, why: &str| {
        Err(Refusal::new(code, format!("{who} as {}: {why}", name(need.role))))
    };
    if serving.is_empty() {
        return refuse(need.missing, "no signature");
    }
    let two_factors = |wanted: Factor| serving.iter().any(|signer| signer.factor == wanted);
    match need.keys {
        Keys::One => Ok(()),
        Keys::TwoFactors if two_factors(Factor::OrgHsm) && two_factors(Factor::OfficerToken) => {
            Ok(())
        }
        Keys::TwoFactors if serving.len() < 2 => refuse(need.missing, "one key, two needed"),
        Keys::TwoFactors => {
            refuse(Code::SigSameFactor, "expected an organisation key and an officer's token")
        }
        Keys::TwoOfficers if serving.len() < 2 => refuse(need.missing, "one officer, two needed"),
        Keys::TwoOfficers => {
            let mut officers: Vec<&Bytes> =
                serving.iter().map(|signer| &signer.officer).filter(|o| !o.is_empty()).collect();
            officers.sort_unstable();
            officers.dedup();
            if officers.len() >= 2 {
                return Ok(());
            }
            refuse(Code::SigSameOfficer, "expected keys of two different officers")
        }
    }
}
