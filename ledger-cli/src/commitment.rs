//! Commitments to values that stay off the ledger, such as prices.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ledger_client::{ClientError, keys};
use ledger_format::commitment::Opening;
use ledger_format::digest::{Hash, hash_from_hex, hex};
use serde_json::{Value, json};

use crate::report::Answer;
use crate::session::{read_text, write_secret};
use crate::values::CommitmentArg;

/// The fields of acts that are commitments.
pub(crate) const LISTING_PRICE: &str = "listing_applied.price";
pub(crate) const CONTRACT_PRICE: &str = "contract_signed.price";
pub(crate) const OFFICER: &str = "key_grant.officer";

/// Commitments.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Commit to a value with a fresh salt. Keep the file: without it the commitment can never be opened
    #[command(after_help = "Example:
  ledger-cli commitment new contract_signed.price '1200000.00 CNY' \\
      -o price.opening")]
    New {
        /// The field that it is for
        #[arg(value_parser = [LISTING_PRICE, CONTRACT_PRICE, OFFICER])]
        field: String,
        /// The value
        value: String,
        /// File that opens the commitment, readable by you alone
        #[arg(short = 'o', long = "out", value_name = "FILE")]
        out: PathBuf,
    },
    /// Check that a file opens a commitment that the ledger has
    Check {
        /// File that opens the commitment
        file: PathBuf,
        /// The commitment, in hex
        #[arg(value_parser = |text: &str| hash_from_hex("commitment", text).map_err(|error| error.to_string()))]
        commitment: Hash,
    },
}

/// The file of an opening.
pub(crate) struct OpeningFile {
    path: PathBuf,
    opening: Opening,
}

impl OpeningFile {
    /// The commitment, if it is one for the field.
    pub(crate) fn for_field(&self, field: &str) -> Result<Hash, ClientError> {
        if self.opening.path == field {
            return Ok(self.opening.commitment());
        }
        let (path, found) = (self.path.display(), &self.opening.path);
        Err(ClientError::document(format!(
            "{path}: expected an opening of {field}, found one of {found}"
        )))
    }
}

/// Reads the file of an opening.
pub(crate) fn read(path: &Path) -> Result<OpeningFile, ClientError> {
    let text = read_text(path)?;
    let file: Value = serde_json::from_str(&text)
        .map_err(|error| ClientError::document(error).at(path.display()))?;
    let member = |name: &str| {
        let missing = || ClientError::document(format!("{}: {name} is missing", path.display()));
        file.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(missing)
    };
    let salt = hash_from_hex("salt", &member("salt")?)?;
    let opening = Opening { salt, path: member("field")?, value: member("value")? };
    Ok(OpeningFile { path: path.to_owned(), opening })
}

/// The commitment of an optional option; empty bytes without it.
pub(crate) fn optional(
    argument: Option<&CommitmentArg>,
    field: &str,
) -> Result<bytes::Bytes, ClientError> {
    let commitment = argument.map(|argument| argument.commitment(field)).transpose()?;
    Ok(commitment.map(|hash| hash.to_vec().into()).unwrap_or_default())
}

pub(crate) fn run(command: &Command) -> Result<Answer, ClientError> {
    match command {
        Command::New { field, value, out } => {
            let salt = keys::salt()?;
            let opening = Opening { salt, path: field.clone(), value: value.clone() };
            let file = json!({ "field": field, "value": value, "salt": hex(&salt) });
            write_secret(out, format!("{file:#}\n").as_bytes())?;
            let commitment = hex(&opening.commitment());
            let value = json!({ "commitment": commitment, "file": out.display().to_string() });
            Ok(Answer::new(
                "commitment",
                value,
                format!("{commitment}\nopened by {}", out.display()),
            ))
        }
        Command::Check { file, commitment } => {
            let opening = read(file)?.opening;
            let opens = opening.commitment() == *commitment;
            let verdict =
                if opens { "opens the commitment" } else { "does not open the commitment" };
            let value = json!({ "opens": opens, "field": opening.path, "value": opening.value });
            let text =
                format!("{}: {} = {} {verdict}", file.display(), opening.path, opening.value);
            Ok(Answer::new("commitment-check", value, text).exiting(if opens { 0 } else { 10 }))
        }
    }
}
