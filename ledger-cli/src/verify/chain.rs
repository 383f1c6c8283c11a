//! Exported chains: read once, executed again, believed in nothing.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use ledger_client::ClientError;
use ledger_client::chain::{VerifiedChain, verify};
use ledger_format::block::Block;
use ledger_format::digest::EntryId;
use ledger_format::entry::leaf_hash;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::verdict::{Aspect, Report, Verdict};
use serde_json::json;

use super::answer;
use crate::report::Answer;
use crate::session::Common;

/// Bytes read from the file at once.
const READ_BYTES: usize = 1 << 20;

/// Options of `verify chain`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chain {
    /// The exported chain
    file: PathBuf,
}

pub(crate) fn run(common: &Common, args: &Chain) -> Result<Answer, ClientError> {
    let verified = read(common, &args.file, |_| {})?;
    let mut more = json!({ "genesis": verified.ledger.map(|id| id.to_string()) });
    if let Some(replay) = &verified.replay {
        let (counts, ledger) = (replay.counts(), replay.ledger());
        more["height"] = json!(ledger.height());
        more["tree_size"] = json!(ledger.tree_size());
        more["checked"] = json!({
            "blocks": counts.blocks, "certificates": counts.blocks, "state_roots": counts.blocks,
            "entries": counts.entries, "signatures": counts.signatures, "votes": counts.votes,
            "records": counts.records,
        });
    }
    Ok(answer(&args.file, &verified.report, more))
}

/// Verifies a chain file, with a bar on the terminal. `keep` sees every block that was verified.
pub(crate) fn read(
    common: &Common,
    path: &Path,
    keep: impl FnMut(&Block),
) -> Result<VerifiedChain, ClientError> {
    let failed = || ClientError::io(path.display());
    let file = File::open(path).map_err(failed())?;
    let length = file.metadata().map_err(failed())?.len();
    let bar = common.progress(Some(length), "bytes");
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let trust = common.trust.as_ref();
    let verified = verify(&mut reader, trust, keep, |progress| bar.set_position(progress.bytes));
    bar.finish_and_clear();
    verified
}

/// Verifies a chain and looks for an entry in it.
pub(super) fn verify_entry(
    common: &Common,
    path: &Path,
    id: EntryId,
) -> Result<Report, ClientError> {
    let mut found = None;
    let verified = read(common, path, |block| {
        let mut entries = block.body.entries.iter();
        if entries.any(|entry| leaf_hash(entry) == id.0) {
            found = Some(block.body.header.height);
        }
    })?;
    let mut report = verified.report;
    match (found, &report.verdict) {
        (Some(height), Verdict::Proven | Verdict::NotDetermined(_)) => {
            report.checked(Aspect::Integrity, format!("the entry is in block {height}"));
            Ok(report)
        }
        (None, Verdict::Proven) => {
            let place = Place { entry: Some(id), ..Place::default() };
            let height = verified.replay.map_or(0, |replay| replay.ledger().height());
            let detail = format!("the chain up to height {height} has no such entry");
            Ok(Report::bare(Refuted::new(Code::Inclusion, place, detail)))
        }
        _ => Ok(report),
    }
}
