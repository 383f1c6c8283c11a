//! What commands print: data on standard output, everything else on standard error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place of this program that prints"
)]

use std::io::{self, Write as _};

use ledger_client::ClientError;
use ledger_client::shown::plain;
use serde_json::{Value, json};

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line: an item of a list, or the whole answer.
    Jsonl,
}

/// A command's result.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The answer as JSON; an object, whose form `schema` names. Null: it was printed piece by piece.
    pub(crate) value: Value,
    /// Name of the member that holds the list, for answers that are lists.
    pub(crate) rows: Option<&'static str>,
    /// The answer for people.
    pub(crate) text: String,
    /// Exit code.
    pub(crate) exit: u8,
}

impl Answer {
    /// An answer of one object.
    pub(crate) fn new(schema: &str, mut value: Value, text: impl Into<String>) -> Self {
        if let Value::Object(object) = &mut value {
            object.insert("schema".to_owned(), json!(format!("ledger-cli/{schema}/v1")));
        }
        Self { value, rows: None, text: text.into(), exit: 0 }
    }

    /// An answer whose member `rows` is a list.
    pub(crate) fn list(
        schema: &str,
        rows: &'static str,
        value: Value,
        text: impl Into<String>,
    ) -> Self {
        Self { rows: Some(rows), ..Self::new(schema, value, text) }
    }

    /// The answer of a command that has printed it already.
    pub(crate) const fn printed() -> Self {
        Self { value: Value::Null, rows: None, text: String::new(), exit: 0 }
    }

    /// The same answer with an exit code of its own.
    pub(crate) fn exiting(self, exit: u8) -> Self {
        Self { exit, ..self }
    }
}

/// Prints a result. A closed pipe is no error: whoever read had enough.
///
/// # Errors
/// `CLIENT_FILE` where it cannot be written, as to a full disk: whoever reads half of it must not take it for the whole.
pub(crate) fn answer(format: Format, answer: &Answer) -> Result<(), ClientError> {
    match format {
        Format::Table => line(&plain(&answer.text)),
        Format::Json | Format::Jsonl if answer.value.is_null() => Ok(()),
        Format::Json => line(&format!("{:#}", answer.value)),
        Format::Jsonl => match answer.rows.and_then(|rows| answer.value.get(rows)?.as_array()) {
            Some(rows) => rows.iter().try_for_each(|row| line(&row.to_string())),
            None => line(&answer.value.to_string()),
        },
    }
}

/// Prints one line of data. Whether somebody still reads is returned.
///
/// # Errors
/// `CLIENT_FILE`.
pub(crate) fn row(text: &str) -> Result<bool, ClientError> {
    is_read(writeln!(io::stdout(), "{text}"))
}

fn line(text: &str) -> Result<(), ClientError> {
    if !text.is_empty() {
        row(text.strip_suffix('\n').unwrap_or(text))?;
    }
    Ok(())
}

/// Prints bytes as they are.
///
/// # Errors
/// `CLIENT_FILE`.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), ClientError> {
    let mut out = io::stdout();
    is_read(out.write_all(bytes).and_then(|()| out.flush())).map(|_is_read| ())
}

fn is_read(written: io::Result<()>) -> Result<bool, ClientError> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let help = "The command was carried out, and its answer is not whole. Make room, and ask again: `ledger-cli show` or `history` tells what an act has become.";
            let failed = ClientError::io("standard output")(error);
            Err(ClientError { help: help.to_owned(), ..failed })
        }
    }
}

/// Prints a note for people on standard error.
pub(crate) fn note(text: &str) {
    let _closed = writeln!(io::stderr(), "{text}");
}

/// Prints why a command failed.
pub(crate) fn failure(format: Format, error: &ClientError) {
    let ClientError { failure, code, message, help } = error;
    if format == Format::Table {
        note(&plain(&format!("error[{code}]: {message}")));
        if !help.is_empty() {
            note(&plain(&format!("  help: {help}")));
        }
        return;
    }
    let exit = failure.exit_code();
    let error = json!({ "schema": "ledger-cli/error/v1", "code": code, "message": message, "help": help, "exit": exit });
    note(&error.to_string());
}
