//! Entries that may still come again, and until when.

use ledger_event::Clock;
use ledger_format::entry::Entry;
use ledger_replay::{Known, Window};
use ledger_rules::Code;
use ledger_story::deed::Deed;
use ledger_story::{Story, acts, validator};

use crate::chain::{Chain, begun, sealed};

/// The code with which a block at that time refuses an entry.
fn refusal(chain: &Chain, now_ms: u64, entry: &Entry) -> Option<Code> {
    let proposal = chain.ledger.propose(validator(), now_ms, &[entry]);
    proposal.refused.first().map(|(_, refusal)| refusal.code)
}

/// Another entry of the same issuer and cti, which lives longer.
fn namesake(story: &mut Story, entry: &Entry, name: &str) -> Entry {
    let deed =
        Deed { nonce: Some(entry.claims().nonce), lives_s: 80_000, ..acts::asset_described(name) };
    sealed(story, &deed)
}

#[test]
fn an_entry_is_known_until_it_expires() {
    let (mut story, mut chain) = begun(Clock::Wall);
    let entry = sealed(&mut story, &acts::asset_described("sun"));
    let namesake = namesake(&mut story, &entry, "moon");
    let end_ms = entry.claims().expires_s * 1000;

    assert_eq!(refusal(&chain, end_ms - 1, &entry), None);
    assert_eq!(refusal(&chain, end_ms, &entry), Some(Code::Expired));
    assert_eq!(chain.ledger.window().knows(&entry), None);

    chain.take(story.time_ms, &[&entry]);
    assert_eq!(chain.ledger.window().knows(&entry), Some(Code::Duplicate));
    assert_eq!(chain.ledger.window().knows(&namesake), Some(Code::Conflict));
    assert_eq!(refusal(&chain, end_ms - 1, &entry), Some(Code::Duplicate));
    assert_eq!(refusal(&chain, end_ms - 1, &namesake), Some(Code::Conflict));

    // A block before the end changes nothing; a block at the end forgets. From then on the entry itself is expired.
    let filler = |story: &mut Story, name: &str| {
        sealed(story, &Deed { lives_s: 80_000, ..acts::asset_described(name) })
    };
    let one = filler(&mut story, "one");
    chain.take(end_ms - 1, &[&one]);
    assert_eq!(chain.ledger.window().knows(&entry), Some(Code::Duplicate));
    let two = filler(&mut story, "two");
    chain.take(end_ms, &[&two]);
    assert_eq!(chain.ledger.window().knows(&entry), None);
    assert_eq!(refusal(&chain, end_ms, &entry), Some(Code::Expired));
    assert_eq!(refusal(&chain, end_ms, &namesake), None);
    chain.take(end_ms, &[&namesake]);

    // A restored ledger knows the same, of what the blocks added: both uses of the cti are among that.
    let restored = chain.stored(chain.ledger.height()).restore().unwrap();
    for entry in [&entry, &namesake, &one, &two] {
        assert_eq!(restored.window().knows(entry), chain.ledger.window().knows(entry));
    }
}

#[test]
fn rows_come_by_expiry_and_go_in_that_order() {
    let row =
        |number: u8, expires_s: u64| Known { key: [number; 16], entry: [number; 16], expires_s };
    let mut window = Window::default();
    window.extend([row(1, 30), row(2, 10), row(3, 20), row(4, 10)]);
    let keys = |window: &Window| window.rows().map(|row| row.key[0]).collect::<Vec<_>>();
    assert_eq!(keys(&window), [2, 4, 3, 1]);
    window.expire(9_999);
    assert_eq!(keys(&window), [2, 4, 3, 1]);
    window.expire(10_000);
    assert_eq!(keys(&window), [3, 1]);
    window.expire(u64::MAX);
    assert_eq!(keys(&window), [0_u8; 0]);
}

#[test]
fn a_cti_that_is_used_again_is_known_as_long_as_its_last_use() {
    let row = |entry: u8, expires_s: u64| Known { key: [9; 16], entry: [entry; 16], expires_s };
    for (first, second) in [(10, 20), (20, 10)] {
        let mut window = Window::default();
        window.extend([row(1, first)]);
        window.extend([row(2, second)]);
        assert_eq!(window.rows().count(), 1);
        window.expire(second * 1000 - 1);
        assert_eq!(window.rows().count(), 1, "{first} then {second}");
        window.expire(second * 1000);
        assert_eq!(window.rows().count(), 0);
    }
}
