//! Deliveries: a file agreed on, sent in batches of chunks, acknowledged by the buyer over what arrived.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::content::{CHUNK_BYTES, ReadFile, root};
use ledger_client::{ClientError, Node};
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{
    BatchAcknowledged, BatchSent, DeliveryCompleted, DeliveryPlanned, DeliveryRecord,
};
use ledger_format::entry::Entry;
use ledger_format::id::{Subject, SubjectKind};

use super::act;
use crate::report::Answer;
use crate::session::Common;
use crate::signing::{Planned, SignArgs, perform};
use crate::values::{date, read_file, subject};

/// Deliveries, in the order of their steps.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Agree on a file, its batches and a window (seller and buyer)
    #[command(after_help = "Example:
  ledger-cli delivery plan acme/weather-1 --contract acme/weather-bank \\
      --file weather.csv --batches 4 --endpoint CN --window-to 2026-12-31 \\
      --key acme-org --with bank-org.pub --draft delivery.draft")]
    Plan(Box<Plan>),
    /// Record that the next batch was sent (seller)
    #[command(after_help = "Example:
  ledger-cli delivery send acme/weather-1 --file weather.csv --key acme-org")]
    Send {
        /// Id: SELLER/NAME
        delivery: String,
        /// The planned file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Acknowledge a batch, over the bytes that arrived (buyer)
    #[command(after_help = "Examples:
  ledger-cli delivery ack acme/weather-1 --number 2 --file received.csv \\
      --key bank-org
  ledger-cli delivery ack acme/weather-1 --number 2 --part batch-2.bin \\
      --key bank-org")]
    Ack {
        /// Id: SELLER/NAME
        delivery: String,
        /// Number of the batch
        #[arg(long, value_name = "N")]
        number: u32,
        /// The whole file as it arrived; the batch's part of it is taken
        #[arg(long, value_name = "FILE", required_unless_present = "part")]
        file: Option<PathBuf>,
        /// The bytes of this batch alone
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        part: Option<PathBuf>,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Complete the delivery (seller and buyer)
    #[command(after_help = "Example:
  ledger-cli delivery complete acme/weather-1 --key acme-org --key bank-org")]
    Complete {
        /// Id: SELLER/NAME
        delivery: String,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

/// Options of `delivery plan`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Plan {
    /// Id: SELLER/NAME
    delivery: String,
    /// The contract: SELLER/NAME
    #[arg(long)]
    contract: String,
    /// The file; only hashes of it are recorded
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// In how many batches it is sent
    #[arg(long, value_name = "N", default_value_t = 1)]
    batches: u32,
    /// Bytes of a chunk
    #[arg(long, value_name = "BYTES", default_value_t = CHUNK_BYTES)]
    chunk_bytes: u32,
    /// Where the buyer receives, ISO 3166-1 alpha-2
    #[arg(long, value_name = "CC", default_value = "CN")]
    endpoint: String,
    /// Last day of the delivery
    #[arg(long, value_name = "DATE", value_parser = date)]
    window_to: u32,
    #[command(flatten)]
    sign: SignArgs,
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    match command {
        Command::Plan(plan) => plan.run(common).await,
        Command::Send { delivery, file, sign } => {
            let mut node = common.connect().await?;
            let subject = subject(SubjectKind::Delivery, &delivery)?;
            let record = record(&mut node, &subject).await?;
            let act = Act::BatchSent(next_batch(&record, &subject, &file)?);
            perform(common, &mut node, &sign, Planned { subject, act }).await
        }
        Command::Ack { delivery, number, file, part, sign } => {
            let mut node = common.connect().await?;
            let subject = subject(SubjectKind::Delivery, &delivery)?;
            let chunk_bytes = chunk_bytes(&record(&mut node, &subject).await?);
            let root = match (file, part) {
                (Some(file), _) => {
                    let sent = sent(&mut node, &subject, number).await?;
                    let range =
                        read_file(&file, chunk_bytes)?.range_root(sent.first_chunk, sent.chunks);
                    let short = || {
                        ClientError::document(format!(
                            "{}: batch {number} is not in it",
                            file.display()
                        ))
                    };
                    range.ok_or_else(short)?
                }
                (None, Some(part)) => root(&read_file(&part, chunk_bytes)?.chunks),
                (None, None) => return Err(ClientError::usage("--file or --part")),
            };
            let act =
                Act::BatchAcknowledged(BatchAcknowledged { number, root: root.to_vec().into() });
            perform(common, &mut node, &sign, Planned { subject, act }).await
        }
        Command::Complete { delivery, sign } => {
            let event = Act::DeliveryCompleted(DeliveryCompleted {});
            act(common, &sign, SubjectKind::Delivery, &delivery, event).await
        }
    }
}

impl Plan {
    async fn run(self, common: &Common) -> Result<Answer, ClientError> {
        if self.chunk_bytes == 0 {
            return Err(ClientError::usage("--chunk-bytes: at least 1"));
        }
        let event = DeliveryPlanned {
            contract: subject(SubjectKind::Contract, &self.contract)?.to_string(),
            file: Some(read_file(&self.file, self.chunk_bytes)?.manifest()),
            batches: self.batches,
            endpoint_jurisdiction: self.endpoint,
            window_to: self.window_to,
        };
        let (sign, name) = (&self.sign, &self.delivery);
        act(common, sign, SubjectKind::Delivery, name, Act::DeliveryPlanned(event)).await
    }
}

async fn record(node: &mut Node, delivery: &Subject) -> Result<DeliveryRecord, ClientError> {
    let found = node.record(delivery.as_str(), 0, 0, false).await?;
    match found.record.and_then(|record| record.body) {
        Some(Body::Delivery(delivery)) => Ok(delivery),
        _ => Err(ClientError::absent(delivery)),
    }
}

fn chunk_bytes(record: &DeliveryRecord) -> u32 {
    record.file.as_ref().map_or(CHUNK_BYTES, |file| file.chunk_bytes)
}

/// The batch after the last that was sent, of the planned number of even batches.
fn next_batch(
    record: &DeliveryRecord,
    delivery: &Subject,
    file: &PathBuf,
) -> Result<BatchSent, ClientError> {
    let read: ReadFile = read_file(file, chunk_bytes(record))?;
    if Some(read.manifest()) != record.file {
        let detail = format!("{} is not the file that {delivery} was planned with", file.display());
        return Err(ClientError::document(detail));
    }
    let next = usize::try_from(record.sent).unwrap_or(usize::MAX);
    let batch = read.batches(record.batches).get(next).copied();
    let batch = batch.ok_or_else(|| ClientError::usage("all batches have been sent"))?;
    Ok(BatchSent {
        number: record.sent + 1,
        first_chunk: batch.first_chunk,
        chunks: batch.chunks,
        bytes: batch.bytes,
        root: batch.root.to_vec().into(),
    })
}

/// What the seller recorded of a batch.
async fn sent(node: &mut Node, delivery: &Subject, number: u32) -> Result<BatchSent, ClientError> {
    for leaf in node.history(delivery.as_str()).await? {
        let entry = Entry::decode(leaf.entry)?;
        if let Some(Act::BatchSent(sent)) = &entry.event().act
            && sent.number == number
        {
            return Ok(sent.clone());
        }
    }
    Err(ClientError::absent(format!("batch {number} of {delivery}: it has not been sent")))
}
