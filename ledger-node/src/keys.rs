//! `keys`: a node's keys, those that it has and those that it will have. A validator whose keys change holds both until the change is
//! in force, and uses at each height those that are in the set.

use std::fs;
use std::path::{Path, PathBuf};

use ledger_api::NodeKeys;
use ledger_client::{ClientError, json, keys};
use ledger_event::Validator;
use serde_json::{Value, json};

use crate::args::{KeysArgs, KeysCommand};
use crate::failure::Failure;
use crate::open::Layout;
use crate::report::{self, Output};
use crate::setup::{node_keys, write_node_keys};

/// Names of a node's keys.
const NAMES: [&str; 4] = ["vote", "log", "cosign", "receipt"];

/// Keys of one validator, for each height that has them in its set.
#[derive(Debug)]
pub struct KeySet {
    /// Signs votes and proposals.
    pub vote: ed25519_dalek::SigningKey,
    /// Sign what the node answers.
    pub node: NodeKeys,
}

impl Layout {
    /// Where keys wait that are not in the set yet.
    pub fn next_keys(&self) -> PathBuf {
        self.keys().join("next")
    }

    /// Where keys are kept that were in the set.
    fn former_keys(&self) -> PathBuf {
        self.keys().join("former")
    }

    /// Reads the node's keys, and those that wait beside them. They are not encrypted: the node must start unattended, and the files
    /// are its user's alone.
    ///
    /// # Errors
    /// `CLIENT_KEY` and its kin.
    pub fn read_keys(&self) -> Result<Vec<KeySet>, Failure> {
        let mut sets = vec![read(&self.keys())?];
        for waiting in [self.next_keys(), self.former_keys()] {
            if waiting.exists() {
                sets.push(read(&waiting)?);
            }
        }
        Ok(sets)
    }
}

fn read(directory: &Path) -> Result<KeySet, Failure> {
    let refuse = || Err(ClientError::key("a node's key must not be encrypted"));
    let read = |name: &str| {
        let path = directory.join(format!("{name}.pem"));
        if matches!(path.try_exists(), Ok(false)) {
            return Err(Failure::keys(format!("{}: there is no such file", path.display())));
        }
        Ok(keys::read(&path, refuse)?)
    };
    let node = NodeKeys { log: read("log")?, cosign: read("cosign")?, receipt: read("receipt")? };
    Ok(KeySet { vote: read("vote")?, node })
}

/// `keys`.
///
/// # Errors
/// `CLIENT_KEY_EXISTS` where keys would be overwritten, or what cannot be read or written.
pub(crate) fn run(args: &KeysArgs, output: Output) -> Result<(), Failure> {
    let layout = Layout(args.data_dir.clone());
    match args.command {
        KeysCommand::New => make(&layout, &layout.keys())?,
        KeysCommand::Next => {
            // A node without keys of its own has nothing to change.
            read(&layout.keys())?;
            make(&layout, &layout.next_keys())?;
        }
        KeysCommand::Promote => promote(&layout)?,
        KeysCommand::Show => {}
    }
    show(&layout, output)
}

/// Makes keys of a node in a directory. Nothing is overwritten.
pub(crate) fn make(layout: &Layout, directory: &Path) -> Result<(), Failure> {
    write_node_keys(layout, directory, &node_keys()?)
}

/// The waiting keys take the place of the node's, which are kept beside them: a node that starts before the change is in force still
/// finds those that it needs.
fn promote(layout: &Layout) -> Result<(), Failure> {
    let (next, former) = (layout.next_keys(), layout.former_keys());
    match read(&next) {
        // They may be the only ones that the set lists: no change need have come in force since. One that was interrupted has some of
        // them there, and the rest still in use.
        Ok(_) if NAMES.iter().all(|name| former.join(format!("{name}.pem")).exists()) => {
            let why = format!(
                "{} has the keys before the last change; when `ledger-cli validator show` lists those in {}, delete it, and promote then",
                former.display(),
                layout.keys().display()
            );
            return Err(ClientError::key(why).into());
        }
        Err(_) if !next.exists() => {
            let why =
                format!("no keys wait in {}; `ledger-node keys next` makes them", next.display());
            return Err(ClientError::key(why).into());
        }
        // One that was interrupted is finished.
        _ => {}
    }
    fs::create_dir_all(&former).map_err(Failure::at(&former))?;
    for name in NAMES {
        for ending in ["pem", "pub"] {
            let file = format!("{name}.{ending}");
            let (own, waiting) = (layout.keys().join(&file), next.join(&file));
            if waiting.exists() {
                if own.exists() {
                    let kept = former.join(&file);
                    fs::rename(&own, &kept).map_err(Failure::at(&kept))?;
                }
                fs::rename(&waiting, &own).map_err(Failure::at(&own))?;
            }
        }
    }
    fs::remove_dir(&next).map_err(Failure::at(&next))
}

fn show(layout: &Layout, output: Output) -> Result<(), Failure> {
    let (mut lines, mut all) = (Vec::new(), serde_json::Map::new());
    let places = [("keys", layout.keys()), ("next", layout.next_keys())];
    for (name, directory) in places.into_iter().filter(|(_, directory)| directory.exists()) {
        let keys = public(&directory)?;
        let identity = keys["identity"].as_str().unwrap_or_default();
        lines.push(format!("{name:<6} {identity}  {}", directory.display()));
        all.insert(name.to_owned(), keys);
    }
    if all.is_empty() {
        let why = format!("none in {}; `ledger-node keys new` makes them", layout.keys().display());
        return Err(ClientError::key(why).into());
    }
    lines.push("\nnext: ledger-cli validator add, or rotate, with --keys-of and a directory with the .pub files".into());
    let text = lines.join("\n");
    report::result(output, &text, &Value::Object(all))
}

/// The public keys of a directory, as a validator set lists them.
fn public(directory: &Path) -> Result<Value, Failure> {
    let KeySet { vote, node } = read(directory)?;
    let key = |key: &ed25519_dalek::SigningKey| key.verifying_key().to_bytes().to_vec().into();
    let validator = Validator {
        vote_key: key(&vote),
        log_key: key(&node.log),
        cosign_key: key(&node.cosign),
        receipt_key: key(&node.receipt),
        ..Validator::default()
    };
    let bytes = ledger_format::message::encode(&validator);
    Ok(json!({
        "identity": keys::kid(&vote).to_string(),
        "directory": directory,
        "validator": json::to_json("Validator", &bytes)?,
    }))
}
