//! Getting the ledger out.

use std::io::BufWriter;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::{ClientError, chain};
use serde_json::json;

use crate::report::Answer;
use crate::session::{Common, NewFile, refuse_existing, unless_told};

/// What can be exported.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole chain up to the node's head: genesis, blocks, state
    #[command(after_help = "Example:
  ledger-cli export chain -o chain.ledger
  ledger-cli verify chain chain.ledger --trust HASH")]
    Chain(Chain),
}

/// Options of `export chain`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chain {
    /// File to write; it must not exist
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
    /// Leave the state records out: replaying the blocks gives them
    #[arg(long)]
    no_records: bool,
}

pub(crate) async fn run(common: &Common, command: &Command) -> Result<Answer, ClientError> {
    let Command::Chain(args) = command;
    refuse_existing(&args.out)?;
    let mut node = common.connect().await?;
    let height = node.status().await?.height;
    let bar = common.progress(Some(height), "blocks");
    let mut file = BufWriter::new(NewFile::create(&args.out)?);
    let exported = chain::export(&mut node, &mut file, !args.no_records, |progress| {
        bar.set_position(progress.blocks);
    });
    let exported = unless_told(&args.out, exported).await?;
    bar.finish_and_clear();
    let file = file
        .into_inner()
        .map_err(|error| ClientError::io(args.out.display())(error.into_error()))?;
    file.keep_new(0o644)?;
    let id = node.genesis().await?.id();
    let path = args.out.display().to_string();
    let value = json!({
        "file": path, "genesis": id.to_string(), "blocks": exported.blocks,
        "records": exported.records, "bytes": exported.bytes,
    });
    let text = format!(
        "{path}: {} blocks, {} records, {} bytes\nverify it: ledger-cli verify chain {path} --trust HASH, with the genesis hash from somebody you trust\nthe node says that it is {id}",
        exported.blocks, exported.records, exported.bytes
    );
    Ok(Answer::new("exported", value, text))
}
