//! `restore`: a follower's store from an exported chain, which must contain a block that the operator trusts already.
//!
//! The chain is verified whole, by the verifier of `ledger-cli verify chain`, while its blocks are written beside the data directory's
//! own places. They are moved there once the verdict is good; before that nothing of them is anybody's ledger, and a second attempt
//! begins anew.

use std::fs;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ledger_client::chain::verify_executed;
use ledger_client::keys::kid;
use ledger_format::block::Block;
use ledger_format::digest::{BlockHash, Hash, KeyId, hex};
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::note::{Checkpoint, Note};
use ledger_format::validators::Validators;
use ledger_replay::{Executed, Ledger};
use ledger_store::{DataDirectory, Held, Noted, Store};
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::verdict::Verdict;
use serde_json::json;

use crate::args::RestoreArgs;
use crate::failure::Failure;
use crate::open::{Layout, read_short};
use crate::replica_loop::now_ms;
use crate::report::{self, Output};
use crate::stored;

/// Bytes that are read at once.
const READ_BYTES: usize = 1024 * 1024;
/// Where blocks are written before the verdict.
const STAGE: &str = "restoring";

/// The block that the operator trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pin {
    /// By its hash.
    Block(BlockHash),
    /// By the log after it.
    Tree { size: u64, root: Hash },
}

impl Pin {
    /// Reads a block hash in hex, or a file with a checkpoint. Who signed the note does not matter: the operator vouches for it.
    fn read(text: &str, genesis: &GenesisDocument) -> Result<Self, Failure> {
        if let Ok(hash) = BlockHash::from_hex(text) {
            return Ok(Self::Block(hash));
        }
        let wrong = |why: &dyn std::fmt::Display| Failure::checkpoint(format!("{text}: {why}"));
        let bytes = read_short(Path::new(text)).map_err(|error| wrong(&error))?;
        let note = String::from_utf8(bytes).map_err(|error| wrong(&error))?;
        let note = Note::decode(&note).map_err(|error| wrong(&error))?;
        let checkpoint = Checkpoint::decode(&note.text).map_err(|error| wrong(&error))?;
        let origin = &genesis.message().origin;
        if checkpoint.origin != *origin {
            return Err(wrong(&format!("of log {}, not {origin}", checkpoint.origin)));
        }
        Ok(Self::Tree { size: checkpoint.size, root: checkpoint.root })
    }

    /// Holds a block against it: whether it is the one, or shows that the pinned one is of another history; `None`: one that follows
    /// may tell. A hash has no height, so that no block contradicts it.
    fn judge(&self, header: &Header) -> Option<Result<(), Refuted>> {
        let place = || Place::block(header.height);
        match self {
            Self::Block(hash) => (header.hash() == *hash).then_some(Ok(())),
            Self::Tree { size, .. } if header.tree_size < *size => None,
            Self::Tree { size, .. } if header.tree_size > *size => {
                let detail =
                    format!("the checkpoint has {size} leaves, and no block ends with them");
                Some(Err(Refuted::new(Code::TreeSize, place(), detail)))
            }
            Self::Tree { root, .. } if header.tree_root == *root => Some(Ok(())),
            Self::Tree { root, .. } => {
                let (chain, pinned) = (hex(&header.tree_root), hex(root));
                let detail = format!("the chain has {chain}, the checkpoint {pinned}");
                Some(Err(Refuted::new(Code::TreeRoot, place(), detail)))
            }
        }
    }
}

/// `restore`.
///
/// # Errors
/// `NODE_EXISTS`, `STORE_LOCKED`, `NODE_CHECKPOINT`, the verifier's code (also where a checkpoint is of another history than the chain), or what cannot be read or written. Nothing is left behind then but a file for the lock, and `restoring` where it cannot be removed: the next attempt begins anew there.
pub(crate) fn restore(args: &RestoreArgs, output: Output) -> Result<(), Failure> {
    let layout = Layout(args.data_dir.clone());
    let genesis = layout.read_genesis()?.document;
    let votes: Vec<KeyId> = layout.read_keys()?.iter().map(|keys| kid(&keys.vote)).collect();
    refuse_validator(&votes, genesis.validators())?;
    let stage = args.data_dir.join(STAGE);
    let _held = hold(&stage, &args.data_dir)?;
    let pin = Pin::read(&args.checkpoint, &genesis)?;
    let staged = fill(&stage, &genesis, &args.snapshot, &pin).and_then(|(head, ledger)| {
        refuse_validator(&votes, ledger.validators())?;
        refuse_validator(&votes, ledger.next_validators())?;
        Ok(head)
    });
    report::progress_done();
    let head = match staged {
        Ok(head) => head,
        Err(failure) => {
            // It may not have come so far as to be made; what failed first is what is told.
            let _gone = fs::remove_dir_all(&stage);
            return Err(failure);
        }
    };
    move_in(&stage, &args.data_dir)?;
    let (height, size) = (head.height, head.tree_size);
    let hash = head.hash();
    let text = format!(
        "verified and restored {height} blocks, {size} leaves; the last block is {hash}\n\nnext: ledger-node run --data-dir {}",
        args.data_dir.display()
    );
    let json = json!({ "height": height, "tree_size": size, "block": hash.to_string() });
    report::result(output, &text, &json)
}

/// What is moved into its place once everything has been verified, in this order.
const PARTS: [&str; 3] = ["store", "wal", "FORMAT"];

/// Refuses a directory in which a node has run. One that waited for block 1 leaves the same parts as one with blocks, so they are named.
fn refuse_parts(data_dir: &Path) -> Result<(), Failure> {
    let there: Vec<&str> = PARTS.into_iter().filter(|part| data_dir.join(part).exists()).collect();
    if there.is_empty() {
        return Ok(());
    }
    let (directory, parts) = (data_dir.display(), there.join(", "));
    let noted = Noted::read(data_dir)?;
    let exists = Failure::exists(format!("{directory} has {parts}"));
    if noted.is_none_or(|noted| noted.height > 0 || !noted.has_ended) {
        return Err(exists);
    }
    let help = format!(
        "As far as it has noted, the node that ran here got no block: move {parts} away, and restore then."
    );
    Err(Failure { help, ..exists })
}

/// Locks a directory that no node has run in, and makes it as it was before any attempt. The lock is held until everything is in its
/// place: a second restore would take back what the first is moving in.
fn hold(stage: &Path, data_dir: &Path) -> Result<Held, Failure> {
    // A node that runs there has the lock, and is no reason to wait.
    if data_dir.join("FORMAT").exists() {
        refuse_parts(data_dir)?;
    }
    let held = DataDirectory::hold(data_dir)?;
    take_back(stage, data_dir)?;
    refuse_parts(data_dir)?;
    Ok(held)
}

/// Takes back what an attempt had moved that died before it was done: what it was pinned to, nobody knows any more. The directory has
/// its `FORMAT` last, and from the first start of a node.
fn take_back(stage: &Path, data_dir: &Path) -> Result<(), Failure> {
    let is_moving = stage.exists() && !stage.join("store").exists();
    if !is_moving || data_dir.join("FORMAT").exists() {
        return Ok(());
    }
    for part in PARTS {
        let (from, to) = (data_dir.join(part), stage.join(part));
        if from.exists() {
            fs::rename(&from, &to).map_err(Failure::at(&to))?;
        }
    }
    Ok(())
}

/// Moves what has been verified into its place.
fn move_in(stage: &Path, data_dir: &Path) -> Result<(), Failure> {
    for part in PARTS {
        let (from, to) = (stage.join(part), data_dir.join(part));
        if from.exists() {
            fs::rename(&from, &to).map_err(Failure::at(&to))?;
        }
    }
    fs::remove_dir_all(stage).map_err(Failure::at(stage))
}

/// What a validator has signed is not in a chain file: who votes on after it may contradict that.
fn refuse_validator(votes: &[KeyId], validators: &Validators) -> Result<(), Failure> {
    if votes.iter().any(|vote| validators.get(vote).is_some()) {
        return Err(Failure::config(
            "restore: a vote key is a validator's, which may have signed more than the file shows",
        ));
    }
    Ok(())
}

/// Verifies a chain file and writes its blocks to a store. Gives the last header, and the ledger after it.
fn fill(
    stage: &Path,
    genesis: &GenesisDocument,
    snapshot: &Path,
    pin: &Pin,
) -> Result<(Header, Ledger), Failure> {
    let directory = DataDirectory::open_or_create(stage, &genesis.id())?;
    // What an attempt left that died.
    clear(&stage.join("store"))?;
    let store = Store::open(directory)?;
    let file = File::open(snapshot).map_err(Failure::at(snapshot))?;
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let (mut written, mut head, mut pinned) = (Ok(()), None, None);
    let keep = |block: &Block, executed: &Executed| {
        pinned = pinned.take().or_else(|| pin.judge(&executed.header));
        head = Some(executed.header.clone());
        if written.is_ok() {
            written = stored::put(block, executed, |new| store.commit(new));
        }
    };
    let progress = |progress: ledger_client::chain::Progress| {
        if progress.blocks.is_multiple_of(100) {
            report::progress(&format!("verified {} blocks", progress.blocks));
        }
    };
    let verified = verify_executed(&mut reader, Some(&genesis.id()), keep, progress);
    // Whatever is wrong with the file beside, a disk that took no block is what has to be mended first.
    written?;
    let verified = verified?;
    match &verified.report.verdict {
        Verdict::Proven => {}
        verdict => return Err(Failure::snapshot(verdict)),
    }
    store.flush()?;
    match (head, verified.replay, pinned) {
        (_, _, Some(Err(refuted))) => Err(Failure::other_history(&refuted)),
        (Some(head), Some(replay), Some(Ok(()))) => {
            let Header { height, tree_size, time_ms, .. } = head;
            let noted = Noted { height, tree_size, time_ms, noted_ms: now_ms(), has_ended: true };
            // Nothing depends on it.
            let _written = noted.write(stage);
            Ok((head, replay.into_ledger()))
        }
        (head, ..) => {
            let height = head.map_or(0, |head| head.height);
            Err(Failure::checkpoint(format!("none of the {height} blocks is the pinned one")))
        }
    }
}

fn clear(directory: &Path) -> Result<(), Failure> {
    fs::remove_dir_all(directory).map_err(Failure::at(directory))?;
    fs::create_dir(directory).map_err(Failure::at(directory))
}

#[cfg(test)]
mod tests {
    use ledger_format::digest::LedgerId;

    use super::*;

    fn after(height: u64, tree_size: u64, tree_root: Hash) -> Header {
        Header {
            protocol_version: 1,
            ledger: LedgerId([1; 32]),
            height,
            previous: [2; 32],
            time_ms: height,
            proposer: KeyId([3; 32]),
            tree_size,
            tree_root,
            state_root: [4; 32],
            validators: [5; 32],
            next_validators: [5; 32],
        }
    }

    #[test]
    fn a_checkpoint_within_a_chain_is_its_own_or_of_another_history() {
        let pin = Pin::Tree { size: 5, root: [9; 32] };
        let code = |header| pin.judge(&header).map(|judged| judged.map_err(|why| why.code));
        assert_eq!(code(after(2, 4, [8; 32])), None);
        assert_eq!(code(after(3, 5, [9; 32])), Some(Ok(())));
        assert_eq!(code(after(3, 5, [8; 32])), Some(Err(Code::TreeRoot)));
        assert_eq!(code(after(3, 6, [9; 32])), Some(Err(Code::TreeSize)));

        let refuted = pin.judge(&after(3, 5, [8; 32])).unwrap().unwrap_err();
        let told = Failure::other_history(&refuted);
        assert_eq!((told.code.as_str(), told.exit), ("V_TREE_ROOT", 10));
        assert!(told.message.contains("at height 3"), "{told:?}");
        assert!(told.help.contains("ledger-cli evidence compare"), "{told:?}");

        let hash = Pin::Block(after(3, 5, [9; 32]).hash());
        assert_eq!(hash.judge(&after(3, 5, [9; 32])), Some(Ok(())));
        assert_eq!(hash.judge(&after(4, 7, [9; 32])), None);
    }

    /// As while the first restore moves its parts in: the store has its place, the log has not.
    #[test]
    fn a_second_restore_takes_nothing_back_while_another_is_under_way() {
        let directory = tempfile::tempdir().unwrap();
        let (stage, data_dir) = (directory.path().join(STAGE), directory.path());
        let first = hold(&stage, data_dir).unwrap();
        for part in [stage.join("wal"), data_dir.join("store")] {
            fs::create_dir_all(part).unwrap();
        }
        assert_eq!(hold(&stage, data_dir).unwrap_err().code, "STORE_LOCKED");
        assert!(data_dir.join("store").exists());
        drop(first);
        let _second = hold(&stage, data_dir).unwrap();
        assert!(stage.join("store").exists() && !data_dir.join("store").exists());
        // Where everything has been moved in, nobody waits for the lock.
        fs::write(data_dir.join("FORMAT"), "").unwrap();
        assert_eq!(hold(&stage, data_dir).unwrap_err().code, "NODE_EXISTS");
    }

    /// The parts are there in both cases, and only in one of them is there anything in them.
    #[test]
    fn what_is_in_the_way_is_named() {
        let directory = tempfile::tempdir().unwrap();
        refuse_parts(directory.path()).unwrap();
        for part in ["store", "wal"] {
            fs::create_dir(directory.path().join(part)).unwrap();
        }
        let help = |height| {
            let noted = Noted { height, has_ended: true, ..Noted::default() };
            noted.write(directory.path()).unwrap();
            let refused = refuse_parts(directory.path()).unwrap_err();
            assert_eq!(refused.code, "NODE_EXISTS");
            assert!(refused.message.contains("has store, wal"), "{refused}");
            refused.help
        };
        assert!(help(0).contains("move store, wal away"));
        assert!(help(1).contains("nothing is ever overwritten"));
    }
}
