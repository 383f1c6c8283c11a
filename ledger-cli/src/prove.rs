//! Proofs that leave the ledger.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_format::digest::EntryId;
use serde_json::json;

use crate::report::Answer;
use crate::session::{Common, refuse_existing, write_new};

/// What can be proven.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// That an entry is in the log: receipt, header, certificate, genesis
    #[command(after_help = "Example:
  ledger-cli prove entry ID -o entry.proof --entry entry.cose
  ledger-cli verify receipt entry.proof --entry entry.cose --trust HASH")]
    Entry(ProveEntry),
    /// What a record is, or that nothing of that id exists
    #[command(after_help = "Example:
  ledger-cli prove record certificate:SJ4412026080001 -o certificate.proof
  ledger-cli verify record certificate.proof --trust HASH")]
    Record(Record),
    /// The bare RFC 9942 receipt of an entry, for tools that know the ledger's receipt keys
    #[command(after_help = "Example:
  ledger-cli prove receipt ID -o entry.receipt")]
    Receipt(Receipt),
}

/// Options of `prove entry`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProveEntry {
    /// Id of the entry
    id: String,
    /// File to write; it must not exist
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
    /// Write the entry itself as well, to a new file
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
}

/// Options of `prove record`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Record {
    /// Record id, kind:name
    id: String,
    /// File to write; it must not exist
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
}

/// Options of `prove receipt`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Receipt {
    /// Id of the entry
    id: String,
    /// File to write; it must not exist
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
}

pub(crate) async fn run(common: &Common, command: &Command) -> Result<Answer, ClientError> {
    let (out, entry) = match command {
        Command::Entry(args) => (&args.out, args.entry.as_ref()),
        Command::Record(args) => (&args.out, None),
        Command::Receipt(args) => (&args.out, None),
    };
    for path in entry.into_iter().chain([out]) {
        refuse_existing(path)?;
    }
    let mut node = common.connect().await?;
    let (id, bytes) = match command {
        Command::Entry(args) => {
            let id = EntryId::from_hex(&args.id)?;
            let proof = node.prove_entry(&id).await?;
            if let Some(path) = entry {
                write_new(path, &node.entry(&id).await?.entry)?;
            }
            (&args.id, proof)
        }
        Command::Record(args) => (&args.id, node.prove_record(&args.id).await?),
        Command::Receipt(args) => (&args.id, node.receipt(&EntryId::from_hex(&args.id)?).await?),
    };
    write_new(out, &bytes)?;
    let path = out.display().to_string();
    let value = json!({ "id": id, "file": path, "bytes": bytes.len() });
    Ok(Answer::new("proof", value, format!("{path}: {} bytes, about {id}", bytes.len())))
}
