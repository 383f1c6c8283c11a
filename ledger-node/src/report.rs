//! What commands print: data on standard output, everything else on standard error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place of this program that prints"
)]

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

use ledger_client::shown::plain;
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
        let joined = |word: &OsString| {
            ["--output=json", "-o=json", "-ojson"].iter().any(|form| word == form)
        };
        let is_json = arguments.windows(2).any(json) || arguments.iter().any(joined);
        if is_json { Self::Json } else { Self::Text }
    }
}

/// Prints a command's result. A closed pipe is no error: whoever read had enough.
///
/// # Errors
/// `NODE_RUNTIME` where it cannot be written, as to a full disk: what the command did is done, and nobody was told of it.
pub(crate) fn result(output: Output, text: &str, json: &Value) -> Result<(), Failure> {
    let line = match output {
        Output::Text => plain(text).into_owned(),
        Output::Json => json.to_string(),
    };
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::runtime(format!(
            "standard output: {error}; the command was carried out, and its answer is lost"
        ))),
        _ => Ok(()),
    }
}

/// Says that a node runs, which it does whether or not somebody can read it.
pub(crate) fn ready(output: Output, text: &str, json: &Value) {
    if let Err(unwritten) = result(output, text, json) {
        note(output, &unwritten.to_string());
    }
}

/// Prints a note for people; not in JSON mode.
pub(crate) fn note(output: Output, text: &str) {
    if output == Output::Text {
        let _closed = writeln!(io::stderr(), "{text}");
    }
}

/// Prints how far a long piece of work has come, on a terminal only.
pub(crate) fn progress(text: &str) {
    if io::stderr().is_terminal() {
        let _closed = write!(io::stderr(), "\r\x1b[2K{text}");
        let _closed = io::stderr().flush();
    }
}

/// Ends a line of progress.
pub(crate) fn progress_done() {
    if io::stderr().is_terminal() {
        let _closed = writeln!(io::stderr());
    }
}

/// Prints why a command failed. Where nobody can read it, the exit code still says it.
pub(crate) fn failure(output: Output, failure: &Failure) {
    let Failure { code, message, help, exit } = failure;
    let text = match output {
        Output::Text if help.is_empty() => plain(&format!("error[{code}]: {message}")).into_owned(),
        Output::Text => plain(&format!("error[{code}]: {message}\n  help: {help}")).into_owned(),
        Output::Json => {
            json!({ "error": { "code": code, "message": message, "help": help, "exit": exit } })
                .to_string()
        }
    };
    let _unread = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_command_line_has_the_form_that_it_asks_for_however_it_is_written() {
        for (line, expected) in [
            ("bogus -o json", Output::Json),
            ("bogus -ojson", Output::Json),
            ("bogus -o=json", Output::Json),
            ("--output=json bogus", Output::Json),
            ("bogus json", Output::Text),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(Output::guess(&words), expected, "{line}");
        }
    }
}
