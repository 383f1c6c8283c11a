//! A node of a network: a data directory from the genesis file that all founders signed.

use std::fmt::Display;
use std::path::Path;

use ledger_client::genesis;
use ledger_format::digest::LedgerId;
use ledger_format::genesis_file::GenesisFile;
use ledger_format::validators::{Member, Validators};
use ledger_store::write_durably;
use serde_json::json;

use crate::failure::Failure;
use crate::founding::{self, Founding};
use crate::keys::{KeySet, make};
use crate::open::{Layout, read_short};
use crate::report::{self, Output};

/// What is said of a hash that nobody stated: any file of founders that signed one another's genesis gets here.
const TO_COMPARE: &str = "This hash was compared with nothing. Compare it with the one that the founders published, and get that \
                          another way than the file: whoever trusts it can verify everything, and a file with another hash is \
                          another ledger.";
/// What is said of the stated hash.
const COMPARED: &str =
    "It is the hash that --trust states: whoever trusts it can verify everything.";

/// `init --genesis`: makes the directory of a node, with fresh keys unless it has some.
///
/// # Errors
/// `NODE_EXISTS` when there is a ledger, `NODE_GENESIS` for a file that not every founder has signed as it is, or whose hash is not the
/// stated one, `NODE_KEYS` when the node's keys are only in part those that genesis lists.
pub(crate) fn from_genesis(
    path: &Path,
    trust: Option<LedgerId>,
    data_dir: &Path,
    output: Output,
) -> Result<(), Failure> {
    let layout = Layout(data_dir.to_owned());
    founding::finish(data_dir)?;
    if layout.genesis().exists() {
        return Err(Failure::exists(data_dir.display()));
    }
    let unread = |error| Failure::genesis(format!("{}: {error}", path.display()));
    let bytes = read_short(path).map_err(unread)?;
    let wrong = |why: &dyn Display| Failure::genesis(format!("{}: {why}", path.display()));
    let file = GenesisFile::decode(bytes.clone().into()).map_err(|error| wrong(&error))?;
    genesis::check(&file).map_err(|error| wrong(&error))?;
    let id = file.document.id();
    if let Some(trust) = trust.filter(|trust| *trust != id) {
        return Err(wrong(&format!("its hash is {id}, --trust states {trust}")));
    }
    let founding = Founding::begin(data_dir)?;
    let stage = Layout(founding.stage());
    let keys = if layout.keys().exists() {
        layout.read_keys()?
    } else {
        make(&layout, &stage.keys())?;
        stage.read_keys()?
    };
    let own = keys
        .first()
        .map(|keys| member_with(file.document.validators(), keys))
        .transpose()?
        .flatten();
    write_durably(&stage.genesis(), &bytes)?;
    founding.whole()?;
    let role = if own.is_some() { "validator" } else { "follower" };
    let note = if trust.is_some() { COMPARED } else { TO_COMPARE };
    let text = format!(
        "genesis {id}\n\n{note}\n\n\
         role          {role}\nnode keys     {}\n\nnext: ledger-node run --data-dir {} --role {role}, with the peers in its config.toml",
        layout.keys().display(),
        data_dir.display(),
    );
    let json = json!({ "genesis": id.to_string(), "compared": trust.is_some(), "note": note, "data_dir": data_dir, "role": role });
    report::result(output, &text, &json)
}

/// The validator of a set that the node is, if it is one: all of its keys or none are that validator's.
///
/// # Errors
/// `NODE_KEYS`.
pub(crate) fn member_with<'a>(
    set: &'a Validators,
    keys: &KeySet,
) -> Result<Option<&'a Member>, Failure> {
    let [vote, log, cosign, receipt] =
        [&keys.vote, &keys.node.log, &keys.node.cosign, &keys.node.receipt]
            .map(|key| key.verifying_key().to_bytes());
    for member in set.members() {
        let pairs = [
            (member.vote_key, vote),
            (member.log_key, log),
            (member.cosign_key, cosign),
            (member.receipt_key, receipt),
        ];
        match pairs.iter().filter(|(listed, own)| listed == own).count() {
            0 => {}
            4 => return Ok(Some(member)),
            _ => return Err(Failure::keys(&member.name)),
        }
    }
    Ok(None)
}
