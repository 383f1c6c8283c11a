//! What a file may hold: its length, the name of its module, no secret, no path of somebody's machine, no debris.

use super::Violation;
use crate::tree::Tree;

/// Longest Rust file, in lines.
const MAX_LINES: usize = 600;
/// Module names that say nothing.
const VAGUE: [&str; 4] = ["utils", "util", "helpers", "misc"];

/// What must not be in any file, and why. Split, so that this file does not hold it.
const FORBIDDEN: [(&str, &str, &str); 7] = [
    ("-----BEGIN PRIVATE", " KEY-----\n", "a private key: take it out, and never use it again"),
    ("-----BEGIN ENCRYPTED PRIVATE", " KEY-----\n", "a private key: take it out"),
    ("/ro", "ot/", "a path of somebody's machine"),
    ("/ho", "me/", "a path of somebody's machine"),
    ("TO", "DO", "do it, or say in the change log that it is missing"),
    ("FIX", "ME", "mend it"),
    ("#[ign", "ore", "a test that does not run proves nothing"),
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let texts = || tree.texts("").filter(|(path, _)| is_ours(path));
    let mut found: Vec<Violation> =
        texts().flat_map(|(path, text)| forbidden(path, text)).collect();
    for (path, text) in tree.texts(".rs") {
        let length = text.lines().count();
        if length > MAX_LINES {
            let text = format!("{length} lines, at most {MAX_LINES}: split it along its subject");
            found.push(Violation::new(path, 0, text));
        }
        let vague = path.split(['/', '.']).find(|part| VAGUE.contains(part));
        if let Some(vague) = vague {
            let text = format!("a module named {vague}: name it after what it holds");
            found.push(Violation::new(path, 0, text));
        }
    }
    found
}

/// Data of others, the lock file and vectors are not ours to word.
fn is_ours(path: &str) -> bool {
    let data = path.starts_with("tests/data/") || path.starts_with("docs/spec/vectors/");
    !data && path != "Cargo.lock" && path != "LICENSE"
}

fn forbidden(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (start, end, why) in FORBIDDEN {
        let needle = format!("{start}{end}");
        // Lines with their ends, so that a needle can ask for a whole line.
        let lines = (1..).zip(text.split_inclusive('\n'));
        for (number, _) in lines.filter(|(_, line)| has_word(line, &needle)) {
            found.push(Violation::new(path, number, format!("{}: {why}", needle.trim())));
        }
    }
    found
}

/// Whether a line has the needle, not as part of a longer word or path.
fn has_word(line: &str, needle: &str) -> bool {
    line.match_indices(needle).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.' || c == '}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str, text: &str) -> Tree {
        Tree { files: [(path.to_owned(), Some(text.to_owned()))].into(), packages: Vec::new() }
    }

    #[test]
    fn every_forbidden_text_is_found_with_its_line() {
        for (start, end, _) in FORBIDDEN {
            let found = check(&tree("a.md", &format!("fine\nnot {start}{end}\n")));
            assert_eq!(found.len(), 1, "{start}{end}");
            assert_eq!(found[0].line, 2);
        }
        assert_eq!(check(&tree("tests/data/a.md", &["TO", "DO"].concat())), []);
    }

    #[test]
    fn long_files_and_vague_names_are_found() {
        assert_eq!(check(&tree("src/a.rs", &"\n".repeat(MAX_LINES))), []);
        assert_eq!(check(&tree("src/a.rs", &"\n".repeat(MAX_LINES + 1))).len(), 1);
        assert_eq!(check(&tree("src/utils.rs", "")).len(), 1);
        assert_eq!(check(&tree("src/helpers/mod.rs", "")).len(), 1);
    }
}
