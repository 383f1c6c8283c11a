//! Every command that the help and the documents show is one that the program takes.

use std::fs;
use std::path::Path;

use clap::{Command, FromArgMatches as _};

use crate::args::Cli;

/// The calls of a text: lines that begin with the program's name, with those that a backslash continues.
fn calls(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    lines.filter(|line| line.starts_with("ledger-cli ")).map(ToOwned::to_owned).collect()
}

/// The words of a call as a shell splits them, up to a redirection or comment.
fn words(call: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in call.chars() {
        match (character, quote) {
            (mark, Some(open)) if mark == open => quote = None,
            (mark @ ('\'' | '"'), None) => quote = Some(mark),
            (' ', None) => words.push(String::new()),
            (other, _) => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    let end = words.iter().position(|word| word == ">" || word == "#").unwrap_or(words.len());
    words.truncate(end);
    words
}

/// Values that stand for others are put in.
fn filled(call: &str) -> String {
    let hash = "ab".repeat(32);
    let call = call.replace("GENESIS_HASH", &hash).replace("HASH", &hash);
    call.replace("$COMMITMENT", &hash).replace(" COMMITMENT", &format!(" {hash}"))
}

fn check(place: &str, text: &str) -> usize {
    let calls = calls(text);
    for call in &calls {
        let parsed = crate::command().try_get_matches_from(words(&filled(call)));
        let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
        let fine = parsed.as_ref().map_or_else(|error| !error.use_stderr(), |_cli| true);
        assert!(fine, "{place}: {call}\n{}", parsed.unwrap_err());
    }
    calls.len()
}

fn check_help(command: &Command) -> usize {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // A line that a terminal of 80 columns breaks cannot be pasted.
    let shown = command.clone().term_width(80).render_help().to_string();
    for line in help.lines().filter(|line| line.starts_with("  ")) {
        assert!(shown.contains(line), "{}: wrapped: {line}", command.get_name());
    }
    let below: usize = command.get_subcommands().map(check_help).sum();
    check(command.get_name(), &help) + below
}

#[test]
fn examples_of_the_help_are_taken() {
    assert!(check_help(&crate::command()) > 30);
}

#[test]
fn commands_of_the_documents_are_taken() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = 0;
    for name in ["README.md", "docs/CLI.md", "docs/OPERATING.md"] {
        let text = fs::read_to_string(root.join(name)).unwrap();
        let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        found += blocks.map(|block| check(name, block)).sum::<usize>();
    }
    assert!(found > 30);
}
