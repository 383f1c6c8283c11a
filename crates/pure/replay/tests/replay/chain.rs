//! A chain of blocks as a single honest validator makes it, and everything that is needed to make a dishonest one.

use std::sync::LazyLock;

use ed25519_dalek::Signer as _;
use ledger_event::Clock;
use ledger_format::block::{Block, Body};
use ledger_format::digest::Hash;
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_format::header::Header;
use ledger_format::vote::Certificate;
use ledger_merkle::log::Frontier;
use ledger_replay::{Executed, Known, Ledger, Proposal, Replay};
use ledger_story::deed::Deed;
use ledger_story::{Story, validator, validator_key};
use ledger_verify::finding::Refuted;

/// A ledger with the blocks that made it.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) ledger: Ledger,
    pub(crate) blocks: Vec<Block>,
}

/// The whole main path in earnest, on a clock of that kind.
pub(crate) fn told(clock: Clock) -> &'static Story {
    static WALL: LazyLock<Story> = LazyLock::new(|| tell(Clock::Wall));
    static DECLARED: LazyLock<Story> = LazyLock::new(|| tell(Clock::Declared));
    if clock == Clock::Wall { &WALL } else { &DECLARED }
}

fn tell(clock: Clock) -> Story {
    Story::before_genesis(clock, "2026-08-03").in_earnest().begun().told()
}

/// The beginning of a story in earnest: genesis, and everybody's admission.
pub(crate) fn begun(clock: Clock) -> (Story, Chain) {
    let story = Story::before_genesis(clock, "2026-08-03").in_earnest().begun();
    let chain = Chain::of(&story);
    (story, chain)
}

/// The next entry of a story that goes on without the rules: whether it is allowed, the ledger is to say.
pub(crate) fn sealed(story: &mut Story, deed: &Deed) -> Entry {
    let entry = story.seal(deed);
    story.serial += 1;
    entry
}

impl Chain {
    pub(crate) fn new(genesis: GenesisDocument) -> Self {
        Self { ledger: Ledger::new(genesis).unwrap(), blocks: Vec::new() }
    }

    /// The chain of a story, block by block.
    pub(crate) fn of(story: &Story) -> Self {
        Self::up_to(story, story.height)
    }

    /// Its first blocks.
    pub(crate) fn up_to(story: &Story, height: u64) -> Self {
        let mut chain = Self::new(story.genesis.clone());
        for height in 1..=height {
            let logged = || story.log.iter().filter(|logged| logged.height == height);
            let entries: Vec<&Entry> = logged().map(|logged| &logged.entry).collect();
            let now_ms = logged().map(|logged| logged.time_ms).max().unwrap();
            chain.take(now_ms, &entries);
        }
        chain
    }

    /// A block of all these entries.
    pub(crate) fn take(&mut self, now_ms: u64, entries: &[&Entry]) {
        let proposal = self.ledger.propose(validator(), now_ms, entries);
        assert_eq!(proposal.included.len(), entries.len(), "{:?}", proposal.refused);
        self.commit(proposal, entries);
    }

    /// Takes what was proposed of these candidates.
    pub(crate) fn commit(&mut self, proposal: Proposal, candidates: &[&Entry]) {
        let body = body(&proposal, candidates);
        self.blocks.push(certified(body));
        self.ledger.commit(proposal.block.unwrap()).unwrap();
    }

    pub(crate) fn genesis(&self) -> &GenesisDocument {
        self.ledger.genesis()
    }

    /// Everything that a block of this height and the ones before leave behind, and nothing of the ledger that made them.
    pub(crate) fn stored(&self, height: u64) -> Stored {
        let mut replay = Replay::new(self.genesis().clone()).unwrap();
        let mut frontier = Frontier::new();
        let mut header: Option<Header> = None;
        let mut window = Vec::new();
        for block in &self.blocks[..usize::try_from(height).unwrap()] {
            if let Some(before) = &header {
                frontier.push(before.leaf().0);
            }
            replay
                .push(block, |executed| {
                    executed.ids.iter().for_each(|id| frontier.push(id.0));
                    window.extend(executed.window.iter().copied());
                })
                .unwrap();
            header = Some(block.body.header.clone());
        }
        let ledger = replay.into_ledger();
        Stored {
            genesis: self.genesis().clone(),
            header: header.unwrap(),
            frontier,
            records: records(&ledger),
            window,
        }
    }
}

/// The parts that a ledger is restored from.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) genesis: GenesisDocument,
    pub(crate) header: Header,
    pub(crate) frontier: Frontier,
    pub(crate) records: Vec<(Hash, Vec<u8>)>,
    /// What each block added, in that order, whether it has expired or not.
    pub(crate) window: Vec<Known>,
}

impl Stored {
    pub(crate) fn restore(&self) -> Result<Ledger, ledger_replay::RestoreError> {
        let boxed = |(key, record): &(Hash, Vec<u8>)| (*key, record.clone().into_boxed_slice());
        Ledger::restore(
            self.genesis.clone(),
            self.header.clone(),
            self.frontier.clone(),
            self.records.iter().map(boxed).collect(),
            self.window.iter().copied(),
        )
    }
}

/// All records of the last height.
pub(crate) fn records(ledger: &Ledger) -> Vec<(Hash, Vec<u8>)> {
    ledger.records_after(ledger.height(), None, usize::MAX).unwrap()
}

/// What a proposal becomes on the wire.
pub(crate) fn body(proposal: &Proposal, candidates: &[&Entry]) -> Body {
    let header = proposal.block.as_ref().unwrap().header.clone();
    let bytes = |number: &usize| candidates[*number].bytes().clone();
    Body { header, entries: proposal.included.iter().map(bytes).collect() }
}

/// The certificate that the only validator gives to whatever it likes.
pub(crate) fn certificate(header: &Header) -> Certificate {
    let (height, block) = (header.height, header.hash());
    let mut certificate = Certificate { height, round: 0, block, signatures: Vec::new() };
    let message = certificate.signed_bytes(&header.ledger);
    let signature = validator_key("vote").sign(&message).to_bytes();
    certificate.signatures.push((validator(), signature));
    certificate
}

/// A block with that certificate.
pub(crate) fn certified(body: Body) -> Block {
    Block { certificate: certificate(&body.header), body }
}

/// Reads a whole chain from genesis.
pub(crate) fn read(genesis: &GenesisDocument, blocks: &[Block]) -> Result<Replay, Refuted> {
    let mut replay = Replay::new(genesis.clone())?;
    for block in blocks {
        replay.push(block, drop_executed)?;
    }
    replay.finish()?;
    Ok(replay)
}

fn drop_executed(_: &Executed) {}
