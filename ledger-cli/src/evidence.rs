//! What nodes hold against validators.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_event::MisconductRecorded;
use ledger_event::event::Act;
use ledger_format::digest::{hash_from_hex, hex};
use ledger_format::evidence::{Evidence, EvidenceFile};
use ledger_format::id::SubjectKind;
use ledger_proto::v1::EvidenceSummary;
use ledger_replay::SetHistory;
use ledger_verify::verdict::Verdict;
use serde_json::{Value, json};

use crate::acts::act;
use crate::report::Answer;
use crate::session::{Common, read_file, refuse_existing, write_new};
use crate::signing::SignArgs;
use crate::text;
use crate::verify::{answer, read_chain};

/// Exit code when two chains part: one of them is refuted, whichever it is.
const FORK: u8 = 10;

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
    /// Compare two exported chains of one ledger: where they part, whoever certified both. Needs no node
    #[command(after_help = "Example:
  ledger-cli evidence compare mine.ledger theirs.ledger -o fork.evidence \\
      --trust HASH
Exit code: 0 for one history, 10 when they part")]
    Compare(Compare),
    /// Record evidence on the ledger, for ever. Needs protocol version 2
    #[command(after_help = "Example:
  ledger-cli evidence record lie.evidence --key szdex-org")]
    Record {
        /// An evidence file
        file: PathBuf,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

/// Options of `evidence get`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Get {
    /// Id of the evidence
    id: String,
    /// File to write; it must not exist
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
}

/// Options of `evidence compare`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Compare {
    /// An exported chain
    one: PathBuf,
    /// Another one
    other: PathBuf,
    /// File to write when they part; it must not exist
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
}

pub(crate) async fn run(common: &Common, command: &Command) -> Result<Answer, ClientError> {
    match command {
        Command::Compare(args) => compare(common, args),
        Command::Record { file, sign } => record(common, file, sign).await,
        Command::List => Ok(listed(&common.connect().await?.list_evidence().await?)),
        Command::Get(args) => {
            refuse_existing(&args.out)?;
            let mut node = common.connect().await?;
            let file = node.evidence(&hash_from_hex("evidence id", &args.id)?).await?;
            write_new(&args.out, &file)?;
            let path = args.out.display().to_string();
            let value = json!({ "id": args.id, "file": path, "bytes": file.len() });
            let text = format!(
                "{path}: {} bytes\nverify it: ledger-cli verify evidence {path} --trust HASH",
                file.len()
            );
            Ok(Answer::new("evidence-file", value, text))
        }
    }
}

fn listed(evidence: &[EvidenceSummary]) -> Answer {
    let rows = evidence.iter().map(|summary| {
        let accused = summary.accused.iter().map(|accused| {
            json!({
                "party": accused.party, "validator": accused.name, "key": hex(&accused.key_id),
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
    Answer::list("evidence", "evidence", value, text)
}

/// What the file frames goes on the ledger, which knows its own genesis.
async fn record(common: &Common, file: &Path, sign: &SignArgs) -> Result<Answer, ClientError> {
    let EvidenceFile { evidence, .. } = EvidenceFile::decode(read_file(file)?)?;
    let event = MisconductRecorded { evidence: evidence.encode().into() };
    let (kind, id) = (SubjectKind::Misconduct, evidence.id().to_string());
    act(common, sign, kind, &id, Act::MisconductRecorded(event)).await
}

/// Verifies both chains, and writes the certificates of the first height at which they have different blocks.
fn compare(common: &Common, args: &Compare) -> Result<Answer, ClientError> {
    refuse_existing(&args.out)?;
    let mut chains = Vec::new();
    for path in [&args.one, &args.other] {
        let (mut certificates, mut sets) = (Vec::new(), SetHistory::default());
        let read = read_chain(common, path, |block| {
            certificates.push(block.certificate.clone());
            sets.push(block);
        })?;
        let Some(replay) = read
            .replay
            .filter(|_| matches!(read.report.verdict, Verdict::Proven | Verdict::NotDetermined(_)))
        else {
            return Ok(answer(path, &read.report, json!({})));
        };
        chains.push((replay.ledger().genesis().clone(), certificates, sets));
    }
    let [(genesis, one, sets), (other_genesis, other, _)] = chains.as_slice() else {
        return Err(ClientError::usage("two chains are compared"));
    };
    if genesis.id() != other_genesis.id() {
        let (one, other) = (genesis.id(), other_genesis.id());
        return Err(ClientError::usage(format!("the chains are of ledgers {one} and {other}")));
    }
    let pairs = one.iter().zip(other);
    let Some((first, second)) = pairs.into_iter().find(|(one, other)| one.block != other.block)
    else {
        let shorter = one.len().min(other.len());
        let text = format!("one history: the same {shorter} blocks");
        return Ok(Answer::new("compared", json!({ "fork": null, "blocks": shorter }), text));
    };
    let certificates = [first.clone(), second.clone()];
    let evidence = Evidence::conflicting_certificates(genesis.id(), certificates);
    // Before they part both show the same changes.
    let changes = sets.up_to(evidence.height);
    write_new(&args.out, &EvidenceFile::encode(Some(genesis), &changes, &evidence))?;
    let path = args.out.display().to_string();
    let value = json!({ "fork": evidence.height, "id": evidence.id().to_string(), "file": path });
    let text = format!(
        "the chains part at height {}\nwho did it: ledger-cli verify evidence {path} --trust HASH",
        evidence.height
    );
    Ok(Answer::new("compared", value, text).exiting(FORK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_a_list_with_a_line_for_each() {
        let answer = listed(&[EvidenceSummary::default(), EvidenceSummary::default()]);
        assert_eq!(answer.value["schema"], "ledger-cli/evidence/v1");
        let rows = answer.rows.and_then(|rows| answer.value.get(rows)?.as_array());
        assert_eq!(rows.map(Vec::len), Some(2));
    }
}
