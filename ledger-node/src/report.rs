//! What commands print: data on standard output, everything else on standard error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place of this program that prints"
)]

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::failure::Failure;

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

impl Output {
    /// What a command line asks for that could not be parsed, so that scripts get errors in their form.
    pub(crate) fn guess(arguments: &[OsString]) -> Self {
        let json = |pair: &[OsString]| matches!(pair, [option, value] if (option == "-o" || option == "--output") && value == "json");
        if arguments.windows(2).any(json) { Self::Json } else { Self::Text }
    }
}

/// Prints a command's result. A closed pipe is no error: whoever read had enough.
pub(crate) fn result(output: Output, text: &str, json: &Value) {
    let line = match output {
        Output::Text => text.to_owned(),
        Output::Json => json.to_string(),
    };
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// Prints a note for people; not in JSON mode.
pub(crate) fn note(output: Output, text: &str) {
    if output == Output::Text {
        let _closed = writeln!(std::io::stderr(), "{text}");
    }
}

/// Prints how far a long piece of work has come, on a terminal only.
pub(crate) fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        let _closed = write!(std::io::stderr(), "\r\x1b[2K{text}");
        let _closed = std::io::stderr().flush();
    }
}

/// Ends a line of progress.
pub(crate) fn progress_done() {
    if std::io::stderr().is_terminal() {
        let _closed = writeln!(std::io::stderr());
    }
}

/// Prints why a command failed.
pub(crate) fn failure(output: Output, failure: &Failure) {
    let Failure { code, message, help, exit } = failure;
    match output {
        Output::Text => {
            eprintln!("error[{code}]: {message}");
            if !help.is_empty() {
                eprintln!("  help: {help}");
            }
        }
        Output::Json => {
            let error = json!({ "error": { "code": code, "message": message, "help": help, "exit": exit } });
            eprintln!("{error}");
        }
    }
}
