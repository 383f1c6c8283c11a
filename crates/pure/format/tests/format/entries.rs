//! Entries: each rule of docs/spec/entry.md broken alone.

use ledger_event::{Event, Purpose, Role};
use ledger_fixtures::{Key, Signing, joint_claims, seal_by, sign, summary};
use ledger_format::digest::{EntryId, sha256};
use ledger_format::entry::{Claims, Draft, Entry, Signer};
use ledger_format::limits::{MAX_ENTRY_BYTES, MAX_SIGNERS};
use ledger_format::malformed::{Kind, Malformed};
use ledger_format::message;

use crate::samples::{cosigners, issuer, joint, kind, own_claims, single, wordy};
use crate::tree::{Node, What, bytes, int, node, text};

/// The private label of co-signatures and of the signer list.
const PRIVATE: i64 = -65_537;

fn decode(bytes: &[u8]) -> Result<Entry, Malformed> {
    Entry::decode(bytes.to_vec().into())
}

/// The tree of an entry, its protected header opened.
fn tree(entry: &Entry) -> Node {
    let mut tree = Node::parse(entry.bytes());
    tree.items()[0].unwrap_bytes();
    assert_eq!(tree.encode(), *entry.bytes());
    tree
}

/// The kind with which an entry is refused after a change to its protected header.
fn with_header(entry: &Entry, change: impl Fn(&mut Node)) -> Kind {
    let mut tree = tree(entry);
    change(&mut tree.items()[0]);
    kind(decode(&tree.encode()))
}

/// The same for its claims, which are the fourth pair of the header.
fn with_claims(entry: &Entry, change: impl Fn(&mut Vec<(Node, Node)>)) -> Kind {
    with_header(entry, |header| change(header.pairs()[3].1.pairs()))
}

#[test]
fn what_is_written_is_read() {
    for entry in [single(), joint()] {
        assert_eq!(decode(entry.bytes()), Ok(entry.clone()));
        assert_eq!(entry.id(), EntryId(sha256(&[&[0], entry.bytes()])));
        assert_eq!(entry.claims().ledger, crate::samples::LEDGER);
        assert_eq!(message::encode(entry.event()), entry.payload().to_vec());
        assert_eq!(entry.kid(), issuer().id());
        let kids: Vec<_> = entry.signatures().map(|signed| signed.kid).collect();
        assert_eq!(kids, entry.kids().collect::<Vec<_>>());
    }
    let order: Vec<_> = cosigners().iter().chain([&issuer()]).map(Key::id).collect();
    assert_eq!(joint().kids().collect::<Vec<_>>(), order);
}

#[test]
fn every_integer_and_length_is_written_in_its_shortest_form() {
    for entry in [single(), joint()] {
        let tree = tree(&entry);
        for at in 0..tree.count() {
            for wider in 1..=4 {
                let longer = tree.with(at, |node| node.wider = wider).encode();
                if longer == *entry.bytes() {
                    continue; // null, or already as wide as heads get
                }
                assert_eq!(kind(decode(&longer)), Kind::NotCanonical, "item {at}, {wider} wider");
            }
        }
    }
}

#[test]
fn no_length_is_indefinite() {
    for entry in [single(), joint()] {
        let tree = tree(&entry);
        for at in 0..tree.count() {
            let indefinite = tree.with(at, |node| node.indefinite = true).encode();
            if indefinite == *entry.bytes() {
                continue; // integers and tags have no length
            }
            assert_eq!(kind(decode(&indefinite)), Kind::NotCanonical, "item {at}");
        }
    }
}

#[test]
fn an_entry_is_cut_short_at_every_length() {
    for entry in [single(), joint()] {
        for length in 0..entry.bytes().len() {
            let found = kind(decode(&entry.bytes()[..length]));
            assert_eq!(found, Kind::Truncated, "{length} bytes");
        }
    }
}

/// The same for the two structures inside, each in an envelope that is right.
#[test]
fn the_header_is_cut_short_at_every_length() {
    for entry in [single(), joint()] {
        let header = tree(&entry).items()[0].clone();
        let What::Wrapped(inside) = header.what else { unreachable!() };
        let inside = inside.encode();
        for length in 0..inside.len() {
            let mut tree = tree(&entry);
            tree.items()[0] = bytes(&inside[..length]);
            assert_eq!(kind(decode(&tree.encode())), Kind::Truncated, "{length} bytes");
            let draft = Draft::from_parts(&inside[..length], entry.payload().to_vec());
            assert_eq!(kind(draft), Kind::Truncated, "{length} bytes");
        }
    }
}

#[test]
fn nothing_follows() {
    for entry in [single(), joint()] {
        for extra in [&[0][..], &[0xf6], entry.bytes()] {
            let longer = [&entry.bytes()[..], extra].concat();
            assert_eq!(kind(decode(&longer)), Kind::Trailing);
        }
        let mut tree = tree(&entry);
        let mut inside = entry.bytes()[..0].to_vec();
        if let What::Wrapped(header) = &tree.items()[0].what {
            inside = header.encode();
        }
        inside.push(0);
        tree.items()[0] = bytes(&inside);
        assert_eq!(kind(decode(&tree.encode())), Kind::Trailing);
    }
}

#[test]
fn the_envelope_is_a_cose_sign1() {
    let tree = tree(&single());
    let tagged = |tag: u64| {
        let mut tree = tree.clone();
        if let What::Tagged(number, _) = &mut tree.what {
            *number = tag;
        }
        kind(decode(&tree.encode()))
    };
    // 17 is COSE_Mac0, 98 is COSE_Sign; 18 again would be right.
    for tag in [0, 17, 19, 61, 98, 0xd9f7] {
        assert_eq!(tagged(tag), Kind::Cbor, "tag {tag}");
    }
    let What::Tagged(_, untagged) = &tree.what else { unreachable!() };
    assert_eq!(kind(decode(&untagged.encode())), Kind::Cbor);
    for length in [0, 3, 5] {
        let mut tree = tree.clone();
        tree.items().resize(length, int(0));
        assert_eq!(kind(decode(&tree.encode())), Kind::Cbor, "an array of {length}");
    }
}

#[test]
fn the_unprotected_header_is_empty() {
    for (label, value) in [(int(4), bytes(b"kid")), (int(394), node(What::Array(Vec::new())))] {
        let mut tree = tree(&single());
        tree.items()[1] = node(What::Map(vec![(label, value)]));
        assert_eq!(kind(decode(&tree.encode())), Kind::NotCanonical);
    }
    let mut tree = tree(&single());
    tree.items()[1] = node(What::Array(Vec::new()));
    assert_eq!(kind(decode(&tree.encode())), Kind::Cbor);
}

#[test]
fn the_payload_is_there() {
    let mut tree = tree(&single());
    tree.items()[2] = node(What::Null);
    assert_eq!(kind(decode(&tree.encode())), Kind::Cbor);
}

#[test]
fn a_signature_has_64_bytes() {
    for length in [0, 63, 65, 128] {
        let mut single = tree(&single());
        single.items()[3] = bytes(&vec![1; length]);
        assert_eq!(kind(decode(&single.encode())), Kind::Value, "{length} bytes");
        let found = with_header(&joint(), |header| {
            header.pairs()[4].1.items()[1] = bytes(&vec![1; length]);
        });
        assert_eq!(found, Kind::Value, "{length} bytes of a co-signature");
    }
}

#[test]
fn labels_of_the_header_are_known_sorted_and_single() {
    let plain = single();
    for (one, other) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
        assert_eq!(with_header(&plain, |h| h.pairs().swap(one, other)), Kind::Cbor);
    }
    for at in 0..4 {
        let twice = |h: &mut Node| {
            let pair = h.pairs()[at].clone();
            h.pairs().insert(at, pair);
        };
        assert_eq!(with_header(&plain, twice), Kind::Cbor, "label {at} twice");
        let missing = if at == 3 { Kind::Truncated } else { Kind::Cbor };
        let without = |h: &mut Node| drop(h.pairs().remove(at));
        assert_eq!(with_header(&plain, without), missing, "without {at}");
    }
    // crit, content-type of COSE 16, x5chain, x5t, ours plus and minus one
    for label in [2, 5, 16, 33, 34, 394, -65_536, -65_538] {
        let added = |h: &mut Node| h.pairs().push((int(label), bytes(b"?")));
        assert_eq!(with_header(&plain, added), Kind::Cbor, "label {label}");
    }
    let one_more = |h: &mut Node| h.pairs().push((int(-65_538), bytes(b"?")));
    assert_eq!(with_header(&joint(), one_more), Kind::Trailing);
    let named = |h: &mut Node| h.pairs()[0].0 = text("alg");
    assert_eq!(with_header(&plain, named), Kind::Cbor);
}

#[test]
fn claims_are_known_sorted_and_single() {
    let plain = single();
    for at in 0..5 {
        assert_eq!(with_claims(&plain, |claims| claims.swap(at, at + 1)), Kind::Cbor);
    }
    for at in 0..6 {
        let twice = |claims: &mut Vec<(Node, Node)>| claims.insert(at, claims[at].clone());
        assert_eq!(with_claims(&plain, twice), Kind::Cbor, "claim {at} twice");
        let without = |claims: &mut Vec<(Node, Node)>| drop(claims.remove(at));
        let missing = if at == 5 { Kind::Truncated } else { Kind::Cbor };
        assert_eq!(with_claims(&plain, without), missing, "without claim {at}");
    }
    // 5 is nbf, 8 is cnf
    for label in [5, 8, 256, -65_536, -65_538] {
        let added = |claims: &mut Vec<(Node, Node)>| claims.push((int(label), int(1)));
        assert_eq!(with_claims(&plain, added), Kind::Cbor, "claim {label}");
    }
}

#[test]
fn values_of_the_header_are_the_allowed_ones() {
    let header = |at: usize, value: Node| {
        with_header(&single(), move |header| header.pairs()[at].1 = value.clone())
    };
    // ES256, Ed25519 by its own number, none
    for alg in [-7, -19, 0] {
        assert_eq!(header(0, int(alg)), Kind::Value, "algorithm {alg}");
    }
    assert_eq!(header(0, text("EdDSA")), Kind::Cbor);
    for content_type in ["", "application/vnd.ledger.event.v2", "application/json"] {
        assert_eq!(header(1, text(content_type)), Kind::UnknownValue, "{content_type}");
    }
    assert_eq!(header(1, int(60)), Kind::Cbor);
    for length in [0, 31, 33] {
        assert_eq!(header(2, bytes(&vec![7; length])), Kind::Value, "kid of {length}");
    }
}

#[test]
fn values_of_the_claims_are_the_allowed_ones() {
    let claim =
        |at: usize, value: Node| with_claims(&single(), move |claims| claims[at].1 = value.clone());
    assert_eq!(claim(0, text("Exchange")), Kind::Identifier);
    assert_eq!(claim(0, bytes(b"exchange-00")), Kind::Cbor);
    assert_eq!(claim(1, text("thing:exchange-00/x")), Kind::Identifier);
    let hex = "ab".repeat(32);
    for aud in [&hex[1..], &hex.to_uppercase(), &format!("{hex}00"), &"g".repeat(64), ""] {
        assert_eq!(claim(2, text(aud)), Kind::Value, "{aud}");
    }
    assert_eq!(claim(2, bytes(&[0xab; 32])), Kind::Cbor);
    for at in [3, 4] {
        assert_eq!(claim(at, int(-1)), Kind::Cbor, "a time before 1970");
        // a time as a float (RFC 8392 allows it, this format does not), as text, as a tagged epoch
        assert_eq!(claim(at, node(What::Null)), Kind::Cbor);
        assert_eq!(claim(at, text("0")), Kind::Cbor);
        assert_eq!(claim(at, node(What::Tagged(1, Box::new(int(5))))), Kind::Cbor);
    }
    for length in [0, 15, 17] {
        assert_eq!(claim(5, bytes(&vec![7; length])), Kind::Value, "cti of {length}");
    }
}

/// RFC 8392 lets a NumericDate be a float; here it is an integer.
#[test]
fn times_are_no_floats() {
    let entry = single();
    let exp = u64::to_be_bytes(own_claims().expires_s);
    let head = [&[0x04, 0x1a][..], &exp[4..]].concat();
    let at = entry.bytes().windows(head.len()).position(|bytes| bytes == head).unwrap();
    let mut float = entry.bytes().to_vec();
    float[at + 1] = 0xfa; // a float of the same four bytes
    assert_eq!(kind(decode(&float)), Kind::Cbor);
}

#[test]
fn extreme_times_are_read_as_they_are() {
    for time in [0, 1, 23, 24, 255, 256, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX] {
        let claims = Claims { expires_s: time, issued_s: time, ..own_claims() };
        let entry = sign(&issuer(), &[], claims.clone(), &summary());
        assert_eq!(entry.claims(), &claims);
    }
}

#[test]
fn the_payload_is_an_event_with_an_act() {
    let payload = |payload: &[u8]| {
        let mut tree = tree(&single());
        tree.items()[2] = bytes(payload);
        kind(decode(&tree.encode()))
    };
    assert_eq!(payload(&[]), Kind::Value, "no act");
    assert_eq!(payload(b"\xff\xff"), Kind::Protobuf);
    let with_prior = |length: usize| {
        let prior = vec![9; length].into();
        message::encode(&Event { prior, ..summary() })
    };
    for length in [1, 31, 33, 64] {
        assert_eq!(payload(&with_prior(length)), Kind::Value, "prior of {length}");
    }
    let event = Event { prior: vec![9; 32].into(), ..summary() };
    assert_eq!(sign(&issuer(), &[], own_claims(), &event).event(), &event);
}

#[test]
fn an_entry_has_at_most_65535_bytes() {
    let overhead = sign(&issuer(), &[], own_claims(), &wordy(60_000)).bytes().len() - 60_000;
    let largest = MAX_ENTRY_BYTES - overhead;
    let entry = sign(&issuer(), &[], own_claims(), &wordy(largest));
    assert_eq!(entry.bytes().len(), 65_535);
    assert_eq!(decode(entry.bytes()), Ok(entry));

    let draft = Draft::new(issuer().id(), own_claims(), &wordy(largest + 1));
    assert_eq!(kind(seal_by(&issuer(), &[], &draft)), Kind::TooLarge);
    // Whatever the bytes are: nobody looks into what is too long.
    assert_eq!(kind(decode(&vec![0; 65_536])), Kind::TooLarge);
    assert_eq!(kind(decode(&vec![0; 65_535])), Kind::Cbor);
}

mod signers {
    use super::*;

    /// What is wrong with an entry whose signer list was changed after the issuer signed.
    fn with_signers(change: impl Fn(&mut Vec<Node>)) -> Kind {
        with_claims(&joint(), |claims| change(claims[6].1.items()))
    }

    /// What is wrong with a draft of these signers, sealed with that many co-signatures.
    fn sealed(signers: Vec<Signer>, cosignatures: usize) -> Kind {
        let claims = Claims { signers, ..own_claims() };
        let draft = Draft::new(issuer().id(), claims, &summary());
        kind(draft.seal(&vec![[1; 64]; cosignatures], &[2; 64]))
    }

    fn signer(name: &str, purpose: Purpose) -> Signer {
        let (party, kid) = ("exchange-00".to_owned(), Key::named(name).id());
        Signer { party, kid, role: Role::Supplier, purpose }
    }

    fn pair() -> Vec<Signer> {
        vec![signer("issuer", Purpose::Issue), signer("other", Purpose::Approve)]
    }

    #[test]
    fn a_list_of_one_is_left_out() {
        assert_eq!(sealed(vec![signer("issuer", Purpose::Issue)], 0), Kind::Value);
    }

    #[test]
    fn an_empty_list_is_left_out() {
        let list = |claims: &mut Vec<(Node, Node)>| {
            claims.push((int(PRIVATE), node(What::Array(Vec::new()))));
        };
        assert_eq!(with_claims(&single(), list), Kind::NotCanonical);
    }

    /// Otherwise one content would have two encodings, and a draft would not be what its header says.
    #[test]
    fn an_empty_list_of_cosignatures_is_left_out() {
        let empty = |header: &mut Node| {
            header.pairs().push((int(PRIVATE), node(What::Array(Vec::new()))));
        };
        assert_eq!(with_header(&single(), empty), Kind::NotCanonical);
        let mut header = tree(&single()).items()[0].clone();
        empty(&mut header);
        let What::Wrapped(inside) = header.what else { unreachable!() };
        let draft = Draft::from_parts(&inside.encode(), message::encode(&summary()));
        assert_eq!(kind(draft), Kind::NotCanonical);
    }

    #[test]
    fn kids_rise_strictly() {
        assert_eq!(with_signers(|signers| signers.swap(0, 1)), Kind::Value);
        assert_eq!(with_signers(|signers| signers.swap(0, 2)), Kind::Value);
        let twice = |signers: &mut Vec<Node>| signers[1] = signers[0].clone();
        assert_eq!(with_signers(twice), Kind::Value);
        let mut other = signer("other", Purpose::Approve);
        other.role = Role::Buyer;
        assert_eq!(sealed([pair(), vec![other]].concat(), 2), Kind::Value, "one key, two roles");
    }

    #[test]
    fn exactly_one_issues() {
        let other = signer("other", Purpose::Issue);
        // Before the entry's issuer in the order of kids, and behind it.
        let (mut before, mut behind) = (0, 0);
        for second in (0..8).map(|number| signer(&format!("other {number}"), Purpose::Issue)) {
            *if second.kid < issuer().id() { &mut before } else { &mut behind } += 1;
            let two = vec![signer("issuer", Purpose::Issue), second];
            assert_eq!(sealed(two, 1), Kind::Value, "two issue");
        }
        assert!(before > 0 && behind > 0, "{before} and {behind}");
        let none = vec![signer("issuer", Purpose::Approve), signer("other", Purpose::Approve)];
        assert_eq!(sealed(none, 1), Kind::Value, "none issues");
        let wrong = vec![signer("issuer", Purpose::Approve), other.clone()];
        assert_eq!(sealed(wrong, 1), Kind::Value, "another key issues");
        let absent = vec![signer("third", Purpose::Approve), other];
        assert_eq!(sealed(absent, 1), Kind::Value, "the entry's kid is not in the list");
        let mut party = pair();
        party[0].party = "exchange-01".to_owned();
        assert_eq!(sealed(party, 1), Kind::Value, "the issuer's party is not iss");
    }

    #[test]
    fn each_of_the_others_cosigns_once() {
        assert_eq!(sealed(pair(), 0), Kind::Value);
        assert_eq!(sealed(pair(), 2), Kind::Value);
        assert_eq!(sealed(Vec::new(), 1), Kind::Value, "co-signatures without a list");
        assert_eq!(
            with_header(&joint(), |header| drop(header.pairs()[4].1.items().pop())),
            Kind::Value
        );
        assert_eq!(with_header(&joint(), |header| drop(header.pairs().pop())), Kind::Value);
    }

    #[test]
    fn at_most_16_sign() {
        let many = |count: usize| -> (Vec<Key>, Claims) {
            let keys: Vec<Key> = (1..count).map(|at| Key::named(&format!("many {at}"))).collect();
            let others: Vec<Signing<'_>> = keys
                .iter()
                .map(|key| Signing {
                    party: "exchange-01",
                    key,
                    role: Role::Exchange,
                    purpose: Purpose::Approve,
                })
                .collect();
            let claims = joint_claims(own_claims(), (&issuer(), Role::Supplier), &others);
            (keys, claims)
        };
        let sealed = |count: usize| {
            let (keys, claims) = many(count);
            let draft = Draft::new(issuer().id(), claims, &summary());
            seal_by(&issuer(), &keys.iter().collect::<Vec<_>>(), &draft)
        };
        let most = sealed(MAX_SIGNERS).unwrap();
        assert_eq!(most.signatures().count(), 16);
        assert_eq!(decode(most.bytes()), Ok(most));
        assert_eq!(kind(sealed(MAX_SIGNERS + 1)), Kind::TooLarge);
        let cosignatures = |header: &mut Node| {
            header.pairs()[4].1 = node(What::Array(vec![bytes(&[1; 64]); 17]));
        };
        assert_eq!(with_header(&joint(), cosignatures), Kind::TooLarge);
    }

    #[test]
    fn a_signer_is_party_kid_role_and_purpose() {
        let part = |at: usize, value: Node| {
            with_signers(move |signers| signers[1].items()[at] = value.clone())
        };
        assert_eq!(part(0, text("Exchange")), Kind::Identifier);
        assert_eq!(part(1, bytes(&[7; 31])), Kind::Value);
        // zero stands for "not stated", which a signer may not leave open
        for role in [0, -1, 20, 255, i64::from(i32::MAX), i64::MAX] {
            assert_eq!(part(2, int(role)), Kind::UnknownValue, "role {role}");
        }
        for purpose in [0, -1, 6, i64::from(i32::MAX) + 1] {
            assert_eq!(part(3, int(purpose)), Kind::UnknownValue, "purpose {purpose}");
        }
        for length in [3, 5] {
            let resized = |signers: &mut Vec<Node>| signers[1].items().resize(length, int(1));
            assert_eq!(with_signers(resized), Kind::Cbor, "a signer of {length} parts");
        }
    }
}

mod drafts {
    use super::*;

    #[test]
    fn a_draft_is_its_two_parts() {
        for entry in [single(), joint()] {
            let draft = Draft::new(entry.kid(), entry.claims().clone(), entry.event());
            let read = Draft::from_parts(&draft.body(), draft.payload().to_vec());
            assert_eq!(read, Ok(draft));
        }
    }

    #[test]
    fn a_draft_has_no_cosignatures() {
        let What::Wrapped(header) = tree(&joint()).items()[0].clone().what else { unreachable!() };
        let draft = Draft::from_parts(&header.encode(), message::encode(&summary()));
        assert_eq!(kind(draft), Kind::Value);
    }

    #[test]
    fn its_payload_is_canonical() {
        let draft = Draft::new(issuer().id(), own_claims(), &summary());
        let twice = [draft.payload(), draft.payload()].concat();
        assert_eq!(kind(Draft::from_parts(&draft.body(), twice)), Kind::NotCanonical);
        assert_eq!(kind(Draft::from_parts(&draft.body(), vec![0xff])), Kind::Protobuf);
    }

    #[test]
    fn signers_are_sorted_for_the_caller() {
        let draft = Draft::new(issuer().id(), joint().claims().clone(), &summary());
        let mut claims = joint().claims().clone();
        claims.signers.reverse();
        assert_eq!(Draft::new(issuer().id(), claims, &summary()), draft);
    }
}
