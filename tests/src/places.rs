//! Where entries are, as answers tell it and as an exported chain shows it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ledger_client::chain;
use ledger_format::digest::{EntryId, LedgerId};
use ledger_format::entry::leaf_hash;
use ledger_proto::v1;
use ledger_verify::verdict::Verdict;

use crate::running::{Running, Signal};

/// Height and leaf.
pub type Place = (u64, u64);
/// The places of some entries.
pub type Places = BTreeMap<EntryId, Place>;

/// The place that an answer tells.
pub fn place(position: v1::Position) -> Place {
    (position.height, position.leaf_index)
}

/// The places of all entries of a chain, which must be proven and have none of them twice.
pub fn verified_places(chain_file: &Path, ledger: &LedgerId) -> Places {
    let mut places = Places::new();
    let mut size = 0;
    let mut file = BufReader::new(File::open(chain_file).unwrap());
    let keep = |block: &ledger_format::block::Block| {
        let header = &block.body.header;
        size += u64::from(header.height > 1);
        for entry in &block.body.entries {
            let double = places.insert(EntryId(leaf_hash(entry)), (header.height, size));
            assert_eq!(double, None, "an entry is twice in the chain");
            size += 1;
        }
    };
    let verified = chain::verify(&mut file, Some(ledger), keep, |_| {}).unwrap();
    assert_eq!(verified.report.verdict, Verdict::Proven);
    places
}

/// The places of all entries of a ledger that nobody runs, after its chain is proven; `file` takes the chain.
pub fn places_in(directory: &Path, file: &Path) -> Places {
    let node = Running::start(directory).unwrap();
    node.export(file);
    let ledger = LedgerId::from_hex(&node.genesis).unwrap();
    assert_eq!(node.end(Signal::Terminate), 0);
    verified_places(file, &ledger)
}
