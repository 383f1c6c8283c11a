//! The checks.

mod arrows;
mod files;
mod manifests;
mod references;

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
    let checks = [arrows::check, manifests::check, files::check, references::check];
    checks.iter().flat_map(|check| check(tree)).collect()
}

/// Lines of a text with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}
