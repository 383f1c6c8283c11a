//! Every package inherits what the workspace sets: lints, edition, Rust version, licence.

use toml::Table;

use super::Violation;
use crate::tree::Tree;

const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];
/// Packages of generated code: they keep the rule against unsafe code and no other.
const GENERATED: [&str; 2] = ["ledger-event", "ledger-proto"];
const PURE_LINTS: &str = "crates/pure/clippy.toml";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let pure = tree.packages.iter().any(|p| p.manifest.starts_with("crates/pure/"));
    if pure && !tree.files.contains_key(PURE_LINTS) {
        found.push(Violation::new(PURE_LINTS, 0, "missing: pure crates have lints of their own"));
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
                Some(toml::Value::Table(value)) => value.get("workspace").is_some(),
                Some(toml::Value::Boolean(workspace)) => *workspace && key == "workspace",
                _ => false,
            }
        };
        let generated = GENERATED.contains(&package.name.as_str()) && forbids_unsafe(&manifest);
        if !generated && !inherits("lints", "workspace") {
            found.push(Violation::new(path, 0, "[lints] workspace = true is missing"));
        }
        for key in INHERITED.iter().filter(|key| !inherits("package", key)) {
            found.push(Violation::new(path, 0, format!("{key}.workspace = true is missing")));
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
        let package = Package { name: "a".into(), manifest: path.clone(), dependencies: vec![] };
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
}
