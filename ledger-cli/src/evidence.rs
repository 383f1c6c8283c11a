//! What nodes hold against validators.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_format::digest::{hash_from_hex, hex};
use serde_json::{Value, json};

use crate::report::Answer;
use crate::session::{Common, write_file};
use crate::text;

/// What can be asked.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// List what the node can prove: which validator of whom did what, and when
    #[command(after_help = "Example:
  ledger-cli evidence list")]
    List,
    /// Write one evidence to a file that verifies offline
    #[command(after_help = "Example:
  ledger-cli evidence get ID -o lie.evidence
  ledger-cli verify evidence lie.evidence --trust HASH")]
    Get(Get),
}

/// Options of `evidence get`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Get {
    /// Id of the evidence
    id: String,
    /// File to write
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
}

pub(crate) async fn run(common: &Common, command: &Command) -> Result<Answer, ClientError> {
    let mut node = common.connect().await?;
    match command {
        Command::List => {
            let evidence = node.list_evidence().await?;
            let rows = evidence.iter().map(|summary| {
                let accused = summary.accused.iter().map(|accused| {
                    json!({
                        "party": accused.party, "validator": accused.name,
                        "key": hex(&accused.key_id),
                    })
                });
                json!({
                    "id": hex(&summary.id), "offence": summary.offence, "height": summary.height,
                    "round": summary.round, "accused": accused.collect::<Vec<Value>>(),
                })
            });
            let value = json!({ "evidence": rows.collect::<Vec<Value>>() });
            let text = if evidence.is_empty() {
                "nothing is known against any validator".to_owned()
            } else {
                text::render(&value)
            };
            Ok(Answer::new("evidence", value, text))
        }
        Command::Get(args) => {
            let file = node.evidence(&hash_from_hex("evidence id", &args.id)?).await?;
            write_file(&args.out, &file)?;
            let path = args.out.display().to_string();
            let value = json!({ "id": args.id, "file": path, "bytes": file.len() });
            let text = format!(
                "{path}: {} bytes\nverify it: ledger-cli verify evidence {path} --trust HASH",
                file.len()
            );
            Ok(Answer::new("evidence", value, text))
        }
    }
}
