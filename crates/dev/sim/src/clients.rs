//! Clients: they sign entries and hand them to nodes, sometimes to several.

use ledger_format::digest::LedgerId;
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_story::cast::SUPPLIER;
use ledger_story::deed::{Deed, Place};
use ledger_story::{ANNOUNCED, acts, data};

/// What clients write, in the order in which the rules allow it.
#[derive(Debug)]
pub(crate) struct Clients {
    ledger: LedgerId,
    serial: u64,
}

impl Clients {
    pub(crate) const fn new(ledger: LedgerId) -> Self {
        Self { ledger, serial: 0 }
    }

    fn seal(&mut self, deed: &Deed, time_ms: u64) -> Entry {
        self.serial += 1;
        let place = Place {
            ledger: self.ledger,
            time_ms,
            head: Vec::new(),
            serial: self.serial,
            signed: true,
        };
        deed.seal(&place)
    }

    /// The entries of the first block, as a genesis file brings them to every founder.
    pub(crate) fn first(&mut self, genesis: &GenesisDocument) -> Vec<Entry> {
        let at = genesis.message().start_ms;
        let mut deeds = vec![acts::genesis_published(genesis)];
        deeds.extend(ANNOUNCED.map(|name| acts::calendar_published(&data::calendar(name))));
        deeds.push(acts::rule_set_published(&data::cn_nda_2026()));
        deeds.iter().map(|deed| self.seal(deed, at)).collect()
    }

    /// The supplier's admission: nothing else that clients write is allowed before it.
    pub(crate) fn admission(&mut self, time_ms: u64) -> Entry {
        self.seal(&acts::party_admitted(SUPPLIER), time_ms)
    }

    /// An asset of its own name.
    pub(crate) fn asset(&mut self, time_ms: u64) -> Entry {
        let name = format!("asset-{}", self.serial);
        self.seal(&acts::asset_described(&name), time_ms)
    }
}
