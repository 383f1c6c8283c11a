//! A consensus log that is not this validator's, not of this ledger, damaged, or not a log at all: the start ends with an error,
//! never with a panic.

use ledger_event::Clock;
use ledger_fixtures::Rng;
use ledger_replay::Ledger;
use ledger_replica::{Action, Event, Replica, Settings, StartError, done};
use ledger_story::{LIMITS, validator_key};

use crate::blocks::{assets, begun, begun_with};
use crate::host::{Disk, Host};

/// A validator that died with its votes in the log and the block not yet on disk.
struct Interrupted {
    disk: Disk,
    ledger: Ledger,
    log: Vec<Vec<u8>>,
}

fn interrupted() -> Interrupted {
    let (mut story, mut host) = begun();
    host.disk.log.clear();
    host.disk.synced = 0;
    host.submit_all(&assets(&mut story, "rain", 3)).unwrap();
    for action in host.step(Event::Gathered) {
        if let Action::Log(record) = action {
            host.disk.log.push(record);
        }
    }
    host.disk.synced = host.disk.log.len();
    Interrupted { log: host.disk.log.clone(), disk: host.disk, ledger: host.ledger }
}

/// Starts on a log, and names the hash of the block that comes of it, if one does.
fn start(on: &Interrupted, log: &[Vec<u8>]) -> Result<Option<[u8; 32]>, StartError> {
    let keys = vec![validator_key("vote")];
    let (_, actions) = Replica::start(&on.ledger, keys, Settings::default(), log)?;
    let decided = actions.into_iter().find_map(|action| match action {
        Action::Commit(decided) => Some(decided.block.certificate.block.0),
        _ => None,
    });
    Ok(decided)
}

#[test]
fn bytes_that_are_no_records_stop_the_start() {
    let on = interrupted();
    let message = "the consensus engine stopped: the consensus log holds an unreadable record";
    let mut rng = Rng(3);
    let mut refused = 0;
    for round in 0..4_000 {
        let mut record = rng.some_bytes(300);
        // What looks like a record for longer: a known variant, and the height in question.
        if round % 2 == 0 && record.len() > 16 {
            record[..4].copy_from_slice(&[0, 0, 0, u8::from(rng.once_in(2))]);
            record[4..12].copy_from_slice(&3_u64.to_be_bytes());
            record[12..16].copy_from_slice(&[0, 0, 0, rng.word().to_be_bytes()[0] % 5]);
        }
        if let Err(error) = start(&on, std::slice::from_ref(&record)) {
            refused += 1;
            assert!(
                error.to_string() == message || error.to_string().contains("unknown"),
                "{error}"
            );
        }
    }
    assert!(refused > 3_900, "{refused}");
    // Cut, or with something after it.
    for record in &on.log {
        for cut in (0..record.len()).step_by(1 + record.len() / 50) {
            let error = start(&on, &[record[..cut].to_vec()]).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let longer = [record.as_slice(), &[0]].concat();
        assert_eq!(start(&on, &[longer]).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_claimed_length_asks_for_no_memory() {
    let on = interrupted();
    for (at, claimed) in [(12, u64::MAX), (12, 1 << 40), (12, 21 << 20)] {
        // The body's length comes after variant and height.
        let mut body = on.log[0].clone();
        body[at..at + 8].copy_from_slice(&claimed.to_be_bytes());
        assert!(matches!(start(&on, &[body]), Err(StartError::Engine(_))));
    }
}

#[test]
fn a_timeout_that_is_never_logged_is_unknown() {
    let on = interrupted();
    for kind in 0..=255_u8 {
        // An input of height 3: a timeout of a kind, in round 0. After the decision the first three mean nothing any more.
        let input = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, kind, 1, 0, 0, 0, 0];
        let log = [on.log.as_slice(), &[input.to_vec()]].concat();
        match start(&on, &log) {
            Ok(decided) => assert!(kind < 3 && decided.is_some()),
            Err(error) => assert!(kind >= 3 && error.to_string().contains("unknown"), "{error}"),
        }
    }
}

#[test]
fn changed_records_never_panic_and_decide_no_other_block() {
    let on = interrupted();
    let decided = start(&on, &on.log).unwrap();
    assert!(decided.is_some());
    let mut rng = Rng(5);
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..6_000 {
        let mut log = on.log.clone();
        for _ in 0..=rng.below(2) {
            let number = rng.below(log.len());
            match rng.below(8) {
                0 => drop(log.remove(number)),
                1 => log.insert(rng.below(log.len()), log[number].clone()),
                2 => log.swap(number, 0),
                3 => rng.mutate(&mut log[number], 3),
                _ => {
                    let record = &mut log[number];
                    let at = rng.below(record.len());
                    record[at] ^= 1 << rng.below(8);
                }
            }
            if log.is_empty() {
                break;
            }
        }
        let outcome = match start(&on, &log) {
            Ok(None) => "nothing".to_owned(),
            Ok(block) => {
                assert_eq!(block, decided);
                "decided".to_owned()
            }
            Err(StartError::Engine(_)) => "engine".to_owned(),
            Err(StartError::Body(_)) => "body".to_owned(),
            // A height that was flipped upwards.
            Err(StartError::BlocksLost { .. }) => "lost".to_owned(),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    assert!(
        ["nothing", "decided", "engine", "body"].iter().all(|outcome| outcomes[*outcome] > 20),
        "{outcomes:?}"
    );
}

#[test]
fn a_body_that_does_not_verify_is_named() {
    let on = interrupted();
    let body = on.log[0].clone();
    let error = |log: &[Vec<u8>]| start(&on, log).unwrap_err();
    for at in (20..body.len()).step_by(37) {
        let mut log = on.log.clone();
        log[0][at] ^= 1;
        let found = error(&log).to_string();
        assert!(
            found.starts_with("the consensus log holds a block that does not verify: "),
            "{found}"
        );
    }
    // Without the body that was signed for there is nothing to go on with.
    assert!(matches!(error(&on.log[1..]), StartError::Body(_)));
}

#[test]
fn a_log_of_another_ledger_is_refused() {
    let on = interrupted();
    // The same keys and the same height on a ledger that differs by its clock.
    let (mut story, mut other) = begun_with(Clock::Declared, LIMITS, Settings::default());
    other.disk.log.clear();
    other.submit_all(&assets(&mut story, "rain", 3)).unwrap();
    other.gathered().unwrap();
    let found = start(&on, &other.disk.log).unwrap_err();
    assert!(matches!(found, StartError::Body(_)), "{found}");
    assert!(found.to_string().contains("V_HEADER_LEDGER"), "{found}");
    // This one's body with the other's votes: signatures for another block on another ledger count for nothing.
    let mixed = [&on.log[..1], &other.disk.log[1..]].concat();
    assert_eq!(start(&on, &mixed).unwrap_or(None), None);
}

#[test]
fn records_of_heights_that_are_over_are_left_overs() {
    let on = interrupted();
    let decided = start(&on, &on.log).unwrap();
    let (_, host) = begun();
    let old = [host.disk.log, vec![done(1), done(2)]].concat();
    assert_eq!(start(&on, &old).unwrap(), None);
    let log = [old.clone(), on.log.clone(), old].concat();
    assert_eq!(start(&on, &log).unwrap(), decided);
    assert!(Host::start(Disk { log, ..on.disk }, Settings::default()).is_ok());
}

#[test]
fn a_log_that_is_ahead_of_the_blocks_shows_that_blocks_were_lost() {
    let on = interrupted();
    let (mut story, mut host) = begun();
    let before = host.disk.log.len();
    for name in ["one", "two", "three"] {
        host.submit_all(&assets(&mut story, name, 1)).unwrap();
        host.gathered().unwrap();
    }
    let lost = |log: &[Vec<u8>]| match start(&on, log) {
        Err(StartError::BlocksLost { stored, logged }) => Some((stored, logged)),
        _ => None,
    };
    // Height 3 was being worked on, which shows no more than that height 2 was stored.
    let after = &host.disk.log[before..];
    let each = after.len() / 3;
    assert_eq!(lost(&after[..each]), None);
    assert_eq!(lost(&after[each..2 * each]), Some((2, 3)));
    // The last block that is known to have been stored is the one to look for.
    assert_eq!(lost(&after[each..]), Some((2, 4)));
    assert_eq!(lost(&after[2 * each..]), Some((2, 4)));
    assert_eq!(lost(&[done(2)]), None);
    assert_eq!(lost(&[done(3)]), Some((2, 3)));
    assert_eq!(lost(&[done(u64::MAX)]), Some((2, u64::MAX)));
}
