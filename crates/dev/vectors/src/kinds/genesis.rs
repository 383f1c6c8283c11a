//! Genesis documents that say what none may say, one part at a time.

use bytes::Bytes;
use ledger_event::{Genesis, Limits, ValidatorSet};
use ledger_fixtures::World;
use ledger_format::message;

use super::{bytes_of, malformed};
use crate::Vector;

/// A name, what is wrong, the code, and the change that makes it so.
type Case = (&'static str, &'static str, &'static str, fn(&mut Genesis));

fn set(genesis: &mut Genesis) -> &mut ValidatorSet {
    genesis.validators.as_mut().unwrap()
}

fn limits(genesis: &mut Genesis) -> &mut Limits {
    genesis.limits.as_mut().unwrap()
}

/// Changes to a document with one founder and one validator.
const ALONE: &[Case] = &[
    ("name empty", "it must be stated", "FMT_VALUE", |g| g.name.clear()),
    ("origin with a space", "it names a key in notes", "FMT_IDENTIFIER", |g| {
        g.origin = "ledger example".into();
    }),
    ("origin with a plus sign", "it names a key in notes", "FMT_IDENTIFIER", |g| {
        g.origin = "ledger+example".into();
    }),
    ("protocol version 6", "versions 1 to 5 are known", "FMT_VALUE", |g| g.protocol_version = 6),
    ("clock 3", "there is no such clock", "FMT_UNKNOWN_VALUE", |g| g.clock = 3),
    ("start 0", "it must be stated", "FMT_VALUE", |g| g.start_ms = 0),
    ("founder in upper case", "a party id", "FMT_IDENTIFIER", |g| {
        g.founders[0].party = "Exchange-00".into();
    }),
    ("founder without profile", "", "FMT_VALUE", |g| g.founders[0].profile = None),
    ("founder without role", "", "FMT_VALUE", |g| g.founders[0].roles.clear()),
    ("founder with role 0", "no role is not one", "FMT_VALUE", |g| g.founders[0].roles[0] = 0),
    ("founder without key", "", "FMT_VALUE", |g| g.founders[0].keys.clear()),
    ("founder's key of 31 bytes", "", "FMT_VALUE", |g| {
        g.founders[0].keys[0].public_key.truncate(31);
    }),
    ("founder's key without factor", "", "FMT_VALUE", |g| g.founders[0].keys[0].factor = 0),
    ("officer of 31 bytes", "a commitment has 32", "FMT_VALUE", |g| {
        g.founders[0].keys[0].officer = Bytes::from_static(&[7; 31]);
    }),
    ("one founder's key twice", "", "FMT_VALUE", |g| {
        let founder = &mut g.founders[0];
        founder.keys[1] = founder.keys[0].clone();
    }),
    ("threshold 0", "", "FMT_VALUE", |g| g.governance_threshold = 0),
    ("threshold above the founders", "", "FMT_VALUE", |g| g.governance_threshold = 2),
    ("no validator set", "", "FMT_VALUE", |g| g.validators = None),
    ("a validator set of nobody", "", "FMT_VALUE", |g| set(g).validators.clear()),
    ("a validator of no founder", "", "FMT_VALUE", |g| {
        set(g).validators[0].party = "exchange-09".into();
    }),
    ("a validator with too much power", "at most 1,000,000", "FMT_VALUE", |g| {
        set(g).validators[0].power = 1_000_001;
    }),
    ("a validator's name with a plus sign", "it names keys in notes", "FMT_IDENTIFIER", |g| {
        set(g).validators[0].name = "a+b".into();
    }),
    ("a vote key of 31 bytes", "", "FMT_VALUE", |g| set(g).validators[0].vote_key.truncate(31)),
    ("document digests out of order", "strictly ascending", "FMT_VALUE", |g| {
        g.documents = vec![Bytes::from_static(&[2; 32]), Bytes::from_static(&[1; 32])];
    }),
    ("a document digest twice", "strictly ascending", "FMT_VALUE", |g| {
        g.documents = vec![Bytes::from_static(&[1; 32]); 2];
    }),
    ("a document digest of 31 bytes", "", "FMT_VALUE", |g| {
        g.documents = vec![Bytes::from_static(&[1; 31])];
    }),
    ("no limits", "", "FMT_VALUE", |g| g.limits = None),
    ("entry window above the joint one", "", "FMT_VALUE", |g| {
        limits(g).entry_window_s = limits(g).joint_entry_window_s + 1;
    }),
    ("skew 0", "", "FMT_VALUE", |g| limits(g).skew_ms = 0),
    ("blocks below 128 KiB", "", "FMT_VALUE", |g| limits(g).block_bytes = 128 * 1024 - 1),
    ("more entries than a block has", "at most 65,536", "FMT_VALUE", |g| {
        limits(g).block_entries = 65_537;
    }),
];

/// Documents in which one thing is wrong, and encodings of a good one that are not its own.
pub(super) fn wrong() -> Vec<Vector> {
    let (genesis, _) = World::message("one", &[1], |_| {});
    let document = |(name, comment, code, change): &Case| {
        let mut genesis = genesis.clone();
        change(&mut genesis);
        Vector::new(*name, *comment, bytes_of(&message::encode(&genesis)), malformed(code))
    };
    let good = message::encode(&genesis);
    // Field 15 as a varint: no field of that number exists, and unknown fields would change the ledger id unseen.
    let unknown = [&good[..], &[0x78, 0x01]].concat();
    let mut vectors: Vec<Vector> = ALONE.iter().map(document).collect();
    vectors.push(Vector::new(
        "unknown field",
        "event.md, canonical form",
        bytes_of(&unknown),
        malformed("FMT_NOT_CANONICAL"),
    ));
    vectors.push(Vector::new("empty", "no bytes at all", bytes_of(&[]), malformed("FMT_VALUE")));
    vectors
}
