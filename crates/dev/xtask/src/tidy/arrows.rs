//! Who may depend on whom in this workspace. The table is the one that people read: docs/ARCHITECTURE.md, "Arrows"; that of tests
//! is `arrows.toml`. The layers hold whatever the tables say.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, lines};
use crate::tree::{Package, Tree};

const TABLE: &str = "docs/ARCHITECTURE.md";
const HEADING: &str = "## Arrows";
/// Tables that need no reader, and exactly what they have to list.
pub(super) const LISTS: &str = "crates/dev/xtask/arrows.toml";

type Names = BTreeSet<String>;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let (table, mut found) = table(tree);
    if table.is_empty() {
        return vec![Violation::new(TABLE, 0, format!("no table below {HEADING:?}: write it"))];
    }
    for package in &tree.packages {
        let built = package.dependencies.iter().chain(&package.build_dependencies);
        let own = own(tree, built);
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
        found.extend(layers(tree, package, &own));
    }
    let known = |name: &str| tree.packages.iter().any(|package| package.name == name);
    for (name, (line, _)) in table.iter().filter(|(name, _)| !known(name)) {
        found.push(Violation::new(TABLE, *line, format!("there is no {name}: take its row out")));
    }
    let own_of_tests = |package: &Package| own(tree, package.dev_dependencies.iter());
    found.extend(compare(tree, "tests", own_of_tests));
    found
}

/// Rows by package: the line, and what it may depend on.
fn table(tree: &Tree) -> (BTreeMap<String, (usize, Names)>, Vec<Violation>) {
    let mut rows: BTreeMap<String, (usize, Names)> = BTreeMap::new();
    let mut found = Vec::new();
    let mut inside = false;
    for (number, line) in lines(tree.text(TABLE)) {
        if line.starts_with("## ") {
            inside = line == HEADING;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (true, ["", crates, allowed, ""]) = (inside, cells.as_slice()) else { continue };
        let is_head = *crates == "crate" || crates.starts_with('-');
        // What follows a semicolon is for people.
        let allowed: Names = names(allowed.split(';').next().unwrap_or_default()).collect();
        for name in names(crates).filter(|_| !is_head) {
            if let Some((first, _)) = rows.get(&name) {
                let text = format!("{name} has a row in line {first} already: keep one");
                found.push(Violation::new(TABLE, number, text));
            }
            rows.insert(name, (number, allowed.clone()));
        }
    }
    (rows, found)
}

/// Package names of a cell: `event`, format, ledger-node.
fn names(cell: &str) -> impl Iterator<Item = String> {
    let words = cell.split(',').map(|word| word.trim().trim_matches('`'));
    words.filter(|word| !word.is_empty() && *word != "none").map(|word| {
        if word.starts_with("ledger-") { word.to_owned() } else { format!("ledger-{word}") }
    })
}

fn own<'a>(tree: &Tree, dependencies: impl Iterator<Item = &'a String>) -> Names {
    let is_own = |name: &&String| tree.packages.iter().any(|package| package.name == **name);
    dependencies.filter(is_own).cloned().collect()
}

/// Pure crates know pure ones, those that do IO both, programs these, and only what is made to test or measure may know everything.
fn layers(tree: &Tree, package: &Package, own: &Names) -> Vec<Violation> {
    let others = tree.packages.iter().filter(|other| own.contains(&other.name));
    let above = others.filter(|other| layer(other) > layer(package));
    let text = |other: &Package| {
        let layers = (layer(package).1, layer(other).1);
        let (name, other) = (&package.name, &other.name);
        format!("{name} is {}, {other} is {}: the arrow points upwards", layers.0, layers.1)
    };
    above.map(|other| Violation::new(&package.manifest, 0, text(other))).collect()
}

fn layer(package: &Package) -> (u8, &'static str) {
    let path = package.manifest.as_str();
    if path.starts_with("crates/pure/") {
        (0, "pure")
    } else if path.starts_with("crates/io/") {
        (1, "io")
    } else if path.starts_with("crates/dev/") || path.starts_with("tests/") {
        (3, "for development")
    } else {
        (2, "a program")
    }
}

/// A list of `arrows.toml` against what the packages use, both ways.
pub(super) fn compare(
    tree: &Tree,
    section: &str,
    used: impl Fn(&Package) -> Names,
) -> Vec<Violation> {
    let lists: toml::Table = match tree.text(LISTS).parse() {
        Ok(lists) => lists,
        Err(error) => return vec![Violation::new(LISTS, 0, format!("{error}"))],
    };
    let mut listed: BTreeMap<&str, Names> = BTreeMap::new();
    for (package, names) in
        lists.get(section).and_then(|list| list.as_table()).into_iter().flatten()
    {
        let names = names.as_array().into_iter().flatten().filter_map(|name| name.as_str());
        listed.insert(package, names.map(str::to_owned).collect());
    }
    let mut found = Vec::new();
    for package in &tree.packages {
        let (used, name) = (used(package), package.name.as_str());
        let listed = listed.remove(name).unwrap_or_default();
        for extra in used.difference(&listed) {
            let text = format!(
                "{extra} is not in [{section}] of {LISTS}, {name}: do without it, or list it"
            );
            found.push(Violation::new(&package.manifest, 0, text));
        }
        for unused in listed.difference(&used) {
            let text = format!("[{section}] {name} does not use {unused}: take it out");
            found.push(Violation::new(LISTS, 0, text));
        }
    }
    let gone = listed.keys().map(|name| format!("[{section}] there is no {name}: take it out"));
    found.extend(gone.map(|text| Violation::new(LISTS, 0, text)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(table: &str, packages: &[(&str, &str, &[&str])]) -> Tree {
        let text =
            format!("# A\n\n{HEADING}\n\n| crate | may depend on |\n| --- | --- |\n{table}\n");
        let package = |(name, manifest, dependencies): &(&str, &str, &[&str])| Package {
            name: (*name).into(),
            manifest: (*manifest).into(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        };
        Tree {
            files: [(TABLE.to_owned(), Some(text))].into(),
            packages: packages.iter().map(package).collect(),
        }
    }

    fn texts(tree: &Tree) -> Vec<String> {
        check(tree).into_iter().map(|violation| violation.text).collect()
    }

    const A: (&str, &str, &[&str]) = ("ledger-a", "crates/pure/a/Cargo.toml", &["bytes"]);
    const B: (&str, &str, &[&str]) = ("ledger-b", "crates/io/b/Cargo.toml", &["ledger-a"]);

    #[test]
    fn what_the_table_says_is_fine() {
        assert_eq!(check(&tree("| `a` | none |\n| `ledger-b` | a; and no more |", &[A, B])), []);
    }

    #[test]
    fn edges_that_are_not_listed_and_rows_that_rot_are_found() {
        let extra = texts(&tree("| `a`, `b` | none |", &[A, B]));
        assert!(extra[0].contains("ledger-b may not depend on ledger-a"), "{extra:?}");
        let rotten = texts(&tree("| `a` | b |\n| `b` | a |", &[A, B]));
        assert!(rotten[0].contains("ledger-a does not depend on ledger-b"), "{rotten:?}");
        let missing = texts(&tree("| `a` | none |", &[A, B]));
        assert!(missing[0].contains("ledger-b has no row"), "{missing:?}");
        let twice = texts(&tree("| `a` | none |\n| `a` | none |", &[A]));
        assert!(twice[0].contains("ledger-a has a row in line 7"), "{twice:?}");
        let gone = texts(&tree("| `a`, `c` | none |", &[A]));
        assert!(gone[0].contains("there is no ledger-c"), "{gone:?}");
        assert_eq!(check(&Tree::default()).len(), 1);
    }

    #[test]
    fn build_scripts_have_no_arrows_of_their_own() {
        let mut built = tree("| `a`, `b` | none |", &[A, ("ledger-b", B.1, &[])]);
        built.packages[1].build_dependencies.push("ledger-a".into());
        assert!(texts(&built)[0].contains("ledger-b may not depend on ledger-a"));
    }

    #[test]
    fn arrows_that_point_upwards_are_found_whatever_the_table_says() {
        for (below, above) in [
            ("crates/pure/a/Cargo.toml", "crates/io/b/Cargo.toml"),
            ("crates/io/a/Cargo.toml", "ledger-b/Cargo.toml"),
            ("ledger-a/Cargo.toml", "crates/dev/b/Cargo.toml"),
            ("crates/io/a/Cargo.toml", "tests/Cargo.toml"),
        ] {
            let packages =
                [("ledger-a", below, &["ledger-b"] as &[&str]), ("ledger-b", above, &[])];
            let found = texts(&tree("| `a` | b |\n| `b` | none |", &packages));
            assert!(found.len() == 1 && found[0].contains("upwards"), "{below} {found:?}");
        }
    }

    #[test]
    fn what_tests_need_is_listed_exactly() {
        let mut tested = tree("| `a`, `b` | none |", &[A, ("ledger-b", B.1, &[])]);
        tested.packages[0].dev_dependencies = vec!["ledger-b".into(), "proptest".into()];
        assert!(texts(&tested)[0].contains("ledger-b is not in [tests]"));
        let list = |text: &str| Some(text.to_owned());
        tested.files.insert(LISTS.into(), list("[tests]\nledger-a = [\"ledger-b\"]\n"));
        assert_eq!(check(&tested), []);
        tested.packages[0].dev_dependencies.clear();
        assert!(texts(&tested)[0].contains("does not use ledger-b"));
        tested.files.insert(LISTS.into(), list("[tests]\nledger-z = []\n"));
        assert!(texts(&tested)[0].contains("there is no ledger-z"));
        tested.files.insert(LISTS.into(), list("]"));
        assert_eq!(check(&tested).len(), 1);
    }
}
