//! The validators and the protocol: who signs blocks, and by which version.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::{ClientError, Node};
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{ProtocolActivated, Validator, ValidatorSet, ValidatorsChanged};
use ledger_format::digest::{KeyId, hex, sha256};
use ledger_format::id::SubjectKind;
use ledger_rules::genesis::VALIDATORS;
use serde_json::{Value, json};

use super::act;
use crate::report::Answer;
use crate::session::{Common, key_id};
use crate::signing::SignArgs;
use crate::text;

/// Validators. Each change is one act, which parties of more than two thirds of the power sign, of the set before and of the set after
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Validators {
    /// Show the validators of the ledger
    Show,
    /// Add a validator. Its party signs as well
    #[command(after_help = "Example:
  ledger-cli validator add hkdex --keys-of hkdex-keys --key szdex-org --with gzdex-org.pub --with hkdex-org.pub --draft add.draft")]
    Add(Box<Add>),
    /// Remove a validator
    #[command(after_help = "Example:
  ledger-cli validator remove ID --key szdex-org --with gzdex-org.pub --draft remove.draft")]
    Remove {
        /// Identity of the validator: SHA-256 of its vote key
        identity: String,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Give a validator other keys. Its party signs as well
    #[command(after_help = "Example:
  ledger-cli validator rotate ID --keys-of /var/lib/ledger/keys/next --key hkdex-org --with szdex-org.pub --draft rotate.draft")]
    Rotate {
        /// Identity of the validator: SHA-256 of its vote key
        identity: String,
        /// Directory with the new public keys: vote.pub, log.pub, cosign.pub, receipt.pub
        #[arg(long, value_name = "DIR")]
        keys_of: PathBuf,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

/// Options of `validator add`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Add {
    /// Party that runs it, an exchange or node operator
    party: String,
    /// Directory with its public keys: vote.pub, log.pub, cosign.pub, receipt.pub
    #[arg(long, value_name = "DIR")]
    keys_of: PathBuf,
    /// Name of its log and cosigner keys in notes [default: the ledger's origin and the party]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its voting power
    #[arg(long, value_name = "N", default_value_t = 1)]
    power: u32,
    #[command(flatten)]
    sign: SignArgs,
}

/// The protocol.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Protocol {
    /// Let the ledger follow the next version from a height on. Signed by parties of more than two thirds of the validators' power
    #[command(after_help = "Example:
  ledger-cli protocol activate 2 --height 120000 --key szdex-org --with gzdex-org.pub --with hkdex-org.pub --draft v2.draft")]
    Activate {
        /// The version
        version: u32,
        /// Its first height, two above the block of the act at least
        #[arg(long, value_name = "N")]
        height: u64,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

pub(crate) async fn validators(
    common: &Common,
    command: Validators,
) -> Result<Answer, ClientError> {
    let mut node = common.connect().await?;
    let mut set = current(&mut node).await?;
    let sign = match command {
        Validators::Show => return Ok(shown(&set)),
        Validators::Add(add) => {
            let origin = node.genesis().await?.message().origin.clone();
            let name = add.name.clone().unwrap_or_else(|| format!("{origin}/{}", add.party));
            let member = Validator {
                party: add.party.clone(),
                name,
                power: add.power,
                ..Validator::default()
            };
            set.push(with_keys(member, common, &add.keys_of)?);
            Box::new(add.sign)
        }
        Validators::Remove { identity, sign } => {
            set.remove(place(common, &set, &identity)?);
            sign
        }
        Validators::Rotate { identity, keys_of, sign } => {
            let member = set.remove(place(common, &set, &identity)?);
            set.push(with_keys(member, common, &keys_of)?);
            sign
        }
    };
    set.sort_by_key(id);
    let event = ValidatorsChanged { validators: Some(ValidatorSet { validators: set }) };
    act(common, &sign, SubjectKind::Validators, "current", Act::ValidatorsChanged(event)).await
}

pub(crate) async fn protocol(common: &Common, command: Protocol) -> Result<Answer, ClientError> {
    let Protocol::Activate { version, height, sign } = command;
    let event = Act::ProtocolActivated(ProtocolActivated { version, height });
    act(common, &sign, SubjectKind::Ledger, "genesis", event).await
}

/// The validators as the ledger has them.
async fn current(node: &mut Node) -> Result<Vec<Validator>, ClientError> {
    let found = node.record(VALIDATORS, 0, 0, false).await?;
    match found.record.and_then(|record| record.body) {
        Some(Body::Validators(set)) => Ok(set.validators),
        _ => Err(ClientError::absent(VALIDATORS)),
    }
}

fn id(member: &Validator) -> KeyId {
    KeyId(sha256(&[&member.vote_key]))
}

fn place(common: &Common, set: &[Validator], identity: &str) -> Result<usize, ClientError> {
    let wanted = key_id(common, identity)?;
    let place = set.iter().position(|member| id(member) == wanted);
    place.ok_or_else(|| ClientError::absent(format!("validator {wanted}")))
}

/// The same validator with the public keys of a directory.
pub(crate) fn with_keys(
    member: Validator,
    common: &Common,
    directory: &std::path::Path,
) -> Result<Validator, ClientError> {
    let read = |name: &str| {
        let path = directory.join(format!("{name}.pub"));
        Ok::<_, ClientError>(common.read_public_key(&path.to_string_lossy())?.to_vec().into())
    };
    Ok(Validator {
        vote_key: read("vote")?,
        log_key: read("log")?,
        cosign_key: read("cosign")?,
        receipt_key: read("receipt")?,
        ..member
    })
}

fn shown(set: &[Validator]) -> Answer {
    let member = |member: &Validator| {
        json!({
            "identity": id(member).to_string(), "party": member.party, "name": member.name,
            "power": member.power, "vote_key": hex(&member.vote_key), "log_key": hex(&member.log_key),
            "cosign_key": hex(&member.cosign_key), "receipt_key": hex(&member.receipt_key),
        })
    };
    let value = json!({ "validators": set.iter().map(member).collect::<Vec<Value>>() });
    let text = text::render(&value);
    Answer::new("validators", value, text)
}
