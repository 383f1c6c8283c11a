//! Validators that come in, leave and take other keys while entries are written, each node a process of its own; and proof of it from
//! the genesis hash alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ed25519_dalek::Signer as _;
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::entry::Entry;
use ledger_format::evidence::{Evidence, EvidenceFile, SignedVote};
use ledger_format::vote::{VoteStep, vote_bytes};
use ledger_tests::{CLI, Exchanges, NODE, Signal, Supplier, connect, place, run};
use serde_json::Value;
use tempfile::TempDir;

/// How long a node may take to see that it has a say, or none.
const PATIENCE: Duration = Duration::from_secs(30);

struct Consortium {
    network: Exchanges,
    supplier: Supplier,
    entries: Vec<Entry>,
}

impl Consortium {
    fn begun() -> Self {
        let network = Exchanges::start_with(4, 1, 1);
        let supplier = network.supplier(0);
        Self { network, supplier, entries: Vec::new() }
    }

    fn genesis(&self) -> String {
        self.network.node(4).genesis.clone()
    }

    /// Writes entries at a node, each in a block of its own.
    fn write(&mut self, node: usize, count: usize) {
        for _ in 0..count {
            let entry = self.supplier.describe(&format!("asset-{}", self.entries.len())).unwrap();
            let placed = self
                .network
                .runtime
                .block_on(async { connect(self.network.node(node)).await.submit(&entry).await });
            place(placed.unwrap());
            self.entries.push(entry);
        }
    }

    fn status(&self, node: usize) -> Value {
        self.network.cli(node, "status", 0)
    }

    fn becomes(&self, node: usize, role: &str) {
        let begun = Instant::now();
        while self.status(node)["role"] != role {
            assert!(begun.elapsed() < PATIENCE, "node {node} is no {role}: {}", self.status(node));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn identities(&self) -> Vec<String> {
        // The node that is asked may not have the block yet.
        self.network.agree(4);
        let shown = self.network.cli(4, "validator show", 0);
        let members = shown["validators"].as_array().unwrap();
        members.iter().map(|member| member["identity"].as_str().unwrap().to_owned()).collect()
    }

    /// A node proves the first and the last entry and a record; from nothing but the genesis hash all of it is proven.
    fn proves(&self, node: usize, changes: usize) -> Vec<PathBuf> {
        let directory = self.network.path(node);
        // In the place of what it proved before.
        let file = |name: &str, kind: &str| {
            let file = directory.join(format!("{name}-{changes}.{kind}"));
            let _earlier = fs::remove_file(&file);
            file
        };
        let trust = self.genesis();
        let mut files = Vec::new();
        for (name, entry) in [("first", &self.entries[0]), ("last", self.entries.last().unwrap())] {
            let (proof, bytes) = (file(name, "proof"), file(name, "cose"));
            let (id, out, save) = (entry.id(), proof.display(), bytes.display());
            self.network.cli(node, &format!("prove entry {id} --out {out} --entry {save}"), 0);
            verifies(&["receipt", path(&proof), "--entry", path(&bytes)], &trust);
            files.push(proof);
        }
        let record = file("record", "proof");
        self.network.cli(
            node,
            &format!("prove record party:supplier --out {}", record.display()),
            0,
        );
        let said = verifies(&["record", path(&record)], &trust);
        let shown = said.to_string().contains(&format!("{changes} change(s) of the validators"));
        assert_eq!(shown, changes > 0, "{said}");
        let chain = file("chain", "ledger");
        self.network.cli(node, &format!("export chain --out {}", chain.display()), 0);
        verifies(&["chain", path(&chain)], &trust);
        files.extend([record, chain]);
        files
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Verifies something offline, and gives the report.
fn verifies(what: &[&str], trust: &str) -> Value {
    let line = [&["--output", "json", "verify"], what, &["--trust", trust]].concat();
    run(CLI, line).expect(0).json()
}

impl Consortium {
    fn fifth_comes_in(&mut self) -> usize {
        // One more: its party is admitted, and its node stands by until it has a say.
        let fifth = self.network.join();
        self.network.start_nodes(&[fifth]);
        assert_eq!(self.status(fifth)["role"], "standby");
        assert!(self.status(fifth)["notices"].to_string().contains("standby"));
        self.network.agree(4);
        let key = self.admits_fifth(fifth);
        self.agrees_to_fifth(fifth, &key);
        assert_eq!(self.identities().len(), 5);
        self.write(4, 2);
        self.becomes(fifth, "validator");
        // Four of five are needed now: with one down, the new one's vote is.
        self.network.end(3, Signal::Kill);
        self.write(1, 3);
        self.network.start_nodes(&[3]);
        self.network.agree(4);
        self.proves(0, 1);
        self.proves(fifth, 1);
        fifth
    }

    fn admits_fifth(&self, fifth: usize) -> PathBuf {
        let founder = self.network.path(fifth).join("founder");
        let key = founder.join("organisation.pem");
        self.network.cli(0, &format!("key new {} --plain", key.display()), 0);
        let officer = self.network.path(0).join("founder/officer-1.pem");
        self.network.cli(
            0,
            &format!(
                "party admit exchange-5 --name-en Fifth --as exchange --grant {}=org-hsm{} --key {} --key {}",
                key.display(),
                self.network.signed_by(&[0]),
                officer.display(),
                key.display()
            ),
            0,
        );
        key
    }

    fn agrees_to_fifth(&self, fifth: usize, key: &Path) {
        let add = format!(
            "validator add exchange-5 --keys-of {}",
            self.network.path(fifth).join("keys").display()
        );
        // Not without its consent, and not by three of five.
        let refused =
            self.network.cli(0, &format!("{add}{}", self.network.signed_by(&[0, 1, 2, 3])), 22);
        assert_eq!(refused["code"], "VALIDATOR_CONSENT");
        let refused =
            self.network.cli(0, &format!("{add}{}", self.network.signed_by(&[0, 1, fifth])), 22);
        assert_eq!(refused["code"], "VALIDATORS_QUORUM");
        let draft = self.network.path(0).join("add.draft");
        let with = self.network.path(fifth).join("founder/organisation.pub");
        self.network.cli(
            0,
            &format!(
                "{add}{} --with {} --draft {}",
                self.network.signed_by(&[0, 1, 2]),
                with.display(),
                draft.display()
            ),
            0,
        );
        let shown = self.network.cli(1, &format!("draft show {}", draft.display()), 0);
        let what: Vec<_> = shown["validators"]["members"].as_array().unwrap().iter().collect();
        assert_eq!(what.iter().filter(|one| one["change"] == "stays as it is").count(), 4);
        let fifth = what.iter().find(|one| one["party"] == "exchange-5").unwrap();
        assert_eq!((&fifth["change"], &fifth["power"]), (&"added".into(), &1.into()));
        self.network.cli(0, &format!("draft sign {} --key {}", draft.display(), key.display()), 0);
        let issuer = self.network.path(0).join("founder/organisation.pem");
        self.network.cli(
            0,
            &format!("draft submit {} --key {}", draft.display(), issuer.display()),
            0,
        );
    }

    fn fourth_leaves(&mut self, fifth: usize) {
        // One leaves: it goes on as a standby, and has no say.
        let ids = self.identities();
        let fourth = self.network.identity(3);
        assert!(ids.contains(&fourth));
        self.network.cli(
            1,
            &format!("validator remove {fourth}{}", self.network.signed_by(&[0, 1, 2, fifth])),
            0,
        );
        self.write(2, 2);
        self.becomes(3, "standby");
        let stopped = self.network.end(3, Signal::Terminate);
        assert_eq!(stopped.code, 0, "{}", stopped.err);
        self.write(0, 2);
        self.network.start_nodes(&[3]);
        self.network.agree(4);
        self.write(3, 1);
    }

    fn first_renews_its_keys(&mut self, fifth: usize) {
        // One takes other keys: a restart before, none after.
        let directory = self.network.path(0);
        let made = run(NODE, ["-o", "json", "keys", "next", "--data-dir", path(&directory)])
            .expect(0)
            .json();
        let next = made["next"]["identity"].as_str().unwrap().to_owned();
        self.network.end(0, Signal::Terminate);
        // Under its new identity it has to find who came in: that one knows the old identity alone.
        self.network.introduce(0, fifth, &self.network.identity(fifth));
        self.network.start_nodes(&[0]);
        self.network.agree(4);
        let first = self.network.identity(0);
        self.network.cli(
            2,
            &format!(
                "validator rotate {first} --keys-of {}{}",
                directory.join("keys/next").display(),
                self.network.signed_by(&[0, 1, 2])
            ),
            0,
        );
        self.write(1, 3);
        self.becomes(0, "validator");
        assert!(self.identities().contains(&next) && !self.identities().contains(&first));
        // Three of four are needed: with another one down, the new keys' vote is.
        self.network.end(1, Signal::Kill);
        self.write(2, 3);
        self.network.start_nodes(&[1]);
        self.network.agree(4);
        let _kept = run(NODE, ["keys", "promote", "--data-dir", path(&directory)]).expect(0);
        self.network.end(0, Signal::Terminate);
        self.network.start_nodes(&[0]);
        self.becomes(0, "validator");
        self.write(0, 1);
        self.network.agree(4);
    }

    /// Two votes of one height with the vote key that a node has, in a file, as its twin would have made them.
    fn lie_of(&self, node: usize, height: u64) -> (PathBuf, Evidence) {
        let directory = self.network.path(node);
        let key = directory.join("keys/vote.pem");
        let key = ledger_client::keys::read(&key, || panic!("no passphrase")).unwrap();
        let ledger = LedgerId::from_hex(&self.genesis()).unwrap();
        let votes = [1, 2].map(|block| {
            let block = Some(BlockHash([block; 32]));
            let bytes = vote_bytes(&ledger, VoteStep::Precommit, height, 0, block.as_ref());
            SignedVote { block, signature: key.sign(&bytes).to_bytes() }
        });
        let id = KeyId::of(key.verifying_key().as_bytes());
        let lie = Evidence::double_vote(ledger, height, (0, VoteStep::Precommit, id), votes);
        let file = directory.join(format!("{height}.evidence"));
        fs::write(&file, EvidenceFile::encode(None, &[], &lie)).unwrap();
        (file, lie)
    }

    /// What proves a lie goes on the ledger, by anybody's hand, once the version that has such an act is in force.
    fn misconduct_is_recorded(&mut self) {
        let record = |file: &Path| {
            format!("evidence record {}{}", file.display(), self.network.signed_by(&[1]))
        };
        // Another lie than the one below: a validator that did not have its turn meanwhile may still hold the entry that this one
        // refuses, and bring it into a block when it may.
        let (file, _) = self.lie_of(2, 8);
        let early = self.network.cli(1, &record(&file), 1);
        assert_eq!(early["code"], "PROTOCOL_NOT_ACTIVE", "{early}");
        let (file, lie) = self.lie_of(2, 9);
        let record = record(&file);
        self.protocol_goes_on();
        self.network.cli(1, &record, 0);
        self.network.agree(4);
        let shown = self.network.cli(4, &format!("show misconduct:{}", lie.id()), 0).to_string();
        assert!(shown.contains("DOUBLE_VOTE") && shown.contains("exchange-3"), "{shown}");
        let history = self.network.cli(4, "history party:exchange-3", 0).to_string();
        assert!(history.contains("misconduct_recorded"), "{history}");
        let again = self.network.cli(1, &record, 24);
        assert_eq!(again["code"], "SUBJECT_EXISTS", "{again}");
    }

    /// A validator that came in later does not begin from a file, since it has signed more than the file shows.
    fn is_not_restored(&self, node: usize, chain: &Path) {
        let empty = TempDir::new().unwrap();
        let (to, from) = (empty.path(), self.network.path(node));
        fs::create_dir(to.join("keys")).unwrap();
        for name in
            ["genesis", "keys/vote.pem", "keys/log.pem", "keys/cosign.pem", "keys/receipt.pem"]
        {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
        let head = self.network.runtime.block_on(async {
            connect(self.network.node(4)).await.checkpoint(0).await.unwrap().note
        });
        let note = to.join("head.note");
        fs::write(&note, head).unwrap();
        let arguments =
            ["-o", "json", "restore", "--data-dir", path(to), "--snapshot", path(chain)];
        let refused = run(NODE, arguments.iter().chain(&["--checkpoint", path(&note)]));
        assert_eq!(refused.error_code(), "NODE_CONFIG", "{refused:?}");
        assert!(!to.join("store").exists() && !to.join("restoring").exists());
    }

    fn protocol_goes_on(&mut self) {
        // The protocol's next version, from a height on.
        let height = self.network.agree(4) + 4;
        let activated =
            format!("protocol activate 2 --height {height}{}", self.network.signed_by(&[0, 1, 2]));
        self.network.cli(0, &activated, 0);
        assert_eq!(self.status(2)["planned_protocol_version"], 2);
        self.write(2, 4);
        let status = self.status(2);
        assert_eq!(
            (&status["protocol_version"], &status["planned_protocol_version"]),
            (&2.into(), &0.into())
        );
    }
}

#[test]
fn validators_come_leave_and_renew_their_keys() {
    let mut all = Consortium::begun();
    all.write(0, 2);
    let before = all.proves(0, 0);
    let fifth = all.fifth_comes_in();
    all.fourth_leaves(fifth);
    all.first_renews_its_keys(fifth);
    all.proves(0, 3);
    all.proves(2, 3);
    // A follower has it from those who signed, also from one that has left.
    let chain = all.proves(4, 3).pop().unwrap();
    all.is_not_restored(fifth, &chain);
    // What was proven before stays so.
    let entry = before[0].with_extension("cose");
    verifies(&["receipt", path(&before[0]), "--entry", path(&entry)], &all.genesis());
    all.misconduct_is_recorded();
    all.proves(2, 3);
}
