//! Whether a file is the delivered one: what the ledger records of a delivery, held against bytes.

use std::path::{Path, PathBuf};

use clap::Args;
use ledger_client::delivered::Recorded;
use ledger_client::{ClientError, verified};
use ledger_event::record::Body;
use ledger_event::{DeliveryRecord, Record};
use ledger_format::block::Block;
use ledger_format::entry::Entry;
use ledger_format::id::{Subject, SubjectKind};
use ledger_format::message;
use ledger_rules::View as _;
use ledger_verify::verdict::{Aspect, Report, Verdict};
use serde_json::json;

use super::{answer, chain};
use crate::report::Answer;
use crate::session::Common;
use crate::values::{read_file, subject};

/// Options of `verify file`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Delivered {
    /// The file as it is at hand
    file: PathBuf,
    /// The delivery: SELLER/NAME
    #[arg(long, value_name = "ID")]
    delivery: String,
    /// Exported chain to look the delivery up in, instead of a node
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
}

/// What the ledger records, and how far that is itself proven; or the verdict that leaves nothing to compare.
type Found = Result<(Recorded, Report), Report>;

pub(crate) async fn run(common: &Common, args: &Delivered) -> Result<Answer, ClientError> {
    let delivery = subject(SubjectKind::Delivery, &args.delivery)?;
    let found = match &args.chain {
        Some(path) => from_chain(common, path, &delivery)?,
        None => from_node(common, &delivery).await?,
    };
    let report = match found {
        Ok((recorded, source)) => compared(&args.file, &recorded, source)?,
        Err(report) => report,
    };
    Ok(answer(&args.file, &report, json!({ "delivery": delivery.as_str() })))
}

/// The file's verdict, on top of what is known of the record that it is held against.
fn compared(path: &PathBuf, recorded: &Recorded, source: Report) -> Result<Report, ClientError> {
    let file = read_file(path, recorded.manifest().chunk_bytes)?;
    let mut report = recorded.compare(&file);
    if report.verdict == Verdict::Proven {
        report.verdict = source.verdict;
    }
    report.lines.extend(source.lines);
    Ok(report)
}

fn from_chain(common: &Common, path: &Path, delivery: &Subject) -> Result<Found, ClientError> {
    let mut recorded = Recorded { id: delivery.as_str().to_owned(), ..Recorded::default() };
    let chain = chain::read(common, path, |block| add_entries(&mut recorded, block, delivery))?;
    let Some(replay) = chain.replay else { return Ok(Err(chain.report)) };
    let state = replay.ledger().state();
    let Some(bytes) = state.record(&delivery.state_key()) else {
        return Ok(Err(chain::not_up_to(chain.report, replay.ledger().height(), "delivery")));
    };
    let record: Record = message::decode("record", &bytes.to_vec().into())?;
    recorded.delivery = body(record, delivery)?;
    Ok(Ok((recorded, chain.report)))
}

fn add_entries(recorded: &mut Recorded, block: &Block, delivery: &Subject) {
    // The block was verified: all its entries decode.
    let entries = block.body.entries.iter().filter_map(|entry| Entry::decode(entry.clone()).ok());
    entries
        .filter(|entry| entry.claims().subject == *delivery)
        .for_each(|entry| recorded.add(&entry));
}

fn body(record: Record, delivery: &Subject) -> Result<DeliveryRecord, ClientError> {
    match record.body {
        Some(Body::Delivery(delivery)) => Ok(delivery),
        _ => {
            Err(ClientError::answer(format!("the record of {} is no delivery", delivery.as_str())))
        }
    }
}

async fn from_node(common: &Common, delivery: &Subject) -> Result<Found, ClientError> {
    let mut node = common.connect().await?;
    let trust = common.trust.as_ref();
    let read = verified::record(&mut node, delivery.as_str(), 0, 0, trust).await?;
    let Some(record) = read.read.record.clone() else {
        return Err(ClientError::absent(delivery.as_str()));
    };
    let history = verified::history(&mut node, read).await?;
    let mut recorded = Recorded {
        id: delivery.as_str().to_owned(),
        delivery: body(record, delivery)?,
        ..Recorded::default()
    };
    history.entries.iter().for_each(|entry| recorded.add(&entry.entry));
    let source = match history.record.report {
        Some(mut report) => {
            report.checked(Aspect::Scope, "the delivery's entries are complete up to that height");
            report
        }
        None => Report::bare(Verdict::NotDetermined(
            "what the delivery was is the node's word alone: state --trust HASH, or use --chain"
                .into(),
        )),
    };
    Ok(Ok((recorded, source)))
}
