//! What other people's crates are used, and where: few and harmless ones in the pure crates, engines behind one crate each.

use std::collections::BTreeSet;

use super::Violation;
use super::arrows::compare;
use crate::tree::{Package, Tree};

/// Crates that no list may let into the pure ones: what does IO, what waits, what draws at random, what logs.
const IMPURE: [&str; 14] = [
    "getrandom",
    "hyper",
    "indicatif",
    "log",
    "rand",
    "reqwest",
    "rusqlite",
    "sled",
    "tokio",
    "tokio-stream",
    "tonic",
    "tracing",
    "tracing-subscriber",
    "zstd",
];
/// Crates that one package alone may name, in its tests too.
const ALONE: [(&str, &str); 2] =
    [("sled", "ledger-store"), ("arc-malachitebft-core-consensus", "ledger-replica")];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found: Vec<Violation> = tree.packages.iter().flat_map(misplaced).collect();
    let others = |package: &Package, names: &[String]| -> BTreeSet<String> {
        let is_own = |name: &String| tree.packages.iter().any(|own| own.name == *name);
        let names = names.iter().filter(|name| is_pure(package) && !is_own(name));
        names.cloned().collect()
    };
    found.extend(compare(tree, "third-parties", |p| others(p, &p.dependencies)));
    let scripts = "third-parties-of-build-scripts";
    found.extend(compare(tree, scripts, |p| others(p, &p.build_dependencies)));
    found
}

fn is_pure(package: &Package) -> bool {
    package.manifest.starts_with("crates/pure/")
}

fn misplaced(package: &Package) -> Vec<Violation> {
    let mut found = Vec::new();
    let impure = |name: &&String| IMPURE.contains(&name.as_str());
    for name in package.dependencies.iter().filter(|_| is_pure(package)).filter(impure) {
        let text = format!("{} is pure: {name} does not belong there", package.name);
        found.push(Violation::new(&package.manifest, 0, text));
    }
    for (name, owner) in ALONE.iter().filter(|(_, owner)| *owner != package.name) {
        if package.all_dependencies().any(|other| other == name) {
            let text = format!("only {owner} may depend on {name}: go through it");
            found.push(Violation::new(&package.manifest, 0, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::arrows::LISTS;
    use super::*;

    fn tree(package: Package, lists: &str) -> Tree {
        let files = [(LISTS.to_owned(), Some(lists.to_owned()))].into();
        Tree { files, packages: vec![package] }
    }

    fn package(manifest: &str, dependency: &str) -> Package {
        let (name, manifest) = ("ledger-a".to_owned(), manifest.to_owned());
        Package { name, manifest, dependencies: vec![dependency.into()], ..Package::default() }
    }

    #[test]
    fn pure_crates_use_exactly_what_is_listed() {
        let list = "[third-parties]\nledger-a = [\"bytes\"]\n";
        let pure = |dependency| package("crates/pure/a/Cargo.toml", dependency);
        assert_eq!(check(&tree(pure("bytes"), list)), []);
        let found = check(&tree(pure("serde"), list));
        assert!(found[0].text.contains("serde is not in [third-parties]"), "{found:?}");
        assert!(found[1].text.contains("does not use bytes"), "{found:?}");
        let script = Package { build_dependencies: vec!["cc".into()], ..pure("bytes") };
        let found = check(&tree(script, list));
        assert!(found[0].text.contains("cc is not in [third-parties-of-build-scripts]"));
        assert_eq!(check(&tree(package("crates/io/a/Cargo.toml", "serde"), "")), []);
    }

    #[test]
    fn io_in_pure_crates_is_found_even_if_it_is_listed() {
        let list = "[third-parties]\nledger-a = [\"tokio\"]\n";
        let found = check(&tree(package("crates/pure/a/Cargo.toml", "tokio"), list));
        assert!(found.len() == 1 && found[0].text.contains("is pure"), "{found:?}");
    }

    #[test]
    fn borrowed_engines_are_found_in_tests_too() {
        let built = package("crates/io/a/Cargo.toml", "sled");
        let tested = Package {
            dependencies: Vec::new(),
            dev_dependencies: vec!["sled".into()],
            ..built.clone()
        };
        for package in [built, tested] {
            let found = check(&tree(package, ""));
            assert!(found.len() == 1 && found[0].text.contains("only ledger-store"), "{found:?}");
        }
    }
}
