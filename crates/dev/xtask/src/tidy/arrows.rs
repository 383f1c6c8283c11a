//! Who may depend on whom. The table is the one that people read: docs/ARCHITECTURE.md, "Arrows".

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, lines};
use crate::tree::Tree;

const TABLE: &str = "docs/ARCHITECTURE.md";
const HEADING: &str = "## Arrows";
/// Crates that must not reach the pure ones: what does IO, what waits, what draws at random, what logs.
const IMPURE: [&str; 12] = [
    "getrandom",
    "hyper",
    "rand",
    "reqwest",
    "rusqlite",
    "sled",
    "tokio",
    "tokio-stream",
    "tonic",
    "tracing",
    "zstd",
    "indicatif",
];
/// Crates that one package alone may name.
const ALONE: [(&str, &str); 2] =
    [("sled", "ledger-store"), ("arc-malachitebft-core-consensus", "ledger-replica")];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let table = table(tree);
    if table.is_empty() {
        return vec![Violation::new(TABLE, 0, format!("no table below {HEADING:?}"))];
    }
    let mut found = Vec::new();
    for package in &tree.packages {
        let own = own_dependencies(tree, &package.dependencies);
        let Some((line, allowed)) = table.get(package.name.as_str()) else {
            let text = format!("{} has no row in {TABLE}, {HEADING:?}: add one", package.name);
            found.push(Violation::new(&package.manifest, 0, text));
            continue;
        };
        for extra in own.difference(allowed) {
            let text = format!("{} may not depend on {extra} ({TABLE}:{line})", package.name);
            found.push(Violation::new(&package.manifest, 0, text));
        }
        for unused in allowed.difference(&own) {
            let text = format!("{} does not depend on {unused}: take it out", package.name);
            found.push(Violation::new(TABLE, *line, text));
        }
    }
    found.extend(third_parties(tree));
    found
}

/// Rows by package: the line, and what it may depend on.
fn table(tree: &Tree) -> BTreeMap<String, (usize, BTreeSet<String>)> {
    let text = tree.files.get(TABLE).and_then(Option::as_deref).unwrap_or_default();
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for (number, line) in lines(text) {
        if line.starts_with("## ") {
            inside = line == HEADING;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (true, ["", crates, allowed, ""]) = (inside, cells.as_slice()) else { continue };
        // What follows a semicolon is for people.
        let allowed = allowed.split(';').next().unwrap_or_default();
        let allowed: BTreeSet<String> = names(allowed).collect();
        for name in names(crates) {
            rows.insert(name, (number, allowed.clone()));
        }
    }
    rows
}

/// Package names of a cell: `event`, format, ledger-node.
fn names(cell: &str) -> impl Iterator<Item = String> {
    let words = cell.split(',').map(|word| word.trim().trim_matches('`'));
    words.filter(|word| !word.is_empty() && *word != "none").map(|word| {
        if word.starts_with("ledger-") { word.to_owned() } else { format!("ledger-{word}") }
    })
}

fn own_dependencies(tree: &Tree, dependencies: &[String]) -> BTreeSet<String> {
    let own = |name: &&String| tree.packages.iter().any(|package| package.name == **name);
    dependencies.iter().filter(own).cloned().collect()
}

fn third_parties(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in &tree.packages {
        let pure = package.manifest.starts_with("crates/pure/");
        for name in &package.dependencies {
            if pure && IMPURE.contains(&name.as_str()) {
                let text = format!("{} is pure: {name} does not belong there", package.name);
                found.push(Violation::new(&package.manifest, 0, text));
            }
            let owner = ALONE.iter().find(|(other, _)| other == name).map(|(_, owner)| *owner);
            if owner.is_some_and(|owner| owner != package.name) {
                let text = format!("only {} may depend on {name}", owner.unwrap_or_default());
                found.push(Violation::new(&package.manifest, 0, text));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Package;

    fn tree(table: &str, packages: &[(&str, &str, &[&str])]) -> Tree {
        let text =
            format!("# A\n\n{HEADING}\n\n| crate | may depend on |\n| --- | --- |\n{table}\n");
        let package = |(name, manifest, dependencies): &(&str, &str, &[&str])| Package {
            name: (*name).into(),
            manifest: (*manifest).into(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        };
        Tree {
            files: [(TABLE.to_owned(), Some(text))].into(),
            packages: packages.iter().map(package).collect(),
        }
    }

    const A: (&str, &str, &[&str]) = ("ledger-a", "crates/pure/a/Cargo.toml", &["bytes"]);
    const B: (&str, &str, &[&str]) = ("ledger-b", "crates/io/b/Cargo.toml", &["ledger-a"]);

    #[test]
    fn what_the_table_says_is_fine() {
        assert_eq!(check(&tree("| `a` | none |\n| `ledger-b` | a; and no more |", &[A, B])), []);
    }

    #[test]
    fn edges_that_are_not_listed_and_rows_that_rot_are_found() {
        let extra = check(&tree("| `a`, `b` | none |", &[A, B]));
        assert!(extra[0].text.contains("ledger-b may not depend on ledger-a"), "{extra:?}");
        let rotten = check(&tree("| `a` | b |\n| `b` | a |", &[A, B]));
        assert!(rotten[0].text.contains("ledger-a does not depend on ledger-b"), "{rotten:?}");
        let missing = check(&tree("| `a` | none |", &[A, B]));
        assert!(missing[0].text.contains("ledger-b has no row"), "{missing:?}");
        assert_eq!(check(&Tree::default()).len(), 1);
    }

    #[test]
    fn io_in_pure_crates_and_borrowed_engines_are_found() {
        let pure = ("ledger-a", "crates/pure/a/Cargo.toml", &["tokio"] as &[&str]);
        assert!(check(&tree("| `a` | none |", &[pure]))[0].text.contains("is pure"));
        let second = ("ledger-b", "crates/io/b/Cargo.toml", &["sled"] as &[&str]);
        let found = check(&tree("| `b` | none |", &[second]));
        assert!(found[0].text.contains("only ledger-store"), "{found:?}");
    }
}
