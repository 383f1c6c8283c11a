//! Who signs an act as what: keys placed where the table of the act needs them, so that nobody has to say it key by key.

use std::collections::BTreeMap;

use ledger_event::event::Act;
use ledger_event::{Purpose, Role};
use ledger_format::digest::KeyId;
use ledger_format::entry::Signer;
use ledger_format::id::Subject;
use ledger_rules::block::act_name;
use ledger_rules::table::{Keys, Need, Row, Who, rows};

use crate::error::ClientError;

/// A key that is to sign, and what the ledger knows of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The key.
    pub kid: KeyId,
    /// The party that holds it.
    pub party: String,
    /// The party's roles, or those that the act gives it.
    pub roles: Vec<Role>,
    /// Whether the key is on the ledger; `false`: the act enrols it.
    pub enrolled: bool,
}

/// The rows of the rules for an act.
pub fn rows_of(act: &Act) -> Vec<Row> {
    rows().into_iter().filter(|row| row.act == act_name(act)).collect()
}

/// Places each key where the act needs it. The first holder issues. `wanted` gives the role of parties that have several.
///
/// # Errors
/// `CLIENT_SIGNERS` when a party stands in no place of the act.
pub fn assign(
    act: &Act,
    subject: &Subject,
    holders: &[Holder],
    wanted: &BTreeMap<String, Role>,
) -> Result<Vec<Signer>, ClientError> {
    let issuer = holders.first().ok_or_else(|| ClientError::signers("nobody signs"))?;
    let mut why = String::from("the rules know no such act");
    for row in rows_of(act) {
        let mut places =
            Places { row: &row, issuer, subject, wanted, taken: vec![0; row.signers.len()] };
        match holders.iter().map(|holder| places.signer(holder)).collect() {
            Ok(signers) => return Ok(signers),
            Err(reason) => why = reason,
        }
    }
    Err(ClientError::signers(why))
}

/// The places of one row, and how many keys stand in each.
struct Places<'a> {
    row: &'a Row,
    issuer: &'a Holder,
    subject: &'a Subject,
    wanted: &'a BTreeMap<String, Role>,
    taken: Vec<usize>,
}

impl Places<'_> {
    fn signer(&mut self, holder: &Holder) -> Result<Signer, String> {
        let first = holder.roles.first().copied().unwrap_or_default();
        let (party, kid) = (holder.party.clone(), holder.kid);
        if !holder.enrolled {
            return Ok(Signer { party, kid, role: first, purpose: Purpose::Possession });
        }
        let fitting =
            || (0..).zip(self.row.signers).filter(|(_, need)| self.stands(**need, holder));
        let free = fitting().find(|(place, need)| self.count(*place) < capacity(**need));
        let Some((place, need)) = free.or_else(|| fitting().last()) else {
            return Err(self.misfit(holder));
        };
        let wanted = self.wanted.get(&holder.party).copied();
        let role = if need.role == Role::Unspecified { wanted.unwrap_or(first) } else { need.role };
        let purpose = match (holder.kid == self.issuer.kid, self.count(place), need.who) {
            (true, _, _) => Purpose::Issue,
            (_, 0, Who::Buyer | Who::Seller) => Purpose::Counterparty,
            (_, 0, _) => Purpose::Approve,
            _ if holder.party == self.issuer.party || capacity(*need) > 1 => Purpose::SecondFactor,
            _ => Purpose::Approve,
        };
        if let Some(taken) = self.taken.get_mut(place) {
            *taken += 1;
        }
        Ok(Signer { party, kid, role, purpose })
    }

    fn count(&self, place: usize) -> usize {
        self.taken.get(place).copied().unwrap_or_default()
    }

    fn stands(&self, need: Need, holder: &Holder) -> bool {
        let party = match need.who {
            Who::Issuer => holder.party == self.issuer.party,
            Who::Applicant | Who::Supplier | Who::Seller => {
                self.subject.owner() == Some(holder.party.as_str())
            }
            Who::Subject => holder.party == self.subject.name(),
            Who::Anyone | Who::Registry | Who::Reviewer | Who::Venue | Who::Buyer => true,
        };
        let unspecified = need.role == Role::Unspecified;
        let wanted = self.wanted.get(&holder.party);
        let asked = wanted.is_none_or(|wanted| unspecified || *wanted == need.role);
        party && asked && (unspecified || holder.roles.contains(&need.role))
    }

    fn misfit(&self, holder: &Holder) -> String {
        let place = |need: &Need| {
            let keys = match need.keys {
                Keys::One => "one key",
                Keys::TwoFactors => "an organisation key and an officer's token",
                Keys::TwoOfficers => "keys of two officers",
            };
            format!("{:?} as {:?} with {keys}", need.who, need.role)
        };
        let places: Vec<String> = self.row.signers.iter().map(place).collect();
        format!(
            "{} needs {}; key {} of {}, whose roles are {:?}, stands in none of these places",
            self.row.row,
            places.join(", and "),
            holder.kid,
            holder.party,
            holder.roles
        )
    }
}

const fn capacity(need: Need) -> usize {
    match need.keys {
        Keys::One => 1,
        Keys::TwoFactors | Keys::TwoOfficers => 2,
    }
}

#[cfg(test)]
mod tests {
    use ledger_event::{
        ContractSigned, DeliveryCompleted, ImportedHistory, KeyRevoked, PartyAdmitted,
        RegistrationReviewed,
    };
    use ledger_format::id::SubjectKind;

    use super::*;

    fn holder(number: u8, party: &str, roles: &[Role]) -> Holder {
        Holder {
            kid: KeyId([number; 32]),
            party: party.into(),
            roles: roles.into(),
            enrolled: true,
        }
    }

    fn placed(
        act: &Act,
        kind: SubjectKind,
        name: &str,
        holders: &[Holder],
    ) -> Result<Vec<(Role, Purpose)>, ClientError> {
        let subject = Subject::new(kind, name).unwrap();
        let signers = assign(act, &subject, holders, &BTreeMap::new())?;
        Ok(signers.into_iter().map(|signer| (signer.role, signer.purpose)).collect())
    }

    #[test]
    fn both_sides_of_a_contract_sign_with_two_factors() {
        let act = Act::ContractSigned(ContractSigned::default());
        let both = &[Role::Supplier, Role::Buyer];
        let holders = [
            holder(1, "s", both),
            holder(2, "s", both),
            holder(3, "b", both),
            holder(4, "b", both),
        ];
        assert_eq!(
            placed(&act, SubjectKind::Contract, "s/c", &holders).unwrap(),
            [
                (Role::Supplier, Purpose::Issue),
                (Role::Supplier, Purpose::SecondFactor),
                (Role::Buyer, Purpose::Counterparty),
                (Role::Buyer, Purpose::SecondFactor)
            ]
        );
    }

    #[test]
    fn one_exchange_with_two_roles_signs_in_two_places() {
        let act = Act::PartyAdmitted(PartyAdmitted::default());
        let roles = &[Role::Exchange, Role::IdentityAuthority];
        let new = Holder { enrolled: false, ..holder(3, "new", &[Role::Buyer]) };
        let holders = [holder(1, "x", roles), holder(2, "x", roles), new];
        assert_eq!(
            placed(&act, SubjectKind::Party, "new", &holders).unwrap(),
            [
                (Role::Exchange, Purpose::Issue),
                (Role::IdentityAuthority, Purpose::Approve),
                (Role::Buyer, Purpose::Possession)
            ]
        );
    }

    #[test]
    fn the_row_that_fits_the_signers_is_taken() {
        let claim = Act::ImportedHistory(ImportedHistory::default());
        let by = |holder| placed(&claim, SubjectKind::Asset, "s/a", &[holder]);
        assert_eq!(
            by(holder(1, "s", &[Role::Supplier])).unwrap(),
            [(Role::Supplier, Purpose::Issue)]
        );
        assert_eq!(
            by(holder(1, "x", &[Role::Exchange])).unwrap(),
            [(Role::Exchange, Purpose::Issue)]
        );
        let revoked = Act::KeyRevoked(KeyRevoked::default());
        let officers = [
            holder(1, "x", &[Role::IdentityAuthority]),
            holder(2, "x", &[Role::IdentityAuthority]),
        ];
        assert_eq!(
            placed(&revoked, SubjectKind::Party, "p", &officers).unwrap(),
            [
                (Role::IdentityAuthority, Purpose::Issue),
                (Role::IdentityAuthority, Purpose::SecondFactor)
            ]
        );
    }

    #[test]
    fn who_stands_nowhere_is_told_what_is_needed() {
        let act = Act::RegistrationReviewed(RegistrationReviewed::default());
        let error =
            placed(&act, SubjectKind::Registration, "s/r", &[holder(1, "s", &[Role::Supplier])]);
        let message = error.unwrap_err().message;
        assert!(message.contains("Registry with keys of two officers"), "{message}");
        let act = Act::DeliveryCompleted(DeliveryCompleted {});
        let stranger =
            placed(&act, SubjectKind::Delivery, "s/d", &[holder(1, "t", &[Role::Supplier])]);
        assert_eq!(stranger.unwrap_err().code, "CLIENT_SIGNERS");
    }
}
