//! After a block, whose turn it is waits for those whom the block answered.

use ledger_event::Clock;
use ledger_format::entry::Entry;
use ledger_replica::{Action, Event, Settings};
use ledger_story::deed::{Deed, Place};
use ledger_story::{ANNOUNCED, LIMITS, acts, china, data, genesis_of, validator_key_of};
use ledger_verify::block::proposer;

use crate::network::Network;
use crate::several::NAMES;

/// A network with a block of two entries, and calendars that may enter the next one.
fn begun() -> (Network, Vec<Entry>) {
    let genesis = genesis_of(&NAMES, Clock::Wall, china("2026-08-03"), LIMITS);
    let (ledger, time_ms) = (genesis.id(), genesis.message().start_ms);
    let seal = |(deed, serial): (Deed, u64)| {
        deed.seal(&Place { ledger, time_ms, head: Vec::new(), serial, signed: true })
    };
    let calendars = ANNOUNCED.map(|name| acts::calendar_published(&data::calendar(name)));
    let deeds = std::iter::once(acts::genesis_published(&genesis)).chain(calendars);
    let mut entries: Vec<Entry> = deeds.zip(0..).map(seal).collect();
    entries.push(seal((acts::rule_set_published(&data::cn_nda_2026()), 100)));
    let keys = NAMES.map(|name| vec![validator_key_of(name, "vote")]);
    let mut network = Network::start(&genesis, &keys);
    let later = entries.split_off(2);
    for entry in &entries {
        network.submit(entry);
    }
    network.reach(1);
    assert!(network.settle(10_000));
    (network, later)
}

/// What whose turn it is does about an entry, so many milliseconds after the block.
fn submitted(network: &mut Network, entry: &Entry, after_ms: u64) -> Vec<Action> {
    let turn = proposer(network.nodes[0].ledger.validators(), 2, 0);
    let number = (0..NAMES.len()).find(|number| network.identity(*number) == turn).unwrap();
    let node = &mut network.nodes[number];
    // The network's clock stood still until the block.
    let now_ms = node.ledger.genesis().message().start_ms + 1 + after_ms;
    node.replica.step(&node.ledger, now_ms, Event::Submitted(Box::new(entry.clone()))).unwrap()
}

fn is_proposed(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Log(_)))
}

#[test]
fn a_block_waits_until_as_many_came_as_the_one_before_answered() {
    let (mut network, entries) = begun();
    let Settings { pace, .. } = Settings::default();
    let first = submitted(&mut network, &entries[0], 1);
    let [Action::Gather(left)] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!(*left + std::time::Duration::from_millis(1), pace);
    assert!(is_proposed(&submitted(&mut network, &entries[1], 2)));
}

#[test]
fn after_the_pace_entries_gather_as_after_a_quiet_time() {
    let (mut network, entries) = begun();
    let Settings { pace, gather, .. } = Settings::default();
    let late = u64::try_from(pace.as_millis()).unwrap();
    for entry in &entries[..2] {
        let actions = submitted(&mut network, entry, late);
        assert!(!is_proposed(&actions));
        assert!(actions.iter().all(|action| matches!(action, Action::Gather(g) if *g == gather)));
    }
}
