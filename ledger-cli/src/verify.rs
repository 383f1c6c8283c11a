//! Checking evidence. Offline, and never "proven" without a stated trust.

mod chain;
mod checkpoint;
mod delivered;
mod evidence;

pub(crate) use chain::read as read_chain;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use ledger_client::{ClientError, json};
use ledger_event::RecordProof;
use ledger_event::proof_file::Statement;
use ledger_format::digest::{EntryId, LedgerId};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::genesis::GenesisDocument;
use ledger_format::genesis_file::{GENESIS_FILE_MARK, GenesisFile};
use ledger_format::header::Header;
use ledger_format::limits::MAX_ENTRY_BYTES;
use ledger_format::malformed::{Kind, Malformed};
use ledger_format::proof_file;
use ledger_format::receipt::Receipt;
use ledger_merkle::log::root_from_inclusion;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::proof::verify_proof_file;
use ledger_verify::verdict::{Aspect, Report, Verdict};
use serde_json::{Value, json};

use crate::report::Answer;
use crate::session::{Common, read_file};
use crate::text;

/// What can be checked.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// An exported chain, by executing all of it again. Needs no node
    #[command(after_help = "Example:
  ledger-cli verify chain chain.ledger --trust HASH")]
    Chain(chain::Chain),
    /// An entry, by a proof file or within an exported chain. Needs no node
    #[command(after_help = "Examples:
  ledger-cli verify entry entry.cose --proof entry.proof --trust HASH
  ledger-cli verify entry entry.cose --chain chain.ledger --trust HASH")]
    Entry(EntryArgs),
    /// The receipt of an entry: a proof file of `prove entry`, or a bare RFC 9942 receipt. Needs no node
    #[command(after_help = "Example:
  ledger-cli verify receipt entry.proof --entry entry.cose --trust HASH")]
    Receipt(ReceiptArgs),
    /// A proof file about a record, or about its absence. Needs no node
    #[command(after_help = "Example:
  ledger-cli verify record certificate.proof --trust HASH")]
    Record {
        /// The proof file of `prove record`
        file: PathBuf,
    },
    /// Whether a file is the one that was delivered
    #[command(after_help = "Examples:
  ledger-cli verify file received.csv --delivery acme/weather-1 --trust HASH
  ledger-cli verify file received.csv --delivery acme/weather-1 \\
      --chain chain.ledger --trust HASH")]
    File(delivered::Delivered),
    /// What proves that a validator lied: names its key and the organisation that answers for it. Needs no node
    #[command(after_help = "Example:
  ledger-cli verify evidence lie.evidence --trust HASH")]
    Evidence(evidence::EvidenceArgs),
    /// Who signed a checkpoint, and whether a certified block ends with its tree. Needs no node
    #[command(after_help = "Examples:
  ledger-cli verify checkpoint head.note --genesis gba.genesis --trust HASH
  ledger-cli verify checkpoint head.note --chain chain.ledger --trust HASH")]
    Checkpoint(checkpoint::CheckpointArgs),
}

/// Options of `verify entry`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EntryArgs {
    /// The entry's bytes, as `show --save` or `prove entry --entry` write them
    file: PathBuf,
    /// Proof file of the entry
    #[arg(long, value_name = "FILE", conflicts_with = "chain")]
    proof: Option<PathBuf>,
    /// Exported chain that should hold the entry
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
}

/// Options of `verify receipt`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReceiptArgs {
    /// Proof file of `prove entry`, or the bare receipt of `prove receipt`
    file: PathBuf,
    /// The entry's bytes
    #[arg(long, value_name = "FILE")]
    entry: PathBuf,
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    match command {
        Command::Chain(args) => chain::run(common, &args),
        Command::Entry(args) => entry(common, &args),
        Command::Receipt(args) => receipt(common, &args),
        Command::Record { file } => record(common, &file),
        Command::File(args) => delivered::run(common, &args).await,
        Command::Evidence(args) => evidence::run(common, &args),
        Command::Checkpoint(args) => checkpoint::run(common, &args),
    }
}

/// What a proof file is expected to prove.
enum Claim {
    /// That an entry of these bytes is in the log.
    Entry(Bytes),
    /// What a record is.
    Record,
}

fn entry(common: &Common, args: &EntryArgs) -> Result<Answer, ClientError> {
    let bytes = read_file(&args.file)?;
    let (id, trust) = (id_of(&bytes), common.trust.as_ref());
    let report = match (Entry::decode(bytes.clone()), &args.proof, &args.chain) {
        (_, Some(path), _) => proof(&read_file(path)?, &Claim::Entry(bytes), trust),
        (Err(malformed), None, _) => Report::bare(malformed),
        (Ok(entry), None, Some(path)) => chain::verify_entry(common, path, &entry)?,
        (Ok(entry), None, None) => form_only(&entry),
    };
    Ok(answer(&args.file, &report, json!({ "entry": id })))
}

/// The id of an entry; none of bytes that are too many for one, of which there may be more.
fn id_of(entry: &Bytes) -> Option<String> {
    (entry.len() <= MAX_ENTRY_BYTES).then(|| EntryId(leaf_hash(entry)).to_string())
}

/// What an entry alone tells: nothing of its keys, nor of its place.
fn form_only(entry: &Entry) -> Report {
    let reason = "whose keys these are, and that the ledger has the entry, only a proof or a chain shows: --proof or --chain";
    let mut report = Report::bare(Verdict::NotDetermined(reason.into()));
    report.checked(Aspect::Integrity, format!("canonical form; its id is {}", entry.id()));
    let text = format!("{} signature(s) of keys that are not at hand", entry.signatures().count());
    report.unchecked(Aspect::Identity, text);
    report
}

fn receipt(common: &Common, args: &ReceiptArgs) -> Result<Answer, ClientError> {
    let (file, entry) = (read_file(&args.file)?, read_file(&args.entry)?);
    let id = id_of(&entry);
    let report = receipt_of(&file, entry, common.trust.as_ref());
    Ok(answer(&args.file, &report, json!({ "entry": id })))
}

/// Whether a receipt is one of an entry. A file that is no entry at all is the wrong one, and contradicts nothing.
fn receipt_of(file: &Bytes, entry: Bytes, trust: Option<&LedgerId>) -> Report {
    if proof_file::is_proof_file(file) {
        return proof(file, &Claim::Entry(entry), trust);
    }
    if let Err(malformed) = Entry::decode(entry.clone()) {
        return Report::bare(malformed);
    }
    bare_receipt(file, &entry, trust).unwrap_or_else(Report::bare)
}

/// A proof about a record, with what the record says.
fn record(common: &Common, path: &Path) -> Result<Answer, ClientError> {
    let file = read_file(path)?;
    let report = proof(&file, &Claim::Record, common.trust.as_ref());
    let (more, content) = match stated(&file, &report)? {
        Some((stated, height)) => record_content(&stated, height)?,
        None => (json!({}), None),
    };
    let mut answer = answer(path, &report, more);
    if let Some(content) = content {
        answer.text = format!("{}\n{content}", answer.text);
    }
    Ok(answer)
}

/// What a proof file says of a record, and of which height; none if that was not checked, or does not hold.
fn stated(file: &Bytes, report: &Report) -> Result<Option<(RecordProof, u64)>, ClientError> {
    let is_checked = report.lines.iter().any(|line| line.checked);
    if !is_checked || !matches!(report.verdict, Verdict::Proven | Verdict::NotDetermined(_)) {
        return Ok(None);
    }
    let (anchor, Statement::Record(proof)) = proof_file::decode(file)? else { return Ok(None) };
    Ok(Some((proof, Header::decode(anchor.header)?.height)))
}

/// A record for programs and, where there is one, for people. Null: nothing of that id exists.
fn record_content(
    proof: &RecordProof,
    height: u64,
) -> Result<(Value, Option<String>), ClientError> {
    let mut more = json!({ "id": proof.id, "height": height, "record": null });
    if proof.record.is_empty() {
        return Ok((more, None));
    }
    let record = json::to_json("Record", &proof.record)?;
    let shown = text::render(&json!({ "the record says": record.clone() }));
    more["record"] = record;
    Ok((more, Some(shown)))
}

/// A receipt alone names a key and a root that nothing at hand vouches for.
fn bare_receipt(file: &[u8], entry: &[u8], trust: Option<&LedgerId>) -> Result<Report, Verdict> {
    let receipt = Receipt::decode(file)?;
    if let Some(trust) = trust.filter(|trust| **trust != receipt.ledger) {
        let reason =
            format!("the receipt is of ledger {}, trust was stated in {trust}", receipt.ledger);
        return Err(Verdict::TrustNotMet(reason));
    }
    let leaf = leaf_hash(entry);
    let place =
        Place { entry: Some(EntryId(leaf)), leaf: Some(receipt.leaf_index), ..Place::default() };
    let root = root_from_inclusion(&leaf, receipt.leaf_index, receipt.tree_size, &receipt.path);
    root.map_err(|error| Refuted::new(Code::Inclusion, place, error.to_string()))?;
    let reason = "a bare receipt does not show whose key signed it; `ledger-cli prove entry` writes a proof that does";
    let mut report = Report::bare(Verdict::NotDetermined(reason.into()));
    let text =
        format!("its path has the shape of leaf {} of {}", receipt.leaf_index, receipt.tree_size);
    report.checked(Aspect::Integrity, text);
    report.unchecked(Aspect::Identity, format!("the signature of receipt key {}", receipt.kid));
    Ok(report)
}

/// Verifies a proof file that must be about the claim.
fn proof(file: &Bytes, claim: &Claim, trust: Option<&LedgerId>) -> Report {
    let (anchor, statement) = match proof_file::decode(file) {
        Ok(parts) => parts,
        Err(malformed) => return Report::bare(malformed),
    };
    let entry = match (claim, &statement) {
        (Claim::Entry(bytes), Statement::Entry(_)) => Some(bytes),
        (Claim::Record, Statement::Record(_)) => None,
        (Claim::Entry(_), Statement::Record(_)) => {
            return other_statement("a record: `ledger-cli verify record`");
        }
        (Claim::Record, Statement::Entry(_)) => {
            return other_statement("an entry: `ledger-cli verify receipt`");
        }
    };
    if let Some(trust) = trust {
        return verify_proof_file(file, entry, trust);
    }
    match GenesisDocument::decode(anchor.genesis) {
        Ok(genesis) => {
            let ledger = genesis.id();
            verify_proof_file(file, entry, &ledger).without_trust(&ledger)
        }
        Err(malformed) => Report::bare(malformed),
    }
}

fn other_statement(what: &str) -> Report {
    Report::bare(Malformed::new(Kind::Value, "proof file", format!("it is about {what}")))
}

/// A genesis document, by itself or in the genesis file that a node has.
fn genesis_of(bytes: Bytes) -> Result<GenesisDocument, Malformed> {
    if bytes.starts_with(GENESIS_FILE_MARK) {
        return GenesisFile::decode(bytes).map(|file| file.document);
    }
    GenesisDocument::decode(bytes)
}

/// A report as the answer of a command, with what else is known.
pub(crate) fn answer(path: &Path, report: &Report, more: Value) -> Answer {
    let mut value = text::report_json(report);
    let file = path.display().to_string();
    let heading = format!("{file}: ");
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.insert("file".to_owned(), json!(file));
        value.extend(more);
    }
    let text = heading + &text::report_text(report);
    Answer::new("verdict", value, text).exiting(report.verdict.exit_code())
}
