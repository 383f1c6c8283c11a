//! The founders' ceremony. Needs no node: there is none before genesis.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use ledger_client::ceremony::Ceremony;
use ledger_client::genesis::{GenesisPlan, NEWEST, default_limits};
use ledger_client::standing::Standing;
use ledger_client::{ClientError, json};
use ledger_event::{Clock, Founder, Limits, Role, Validator, ValidatorSet};
use ledger_format::digest::{LedgerId, hex};
use ledger_format::limits::MAX_FOUNDERS;
use ledger_rules::governance::document_digest;
use prost::Message;
use serde_json::{Value, json};

use crate::acts::governance::document;
use crate::acts::identity::{ProfileArgs, key_grant};
use crate::acts::validators::with_keys;
use crate::report::Answer;
use crate::session::{Common, read_text, refuse_existing, write_file, write_new};
use crate::text;
use crate::values::{GrantArg, Terms, instant, seconds};

/// Networks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// The founders' ceremony: one file that travels until all have signed. Needs no node
    #[command(subcommand)]
    Genesis(Genesis),
}

/// Steps of the ceremony.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Genesis {
    /// Begin a ceremony: what the ledger is to be, without founders yet
    #[command(after_help = "Example:
  ledger-cli network genesis new gba.ceremony \\
      --name 'Greater Bay Area provenance' --origin ledger.gzdex.example/gba \\
      --ruleset CN-NDA-2026.json --calendar CN-2026.json")]
    New(Box<New>),
    /// Add yourself: party, keys, and your validator. Who comes first issues genesis, and signs last
    #[command(
        name = "add-member",
        after_help = "Example:
  ledger-cli network genesis add-member gba.ceremony gzdex \\
      --name-en 'Guangzhou Data Exchange' --as exchange \\
      --as identity-authority --as node-operator \\
      --grant organisation=org-hsm \\
      --grant officer-1=officer-token,$COMMITMENT --keys-of node-keys"
    )]
    AddMember(Box<AddMember>),
    /// Take a member's part out again, to add it anew or without it. Only before the first signature
    #[command(
        name = "remove-member",
        after_help = "Example:
  ledger-cli network genesis remove-member gba.ceremony gzdex"
    )]
    RemoveMember {
        /// The ceremony's file; it is changed in place
        file: PathBuf,
        /// Id of the party
        party: String,
    },
    /// Sign the genesis that the founders agreed on, whose hash `--trust` states
    #[command(after_help = "Example:
  ledger-cli network genesis sign gba.ceremony --key organisation \\
      --trust GENESIS_HASH")]
    Sign(Sign),
    /// Check that all have signed, sign last, and write the genesis file for `ledger-node init`
    #[command(after_help = "Example:
  ledger-cli network genesis seal gba.ceremony --key organisation \\
      --trust GENESIS_HASH --to gba.genesis")]
    Seal {
        #[command(flatten)]
        sign: Sign,
        /// Where to write the genesis file; it must not exist
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Show the genesis, its hash, and who has signed
    Show {
        /// The ceremony's file
        file: PathBuf,
    },
}

/// Options of `new`.
#[derive(Clone, Debug, Args)]
pub(crate) struct New {
    /// The ceremony's file; must not exist
    file: PathBuf,
    /// Name of the ledger
    #[arg(long)]
    name: String,
    /// Origin line of its checkpoints: a host and path that the consortium controls, without scheme
    #[arg(long, value_name = "HOST/PATH")]
    origin: String,
    /// Version of the protocol from block 1 on: every member's program has to know it
    #[arg(long, value_name = "N", default_value_t = NEWEST, value_parser = clap::value_parser!(u32).range(1..=i64::from(NEWEST)))]
    protocol_version: u32,
    /// What header times mean. A declared clock follows what entries claim and proves no time
    #[arg(long, value_enum, default_value_t = ClockArg::Wall)]
    clock: ClockArg,
    /// Time before the first block, RFC 3339 or a date [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    start: Option<u64>,
    /// Founders that change rules and calendars together [default: more than two thirds of them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_FOUNDERS as i64))]
    threshold: Option<u32>,
    /// A rule set that all agree on: JSON of ledger.v1.RuleSet; again for each
    #[arg(long = "ruleset", value_name = "FILE")]
    rule_sets: Vec<PathBuf>,
    /// A calendar that all agree on: JSON of ledger.v1.Calendar; again for each
    #[arg(long = "calendar", value_name = "FILE")]
    calendars: Vec<PathBuf>,
    /// How long an entry with one signer may wait for its block [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    entry_window: Option<u64>,
    /// How long an entry with several signers may wait for its block [default: 14d]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    joint_entry_window: Option<u64>,
    /// How far clocks may be apart, in milliseconds [default: 60000]
    #[arg(long, value_name = "MS")]
    skew_ms: Option<u32>,
    /// Most bytes of a block [default: 4194304]
    #[arg(long, value_name = "BYTES")]
    block_bytes: Option<u32>,
    /// Most entries of a block [default: 8192]
    #[arg(long, value_name = "N")]
    block_entries: Option<u32>,
}

/// What header times mean.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClockArg {
    /// The proposers' clocks
    Wall,
    /// What entries claim
    Declared,
}

/// Options of `add-member`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AddMember {
    /// The ceremony's file; it is changed in place
    file: PathBuf,
    /// Id of the party: lower-case letters, digits, dots and hyphens
    party: String,
    #[command(flatten)]
    profile: ProfileArgs,
    /// A role of the party; again for each
    #[arg(long = "as", value_name = "ROLE", required = true, value_parser = Terms::<Role>::new())]
    granted: Vec<Role>,
    /// A key of the party, its class of custody, and the commitment to its officer; again for each. The first signs genesis
    #[arg(long = "grant", value_name = "KEY=FACTOR[,OFFICER]", required = true)]
    grants: Vec<GrantArg>,
    /// Directory with the public keys of the party's validator: vote.pub, log.pub, cosign.pub, receipt.pub
    #[arg(long, value_name = "DIR")]
    keys_of: Option<PathBuf>,
    /// Weight of the validator's vote
    #[arg(long, value_name = "N", default_value_t = 1, requires = "keys_of")]
    power: u32,
    /// Name of the validator in signatures of checkpoints [default: origin and party]
    #[arg(long, value_name = "NAME", requires = "keys_of")]
    validator_name: Option<String>,
}

/// A signature.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sign {
    /// The ceremony's file
    file: PathBuf,
    /// Your key, by name or path: the one that was granted first
    #[arg(short, long, value_name = "KEY")]
    key: String,
}

pub(crate) fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    let Command::Genesis(step) = command;
    match step {
        Genesis::New(new) => begin(&new),
        Genesis::AddMember(member) => add_member(common, &member),
        Genesis::RemoveMember { file, party } => {
            let mut ceremony = read(&file)?;
            ceremony.remove(&party)?;
            keep(write_file, &file, &ceremony)
        }
        Genesis::Sign(sign) => {
            let mut ceremony = read(&sign.file)?;
            ceremony.sign(&common.read_key(&sign.key)?, &stated(common)?)?;
            keep(write_file, &sign.file, &ceremony)
        }
        Genesis::Seal { sign, to } => seal(common, &sign, &to),
        Genesis::Show { file } => shown(&read(&file)?),
    }
}

fn begin(new: &New) -> Result<Answer, ClientError> {
    refuse_existing(&new.file)?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let sets = new.rule_sets.iter().map(|path| document("RuleSet", path));
    let calendars = new.calendars.iter().map(|path| document("Calendar", path));
    let ceremony = Ceremony::begin(GenesisPlan {
        name: new.name.clone(),
        origin: new.origin.clone(),
        protocol_version: new.protocol_version,
        clock: match new.clock {
            ClockArg::Wall => Clock::Wall,
            ClockArg::Declared => Clock::Declared,
        },
        start_ms: new.start.unwrap_or_else(now).saturating_mul(1000),
        founders: Vec::new(),
        governance_threshold: new.threshold.unwrap_or_default(),
        validators: ValidatorSet::default(),
        rule_sets: sets.collect::<Result<_, _>>()?,
        calendars: calendars.collect::<Result<_, _>>()?,
        limits: limits(new)?,
    })?;
    keep(write_new, &new.file, &ceremony)
}

fn limits(new: &New) -> Result<Limits, ClientError> {
    let usual = default_limits();
    let window = |given: Option<u64>, usual: u32| {
        let given = given.map(u32::try_from).transpose();
        let too_long =
            "--entry-window and --joint-entry-window: more seconds than a ledger can state";
        given.map(|given| given.unwrap_or(usual)).map_err(|_too_long| ClientError::usage(too_long))
    };
    Ok(Limits {
        entry_window_s: window(new.entry_window, usual.entry_window_s)?,
        joint_entry_window_s: window(new.joint_entry_window, usual.joint_entry_window_s)?,
        skew_ms: new.skew_ms.unwrap_or(usual.skew_ms),
        block_bytes: new.block_bytes.unwrap_or(usual.block_bytes),
        block_entries: new.block_entries.unwrap_or(usual.block_entries),
        ..usual
    })
}

fn add_member(common: &Common, member: &AddMember) -> Result<Answer, ClientError> {
    let mut ceremony = read(&member.file)?;
    let grants = member.grants.iter().map(|grant| key_grant(common, grant));
    let founder = Founder {
        party: member.party.clone(),
        profile: Some(member.profile.profile()?),
        roles: member.granted.iter().map(|role| i32::from(*role)).collect(),
        keys: grants.collect::<Result<_, _>>()?,
    };
    let name = member.validator_name.clone();
    let name = name.unwrap_or_else(|| format!("{}/{}", ceremony.plan().origin, member.party));
    let validator = Validator {
        party: member.party.clone(),
        name,
        power: member.power,
        ..Validator::default()
    };
    let keys_of = member.keys_of.as_deref();
    let validator = keys_of.map(|keys| with_keys(validator, common, keys)).transpose()?;
    ceremony.add(founder, validator)?;
    keep(write_file, &member.file, &ceremony)
}

fn seal(common: &Common, sign: &Sign, to: &Path) -> Result<Answer, ClientError> {
    refuse_existing(to)?;
    let ceremony = read(&sign.file)?;
    let (document, bytes) = ceremony.seal(&common.read_key(&sign.key)?, &stated(common)?)?;
    write_new(to, &bytes)?;
    let (id, path) = (document.id().to_string(), to.display().to_string());
    let text = format!(
        "genesis {id}\nwritten to {path}\n\nEvery founder, and every follower: ledger-node init --genesis {path} --trust {id} --data-dir DIR"
    );
    let value = json!({ "genesis": id, "file": path, "bytes": bytes.len() });
    Ok(Answer::new("genesis-sealed", value, text))
}

/// The hash that the founders agreed on: what a file says of itself is not enough to sign it.
fn stated(common: &Common) -> Result<LedgerId, ClientError> {
    let missing = || {
        ClientError::usage(
            "--trust HASH states which genesis the founders agreed on; `network genesis show` prints it",
        )
    };
    common.trust.ok_or_else(missing)
}

fn read(path: &Path) -> Result<Ceremony, ClientError> {
    Ceremony::from_json(&read_text(path)?).map_err(|error| error.at(path.display()))
}

fn keep(
    write: impl Fn(&Path, &[u8]) -> Result<(), ClientError>,
    path: &Path,
    ceremony: &Ceremony,
) -> Result<Answer, ClientError> {
    write(path, ceremony.to_json().as_bytes())?;
    let mut answer = shown(ceremony)?;
    answer.text = format!("written to {}\n{}", path.display(), answer.text);
    answer.value["file"] = Value::from(path.display().to_string());
    Ok(answer)
}

/// Documents with their digests, as the genesis has them.
fn stated_in_full(kind: &str, all: &[impl Message]) -> Result<Vec<Value>, ClientError> {
    let stated = |document| {
        let digest = hex(&document_digest(document));
        Ok(json!({ "digest": digest, "document": json::message_to_json(kind, document)? }))
    };
    all.iter().map(stated).collect()
}

/// The whole genesis, for whoever is to sign it. Before it is complete, what is missing.
fn shown(ceremony: &Ceremony) -> Result<Answer, ClientError> {
    let plan = ceremony.plan();
    let value = match ceremony.document() {
        Ok(document) => {
            let standings = ceremony.standings()?;
            let row = |(party, kid, standing): &(String, _, Standing)| json!({ "party": party, "kid": ToString::to_string(kid), "state": standing.word() });
            json!({
                "genesis": document.id().to_string(),
                "signers": standings.iter().map(row).collect::<Vec<_>>(),
                "document": json::message_to_json("Genesis", document.message())?,
                // Behind the digests in the document: what block 1 publishes in the founders' name.
                "rule_sets": stated_in_full("RuleSet", &plan.rule_sets)?,
                "calendars": stated_in_full("Calendar", &plan.calendars)?,
            })
        }
        Err(error) => {
            let parties: Vec<&str> = plan.founders.iter().map(|f| f.party.as_str()).collect();
            json!({
                "genesis": null,
                "incomplete": error.message,
                "founders": parties,
                "name": plan.name,
                "origin": plan.origin,
            })
        }
    };
    let text = text::render(&value);
    Ok(Answer::new("genesis", value, text))
}
