//! Exported chains: read once, executed again, believed in nothing.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use ledger_client::ClientError;
use ledger_client::chain::{VerifiedChain, verify};
use ledger_format::block::Block;
use ledger_format::entry::{Entry, leaf_hash};
use ledger_replay::Ledger;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::verdict::{Aspect, Report, Verdict};
use serde_json::json;

use super::answer;
use crate::report::Answer;
use crate::session::Common;
use crate::text;

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
    verified.map_err(|error| error.at(path.display()))
}

/// Verifies a chain and looks for an entry in it.
pub(super) fn verify_entry(
    common: &Common,
    path: &Path,
    entry: &Entry,
) -> Result<Report, ClientError> {
    let id = entry.id();
    let mut found = None;
    let verified = read(common, path, |block| {
        let mut entries = block.body.entries.iter();
        if entries.any(|entry| leaf_hash(entry) == id.0) {
            found = Some(block.body.header.height);
        }
    })?;
    let mut report = verified.report;
    let (Some(replay), Verdict::Proven | Verdict::NotDetermined(_)) =
        (&verified.replay, &report.verdict)
    else {
        return Ok(report);
    };
    if let Some(height) = found {
        report.checked(Aspect::Integrity, format!("the entry is in block {height}"));
        return Ok(report);
    }
    let ledger = replay.ledger();
    let Some(why) = excluded(entry, ledger) else {
        return Ok(not_up_to(report, ledger.height(), "entry"));
    };
    if report.verdict != Verdict::Proven {
        return Ok(report);
    }
    let place = Place { entry: Some(id), ..Place::default() };
    let height = ledger.height();
    let detail = format!("the chain up to height {height} has no such entry, and {why}");
    Ok(Report::bare(Refuted::new(Code::Inclusion, place, detail)))
}

/// Why no later block can hold an entry, if none can.
fn excluded(entry: &Entry, ledger: &Ledger) -> Option<String> {
    let (claims, id) = (entry.claims(), ledger.genesis().id());
    if claims.ledger != id {
        return Some(format!("it is of ledger {}, the chain of {id}", claims.ledger));
    }
    // As the rules have it of a block's time, and times of blocks only grow.
    let expired = claims.expires_s.saturating_mul(1000) <= ledger.time_ms();
    expired.then(|| format!("it expired at {}", text::time_s(claims.expires_s)))
}

/// The report on a chain that does not have what was asked for: a longer one may.
pub(super) fn not_up_to(mut report: Report, height: u64, what: &str) -> Report {
    let detail =
        format!("the chain ends at height {height}, and up to there it has no such {what}");
    report.unchecked(Aspect::Scope, detail.clone());
    if report.verdict == Verdict::Proven {
        let reason = format!("{detail}: a later block may have it, which a longer chain shows");
        report.verdict = Verdict::NotDetermined(reason);
    }
    report
}

#[cfg(test)]
mod tests {
    use ledger_format::digest::LedgerId;

    use super::*;

    #[test]
    fn what_a_shorter_chain_lacks_is_not_refuted() {
        let report = not_up_to(Report::bare(Verdict::Proven), 7, "entry");
        assert_eq!(report.verdict.exit_code(), 12);
        assert!(report.verdict.reason().contains("height 7"), "{report:?}");
        // Without a trust, that stays the reason, and the line says the rest.
        let ledger = LedgerId([7; 32]);
        let untrusted = Report::bare(Verdict::Proven).without_trust(&ledger);
        let report = not_up_to(untrusted.clone(), 7, "delivery");
        assert_eq!(report.verdict, untrusted.verdict);
        assert!(report.lines.iter().any(|line| line.text.contains("no such delivery")));
    }
}
