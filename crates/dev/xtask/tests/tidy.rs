//! This tree is tidy.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use ledger_xtask::tidy;
use ledger_xtask::tree::Tree;

#[test]
fn this_tree_is_tidy() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    let tree = Tree::read(root).unwrap();
    assert!(tree.packages.len() > 15 && tree.files.len() > 200, "this is no checkout of the tree");
    let violations: Vec<String> = tidy::violations(&tree).iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}
