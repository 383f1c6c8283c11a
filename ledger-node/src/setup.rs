//! Making a new ledger of one validator: the node's keys, the founder's keys, the signed genesis.

use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use ledger_client::act::Signatory;
use ledger_client::genesis::{GenesisPlan, NEWEST, default_limits};
use ledger_client::{ClientError, json, keys};
use ledger_event::{
    Calendar, Clock, Factor, Founder, KeyGrant, PartyProfile, Purpose, Role, RuleSet, Validator,
    ValidatorSet,
};
use ledger_format::digest::{LedgerId, sha256};
use ledger_store::{VoteLock, VoteMode, write_durably};
use rust_embed::RustEmbed;

use crate::failure::Failure;
use crate::founding::{self, Founding};
use crate::open::Layout;

/// Rule sets and calendars that come with the program.
#[derive(RustEmbed)]
#[folder = "data"]
#[include = "*.json"]
struct Documents;

/// Directory of the founder's private keys, which the node does not read.
pub(crate) const FOUNDER: &str = "founder";

/// A key of the founder with its class of custody.
#[derive(Clone, Debug)]
pub struct FounderKey {
    /// Name of its file.
    pub name: &'static str,
    /// Class of custody.
    pub factor: Factor,
    /// Which officer holds it; none for the organisation's own.
    pub officer: Option<&'static str>,
    /// The key.
    pub key: SigningKey,
}

/// What a new ledger is to be.
#[derive(Clone, Debug)]
pub struct NewLedger {
    /// Name of the ledger.
    pub name: String,
    /// Id of the founding party.
    pub party: String,
    /// What is public of it.
    pub profile: PartyProfile,
    /// Its roles.
    pub roles: Vec<Role>,
    /// What header times mean.
    pub clock: Clock,
    /// When the ledger begins, in milliseconds since 1970.
    pub start_ms: u64,
    /// Origin of checkpoints, a schema-less URL of the consortium's.
    pub origin: String,
}

/// The rule sets that come with the program.
///
/// # Errors
/// `CLIENT_DOCUMENT` if one of them is wrong.
pub fn rule_sets() -> Result<Vec<RuleSet>, ClientError> {
    documents("rulesets/", "RuleSet")
}

/// The working-day calendars that come with the program.
///
/// # Errors
/// `CLIENT_DOCUMENT` if one of them is wrong.
pub fn calendars() -> Result<Vec<Calendar>, ClientError> {
    documents("calendars/", "Calendar")
}

fn documents<M: prost::Message + Default>(folder: &str, name: &str) -> Result<Vec<M>, ClientError> {
    let mut paths: Vec<_> = Documents::iter().filter(|path| path.starts_with(folder)).collect();
    paths.sort();
    let read = |path: &std::borrow::Cow<'static, str>| {
        let file = Documents::get(path).ok_or_else(|| ClientError::document(path))?;
        let text = std::str::from_utf8(&file.data).map_err(ClientError::document)?;
        json::from_json(name, text)
    };
    paths.iter().map(read).collect()
}

/// Fresh keys of a founder: the organisation's own, and two officers'.
///
/// # Errors
/// `CLIENT_RANDOM`.
pub fn founder_keys() -> Result<Vec<FounderKey>, ClientError> {
    let key = |name, factor, officer| -> Result<FounderKey, ClientError> {
        Ok(FounderKey { name, factor, officer, key: keys::generate()? })
    };
    Ok(vec![
        key("organisation", Factor::OrgHsm, None)?,
        key("officer-1", Factor::OfficerToken, Some("officer-1"))?,
        key("officer-2", Factor::OfficerToken, Some("officer-2"))?,
    ])
}

/// A key as it is enrolled. The officer is a commitment; a demonstration's is to a name that says nothing.
pub fn grant(party: &str, key: &SigningKey, factor: Factor, officer: Option<&str>) -> KeyGrant {
    let commitment =
        officer.map(|officer| sha256(&[b"officer\0", party.as_bytes(), b"\0", officer.as_bytes()]));
    KeyGrant {
        public_key: key.verifying_key().to_bytes().to_vec().into(),
        factor: factor.into(),
        officer: commitment.map(|hash| hash.to_vec()).unwrap_or_default().into(),
    }
}

/// A new ledger of which nothing is on disk yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    layout: Layout,
    node: NodeKeyFiles,
    id: LedgerId,
    file: Vec<u8>,
}

/// Makes the directory of a new ledger: node keys and genesis file. Nothing is overwritten.
///
/// # Errors
/// `NODE_EXISTS` when there is a ledger, or what cannot be written.
pub fn create(path: &Path, plan: &NewLedger, founder: &[FounderKey]) -> Result<LedgerId, Failure> {
    prepare(path, plan, founder)?.write(|_| Ok(()))
}

fn refuse_existing(layout: &Layout) -> Result<(), Failure> {
    let exists = |what: &str| Failure::exists(format!("{} has {what}", layout.0.display()));
    if layout.genesis().exists() {
        return Err(exists("genesis"));
    }
    if layout.keys().exists() {
        let help = "Whose keys are those? For a network's genesis file: `ledger-node init --genesis`. If nobody needs them: move keys/ away.";
        return Err(Failure { help: help.to_owned(), ..exists("keys/, and no genesis") });
    }
    Ok(())
}

/// What [`create`] writes.
///
/// # Errors
/// `NODE_EXISTS` when there is a ledger, or what is wrong with the plan.
pub(crate) fn prepare(
    path: &Path,
    plan: &NewLedger,
    founder: &[FounderKey],
) -> Result<Prepared, Failure> {
    let layout = Layout(path.to_owned());
    founding::finish(path)?;
    refuse_existing(&layout)?;
    let node = node_keys()?;
    let genesis = GenesisPlan {
        name: plan.name.clone(),
        origin: plan.origin.clone(),
        protocol_version: NEWEST,
        clock: plan.clock,
        start_ms: plan.start_ms,
        founders: vec![Founder {
            party: plan.party.clone(),
            profile: Some(plan.profile.clone()),
            roles: plan.roles.iter().map(|role| i32::from(*role)).collect(),
            keys: founder.iter().map(|k| grant(&plan.party, &k.key, k.factor, k.officer)).collect(),
        }],
        governance_threshold: 1,
        validators: ValidatorSet { validators: vec![validator(&plan.party, &plan.origin, &node)] },
        rule_sets: rule_sets()?,
        calendars: calendars()?,
        limits: default_limits(),
    };
    let first = founder.first().ok_or_else(|| Failure::genesis("a founder without keys"))?;
    let role = plan.roles.first().copied().unwrap_or_default();
    let signatory = Signatory::new(&plan.party, role, Purpose::Issue, &first.key);
    let (document, file) = genesis.sign(&[signatory])?;
    Ok(Prepared { layout, node, id: document.id(), file })
}

impl Prepared {
    /// Writes it, with what else `more` writes into a directory that takes its place with the rest. What fails, or is broken off, can be
    /// tried again: nothing that would be in its way is left.
    ///
    /// # Errors
    /// What cannot be written.
    pub(crate) fn write(
        self,
        more: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<LedgerId, Failure> {
        let Self { layout, node, id, file } = self;
        let founding = Founding::begin(&layout.0)?;
        refuse_existing(&layout)?;
        let had_lock = layout.vote_lock().exists();
        let stage = Layout(founding.stage());
        let written = write_node_keys(&layout, &stage.keys(), &node)
            .and_then(|()| more(&stage.0))
            .and_then(|()| Ok(write_durably(&stage.genesis(), &file)?));
        if let Err(error) = written {
            if !had_lock {
                let _gone = fs::remove_file(layout.vote_lock());
            }
            return Err(error);
        }
        founding.whole()?;
        Ok(id)
    }
}

/// Takes keys away again that were made for what did not come to be: they would be in its way later.
fn remove_node_keys(directory: &Path, node: &NodeKeyFiles) {
    for (name, _) in node {
        keys::remove(&directory.join(format!("{name}.pem")));
    }
    let _gone = fs::remove_dir(directory);
}

/// The keys of a node with the names of their files.
pub(crate) type NodeKeyFiles = [(&'static str, SigningKey); 4];

/// Fresh keys of a node.
pub(crate) fn node_keys() -> Result<NodeKeyFiles, ClientError> {
    let key = keys::generate;
    Ok([("vote", key()?), ("log", key()?), ("cosign", key()?), ("receipt", key()?)])
}

/// Writes keys of a node. Nothing is overwritten. The vote lock is born with the first keys of a data directory, and names those that are
/// made there later: whoever brings keys to another one has no lock that names them.
pub(crate) fn write_node_keys(
    layout: &Layout,
    directory: &Path,
    node: &NodeKeyFiles,
) -> Result<(), Failure> {
    let is_first = !layout.keys().exists() && !layout.vote_lock().exists();
    let files = node.iter().map(|(name, key)| (directory.join(format!("{name}.pem")), key));
    if let Err(error) = keys::write_all(files, None) {
        // Not if somebody's keys are in it.
        let _gone = fs::remove_dir(directory);
        return Err(error.into());
    }
    let [(_, vote), ..] = node;
    let vote = keys::kid(vote);
    let locked = if is_first {
        VoteLock { mode: VoteMode::Votes, keys: [vote].into() }.write(&layout.0)
    } else {
        VoteLock::add(&layout.0, vote)
    };
    if let Err(error) = locked {
        remove_node_keys(directory, node);
        return Err(error.into());
    }
    Ok(())
}

/// A validator of one vote, as genesis lists it.
pub(crate) fn validator(party: &str, origin: &str, node: &NodeKeyFiles) -> Validator {
    let [vote, log, cosign, receipt] = node;
    let public = |(_, key): &(&str, SigningKey)| key.verifying_key().to_bytes().to_vec().into();
    Validator {
        party: party.to_owned(),
        name: format!("{origin}/{party}"),
        power: 1,
        vote_key: public(vote),
        log_key: public(log),
        cosign_key: public(cosign),
        receipt_key: public(receipt),
    }
}
