//! What documents and sources refer to is there: files below `docs`, links and anchors of Markdown.

use std::collections::BTreeSet;

use super::{Violation, lines};
use crate::tree::Tree;

/// The checks name what is not there, to see it found.
const OWN: &str = "crates/dev/xtask/src/tidy/";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for end in [".rs", ".proto", ".toml", ".md"] {
        let texts = tree.texts(end).filter(|(path, _)| !path.starts_with(OWN));
        for (path, text) in texts {
            for (number, line) in lines(text) {
                let missing = mentions(line).filter(|name| !exists(tree, name));
                found
                    .extend(missing.map(|name| {
                        Violation::new(path, number, format!("{name} does not exist"))
                    }));
            }
        }
    }
    for (path, text) in tree.texts(".md") {
        for (number, line) in lines(text) {
            for target in links(line) {
                if let Some(wrong) = broken(tree, path, target) {
                    found.push(Violation::new(path, number, wrong));
                }
            }
        }
    }
    found.extend(change_log(tree));
    found
}

/// Paths `docs/…` that a line names.
fn mentions(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("docs/").filter_map(move |(at, _)| {
        let before = line.get(..at)?.chars().next_back();
        // Part of a longer path or address.
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_')) {
            return None;
        }
        let rest = line.get(at..)?;
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        Some(rest.get(..length)?.trim_end_matches(['.', '/', '-']))
    })
}

/// Whether a file or folder is tracked; a decision record may be named by its number.
fn exists(tree: &Tree, name: &str) -> bool {
    let folder = format!("{name}/");
    let numbered =
        name.strip_prefix("docs/adr/").is_some_and(|number| number.parse::<u16>().is_ok());
    tree.files.keys().any(|path| {
        path == name || path.starts_with(&folder) || (numbered && path.starts_with(name))
    })
}

/// Targets of the Markdown links of a line. What stands between backticks is no link.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(move |(at, _)| {
        let (before, rest) = (line.get(..at)?, line.get(at + 2..)?);
        let in_code = before.matches('`').count() % 2 == 1;
        if in_code { None } else { rest.get(..rest.find(')')?) }
    })
}

/// What is wrong with a link, if anything is.
fn broken(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { from.to_owned() } else { resolve(from, file) };
    let folder = format!("{}/", path.trim_end_matches('/'));
    let Some(text) = tree.files.get(&path) else {
        let is_folder = tree.files.keys().any(|other| other.starts_with(&folder));
        return (!is_folder).then(|| format!("link to {path}, which does not exist"));
    };
    let text = text.as_deref().unwrap_or_default();
    (!anchor.is_empty() && !anchors(text).contains(anchor))
        .then(|| format!("link to {path}#{anchor}, which has no such heading"))
}

fn resolve(from: &str, file: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// The anchors that GitHub and others make of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The change log names the version that the workspace has.
fn change_log(tree: &Tree) -> Option<Violation> {
    let manifest: toml::Table = tree.files.get("Cargo.toml")?.as_deref()?.parse().ok()?;
    let version = manifest.get("workspace")?.get("package")?.get("version")?.as_str()?;
    let log = tree.files.get("CHANGELOG.md").and_then(Option::as_deref).unwrap_or_default();
    (!log.contains(version))
        .then(|| Violation::new("CHANGELOG.md", 0, format!("says nothing of version {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), Some((*text).to_owned()));
        Tree { files: files.iter().map(file).collect(), packages: Vec::new() }
    }

    #[test]
    fn what_is_there_may_be_named() {
        let good = tree(&[
            (
                "a.rs",
                "// docs/spec/entry.md, (docs/adr/0006). docs/spec\n// https://x.example/docs/gone",
            ),
            ("docs/spec/entry.md", "# Entry\n## The *id*\n[own](#the-id) [adr](../adr/0006-x.md)"),
            ("docs/adr/0006-x.md", "[entry](../spec/entry.md#the-id) [out](https://x.example)"),
        ]);
        assert_eq!(check(&good), []);
    }

    #[test]
    fn what_is_not_there_is_found() {
        for (path, text) in [
            ("a.rs", "// docs/spec/gone.md"),
            ("b.toml", "# docs/adr/0007"),
            ("docs/c.md", "[x](gone.md)"),
            ("docs/c.md", "[x](#gone)"),
            ("docs/c.md", "# A\n[x](../docs/c.md#b)"),
        ] {
            assert_eq!(check(&tree(&[(path, text)])).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_version_without_a_change_is_found() {
        let manifest = ("Cargo.toml", "[workspace.package]\nversion = \"0.2.0\"\n");
        assert_eq!(check(&tree(&[manifest, ("CHANGELOG.md", "## 0.1.0")])).len(), 1);
        assert_eq!(check(&tree(&[manifest, ("CHANGELOG.md", "## 0.2.0")])), []);
    }
}
