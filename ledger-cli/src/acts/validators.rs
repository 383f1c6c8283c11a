//! The validators and the protocol: who signs blocks, and by which version.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::genesis::NEWEST;
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

/// How many validators an error names: an error is a line or two.
const NAMED: usize = 8;

/// Validators. Each change is one act, which parties of more than two thirds of the power sign, of the set before and of the set after
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Validators {
    /// Show the validators of the ledger
    Show,
    /// Add a validator. Its party signs as well
    #[command(after_help = "Example:
  ledger-cli validator add hkdex --keys-of hkdex-keys --key szdex-org \\
      --with gzdex-org.pub --with hkdex-org.pub --draft add.draft")]
    Add(Box<Add>),
    /// Remove a validator
    #[command(after_help = "Example:
  ledger-cli validator remove ID --key szdex-org --with gzdex-org.pub \\
      --draft remove.draft")]
    Remove {
        /// Identity of the validator: SHA-256 of its vote key
        identity: String,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Give a validator other keys. Its party signs as well
    #[command(after_help = "Example:
  ledger-cli validator rotate ID --keys-of /var/lib/ledger/keys/next \\
      --key hkdex-org --with szdex-org.pub --draft rotate.draft")]
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
  ledger-cli protocol activate 2 --height 120000 --key szdex-org \\
      --with gzdex-org.pub --with hkdex-org.pub --draft v2.draft")]
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
            set.push(with_new_keys(member, common, &add.keys_of, &set)?);
            Box::new(add.sign)
        }
        Validators::Remove { identity, sign } => {
            set.remove(place(common, &set, &identity)?);
            sign
        }
        Validators::Rotate { identity, keys_of, sign } => {
            let place = place(common, &set, &identity)?;
            let member = set.get(place).cloned().unwrap_or_default();
            let member = with_new_keys(member, common, &keys_of, &set)?;
            set.remove(place);
            set.push(member);
            sign
        }
    };
    set.sort_by_key(id);
    let event = ValidatorsChanged { validators: Some(ValidatorSet { validators: set }) };
    act(common, &sign, SubjectKind::Validators, "current", Act::ValidatorsChanged(event)).await
}

pub(crate) async fn protocol(common: &Common, command: Protocol) -> Result<Answer, ClientError> {
    let Protocol::Activate { version, height, sign } = command;
    known(version)?;
    let event = Act::ProtocolActivated(ProtocolActivated { version, height });
    act(common, &sign, SubjectKind::Ledger, "genesis", event).await
}

/// Refuses a version that this program does not know: what comes with it does not know it either, and every node of it would stop
/// below the height.
fn known(version: u32) -> Result<(), ClientError> {
    if (1..=NEWEST).contains(&version) {
        return Ok(());
    }
    Err(ClientError::protocol(format!("version {version}; the newest that it knows is {NEWEST}")))
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
    let wanted = key_id(common, identity).map_err(|error| naming_validators(error, set))?;
    let place = set.iter().position(|member| id(member) == wanted);
    let absent = || ClientError::absent(format!("validator {wanted}"));
    place.ok_or_else(|| naming_validators(absent(), set))
}

/// What a validator is named by, and those of a set: a party may have been meant, or one that has left.
fn naming_validators(mut error: ClientError, set: &[Validator]) -> ClientError {
    let named = |member: &Validator| format!("{} of {}", id(member), member.party);
    let mut all: Vec<String> = set.iter().take(NAMED).map(named).collect();
    if set.len() > NAMED {
        all.push(format!("and {} more", set.len() - NAMED));
    }
    error.help = format!(
        "A validator is named by its identity, SHA-256 of its vote key, or by the file of that key, and not by its party: `ledger-cli validator show`. The validators are {}.",
        all.join(", ")
    );
    error
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

/// The same, of keys that no validator of a set has.
fn with_new_keys(
    member: Validator,
    common: &Common,
    directory: &std::path::Path,
    set: &[Validator],
) -> Result<Validator, ClientError> {
    let member = with_keys(member, common, directory)?;
    match taken(&member, set) {
        None => Ok(member),
        Some((name, other)) => {
            let (path, id, party) = (directory.display(), id(other), &other.party);
            let why = format!("{path}/{name}.pub is a key of validator {id} of {party}");
            let help = "`ledger-cli validator show` lists the keys of all. The operator makes new ones: `ledger-node keys next`, or `ledger-node keys new` at a node that has none.";
            Err(ClientError { help: help.to_owned(), ..ClientError::usage(why) })
        }
    }
}

/// Which of a validator's keys another has already, and who. The ledger would refuse the set and name neither.
fn taken<'a>(member: &Validator, set: &'a [Validator]) -> Option<(&'static str, &'a Validator)> {
    let keys = |of: &Validator| {
        let (log, cosign) = (of.log_key.clone(), of.cosign_key.clone());
        [
            ("vote", of.vote_key.clone()),
            ("log", log),
            ("cosign", cosign),
            ("receipt", of.receipt_key.clone()),
        ]
    };
    keys(member).into_iter().find_map(|(name, key)| {
        let has = |other: &&Validator| keys(other).iter().any(|(_, theirs)| *theirs == key);
        Some((name, set.iter().find(has)?))
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
    Answer::list("validators", "validators", value, text)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::args::Cli;

    fn set(parties: &[&str]) -> Vec<Validator> {
        let member = |(party, number): (&&str, u8)| Validator {
            party: (*party).to_owned(),
            vote_key: vec![number; 32].into(),
            ..Validator::default()
        };
        parties.iter().zip(1..).map(member).collect()
    }

    #[test]
    fn validators_are_a_list_with_a_line_for_each() {
        let answer = shown(&set(&["gzdex", "hkdex"]));
        let rows = answer.rows.and_then(|rows| answer.value.get(rows)?.as_array());
        assert_eq!(rows.map(Vec::len), Some(2));
    }

    #[test]
    fn whose_keys_are_taken_is_named() {
        let keys = |number: u8| Validator {
            party: format!("exchange-{number}"),
            vote_key: vec![number; 32].into(),
            log_key: vec![number + 1; 32].into(),
            cosign_key: vec![number + 2; 32].into(),
            receipt_key: vec![number + 3; 32].into(),
            ..Validator::default()
        };
        let two = [keys(10), keys(20)];
        let named = |member: &Validator| {
            taken(member, &two).map(|(name, other)| (name, other.party.clone()))
        };
        assert_eq!(named(&keys(30)), None);
        assert_eq!(named(&keys(20)), Some(("vote", "exchange-20".to_owned())));
        let shared = Validator { receipt_key: two[0].log_key.clone(), ..keys(30) };
        assert_eq!(named(&shared), Some(("receipt", "exchange-10".to_owned())));
    }

    #[test]
    fn only_a_known_version_is_activated() {
        assert_eq!(known(NEWEST), Ok(()));
        for unknown in [0, NEWEST + 1, u32::MAX] {
            let error = known(unknown).unwrap_err();
            assert_eq!(error.code, "CLIENT_PROTOCOL");
            assert!(error.message.contains(&format!("is {NEWEST}")), "{error}");
        }
    }

    #[test]
    fn who_names_no_validator_is_told_which_there_are() {
        let call = ["ledger-cli", "--keys", "/nowhere", "validator", "show"];
        let call = crate::command().try_get_matches_from(call).unwrap();
        let common = Cli::from_arg_matches(&call).unwrap().common;
        let two = set(&["gzdex", "hkdex"]);
        assert_eq!(place(&common, &two, &id(&two[1]).to_string()), Ok(1));
        // The party of a validator, a party that runs none, and the identity of one that has left.
        let gone = "ab".repeat(32);
        for (named, code) in
            [("gzdex", "CLIENT_FILE"), ("acme", "CLIENT_FILE"), (gone.as_str(), "CLIENT_ABSENT")]
        {
            let error = place(&common, &two, named).unwrap_err();
            assert_eq!(error.code, code);
            assert!(error.message.contains(named), "{error:?}");
            assert!(error.help.contains("`ledger-cli validator show`"), "{error:?}");
            for member in &two {
                let named = format!("{} of {}", id(member), member.party);
                assert!(error.help.contains(&named), "{error:?}");
            }
        }
        let help = place(&common, &set(&["p"; 11]), &gone).unwrap_err().help;
        assert_eq!(help.matches(" of p").count(), NAMED, "{help}");
        assert!(help.ends_with("and 3 more."), "{help}");
    }
}
