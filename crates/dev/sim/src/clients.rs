//! Clients: two suppliers sign entries and hand them to nodes, sometimes to several.

use bytes::Bytes;
use ledger_event::Role;
use ledger_format::digest::LedgerId;
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_format::genesis::GenesisDocument;
use ledger_replay::Ledger;
use ledger_rules::view::read;
use ledger_story::cast::{OMNI, SUPPLIER};
use ledger_story::deed::{Deed, Place, alone};
use ledger_story::members::misconduct_recorded;
use ledger_story::{ANNOUNCED, acts, data};

/// Serial numbers that are kept for the first block: a serial number is the nonce of an entry.
const FOUNDING: u64 = 100;

/// What clients write, in the order in which the rules allow it.
#[derive(Debug)]
pub(crate) struct Clients {
    ledger: LedgerId,
    serial: u64,
}

impl Clients {
    pub(crate) const fn new(ledger: LedgerId) -> Self {
        Self { ledger, serial: FOUNDING }
    }

    fn seal(&mut self, deed: &Deed, time_ms: u64) -> Entry {
        self.seal_after(deed, Vec::new(), time_ms)
    }

    /// What members agree on, which names what they saw.
    pub(crate) fn agreed(&mut self, deed: &Deed, ledger: &Ledger, time_ms: u64) -> Entry {
        let timeline = read(&ledger.state(), &deed.subject).and_then(|record| record.timeline);
        let head = timeline.map(|timeline| timeline.head.to_vec()).unwrap_or_default();
        self.seal_after(deed, head, time_ms)
    }

    fn seal_after(&mut self, deed: &Deed, head: Vec<u8>, time_ms: u64) -> Entry {
        self.serial += 1;
        let place = Place { ledger: self.ledger, time_ms, head, serial: self.serial, signed: true };
        deed.seal(&place)
    }

    /// The entries of the first block, as a genesis file brings them to every founder: the same whenever it is asked for.
    pub(crate) fn first(genesis: &GenesisDocument) -> Vec<Entry> {
        let mut founders = Self { ledger: genesis.id(), serial: 0 };
        let at = genesis.message().start_ms;
        let mut deeds = vec![acts::genesis_published(genesis)];
        deeds.extend(ANNOUNCED.map(|name| acts::calendar_published(&data::calendar(name))));
        deeds.push(acts::rule_set_published(&data::cn_nda_2026()));
        deeds.iter().map(|deed| founders.seal(deed, at)).collect()
    }

    /// The admissions of the suppliers: nothing else that clients write is allowed before them.
    pub(crate) fn admissions(&mut self, time_ms: u64) -> Vec<Entry> {
        [SUPPLIER, OMNI].map(|party| self.seal(&acts::party_admitted(party), time_ms)).into()
    }

    /// An asset of its own name, of one of the suppliers.
    pub(crate) fn asset(&mut self, time_ms: u64) -> Entry {
        if self.serial.is_multiple_of(2) {
            return self.flood(time_ms);
        }
        let name = format!("asset-{}", self.serial);
        let deed = acts::asset_described(&name).about(format!("asset:{OMNI}/{name}"));
        self.seal(&deed.signed_by(alone(OMNI, Role::Supplier)), time_ms)
    }

    /// One more of the supplier that writes too much where somebody does.
    pub(crate) fn flood(&mut self, time_ms: u64) -> Entry {
        self.seal(&acts::asset_described(&format!("asset-{}", self.serial)), time_ms)
    }

    /// Evidence that a supplier has recorded.
    pub(crate) fn evidence(&mut self, evidence: &Evidence, time_ms: u64) -> Entry {
        self.seal(&misconduct_recorded(evidence, OMNI, Role::Supplier), time_ms)
    }

    /// The bytes of an entry whose signature is not its issuer's.
    pub(crate) fn forged(&mut self, time_ms: u64) -> Bytes {
        let mut bytes = self.asset(time_ms).bytes().to_vec();
        // The signature is what an entry ends with.
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        bytes.into()
    }
}
