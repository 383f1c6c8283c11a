//! Stable codes: one row each in the tables of the crates, one place each in the documents, and no word of a code that does not exist.
//!
//! The tables are read as text, since this program would else be built from everything that it checks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, lines};
use crate::tree::Tree;

/// Where the tables are, and the document, or folder of documents, that has to name each of their codes.
const TABLES: [(&str, &str); 9] = [
    ("crates/pure/format/src/malformed.rs", "docs/spec/"),
    ("crates/pure/rules/src/code.rs", "docs/spec/"),
    ("crates/pure/verify/src/finding.rs", "docs/spec/"),
    ("crates/io/catalogue/src/code.rs", "docs/CLI.md"),
    ("crates/io/client/src/error.rs", "docs/CLI.md"),
    ("crates/io/peer/src/code.rs", "docs/OPERATING.md"),
    ("crates/io/proto/src/codes.rs", "docs/API.md"),
    ("crates/io/store/src/error.rs", "docs/OPERATING.md"),
    ("ledger-node/src/failure.rs", "docs/OPERATING.md"),
];
/// Words of documents that look like codes and are none: statuses of gRPC, families of sockets, what a reader puts in.
const FOREIGN: [&str; 13] = [
    "AF_INET",
    "AF_INET6",
    "AF_UNIX",
    "ALREADY_EXISTS",
    "DEADLINE_EXCEEDED",
    "ENTRY_ID",
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "NOT_SERVING",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
];
/// What plants codes that do not exist, to see them found.
const OWN: &str = "crates/dev/xtask/";

/// Codes with the file and line of their row.
type Codes<'a> = BTreeMap<&'a str, (&'a str, usize)>;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let (codes, mut found) = tables(tree);
    found.extend(undocumented(tree, &codes));
    found.extend(told_differently(tree, &codes));
    let families = families(&codes);
    let is_ghost = |word: &str| {
        let family = word.split('_').next().unwrap_or_default();
        families.contains(family) && !codes.contains_key(word)
    };
    for (path, number, word) in quoted(tree).filter(|(_, _, word)| is_ghost(word)) {
        let text = format!("{word} is in no table of codes: add a row, or use one that exists");
        found.push(Violation::new(path, number, text));
    }
    let known = names(tree);
    for end in [".md", ".proto", ".json"] {
        let texts = tree.texts(end).filter(|(path, _)| end != ".json" || path.starts_with("docs/"));
        for (path, text) in texts.filter(|(path, _)| super::is_ours(path)) {
            for (number, line) in lines(text) {
                let is_unknown = |word: &&str| match end {
                    ".md" => is_ghost(word) || !is_named(&codes, &known, word),
                    ".json" => is_vector(line, word) && !codes.contains_key(word),
                    _ => is_ghost(word),
                };
                for word in words(line).filter(is_unknown) {
                    let text = format!("{word} is no code: write one that exists, or take it out");
                    found.push(Violation::new(path, number, text));
                }
            }
        }
    }
    found
}

/// All codes, and what is wrong with the tables themselves.
fn tables(tree: &Tree) -> (Codes<'_>, Vec<Violation>) {
    let (mut codes, mut found) = (Codes::new(), Vec::new());
    for (path, text) in sources(tree) {
        let rows = rows(text);
        let listed = TABLES.iter().any(|(table, _)| *table == path);
        if !listed && !rows.is_empty() {
            let text = "a table of codes that the codes check does not know: add it to TABLES";
            found.push(Violation::new(path, 0, text));
        }
        for (number, code) in rows {
            if let Some((other, line)) = codes.insert(code, (path, number)) {
                let text = format!("{code} has a row in {other}:{line} too: one meaning, one row");
                found.push(Violation::new(path, number, text));
            }
        }
    }
    for (table, _) in TABLES {
        if !codes.values().any(|(path, _)| *path == table) {
            let text = "no table of codes here: mend TABLES of the codes check";
            found.push(Violation::new(table, 0, text));
        }
    }
    (codes, found)
}

/// Sources of what is shipped.
fn sources(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let shipped = |path: &str| !path.starts_with("crates/dev/") && !path.starts_with("tests/");
    tree.texts(".rs").filter(move |(path, _)| shipped(path) && path.contains("/src/"))
}

/// Rows of tables: within `codes! { … }` or `kinds! { … }`, or a field `code` of an explanation.
fn rows(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut rows = Vec::new();
    for (number, line) in lines(text) {
        match line {
            "codes! {" | "kinds! {" => inside = true,
            "}" => inside = false,
            _ => {}
        }
        let line = line.trim_start();
        let begins = inside && line.starts_with(char::is_alphabetic);
        // A use of a code is an expression of it, a row is the literal itself.
        if begins || (line.starts_with("code: \"") && line.ends_with("\",")) {
            rows.extend(literals(line).next().map(|code| (number, code)));
        }
    }
    rows
}

/// String literals of a line that look like codes.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2).filter(|literal| words(literal).eq([*literal]))
}

/// Words of capitals, digits and underscores, of two parts or more.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| {
        let is_capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let ends = word.starts_with(|c: char| c.is_ascii_uppercase()) && !word.ends_with('_');
        ends && word.contains('_') && word.chars().all(is_capital)
    })
}

/// Codes that the document of their table does not name.
fn undocumented(tree: &Tree, codes: &Codes<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (table, document) in TABLES {
        let texts = tree.texts(".md").filter(|(path, _)| path.starts_with(document));
        let named: BTreeSet<&str> = texts.flat_map(|(_, text)| words(text)).collect();
        let own = codes.iter().filter(|(_, (path, _))| *path == table);
        for (code, (path, number)) in own.filter(|(code, _)| !named.contains(**code)) {
            let text = format!("{code} is not in {document}: document it");
            found.push(Violation::new(path, *number, text));
        }
    }
    found
}

/// Codes whose next step is another one in the document that lists it than in their table: an operator reads either.
fn told_differently(tree: &Tree, codes: &Codes<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (code, (table, number)) in codes {
        let listed = TABLES.iter().find(|(path, _)| path == table);
        let Some((_, document)) = listed.filter(|(_, document)| !document.ends_with('/')) else {
            continue;
        };
        // Up to the row of the next code.
        let source = text_of(tree, table);
        let next = rows(source).into_iter().map(|(next, _)| next).find(|next| next > number);
        let row = source.lines().take(next.map_or(usize::MAX, |next| next - 1)).skip(number - 1);
        let row: String = row.collect();
        let told = |line: &str| {
            let last = line.trim_end_matches(['|', ' ']).rsplit(" | ").next().unwrap_or_default();
            row.contains(&format!("\"{}\"", last.replace('"', "\\\"")))
        };
        let begin = format!("| `{code}` |");
        let lists = lines(text_of(tree, document)).filter(|(_, line)| line.starts_with(&begin));
        let lists: Vec<_> = lists.collect();
        if let Some((line, _)) = lists.first()
            && !lists.iter().any(|(_, line)| told(line))
        {
            let text = format!("the next step of {code} is another one in {table}:{number}");
            found.push(Violation::new(document, *line, text));
        }
    }
    found
}

fn text_of<'a>(tree: &'a Tree, path: &str) -> &'a str {
    tree.files.get(path).and_then(Option::as_deref).unwrap_or_default()
}

/// First words that all codes of a table share, as `CAT` and `V`: what begins so is a code or a mistake.
fn families<'a>(codes: &Codes<'a>) -> BTreeSet<&'a str> {
    let mut of_tables: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (code, (path, _)) in codes {
        let family = code.split('_').next().unwrap_or_default();
        of_tables.entry(path).or_default().insert(family);
    }
    let alone = of_tables.into_values().filter(|families| families.len() == 1);
    alone.flatten().collect()
}

/// Literals of all Rust files that look like codes, with file and line.
fn quoted(tree: &Tree) -> impl Iterator<Item = (&str, usize, &str)> {
    let texts = tree.texts(".rs").filter(|(path, _)| !path.starts_with(OWN));
    texts.flat_map(|(path, text)| {
        lines(text).flat_map(move |(n, line)| literals(line).map(move |word| (path, n, word)))
    })
}

/// Capital words that have a meaning elsewhere: those of shipped sources, and values of enumerations, which documents name without their
/// prefix.
fn names(tree: &Tree) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = FOREIGN.into();
    names.extend(sources(tree).flat_map(|(_, text)| words(text)));
    for word in tree.texts(".proto").flat_map(|(_, text)| words(text)) {
        names.insert(word);
        names.extend(word.match_indices('_').filter_map(|(at, _)| word.get(at + 1..)));
    }
    names
}

fn is_named(codes: &Codes<'_>, names: &BTreeSet<&str>, word: &str) -> bool {
    codes.contains_key(word) || names.contains(word)
}

/// Whether a line of a test vector says that this is the code to expect.
fn is_vector(line: &str, word: &str) -> bool {
    line.trim_start().strip_prefix("\"code\": \"").is_some_and(|rest| rest.starts_with(word))
}

#[cfg(test)]
mod tests;
