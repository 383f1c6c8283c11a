//! Whom an evidence file proves guilty.

use std::path::PathBuf;

use clap::Args;
use ledger_client::ClientError;
use ledger_format::evidence::EvidenceFile;
use ledger_format::genesis::GenesisDocument;
use ledger_verify::evidence::{Culprit, verify_evidence_file};
use ledger_verify::verdict::{Report, Verdict};
use serde_json::{Value, json};

use super::{answer, genesis_of};
use crate::report::Answer;
use crate::session::{Common, read_file};

/// Options of `verify evidence`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EvidenceArgs {
    /// The file, as `evidence get` or a node writes it
    file: PathBuf,
    /// The genesis file or document, for a file that has none in it
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

pub(super) fn run(common: &Common, args: &EvidenceArgs) -> Result<Answer, ClientError> {
    let bytes = read_file(&args.file)?;
    let genesis = args.genesis.as_deref().map(read_file).transpose()?;
    let (report, more) = match parts(bytes, genesis) {
        Ok((file, genesis)) => judged(common, &file, genesis.as_ref()),
        Err(malformed) => (Report::bare(malformed), json!({})),
    };
    Ok(answer(&args.file, &report, more))
}

fn parts(
    bytes: bytes::Bytes,
    genesis: Option<bytes::Bytes>,
) -> Result<(EvidenceFile, Option<GenesisDocument>), Verdict> {
    let genesis = genesis.map(genesis_of);
    Ok((EvidenceFile::decode(bytes)?, genesis.transpose()?))
}

fn judged(
    common: &Common,
    file: &EvidenceFile,
    genesis: Option<&GenesisDocument>,
) -> (Report, Value) {
    let evidence = &file.evidence;
    // Without a stated trust the evidence is taken at its word which ledger it is of, and nothing is called proven.
    let ledger = common.trust.unwrap_or(evidence.ledger);
    let (report, culprits) = verify_evidence_file(file, genesis, &ledger);
    let report = match common.trust {
        Some(_) => report,
        None => report.without_trust(&ledger),
    };
    let accused = culprits.iter().map(|Culprit { key, name, party }| {
        json!({ "party": party, "validator": name, "key": key.to_string() })
    });
    let more = json!({
        "evidence": evidence.id().to_string(), "ledger": evidence.ledger.to_string(),
        "offence": evidence.offence.name(), "height": evidence.height,
        "round": evidence.offence.round(), "accused": accused.collect::<Vec<Value>>(),
    });
    (report, more)
}
