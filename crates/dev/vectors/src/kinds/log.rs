//! The log tree (RFC 9162 section 2.1): roots, inclusion, consistency.

use std::convert::Infallible;

use ledger_format::digest::{Hash, hex};
use ledger_format::entry::leaf_hash;
use ledger_merkle::log::{Subtree, consistency_path, inclusion_path, node_hash, root_at};
use serde_json::{Value, json};

use super::{GOOD, refuted, turned};
use crate::{Kind, Vector};

const MOST: u64 = 17;

/// Leaf `n` is the leaf hash of the one byte `n`.
fn leaves() -> Vec<Hash> {
    (0..MOST).map(|n| leaf_hash(&[u8::try_from(n).unwrap()])).collect()
}

fn complete(leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    node_hash(&complete(left), &complete(right))
}

#[expect(clippy::unnecessary_wraps, reason = "whoever fetches hashes elsewhere can fail")]
fn fetch(subtree: Subtree) -> Result<Hash, Infallible> {
    let width = 1 << subtree.level;
    let first = usize::try_from(subtree.index).unwrap() * width;
    Ok(complete(&leaves()[first..first + width]))
}

fn root(size: u64) -> Hash {
    root_at(size, fetch).unwrap()
}

fn hexes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| hex(hash)).collect()
}

/// Roots of 0 to 17 leaves.
pub(super) fn roots() -> Kind {
    let all = leaves();
    let vector = |size: u64| {
        let leaves = &all[..usize::try_from(size).unwrap()];
        Vector::new(format!("{size} leaves"), "", json!({ "leaves": hexes(leaves) }), GOOD)
    };
    Kind {
        name: "log-root",
        description: "Roots of the log tree over leaf hashes (RFC 9162 section 2.1.1). Leaf n is SHA-256(0x00, n).",
        vectors: (0..=MOST).map(vector).collect(),
    }
}

fn inclusion_of(index: u64, size: u64) -> Value {
    let leaf = leaves()[usize::try_from(index).unwrap()];
    let path = inclusion_path(index, size, fetch).unwrap();
    json!({ "leaf": hex(&leaf), "index": index, "size": size, "path": hexes(&path), "root": hex(&root(size)) })
}

/// The input after a change.
fn with(mut input: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut input);
    input
}

fn spoil(value: &mut Value) {
    let bytes = base16ct::lower::decode_vec(value.as_str().unwrap()).unwrap();
    *value = json!(hex(&turned(&bytes, 9)));
}

/// Inclusion proofs.
pub(super) fn inclusion() -> Kind {
    let places =
        [(0, 1), (0, 2), (1, 2), (2, 3), (0, 7), (6, 7), (7, 8), (8, 9), (11, 16), (16, 17)];
    let mut vectors: Vec<Vector> = places
        .into_iter()
        .map(|(index, size)| {
            Vector::new(format!("leaf {index} of {size}"), "", inclusion_of(index, size), GOOD)
        })
        .collect();
    let good = || inclusion_of(6, 7);
    let bad = |name: &str, input: Value| Vector::new(name, "", input, refuted(""));
    vectors.extend([
        bad("another index", with(good(), |v| v["index"] = json!(5))),
        bad("index beyond the tree", with(good(), |v| v["index"] = json!(7))),
        bad("another size", with(good(), |v| v["size"] = json!(8))),
        bad("path too short", with(good(), |v| drop(v["path"].as_array_mut().unwrap().pop()))),
        bad(
            "path too long",
            with(good(), |v| v["path"].as_array_mut().unwrap().push(json!(hex(&[0; 32])))),
        ),
        bad("another hash in the path", with(good(), |v| spoil(&mut v["path"][0]))),
        bad("another leaf", with(good(), |v| spoil(&mut v["leaf"]))),
        bad("another root", with(good(), |v| spoil(&mut v["root"]))),
        bad("empty tree", with(inclusion_of(0, 1), |v| v["size"] = json!(0))),
    ]);
    Kind {
        name: "inclusion",
        description: "Inclusion proofs (RFC 9162 section 2.1.3) in the tree of `log-root`.",
        vectors,
    }
}

fn consistency_of(from: u64, to: u64) -> Value {
    let path = consistency_path(from, to, fetch).unwrap();
    json!({
        "from_size": from, "to_size": to, "path": hexes(&path),
        "from_root": hex(&root(from)), "to_root": hex(&root(to)),
    })
}

/// Consistency proofs.
pub(super) fn consistency() -> Kind {
    let sizes =
        [(1, 1), (1, 2), (1, 17), (3, 7), (4, 7), (6, 8), (8, 9), (7, 17), (16, 17), (17, 17)];
    let mut vectors: Vec<Vector> = sizes
        .into_iter()
        .map(|(from, to)| {
            Vector::new(format!("{from} to {to}"), "", consistency_of(from, to), GOOD)
        })
        .collect();
    let good = || consistency_of(6, 8);
    let bad = |name: &str, input: Value| Vector::new(name, "", input, refuted(""));
    vectors.extend([
        bad("another old root", with(good(), |v| spoil(&mut v["from_root"]))),
        bad("another new root", with(good(), |v| spoil(&mut v["to_root"]))),
        bad("path too short", with(good(), |v| drop(v["path"].as_array_mut().unwrap().pop()))),
        bad(
            "path too long",
            with(good(), |v| v["path"].as_array_mut().unwrap().push(json!(hex(&[0; 32])))),
        ),
        bad("another hash in the path", with(good(), |v| spoil(&mut v["path"][1]))),
        bad("a tree that shrank", with(good(), |v| v["to_size"] = json!(5))),
    ]);
    Kind {
        name: "consistency",
        description: "Consistency proofs (RFC 9162 section 2.1.4) in the tree of `log-root`.",
        vectors,
    }
}
