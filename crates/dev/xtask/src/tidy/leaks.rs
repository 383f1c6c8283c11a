//! What must not leave the machine on which it was written: private keys, paths, where packages were fetched from.

use super::{Violation, is_ours, lines, words_at};
use crate::tree::Tree;

/// Where people and machines keep their own files. Split, so that this file does not hold them.
const PATHS: [(&str, &str); 4] = [("/ro", "ot/"), ("/ho", "me/"), ("/wo", "rk/"), ("/Us", "ers/")];
/// Hosts that serve packages, and settings that choose one.
const HOSTS: [(&str, &str); 8] = [
    ("index.", "crates.io"),
    ("static.", "crates.io"),
    ("pypi.", "org"),
    ("registry.", "npmjs.org"),
    ("arti", "factory"),
    ("replace-", "with"),
    ("[regis", "tries"),
    ("index-", "url"),
];
/// What Cargo.lock may name as the source of a package.
const PUBLIC: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.texts("") {
        for (number, line) in lines(text) {
            let mut report = |text: &str| found.push(Violation::new(path, number, text));
            if holds_key(line) {
                report("a private key: take it out, and never use it again");
            }
            if path.ends_with("Cargo.lock") && line.starts_with("source = ") && line != PUBLIC {
                report("a package from elsewhere: lock it from crates.io");
            }
            if !is_ours(path) {
                continue;
            }
            for needle in PATHS.map(|(start, end)| format!("{start}{end}")) {
                if words_at(line, &needle).next().is_some() {
                    report(&format!(
                        "{needle}: a path of somebody's machine: name it from the root"
                    ));
                }
            }
            for needle in HOSTS.map(|(start, end)| format!("{start}{end}")) {
                if line.to_ascii_lowercase().contains(&needle) {
                    report(&format!("{needle}: where packages come from is no part of the tree"));
                }
            }
        }
    }
    found
}

/// Whether the head of a PEM private key stands here with something after it, in a file or in a string. A mere label ends at its quote.
fn holds_key(line: &str) -> bool {
    line.match_indices("-----BEGIN ").any(|(at, begin)| {
        let label = line.get(at + begin.len()..).and_then(|rest| rest.split_once("-----"));
        label.is_some_and(|(label, rest)| {
            let is_private = label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK");
            is_private && (rest.trim().is_empty() || rest.starts_with('\\'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Violation> {
        let files = [(path.to_owned(), Some(text.to_owned()))].into();
        check(&Tree { files, packages: Vec::new() })
    }

    #[test]
    fn private_keys_are_found_anywhere_and_labels_are_not() {
        for kind in ["", "ENCRYPTED ", "RSA ", "EC ", "OPENSSH "] {
            let head = ["-----BEGIN ", kind, "PRIVATE", " KEY-----"].concat();
            for path in ["a.pem", "tests/data/a.json", "src/a.rs"] {
                assert_eq!(found(path, &format!("x\n{head}\nMC4C\n"))[0].line, 2, "{kind}");
                assert_eq!(found(path, &format!("{head}\r\nMC4C\n")).len(), 1, "{kind}");
                assert_eq!(found(path, &format!("\"{head}\\nMC4C\"")).len(), 1, "{kind}");
                assert_eq!(found(path, &format!("const LABEL: &str = \"{head}\";")), []);
            }
        }
        assert_eq!(found("a.pem", "-----BEGIN PUBLIC KEY-----\n"), []);
    }

    #[test]
    fn paths_and_hosts_are_found_with_their_line() {
        for (start, end) in PATHS.into_iter().chain(HOSTS) {
            let text = format!("fine\n'{start}{end}'\n");
            assert_eq!(found("a.md", &text).len(), 1, "{start}{end}");
            assert_eq!(found("a.md", &text)[0].line, 2);
            assert_eq!(found("tests/data/a.md", &text), []);
        }
        assert_eq!(found("a.md", &["https://a.example/ho", "me/"].concat()), []);
    }

    #[test]
    fn packages_from_elsewhere_are_found() {
        assert_eq!(found("Cargo.lock", PUBLIC), []);
        let mirror = "source = \"sparse+https://mirror.example/\"";
        assert_eq!(found("Cargo.lock", mirror).len(), 1);
        assert_eq!(found("fuzz/Cargo.lock", mirror).len(), 1);
    }
}
