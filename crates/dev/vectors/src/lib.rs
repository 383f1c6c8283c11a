//! Test vectors of every format, in `docs/spec/vectors`, for verifiers in any language.
//!
//! [`files`] makes them, the same bytes every time; [`judge::judge`] says what the ledger's own crates make of one, from its JSON
//! alone. A test holds the files in the tree against both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what cannot be made or read here is a test that cannot run"
)]

pub mod judge;
mod kinds;

use ledger_format::digest::{hex, sha256};
use serde_json::{Value, json};

use crate::judge::Outcome;

/// The value of `format` in every file.
pub const FORMAT: &str = "ledger-vectors-v1";
/// The file with the digests of all others.
pub const SUMS: &str = "SHA256SUMS";

/// One vector: an input, and what a verifier says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vector {
    name: String,
    comment: String,
    input: Value,
    /// The expected result and code.
    expected: (&'static str, &'static str),
}

impl Vector {
    fn new(
        name: impl Into<String>,
        comment: impl Into<String>,
        input: Value,
        expected: (&'static str, &'static str),
    ) -> Self {
        Self { name: name.into(), comment: comment.into(), input, expected }
    }

    /// The vector as it is written. What the judge says otherwise than expected goes into `wrong`.
    fn json(&self, kind: &str, wrong: &mut Vec<String>) -> Value {
        let Outcome { result, code, output, reason } = judge::judge(kind, &self.input);
        if (result.as_str(), code.as_str()) != self.expected {
            let Self { name, expected, .. } = self;
            wrong.push(format!(
                "{kind}, {name}: expected {expected:?}, is {result} {code}: {reason}"
            ));
        }
        json!({
            "name": self.name, "comment": self.comment, "input": self.input,
            "result": result, "code": code, "output": output,
        })
    }
}

/// Vectors of one kind.
pub(crate) struct Kind {
    name: &'static str,
    description: &'static str,
    vectors: Vec<Vector>,
}

/// All files by name, ascending: one a kind, then the digests.
pub fn files() -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let file = |kind: Kind| {
        let vectors = kind.vectors.iter().map(|vector| vector.json(kind.name, &mut wrong));
        let vectors: Vec<Value> = vectors.collect();
        let file = json!({
            "format": FORMAT, "kind": kind.name, "description": kind.description, "vectors": vectors,
        });
        (format!("{}.json", kind.name), format!("{file:#}\n"))
    };
    let mut files: Vec<(String, String)> = kinds::all().into_iter().map(file).collect();
    files.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let line =
        |(name, text): &(String, String)| format!("{}  {name}\n", hex(&sha256(&[text.as_bytes()])));
    let sums = files.iter().map(line).collect();
    files.push((SUMS.to_owned(), sums));
    files
}
