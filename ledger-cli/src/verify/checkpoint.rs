//! Who signed a checkpoint, and whether a certified block ends with its tree.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use ledger_client::ClientError;
use ledger_format::digest::{LedgerId, hex};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::malformed::Malformed;
use ledger_format::proof_file;
use ledger_format::validators::Validators;
use ledger_replay::SetHistory;
use ledger_verify::checkpoint::{self, Known, Signed};
use ledger_verify::entry::check_genesis_keys;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::proof::{check_anchor, verify_proof_file};
use ledger_verify::verdict::{Aspect, Report, Verdict};
use serde_json::{Value, json};

use super::{answer, chain, genesis_of};
use crate::report::Answer;
use crate::session::{Common, read_file};
use crate::text;

/// Options of `verify checkpoint`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckpointArgs {
    /// The checkpoint, as `ledger-cli checkpoint` prints it
    file: PathBuf,
    /// The genesis file or document: names the keys of the ledger's first validators
    #[arg(long, value_name = "FILE", conflicts_with_all = ["proof", "chain"])]
    genesis: Option<PathBuf>,
    /// A proof file of `prove entry` or `prove record`: shows the validators up to its height, and certifies its tree
    #[arg(long, value_name = "FILE", conflicts_with = "chain")]
    proof: Option<PathBuf>,
    /// Exported chain that should lead to the checkpoint's tree
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
}

/// What is at hand about the ledger.
#[derive(Debug)]
struct Basis {
    genesis: GenesisDocument,
    sets: Vec<Validators>,
    head: Option<Header>,
}

/// A report, with who signed.
type Judged = (Report, Vec<Signed>);

pub(super) fn run(common: &Common, args: &CheckpointArgs) -> Result<Answer, ClientError> {
    let bytes = read_file(&args.file)?;
    let trust = common.trust.as_ref();
    let (mut height, mut more) = (None, json!({}));
    let (report, signed) = match checkpoint::read(&bytes) {
        Err(malformed) => (Report::bare(malformed), Vec::new()),
        Ok((note, found)) => {
            more = json!({ "origin": found.origin, "size": found.size, "root": hex(&found.root) });
            match (&args.chain, &args.proof, &args.genesis) {
                (Some(path), ..) => by_chain(common, path, &bytes, found.size, &mut height)?,
                (None, Some(path), _) => {
                    let basis = by_proof(&read_file(path)?, found.size, trust);
                    judged(&bytes, basis, trust, &mut height)
                }
                (None, None, Some(path)) => {
                    judged(&bytes, by_genesis(read_file(path)?, trust), trust, &mut height)
                }
                (None, None, None) => (form_only(note.signatures.len()), Vec::new()),
            }
        }
    };
    more["height"] = json!(height);
    more["signers"] = signed.iter().map(signer).collect();
    Ok(answer(&args.file, &report, more))
}

fn signer(by: &Signed) -> Value {
    let cosigned = by.cosigned_s.map(text::time_s);
    json!({ "party": by.party, "validator": by.name, "key": by.id.to_string(), "log": by.log, "cosigned": cosigned })
}

/// What a checkpoint alone tells: nothing of whose keys signed it.
fn form_only(lines: usize) -> Report {
    let reason = "whose keys these are, only genesis, a proof file or a chain shows: --genesis, --proof or --chain";
    let mut report = Report::bare(Verdict::NotDetermined(reason.into()));
    report.checked(Aspect::Integrity, "it has the form of a checkpoint");
    let text = format!("{lines} signature(s) of keys that are not at hand");
    report.unchecked(Aspect::Identity, text);
    report
}

/// The checkpoint's report on a basis; or why there is none to stand on.
fn judged(
    bytes: &[u8],
    basis: Result<Basis, Verdict>,
    trust: Option<&LedgerId>,
    height: &mut Option<u64>,
) -> Judged {
    let Basis { genesis, sets, head } = match basis {
        Ok(basis) => basis,
        Err(doubt) => return (Report::bare(doubt), Vec::new()),
    };
    *height = head.as_ref().map(|head| head.height);
    let known = Known { genesis: &genesis, sets: &sets, head: head.as_ref() };
    let (report, signed) = checkpoint::verify_checkpoint(bytes, &known);
    let report = if trust.is_some() { report } else { report.without_trust(&genesis.id()) };
    (report, signed)
}

fn by_genesis(bytes: Bytes, trust: Option<&LedgerId>) -> Result<Basis, Verdict> {
    let genesis = genesis_of(bytes)?;
    if let Some(trust) = trust.filter(|trust| **trust != genesis.id()) {
        let reason = format!("genesis is of ledger {}, trust was stated in {trust}", genesis.id());
        return Err(Verdict::TrustNotMet(reason));
    }
    check_genesis_keys(&genesis)?;
    Ok(Basis { sets: vec![genesis.validators().clone()], genesis, head: None })
}

fn by_proof(bytes: &Bytes, size: u64, trust: Option<&LedgerId>) -> Result<Basis, Verdict> {
    let (anchor, _) = proof_file::decode(bytes)?;
    // Without a stated trust the proof is taken at its word which ledger it is of, and nothing is called proven.
    let own = || Ok::<_, Malformed>(GenesisDocument::decode(anchor.genesis.clone())?.id());
    let trust = trust.copied().map_or_else(own, Ok)?;
    let anchored = check_anchor(&anchor, &trust)?;
    // Whose statement does not hold is no file to stand on.
    match verify_proof_file(bytes, None, &trust).verdict {
        Verdict::Proven => {}
        doubt => return Err(doubt),
    }
    let head = Some(anchored.header).filter(|header| header.tree_size == size);
    Ok(Basis { genesis: anchored.genesis, sets: anchored.sets, head })
}

/// Verifies a chain, and holds the checkpoint against the block that ends with as many leaves.
fn by_chain(
    common: &Common,
    path: &Path,
    bytes: &[u8],
    size: u64,
    height: &mut Option<u64>,
) -> Result<Judged, ClientError> {
    let (mut history, mut head) = (SetHistory::default(), None);
    let verified = chain::read(common, path, |block| {
        history.push(block);
        if block.body.header.tree_size == size {
            head = Some(block.body.header.clone());
        }
    })?;
    let (Some(replay), Verdict::Proven | Verdict::NotDetermined(_)) =
        (&verified.replay, &verified.report.verdict)
    else {
        return Ok((verified.report, Vec::new()));
    };
    let ledger = replay.ledger();
    let up_to = head.as_ref().map_or(ledger.height(), |head| head.height);
    let genesis = ledger.genesis().clone();
    let mut sets = vec![genesis.validators().clone()];
    for change in history.up_to(up_to) {
        sets.push(Validators::decode(&change.validators)?);
    }
    let is_head = head.is_some();
    let basis = Ok(Basis { genesis, sets, head });
    let (mut report, signed) = judged(bytes, basis, common.trust.as_ref(), height);
    if !is_head && matches!(report.verdict, Verdict::Proven | Verdict::NotDetermined(_)) {
        if size > ledger.tree_size() {
            report = chain::not_up_to(report, ledger.height(), "tree");
        } else {
            let detail = format!("no block of the chain ends with {size} leaves");
            let finding = Refuted::new(Code::TreeSize, Place::default(), detail);
            return Ok((Report::bare(finding), signed));
        }
    }
    Ok((report, signed))
}
