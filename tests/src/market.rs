//! A data market on a ledger of its own, in which everybody sits at a machine with their own keys and types commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ed25519_dalek::SigningKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{CLI, Finished, NODE, begin_in, run, run_in};
use crate::running::Running;
use crate::shared::Shared;

/// When the market's ledger begins; a working day of a year with published calendars.
const START: &str = "2026-08-03T08:00:00+08:00";
/// The passphrase of the supplier's keys, which are encrypted. Those of the others are not, for speed.
const PASSPHRASE: &str = "correct horse battery staple";

/// Somebody's machine: a directory for files, one for keys, and a command line.
#[derive(Debug)]
pub struct Machine {
    directory: PathBuf,
    keys: PathBuf,
    url: String,
}

impl Machine {
    fn new(directory: &Path, keys: PathBuf, url: &str) -> Self {
        fs::create_dir_all(directory).expect("a directory");
        fs::write(directory.join("passphrase"), format!("{PASSPHRASE}\n")).expect("a file");
        Self { directory: directory.to_owned(), keys, url: url.to_owned() }
    }

    /// Types a command of `ledger-cli`. Words are parted by blanks; files are those of this machine.
    pub fn types(&self, line: &str) -> Finished {
        run_in(&self.directory, CLI, self.words(line))
    }

    /// Types a command and does not wait for its end. Nobody reads what it says.
    pub fn begins(&self, line: &str) -> Child {
        begin_in(&self.directory, CLI, self.words(line))
    }

    fn words<'a>(&'a self, line: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.keys.to_str().expect("a path in UTF-8");
        let common = ["--keys", keys, "--passphrase-file", "passphrase", "--node", &self.url];
        common.into_iter().chain(line.split_whitespace())
    }

    /// Types a command that must succeed, and gives its answer as JSON.
    pub fn does(&self, line: &str) -> Value {
        self.types(&format!("{line} --output json")).expect(0).json()
    }

    /// A file of this machine.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory of this machine's keys.
    pub fn keys(&self) -> &Path {
        &self.keys
    }

    /// A private key of this machine.
    pub fn key(&self, name: &str) -> SigningKey {
        let path = self.keys.join(format!("{name}.pem"));
        ledger_client::keys::read(&path, || Ok(PASSPHRASE.to_owned().into())).expect("a key")
    }

    /// Sends a file to another machine, as by mail.
    pub fn sends(&self, name: &str, to: &Self) {
        fs::copy(self.file(name), to.file(name)).expect("a copy");
    }

    /// Makes the keys of a party, and says how the exchange is to grant them.
    fn makes_keys(&self, party: &str, exchange: &Self) -> String {
        let plain = if party == "acme" { "" } else { " --plain" };
        let mut grants = String::new();
        for name in ["org", "officer-1", "officer-2"] {
            let key = format!("{party}-{name}");
            let made = if plain.is_empty() { self.with_passphrase(&key) } else { self.plain(&key) };
            assert_eq!(made["name"], key.as_str());
            fs::copy(self.keys.join(format!("{key}.pub")), exchange.file(&format!("{key}.pub")))
                .expect("a copy");
            if name == "org" {
                grants = format!("{grants} --grant {key}.pub=org-hsm --with {key}.pub");
                continue;
            }
            let opening =
                self.does(&format!("commitment new key_grant.officer {key} -o {key}.opening"));
            let officer = opening["commitment"].as_str().expect("a commitment").to_owned();
            grants = format!("{grants} --grant {key}.pub=officer-token,{officer} --with {key}.pub");
        }
        grants
    }

    fn with_passphrase(&self, key: &str) -> Value {
        self.does(&format!("key new {key}"))
    }

    fn plain(&self, key: &str) -> Value {
        let keys = self.keys.to_str().expect("a path in UTF-8");
        let made = ["--keys", keys, "key", "new", key, "--plain", "-o", "json"];
        run_in(&self.directory, CLI, made).expect(0).json()
    }
}

/// The market: a node, the exchange that founded the ledger, and four parties that it admitted.
#[derive(Debug)]
pub struct Market {
    /// The node.
    pub node: Running,
    /// Exchange and identity authority: `organisation`, `officer-1`, `officer-2`.
    pub exchange: Machine,
    /// Registry: `registry-org`, `registry-officer-1`, `registry-officer-2`; the others' keys are called alike.
    pub registry: Machine,
    /// Reviewer.
    pub reviewer: Machine,
    /// Supplier, with encrypted keys.
    pub acme: Machine,
    /// Buyer.
    pub bank: Machine,
    directory: TempDir,
}

impl Market {
    /// One after the whole way. Tests of one program that only ask share it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Shared<Market> = Shared::new();
        SHARED.get(|| {
            let market = Self::open();
            market.whole_way();
            market
        })
    }

    /// What states trust in its ledger.
    pub fn trust(&self) -> String {
        format!("--trust {}", self.node.genesis)
    }

    /// Founds the ledger and admits everybody.
    pub fn open() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        found(&data);
        let node = Running::start(&data).expect("a node on a new ledger");
        let at = |name: &str| directory.path().join(name);
        let machine = |name: &str| Machine::new(&at(name), at(name).join("keys"), &node.url);
        let exchange = Machine::new(&at("exchange"), data.join("founder"), &node.url);
        let (registry, reviewer) = (machine("registry"), machine("reviewer"));
        let (acme, bank) = (machine("acme"), machine("bank"));
        let market = Self { node, exchange, registry, reviewer, acme, bank, directory };
        market.admits("registry", "registry --certificate-region 44 --certificate-digit 1");
        market.admits("reviewer", "reviewer");
        market.admits("acme", "supplier");
        market.admits("bank", "buyer");
        market
    }

    /// The node is killed.
    pub fn crashes(&mut self) {
        self.node.kill();
    }

    /// The node is started again, and everybody told its address.
    pub fn restarts(&mut self) {
        self.node = Running::start(&self.data()).expect("a node on the market's ledger");
        let machines = [&mut self.exchange, &mut self.registry, &mut self.reviewer];
        for machine in machines.into_iter().chain([&mut self.acme, &mut self.bank]) {
            machine.url.clone_from(&self.node.url);
        }
    }

    /// The data directory of the node.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The machine of a party.
    pub fn machine(&self, party: &str) -> &Machine {
        match party {
            "registry" => &self.registry,
            "reviewer" => &self.reviewer,
            "acme" => &self.acme,
            "bank" => &self.bank,
            _ => &self.exchange,
        }
    }

    fn admits(&self, party: &str, role: &str) {
        let machine = self.machine(party);
        let grants = machine.makes_keys(party, &self.exchange);
        self.exchange.does(&format!(
            "party admit {party} --name-en {party} --region 4401 --as {role}{grants} --key organisation --key officer-1 \
             --at 2026-08-03T09:00:00+08:00 --draft {party}.draft"
        ));
        self.exchange.sends(&format!("{party}.draft"), machine);
        let keys = ["org", "officer-1", "officer-2"].map(|key| format!("--key {party}-{key}"));
        let signed = machine.does(&format!("draft sign {party}.draft {}", keys.join(" ")));
        let missing = signed["signers"].as_array().expect("signers");
        assert!(missing.iter().all(|signer| signer["state"] != "missing"), "{signed}");
        machine.sends(&format!("{party}.draft"), &self.exchange);
        self.exchange.does(&format!("draft submit {party}.draft --key organisation"));
    }

    /// An act that two parties sign at two machines: drafted by the seller, signed by the buyer, submitted by the seller.
    fn both_sign(&self, act: &str, acme: &str, bank: &[&str]) {
        let with: Vec<String> = bank.iter().map(|key| format!("--with {key}.pub")).collect();
        for key in bank {
            let name = format!("{key}.pub");
            fs::copy(self.bank.keys.join(&name), self.acme.file(&name)).expect("a copy");
        }
        // The draft of the act before: a new one overwrites nothing.
        let _gone = fs::remove_file(self.acme.file("joint.draft"));
        self.acme.does(&format!("{act} {acme} {} --draft joint.draft", with.join(" ")));
        self.acme.sends("joint.draft", &self.bank);
        let keys: Vec<String> = bank.iter().map(|key| format!("--key {key}")).collect();
        self.bank.does(&format!("draft sign joint.draft {}", keys.join(" ")));
        self.bank.sends("joint.draft", &self.acme);
        self.acme.does("draft submit joint.draft --key acme-org");
    }

    /// Takes the asset `acme/weather` the whole way: registered, reviewed, listed, contracted, delivered in three batches.
    pub fn whole_way(&self) {
        self.describes();
        self.registers();
        self.lists();
        self.contracts();
        self.delivers();
    }

    /// The supplier describes the asset, whose file is `weather.csv`.
    pub fn describes(&self) {
        let rows = (0..300).map(|day| format!("{day},{},{}\n", day * 7 % 31, day * 3 % 17));
        let data = format!("day,temperature,wind\n{}", rows.collect::<String>());
        assert!((2_049..=3_072).contains(&data.len()), "three chunks: {}", data.len());
        fs::write(self.acme.file("weather.csv"), data).expect("a file");
        self.acme.does(
            "asset describe acme/weather --kind product --name-en Weather --name-zh 城市天气观测数据集 --summary 逐日气温与风速 \
             --file weather.csv --media-type text/csv --origin collected --data-class enterprise --grade general1 \
             --personal-information none --licence CC0-1.0 --at 2026-08-03T10:00:00+08:00 --key acme-org",
        );
    }

    /// Application, acceptance, examination, five working days of notice, evidence, certificate `SJ4412026080001`.
    pub fn registers(&self) {
        let (acme, registry) = (&self.acme, &self.registry);
        acme.does(
            "registration apply acme/weather --asset acme/weather --registry registry --rule-set CN-NDA-2026/1 \
             --right hold=self-collected --right use=self-collected --right operate=self-collected --scenario insurance \
             --materials weather.csv --at 2026-08-03T10:30:00+08:00 --key acme-org --key acme-officer-1",
        );
        fs::write(registry.file("report.txt"), "nothing amiss").expect("a file");
        registry.does(
            "registration accept acme/weather --at 2026-08-05T09:30:00+08:00 --key registry-org",
        );
        registry.does(
            "registration review acme/weather --description satisfied --source satisfied --title satisfied --report report.txt \
             --at 2026-08-06T15:00:00+08:00 --key registry-officer-1 --key registry-officer-2",
        );
        registry.does("registration notice acme/weather --notice report.txt --at 2026-08-07T09:00:00+08:00 --key registry-org");
        fs::write(registry.file("facts.json"), "{}").expect("a file");
        registry.does(
            "registration evidence acme/weather --evidence facts.json --at 2026-08-17T09:30:00+08:00 \
             --key registry-org --key registry-officer-1",
        );
        registry.does(
            "registration certify acme/weather --number SJ4412026080001 --body facts.json --at 2026-08-17T10:00:00+08:00 \
             --key registry-org --key registry-officer-1",
        );
    }

    /// Compliance review and listing.
    pub fn lists(&self) {
        self.acme.does(
            "review submit acme/weather --asset acme/weather --reviewer reviewer --at 2026-08-18T10:00:00+08:00 --key acme-org",
        );
        fs::write(self.reviewer.file("opinion.txt"), "nothing amiss").expect("a file");
        self.reviewer.does(
            "review decide acme/weather --outcome passed --opinion opinion.txt --valid-to 2027-07-31 --at 2026-08-20T11:00:00+08:00 \
             --key reviewer-officer-1 --key reviewer-officer-2",
        );
        self.acme.does("commitment new listing_applied.price 1200000-CNY -o asked.opening");
        self.acme.does(
            "listing apply acme/weather --asset acme/weather --venue exchange --certificate SJ4412026080001 \
             --review acme/weather --mode listing --price asked.opening --terms weather.csv --rule-set CN-NDA-2026/1 --scenario insurance \
             --at 2026-08-21T09:00:00+08:00 --key acme-org --key acme-officer-1",
        );
        self.exchange
            .does("listing publish acme/weather --at 2026-08-21T14:00:00+08:00 --key organisation");
    }

    /// A contract that seller and buyer sign, each with two keys.
    pub fn contracts(&self) {
        self.acme.does("commitment new contract_signed.price 1200000-CNY -o agreed.opening");
        self.both_sign(
            "contract sign acme/weather-bank --listing acme/weather --buyer bank --type provision --terms weather.csv \
             --price agreed.opening --mode file --property both --purpose insurance --valid-to 2027-07-31 \
             --at 2026-08-24T10:00:00+08:00",
            "--key acme-org --key acme-officer-1",
            &["bank-org", "bank-officer-1"],
        );
    }

    /// Delivery `acme/weather-1` in three batches.
    pub fn delivers(&self) {
        self.both_sign(
            "delivery plan acme/weather-1 --contract acme/weather-bank --file weather.csv --batches 3 --chunk-bytes 1024 \
             --window-to 2026-12-31 --at 2026-08-25T09:00:00+08:00",
            "--key acme-org",
            &["bank-org"],
        );
        self.acme.sends("weather.csv", &self.bank);
        for number in 1..=3 {
            self.acme.does("delivery send acme/weather-1 --file weather.csv --key acme-org");
            self.bank.does(&format!(
                "delivery ack acme/weather-1 --number {number} --file weather.csv --key bank-org"
            ));
        }
        self.both_sign("delivery complete acme/weather-1", "--key acme-org", &["bank-org"]);
    }

    /// Exports the chain to a new file of the exchange's machine: tests share it, and no file is overwritten.
    pub fn exports(&self) -> PathBuf {
        static EXPORTED: AtomicU32 = AtomicU32::new(0);
        let name = format!("chain-{}.ledger", EXPORTED.fetch_add(1, Ordering::Relaxed));
        let _exported = self.exchange.types(&format!("export chain -o {name}")).expect(0);
        self.exchange.file(&name)
    }
}

/// Makes the market's ledger, on a declared clock, founded by party `exchange`.
fn found(data: &Path) {
    let data = data.to_str().expect("a path in UTF-8");
    let named = ["--party", "exchange", "--name", "Exchange", "--ledger-name", "Market"];
    let clock = ["--origin", "ledger.invalid/market", "--clock", "declared", "--start", START];
    let init = ["init", "--data-dir", data, "--plain-keys"];
    let _made = run(NODE, init.into_iter().chain(named).chain(clock)).expect(0);
}
