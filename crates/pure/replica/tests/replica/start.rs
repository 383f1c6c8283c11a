//! Who may start at all.

use ledger_event::Clock;
use ledger_fixtures::World;
use ledger_replay::Ledger;
use ledger_replica::{Replica, Settings};
use ledger_story::cast::signing_key;
use ledger_story::{Story, validator_key};

#[test]
fn a_key_that_is_no_validators_follows() {
    let story = Story::before_genesis(Clock::Wall, "2026-08-03");
    let ledger = Ledger::new(story.genesis).unwrap();
    for key in [signing_key("stranger"), validator_key("log"), validator_key("receipt")] {
        let (replica, first) =
            Replica::start(&ledger, vec![key], Settings::default(), &[]).unwrap();
        assert!(first.is_empty() && !replica.is_voting(), "{first:?}");
    }
    // The key of the set is found among others.
    let keys = vec![signing_key("stranger"), validator_key("vote")];
    let (replica, _) = Replica::start(&ledger, keys, Settings::default(), &[]).unwrap();
    assert!(replica.is_voting());
}

#[test]
fn every_validator_of_several_may_start() {
    for count in [2, 4, 7] {
        let world = World::new("several", &vec![1; count], Clock::Wall);
        // A validator of it, by the secret that its name gives.
        let name = |number: usize| format!("several validator {number} vote");
        let keys = (0..count).map(|number| secret(&name(number)));
        let ledger = Ledger::new(world.genesis).unwrap();
        for key in keys {
            let (_, first) = Replica::start(&ledger, vec![key], Settings::default(), &[]).unwrap();
            assert!(first.is_empty(), "{first:?}");
        }
    }
}

fn secret(name: &str) -> ed25519_dalek::SigningKey {
    let hash = ledger_format::digest::sha256(&[b"ledger test key ", name.as_bytes()]);
    ed25519_dalek::SigningKey::from_bytes(&hash)
}
