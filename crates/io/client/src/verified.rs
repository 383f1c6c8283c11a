//! Reads that are checked: a record against its proof, a history against the record that counts it. Without a stated trust a read
//! is what the node says, and nothing more.

use bytes::Bytes;
use ledger_event::Timeline;
use ledger_event::proof_file::Statement;
use ledger_format::digest::{EntryId, LedgerId};
use ledger_format::entry::Entry;
use ledger_format::header::Header;
use ledger_format::proof_file;
use ledger_proto::v1;
use ledger_verify::proof::{check_timeline, verify_proof_file};
use ledger_verify::verdict::{Report, Verdict};

use crate::error::ClientError;
use crate::node::{Node, ReadRecord};

/// A record, and what verifying it found; no report without a stated trust.
#[derive(Clone, Debug)]
pub struct VerifiedRecord {
    /// The record as it was read.
    pub read: ReadRecord,
    /// What was checked.
    pub report: Option<Report>,
}

/// One entry of a history.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// Its place in the log.
    pub leaf: v1::Leaf,
    /// Its id, computed from its bytes.
    pub id: EntryId,
    /// The entry.
    pub entry: Entry,
}

/// All entries about a subject up to a height, oldest first.
#[derive(Clone, Debug)]
pub struct VerifiedHistory {
    /// The entries.
    pub entries: Vec<HistoryEntry>,
    /// The record whose timeline they are.
    pub record: VerifiedRecord,
}

/// Reads a record at a height (0: the latest) as of an instant (0: the height's own time). With a trust, the node's proof must show it.
///
/// # Errors
/// What the node answers, or `CLIENT_VERIFY` when the proof does not prove the answer.
pub async fn record(
    node: &mut Node,
    id: &str,
    height: u64,
    at_ms: u64,
    trust: Option<&LedgerId>,
) -> Result<VerifiedRecord, ClientError> {
    let read = node.record(id, height, at_ms, trust.is_some()).await?;
    let report = trust.map(|trust| check_read(&read, id, trust)).transpose()?;
    Ok(VerifiedRecord { read, report })
}

fn check_read(read: &ReadRecord, id: &str, trust: &LedgerId) -> Result<Report, ClientError> {
    let report = verify_proof_file(&read.proof, None, trust);
    if report.verdict != Verdict::Proven {
        return Err(ClientError::verification(report.verdict.reason()));
    }
    let (anchor, statement) = proof_file::decode(&read.proof)?;
    let header = Header::decode(anchor.header)?;
    let same = |proven: &Bytes| *proven == read.bytes && header.height == read.height;
    match statement {
        Statement::Record(proof) if proof.id == id && same(&proof.record) => Ok(report),
        Statement::Record(_) | Statement::Entry(_) => {
            Err(ClientError::verification(format!("the proof is of another statement than {id}")))
        }
    }
}

/// Reads the whole history of a record that was read. The entries must be those that the record's timeline commits to.
///
/// # Errors
/// What the node answers, or `CLIENT_VERIFY` when entries are missing, added or changed.
pub async fn history(
    node: &mut Node,
    record: VerifiedRecord,
) -> Result<VerifiedHistory, ClientError> {
    let read = &record.read;
    let Some(found) = &read.record else {
        return Ok(VerifiedHistory { entries: Vec::new(), record });
    };
    let timeline = read.timeline();
    let mut leaves = node.history(&found.id).await?;
    // Entries may have come since the record was read: they are not what its timeline counts.
    leaves.truncate(usize::try_from(timeline.count).unwrap_or(usize::MAX));
    let entries: Vec<HistoryEntry> =
        leaves.into_iter().map(history_entry).collect::<Result<_, _>>()?;
    check_entries(&found.id, &timeline, &entries)?;
    Ok(VerifiedHistory { entries, record })
}

fn history_entry(leaf: v1::Leaf) -> Result<HistoryEntry, ClientError> {
    let entry = Entry::decode(leaf.entry.clone())?;
    Ok(HistoryEntry { id: entry.id(), leaf, entry })
}

fn check_entries(
    id: &str,
    timeline: &Timeline,
    entries: &[HistoryEntry],
) -> Result<(), ClientError> {
    let ids = entries.iter().map(|entry| entry.id);
    check_timeline(id, timeline, ids).map_err(ClientError::verification)
}
