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
        keys::read(&path, refuse).map_err(of_node)
    };
    let node = NodeKeys { log: read("log")?, cosign: read("cosign")?, receipt: read("receipt")? };
    Ok(KeySet { vote: read("vote")?, node })
}

/// What is wrong with a file of the node's own keys. Nobody types a passphrase for those, and they are in no party's hands: the
/// validators give a node other ones.
fn of_node(error: ClientError) -> Failure {
    let help = match error.code.as_str() {
        "CLIENT_KEY_READABLE" => {
            "Restrict it: chmod 600 FILE. If somebody may have read it, the node needs other keys: `ledger-node keys next`, and docs/OPERATING.md, a member's keys change."
        }
        "CLIENT_KEY" => {
            "It has to be what `ledger-node keys new` or `init` wrote: PKCS#8 as PEM, of Ed25519, not encrypted. Put back your copy of all four, which belong together."
        }
        _ => return error.into(),
    };
    Failure { help: help.to_owned(), ..error.into() }
}

/// Why keys cannot be shown or take others' place.
fn cannot(why: String) -> Failure {
    let help = "Nothing was changed. `ledger-node keys show` shows the keys that are there; docs/OPERATING.md, a member's keys change, has the steps.";
    Failure { help: help.to_owned(), ..ClientError::key(why).into() }
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
            return Err(cannot(why));
        }
        Err(_) if !next.exists() => {
            let why =
                format!("no keys wait in {}; `ledger-node keys next` makes them", next.display());
            return Err(cannot(why));
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
    // What else somebody has put there is theirs, and in the way of the next keys only.
    fs::remove_dir(&next).map_err(|error| {
        let why = format!(
            "{}: {error}; the keys were promoted, and what else is there has to be moved away",
            next.display()
        );
        Failure::runtime(why)
    })
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
        return Err(cannot(why));
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::recover::tests::founded;

    /// A party's key can be revoked, and has a passphrase. A node's has neither.
    #[test]
    fn what_is_wrong_with_a_nodes_key_is_mended_as_a_nodes() {
        let directory = founded();
        let layout = Layout(directory.path().to_owned());
        let path = layout.keys().join("log.pem");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let readable = layout.read_keys().unwrap_err();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key").unwrap();
        let none = layout.read_keys().unwrap_err();
        let waiting = promote(&layout).unwrap_err();
        let codes = ["CLIENT_KEY_READABLE", "CLIENT_KEY", "CLIENT_KEY"];
        for (failure, code) in [readable, none, waiting].iter().zip(codes) {
            assert_eq!(failure.code, code);
            let help = &failure.help;
            assert!(!help.contains("revoke") && !help.contains("ledger-cli key"), "{help}");
            assert!(!help.contains("passphrase") && help.contains("keys"), "{help}");
        }
    }
}
