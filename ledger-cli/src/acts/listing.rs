//! Listings.

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_event::event::Act;
use ledger_event::{ListingApplied, ListingPublished, TradeMode};
use ledger_format::id::SubjectKind;

use super::{act, version};
use crate::commitment::{LISTING_PRICE, optional};
use crate::report::Answer;
use crate::session::Common;
use crate::signing::{Planned, SignArgs, perform};
use crate::values::{CommitmentArg, DigestArg, Terms, subject};

/// Listings.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply to list an asset (seller, two factors)
    #[command(after_help = "Example:
  ledger-cli listing apply acme/weather --asset acme/weather --venue gzdex \\
      --certificate SJ4412026080001 --review acme/weather --mode listing \\
      --price price.opening --terms terms.pdf --rule-set CN-NDA-2026/1 \\
      --key acme-org --key acme-officer")]
    Apply(Box<Apply>),
    /// Publish a listing (the exchange that it names)
    #[command(after_help = "Example:
  ledger-cli listing publish acme/weather --key exchange-org")]
    Publish {
        /// Id: SELLER/NAME
        listing: String,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

/// Options of `listing apply`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Apply {
    /// Id: SELLER/NAME
    listing: String,
    /// The asset: SUPPLIER/NAME
    #[arg(long)]
    asset: String,
    /// Its version [default: the latest]
    #[arg(long, value_name = "N")]
    asset_version: Option<u32>,
    /// Exchange that is to publish it
    #[arg(long, value_name = "PARTY")]
    venue: String,
    /// Number of the certificate that shows the right to operate
    #[arg(long, value_name = "NUMBER", default_value = "")]
    certificate: String,
    /// The compliance review: SUPPLIER/NAME
    #[arg(long, value_name = "REVIEW")]
    review: Option<String>,
    /// How it is traded
    #[arg(long, value_parser = Terms::<TradeMode>::new())]
    mode: TradeMode,
    /// Opening file of the price, or the commitment [default: free of charge]
    #[arg(long, value_name = "FILE|COMMITMENT")]
    price: Option<CommitmentArg>,
    /// The terms, or their digest
    #[arg(long, value_name = "HASH|FILE")]
    terms: DigestArg,
    /// What the data may be used for; again for each
    #[arg(long = "scenario", value_name = "TEXT")]
    scenarios: Vec<String>,
    /// Rule set to list under
    #[arg(long, value_name = "ID/VERSION")]
    rule_set: String,
    #[command(flatten)]
    sign: SignArgs,
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    match command {
        Command::Apply(apply) => apply.run(common).await,
        Command::Publish { listing, sign } => {
            let event = Act::ListingPublished(ListingPublished {});
            act(common, &sign, SubjectKind::Listing, &listing, event).await
        }
    }
}

impl Apply {
    async fn run(self, common: &Common) -> Result<Answer, ClientError> {
        let mut node = common.connect().await?;
        let asset = subject(SubjectKind::Asset, &self.asset)?;
        let review = self.review.as_deref().map(|review| subject(SubjectKind::Review, review));
        let event = ListingApplied {
            version: version(&mut node, &asset, self.asset_version).await?,
            asset: asset.to_string(),
            venue: self.venue,
            certificate: self.certificate,
            review: review.transpose()?.map(|review| review.to_string()).unwrap_or_default(),
            mode: self.mode.into(),
            price_commitment: optional(self.price.as_ref(), LISTING_PRICE)?,
            terms: Some(self.terms.digest()?),
            scenarios: self.scenarios,
            rule_set: self.rule_set,
        };
        let subject = subject(SubjectKind::Listing, &self.listing)?;
        let planned = Planned { subject, act: Act::ListingApplied(event) };
        perform(common, &mut node, &self.sign, planned).await
    }
}
