//! How a node is operated: made, configured, watched, told to stop, left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ledger_client::genesis::NEWEST;
use ledger_fixtures::Rng;
use ledger_proto::v1;
use ledger_tests::{
    CLI, Finished, NODE, Running, SharedBook, Signal, Supplier, command, connect, copy_node,
    demonstration, new_ledger, node_on, places_in, ports, run,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_stream::StreamExt as _;

/// A node that drains for five seconds must be gone within this.
const STOP_LIMIT: Duration = Duration::from_secs(9);

fn new() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = new_ledger(directory.path());
    directory
}

/// Runs a command of the node that must fail.
fn fails(arguments: &[&str], exit: i32, code: &str) -> Finished {
    let ended = run(NODE, arguments.iter().chain(&["-o", "json"])).expect(exit);
    assert_eq!(ended.error_code(), code, "{}", ended.err);
    ended
}

#[test]
fn a_wrong_command_line_is_told_in_the_form_that_it_asks_for() {
    let ended = fails(&["run", "--lisen", "127.0.0.1:1"], 2, "NODE_USAGE");
    assert!(ended.error()["error"]["message"].as_str().unwrap().contains("--lisen"));
    let ended = run(NODE, ["run", "--lisen", "127.0.0.1:1"]).expect(2);
    assert!(ended.err.starts_with("error: unexpected argument '--lisen'"), "{}", ended.err);
    assert!(run(NODE, ["--help", "-o", "json"]).expect(0).out.contains("Usage: ledger-node"));
}

#[test]
fn a_ledger_is_not_begun_with_names_that_it_could_never_lose() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let init = |origin, jurisdiction| {
        let founder = ["--party", "one", "--name", "One", "--ledger-name", "One", "--plain-keys"];
        let names =
            ["init", "--data-dir", data, "--origin", origin, "--jurisdiction", jurisdiction];
        names.into_iter().chain(founder).collect::<Vec<_>>()
    };
    for (origin, jurisdiction) in
        [("https://ledger.invalid/one", "CN"), ("ledger.invalid/one", "cn")]
    {
        fails(&init(origin, jurisdiction), 2, "CLIENT_USAGE");
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
    }
    let _made = run(NODE, init("ledger.invalid/one", "CN")).expect(0);
}

/// A variable that is there for other commands keeps nobody from what is typed, and is used where nothing is.
#[test]
fn what_is_typed_goes_with_a_passphrase_file_in_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let passphrase = at("passphrase");
    fs::write(&passphrase, "correct horse\n").unwrap();
    let does = |program: &str, arguments: &[&str]| {
        let mut command = command(program);
        let done = command.args(arguments).env("LEDGER_PASSPHRASE_FILE", &passphrase).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let init = |data: &str, more: &[&str]| {
        let named = ["--party", "one", "--name", "One", "--ledger-name", "One", "--data-dir", data];
        let all: Vec<_> =
            ["init", "--origin", "ledger.invalid/one"].into_iter().chain(named).collect();
        does(NODE, &[&all[..], more].concat());
        fs::read_to_string(Path::new(data).join("founder/organisation.pem")).unwrap()
    };
    assert!(init(&at("plain"), &["--plain-keys"]).contains("BEGIN PRIVATE KEY"));
    assert!(init(&at("one"), &[]).contains("BEGIN ENCRYPTED PRIVATE KEY"));
    does(NODE, &["init", "--genesis", &at("one/genesis"), "--data-dir", &at("follower")]);
    let key = |name: &str| fs::read_to_string(at(name)).unwrap();
    does(CLI, &["key", "new", &at("plain.pem"), "--plain"]);
    assert!(key("plain.pem").contains("BEGIN PRIVATE KEY"));
    does(CLI, &["key", "new", &at("secret.pem")]);
    assert!(key("secret.pem").contains("BEGIN ENCRYPTED PRIVATE KEY"));
    for name in ["", "other.pub", "two\nlines"] {
        let _refused = run(CLI, ["key", "new", name, "--plain", "--keys", &at("keys")]).expect(2);
    }
}

/// Two nodes of different ledgers that are set to meet.
#[test]
fn who_is_refused_by_another_node_reads_it_in_its_own_status() {
    let (nodes, first) = ([new(), new()], ports(2));
    let port = |number: u16| first + 2 * number + 1;
    let identities = nodes.each_ref().map(|node| {
        let data = node.path().to_str().unwrap();
        let shown = run(NODE, ["keys", "show", "--data-dir", data, "-o", "json"]).expect(0).json();
        shown["keys"]["identity"].as_str().unwrap().to_owned()
    });
    for (number, node) in (0..).zip(&nodes) {
        let other = &identities[usize::from(1 - number)];
        let (own, theirs) = (port(number), port(1 - number));
        let peer =
            format!("listen = \"127.0.0.1:{own}\"\nknown = [\"{other}@127.0.0.1:{theirs}\"]");
        fs::write(node.path().join("config.toml"), format!("[peer]\n{peer}\n")).unwrap();
    }
    let running = nodes.each_ref().map(|node| Running::start(node.path()).unwrap());
    let runtime = Runtime::new().unwrap();
    let begun = Instant::now();
    // The one that dials refuses or is refused; the other is dialled, and may only count it.
    let told = loop {
        let notices = running.each_ref().map(|node| {
            let status = async { connect(node).await.status().await.unwrap() };
            runtime.block_on(status).notices
        });
        let told: Vec<String> = notices.into_iter().flatten().collect();
        let found = told.into_iter().find(|notice| notice.contains("PEER_OTHER_LEDGER"));
        if found.is_some() || begun.elapsed() > STOP_LIMIT {
            break found.expect("a notice");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(told.contains(" refuses ") && told.contains("Compare genesis hashes"), "{told}");
    assert!(identities.iter().any(|identity| told.contains(identity)), "{told}");
    let counts = |node: &Running| {
        let status = runtime.block_on(async { connect(node).await.status().await.unwrap() });
        status.refusals.iter().any(|refusals| refusals.code == "PEER_OTHER_LEDGER")
    };
    while !running.iter().all(counts) {
        assert!(begun.elapsed() < STOP_LIMIT, "both count what one of them refused");
        std::thread::sleep(Duration::from_millis(50));
    }
    let logs = running.map(|node| node.stop(Signal::Terminate).expect(0).err);
    let mut lines = logs.iter().flat_map(|log| log.lines());
    let told = lines.find(|line| line.contains("peer refused")).expect("a line in a log");
    assert!(told.contains("code=PEER_OTHER_LEDGER") && told.contains("detail=\""), "{told}");
}

#[test]
fn a_running_node_reads_its_peers_again_and_keeps_what_it_has_when_they_are_wrong() {
    let (nodes, first) = ([new(), new()], ports(2));
    let config = |node: usize, text: String| {
        fs::write(nodes[node].path().join("config.toml"), text).unwrap();
    };
    let own = |node: u16| format!("127.0.0.1:{}", first + 2 * node + 1);
    let identity = |node: usize| {
        let data = nodes[node].path().to_str().unwrap();
        let shown = run(NODE, ["keys", "show", "--data-dir", data, "-o", "json"]).expect(0).json();
        shown["keys"]["identity"].as_str().unwrap().to_owned()
    };
    config(0, format!("[peer]\nlisten = \"{}\"\n", own(0)));
    config(1, format!("[peer]\nlisten = \"{}\"\n", own(1)));
    let running = [0, 1].map(|node: usize| Running::start(nodes[node].path()).unwrap());
    let runtime = Runtime::new().unwrap();
    let meets = || {
        let status = async { connect(&running[0]).await.status().await.unwrap() };
        runtime.block_on(status).notices.iter().any(|told| told.contains("PEER_OTHER_LEDGER"))
    };
    let until = |expected: bool, why: &str| {
        let begun = Instant::now();
        while meets() != expected {
            assert!(begun.elapsed() < STOP_LIMIT, "{why}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert!(!meets());
    // A node of another ledger shows that it is dialled: it refuses.
    let known = format!("known = [\"{}@{}\"]\n", identity(1), own(1));
    config(0, format!("[peer]\nlisten = \"{}\"\n{known}[pool]\nentries = 7\n", own(0)));
    running[0].send(Signal::ReadAgain);
    until(true, "the new peer is dialled");
    config(0, format!("[peer]\nlisten = \"{}\"\nknown = [\"nobody\"]\n", own(0)));
    running[0].send(Signal::ReadAgain);
    std::thread::sleep(Duration::from_millis(300));
    assert!(meets(), "what is wrong changes nothing");
    fs::remove_file(nodes[0].path().join("config.toml")).unwrap();
    running[0].send(Signal::ReadAgain);
    std::thread::sleep(Duration::from_millis(300));
    assert!(meets(), "a file that is gone changes nothing");
    config(0, format!("[log]\nfilter = \"warn\"\n[peer]\nlisten = \"{}\"\n", own(0)));
    running[0].send(Signal::ReadAgain);
    until(false, "the peer is forgotten");
    let [read, other] = running;
    let said = read.stop(Signal::Terminate);
    assert_eq!(said.code, 0);
    for part in [
        "changed=\"peer.known\"",
        "waiting=\"pool.entries\"",
        "code=NODE_CONFIG",
        "expected ID@HOST:PORT, found \"nobody\"",
        "config.toml: No such file or directory",
    ] {
        assert!(said.err.contains(part), "{part} is missing in {}", said.err);
    }
    assert!(!said.err.contains("node has stopped"), "information is logged: {}", said.err);
    assert_eq!(other.end(Signal::Terminate), 0);
}

#[test]
fn a_second_init_changes_nothing() {
    let directory = new();
    let genesis = fs::read(directory.path().join("genesis")).unwrap();
    let data = directory.path().to_str().unwrap();
    let named = ["--party", "other", "--name", "Other", "--ledger-name", "Other"];
    let init = ["init", "--data-dir", data, "--origin", "ledger.invalid/other", "--plain-keys"];
    let init: Vec<&str> = init.iter().chain(&named).copied().collect();
    fails(&init, 24, "NODE_EXISTS");
    assert_eq!(fs::read(directory.path().join("genesis")).unwrap(), genesis);
    // Keys without a genesis file may be another ledger's, begun elsewhere.
    fs::remove_file(directory.path().join("genesis")).unwrap();
    fails(&init, 24, "NODE_EXISTS");
    assert!(!directory.path().join("genesis").exists());
}

#[test]
fn a_network_for_trying_out_is_neither_started_in_part_nor_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let net = |validators, followers| {
        let shape = ["--validators", validators, "--followers", followers];
        ["testnet", "--init-only", "--data-dir", data].into_iter().chain(shape).collect::<Vec<_>>()
    };
    let _made = run(NODE, net("2", "1")).expect(0);
    for (validators, followers) in [("1", "1"), ("3", "1"), ("2", "0"), ("2", "2")] {
        let failed = fails(&net(validators, followers), 24, "NODE_EXISTS");
        assert!(failed.err.contains("--validators 2 --followers 1"), "{}", failed.err);
    }
    let _same = run(NODE, net("2", "1")).expect(0);
    let ports = |base| net("2", "1").into_iter().chain(["--base-port", base]).collect::<Vec<_>>();
    let _same = run(NODE, ports("7500")).expect(0);
    let failed = fails(&ports("7600"), 24, "NODE_EXISTS");
    assert!(failed.err.contains("ports from 7500 on"), "{}", failed.err);
    let (newest, older) = (NEWEST.to_string(), (NEWEST - 1).to_string());
    let version = |version| [&net("2", "1")[..], &["--protocol-version", version]].concat();
    let _same = run(NODE, version(&newest)).expect(0);
    let failed = fails(&version(&older), 24, "NODE_EXISTS");
    assert!(failed.err.contains(&format!("protocol version {newest}")), "{}", failed.err);
}

/// The settings in force, or why there are none.
fn settings(directory: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Finished {
    let mut config = command(NODE);
    config.args(["config", "-o", "json", "--data-dir"]).arg(directory).args(flags);
    config.envs(environment.iter().copied());
    let output = config.output().unwrap();
    Finished {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let directory = new();
    let path = directory.path().join("config.toml");
    let file = "listen = \"127.0.0.1:3\"\n[pool]\nentries = 3\nbytes = 100000\n";
    fs::write(&path, file).unwrap();
    let environment = [("LEDGER_LISTEN", "127.0.0.1:2"), ("LEDGER_POOL_ENTRIES", "2")];
    let flags = ["--listen", "127.0.0.1:1"];
    let found = settings(directory.path(), &flags, &environment).expect(0).json();
    let of = |key: &str| {
        let text = |part: &str| found[key][part].as_str().unwrap().to_owned();
        (text("value"), text("origin"))
    };
    let told = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(of("listen"), told("127.0.0.1:1", "--listen"));
    assert_eq!(of("pool.entries"), told("2", "LEDGER_POOL_ENTRIES"));
    assert_eq!(of("pool.bytes"), told("100000", path.to_str().unwrap()));
    assert_eq!(of("log.format"), told("text", "default"));
}

#[test]
fn every_mistake_of_every_source_is_told_at_once_and_nothing_starts() {
    let directory = new();
    fs::write(directory.path().join("config.toml"), "listne = 1\n[pool]\nentries = 0\n").unwrap();
    let twice = ["one", "two"].map(|host| format!("{}@{host}.example:7441", "ab".repeat(32)));
    let twice = twice.join(",");
    let environment = [
        ("LEDGER_LOG_FROMAT", "json"),
        ("LEDGER_BLOCK_GATHER_MS", "soon"),
        ("LEDGER_PEER_KNOWN", twice.as_str()),
    ];
    let flags = ["--listen", "somewhere", "--log-format", "xml"];
    let shown = settings(directory.path(), &flags, &environment).expect(2);
    let mut node = node_on(directory.path());
    // Said twice, the later flag would be an error of its own.
    let node = node.args(["--log-format", "xml", "--pool-bytes", "1"]).envs(environment);
    let ended = match Running::spawn(std::mem::replace(node, Command::new("true"))) {
        Err(ended) => ended.expect(2),
        Ok(_) => panic!("a node starts with mistakes"),
    };
    for (ended, own) in [(shown, "\"somewhere\""), (ended, "`pool.bytes` = 1")] {
        assert_eq!(ended.error_code(), "NODE_CONFIG");
        let message = ended.error()["error"]["message"].as_str().unwrap().to_owned();
        for mistake in [
            "unknown key `listne` (did you mean `listen`?)",
            "`pool.entries` = 0",
            "unknown variable `LEDGER_LOG_FROMAT` (did you mean `LEDGER_LOG_FORMAT`?)",
            "LEDGER_BLOCK_GATHER_MS: `block.gather_ms` = \"soon\"",
            "--log-format: `log.format` = \"xml\"",
            "LEDGER_PEER_KNOWN: `peer.known` = ",
            "two peers have the identity",
            own,
        ] {
            assert!(message.contains(mistake), "{mistake:?} is missing in {message:?}");
        }
    }
    assert!(!directory.path().join("store").exists(), "the node got as far as its store");
    let missing = ["config", "--data-dir", "/nowhere", "--config", "/nowhere/config.toml"];
    fails(&missing, 2, "NODE_CONFIG");
    assert_eq!(run(NODE, ["run", "--no-such-flag"]).code, 2);
}

#[test]
fn logs_are_text_or_one_json_object_a_line() {
    let directory = new();
    let said = |format: &str| {
        let mut node = node_on(directory.path());
        node.args(["--log-format", format]);
        Running::spawn(node).unwrap().stop(Signal::Terminate).expect(0).err
    };
    let json = said("json");
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field} is missing in {line}");
        }
    }
    let told: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    for message in ["node is ready", "node is stopping", "node has stopped"] {
        assert!(told.contains(&message), "{message:?} is missing in {told:?}");
    }
    let stopping = lines.iter().find(|line| line["message"] == "node is stopping").unwrap();
    assert_eq!(stopping["reason"], "SIGTERM");
    let text = said("text");
    assert!(text.contains(" INFO ledger_node::running: node is ready genesis="), "{text}");
    assert!(!text.contains('\u{1b}'), "colours in a file: {text}");
}

#[test]
fn a_taken_address_is_named() {
    let (one, other) = (new(), new());
    let node = Running::start(one.path()).unwrap();
    let address = node.url.strip_prefix("http://").unwrap();
    let data = other.path().to_str().unwrap();
    let ended = fails(&["run", "--data-dir", data, "--listen", address], 1, "NODE_LISTEN");
    assert!(ended.err.contains(address), "{}", ended.err);
}

/// Load from several clients, two watchers, and a signal. What was answered is there; what was not is there once or not at all.
fn stops_in_the_middle_of_work(signal: Signal) {
    let (directory, runtime) = (new(), Runtime::new().unwrap());
    let node = Running::start(directory.path()).unwrap();
    let book = SharedBook::default();
    let watchers = runtime.block_on(async {
        let mut client = connect(&node).await;
        let who = Supplier::admit(&mut client, directory.path(), "supplier").await.unwrap();
        let mut watchers = Vec::new();
        for _ in 0..2 {
            let mut stream = client.watch(v1::WatchRequest::default()).await.unwrap();
            watchers.push(tokio::spawn(async move {
                let mut seen = 0_u32;
                while let Some(Ok(_)) = stream.next().await {
                    seen += 1;
                }
                seen
            }));
        }
        book.load(&node, &who, "load").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        watchers
    });
    let begun = Instant::now();
    let ended = node.stop(signal).expect(0);
    let took = begun.elapsed();
    assert!(took < STOP_LIMIT, "{signal:?} took {took:?}");
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    for watcher in watchers {
        assert!(runtime.block_on(watcher).unwrap() > 0, "a watcher saw nothing");
    }
    let mut book = book.take();
    println!(
        "{signal:?}: gone after {took:?}; {} sent, {} answered, {} calls ended",
        book.sent.len(),
        book.acknowledged.len(),
        book.failed.len()
    );
    assert!(book.acknowledged.len() > 50, "{} answers", book.acknowledged.len());
    for failed in &book.failed {
        assert!(
            ["API_STOPPING", "CLIENT_INTERRUPTED", "GRPC_Unavailable", "GRPC_Cancelled"]
                .contains(&failed.code.as_str()),
            "{failed:?}"
        );
    }
    let file = directory.path().join("chain.ledger");
    let places = places_in(directory.path(), &file);
    for (id, place) in &book.acknowledged {
        assert_eq!(places.get(id), Some(place), "{id}");
    }
    let node = Running::start(directory.path()).unwrap();
    runtime.block_on(async { book.check(&mut connect(&node).await).await }).unwrap();
    assert_eq!(node.end(signal), 0);
    let again = places_in(directory.path(), &file);
    assert!(places.iter().all(|(id, place)| again.get(id) == Some(place)));
}

#[test]
fn sigterm_ends_a_busy_node_without_losing_an_answer() {
    stops_in_the_middle_of_work(Signal::Terminate);
}

#[test]
fn ctrl_c_ends_a_busy_node_without_losing_an_answer() {
    stops_in_the_middle_of_work(Signal::Interrupt);
}

/// The command of a demonstration.
fn demonstrating(directory: &Path) -> Command {
    let mut dev = command(NODE);
    dev.args(["dev", "--once", "-o", "json", "--listen", "127.0.0.1:0", "--data-dir"]);
    dev.arg(directory);
    dev
}

/// What a demonstration says at its end that does not depend on how often it was begun.
fn story(told: &Value) -> BTreeMap<&str, &Value> {
    let names = ["imported", "claims", "skipped", "deliveries", "entries"];
    names.into_iter().map(|name| (name, &told[name])).collect()
}

#[test]
fn a_second_demonstration_goes_on_with_the_first() {
    let (made, directory) = (demonstration(), tempfile::tempdir().unwrap());
    copy_node(&made.data(), directory.path());
    let output = demonstrating(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(story(&told), story(&made.told));
    assert_eq!((&told["genesis"], &told["height"]), (&made.told["genesis"], &made.told["height"]));
    assert_eq!(told["acts_played"], 0);
}

#[test]
fn a_demonstration_that_was_broken_off_comes_to_the_same_end() {
    let now = Instant::now();
    let seed = std::env::var("LEDGER_DEV_SEED").map_or(5, |text| text.parse().unwrap());
    let mut dice = Rng(seed);
    println!("LEDGER_DEV_SEED={seed}");
    let mut broken_off = 0;
    for signal in [Signal::Kill, Signal::Interrupt, Signal::Kill] {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..4 {
            let pause = Duration::from_millis(u64::try_from(40 + dice.below(700)).unwrap());
            broken_off += u32::from(broken_off_after(directory.path(), signal, pause));
        }
        let output = demonstrating(directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(story(&told), story(&demonstration().told), "{signal:?}");
        let _places = places_in(directory.path(), &directory.path().join("chain.ledger"));
    }
    println!("{broken_off} of 12 demonstrations were broken off; {:?}", now.elapsed());
    assert!(broken_off >= 8, "{broken_off} of 12");
}

/// Starts a demonstration and ends it after a while. Whether it was still at work.
fn broken_off_after(directory: &Path, signal: Signal, pause: Duration) -> bool {
    let mut dev = demonstrating(directory);
    let mut dev = dev.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(pause);
    let at_work = dev.try_wait().unwrap().is_none();
    if at_work {
        let name = if signal == Signal::Interrupt { "-INT" } else { "-KILL" };
        assert!(
            Command::new("kill").args([name, &dev.id().to_string()]).status().unwrap().success()
        );
    }
    let begun = Instant::now();
    let status = dev.wait().unwrap();
    assert!(begun.elapsed() < STOP_LIMIT, "{signal:?} took {:?}", begun.elapsed());
    if signal == Signal::Interrupt {
        // Before the node is up, the signal ends the process as it ends any other.
        assert!(matches!(status.code(), Some(0) | None), "{status}");
    }
    at_work
}

/// Sizes and times of change of all files.
fn sizes(directory: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            all.append(&mut sizes(&path));
        } else {
            all.insert(path, (metadata.len(), metadata.modified().unwrap()));
        }
    }
    all
}

/// Processor time that a process has used, in hundredths of a second (Linux, proc(5): fields 14 and 15 in clock ticks).
fn ticks(node: &Running) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    [11, 12].iter().map(|field| fields[*field].parse::<u64>().unwrap()).sum()
}

#[test]
fn a_ledger_that_nobody_writes_to_is_silent() {
    let directory = new();
    let node = Running::start(directory.path()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let before = (sizes(directory.path()), ticks(&node));
    std::thread::sleep(Duration::from_secs(3));
    let used = ticks(&node) - before.1;
    assert_eq!(sizes(directory.path()), before.0, "something was written");
    println!("{used} ticks of processor time in 3 s");
    assert!(used <= 10, "{used} ticks of processor time in 3 s of nothing to do");
    let runtime = Runtime::new().unwrap();
    let status = runtime.block_on(async { connect(&node).await.status().await }).unwrap();
    assert_eq!(status.height, 1);
}

#[test]
fn status_tells_of_a_running_node_and_of_its_directory() {
    let made = demonstration();
    let node = made.start();
    let online = run(NODE, ["status", "--node", &node.url, "-o", "json"]).expect(0).json();
    assert_eq!(online["running"], true);
    assert_eq!(
        (online["genesis"].as_str(), online["height"].as_u64()),
        (Some(made.genesis.as_str()), made.told["height"].as_u64())
    );
    for number in ["tree_size", "records", "time_ms", "validators", "pool_entries", "uptime_s"] {
        assert!(online[number].is_u64(), "{number} is missing in {online}");
    }
    let text = run(NODE, ["status", "--node", &node.url]).expect(0).out;
    assert!(text.contains(&made.genesis) && text.contains("notice"), "{text}");
    let data = made.data();
    let nobody = ["status", "--node", "http://127.0.0.1:1"];
    let at = ["--data-dir", data.to_str().unwrap(), "-o", "json"];
    // What is in the directory is told, and still no node runs.
    let ended = run(NODE, nobody.iter().chain(&at)).expect(20);
    assert_eq!(ended.error_code(), "NODE_NOT_RUNNING");
    let offline = ended.json();
    assert_eq!(offline["running"], false);
    for same in ["genesis", "ledger", "height", "tree_size", "time_ms"] {
        assert_eq!(offline[same], online[same], "{same}");
    }
    fails(&nobody, 20, "NODE_NOT_RUNNING");
    for none in ["foo", "https://127.0.0.1:1", "127.0.0.1:1"] {
        fails(&["status", "--node", none], 2, "CLIENT_USAGE");
    }
}

/// Not the one on the usual port, which may be another ledger's.
#[test]
fn status_of_a_directory_asks_the_node_that_it_configures() {
    let (directory, node) = (new(), demonstration().start());
    let data = directory.path().to_str().unwrap();
    let listens = node.url.strip_prefix("http://").unwrap();
    fs::write(directory.path().join("config.toml"), format!("listen = \"{listens}\"\n")).unwrap();
    let status = || run(NODE, ["status", "--data-dir", data, "-o", "json"]);
    assert_eq!(status().expect(20).error_code(), "NODE_ANOTHER");
    copy_node(&demonstration().data(), directory.path());
    assert_eq!(status().expect(0).json()["running"], true);
    // Wherever its settings are.
    let elsewhere = tempfile::tempdir().unwrap();
    let config = elsewhere.path().join("settings.toml");
    fs::rename(directory.path().join("config.toml"), &config).unwrap();
    let mut outside = command(NODE);
    outside.args(["status", "-o", "json"]).env("LEDGER_DATA_DIR", data);
    assert!(outside.env("LEDGER_CONFIG", &config).status().unwrap().success());
    let typed = ["--config", config.to_str().unwrap()];
    let typed = ["status", "-o", "json"].iter().chain(&typed);
    assert_eq!(run(NODE, typed).expect(0).json()["running"], true);
    // Where nobody answers there, the directory is looked into: its store is gone.
    fs::remove_dir_all(directory.path().join("store")).unwrap();
    fs::write(directory.path().join("config.toml"), "listen = \"127.0.0.1:1\"\n").unwrap();
    assert_eq!(status().expect(23).error_code(), "STORE_MISSING");
}
