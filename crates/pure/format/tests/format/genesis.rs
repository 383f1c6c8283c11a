//! Genesis documents and validator sets: each rule of docs/spec/genesis.md broken alone.

use bytes::Bytes;
use ledger_event::{Clock, Factor, Genesis, Limits, Role, Validator, ValidatorSet};
use ledger_fixtures::{Key, World};
use ledger_format::digest::{KeyId, LedgerId, sha256};
use ledger_format::genesis::{GenesisDocument, PROTOCOL_VERSIONS};
use ledger_format::limits::{MAX_BLOCK_BYTES, MAX_BLOCK_ENTRIES, MAX_GENESIS_BYTES};
use ledger_format::malformed::{Kind, Malformed};
use ledger_format::message;
use ledger_format::validators::{Validators, check_note_name};

use crate::samples::kind;

fn decode(genesis: &Genesis) -> Result<GenesisDocument, Malformed> {
    GenesisDocument::decode(Bytes::from(message::encode(genesis)))
}

/// A ledger of two founders and validators, after a change.
fn with(change: impl FnOnce(&mut Genesis)) -> Result<GenesisDocument, Malformed> {
    decode(&World::message("genesis", &[1, 2], change).0)
}

#[track_caller]
fn assert_refused(expected: Kind, change: impl FnOnce(&mut Genesis)) {
    assert_eq!(kind(with(change)), expected);
}

#[test]
fn what_is_written_is_read() {
    let document = with(|_| {}).unwrap();
    assert_eq!(message::encode(document.message()), document.bytes()[..]);
    assert_eq!(document.id(), LedgerId(sha256(&[b"ledger/genesis/v1\0", document.bytes()])));
    assert_eq!(document.clock(), Clock::Wall);
    assert_eq!(document.validators().total_power(), 3);
    assert_eq!(document.limits(), &document.message().limits.unwrap());
    assert_eq!(GenesisDocument::decode(document.bytes().clone()), Ok(document));
    assert_eq!(with(|g| g.clock = Clock::Declared.into()).unwrap().clock(), Clock::Declared);
}

/// Cut between two fields a document is a shorter message; some rule is broken then.
#[test]
fn a_document_is_cut_short_at_every_length() {
    let bytes = with(|_| {}).unwrap().bytes().clone();
    for length in 0..bytes.len() {
        let found = kind(GenesisDocument::decode(bytes.slice(..length)));
        assert!(
            matches!(found, Kind::Protobuf | Kind::Value | Kind::Identifier),
            "{length}: {found}"
        );
    }
    let longer = Bytes::from([&bytes[..], &[0x58, 1]].concat());
    assert_eq!(kind(GenesisDocument::decode(longer)), Kind::NotCanonical);
}

#[test]
fn the_basics_are_stated() {
    assert_refused(Kind::Value, |g| g.name.clear());
    assert_refused(Kind::Value, |g| g.start_ms = 0);
    assert_refused(Kind::Value, |g| g.clock = 0);
    assert_refused(Kind::UnknownValue, |g| g.clock = 3);
    assert_refused(Kind::Value, |g| g.limits = None);
    assert_refused(Kind::Value, |g| g.validators = None);
    for version in [0, PROTOCOL_VERSIONS.end() + 1, u32::MAX] {
        assert_refused(Kind::Value, |g| g.protocol_version = version);
    }
}

#[test]
fn the_origin_can_name_a_log() {
    for origin in ["", "a b", "a+b", "日志", "a\nb", "a\u{7f}"] {
        assert_refused(Kind::Identifier, |g| g.origin = origin.to_owned());
    }
    assert_refused(Kind::Identifier, |g| g.origin = "a".repeat(256));
    assert!(with(|g| g.origin = "a".repeat(255)).is_ok());
    for name in ["log.example/1", "!", "~", "a-b_c.d:e,f"] {
        assert_eq!(check_note_name("test", name), Ok(()));
    }
}

#[test]
fn founders_are_1_to_16_ascending_by_party() {
    assert_refused(Kind::Value, |g| g.founders.clear());
    assert_refused(Kind::Value, |g| g.founders.reverse());
    assert_refused(Kind::Value, |g| g.founders[1].party = "exchange-00".to_owned());
    assert_refused(Kind::Identifier, |g| g.founders[1].party = "x y".to_owned());
    let (most, _) = World::message("most", &[1; 16], |_| {});
    assert_eq!(most.founders.len(), 16);
    assert!(decode(&most).is_ok());
    let one_more = |g: &mut Genesis| {
        let mut founder = g.founders[0].clone();
        founder.party = "zz".to_owned();
        founder.keys = vec![Key::named("zz").grant(Factor::OrgHsm)];
        g.founders.push(founder);
    };
    assert_eq!(kind(decode(&World::message("most", &[1; 16], one_more).0)), Kind::Value);
}

#[test]
fn a_founder_has_profile_roles_and_keys() {
    assert_refused(Kind::Value, |g| g.founders[0].profile = None);
    assert_refused(Kind::Value, |g| g.founders[0].roles.clear());
    assert_refused(Kind::Value, |g| g.founders[0].keys.clear());
    assert_refused(Kind::Value, |g| g.founders[0].roles.push(Role::Unspecified.into()));
    assert_refused(Kind::UnknownValue, |g| g.founders[0].roles.push(20));
    assert_refused(Kind::Value, |g| g.founders[0].keys[1].factor = 0);
    for length in [1, 31, 33] {
        assert_refused(Kind::Value, |g| g.founders[0].keys[1].officer = vec![1; length].into());
        assert_refused(Kind::Value, |g| g.founders[0].keys[1].public_key = vec![1; length].into());
    }
    assert_refused(Kind::Value, |g| g.founders[0].keys[1].public_key = Bytes::new());
    assert!(with(|g| g.founders[0].keys[1].officer = vec![1; 32].into()).is_ok());
}

#[test]
fn no_founders_key_is_listed_twice() {
    assert_refused(Kind::Value, |g| {
        let key = g.founders[0].keys[0].clone();
        g.founders[0].keys.push(key);
    });
    assert_refused(Kind::Value, |g| {
        let mut key = g.founders[0].keys[0].clone();
        key.factor = Factor::Cold.into();
        g.founders[1].keys.push(key);
    });
}

#[test]
fn the_threshold_is_1_to_the_number_of_founders() {
    for threshold in [0, 3, u32::MAX] {
        assert_refused(Kind::Value, |g| g.governance_threshold = threshold);
    }
    assert!(with(|g| g.governance_threshold = 2).is_ok());
}

#[test]
fn documents_are_digests_that_rise() {
    let digests = |all: &[&[u8]]| {
        let documents = all.iter().map(|digest| Bytes::copy_from_slice(digest)).collect();
        with(|g| g.documents = documents)
    };
    assert!(digests(&[&[1; 32], &[2; 32]]).is_ok());
    assert_eq!(kind(digests(&[&[2; 32], &[1; 32]])), Kind::Value);
    assert_eq!(kind(digests(&[&[1; 32], &[1; 32]])), Kind::Value);
    assert_eq!(kind(digests(&[&[1; 31]])), Kind::Value);
    assert_eq!(kind(digests(&[&[]])), Kind::Value);
}

#[test]
fn limits_are_within_their_ranges() {
    type Field = fn(&mut Limits) -> &mut u32;
    let number = |n: usize| u32::try_from(n).unwrap();
    let ranges: [(Field, u32, u32); 6] = [
        (|l| &mut l.entry_window_s, 1, 86_400),
        (|l| &mut l.joint_entry_window_s, 3_600, 86_400 * 366),
        (|l| &mut l.skew_ms, 1, 3_600_000),
        (|l| &mut l.declared_step_s, 1, 86_400 * 366),
        (|l| &mut l.block_bytes, 128 * 1024, number(MAX_BLOCK_BYTES)),
        (|l| &mut l.block_entries, 1, number(MAX_BLOCK_ENTRIES)),
    ];
    for (field, least, most) in ranges {
        let set = |value: u32| with(|g| *field(g.limits.as_mut().unwrap()) = value);
        for value in [least, most] {
            assert!(set(value).is_ok(), "{value} of {least} to {most}");
        }
        for value in [0, least - 1, most + 1, u32::MAX] {
            assert_eq!(kind(set(value)), Kind::Value, "{value} of {least} to {most}");
        }
    }
    // The window of entries with one signer has a bound of its own, and that of the others.
    let windows = |alone: u32, joint: u32| {
        with(|g| {
            let limits = g.limits.as_mut().unwrap();
            (limits.entry_window_s, limits.joint_entry_window_s) = (alone, joint);
        })
    };
    assert!(windows(86_400 * 31, 86_400 * 31).is_ok());
    assert_eq!(kind(windows(86_400 * 31 + 1, 86_400 * 366)), Kind::Value);
    assert_eq!(kind(windows(86_400 * 31, 86_400 * 31 - 1)), Kind::Value);
}

#[test]
fn a_document_has_at_most_48_kib() {
    let of = |length: usize| with(|g| g.name = "x".repeat(length));
    let overhead = of(30_000).unwrap().bytes().len() - 30_000;
    let largest = MAX_GENESIS_BYTES - overhead;
    assert_eq!(of(largest).unwrap().bytes().len(), 49_152);
    assert_eq!(kind(of(largest + 1)), Kind::TooLarge);
}

#[test]
fn validators_are_founders() {
    let strange = |g: &mut Genesis| {
        g.validators.as_mut().unwrap().validators[1].party = "stranger".to_owned();
    };
    assert_refused(Kind::Value, strange);
    // One founder may run both.
    assert!(
        with(|g| {
            for validator in &mut g.validators.as_mut().unwrap().validators {
                validator.party = "exchange-00".to_owned();
            }
        })
        .is_ok()
    );
}

mod validators {
    use super::*;

    fn set(powers: &[u32]) -> ValidatorSet {
        World::message("validators", powers, |_| {}).0.validators.unwrap()
    }

    #[track_caller]
    fn assert_refused(expected: Kind, change: impl FnOnce(&mut Vec<Validator>)) {
        let mut set = set(&[1, 1, 1]);
        change(&mut set.validators);
        let bytes = Bytes::from(message::encode(&set));
        assert_eq!(kind(Validators::new(set)), expected);
        assert_eq!(kind(Validators::decode(&bytes)), expected);
    }

    #[test]
    fn what_is_written_is_read() {
        for count in [1, 2, 3, 256] {
            let set = set(&vec![7; count]);
            let bytes = Bytes::from(message::encode(&set));
            let read = Validators::decode(&bytes).unwrap();
            assert_eq!((read.message(), read.members().len()), (&set, count));
            assert_eq!(read.hash(), sha256(&[b"ledger/validators/v1\0", &bytes]));
            for member in read.members() {
                assert_eq!(member.id, KeyId::of(&member.vote_key));
                assert_eq!(read.get(&member.id), Some(member));
            }
            assert_eq!(read.get(&KeyId([0; 32])), None);
        }
    }

    #[test]
    fn there_are_1_to_256() {
        assert_refused(Kind::Value, Vec::clear);
        assert_eq!(kind(Validators::new(set(&[1; 257]))), Kind::Value);
    }

    #[test]
    fn ids_rise_strictly() {
        assert_refused(Kind::Value, |set| set.swap(0, 1));
        assert_refused(Kind::Value, |set| set[1] = set[0].clone());
    }

    #[test]
    fn power_is_1_to_a_million() {
        for power in [0, 1_000_001, u32::MAX] {
            assert_refused(Kind::Value, |set| set[2].power = power);
        }
        assert_eq!(Validators::new(set(&[1_000_000; 256])).unwrap().total_power(), 256_000_000);
    }

    #[test]
    fn names_and_parties_follow_their_grammars() {
        assert_refused(Kind::Identifier, |set| set[0].name = "a b".to_owned());
        assert_refused(Kind::Identifier, |set| set[0].name.clear());
        assert_refused(Kind::Identifier, |set| set[0].party = "A".to_owned());
    }

    #[test]
    fn a_key_has_32_bytes() {
        for length in [0, 31, 33] {
            assert_refused(Kind::Value, |set| set[0].vote_key = vec![1; length].into());
            assert_refused(Kind::Value, |set| set[0].log_key = vec![1; length].into());
            assert_refused(Kind::Value, |set| set[0].cosign_key = vec![1; length].into());
            assert_refused(Kind::Value, |set| set[0].receipt_key = vec![1; length].into());
        }
    }

    /// Each pair of purposes, within one validator and across two.
    #[test]
    fn a_key_serves_one_purpose() {
        type Field = fn(&mut Validator) -> &mut Bytes;
        let fields: [Field; 3] =
            [|v| &mut v.log_key, |v| &mut v.cosign_key, |v| &mut v.receipt_key];
        for (number, from) in fields.into_iter().enumerate() {
            assert_refused(Kind::Value, |set| *from(&mut set[1]) = set[1].vote_key.clone());
            assert_refused(Kind::Value, |set| *from(&mut set[2]) = set[1].vote_key.clone());
            assert_refused(Kind::Value, |set| {
                let key = from(&mut set[0]).clone();
                *from(&mut set[1]) = key;
            });
            for to in &fields[number + 1..] {
                assert_refused(Kind::Value, |set| {
                    let key = from(&mut set[0]).clone();
                    *to(&mut set[0]) = key;
                });
            }
        }
    }

    /// More than two thirds, in whole numbers.
    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        for (powers, most_without) in [
            (&[1][..], 0),
            (&[1, 1], 1),
            (&[1, 1, 1], 2),
            (&[1, 1, 1, 1], 2),
            (&[1; 7], 4),
            (&[1; 100], 66),
            (&[10, 1, 1], 8),
            (&[1_000_000, 1_000_000, 999_999], 1_999_999),
            (&[1_000_000; 256], 170_666_666),
        ] {
            let set = Validators::new(set(powers)).unwrap();
            assert!(!set.is_quorum(most_without), "{powers:?}");
            assert!(set.is_quorum(most_without + 1), "{powers:?}");
            assert!(set.is_quorum(set.total_power()), "{powers:?}");
            assert!(!set.is_quorum(0), "{powers:?}");
        }
        let tolerated: Vec<usize> = (1..=8)
            .map(|count| Validators::new(set(&vec![1; count])).unwrap().tolerated_faults())
            .collect();
        assert_eq!(tolerated, [0, 0, 0, 1, 1, 1, 2, 2]);
    }

    /// Faults are counted by power, so that many small validators do not hide a great one.
    #[test]
    fn faults_are_tolerated_while_their_power_is_below_a_third() {
        for (powers, tolerated) in [
            (&[10, 1, 1, 1][..], 0),
            (&[1, 1, 1, 10], 0),
            (&[2, 1, 1, 1, 1], 0),
            (&[2, 1, 1, 1, 1, 1], 1),
            (&[3, 3, 1, 1, 1, 1, 1], 1),
            (&[1_000_000; 256], 85),
        ] {
            let set = Validators::new(set(powers)).unwrap();
            assert_eq!(set.tolerated_faults(), tolerated, "{powers:?}");
        }
    }

    #[test]
    fn a_quorum_in_one_hand_is_seen() {
        let operator = |powers: &[u32], parties: &[&str]| {
            let mut message = set(powers);
            for (validator, party) in message.validators.iter_mut().zip(parties) {
                validator.party = (*party).to_owned();
            }
            Validators::new(message).unwrap().sole_operator().map(str::to_owned)
        };
        let alone = Some("a".to_owned());
        assert_eq!(operator(&[1], &["a"]), alone);
        assert_eq!(operator(&[1; 4], &["a"; 4]), alone);
        assert_eq!(operator(&[1; 4], &["b", "a", "a", "a"]), alone);
        assert_eq!(operator(&[1; 3], &["a", "b", "a"]), None, "two thirds are not more");
        assert_eq!(operator(&[1; 4], &["a", "b", "c", "d"]), None);
        assert!(operator(&[10, 1, 1, 1], &["a", "b", "c", "d"]).is_some());
    }
}
