//! `recover`, and what the vote lock says of a node's memory when it starts (docs/adr/0025).

use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use ledger_api::Shared;
use ledger_client::keys::kid;
use ledger_format::digest::KeyId;
use ledger_replay::Ledger;
use ledger_replica::{Replica, Settings, StartError};
use ledger_store::{Store, StoreError, VoteLock, VoteMode, Wal};
use serde_json::json;

use crate::args::RecoverArgs;
use crate::commands::resolved;
use crate::failure::Failure;
use crate::open::{Layout, Opened, lost, lost_note, open};
use crate::report::{self, Output};

/// What a node remembers of what its vote keys have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// All of it: the log is whole.
    Whole,
    /// It was lost, and comes back from others; or from the operator's word, where the others cannot go on without this node.
    Recovers {
        /// On the operator's word.
        alone: bool,
    },
    /// It may have been lost, and nobody has said so. No key of the node has a place now: it follows, and none ever votes.
    Stale,
    /// A follower signs nothing.
    NotNeeded,
}

impl Memory {
    /// Whether no key votes, whatever places they have.
    pub(crate) const fn is_silent(self) -> bool {
        matches!(self, Self::Recovers { .. } | Self::Stale)
    }
}

/// What a start finds of what was signed.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(crate) memory: Memory,
    pub(crate) wal: Wal,
    pub(crate) log: Vec<Vec<u8>>,
}

/// The consensus log, and whether it is all that the node's keys have signed. The lock is judged before the log is opened, which may
/// make one, and written anew for what is there then. One that vouches for nothing is left as it is: only `recover` mends it.
///
/// # Errors
/// `NODE_VOTE_LOCK` when the lock vouches for nothing and a key of the node has a place.
pub(crate) fn recall(
    store: &Store,
    ledger: &Ledger,
    votes: &[SigningKey],
    is_follower: bool,
) -> Result<Recalled, Failure> {
    let directory = store.directory();
    // A key that the lock does not name has signed elsewhere, and its memory is there.
    let lock = VoteLock::read(directory.path())?
        .and_then(|lock| lock.names(votes.iter().map(kid)).map(|()| lock));
    let memory = match &lock {
        _ if is_follower => Memory::NotNeeded,
        Ok(VoteLock { mode: VoteMode::Votes, .. }) => Memory::Whole,
        Ok(VoteLock { mode, .. }) => Memory::Recovers { alone: *mode == VoteMode::Alone },
        Err(stale) if has_place(ledger, votes) => return Err(Failure::vote_lock(stale)),
        Err(_) => Memory::Stale,
    };
    let (mut wal, log) = Wal::open(&directory.wal())?;
    if let Ok(lock) = lock {
        // A process that dies between the two leaves a log in which the old lock finds its start.
        wal.begin()?;
        lock.write(directory.path())?;
    }
    warn(memory);
    Ok(Recalled { memory, wal, log })
}

fn has_place(ledger: &Ledger, votes: &[SigningKey]) -> bool {
    let sets = [ledger.validators(), ledger.next_validators()];
    sets.into_iter().any(|set| votes.iter().any(|key| set.get(&kid(key)).is_some()))
}

fn warn(memory: Memory) {
    match memory {
        Memory::Recovers { .. } => tracing::warn!(
            "recovering: following until no height is left at which this node may have voted"
        ),
        Memory::Stale => {
            let why = Failure::vote_lock("no key of this node has a place now");
            tracing::warn!(code = %why.code, "{}; none will vote before: {}", why.message, why.help);
        }
        Memory::Whole | Memory::NotNeeded => {}
    }
}

/// `recover`: the only way back for a node whose lock vouches for nothing.
///
/// # Errors
/// `NODE_RECOVER_ALONE` when the others cannot go on without it, `NODE_BLOCKS_LOST` when it is the only one and its log knows more blocks, or
/// what cannot be opened or written.
pub(crate) fn run(args: &RecoverArgs, output: Output) -> Result<(), Failure> {
    let data_dir = &args.dir.data_dir;
    let layout = Layout(data_dir.clone());
    let genesis = layout.read_genesis()?.document;
    let votes: Vec<SigningKey> = layout.read_keys()?.into_iter().map(|keys| keys.vote).collect();
    let own: Vec<KeyId> = votes.iter().map(kid).collect();
    let Opened { store, ledger } = open(data_dir, &genesis)?;
    let is_sole = Replica::is_sole(&ledger, &own);
    let is_outrun = is_sole && knows_others(args, &own)?;
    let mode = match args.alone {
        _ if is_outrun => VoteMode::Recovers,
        true if is_sole => VoteMode::Votes,
        true => VoteMode::Alone,
        false if Replica::can_recover(&ledger, &own) => VoteMode::Recovers,
        false => {
            let height = format!("at height {}", ledger.height().saturating_add(1));
            return Err(Failure::recover_alone(height));
        }
    };
    // A validator that nobody can tell anything goes on from its log, if it can.
    let log = store.directory().wal();
    let aside = mode != VoteMode::Votes || is_unusable(&log, &ledger, votes)?;
    if aside {
        set_log_aside(&log)?;
    }
    Wal::open(&log)?.0.begin()?;
    VoteLock { mode, keys: own.iter().copied().collect() }.write(data_dir)?;
    let ids: Vec<String> = own.iter().map(KeyId::to_string).collect();
    let text =
        format!("{}: {}\n\nnext: {}", ids.join(", "), what_follows(mode, aside), args.dir.run());
    let noted = lost(&store);
    if let Some(noted) = noted {
        report::note(output, &lost_note(ledger.height(), noted));
    }
    if is_outrun {
        report::note(output, OUTRUN);
    }
    if mode == VoteMode::Alone && Replica::can_recover(&ledger, &own) {
        report::note(output, NOT_ALONE);
    }
    let votes = mode == VoteMode::Votes;
    let json = json!({ "keys": ids, "votes": votes, "height": ledger.height(), "had_height": noted, "log_put_aside": aside });
    report::result(output, &text, &json)
}

/// Whether the settings name another validator. One that decides alone by what its directory says would go on so; if others have come in
/// since, and the directory is empty or an old copy, that would be a second history.
fn knows_others(args: &RecoverArgs, own: &[KeyId]) -> Result<bool, Failure> {
    let known = resolved(&args.dir, args.flags())?.peers.neighbours.peers;
    Ok(known.iter().any(|peer| !own.contains(&peer.identity)))
}

/// Whether a validator that decides alone cannot go on from its log.
///
/// # Errors
/// `NODE_BLOCKS_LOST` where the log knows blocks that are not here: with them it can, and without them the next start would refuse it.
fn is_unusable(log: &Path, ledger: &Ledger, votes: Vec<SigningKey>) -> Result<bool, Failure> {
    let records = match Wal::open(log) {
        Err(StoreError::WalDamaged { .. }) => return Ok(true),
        opened => opened?.1,
    };
    match Replica::start(ledger, votes, Settings::default(), &records) {
        Err(lost @ StartError::BlocksLost { .. }) => Err(lost.into()),
        Err(StartError::Engine(_) | StartError::Body(_)) => Ok(true),
        Ok(_) => Ok(false),
    }
}

/// Where the others could tell it what it has said.
const NOT_ALONE: &str = "the others have more than two thirds of the power: unless several of them have lost their memory as well, \
run `ledger-node recover` without --alone now. With it, a validator that lies and one that is behind could decide a second block \
with this one";

/// Where the directory knows no other validator, and the settings do.
const OUTRUN: &str = "by its blocks this validator is the only one, and its settings name others: these may have come in since, and the \
node waits for their blocks. If no validator is among them, take them out of peer.known and run `ledger-node recover --alone`";

fn what_follows(mode: VoteMode, aside: bool) -> &'static str {
    match mode {
        VoteMode::Votes if aside => {
            "votes again at its next start, without its consensus log, which it cannot go on from and which was put aside.\n\
             It may sign a second block at the open height, if the first one was sent to followers: these can prove that."
        }
        VoteMode::Votes => {
            "votes again at its next start, on your word that no other copy of it has voted, and that no other\n\
             validator has come in since: its settings name none. If one has, there may be two histories."
        }
        VoteMode::Recovers => {
            "follows at its next start, and votes again when more than two thirds of the power have told it\n\
             where they are, and the ledger is past every height at which it may have voted."
        }
        VoteMode::Alone => {
            "follows at its next start, and votes again when it has the blocks of the others, on your word that no\n\
             other copy of it runs. It may sign a second vote at the open height: others can prove that. No other validator\n\
             is given such a word before the ledger is two heights beyond: those that have all forgotten a height can\n\
             decide another block there."
        }
    }
}

/// Puts the log away under a name of its own. What it holds is not all that was said, and must not be gone on from; it may still be
/// wanted as evidence.
fn set_log_aside(directory: &Path) -> Result<(), Failure> {
    let log = directory.join("consensus.wal");
    if !log.exists() {
        return Ok(());
    }
    let free = (1_u32..).map(|number| directory.join(format!("consensus.wal.{number}")));
    let free = free.take(10_000).find(|path| !path.exists());
    let aside = free.ok_or_else(|| Failure::runtime("too many logs were put aside"))?;
    fs::rename(&log, &aside).map_err(Failure::at(&aside))
}

/// The node's keys vote again: durable before anything is signed.
///
/// # Errors
/// `STORE_IO`; `NODE_VOTE_LOCK` when the lock was changed while the process ran.
pub(crate) fn votes_again(shared: &Shared) -> Result<(), Failure> {
    let directory = shared.store.directory().path();
    let lock = VoteLock::read(directory)?.map_err(Failure::vote_lock)?;
    VoteLock { mode: VoteMode::Votes, ..lock }.write(directory)?;
    shared.set_recovering(false);
    tracing::info!(height = shared.head().height, "this node votes again, above this height");
    Ok(())
}

/// Somebody else signs with a key of this node. The lock is taken away, so that no restart votes beside the other one.
///
/// # Errors
/// `STORE_IO`; within, `NODE_TWIN`.
pub(crate) fn stopped_by_twin(shared: &Shared, why: String) -> Result<Failure, Failure> {
    VoteLock::withdraw(shared.store.directory().path())?;
    Ok(Failure::twin(why))
}

#[cfg(test)]
pub(crate) mod tests;
