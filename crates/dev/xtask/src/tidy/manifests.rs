//! Every package inherits what the workspace sets: lints, edition, Rust version, licence.

use toml::Table;

use super::Violation;
use crate::tree::Tree;

const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];
/// Packages of generated code: they keep the rule against unsafe code and no other.
const GENERATED: [&str; 2] = ["ledger-event", "ledger-proto"];
const LINTS: &str = ".clippy.toml";
const PURE_LINTS: &str = "crates/pure/clippy.toml";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    if tree.packages.iter().any(|package| package.manifest.starts_with("crates/pure/")) {
        found.extend(pure_lints(tree));
    }
    for package in &tree.packages {
        let path = &package.manifest;
        let text = tree.files.get(path).and_then(Option::as_deref).unwrap_or_default();
        let manifest: Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                found.push(Violation::new(path, 0, format!("{error}")));
                continue;
            }
        };
        let inherits = |section: &str, key: &str| {
            let section = manifest.get(section).and_then(toml::Value::as_table);
            let value = section.and_then(|section| section.get(key));
            match value {
                Some(toml::Value::Table(value)) => {
                    value.get("workspace").and_then(toml::Value::as_bool) == Some(true)
                }
                Some(toml::Value::Boolean(workspace)) => *workspace && key == "workspace",
                _ => false,
            }
        };
        let generated = GENERATED.contains(&package.name.as_str()) && forbids_unsafe(&manifest);
        if !generated && !inherits("lints", "workspace") {
            found.push(Violation::new(path, 0, "[lints] workspace = true is missing: add it"));
        }
        for key in INHERITED.iter().filter(|key| !inherits("package", key)) {
            found.push(Violation::new(
                path,
                0,
                format!("{key}.workspace = true is missing: add it"),
            ));
        }
    }
    found
}

/// Pure crates have lints of their own, which hold what the others' do, and which nothing nearer hides: clippy takes one file only.
fn pure_lints(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let is_lints = |path: &str| path.ends_with("/clippy.toml") || path.ends_with("/.clippy.toml");
    let nearer = tree.files.keys().filter(|path| path.starts_with("crates/pure/"));
    for path in nearer.filter(|path| is_lints(path) && *path != PURE_LINTS) {
        found.push(Violation::new(path, 0, format!("hides {PURE_LINTS}: take it out")));
    }
    let read = |path: &str| tree.text(path).parse::<Table>().unwrap_or_default();
    let (ours, general) = (read(PURE_LINTS), read(LINTS));
    for forbidden in ["disallowed-types", "disallowed-methods"] {
        let list = ours.get(forbidden).and_then(toml::Value::as_array);
        if list.is_none_or(Vec::is_empty) {
            let text = format!("{forbidden} is missing: pure crates have no IO, clock or order");
            found.push(Violation::new(PURE_LINTS, 0, text));
        }
    }
    if general.is_empty() {
        found.push(Violation::new(
            LINTS,
            0,
            "has no lint's setting: pure crates could repeat none",
        ));
    }
    for (key, value) in general.iter().filter(|(_, value)| !value.is_array()) {
        if ours.get(key) != Some(value) {
            let text = format!("{key} is not {value}, as in {LINTS}: repeat it");
            found.push(Violation::new(PURE_LINTS, 0, text));
        }
    }
    found
}

fn forbids_unsafe(manifest: &Table) -> bool {
    let lints = manifest.get("lints").and_then(|lints| lints.get("rust"));
    lints.and_then(|rust| rust.get("unsafe_code")?.as_str()) == Some("forbid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Package;

    fn tree(manifest: &str) -> Tree {
        let path = "crates/io/a/Cargo.toml".to_owned();
        let package = Package { name: "a".into(), manifest: path.clone(), ..Package::default() };
        Tree { files: [(path, Some(manifest.into()))].into(), packages: vec![package] }
    }

    #[test]
    fn what_is_not_inherited_is_found() {
        let keys = INHERITED.map(|key| format!("{key}.workspace = true\n")).concat();
        let good = format!("[package]\nname = \"a\"\n{keys}\n[lints]\nworkspace = true\n");
        assert_eq!(check(&tree(&good)), []);
        for key in INHERITED {
            let bad = good.replace(&format!("\n{key}.workspace = true"), "");
            assert_eq!(check(&tree(&bad)).len(), 1, "{key}");
        }
        assert_eq!(check(&tree(&good.replace("[lints]\nworkspace = true\n", ""))).len(), 1);
        assert_eq!(check(&tree("]")).len(), 1);
    }

    #[test]
    fn lints_of_pure_crates_that_are_not_there_or_not_theirs_are_found() {
        let tree = |ours: &str, nearer: Option<&str>| {
            let file = |path: &str, text: &str| (path.to_owned(), Some(text.to_owned()));
            let mut files = vec![file(LINTS, "a = 1\nb = []\n"), file(PURE_LINTS, ours)];
            files.extend(nearer.map(|path| file(path, "")));
            Tree { files: files.into_iter().collect(), packages: Vec::new() }
        };
        let good = "a = 1\ndisallowed-types = [\"x\"]\ndisallowed-methods = [\"y\"]\n";
        assert_eq!(pure_lints(&tree(good, None)), []);
        assert_eq!(pure_lints(&tree(good, Some("crates/pure/a/clippy.toml"))).len(), 1);
        assert_eq!(pure_lints(&tree(good, Some("crates/pure/.clippy.toml"))).len(), 1);
        assert_eq!(pure_lints(&tree(&good.replace("a = 1", "a = 2"), None)).len(), 1);
        assert_eq!(pure_lints(&tree("a = 1", None)).len(), 2);
        assert_eq!(pure_lints(&Tree::default()).len(), 3);
    }
}
