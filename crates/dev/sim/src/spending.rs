//! Whether budgets hold: what parties wrote in a window of time, counted from the blocks alone.

use std::collections::{BTreeMap, BTreeSet};

use ledger_event::event::Act;
use ledger_event::{Budget, Budgets, ValidatorSet};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;

use crate::versions::BUDGETS;

/// What was counted so far.
#[derive(Debug)]
pub(crate) struct Spending {
    budgets: Option<Budgets>,
    /// Founders, and who ever ran a validator: they may answer for themselves, and are not counted.
    answerable: BTreeSet<String>,
    /// Who admitted a party.
    admitted: BTreeMap<String, String>,
    window: u64,
    /// Entries and bytes, by party and by the exchange that admitted it.
    spent: BTreeMap<(String, &'static str), Budget>,
}

impl Spending {
    pub(crate) fn new(genesis: &GenesisDocument) -> Self {
        let founders = genesis.message().founders.iter().map(|founder| founder.party.clone());
        Self {
            budgets: None,
            answerable: founders.chain(parties(genesis.validators().message())).collect(),
            admitted: BTreeMap::new(),
            window: 0,
            spent: BTreeMap::new(),
        }
    }

    /// Counts the entries of the next block.
    ///
    /// # Errors
    /// Who has written too much.
    pub(crate) fn push(&mut self, header: &Header, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            let claims = entry.claims();
            match &entry.event().act {
                Some(Act::AssetDescribed(_)) => {
                    self.spend(header.time_ms, &claims.issuer, entry.bytes().len())?;
                }
                // Who was admitted before is charged to nobody else: it was not written down by whom.
                Some(Act::PartyAdmitted(_)) if header.protocol_version >= BUDGETS => {
                    let party = claims.subject.name().to_owned();
                    self.admitted.insert(party, claims.issuer.clone());
                }
                Some(Act::ValidatorsChanged(change)) => {
                    self.answerable.extend(change.validators.iter().flat_map(parties));
                }
                _ => {}
            }
        }
        // They hold from the block after.
        for entry in entries {
            if let Some(Act::BudgetsSet(set)) = &entry.event().act {
                self.budgets = set.budgets;
            }
        }
        Ok(())
    }

    fn spend(&mut self, time_ms: u64, party: &str, bytes: usize) -> Result<(), String> {
        let Some(budgets) = self.budgets else { return Ok(()) };
        let window = time_ms / 1_000 / u64::from(budgets.window_s);
        if window != self.window {
            self.spent.clear();
            self.window = window;
        }
        if self.answerable.contains(party) {
            return Ok(());
        }
        let payer = self.admitted.get(party).cloned().unwrap_or_default();
        let purses =
            [(party.to_owned(), "own", budgets.party), (payer, "charged", budgets.exchange)];
        for (who, purse, budget) in purses {
            let spent = self.spent.entry((who.clone(), purse)).or_default();
            spent.entries += 1;
            spent.bytes += u64::try_from(bytes).unwrap();
            let most = budget.unwrap_or_default();
            let beyond = |value: u64, most: u64| most > 0 && value > most;
            if beyond(spent.entries, most.entries) || beyond(spent.bytes, most.bytes) {
                return Err(format!(
                    "{who} ({purse}) has {spent:?} of {most:?} in window {window}"
                ));
            }
        }
        Ok(())
    }
}

fn parties(set: &ValidatorSet) -> impl Iterator<Item = String> + '_ {
    set.validators.iter().map(|member| member.party.clone())
}

#[cfg(test)]
mod tests {
    use ledger_event::Clock;
    use ledger_story::cast::{EXCHANGE, OMNI, REGISTRY, SUPPLIER};
    use ledger_story::members::{MEMBERS, set};
    use ledger_story::{LIMITS, china, genesis_with};

    use super::*;

    const MINUTE: u64 = 60_000;

    fn spending(party: u64, exchange: u64) -> Spending {
        let start = china("2026-08-03");
        let genesis = genesis_with(set(&MEMBERS), 3, Clock::Wall, start, LIMITS);
        let of = |entries| Some(Budget { entries, bytes: 1_000 });
        let mut spending = Spending::new(&genesis);
        for party in [SUPPLIER, OMNI] {
            spending.admitted.insert(party.to_owned(), EXCHANGE.to_owned());
        }
        let (party, exchange) = (of(party), of(exchange));
        spending.budgets = Some(Budgets { window_s: 60, party, exchange });
        spending
    }

    #[test]
    fn an_entry_too_many_is_found() {
        let mut all = spending(2, 3);
        assert_eq!(all.spend(MINUTE, SUPPLIER, 1), Ok(()));
        assert_eq!(all.spend(MINUTE, SUPPLIER, 1), Ok(()));
        assert!(all.spend(MINUTE, SUPPLIER, 1).unwrap_err().contains("own"));
        assert_eq!(all.spend(2 * MINUTE - 1, REGISTRY, 1), Ok(()));
        assert_eq!(all.spend(2 * MINUTE, SUPPLIER, 1), Ok(()));
    }

    #[test]
    fn a_second_party_is_no_second_budget() {
        let mut all = spending(2, 3);
        for party in [SUPPLIER, OMNI, SUPPLIER] {
            assert_eq!(all.spend(MINUTE, party, 1), Ok(()));
        }
        assert!(all.spend(MINUTE, OMNI, 1).unwrap_err().contains("charged"));
    }

    #[test]
    fn bytes_beyond_the_budget_are_found() {
        let mut all = spending(9, 9);
        assert_eq!(all.spend(MINUTE, SUPPLIER, 900), Ok(()));
        assert!(all.spend(MINUTE, SUPPLIER, 101).is_err());
    }
}
