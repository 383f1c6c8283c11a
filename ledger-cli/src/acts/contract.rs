//! Contracts.

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_event::event::Act;
use ledger_event::{ContractSigned, ContractType, DeliveryMode, DeliveryProperty};
use ledger_format::id::SubjectKind;

use super::act;
use crate::commitment::{CONTRACT_PRICE, optional};
use crate::report::Answer;
use crate::session::Common;
use crate::signing::SignArgs;
use crate::values::{CommitmentArg, DigestArg, Terms, date, subject};

/// Contracts.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign a contract on a listing: seller and buyer, each with an organisation key and an officer's token
    #[command(after_help = "Example (seller drafts, buyer signs, seller submits):
  ledger-cli contract sign acme/weather-bank --listing acme/weather \\
      --buyer bank --type provision --terms contract.pdf \\
      --price price.opening --mode file --property both \\
      --purpose 'risk models' --valid-to 2027-07-31 --key acme-org \\
      --key acme-officer --with bank-org.pub --with bank-officer.pub \\
      --draft contract.draft
  ledger-cli draft sign contract.draft --key bank-org --key bank-officer
  ledger-cli draft submit contract.draft --key acme-org")]
    Sign(Box<SignContract>),
}

/// Options of `contract sign`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SignContract {
    /// Id: SELLER/NAME
    contract: String,
    /// The listing: SELLER/NAME
    #[arg(long)]
    listing: String,
    /// Party that buys
    #[arg(long, value_name = "PARTY")]
    buyer: String,
    /// Which of the model contracts
    #[arg(long = "type", value_parser = Terms::<ContractType>::new())]
    contract_type: ContractType,
    /// The contract's text, or its digest
    #[arg(long, value_name = "HASH|FILE")]
    terms: DigestArg,
    /// Opening file of the price, or the commitment [default: free of charge]
    #[arg(long, value_name = "FILE|COMMITMENT")]
    price: Option<CommitmentArg>,
    /// How the data is delivered
    #[arg(long, value_parser = Terms::<DeliveryMode>::new())]
    mode: DeliveryMode,
    /// Whether the data is visible, usable, or both
    #[arg(long, value_parser = Terms::<DeliveryProperty>::new())]
    property: DeliveryProperty,
    /// What the data may be used for; again for each
    #[arg(long = "purpose", value_name = "TEXT")]
    purposes: Vec<String>,
    /// Last day of the contract [default: open]
    #[arg(long, value_name = "DATE", value_parser = date)]
    valid_to: Option<u32>,
    #[command(flatten)]
    sign: SignArgs,
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    let Command::Sign(contract) = command;
    let event = ContractSigned {
        listing: subject(SubjectKind::Listing, &contract.listing)?.to_string(),
        buyer: contract.buyer,
        contract_type: contract.contract_type.into(),
        terms: Some(contract.terms.digest()?),
        price_commitment: optional(contract.price.as_ref(), CONTRACT_PRICE)?,
        delivery_mode: contract.mode.into(),
        delivery_property: contract.property.into(),
        purposes: contract.purposes,
        valid_to: contract.valid_to.unwrap_or_default(),
    };
    let (sign, name) = (&contract.sign, &contract.contract);
    act(common, sign, SubjectKind::Contract, name, Act::ContractSigned(event)).await
}
