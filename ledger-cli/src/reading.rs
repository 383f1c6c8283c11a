//! Asking a node: records, entries, histories, lineage, what comes, how it is.

use clap::Args;
use ledger_client::shown::plain;
use ledger_client::verified::{HistoryEntry, VerifiedRecord};
use ledger_client::{ClientError, json, verified};
use ledger_format::digest::{EntryId, hex};
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_rules::block::act_name;
use ledger_verify::verdict::Report;
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio_stream::StreamExt as _;

use crate::report::{Answer, Format, row};
use crate::session::{Common, refuse_existing, write_new};
use crate::text;
use crate::values::instant;

mod lineage;

pub(crate) use lineage::{Trace, trace};

const UNVERIFIED: &str = "not verified: this is what the node says; --trust HASH checks its proof";

/// Options of `show`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ledger-cli show asset:acme/weather
  ledger-cli show registration:acme/weather --at 2026-09-01 --trust HASH
  ledger-cli show leaf:2 --save entry.cose")]
pub(crate) struct Show {
    /// Record id (kind:name), entry id (64 hex digits), or leaf:N
    id: String,
    /// State after this block [default: the latest; only recent ones are kept]
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    height: u64,
    /// Compute what depends on time for this instant [default: the block's time]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<u64>,
    /// Write the bytes to a new file: the entry's, or the record's
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

pub(crate) async fn show(common: &Common, args: &Show) -> Result<Answer, ClientError> {
    args.save.as_deref().map_or(Ok(()), refuse_existing)?;
    let mut node = common.connect().await?;
    let (answer, bytes) = if let Ok(id) = EntryId::from_hex(&args.id) {
        let leaf = node.entry(&id).await?;
        (entry_answer(&leaf, Some(&id))?, leaf.entry)
    } else if let Some(leaf) = args.id.strip_prefix("leaf:") {
        let leaf =
            leaf.parse().map_err(|error| ClientError::usage(format!("{}: {error}", args.id)))?;
        let leaf = node.entry_at(leaf).await?;
        (entry_answer(&leaf, None)?, leaf.entry)
    } else {
        let at_ms = args.at.map_or(0, |at| at.saturating_mul(1000));
        let trust = common.trust.as_ref();
        let found = verified::record(&mut node, &args.id, args.height, at_ms, trust).await?;
        (record_answer(&args.id, &found)?, found.read.bytes)
    };
    if let Some(path) = &args.save {
        write_new(path, &bytes)?;
    }
    Ok(answer)
}

fn record_answer(id: &str, found: &VerifiedRecord) -> Result<Answer, ClientError> {
    let read = &found.read;
    let verified = proof_json(found.report.as_ref());
    if read.height == 0 {
        return Err(ClientError::no_block("height 0"));
    }
    if read.record.is_none() {
        let proven = if found.report.is_some() { "the absence is proven" } else { UNVERIFIED };
        return Err(ClientError::absent(format!("{id} at height {}; {proven}", read.height)));
    }
    let standing = read.standing.as_ref().map_or(Value::Null, standing_json);
    let value = json!({
        "id": id, "height": read.height, "time": text::time_ms(read.time_ms), "standing": standing,
        "record": json::to_json("Record", &read.bytes)?, "verified": verified,
    });
    let mut shown = value.clone();
    if let Value::Object(members) = &mut shown {
        members.remove("verified");
    }
    let text = format!("{}\n{}", text::render(&shown), proof_text(found.report.as_ref()));
    Ok(Answer::new("record", value, text))
}

fn standing_json(standing: &v1::Standing) -> Value {
    let mut value = json!({ "state": standing.state });
    if standing.changes_on != 0 {
        value["changes_on"] = json!(standing.changes_on);
    }
    if !standing.marks.is_empty() {
        value["marks"] = json!(standing.marks);
    }
    if !standing.not_determined.is_empty() {
        value["not_determined"] = json!(standing.not_determined);
    }
    value
}

fn proof_json(report: Option<&Report>) -> Value {
    report.map_or(Value::Null, text::report_json)
}

fn proof_text(report: Option<&Report>) -> String {
    report.map_or_else(|| UNVERIFIED.to_owned(), text::report_text)
}

/// An entry with its place. What the node says of the id is computed from the bytes.
fn entry_answer(leaf: &v1::Leaf, asked: Option<&EntryId>) -> Result<Answer, ClientError> {
    let entry = Entry::decode(leaf.entry.clone())?;
    if asked.is_some_and(|asked| *asked != entry.id()) {
        return Err(ClientError::verification(format!("the node returned entry {}", entry.id())));
    }
    let value = entry_json(leaf, &entry, true)?;
    let text = text::render(&value);
    Ok(Answer::new("entry", value, text))
}

/// An entry as JSON, with or without the event that it carries.
pub(crate) fn entry_json(
    leaf: &v1::Leaf,
    entry: &Entry,
    whole: bool,
) -> Result<Value, ClientError> {
    let claims = entry.claims();
    let act = entry.event().act.as_ref().map_or("", act_name);
    let mut value = json!({
        "entry": entry.id().to_string(), "leaf_index": leaf.leaf_index, "height": leaf.height,
        "time": text::time_ms(leaf.time_ms), "act": act, "subject": claims.subject.as_str(), "issuer": claims.issuer,
    });
    if !whole {
        return Ok(value);
    }
    let signer = |signer: &ledger_format::entry::Signer| {
        json!({
            "party": signer.party, "kid": signer.kid.to_string(),
            "role": signer.role.as_str_name(), "purpose": signer.purpose.as_str_name(),
        })
    };
    value["kid"] = json!(entry.kid().to_string());
    value["issued"] = json!(text::time_s(claims.issued_s));
    value["expires"] = json!(text::time_s(claims.expires_s));
    value["cti"] = json!(hex(&claims.nonce));
    value["signers"] = claims.signers.iter().map(signer).collect();
    value["event"] = json::to_json("Event", entry.payload())?;
    Ok(value)
}

/// Options of `history`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ledger-cli history asset:acme/weather --trust HASH
  ledger-cli history activity:party/acme -o jsonl")]
pub(crate) struct History {
    /// Record id (kind:name); activity:party/ID and activity:kind/ACT list across subjects
    id: String,
    /// Show all of each entry
    #[arg(long)]
    full: bool,
}

pub(crate) async fn history(common: &Common, args: &History) -> Result<Answer, ClientError> {
    let mut node = common.connect().await?;
    let record = verified::record(&mut node, &args.id, 0, 0, common.trust.as_ref()).await?;
    if record.read.record.is_none() || record.read.height == 0 {
        record_answer(&args.id, &record)?;
    }
    let history = verified::history(&mut node, record).await?;
    let rows = history.entries.iter().map(|entry| entry_json(&entry.leaf, &entry.entry, args.full));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let report = history.record.report.as_ref();
    let value = json!({
        "id": args.id, "height": history.record.read.height, "count": rows.len(),
        "complete": report.map(|_| true), "entries": rows,
    });
    let lines: Vec<String> = if args.full {
        rows.iter().map(|row| format!("{}\n", text::render(row))).collect()
    } else {
        history.entries.iter().map(history_line).collect()
    };
    let scope = if report.is_some() {
        format!(
            "complete: the state after height {} commits to exactly these entries",
            history.record.read.height
        )
    } else {
        format!("as many as the node's record counts; {UNVERIFIED}")
    };
    let text = format!("{}\n{} entries, {scope}", lines.join("\n"), rows.len());
    Ok(Answer::list("history", "entries", value, text))
}

fn history_line(entry: &HistoryEntry) -> String {
    let claims = entry.entry.claims();
    let act = entry.entry.event().act.as_ref().map_or("", act_name);
    format!(
        "{:>8}  {}  {act:<22} {:<24} {}",
        entry.leaf.leaf_index,
        text::time_ms(entry.leaf.time_ms),
        claims.issuer,
        entry.id
    )
}

/// Options of `watch`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ledger-cli watch -o jsonl
  ledger-cli watch --from 1200 --act contract_signed
  ledger-cli watch --subject asset:acme/weather --until-now")]
pub(crate) struct Watch {
    /// First leaf to show; the number to go on with is in each line [default: what comes from now on]
    #[arg(long, value_name = "LEAF")]
    from: Option<u64>,
    /// Only entries about this record
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only entries that this party signed
    #[arg(long, value_name = "PARTY")]
    party: Option<String>,
    /// Only acts of this kind, for example contract_signed
    #[arg(long, value_name = "ACT")]
    act: Option<String>,
    /// End after what is final now
    #[arg(long)]
    until_now: bool,
}

pub(crate) async fn watch(
    common: &Common,
    args: &Watch,
    format: Format,
) -> Result<Answer, ClientError> {
    let mut node = common.connect().await?;
    let from = match (args.from, args.until_now) {
        (Some(from), _) => from,
        (None, true) => 0,
        (None, false) => node.status().await?.tree_size,
    };
    let request = v1::WatchRequest {
        from,
        subject: args.subject.clone().unwrap_or_default(),
        party: args.party.clone().unwrap_or_default(),
        act: args.act.clone().unwrap_or_default(),
        until_now: args.until_now,
    };
    let mut entries = node.watch(request).await?;
    while let Some(response) = entries.next().await.transpose().map_err(ClientError::of_reading)? {
        let Some(leaf) = response.leaf else { continue };
        let entry = Entry::decode(leaf.entry.clone())?;
        let line = match format {
            Format::Table => {
                plain(&history_line(&HistoryEntry { id: entry.id(), leaf, entry })).into_owned()
            }
            Format::Json | Format::Jsonl => {
                let mut line = entry_json(&leaf, &entry, true)?;
                line["next"] = json!(response.next);
                line.to_string()
            }
        };
        if !row(&line)? {
            break;
        }
    }
    Ok(Answer::printed())
}

pub(crate) async fn status(common: &Common) -> Result<Answer, ClientError> {
    let status = common.connect().await?.status().await?;
    let suspects: Vec<Value> = status.suspects.iter().map(ledger_client::status::suspect).collect();
    let seen: Vec<Value> = status.seen.iter().map(ledger_client::status::seen).collect();
    let refusals: Vec<Value> =
        status.refusals.iter().map(ledger_client::status::refusals).collect();
    let value = json!({
        "node": common.node, "version": status.version, "ledger": status.ledger_name,
        "genesis": hex(&status.ledger_id), "height": status.height, "tree_size": status.tree_size,
        "time": text::time_ms(status.time_ms), "clock": status.clock, "validators": status.validators,
        "tolerated_faults": status.tolerated_faults, "role": status.role,
        "protocol_version": status.protocol_version,
        "known_protocol_version": status.known_protocol_version,
        "planned_protocol_version": status.planned_protocol_version,
        "planned_protocol_height": status.planned_protocol_height, "records": status.records,
        "pool_entries": status.pool_entries, "pool_bytes": status.pool_bytes,
        "uptime_s": status.uptime_s, "evidence": status.evidence, "suspects": suspects, "refusals": refusals,
        "recovering": status.recovering, "seen": seen, "notices": status.notices,
    });
    let text = text::render(&value);
    Ok(Answer::new("status", value, text))
}

/// Options of `checkpoint`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:
  ledger-cli checkpoint > head.note")]
pub(crate) struct Checkpoint {
    /// Height of the block [default: the latest]
    #[arg(default_value_t = 0)]
    height: u64,
}

pub(crate) async fn checkpoint(common: &Common, args: &Checkpoint) -> Result<Answer, ClientError> {
    let found = common.connect().await?.checkpoint(args.height).await?;
    let value = json!({ "height": found.height, "note": found.note });
    Ok(Answer::new("checkpoint", value, found.note))
}
