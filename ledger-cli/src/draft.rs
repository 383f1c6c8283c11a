//! Acts that several must sign, and entries that were kept.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ledger_client::draft::DraftFile;
use ledger_client::{ClientError, Node, keys};
use ledger_event::record::Body;
use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;

use crate::acts::set_change;
use crate::report::Answer;
use crate::session::{Common, read_file, read_text, refuse_existing, write_file, write_new};
use crate::signing::{shown_draft, submit};

/// Drafts.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a draft says and who has signed it. Needs no node; of a change of the validators, a node tells those in force
    Show {
        /// The draft
        file: PathBuf,
        /// Public key of a co-signer, to check its signature, by name or as a .pub file; again for each. Those of the key directory
        /// are used anyway
        #[arg(long, value_name = "KEY")]
        with: Vec<String>,
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
        /// Write the signed draft to this new file instead
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
        /// Keep the signed entry in a new file
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
        Command::Show { file, with } => {
            let (draft, known) = (read(&file)?, common.public_keys(&with)?);
            let before = set_change::before(common, &draft).await;
            Ok(shown_draft(&draft, &known, before.as_ref(), None))
        }
        Command::Sign { file, keys: own, to } => {
            let mut draft = read(&file)?;
            let signed: Result<Vec<_>, _> = own.iter().map(|key| common.read_key(key)).collect();
            let signed = signed?;
            signed.iter().try_for_each(|key| draft.cosign(key))?;
            let mut known = common.public_keys(&[])?;
            known.extend(signed.iter().map(|key| (keys::kid(key), key.verifying_key().to_bytes())));
            // With the own signatures made anew: what others signed has to be what these sign.
            draft.check(|kid| known.get(kid).copied())?;
            let (to, text) = (to.unwrap_or_else(|| file.clone()), draft.to_json());
            let write = if to == file { write_file } else { write_new };
            write(&to, text.as_bytes())?;
            let before = set_change::before(common, &draft).await;
            Ok(shown_draft(&draft, &known, before.as_ref(), Some(&to)))
        }
        Command::Submit { file, key, save } => {
            save.as_deref().map_or(Ok(()), refuse_existing)?;
            let draft = read(&file)?;
            let mut known = common.public_keys(&[])?;
            draft.check(|kid| known.get(kid).copied())?;
            let entry = draft.seal(&common.read_key(&key)?)?;
            let mut node = common.connect().await?;
            for signer in draft.draft.cosigners().filter(|signer| draft.has(&signer.kid)) {
                if !known.contains_key(&signer.kid) {
                    known.extend(enrolled(&mut node, signer.kid).await?);
                }
            }
            draft.check(|kid| known.get(kid).copied())?;
            // Not before: what is not submitted would be in the way of the next attempt.
            if let Some(path) = &save {
                write_new(path, entry.bytes())?;
            }
            submit(common, &mut node, &entry).await
        }
    }
}

/// A key as the ledger has it.
async fn enrolled(node: &mut Node, kid: KeyId) -> Result<Option<(KeyId, [u8; 32])>, ClientError> {
    let record = node.record(&format!("key:{kid}"), 0, 0, false).await?.record;
    let Some(Body::Key(key)) = record.and_then(|record| record.body) else { return Ok(None) };
    let key = key.public_key.as_ref().try_into().ok();
    Ok(key.filter(|key| KeyId::of(key) == kid).map(|key| (kid, key)))
}

pub(crate) async fn submit_entry(
    common: &Common,
    args: &SubmitEntry,
) -> Result<Answer, ClientError> {
    let entry = Entry::decode(read_file(&args.file)?);
    let entry = entry.map_err(|error| ClientError::from(error).at(args.file.display()))?;
    submit(common, &mut common.connect().await?, &entry).await
}

fn read(path: &Path) -> Result<DraftFile, ClientError> {
    DraftFile::from_json(&read_text(path)?).map_err(|error| error.at(path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;
    use crate::signing::tests::unsigned;

    /// An attempt that gets nowhere leaves no file that would refuse the next one.
    #[tokio::test]
    async fn an_entry_that_is_not_submitted_is_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let key = keys::generate().unwrap();
        keys::write(&at("key.pem"), &key, None).unwrap();
        let draft = unsigned().draft("acme", keys::kid(&key), Vec::new()).unwrap();
        fs::write(at("act.draft"), DraftFile::new(draft).to_json()).unwrap();
        let files = ["act.draft", "key.pem", "act.cose"].map(|name| at(name).display().to_string());
        let [draft, key, save] = &files;
        let line = ["ledger-cli", "--node", "http://127.0.0.1:1", "draft", "submit", draft];
        let cli = Cli::parse_from(line.into_iter().chain(["--key", key, "--save", save]));
        let crate::args::Command::Draft(command) = cli.command else { panic!() };
        assert_eq!(run(&cli.common, command).await.unwrap_err().code, "CLIENT_CONNECT");
        assert!(!at("act.cose").exists());
    }
}
