//! Who must sign an act: keys in force, roles granted, factors of different classes (docs/spec/rules.md, signers).

use alloc::borrow::Cow;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{Factor, PartyRecord, Purpose, Role};
use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;
use ledger_format::limits::MAX_SIGNERS;

use crate::code::{Code, Refusal};
use crate::view::State;

/// A signer whose key is in force and belongs to the party that it signs for.
#[derive(Clone, Debug)]
pub(crate) struct ActiveSigner {
    pub(crate) party: String,
    pub(crate) kid: KeyId,
    /// `None` when the entry has one signer: then the act's table says in which role it acts.
    pub(crate) role: Option<Role>,
    pub(crate) factor: Factor,
    pub(crate) officer: Bytes,
    granted: Rc<PartyRecord>,
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

impl Signers {
    /// Whether a party is among those who signed.
    pub(crate) fn include(&self, party: &str) -> bool {
        self.active.iter().any(|signer| signer.party == party)
    }

    /// A party among those who signed that is none of these.
    pub(crate) fn outsider(&self, fits: impl Fn(&str) -> bool) -> Option<&str> {
        self.active.iter().map(|signer| signer.party.as_str()).find(|party| !fits(party))
    }
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
    let key = state
        .key(kid)
        .ok_or_else(|| Refusal::new(Code::KeyUnknown, format!("key {kid} of {party}")))?;
    if key.party != party {
        let detail = format!("key {kid} belongs to {}, not to {party}", key.party);
        return Err(Refusal::new(Code::KeyOfOtherParty, detail));
    }
    if key.revoked_ms != 0 {
        let detail = format!("key {kid} of {party} was revoked at {} ms", key.revoked_ms);
        return Err(Refusal::new(Code::KeyInactive, detail));
    }
    let record = state
        .party(party)
        .ok_or_else(|| Refusal::new(Code::KeyUnknown, format!("party {party}")))?;
    let signer = ActiveSigner {
        party: party.to_string(),
        kid,
        role,
        factor: key.factor(),
        officer: key.officer.clone(),
        granted: record,
    };
    if let Some(role) = role {
        signer.check_granted(role)?;
    }
    Ok(signer)
}

impl ActiveSigner {
    fn has(&self, role: Role) -> bool {
        role == Role::Unspecified || self.granted.roles.contains(&i32::from(role))
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
/// A key stands in one place only: who has two roles signs with two keys. Which key stands where is for nobody to say, so any
/// way to fill all places will do, and the order of the signers decides nothing. Further keys of a place's party and role say
/// nothing new and do no harm; a key that stands in no place is refused.
pub(crate) fn check<'a>(
    signers: &Signers,
    needs: &[Need],
    resolve: &dyn Fn(Who) -> Option<Cow<'a, str>>,
) -> Result<(), Refusal> {
    let mut called_for = Numbers::default();
    let mut places = Places::default();
    for need in needs.iter().copied() {
        let party = resolve(need.who);
        let mut serving = Numbers::default();
        for (number, signer) in signers.active.iter().enumerate() {
            if !signer.serves(need, party.as_deref()) {
                continue;
            }
            signer.check_granted(need.role)?;
            signer.check_factor(need)?;
            called_for.add(number);
            serving.add(number);
        }
        let keys = keys(need, &signers.active, serving);
        if !keys.into_iter().flatten().all(|able| places.fill(able)) {
            return Err(unfilled(need, party.as_deref(), serving.count()));
        }
    }
    match signers.active.iter().enumerate().find(|(number, _)| !called_for.has(*number)) {
        None => Ok(()),
        Some((_, signer)) => {
            let role = signer.role.map_or("its own", |role| role.as_str_name());
            let detail = format!("{} signed as {role}", signer.party);
            Err(Refusal::new(Code::SigUncalledFor, detail))
        }
    }
}

/// Some of an entry's signers, by number: a bit each, so that no entry takes memory for them.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers(u32);

const _: () = assert!(MAX_SIGNERS < 32, "each signer has its bit");

impl Numbers {
    fn bit(number: usize) -> u32 {
        u32::try_from(number).map_or(0, |number| 1_u32.unbounded_shl(number))
    }

    fn add(&mut self, number: usize) {
        self.0 |= Self::bit(number);
    }

    fn has(self, number: usize) -> bool {
        self.0 & Self::bit(number) != 0
    }

    fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl FromIterator<usize> for Numbers {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut all = Self::default();
        numbers.into_iter().for_each(|number| all.add(number));
        all
    }
}

/// For each key that a need asks for, one or two: the signers that can be it, of those that serve the need.
fn keys(need: Need, signers: &[ActiveSigner], serving: Numbers) -> [Option<Numbers>; 2] {
    let serving = || signers.iter().enumerate().filter(move |(number, _)| serving.has(*number));
    let those = |fits: &dyn Fn(&ActiveSigner) -> bool| -> Option<Numbers> {
        Some(serving().filter(|(_, signer)| fits(signer)).map(|(number, _)| number).collect())
    };
    match need.keys {
        Keys::One => [those(&|_| true), None],
        Keys::TwoFactors => [
            those(&|signer| signer.factor == Factor::OrgHsm),
            those(&|signer| signer.factor == Factor::OfficerToken),
        ],
        // The first officer and any other one: all that can be told apart, as no other need of such an act takes a key away.
        Keys::TwoOfficers => {
            let mut officers = serving().map(|(_, signer)| &signer.officer);
            let first = officers.find(|officer| !officer.is_empty());
            let known = |signer: &ActiveSigner| !signer.officer.is_empty();
            [
                those(&|signer| known(signer) && Some(&signer.officer) == first),
                those(&|signer| known(signer) && Some(&signer.officer) != first),
            ]
        }
    }
}

/// The places that are filled, each with one signer, no signer in two of them: a matching, grown along augmenting paths.
#[derive(Debug, Default)]
struct Places {
    /// Of each place, who can stand there.
    able: Vec<Numbers>,
    /// Of each signer, the place in which it stands.
    stands: [Option<usize>; MAX_SIGNERS],
}

impl Places {
    /// Fills one more place, where needed by moving those who stand in others. `false`: there is no way to fill all of them.
    fn fill(&mut self, able: Numbers) -> bool {
        let place = self.able.len();
        self.able.push(able);
        self.place(place, &mut Numbers::default())
    }

    /// Finds somebody for a place who is free, or whose own place another can take. Nobody is `asked` twice, so it ends.
    fn place(&mut self, place: usize, asked: &mut Numbers) -> bool {
        let able = self.able.get(place).copied().unwrap_or_default();
        for number in (0..MAX_SIGNERS).filter(|number| able.has(*number)) {
            if asked.has(number) {
                continue;
            }
            asked.add(number);
            let before = self.stands.get(number).copied().flatten();
            if before.is_none_or(|other| self.place(other, asked)) {
                if let Some(stands) = self.stands.get_mut(number) {
                    *stands = Some(place);
                }
                return true;
            }
        }
        false
    }
}

/// A role as messages name it.
fn name(role: Role) -> &'static str {
    if role == Role::Unspecified { "itself" } else { role.as_str_name() }
}

/// Why a need has not the keys that it asks for, though so many signers serve it.
fn unfilled(need: Need, party: Option<&str>, serving: u32) -> Refusal {
    let (code, why) = match (need.keys, serving) {
        (_, 0) => (need.missing, "no signature"),
        (Keys::One, _) => (need.missing, "who signed so is needed in another place"),
        (Keys::TwoFactors, 1) => (need.missing, "one key, two needed"),
        (Keys::TwoFactors, _) => {
            (Code::SigSameFactor, "expected an organisation key and an officer's token")
        }
        (Keys::TwoOfficers, 1) => (need.missing, "one officer, two needed"),
        (Keys::TwoOfficers, _) => (Code::SigSameOfficer, "expected keys of two different officers"),
    };
    let who = party.unwrap_or("any party");
    Refusal::new(code, format!("{who} as {}: {why}", name(need.role)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNERS: usize = 4;
    const PLACES: usize = 3;

    fn filled(able: &[Vec<usize>]) -> Option<[Option<usize>; MAX_SIGNERS]> {
        let mut places = Places::default();
        let mut able = able.iter().map(|able| able.iter().copied().collect());
        able.all(|able| places.fill(able)).then_some(places.stands)
    }

    /// Whether there is a way at all, by trying every one.
    fn possible(able: &[Vec<usize>], taken: &[usize]) -> bool {
        let Some((first, rest)) = able.split_first() else { return true };
        let mut free = first.iter().filter(|number| !taken.contains(number));
        free.any(|number| possible(rest, &[taken, &[*number]].concat()))
    }

    /// Every way in which four signers can serve three places.
    #[test]
    fn all_places_are_filled_where_they_can_be_and_by_different_signers() {
        for graph in 0_u32..1 << (SIGNERS * PLACES) {
            let serves = |place: usize, number: usize| graph >> (place * SIGNERS + number) & 1 == 1;
            let able: Vec<Vec<usize>> = (0..PLACES)
                .map(|place| (0..SIGNERS).filter(|number| serves(place, *number)).collect())
                .collect();
            let found = filled(&able);
            assert_eq!(found.is_some(), possible(&able, &[]), "{able:?}");
            let Some(stands) = found else { continue };
            // Each signer has one place by the type; each place must have its signer.
            for place in 0..PLACES {
                let there = (0..SIGNERS).filter(|number| stands[*number] == Some(place));
                let there: Vec<usize> = there.collect();
                assert!(there.len() == 1 && serves(place, there[0]), "{able:?}: {stands:?}");
            }
        }
    }
}
