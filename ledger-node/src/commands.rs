//! The commands, apart from `dev`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ledger_client::{ClientError, keys};
use ledger_event::{Clock, PartyKind, PartyProfile, Role};
use ledger_format::digest::LedgerId;
use ledger_replica::{Replica, Settings, StartError};
use ledger_store::{Noted, Wal};
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{ClockArg, DirArgs, Founding, InitArgs, RunArgs};
use crate::config::{self, Config, Sources};
use crate::descriptors;
use crate::failure::Failure;
use crate::join::from_genesis;
use crate::node::Options;
use crate::open::{Layout, Opened, lost, lost_note, reindex as rebuild};
use crate::replica_loop::now_ms;
use crate::report::{self, Output};
use crate::setup::{FOUNDER, FounderKey, NewLedger, founder_keys, prepare};

/// Names the file of a passphrase where none is typed.
const PASSPHRASE_FILE: &str = "LEDGER_PASSPHRASE_FILE";

/// Resolves the settings of a run.
///
/// # Errors
/// `NODE_CONFIG`.
pub(crate) fn settings(args: &RunArgs) -> Result<Config, Failure> {
    resolved(&args.dir, args.flags())
}

/// Resolves the settings of a node that was given no flags.
///
/// # Errors
/// `NODE_CONFIG`.
pub(crate) fn settings_of(dir: &DirArgs) -> Result<Config, Failure> {
    resolved(dir, BTreeMap::new())
}

pub(crate) fn resolved(
    dir: &DirArgs,
    flags: BTreeMap<&'static str, String>,
) -> Result<Config, Failure> {
    let default = Layout(dir.data_dir.clone()).config();
    let sources = Sources {
        flags,
        environment: environment(std::env::vars_os()),
        file: config::file(dir.config.as_deref(), &default)?,
    };
    config::resolve(&sources)
}

/// The variables that are the program's. What stands in others is nobody's business here, in whatever encoding it is.
fn environment(all: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    let text = |text: &OsString| text.to_string_lossy().into_owned();
    let own = all.map(|(name, value)| (text(&name), text(&value)));
    own.filter(|(name, _)| name.starts_with("LEDGER_")).collect()
}

/// What a node is run with.
///
/// # Errors
/// `NODE_CONFIG` when the system allows the process less than is stated.
pub(crate) fn of(data_dir: &Path, config: &Config) -> Result<Options, Failure> {
    Ok(Options {
        data_dir: data_dir.to_owned(),
        listen: config.listen,
        settings: config.settings,
        check_threads: config.check_threads,
        is_follower: config.role == config::RoleSetting::Follower,
        peers: config.peers.clone(),
        connections: descriptors::for_clients(config.connections)?,
    })
}

/// `init`.
///
/// # Errors
/// `NODE_EXISTS`, or what cannot be written.
pub(crate) fn init(args: &InitArgs, output: Output) -> Result<(), Failure> {
    match (&args.genesis, &args.founding) {
        (Some(genesis), _) => from_genesis(genesis, args.trust, &args.data_dir, output),
        (None, Some(founding)) => found(&args.data_dir, founding, output),
        (None, None) => {
            Err(Failure::config("--genesis FILE, or --party and what else a new ledger needs"))
        }
    }
}

fn found(data_dir: &Path, args: &Founding, output: Output) -> Result<(), Failure> {
    if args.start.is_some() && args.clock == ClockArg::Wall {
        return Err(Failure::config("--start: a wall clock begins now; see --clock declared"));
    }
    let passphrase = passphrase(args)?;
    let founder = founder_keys()?;
    let plan = NewLedger {
        name: args.ledger_name.clone(),
        party: args.party.clone(),
        profile: PartyProfile {
            kind: PartyKind::Legal.into(),
            name_en: args.name.clone(),
            jurisdiction: args.jurisdiction.clone(),
            ..PartyProfile::default()
        },
        roles: vec![Role::Exchange, Role::IdentityAuthority, Role::NodeOperator],
        clock: match args.clock {
            ClockArg::Wall => Clock::Wall,
            ClockArg::Declared => Clock::Declared,
        },
        start_ms: args.start.unwrap_or_else(now_ms),
        origin: args.origin.clone(),
    };
    let directory = data_dir.join(FOUNDER);
    let passphrase = passphrase.as_ref().map(|text| text.as_str());
    let id = with_founder_keys(data_dir, &plan, &founder, passphrase)?;
    let text = format!(
        "genesis {id}\n\nKeep this hash: whoever trusts it can verify everything.\n\n\
         node keys     {}\nfounder keys  {} (move them to where founders keep their keys)\n\nnext: ledger-node run --data-dir {}",
        data_dir.join("keys").display(),
        directory.display(),
        data_dir.display(),
    );
    let json = json!({
        "genesis": id.to_string(),
        "data_dir": data_dir,
        "founder_keys": directory,
        "encrypted": passphrase.is_some(),
    });
    report::result(output, &text, &json)
}

/// Makes the ledger together with the founder's keys: nobody could act on one whose founder's keys were not written.
fn with_founder_keys(
    data_dir: &Path,
    plan: &NewLedger,
    founder: &[FounderKey],
    passphrase: Option<&str>,
) -> Result<LedgerId, Failure> {
    let prepared = prepare(data_dir, plan, founder)?;
    let directory = data_dir.join(FOUNDER);
    if let Some(Ok(file)) = fs::read_dir(&directory).ok().and_then(|mut files| files.next()) {
        let path = file.path();
        let why = format!("{} is where the founder's keys are to be", path.display());
        let help = format!("Move {} away, or use another --data-dir.", directory.display());
        return Err(Failure { help, ..ClientError::key_exists(why).into() });
    }
    prepared.write(|stage| {
        let path = |key: &FounderKey| stage.join(FOUNDER).join(format!("{}.pem", key.name));
        Ok(keys::write_all(founder.iter().map(|key| (path(key), &key.key)), passphrase)?)
    })
}

fn passphrase(args: &Founding) -> Result<Option<Zeroizing<String>>, Failure> {
    if args.plain_keys {
        return Ok(None);
    }
    let named = || std::env::var_os(PASSPHRASE_FILE).filter(|value| !value.is_empty());
    if let Some(path) = args.passphrase_file.clone().or_else(|| named().map(PathBuf::from)) {
        let text = fs::read_to_string(&path).map(Zeroizing::new);
        let text = text.map_err(|error| Failure::config(format!("{}: {error}", path.display())))?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(Failure::config(format!("{}: the passphrase is empty", path.display())));
        }
        return Ok(Some(Zeroizing::new(line.to_owned())));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
            let ways = "give --passphrase-file, or --plain-keys for a trial";
            Failure::usage(format!("no terminal to ask for a passphrase: {error}; {ways}"))
        })
    };
    let first = ask("Passphrase for the founder's keys: ")?;
    if first.is_empty() || *first != *ask("Again: ")? {
        return Err(Failure::config("the passphrases are empty or differ"));
    }
    Ok(Some(first))
}

/// `reindex`.
///
/// # Errors
/// `NODE_CONFIG`, `NODE_BLOCK` when a block does not verify, `NODE_BLOCKS_LOST` when there were more, or what the store refuses.
pub(crate) fn reindex(args: &DirArgs, output: Output) -> Result<(), Failure> {
    let config = settings_of(args)?;
    let genesis = Layout(args.data_dir.clone()).read_genesis()?.document;
    let opened = rebuild(&args.data_dir, &genesis, |height, last| {
        if height % 100 == 0 || height == last {
            report::progress(&format!("verified and indexed {height} of {last} blocks"));
        }
    })?;
    report::progress_done();
    check_none_lost(&config, &opened)?;
    let (height, records) = (opened.ledger.height(), opened.ledger.record_count());
    let size = opened.ledger.tree_size();
    let noted = lost(&opened.store);
    if let Some(noted) = noted {
        report::note(output, &lost_note(height, noted));
        // From now on that is what there is. Nothing depends on the note.
        let time_ms = opened.ledger.time_ms();
        let left = Noted { height, tree_size: size, time_ms, noted_ms: now_ms(), has_ended: true };
        let _written = left.write(&args.data_dir);
    }
    let text = format!("rebuilt from {height} blocks: {size} leaves, {records} records");
    report::result(
        output,
        &text,
        &json!({ "height": height, "tree_size": size, "records": records, "had_height": noted }),
    )
}

/// Whether a validator has all blocks that its consensus log shows to have been durable: a start would refuse what is left, so a
/// rebuild from that is no success. A follower takes what it lacks from others.
fn check_none_lost(config: &Config, opened: &Opened) -> Result<(), Failure> {
    let log = opened.store.directory().wal();
    let follows = config.role == config::RoleSetting::Follower;
    if !log.join("consensus.wal").exists() || follows {
        return Ok(());
    }
    let (_, log) = Wal::open(&log)?;
    // What else a start would say is not of the blocks.
    let started = Replica::start(&opened.ledger, Vec::new(), Settings::default(), &log);
    match started.err() {
        Some(lost @ StartError::BlocksLost { .. }) => Err(lost.into()),
        _ => Ok(()),
    }
}

/// `config`.
///
/// # Errors
/// `NODE_CONFIG` with every mistake.
pub(crate) fn show_config(args: &RunArgs, output: Output) -> Result<(), Failure> {
    let config = settings(args)?;
    let lines = config
        .origins
        .iter()
        .map(|(key, value, origin)| format!("{key:<16} {value:<18} ({origin})"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let json: serde_json::Map<_, _> = config
        .origins
        .iter()
        .map(|(key, value, origin)| {
            ((*key).to_owned(), json!({ "value": value, "origin": origin }))
        })
        .collect();
    report::result(output, &text, &json.into())
}

/// An instant for people, in UTC.
pub(crate) fn instant(time_ms: u64) -> String {
    let millis = i64::try_from(time_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis)
        .map_or_else(|_| time_ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;
    use crate::recover::tests::founded;

    /// As a directory named in GB18030 makes `PWD`.
    #[test]
    fn variables_in_another_encoding_are_no_reason_not_to_start() {
        let gb18030 = || OsString::from_vec(vec![0xca, 0xfd]);
        let all = [
            ("PWD".into(), gb18030()),
            (gb18030(), "x".into()),
            ("LEDGER_LISTEN".into(), "127.0.0.1:1".into()),
            ("LEDGER_ROLE".into(), gb18030()),
        ];
        let own = environment(all.into_iter());
        let names: Vec<&str> = own.keys().map(String::as_str).collect();
        assert_eq!(names, ["LEDGER_LISTEN", "LEDGER_ROLE"]);
        assert_eq!(own["LEDGER_LISTEN"], "127.0.0.1:1");
    }

    /// By its settings it may be a follower, and a start would refuse them.
    #[test]
    fn a_reindex_with_mistakes_in_its_settings_touches_nothing() {
        let directory = founded();
        let genesis = Layout(directory.path().to_owned()).read_genesis().unwrap().document;
        drop(crate::open::open(directory.path(), &genesis).unwrap());
        let config = directory.path().join("missing.toml");
        let mut dir = DirArgs { data_dir: directory.path().to_owned(), config: Some(config) };
        assert_eq!(reindex(&dir, Output::Json).unwrap_err().code, "NODE_CONFIG");
        dir.config = None;
        fs::write(directory.path().join("config.toml"), "rule = \"follower\"\n").unwrap();
        assert_eq!(reindex(&dir, Output::Json).unwrap_err().code, "NODE_CONFIG");
        fs::remove_file(directory.path().join("config.toml")).unwrap();
        reindex(&dir, Output::Json).unwrap();
        fs::remove_dir_all(directory.path().join("store")).unwrap();
        let gone = reindex(&dir, Output::Json).unwrap_err();
        assert_eq!((gone.code.as_str(), gone.exit), ("STORE_MISSING", 23));
        assert!(!gone.help.contains("init"), "{}", gone.help);
    }
}
