//! The checks.

mod arrows;
mod changelog;
mod codes;
mod debris;
mod leaks;
mod manifests;
mod references;
mod sizes;
mod third_parties;

use std::fmt;

use crate::tree::Tree;

/// Something that must not be as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The file.
    pub path: String,
    /// The line, from 1; zero: the file as a whole.
    pub line: usize,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Violation {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Everything that is wrong with a tree.
pub fn violations(tree: &Tree) -> Vec<Violation> {
    let checks = [
        arrows::check,
        third_parties::check,
        manifests::check,
        sizes::check,
        references::check,
        codes::check,
        leaks::check,
        debris::check,
        changelog::check,
    ];
    checks.iter().flat_map(|check| check(tree)).collect()
}

/// Lines of a text with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// Data of others and the licence are not ours to word, and cargo writes the lock file.
fn is_ours(path: &str) -> bool {
    !path.starts_with("tests/data/") && path != "LICENSE" && !path.ends_with("Cargo.lock")
}

/// What follows a needle wherever a line has it, not as the end of a longer word or path.
fn words_at<'a>(line: &'a str, needle: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(needle).filter_map(move |(at, _)| {
        let before = line.get(..at)?.chars().next_back();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '}');
        if before.is_some_and(is_part) { None } else { line.get(at + needle.len()..) }
    })
}
