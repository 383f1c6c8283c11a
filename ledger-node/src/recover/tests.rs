use std::path::PathBuf;
use std::time::Duration;

use ledger_event::{Clock, PartyKind, PartyProfile, Role};
use ledger_peer::Neighbours;
use tempfile::TempDir;

use super::*;
use crate::args::DirArgs;
use crate::node::{Node, Options, first_block_within};
use crate::peers::PeerOptions;
use crate::setup::{NewLedger, create, founder_keys};

/// The directory of a validator that founded its ledger alone.
pub(crate) fn plan() -> NewLedger {
    NewLedger {
        name: "A ledger".into(),
        party: "founder".into(),
        profile: PartyProfile {
            kind: PartyKind::Legal.into(),
            name_en: "Founder".into(),
            jurisdiction: "CN".into(),
            ..PartyProfile::default()
        },
        roles: vec![Role::Exchange, Role::IdentityAuthority, Role::NodeOperator],
        clock: Clock::Wall,
        start_ms: crate::replica_loop::now_ms(),
        origin: "ledger.invalid/founder".into(),
    }
}

pub(crate) fn founded() -> TempDir {
    let directory = TempDir::new().unwrap();
    create(directory.path(), &plan(), &founder_keys().unwrap()).unwrap();
    directory
}

/// Starts the node and ends it.
pub(crate) fn run_once(directory: &TempDir) -> Result<(), Failure> {
    let options = Options {
        data_dir: directory.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        settings: Settings::default(),
        check_threads: 1,
        is_follower: false,
        peers: PeerOptions { listen: None, neighbours: Neighbours::knowing(Vec::new()) },
        connections: 8,
    };
    crate::blocking(async move { Node::start(&options).await?.stop().await })
}

/// As from a backup: the lock vouches for nothing.
fn forget(directory: &TempDir) {
    fs::remove_file(directory.path().join("vote.lock")).unwrap();
}

fn recovered(
    directory: &TempDir,
    config: Option<PathBuf>,
    alone: bool,
) -> Result<VoteMode, Failure> {
    let dir = DirArgs { data_dir: directory.path().to_owned(), config };
    run(&RecoverArgs { dir, alone, peer_known: None }, Output::Json)?;
    Ok(VoteLock::read(directory.path())?.unwrap().mode)
}

/// Settings that name another validator.
fn naming_another(at: PathBuf) -> PathBuf {
    let other = format!("[peer]\nknown = [\"{}@127.0.0.1:1\"]\n", "ab".repeat(32));
    fs::write(&at, other).unwrap();
    at
}

/// The blocks of a backup from when nobody else was there show one validator, and the settings show the others.
#[test]
fn a_founder_does_not_go_on_alone_from_blocks_that_others_may_have_outrun() {
    let directory = founded();
    run_once(&directory).unwrap();
    forget(&directory);
    let config = naming_another(directory.path().join("config.toml"));
    for alone in [false, true] {
        assert_eq!(recovered(&directory, None, alone).unwrap(), VoteMode::Recovers, "{alone}");
    }
    fs::remove_file(config).unwrap();
    let refused = recovered(&directory, None, false).unwrap_err();
    assert_eq!(refused.code, "NODE_RECOVER_ALONE");
    assert_eq!(recovered(&directory, None, true).unwrap(), VoteMode::Votes);
}

#[test]
fn settings_count_wherever_their_file_is() {
    let (directory, elsewhere) = (founded(), TempDir::new().unwrap());
    forget(&directory);
    let config = naming_another(elsewhere.path().join("settings.toml"));
    for alone in [false, true] {
        let config = Some(config.clone());
        assert_eq!(recovered(&directory, config, alone).unwrap(), VoteMode::Recovers, "{alone}");
    }
    let missing = elsewhere.path().join("missing.toml");
    assert_eq!(recovered(&directory, Some(missing), true).unwrap_err().code, "NODE_CONFIG");
    assert_eq!(recovered(&directory, None, true).unwrap(), VoteMode::Votes);
}

#[test]
fn a_flag_counts_as_settings_do() {
    let directory = founded();
    forget(&directory);
    let dir = DirArgs::at(directory.path().to_owned());
    let peer_known = Some(format!("{}@127.0.0.1:1", "ab".repeat(32)));
    run(&RecoverArgs { dir, alone: true, peer_known }, Output::Json).unwrap();
    let lock = VoteLock::read(directory.path()).unwrap().unwrap();
    assert_eq!(lock.mode, VoteMode::Recovers);
}

/// Every start would end like the first one, so the way out has to be there for a validator that has nobody to ask as well.
#[test]
fn a_log_that_no_start_can_go_on_from_is_put_aside() {
    let directory = founded();
    run_once(&directory).unwrap();
    let (mut log, _) = Wal::open(&directory.path().join("wal")).unwrap();
    log.append(b"no record");
    log.sync().unwrap();
    drop(log);
    // As if the process that wrote it had been killed.
    let keys = Layout(directory.path().to_owned()).read_keys().unwrap();
    let keys = keys.iter().map(|keys| kid(&keys.vote)).collect();
    VoteLock { mode: VoteMode::Votes, keys }.write(directory.path()).unwrap();
    for _ in 0..2 {
        assert_eq!(run_once(&directory).unwrap_err().code, "NODE_LOG");
    }
    assert_eq!(recovered(&directory, None, true).unwrap(), VoteMode::Votes);
    run_once(&directory).unwrap();
    assert!(directory.path().join("wal/consensus.wal.1").exists());
}

/// The others may be down for longer than a founder needs for its first block.
#[test]
fn a_founder_that_recovers_waits_for_block_1_as_others_do() {
    let directory = founded();
    let layout = Layout(directory.path().to_owned());
    let genesis = layout.read_genesis().unwrap().document;
    let keys = layout.read_keys().unwrap().into_iter();
    let signers = keys.map(|keys| (kid(&keys.vote), keys.node)).collect();
    let Opened { store, ledger } = open(directory.path(), &genesis).unwrap();
    let shared = Shared::new(ledger, store, signers);
    assert!(first_block_within(&shared) < Duration::MAX);
    shared.set_recovering(true);
    assert_eq!(first_block_within(&shared), Duration::MAX);
}

/// The next start would refuse it, so `recover` must not say that it votes.
#[test]
fn a_sole_validator_whose_log_knows_more_blocks_is_not_told_that_it_votes() {
    let directory = founded();
    run_once(&directory).unwrap();
    forget(&directory);
    // As after two more blocks, of which the store has none.
    let (mut log, _) = Wal::open(&directory.path().join("wal")).unwrap();
    for mark in Replica::follow(KeyId::default(), Settings::default()).marks(3) {
        log.append(&mark);
    }
    log.sync().unwrap();
    drop(log);
    let refused = recovered(&directory, None, true).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.exit), ("NODE_BLOCKS_LOST", 31));
    assert!(!directory.path().join("vote.lock").exists(), "nothing was said to vouch for it");
}

/// What somebody has made of a directory, without its keys.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// sled takes what follows a damaged frame for cut off, and opens without a word.
#[test]
fn blocks_that_were_in_the_store_and_are_not_are_told() {
    let directory = founded();
    run_once(&directory).unwrap();
    let genesis = Layout(directory.path().to_owned()).read_genesis().unwrap().document;
    let whole = fs::read(directory.path().join("store/db")).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut told = Vec::new();
    for at in (0..end).step_by(end / 40) {
        let damaged = TempDir::new().unwrap();
        copy(directory.path(), damaged.path());
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(damaged.path().join("store/db"), bytes).unwrap();
        if let Ok(Opened { store, ledger }) = open(damaged.path(), &genesis) {
            assert_eq!(lost(&store).is_some(), ledger.height() == 0, "a bit at {at} was flipped");
            told.extend(lost(&store));
        }
    }
    assert!(!told.is_empty() && told.iter().all(|noted| *noted == 1), "{told:?}");
}
