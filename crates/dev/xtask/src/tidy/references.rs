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
                let wrong = mentions(line).filter_map(|(name, anchor)| absent(tree, name, anchor));
                found.extend(wrong.map(|text| Violation::new(path, number, text)));
            }
        }
    }
    for (path, text) in tree.texts(".md") {
        for (number, line) in prose(text) {
            for target in links(line).chain(definition(line)) {
                if let Some(wrong) = broken(tree, path, target) {
                    found.push(Violation::new(path, number, wrong));
                }
            }
        }
    }
    found
}

/// Paths `docs/…` that a line names, each with the anchor that follows it, if one does.
fn mentions(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices("docs/").filter_map(move |(at, _)| {
        let before = line.get(..at)?.chars().next_back();
        // Part of a longer path or address.
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_')) {
            return None;
        }
        let (path, rest) = split(line.get(at..)?, |c| matches!(c, '/' | '.' | '-' | '_'));
        let anchor = rest.strip_prefix('#').map_or("", |rest| split(rest, |c| "-_".contains(c)).0);
        Some((path.trim_end_matches(['.', '/', '-']), anchor))
    })
}

/// A text where its first characters end that are letters, digits or among `others`.
fn split(text: &str, others: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !others(c));
    text.split_at(end.unwrap_or(text.len()))
}

/// What of a path and an anchor is not there.
fn absent(tree: &Tree, name: &str, anchor: &str) -> Option<String> {
    if !exists(tree, name) {
        return Some(format!("{name} does not exist: mend the path, or write the file"));
    }
    let has = anchor.is_empty() || anchors(tree.text(name)).contains(anchor);
    (!has).then(|| format!("{name} has no heading #{anchor}: mend the anchor"))
}

/// Whether a file or folder is tracked; a decision record may be named by its number.
fn exists(tree: &Tree, name: &str) -> bool {
    let folder = format!("{name}/");
    let number = name.strip_prefix("docs/adr/").unwrap_or_default();
    let numbered = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
    let record = format!("{name}-");
    tree.files.keys().any(|path| {
        path == name || path.starts_with(&folder) || (numbered && path.starts_with(&record))
    })
}

/// Lines of a document that stand in no block of code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    lines(text).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    })
}

/// The target of a line `[name]: target`.
fn definition(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split_once("]: ")?.1.split_whitespace().next()
}

/// Targets of the Markdown links of a line. What stands between backticks is no link.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(move |(at, _)| {
        let (before, rest) = (line.get(..at)?, line.get(at + 2..)?);
        let in_code = before.matches('`').count() % 2 == 1;
        // A title may follow the target.
        if in_code { None } else { rest.get(..rest.find(')')?)?.split_whitespace().next() }
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
        return (!is_folder).then(|| format!("link to {path}, which does not exist: mend it"));
    };
    let text = text.as_deref().unwrap_or_default();
    (!anchor.is_empty() && !anchors(text).contains(anchor))
        .then(|| format!("link to {path}#{anchor}, which has no such heading: mend it"))
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

/// The anchors that GitHub and others make of a document's headings; those that come again are numbered.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text).filter(|(_, line)| line.starts_with('#')) {
        let anchor = anchor(line.trim_start_matches('#').trim());
        let again = (1..).map(|times| format!("{anchor}-{times}"));
        let free = std::iter::once(anchor.clone()).chain(again).find(|a| !anchors.contains(a));
        anchors.extend(free);
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
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
            ("b.rs", "// docs/spec/entry.md#the-id."),
            (
                "docs/a.md",
                "# A\n# A\n[second](#a-1 \"title\")\n```sh\n[x](gone)\n```\n[b]: ../b.rs",
            ),
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
            ("docs/c.md", "```sh\n# a comment\n```\n[x](#a-comment)"),
            ("docs/c.md", "[x]: gone.md"),
            ("docs/c.md", "# A\nsee docs/c.md#b"),
            ("docs/adr/0007-x.md", "docs/adr/007"),
        ] {
            assert_eq!(check(&tree(&[(path, text)])).len(), 1, "{text}");
        }
    }
}
