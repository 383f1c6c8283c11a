//! `status`: what a node tells of itself, or what its directory tells when none runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ledger_api::NodeRole;
use ledger_client::Node as Client;
use ledger_client::keys::kid;
use ledger_format::digest::{KeyId, LedgerId};
use ledger_proto::v1;
use ledger_store::{DataDirectory, Noted, StoreError};
use serde_json::{Value, json};

use crate::args::{DEFAULT_LISTEN, DirArgs, StatusArgs};
use crate::commands::{instant, settings_of};
use crate::failure::Failure;
use crate::open::{Layout, no_store};
use crate::report::{self, Output};

/// How long a node has to answer.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

/// `status`.
///
/// # Errors
/// `NODE_NOT_RUNNING` when no node answers, whatever its directory tells, `NODE_SILENT` when a process has that, `NODE_ANOTHER` when the
/// node of another directory answers; `NODE_CONFIG` when it has settings that are wrong, or what is wrong with the directory.
pub(crate) async fn status(args: &StatusArgs, output: Output) -> Result<(), Failure> {
    let asked = match Client::connect(&address(args)?, STATUS_TIMEOUT).await {
        Ok(mut client) => client.status().await,
        // Not a node that does not answer, but an address that is none.
        Err(error) if error.failure == ledger_client::Failure::Usage => return Err(error.into()),
        Err(error) => Err(error),
    };
    match (asked, &args.data_dir) {
        (Ok(status), directory) => {
            directory.as_deref().map_or(Ok(()), |directory| check_its_own(directory, &status))?;
            online_status(&status, output)
        }
        (Err(error), directory) => {
            if let Some(directory) = directory {
                offline_status(directory, output)?;
            }
            Err(Failure::not_running(error.message))
        }
    }
}

/// Whether it is the node of this directory that has answered: another one may have the port. By its ledger, and where the two can be told
/// apart, by the validators that it says it is. What is not there, or not for whoever asks to read, is compared with nothing.
fn check_its_own(directory: &Path, status: &v1::GetStatusResponse) -> Result<(), Failure> {
    let layout = Layout(directory.to_owned());
    let Ok(genesis) = layout.read_genesis() else { return Ok(()) };
    let (id, answers) = (genesis.document.id(), LedgerId::from_slice(&status.ledger_id)?);
    let directory = directory.display();
    if id != answers {
        let name = &status.ledger_name;
        return Err(Failure::another(format!(
            "{directory} is of ledger {id}, and a node of {name} ({answers}) answers"
        )));
    }
    let Ok(keys) = layout.read_keys() else { return Ok(()) };
    let keys: Vec<KeyId> = keys.iter().map(|keys| kid(&keys.vote)).collect();
    let has_key =
        |seen: &v1::SeenValidator| keys.iter().any(|key| seen.key_id == key.as_bytes()[..]);
    let mut own = status.seen.iter().filter(|seen| seen.own).peekable();
    let Some(first) = own.peek().map(|seen| seen.name.clone()) else {
        // A standby has no place: nor may this directory's keys have one. Whoever follows does not say which keys it has.
        let follows = status.role == NodeRole::Follower.word();
        return match status.seen.iter().find(|seen| has_key(seen) && !follows) {
            Some(seen) => Err(Failure::another(format!(
                "{directory} has the keys of {}, and a {} answers",
                seen.name, status.role
            ))),
            None => Ok(()),
        };
    };
    if own.any(has_key) {
        return Ok(());
    }
    Err(Failure::another(format!("{directory} has other keys than {first}, which answers")))
}

/// What a node tells of itself.
fn online_status(status: &v1::GetStatusResponse, output: Output) -> Result<(), Failure> {
    let id = LedgerId::from_slice(&status.ledger_id)?;
    let suspects: Vec<Value> = status.suspects.iter().map(ledger_client::status::suspect).collect();
    let seen: Vec<Value> = status.seen.iter().map(ledger_client::status::seen).collect();
    let refusals: Vec<Value> =
        status.refusals.iter().map(ledger_client::status::refusals).collect();
    let refused = status.refusals.iter().map(refusals_line);
    let suspected = suspects.iter().map(|suspect| format!("\nsuspect       {}", line(suspect)));
    let notices = status.notices.iter().map(|notice| format!("\nnotice        {notice}"));
    let text = format!(
        "ledger        {} ({id})\nheight        {}\nleaves        {}\nrecords       {}\nledger time   {} ({} clock)\n\
         validators    {} (tolerates {} faulty){}\nrole          {}\nprotocol      {} (this program knows 1 to {}){}\nwaiting       {} entries, {} bytes\nevidence      {}\nrecovering    {}\nversion       {}\nup            {} s{}{}{}",
        status.ledger_name,
        status.height,
        status.tree_size,
        status.records,
        instant(status.time_ms),
        status.clock,
        status.validators,
        status.tolerated_faults,
        seen_lines(&status.seen),
        status.role,
        status.protocol_version,
        status.known_protocol_version,
        planned(status.planned_protocol_version, status.planned_protocol_height),
        status.pool_entries,
        status.pool_bytes,
        status.evidence,
        if status.recovering { "yes: it does not vote" } else { "no" },
        status.version,
        status.uptime_s,
        suspected.collect::<String>(),
        refused.collect::<String>(),
        notices.collect::<String>(),
    );
    let json = json!({
        "running": true,
        "ledger": status.ledger_name,
        "genesis": id.to_string(),
        "height": status.height,
        "tree_size": status.tree_size,
        "records": status.records,
        "time_ms": status.time_ms,
        "clock": status.clock,
        "validators": status.validators,
        "tolerated_faults": status.tolerated_faults,
        "role": status.role,
        "protocol_version": status.protocol_version,
        "known_protocol_version": status.known_protocol_version,
        "planned_protocol_version": status.planned_protocol_version,
        "planned_protocol_height": status.planned_protocol_height,
        "pool_entries": status.pool_entries,
        "pool_bytes": status.pool_bytes,
        "version": status.version,
        "uptime_s": status.uptime_s,
        "evidence": status.evidence,
        "recovering": status.recovering,
        "suspects": suspects,
        "refusals": refusals,
        "seen": seen,
        "notices": status.notices,
    });
    report::result(output, &text, &json)
}

/// Where to ask: as typed, or where the settings have the node listen.
fn address(args: &StatusArgs) -> Result<String, Failure> {
    let StatusArgs { node, data_dir, config } = args;
    if let Some(node) = node {
        return Ok(node.clone());
    }
    if data_dir.is_none() && config.is_none() {
        return Ok(url(DEFAULT_LISTEN));
    }
    let data_dir = data_dir.clone().unwrap_or_default();
    Ok(url(settings_of(&DirArgs { data_dir, config: config.clone() })?.listen))
}

/// Where a node that listens on an address is asked on its own machine.
fn url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

fn refusals_line(v1::Refusals { code, count, by_others }: &v1::Refusals) -> String {
    let whom = if *by_others { ", of this node by others" } else { "" };
    format!("\nrefused       {code}: {count}{whom}")
}

/// Validators and their last heights, as the node sees them, a line each.
fn seen_lines(all: &[v1::SeenValidator]) -> String {
    let width = all.iter().map(|seen| seen.name.len()).max().unwrap_or_default();
    let lines: Vec<String> = all.iter().map(|seen| seen_line(seen, width)).collect();
    lines.concat()
}

fn seen_line(seen: &v1::SeenValidator, width: usize) -> String {
    let where_it_is = match (seen.own, seen.connected) {
        (true, _) => "this node",
        (false, true) => "connected",
        (false, false) => "not connected",
    };
    match seen.durable_height {
        0 => format!("\n  {:<width$}  {where_it_is}", seen.name),
        height => format!("\n  {:<width$}  {where_it_is}, has all to height {height}", seen.name),
    }
}

fn line(suspect: &Value) -> String {
    let text = |name: &str| suspect[name].as_str().unwrap_or_default();
    let (count, height) = (&suspect["count"], &suspect["height"]);
    format!(
        "{} {count} times, at height {height}: {} ({})",
        text("peer"),
        text("code"),
        text("detail")
    )
}

fn planned(version: u32, height: u64) -> String {
    match version {
        0 => String::new(),
        version => format!(", {version} from height {height}"),
    }
}

/// What a directory tells when no node runs on it: what the node has noted. The store itself is left alone, since whoever opens it
/// changes it, and what is damaged must stay as it is found.
fn offline_status(path: &Path, output: Output) -> Result<(), Failure> {
    let genesis = Layout(path.to_owned()).read_genesis()?.document;
    let id = genesis.id();
    DataDirectory::look(path, &id).map_err(|error| match error {
        StoreError::Locked { .. } => Failure::silent(path.display()),
        other => no_store(other, path),
    })?;
    let noted = Noted::read(path)?;
    let name = &genesis.message().name;
    let text =
        format!("no node runs\nledger        {name} ({id})\n{}", noted_lines(noted.as_ref()));
    let time = noted.filter(|noted| noted.height > 0).map(|noted| noted.time_ms);
    let json = json!({
        "running": false,
        "ledger": name,
        "genesis": id.to_string(),
        "height": noted.map(|noted| noted.height),
        "tree_size": noted.map(|noted| noted.tree_size),
        "time_ms": time,
        "noted_ms": noted.map(|noted| noted.noted_ms),
        "ended": noted.map(|noted| noted.has_ended),
    });
    report::result(output, &text, &json)
}

/// The last block that a node has noted, and when.
fn noted_lines(noted: Option<&Noted>) -> String {
    let Some(Noted { height, tree_size, time_ms, noted_ms, has_ended }) = noted else {
        return "height        not known: no note of it is in store/last".to_owned();
    };
    let since = if *has_ended { "when it ended" } else { "while it ran: more may have come since" };
    let time = match height {
        0 => String::new(),
        _ => format!("\nledger time   {}", instant(*time_ms)),
    };
    let noted = instant(*noted_ms);
    format!(
        "height        {height}\nleaves        {tree_size}{time}\nnoted         {noted}, {since}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::recover::tests::{founded, run_once};

    #[test]
    fn a_node_that_listens_everywhere_is_asked_here() {
        let asked = ["0.0.0.0:7441", "[::]:1", "10.0.0.7:7440", "[fd00::1]:2"]
            .map(|listen| url(listen.parse().unwrap()));
        let expected = ["127.0.0.1:7441", "[::1]:1", "10.0.0.7:7440", "[fd00::1]:2"];
        assert_eq!(asked, expected.map(|address| format!("http://{address}")));
    }

    #[test]
    fn a_node_is_asked_where_its_settings_have_it_listen() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, port: u16| {
            let path = directory.path().join(name);
            fs::write(&path, format!("listen = \"127.0.0.1:{port}\"\n")).unwrap();
            path
        };
        let (_inside, outside) = (file("config.toml", 1), file("outside.toml", 2));
        let data_dir = Some(directory.path().to_owned());
        let asked = |node: Option<&str>, data_dir: &Option<PathBuf>, config: Option<&PathBuf>| {
            let (node, data_dir) = (node.map(str::to_owned), data_dir.clone());
            address(&StatusArgs { node, data_dir, config: config.cloned() }).unwrap()
        };
        assert_eq!(asked(None, &data_dir, None), "http://127.0.0.1:1");
        assert_eq!(asked(None, &data_dir, Some(&outside)), "http://127.0.0.1:2");
        assert_eq!(asked(None, &None, Some(&outside)), "http://127.0.0.1:2");
        assert_eq!(asked(None, &None, None), url(DEFAULT_LISTEN));
        assert_eq!(asked(Some("http://x:3"), &data_dir, Some(&outside)), "http://x:3");
    }

    /// Every file below a directory, with what is in it.
    fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.append(&mut files(&path));
            } else {
                all.insert(path.clone(), fs::read(path).unwrap());
            }
        }
        all
    }

    /// Whatever is damaged is evidence, and somebody may still mend it. sled would take it for the end of the store and clear the rest.
    #[test]
    fn whoever_asks_how_a_stopped_node_is_changes_nothing() {
        let directory = founded();
        run_once(&directory).unwrap();
        fs::remove_file(directory.path().join("LOCK")).unwrap();
        let db = directory.path().join("store/db");
        let whole = fs::read(&db).unwrap();
        let last = whole.iter().rposition(|byte| *byte != 0).unwrap();
        let args = StatusArgs {
            node: Some("http://127.0.0.1:1".to_owned()),
            data_dir: Some(directory.path().to_owned()),
            config: None,
        };
        for at in [None, Some(last), Some(last / 2), Some(0_usize)] {
            let mut bytes = whole.clone();
            if let Some(at) = at {
                bytes[at] ^= 1;
            }
            fs::write(&db, bytes).unwrap();
            let before = files(directory.path());
            let told = crate::blocking(status(&args, Output::Json)).unwrap_err();
            assert_eq!(told.code, "NODE_NOT_RUNNING");
            assert!(files(directory.path()) == before, "a bit at {at:?} was flipped");
        }
        let noted = Noted::read(directory.path()).unwrap().unwrap();
        assert_eq!((noted.height, noted.has_ended), (1, true));
        assert!(noted_lines(Some(&noted)).ends_with("when it ended"));
        assert!(!noted_lines(Some(&Noted::default())).contains("ledger time"), "no block, no time");
    }

    /// Whoever watches a node by the exit code of `status` has to hear of it, and whoever reads must not be told to end what works.
    #[test]
    fn a_node_that_does_not_answer_is_no_success() {
        let directory = founded();
        let args = StatusArgs {
            node: Some("http://127.0.0.1:1".to_owned()),
            data_dir: Some(directory.path().to_owned()),
            config: None,
        };
        let asked = || crate::blocking(status(&args, Output::Json)).unwrap_err();
        let founded = asked();
        assert_eq!((founded.code.as_str(), founded.exit), ("STORE_MISSING", 23));
        assert!(founded.help.contains("ledger-node run") && !founded.help.contains("init"));
        run_once(&directory).unwrap();
        let down = asked();
        assert_eq!((down.code.as_str(), down.exit), ("NODE_NOT_RUNNING", 20));
        let genesis = Layout(directory.path().to_owned()).read_genesis().unwrap().document;
        let _locked = DataDirectory::open(directory.path(), &genesis.id()).unwrap();
        let silent = asked();
        assert_eq!((silent.code.as_str(), silent.exit), ("NODE_SILENT", 20));
        assert!(!silent.help.contains("Stop"), "{}", silent.help);
    }

    /// On one machine several directories may name one port.
    #[test]
    fn the_node_of_another_directory_is_not_taken_for_this_ones() {
        let (directory, other) = (founded(), founded());
        let id =
            |directory: &Path| Layout(directory.to_owned()).read_genesis().unwrap().document.id();
        let key =
            |directory: &Path| kid(&Layout(directory.to_owned()).read_keys().unwrap()[0].vote);
        let answer = |of: &Path, key_id: KeyId, own| v1::GetStatusResponse {
            ledger_id: id(of).as_bytes().to_vec().into(),
            role: "standby".to_owned(),
            seen: vec![v1::SeenValidator {
                key_id: key_id.as_bytes().to_vec().into(),
                own,
                ..v1::SeenValidator::default()
            }],
            ..v1::GetStatusResponse::default()
        };
        let (this, other) = (directory.path(), other.path());
        let code = |status| check_its_own(this, &status).map_err(|failure| failure.code);
        let another = Err("NODE_ANOTHER".to_owned());
        assert_eq!(code(answer(this, key(this), true)), Ok(()));
        assert_eq!(code(answer(other, key(this), true)), another);
        assert_eq!(code(answer(this, key(other), true)), another);
        // A standby has no place, so this directory's validator is not it; of two standbys nobody can tell.
        assert_eq!(code(answer(this, key(this), false)), another);
        assert_eq!(code(answer(this, key(other), false)), Ok(()));
        // Keys that have a place may be in the directory of a follower.
        let role = "follower".to_owned();
        let follower = v1::GetStatusResponse { role, ..answer(this, key(this), false) };
        assert_eq!(code(follower), Ok(()));
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(check_its_own(empty.path(), &answer(other, key(other), true)), Ok(()));
    }

    #[test]
    fn a_validators_name_stands_apart_from_where_it_is() {
        let seen = |name: &str, connected, durable_height| {
            let name = name.to_owned();
            v1::SeenValidator { name, connected, durable_height, ..v1::SeenValidator::default() }
        };
        let all = [seen("ledger.invalid/exchange", true, 7), seen("short", false, 0)];
        let expected = "\n  ledger.invalid/exchange  connected, has all to height 7\n  short                    not connected";
        assert_eq!(seen_lines(&all), expected);
    }
}
