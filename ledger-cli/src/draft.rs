//! Acts that several must sign, and entries that were kept.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_client::draft::DraftFile;
use ledger_format::entry::Entry;

use crate::report::Answer;
use crate::session::{Common, write_file};
use crate::signing::{shown_draft, submit};

/// Drafts.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a draft says and who has signed it. Needs no node
    Show {
        /// The draft
        file: PathBuf,
    },
    /// Sign a draft that somebody else will submit. Needs no node
    #[command(after_help = "Example:
  ledger-cli draft sign contract.draft --key officer-1")]
    Sign {
        /// The draft; it is changed in place
        file: PathBuf,
        /// Your key, by name or path; again for each further key
        #[arg(id = "key", short, long, value_name = "KEY", required = true)]
        keys: Vec<String>,
        /// Write the signed draft here instead
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Seal a draft that all have signed, and submit it
    Submit {
        /// The draft
        file: PathBuf,
        /// Key of the party that issues the act
        #[arg(short, long, value_name = "KEY")]
        key: String,
        /// Keep the signed entry in a file
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
    },
}

/// An entry that was kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct SubmitEntry {
    /// File with the entry's bytes
    file: PathBuf,
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    match command {
        Command::Show { file } => Ok(shown_draft(&read(&file)?, None)),
        Command::Sign { file, keys, to } => {
            let mut draft = read(&file)?;
            for key in &keys {
                draft.cosign(&common.read_key(key)?)?;
            }
            let to = to.unwrap_or(file);
            write_file(&to, draft.to_json().as_bytes())?;
            Ok(shown_draft(&draft, Some(&to)))
        }
        Command::Submit { file, key, save } => {
            let entry = read(&file)?.seal(&common.read_key(&key)?)?;
            if let Some(path) = &save {
                write_file(path, entry.bytes())?;
            }
            submit(common, &mut common.connect().await?, &entry).await
        }
    }
}

pub(crate) async fn submit_entry(
    common: &Common,
    args: &SubmitEntry,
) -> Result<Answer, ClientError> {
    let bytes = fs::read(&args.file).map_err(ClientError::io(args.file.display()))?;
    let entry = Entry::decode(bytes.into())?;
    submit(common, &mut common.connect().await?, &entry).await
}

fn read(path: &Path) -> Result<DraftFile, ClientError> {
    DraftFile::from_json(&fs::read_to_string(path).map_err(ClientError::io(path.display()))?)
}
