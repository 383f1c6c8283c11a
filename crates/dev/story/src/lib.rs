//! Stories: a ledger from genesis on, told act by act, through the rules alone.
//!
//! Each act of the main path has a method that does it as it should be done, not before the day on which it is due. So
//! `Story::opened().described().applied().on("2026-08-05").accepted()` is a registration that was accepted on the second day.
//! A test takes a story as far as it needs, and then has one more deed judged.
//!
//! What is checked here is checked by the rules. Signatures are made only for a story that asks for them, since making them
//! takes longest and the rules do not look at them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a story that cannot be told is a test that cannot run"
)]

pub mod acts;
pub mod cast;
pub mod data;
pub mod deed;
pub mod members;
mod path;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use jiff::civil::DateTime;
use ledger_event::{Clock, Genesis, Limits, Record, Timeline, Validator, ValidatorSet};
use ledger_format::digest::{EntryId, Hash, KeyId, sha256};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_format::id::state_key;
use ledger_format::message;
use ledger_rules::genesis::genesis_records;
use ledger_rules::governance::document_digest;
use ledger_rules::view::{Typed, read, read_as};
use ledger_rules::{BlockRules, Changes, Code, Link, Refusal, View};

use cast::{BUYER, FOUNDERS, OMNI, REVIEWER, SUPPLIER, founder, signing_key};
use deed::{Deed, Place, Prior};
pub use path::Stage;

/// The name of everything that the story of the main path is about.
pub const RAIN: &str = "rain";
/// Its certificate.
pub const NUMBER: &str = "SJ4412026080001";

/// A state: records by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(pub BTreeMap<Hash, Vec<u8>>);

impl View for State {
    fn record(&self, key: &Hash) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }
}

impl State {
    /// The state with what a block changed.
    #[must_use]
    pub fn with(&self, changes: &Changes) -> Self {
        let mut next = self.clone();
        next.0.extend(changes.records.iter().cloned());
        next
    }
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The entry.
    pub entry: Entry,
    /// Its block.
    pub height: u64,
    /// Time of that block.
    pub time_ms: u64,
    /// Its leaf.
    pub leaf: u64,
    /// The timelines that it is on.
    pub links: Vec<Link>,
}

/// A ledger so far.
#[derive(Clone, Debug)]
pub struct Story {
    /// The document that it began with.
    pub genesis: GenesisDocument,
    /// The state after the last block.
    pub state: State,
    /// Its block.
    pub height: u64,
    /// Time of that block.
    pub time_ms: u64,
    /// Leaves of the log.
    pub leaves: u64,
    /// All entries.
    pub log: Vec<Logged>,
    /// Counts deeds, so that no two entries are the same.
    pub serial: u64,
    /// Whether entries are signed in earnest.
    pub signed: bool,
}

/// Milliseconds of an instant in China, `2026-08-03` (nine in the morning) or `2026-08-03T23:59:59.999`.
pub fn china(at: &str) -> u64 {
    let text = if at.contains('T') { at.to_string() } else { format!("{at}T09:00") };
    let local: DateTime = text.parse().unwrap();
    let since = local.duration_since(DateTime::constant(1970, 1, 1, 8, 0, 0, 0));
    u64::try_from(since.as_millis()).unwrap()
}

/// The limits of every ledger in these tests.
pub const LIMITS: Limits = Limits {
    entry_window_s: 86_400,
    joint_entry_window_s: 7 * 86_400,
    skew_ms: 5_000,
    declared_step_s: 31 * 86_400,
    block_bytes: 256 * 1024,
    block_entries: 100,
};

/// A genesis document of the three founders, which announces the rule set and the calendars of mainland China.
pub fn genesis(clock: Clock, start_ms: u64, limits: Limits) -> GenesisDocument {
    genesis_of(&[""], clock, start_ms, limits)
}

/// The same with several validators, told apart by their names.
pub fn genesis_of(
    validators: &[&str],
    clock: Clock,
    start_ms: u64,
    limits: Limits,
) -> GenesisDocument {
    let mut validators: Vec<Validator> = validators.iter().map(|name| a_validator(name)).collect();
    validators.sort_by_key(|validator| sha256(&[&validator.vote_key]));
    genesis_with(ValidatorSet { validators }, 1, clock, start_ms, limits)
}

/// The same with any validators, from any version of the protocol on.
pub fn genesis_with(
    validators: ValidatorSet,
    protocol_version: u32,
    clock: Clock,
    start_ms: u64,
    limits: Limits,
) -> GenesisDocument {
    let mut documents: Vec<_> =
        ANNOUNCED.map(|name| document_digest(&data::calendar(name)).to_vec().into()).into();
    documents.push(document_digest(&data::cn_nda_2026()).to_vec().into());
    documents.sort();
    let genesis = Genesis {
        name: "A ledger in a test".into(),
        origin: "ledger.example/test".into(),
        protocol_version,
        clock: clock.into(),
        start_ms,
        founders: FOUNDERS.map(founder).into(),
        governance_threshold: 2,
        validators: Some(validators),
        documents,
        limits: Some(limits),
    };
    GenesisDocument::decode(message::encode(&genesis).into()).unwrap()
}

fn a_validator(name: &str) -> Validator {
    let key = |purpose: &str| {
        let key = validator_key_of(name, purpose).verifying_key().to_bytes();
        key.to_vec().into()
    };
    Validator {
        party: cast::EXCHANGE.into(),
        name: format!("{name}validator.example"),
        power: 1,
        vote_key: key("vote"),
        log_key: key("log"),
        cosign_key: key("cosign"),
        receipt_key: key("receipt"),
    }
}

/// The id of the validator.
pub fn validator() -> KeyId {
    KeyId::of(&validator_key("vote").verifying_key().to_bytes())
}

/// Its key to vote, to sign as the log (`log`), to cosign (`cosign`) or to sign receipts (`receipt`).
pub fn validator_key(purpose: &str) -> SigningKey {
    validator_key_of("", purpose)
}

/// The key of one of several validators.
pub fn validator_key_of(name: &str, purpose: &str) -> SigningKey {
    signing_key(&format!("validator {name}{purpose}"))
}

/// The calendars that genesis announces.
pub const ANNOUNCED: [&str; 3] = ["CN-2024", "CN-2025", "CN-2026"];

impl Story {
    /// Nothing but a genesis document.
    pub fn before_genesis(clock: Clock, start: &str) -> Self {
        Self::of(genesis(clock, china(start), LIMITS))
    }

    /// Nothing but this document.
    pub fn of(genesis: GenesisDocument) -> Self {
        Self {
            state: State(genesis_records(&genesis).into_iter().collect()),
            time_ms: genesis.message().start_ms,
            genesis,
            height: 0,
            leaves: 0,
            log: vec![],
            serial: 0,
            signed: false,
        }
    }

    /// With entries whose signatures are good, from here on.
    #[must_use]
    pub fn in_earnest(self) -> Self {
        Self { signed: true, ..self }
    }

    /// With genesis, the announced documents and everybody's keys on the ledger.
    pub fn opened_on(clock: Clock, start: &str) -> Self {
        Self::before_genesis(clock, start).begun()
    }

    /// Genesis with the announced documents in the first block, everybody's admission in the second.
    #[must_use]
    pub fn begun(mut self) -> Self {
        let mut first = vec![acts::genesis_published(&self.genesis)];
        first.extend(ANNOUNCED.map(|name| acts::calendar_published(&data::calendar(name))));
        first.push(acts::rule_set_published(&data::cn_nda_2026()));
        self.take_all(&first);
        self.take_all(&[SUPPLIER, BUYER, REVIEWER, OMNI].map(acts::party_admitted));
        self
    }

    /// The usual beginning: Monday, 3 August 2026, at nine.
    pub fn opened() -> Self {
        static OPENED: LazyLock<Story> =
            LazyLock::new(|| Story::opened_on(Clock::Wall, "2026-08-03"));
        OPENED.clone()
    }

    /// At another time.
    #[must_use]
    pub fn on(mut self, at: &str) -> Self {
        self.time_ms = china(at);
        self
    }

    // --- blocks ----------------------------------------------------------------------------------------------------------

    /// Does a deed, in a block of its own.
    #[must_use]
    pub fn did(mut self, deed: &Deed) -> Self {
        self.take(deed);
        self
    }

    /// The same in place; the id of the entry.
    pub fn take(&mut self, deed: &Deed) -> EntryId {
        self.take_all(std::slice::from_ref(deed)).pop().unwrap()
    }

    /// Does deeds in one block.
    pub fn take_all(&mut self, deeds: &[Deed]) -> Vec<EntryId> {
        let results = self.block(deeds).into_iter().zip(deeds);
        results
            .map(|(result, deed)| result.unwrap_or_else(|refusal| panic!("{refusal}: {deed:#?}")))
            .collect()
    }

    /// One block of deeds, each sealed after those before it were judged. Refused ones are left out.
    pub fn block(&mut self, deeds: &[Deed]) -> Vec<Result<EntryId, Refusal>> {
        let base = self.state.clone();
        let (height, first) = (self.height + 1, self.first_leaf());
        let mut taken: Vec<Entry> = vec![];
        let mut results = vec![];
        for deed in deeds {
            let entry = self.seal_on(deed, &self.state.with(&self.execute(&base, &taken)));
            self.serial += 1;
            let mut rules = self.begin(&base, &taken);
            let leaf = first + u64::try_from(taken.len()).unwrap();
            match rules.apply(&entry, leaf) {
                Ok(()) => {
                    results.push(Ok(entry.id()));
                    taken.push(entry);
                }
                Err(refusal) => results.push(Err(refusal)),
            }
        }
        if taken.is_empty() {
            return results;
        }
        let changes = self.execute(&base, &taken);
        self.state = base.with(&changes);
        let leaves = first..;
        for ((entry, leaf), links) in taken.into_iter().zip(leaves).zip(changes.links) {
            self.log.push(Logged { entry, height, time_ms: self.time_ms, leaf, links });
            self.leaves = leaf + 1;
        }
        self.height = height;
        results
    }

    /// The first leaf of the next block is the header before it.
    pub fn first_leaf(&self) -> u64 {
        self.leaves + u64::from(self.height > 0)
    }

    /// The next block on `base`, with entries that are known to pass.
    fn begin<'a>(&self, base: &'a State, taken: &[Entry]) -> BlockRules<'a> {
        let mut rules = BlockRules::begin(base, self.height + 1, self.time_ms).unwrap();
        for (entry, leaf) in taken.iter().zip(self.first_leaf()..) {
            rules.apply(entry, leaf).unwrap();
        }
        rules
    }

    fn execute(&self, base: &State, taken: &[Entry]) -> Changes {
        self.begin(base, taken).finish()
    }

    /// What the next block says of a deed, without taking it.
    pub fn judge(&self, deed: &Deed) -> Result<(), Refusal> {
        let mut rules = self.begin(&self.state, &[]);
        let before = self.execute(&self.state, &[]);
        let verdict = rules.apply(&self.seal(deed), self.first_leaf());
        if verdict.is_err() {
            assert_eq!(rules.finish(), before, "a refused entry changed something");
        }
        verdict
    }

    /// The code with which the next block refuses a deed.
    pub fn refusal(&self, deed: &Deed) -> Option<Code> {
        self.judge(deed).err().map(|refusal| refusal.code)
    }

    /// The entry of a deed, as it would be in the next block.
    pub fn seal(&self, deed: &Deed) -> Entry {
        self.seal_on(deed, &self.state)
    }

    fn seal_on(&self, deed: &Deed, state: &State) -> Entry {
        let head = if deed.prior == Prior::Seen {
            let record = read(state, &deed.subject).and_then(|record| record.timeline);
            record.map(|timeline| timeline.head.to_vec()).unwrap_or_default()
        } else {
            vec![]
        };
        let (ledger, time_ms, serial) = (self.genesis.id(), self.time_ms, self.serial);
        deed.seal(&Place { ledger, time_ms, head, serial, signed: self.signed })
    }

    // --- the state -------------------------------------------------------------------------------------------------------

    /// The body of a record that must be there.
    pub fn record<T: Typed>(&self, id: &str) -> T {
        self.find(id).unwrap_or_else(|| panic!("no record {id} of that type"))
    }

    /// The body of a record, if it is there.
    pub fn find<T: Typed>(&self, id: &str) -> Option<T> {
        read_as(&self.state, id)
    }

    /// A record's timeline.
    pub fn timeline(&self, id: &str) -> Timeline {
        read(&self.state, id).and_then(|record| record.timeline).unwrap_or_default()
    }

    /// Changes a record behind the rules' back, for situations that no entries of this version lead to.
    #[must_use]
    pub fn altered<T: Typed>(mut self, id: &str, change: impl FnOnce(&mut T)) -> Self {
        let record = read(&self.state, id).unwrap();
        let mut body = record.body.and_then(T::from_body).unwrap();
        change(&mut body);
        let record = Record { body: Some(body.into_body()), ..record };
        self.state.0.insert(state_key(id), message::encode(&record));
        self
    }
}
