//! The change log has a section for the version that the workspace has.

use super::Violation;
use crate::tree::Tree;

const LOG: &str = "CHANGELOG.md";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(version) = version(tree.text("Cargo.toml")) else {
        let text = "no version in [workspace.package]: state one";
        return vec![Violation::new("Cargo.toml", 0, text)];
    };
    let heads = [format!("## [{version}]"), format!("## {version}")];
    let is_head = |line: &str| {
        let rest = heads.iter().find_map(|head| line.strip_prefix(head.as_str()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    if tree.text(LOG).lines().any(is_head) {
        return Vec::new();
    }
    let text = format!("no section of version {version}: add `{}` with what changed", heads[0]);
    vec![Violation::new(LOG, 0, text)]
}

fn version(manifest: &str) -> Option<String> {
    let manifest: toml::Table = manifest.parse().ok()?;
    let version = manifest.get("workspace")?.get("package")?.get("version")?;
    Some(version.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_without_a_section_is_found() {
        let manifest = "[workspace.package]\nversion = \"1.1.0\"\n";
        let found = |manifest: &str, log: &str| {
            let file = |path: &str, text: &str| (path.to_owned(), Some(text.to_owned()));
            let files = [file("Cargo.toml", manifest), file(LOG, log)].into();
            check(&Tree { files, packages: Vec::new() }).len()
        };
        for log in ["## [1.1.0]\n", "# Log\n\n## 1.1.0 - 2026-11-28\n", "## [1.1.0] - today"] {
            assert_eq!(found(manifest, log), 0, "{log}");
        }
        for log in ["", "https://keepachangelog.com/en/1.1.0/", "## [1.1.0-rc.1]", "## [11.1.0]"] {
            assert_eq!(found(manifest, log), 1, "{log}");
        }
        assert_eq!(found("", "## [1.1.0]"), 1);
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
