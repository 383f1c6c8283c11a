//! Receipts: each rule of docs/spec/receipt.md broken alone.

use ledger_format::digest::{KeyId, LedgerId};
use ledger_format::limits::{MAX_LOG_PATH, MAX_RECEIPT_BYTES};
use ledger_format::malformed::Kind;
use ledger_format::receipt::Receipt;

use crate::samples::kind;
use crate::tree::{Node, What, bytes, int, node, text};

fn receipt(path: usize) -> Receipt {
    Receipt {
        ledger: LedgerId([0xab; 32]),
        kid: KeyId([0xcd; 32]),
        tree_size: 300,
        leaf_index: 17,
        path: vec![[0xef; 32]; path],
        signature: [0x11; 64],
    }
}

/// The tree of a receipt: protected header, and inclusion proof, opened.
fn tree() -> Node {
    let encoded = receipt(3).encode();
    let mut tree = Node::parse(&encoded);
    tree.items()[0].unwrap_bytes();
    proof(&mut tree).unwrap_bytes();
    assert_eq!(tree.encode(), encoded);
    tree
}

/// The byte string that holds the inclusion proof.
fn proof(tree: &mut Node) -> &mut Node {
    &mut tree.items()[1].pairs()[0].1.pairs()[0].1.items()[0]
}

fn with(change: impl Fn(&mut Node)) -> Kind {
    let mut tree = tree();
    change(&mut tree);
    kind(Receipt::decode(&tree.encode()))
}

fn with_header(change: impl Fn(&mut Vec<(Node, Node)>)) -> Kind {
    with(|tree| change(tree.items()[0].pairs()))
}

#[test]
fn what_is_written_is_read() {
    for path in [0, 1, 3, MAX_LOG_PATH] {
        for (tree_size, leaf_index) in [(1, 0), (u64::MAX, u64::MAX), (0, 5)] {
            let receipt = Receipt { tree_size, leaf_index, ..receipt(path) };
            let bytes = receipt.encode();
            assert!(bytes.len() <= MAX_RECEIPT_BYTES);
            assert_eq!(Receipt::decode(&bytes), Ok(receipt));
        }
    }
}

#[test]
fn every_head_is_in_its_shortest_form_and_definite() {
    let (tree, encoded) = (tree(), tree().encode());
    for at in 0..tree.count() {
        for wider in 1..=4 {
            let longer = tree.with(at, |node| node.wider = wider).encode();
            if longer != encoded {
                assert_eq!(kind(Receipt::decode(&longer)), Kind::NotCanonical, "item {at}");
            }
        }
        let indefinite = tree.with(at, |node| node.indefinite = true).encode();
        if indefinite != encoded {
            assert_eq!(kind(Receipt::decode(&indefinite)), Kind::NotCanonical, "item {at}");
        }
    }
}

#[test]
fn it_is_cut_short_at_every_length() {
    let encoded = receipt(3).encode();
    for length in 0..encoded.len() {
        assert_eq!(kind(Receipt::decode(&encoded[..length])), Kind::Truncated, "{length} bytes");
    }
}

#[test]
fn nothing_follows() {
    let longer = [receipt(3).encode(), vec![0]].concat();
    assert_eq!(kind(Receipt::decode(&longer)), Kind::Trailing);
    let header_and_more = with(|tree| {
        let What::Wrapped(header) = &tree.items()[0].what else { unreachable!() };
        let more = [header.encode(), vec![0]].concat();
        tree.items()[0] = bytes(&more);
    });
    assert_eq!(header_and_more, Kind::Trailing);
    let proof_and_more = with(|tree| {
        let What::Wrapped(inside) = &proof(tree).what else { unreachable!() };
        let more = [inside.encode(), vec![0]].concat();
        *proof(tree) = bytes(&more);
    });
    assert_eq!(proof_and_more, Kind::NotCanonical);
}

#[test]
fn the_envelope_is_a_cose_sign1_with_a_detached_payload() {
    for tag in [17, 19, 98] {
        let tagged = with(|tree| {
            if let What::Tagged(number, _) = &mut tree.what {
                *number = tag;
            }
        });
        assert_eq!(tagged, Kind::Cbor, "tag {tag}");
    }
    assert_eq!(with(|tree| tree.items()[2] = bytes(&[0xef; 32])), Kind::Cbor, "attached payload");
    assert_eq!(with(|tree| tree.items()[2] = bytes(&[])), Kind::Cbor, "empty payload");
    for length in [63, 65] {
        assert_eq!(with(|tree| tree.items()[3] = bytes(&vec![1; length])), Kind::Value);
    }
}

#[test]
fn the_protected_header_is_the_one_that_is_signed() {
    for at in 0..3 {
        assert_eq!(with_header(|header| header.swap(at, at + 1)), Kind::Cbor, "{at} swapped");
    }
    for at in 0..4 {
        assert_eq!(with_header(|header| header.insert(at, header[at].clone())), twice(at));
    }
    assert_eq!(with_header(|header| header.push((int(396), int(1)))), Kind::Trailing);
    // another algorithm, another structure of proofs, a key id or an issuer of another form
    assert_eq!(with_header(|header| header[0].1 = int(-7)), Kind::Cbor);
    assert_eq!(with_header(|header| header[3].1 = int(2)), Kind::Cbor);
    assert_eq!(with_header(|header| header[1].1 = bytes(&[1; 31])), Kind::Value);
    let issuer = |value: Node| with_header(move |header| header[2].1.pairs()[0].1 = value.clone());
    assert_eq!(issuer(text("another ledger")), Kind::Value);
    assert_eq!(issuer(text(&"AB".repeat(32))), Kind::Value);
    assert_eq!(issuer(bytes(&[0xab; 32])), Kind::Cbor);
    // more claims, for instance a time
    let claims = |header: &mut Vec<(Node, Node)>| header[2].1.pairs().push((int(6), int(1)));
    assert_eq!(with_header(claims), Kind::Cbor);
}

/// The last label twice leaves something behind; any other is the wrong one in the next one's place.
fn twice(at: usize) -> Kind {
    if at == 3 { Kind::Trailing } else { Kind::Cbor }
}

#[test]
fn the_unprotected_header_holds_one_inclusion_proof() {
    let label = |tree: &mut Node, label: i64| tree.items()[1].pairs()[0].0 = int(label);
    assert_eq!(with(|tree| label(tree, 397)), Kind::Cbor);
    // -2 is a consistency proof
    assert_eq!(with(|tree| tree.items()[1].pairs()[0].1.pairs()[0].0 = int(-2)), Kind::Cbor);
    for count in [0, 2] {
        let resized = with(|tree| {
            let proofs = tree.items()[1].pairs()[0].1.pairs()[0].1.items();
            let one = proofs[0].clone();
            proofs.resize(count, one);
        });
        assert_eq!(resized, Kind::Cbor, "{count} proofs");
    }
    let more = with(|tree| tree.items()[1].pairs().push((int(397), int(1))));
    assert_eq!(more, Kind::Cbor, "another label");
    let more = with(|tree| tree.items()[1].pairs()[0].1.pairs().push((int(-2), int(1))));
    assert_eq!(more, Kind::Cbor, "another proof");
    assert_eq!(with(|tree| tree.items()[1] = node(What::Map(Vec::new()))), Kind::Cbor);
}

#[test]
fn an_inclusion_proof_is_size_index_and_path() {
    for length in [2, 4] {
        let resized = with(|tree| proof(tree).items().resize(length, int(1)));
        assert_eq!(resized, Kind::Cbor, "{length} items");
    }
    assert_eq!(with(|tree| proof(tree).items()[0] = int(-1)), Kind::Cbor);
    for length in [0, 31, 33] {
        let short = with(|tree| proof(tree).items()[2].items()[1] = bytes(&vec![1; length]));
        assert_eq!(short, Kind::Value, "a hash of {length} bytes");
    }
    let long = receipt(MAX_LOG_PATH + 1).encode();
    assert_eq!(kind(Receipt::decode(&long)), Kind::TooLarge);
    let huge = receipt(200).encode();
    assert!(huge.len() > MAX_RECEIPT_BYTES);
    assert_eq!(kind(Receipt::decode(&huge)), Kind::TooLarge);
}
