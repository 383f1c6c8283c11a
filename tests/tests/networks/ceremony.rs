//! The founders' ceremony, as founders do it: one file between four directories, four nodes on what came of it, and everything that
//! must not come of it.

use std::fs;
use std::path::{Path, PathBuf};

use ledger_tests::{CLI, Exchanges, Finished, NODE, Supplier, connect, place, ports, run};
use serde_json::Value;
use tempfile::TempDir;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ledger-node/data");
/// A commitment to an officer.
const OFFICER: &str = "4d3c2b1a4d3c2b1a4d3c2b1a4d3c2b1a4d3c2b1a4d3c2b1a4d3c2b1a4d3c2b1a";

/// A ceremony of some founders, each with a directory.
struct Founders {
    directory: TempDir,
    count: usize,
}

impl Founders {
    /// Founders with their keys, and a file that nobody has joined.
    fn meet(count: usize, more: &[&str]) -> Self {
        let founders = Self { directory: TempDir::new().unwrap(), count };
        for number in 1..=count {
            for key in ["organisation", "officer-1"] {
                let path = founders.key(number, key);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let _done = run(CLI, ["key", "new", path.to_str().unwrap(), "--plain"]).expect(0);
            }
            let home = founders.home(number);
            let keys = ["keys", "new", "-o", "json", "--data-dir", home.to_str().unwrap()];
            let _made = run(NODE, keys).expect(0);
        }
        let rules = format!("{DATA}/rulesets/CN-NDA-2026.json");
        let calendar = format!("{DATA}/calendars/CN-2026.json");
        let what = ["--name", "Founded together", "--origin", "ledger.invalid/together"];
        let documents = ["--ruleset", &rules, "--calendar", &calendar];
        let all: Vec<&str> = what.iter().chain(&documents).chain(more).copied().collect();
        let _done = founders.step("new", &all).expect(0);
        founders
    }

    /// The data directory of a founder's node.
    fn home(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("net/validator-{number}"))
    }

    fn key(&self, number: usize, name: &str) -> PathBuf {
        self.home(number).join(format!("founder/{name}.pem"))
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ceremony")
    }

    fn genesis(&self) -> PathBuf {
        self.directory.path().join("genesis")
    }

    /// One step of the ceremony on the file.
    fn step(&self, name: &str, more: &[&str]) -> Finished {
        let file = self.file();
        let step = ["-o", "json", "network", "genesis", name, file.to_str().unwrap()];
        run(CLI, step.iter().chain(more))
    }

    fn join_as(&self, number: usize, party: &str, keys: usize) -> Finished {
        let grant = |name: &str, rest: &str| {
            format!("{}={rest}", self.key(keys, name).with_extension("pub").display())
        };
        let organisation = grant("organisation", "org-hsm");
        let officer = grant("officer-1", &format!("officer-token,{OFFICER}"));
        let node = self.home(number).join("keys");
        let roles = ["--as", "exchange", "--as", "identity-authority", "--as", "node-operator"];
        let keys = ["--grant", &organisation, "--grant", &officer];
        let node = ["--name-en", party, "--keys-of", node.to_str().unwrap()];
        let all: Vec<&str> =
            [party].iter().chain(&node).chain(&roles).chain(&keys).copied().collect();
        self.step("add-member", &all)
    }

    fn join(&self, number: usize) -> Finished {
        self.join_as(number, &format!("exchange-{number}"), number)
    }

    fn join_all(&self) -> String {
        for number in 1..=self.count {
            let _done = self.join(number).expect(0);
        }
        self.shown()["genesis"].as_str().unwrap().to_owned()
    }

    fn shown(&self) -> Value {
        self.step("show", &[]).expect(0).json()
    }

    fn sign(&self, number: usize, hash: &str) -> Finished {
        let key = self.key(number, "organisation");
        self.step("sign", &["--key", key.to_str().unwrap(), "--trust", hash])
    }

    fn seal(&self, number: usize, hash: &str) -> Finished {
        let (key, to) = (self.key(number, "organisation"), self.genesis());
        let (key, to) = (key.to_str().unwrap(), to.to_str().unwrap());
        self.step("seal", &["--key", key, "--trust", hash, "--to", to])
    }

    /// All sign and seal what they agreed on.
    fn agree(&self) -> String {
        let hash = self.join_all();
        for number in 2..=self.count {
            let _done = self.sign(number, &hash).expect(0);
        }
        let _done = self.seal(1, &hash).expect(0);
        hash
    }

    fn init(&self, home: &Path) -> Finished {
        let (home, genesis) = (home.to_str().unwrap(), self.genesis());
        run(
            NODE,
            ["init", "-o", "json", "--data-dir", home, "--genesis", genesis.to_str().unwrap()],
        )
    }
}

/// The ids of signers by their state.
fn states(shown: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = shown["signers"].as_array().unwrap().iter();
    rows.map(|row| (text(&row["party"]), text(&row["state"]))).collect()
}

#[track_caller]
fn assert_refused(finished: &Finished, code: &str, naming: &str) {
    assert_ne!(finished.code, 0, "{finished:?}");
    let error = finished.error();
    let error = error.get("error").unwrap_or(&error);
    assert_eq!(error["code"], code, "{finished:?}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(naming), "{message}");
}

#[test]
fn four_founders_found_a_ledger_that_their_nodes_agree_on() {
    let founders = Founders::meet(4, &[]);
    let hash = founders.agree();
    let port = ports(5);
    let known: Vec<String> = (1_u16..=4)
        .map(|number| {
            let home = founders.home(number.into());
            let shown =
                run(NODE, ["keys", "show", "-o", "json", "--data-dir", home.to_str().unwrap()]);
            let id = shown.expect(0).json()["keys"]["identity"].as_str().unwrap().to_owned();
            format!("\"{id}@127.0.0.1:{}\"", port + number)
        })
        .collect();
    let follower = founders.directory.path().join("net/follower-1");
    let homes = (1..=4).map(|number| founders.home(number)).chain([follower]);
    for (home, number) in homes.zip(1_u16..) {
        let made = founders.init(&home).expect(0).json();
        assert_eq!(made["genesis"], hash.as_str());
        let role = made["role"].as_str().unwrap();
        assert_eq!(role, if number < 5 { "validator" } else { "follower" });
        let config = format!(
            "role = \"{role}\"\n\n[peer]\nlisten = \"127.0.0.1:{}\"\nknown = [{}]\n",
            port + number,
            known.join(", ")
        );
        fs::write(home.join("config.toml"), config).unwrap();
    }
    let network = Exchanges::begin(founders.directory, 4, 1, port);
    assert!(network.nodes.iter().flatten().all(|node| node.genesis == hash));
    for (exchange, node) in [(1, 2), (3, 0)] {
        let placed = network.runtime.block_on(async {
            let mut client = connect(network.node(node)).await;
            let (home, name) = (network.path(exchange - 1), format!("supplier-{exchange}"));
            let party = format!("exchange-{exchange}");
            let supplier = Supplier::admit_by(&mut client, &home, &party, &name).await.unwrap();
            let entry = supplier.describe("an-asset").unwrap();
            client.submit(&entry).await.unwrap()
        });
        network.agree(place(placed).0);
    }
}

#[test]
fn what_is_missing_wrong_or_foreign_is_not_sealed() {
    let founders = Founders::meet(3, &[]);
    let hash = founders.join_all();
    assert_refused(&founders.sign(2, &"ab".repeat(32)), "CLIENT_GENESIS_HASH", &hash);
    assert_refused(&founders.sign(1, &hash), "CLIENT_SIGNERS", "seals");
    let _done = founders.sign(2, &hash).expect(0);
    assert_refused(&founders.seal(1, &hash), "CLIENT_UNSIGNED", "exchange-3");
    assert_refused(&founders.seal(2, &hash), "CLIENT_UNSIGNED", "exchange-3");
    // An officer's key is a founder's, and not the one that signs.
    let officer = founders.key(3, "officer-1");
    let signed = founders.step("sign", &["--key", officer.to_str().unwrap(), "--trust", &hash]);
    assert_refused(&signed, "CLIENT_SIGNERS", "no co-signer");
    let good = fs::read_to_string(founders.file()).unwrap();
    let mut file: Value = serde_json::from_str(&good).unwrap();
    let (kid, signature) = file["signatures"].as_object().unwrap().iter().next().unwrap();
    let (kid, signature) = (kid.clone(), signature.as_str().unwrap().to_owned());
    let put = |file: &Value| fs::write(founders.file(), file.to_string()).unwrap();
    // One bit of the signature is not the same.
    let other = if signature.starts_with('0') { "1" } else { "0" };
    file["signatures"][&kid] = format!("{other}{}", &signature[1..]).into();
    put(&file);
    let void = ("exchange-2".to_owned(), "void".to_owned());
    assert!(states(&founders.shown()).contains(&void));
    assert_refused(&founders.sign(3, &hash), "CLIENT_GENESIS_SIGNATURE", "exchange-2");
    assert_refused(&founders.seal(1, &hash), "CLIENT_GENESIS_SIGNATURE", "exchange-2");
    // A signature of somebody who is no founder.
    file["signatures"][&kid] = signature.clone().into();
    file["signatures"]["cd".repeat(32)] = signature.into();
    put(&file);
    assert_refused(&founders.seal(1, &hash), "CLIENT_GENESIS_SIGNATURE", "cdcd");
    fs::write(founders.file(), good).unwrap();
    let _done = founders.sign(3, &hash).expect(0);
    assert_refused(&founders.seal(2, &hash), "CLIENT_SIGNERS", "issued with key");
    assert!(!founders.genesis().exists());
    let _done = founders.seal(1, &hash).expect(0);
}

#[test]
fn nothing_changes_after_the_first_signature() {
    let founders = Founders::meet(3, &[]);
    for number in [1, 2] {
        let _done = founders.join(number).expect(0);
    }
    let hash = founders.shown()["genesis"].as_str().unwrap().to_owned();
    let _done = founders.sign(2, &hash).expect(0);
    assert_refused(&founders.join(3), "CLIENT_GENESIS_SIGNED", "exchange-2");
    // Whoever changes the file by hand is seen: another name of the ledger, which is text in it.
    let text = fs::read_to_string(founders.file()).unwrap();
    let hex = |text: &str| ledger_format::digest::hex(text.as_bytes());
    let changed = text.replace(&hex("Founded together"), &hex("Founded by other"));
    assert_ne!(changed, text);
    fs::write(founders.file(), changed).unwrap();
    let shown = founders.shown();
    assert_ne!(shown["genesis"], hash.as_str());
    assert_eq!(states(&shown)[1].1, "void");
    assert_refused(&founders.seal(1, &hash), "CLIENT_GENESIS_HASH", &hash);
    let other = shown["genesis"].as_str().unwrap();
    assert_refused(&founders.seal(1, other), "CLIENT_GENESIS_SIGNATURE", "exchange-2");
}

#[test]
fn parties_and_keys_come_once_and_the_threshold_can_be_met() {
    let founders = Founders::meet(2, &["--threshold", "3"]);
    let _done = founders.join(1).expect(0);
    assert_refused(&founders.join_as(2, "exchange-1", 2), "CLIENT_FOUNDER_TAKEN", "exchange-1");
    assert_refused(&founders.join_as(2, "exchange-2", 1), "CLIENT_FOUNDER_TAKEN", "key");
    assert_refused(&founders.join_as(1, "exchange-2", 2), "CLIENT_FOUNDER_TAKEN", "key");
    let _done = founders.join(2).expect(0);
    let shown = founders.shown();
    assert!(shown["genesis"].is_null());
    assert!(shown["incomplete"].as_str().unwrap().contains("threshold of 3"), "{shown}");
    assert_refused(&founders.sign(2, &"ab".repeat(32)), "FMT_VALUE", "threshold of 3");
    assert_refused(
        &founders.step("new", &["--name", "x", "--origin", "y"]),
        "CLIENT_FILE_EXISTS",
        "exists",
    );
}

#[test]
fn nothing_is_sealed_over_a_file_and_no_node_begins_with_another_genesis_than_the_stated_one() {
    let founders = Founders::meet(2, &[]);
    let hash = founders.agree();
    let genesis = founders.genesis();
    let sealed = fs::read(&genesis).unwrap();
    assert_refused(&founders.seal(1, &hash), "CLIENT_FILE_EXISTS", genesis.to_str().unwrap());
    assert_eq!(fs::read(&genesis).unwrap(), sealed);
    let init = |name: &str, more: &[&str]| {
        let (home, file) = (founders.home(1).with_file_name(name), genesis.to_str().unwrap());
        let init = ["init", "-o", "json", "--genesis", file, "--data-dir", home.to_str().unwrap()];
        run(NODE, init.iter().chain(more))
    };
    let other = "ab".repeat(32);
    assert_refused(&init("follower-a", &["--trust", &other]), "NODE_GENESIS", &other);
    let told = init("follower-a", &["--trust", &hash]).expect(0).json();
    assert_eq!((&told["genesis"], &told["compared"]), (&hash.as_str().into(), &true.into()));
    let told = init("follower-b", &[]).expect(0).json();
    assert_eq!((&told["genesis"], &told["compared"]), (&hash.as_str().into(), &false.into()));
    assert!(told["note"].as_str().unwrap().contains("compared with nothing"), "{told}");
}

#[test]
fn what_a_node_could_not_begin_with_is_refused_by_who_brings_it() {
    let founders = Founders::meet(2, &[]);
    let good = fs::read_to_string(format!("{DATA}/rulesets/CN-NDA-2026.json")).unwrap();
    let mut rules: Value = serde_json::from_str(&good).unwrap();
    rules["title"] = "".into();
    let (bad, other) =
        (founders.directory.path().join("rules.json"), founders.directory.path().join("other"));
    fs::write(&bad, rules.to_string()).unwrap();
    let what = ["--name", "x", "--origin", "ledger.invalid/x", "--ruleset", bad.to_str().unwrap()];
    let begin = ["-o", "json", "network", "genesis", "new", other.to_str().unwrap()];
    let refused = run(CLI, begin.iter().chain(&what)).expect(1);
    assert_refused(&refused, "FIELD_VALUE", "ruleset:CN-NDA-2026/1");
    assert!(!other.exists());
    // A vote key that is another's log key, a part that is taken out and comes again, with the keys of the right directory.
    let _done = founders.join(1).expect(0);
    let before = fs::read(founders.file()).unwrap();
    let vote = |number| founders.home(number).join("keys/vote.pub");
    let own = fs::read(vote(2)).unwrap();
    fs::copy(founders.home(1).join("keys/log.pub"), vote(2)).unwrap();
    assert_refused(&founders.join(2), "CLIENT_FOUNDER_TAKEN", "the log key of the validator");
    assert_eq!(fs::read(founders.file()).unwrap(), before);
    fs::write(vote(2), own).unwrap();
    assert_refused(&founders.step("remove-member", &["exchange-2"]), "CLIENT_FOUNDER_ABSENT", "");
    let _done = founders.join(2).expect(0);
    let hash = founders.shown()["genesis"].clone();
    let left = founders.step("remove-member", &["exchange-2"]).expect(0).json();
    assert_ne!(left["genesis"], hash);
    assert_eq!(fs::read(founders.file()).unwrap(), before);
    assert_eq!(founders.join(2).expect(0).json()["genesis"], hash);
    let _done = founders.sign(2, hash.as_str().unwrap()).expect(0);
    let late = founders.step("remove-member", &["exchange-1"]);
    assert_refused(&late, "CLIENT_GENESIS_SIGNED", "exchange-2");
}

#[test]
fn a_node_takes_no_genesis_that_not_all_have_signed_as_it_is() {
    let founders = Founders::meet(2, &[]);
    let hash = founders.agree();
    let good = fs::read(founders.genesis()).unwrap();
    let home = |name: &str| founders.directory.path().join(name);
    // The last byte of the first entry is the end of its issuer's signature.
    let length = usize::from(u16::from_be_bytes([good[22], good[23]]));
    let mut wrong = good.clone();
    wrong[23 + length] ^= 1;
    fs::write(founders.genesis(), &wrong).unwrap();
    assert_refused(&founders.init(&home("wrong")), "NODE_GENESIS", "CLIENT_GENESIS_SIGNATURE");
    assert!(!home("wrong").exists());
    fs::write(founders.genesis(), &good[..good.len() - 1]).unwrap();
    assert_refused(&founders.init(&home("cut")), "NODE_GENESIS", "");
    // Another file by mistake, which is longer than any memory.
    fs::remove_file(founders.genesis()).unwrap();
    std::os::unix::fs::symlink("/dev/zero", founders.genesis()).unwrap();
    assert_refused(&founders.init(&home("endless")), "NODE_GENESIS", "");
    fs::remove_file(founders.genesis()).unwrap();
    fs::write(founders.genesis(), &good).unwrap();
    let made = founders.init(&founders.home(1)).expect(0).json();
    assert_eq!(
        (made["genesis"].as_str(), made["role"].as_str()),
        (Some(hash.as_str()), Some("validator"))
    );
    assert_refused(&founders.init(&founders.home(1)), "NODE_EXISTS", "");
    // What was taken is judged again at every start.
    fs::write(founders.home(1).join("genesis"), &wrong).unwrap();
    let started = ledger_tests::Running::start(&founders.home(1)).unwrap_err();
    assert_eq!(started.error_code(), "NODE_GENESIS");
    // Keys of which some are another node's.
    for end in ["pem", "pub"] {
        let log = |number| founders.home(number).join(format!("keys/log.{end}"));
        fs::copy(log(1), log(2)).unwrap();
    }
    assert_refused(&founders.init(&founders.home(2)), "NODE_KEYS", "exchange-");
}
