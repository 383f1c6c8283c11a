//! Compliance reviews.

use clap::Subcommand;
use ledger_client::ClientError;
use ledger_event::event::Act;
use ledger_event::{ReviewDecided, ReviewOutcome, ReviewSubmitted};
use ledger_format::id::SubjectKind;

use super::{act, version};
use crate::report::Answer;
use crate::session::Common;
use crate::signing::{Planned, SignArgs, perform};
use crate::values::{DigestArg, Terms, date, optional_digest, subject};

/// Compliance reviews.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit an asset for review (supplier)
    #[command(after_help = "Example:
  ledger-cli review submit acme/weather --asset acme/weather \\
      --reviewer law-firm --key acme-org")]
    Submit {
        /// Id: SUPPLIER/NAME
        review: String,
        /// The asset: SUPPLIER/NAME
        #[arg(long)]
        asset: String,
        /// Its version [default: the latest]
        #[arg(long, value_name = "N")]
        asset_version: Option<u32>,
        /// Party that reviews
        #[arg(long, value_name = "PARTY")]
        reviewer: String,
        /// What is submitted, or its digest
        #[arg(long, value_name = "HASH|FILE")]
        materials: Option<DigestArg>,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Record the outcome (two officers of the reviewer)
    #[command(after_help = "Example:
  ledger-cli review decide acme/weather --outcome passed \\
      --opinion opinion.pdf --valid-to 2027-07-31 --key reviewer-officer-1 \\
      --key reviewer-officer-2")]
    Decide {
        /// Id: SUPPLIER/NAME
        review: String,
        /// Outcome
        #[arg(long, value_parser = Terms::<ReviewOutcome>::new())]
        outcome: ReviewOutcome,
        /// The written opinion, or its digest
        #[arg(long, value_name = "HASH|FILE")]
        opinion: DigestArg,
        /// Last day on which the review can be relied on
        #[arg(long, value_name = "DATE", value_parser = date)]
        valid_to: Option<u32>,
        /// Conditions or grounds
        #[arg(long, value_name = "TEXT", default_value = "")]
        remarks: String,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    match command {
        Command::Submit { review, asset, asset_version, reviewer, materials, sign } => {
            let mut node = common.connect().await?;
            let asset = subject(SubjectKind::Asset, &asset)?;
            let event = ReviewSubmitted {
                version: version(&mut node, &asset, asset_version).await?,
                asset: asset.to_string(),
                reviewer,
                materials: optional_digest(materials.as_ref())?,
            };
            let subject = subject(SubjectKind::Review, &review)?;
            let planned = Planned { subject, act: Act::ReviewSubmitted(event) };
            perform(common, &mut node, &sign, planned).await
        }
        Command::Decide { review, outcome, opinion, valid_to, remarks, sign } => {
            let event = ReviewDecided {
                outcome: outcome.into(),
                opinion: Some(opinion.digest()?),
                valid_to: valid_to.unwrap_or_default(),
                remarks,
            };
            act(common, &sign, SubjectKind::Review, &review, Act::ReviewDecided(event)).await
        }
    }
}
