//! Validators and protocol versions that change while the ledger goes on: which set signs which height, and what is said of blocks
//! that another one signed.

use ed25519_dalek::{Signer as _, SigningKey};
use ledger_event::Clock;
use ledger_format::block::{Block, Body};
use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;
use ledger_format::header::Header;
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;
use ledger_replay::{Ledger, Replay, SetHistory};
use ledger_story::cast::{EXCHANGE, REGISTRY};
use ledger_story::deed::Deed;
use ledger_story::members::{MEMBERS, genesis, protocol_activated, set, validators_changed};
use ledger_story::{LIMITS, Story, acts, china, genesis_with, validator_key_of};
use ledger_verify::finding::{Code, Refuted};

use crate::chain::{Chain, body, sealed};

pub(crate) const QUORUM: &[&str] = &[EXCHANGE, REGISTRY];
/// The first validator of the exchange has other keys.
pub(crate) const RENEWED: [(&str, &str); 4] =
    [("a2-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]];

/// A ledger with what makes its blocks: the keys of all validators that it ever has.
pub(crate) struct Consortium {
    pub(crate) story: Story,
    pub(crate) chain: Chain,
}

impl Consortium {
    fn begun() -> Self {
        Self::of(Story::of(genesis(Clock::Wall, china("2026-08-03"), LIMITS)))
    }

    pub(crate) fn of(story: Story) -> Self {
        let story = story.in_earnest().begun();
        let mut all = Self { chain: Chain::new(story.genesis.clone()), story };
        for height in 1..=all.story.height {
            let logged = all.story.log.iter().filter(|logged| logged.height == height);
            let entries: Vec<Entry> = logged.map(|logged| logged.entry.clone()).collect();
            all.push(&entries);
        }
        all
    }

    /// The next block of these entries, and who proposes it.
    fn proposed(&self, entries: &[Entry]) -> (Body, ledger_replay::Executed) {
        let entries: Vec<&Entry> = entries.iter().collect();
        let proposer = self.chain.ledger.validators().members()[0].id;
        let proposal = self.chain.ledger.propose(proposer, self.story.time_ms, &entries);
        assert_eq!(proposal.included.len(), entries.len(), "{:?}", proposal.refused);
        (body(&proposal, &entries), proposal.block.unwrap())
    }

    pub(crate) fn push(&mut self, entries: &[Entry]) -> Header {
        let (body, executed) = self.proposed(entries);
        let header = body.header.clone();
        let certificate = certified(&header, self.chain.ledger.validators());
        self.chain.blocks.push(Block { body, certificate });
        self.chain.ledger.commit(executed).unwrap();
        header
    }

    /// A block with the entry of a deed.
    pub(crate) fn did(&mut self, deed: &Deed) -> Header {
        let header = self.push(&[self.story.seal(deed)]);
        // The same entry in the story's own state, which gives the heads that later deeds state.
        self.story.take(deed);
        header
    }

    /// A block with an entry of no consequence.
    pub(crate) fn goes_on(&mut self) -> Header {
        let name = format!("asset-{}", self.chain.blocks.len());
        let entry = sealed(&mut self.story, &acts::asset_described(&name));
        self.push(&[entry])
    }

    pub(crate) fn read(&self) -> Result<Replay, Refuted> {
        read(&self.chain.blocks, &self.chain.ledger)
    }

    /// What a reader says of the chain with another last block.
    pub(crate) fn with_last(&self, change: impl FnOnce(&mut Block)) -> Code {
        let mut blocks = self.chain.blocks.clone();
        change(blocks.last_mut().unwrap());
        read(&blocks, &self.chain.ledger).err().unwrap().code
    }
}

fn read(blocks: &[Block], ledger: &Ledger) -> Result<Replay, Refuted> {
    let mut replay = Replay::new(ledger.genesis().clone())?;
    for block in blocks {
        replay.push(block, |_| ())?;
    }
    replay.finish()?;
    Ok(replay)
}

fn hash(members: &[(&str, &str)]) -> [u8; 32] {
    Validators::new(set(members)).unwrap().hash()
}

fn key(id: &KeyId) -> SigningKey {
    let names = ["a-", "b-", "c-", "d-", "a2-", "a3-"];
    let mut keys = names.iter().map(|name| validator_key_of(name, "vote"));
    keys.find(|key| KeyId::of(key.verifying_key().as_bytes()) == *id).unwrap()
}

/// A certificate by all members of a set.
pub(crate) fn certified(header: &Header, validators: &Validators) -> Certificate {
    let (height, block) = (header.height, header.hash());
    let mut certificate = Certificate { height, round: 0, block, signatures: Vec::new() };
    let message = certificate.signed_bytes(&header.ledger);
    let ids = validators.members().iter().map(|member| member.id);
    certificate.signatures = ids.map(|id| (id, key(&id).sign(&message).to_bytes())).collect();
    certificate
}

#[test]
fn a_change_is_in_force_two_heights_later_and_headers_say_so() {
    let mut all = Consortium::begun();
    let (old, new) = (hash(&MEMBERS), hash(&RENEWED));
    let sets = |header: &Header| (header.validators, header.next_validators);
    let changed = all.did(&validators_changed(set(&RENEWED), QUORUM));
    assert_eq!(sets(&changed), (old, old));
    assert_eq!(all.chain.ledger.validators().hash(), old);
    assert_eq!(all.chain.ledger.next_validators().hash(), new);
    assert_eq!(sets(&all.goes_on()), (old, new));
    assert_eq!(sets(&all.goes_on()), (new, new));
    assert_eq!(sets(&all.goes_on()), (new, new));
    let mut replay = all.read().unwrap();
    let report = replay.finish().unwrap();
    assert!(report.lines.iter().any(|line| line.text.starts_with("1 change(s) of the validators")));
}

/// What a proof of a height shows must lead to the set that signed it, and no further.
#[test]
fn the_history_of_the_sets_leads_to_the_one_that_signs_a_height() {
    let mut all = Consortium::begun();
    let changed = all.did(&validators_changed(set(&RENEWED), QUORUM)).height;
    all.goes_on();
    all.goes_on();
    let mut history = SetHistory::default();
    all.chain.blocks.iter().for_each(|block| history.push(block));
    let counts = [changed, changed + 1, changed + 2].map(|height| history.up_to(height).len());
    assert_eq!(counts, [0, 0, 1]);
    let shown = &history.up_to(changed + 2)[0].validators;
    assert_eq!(Validators::decode(shown).unwrap().hash(), hash(&RENEWED));
}

#[test]
fn blocks_of_another_set_are_refuted() {
    let mut all = Consortium::begun();
    let old = all.chain.ledger.validators().clone();
    let new = Validators::new(set(&RENEWED)).unwrap();
    all.did(&validators_changed(set(&RENEWED), QUORUM));
    // The block after the change is the old set's still, and names the new one.
    all.goes_on();
    let by = |set: &Validators| {
        let set = set.clone();
        move |block: &mut Block| block.certificate = certified(&block.body.header, &set)
    };
    assert_eq!(all.with_last(by(&new)), Code::CertificateSigner);
    let forged = all.with_last(|block| {
        block.body.header.next_validators = old.hash();
        by(&old)(block);
    });
    assert_eq!(forged, Code::Validators);
    // The one after that is the new set's.
    all.goes_on();
    assert_eq!(all.with_last(by(&old)), Code::CertificateSigner);
    let named: [fn(&mut Header, [u8; 32]); 2] =
        [|header, old| header.validators = old, |header, old| header.next_validators = old];
    for name in named {
        let forged = all.with_last(|block| {
            name(&mut block.body.header, old.hash());
            by(&new)(block);
        });
        assert_eq!(forged, Code::Validators);
    }
    let retired = old.members().iter().find(|member| new.get(&member.id).is_none()).unwrap().id;
    let forged = all.with_last(|block| {
        block.body.header.proposer = retired;
        by(&new)(block);
    });
    assert_eq!(forged, Code::Proposer);
    assert!(all.read().is_ok());
}

#[test]
fn changes_of_blocks_in_a_row_take_effect_in_a_row() {
    let mut all = Consortium::begun();
    let again = [("a3-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]];
    all.did(&validators_changed(set(&RENEWED), QUORUM));
    all.did(&validators_changed(set(&again), QUORUM));
    let signed: Vec<[u8; 32]> = (0..3).map(|_| all.goes_on().validators).collect();
    assert_eq!(signed, [hash(&RENEWED), hash(&again), hash(&again)]);
    assert!(all.read().is_ok());
}

#[test]
fn a_ledger_is_restored_with_its_sets_at_every_height_of_a_change() {
    let mut all = Consortium::begun();
    all.did(&validators_changed(set(&RENEWED), QUORUM));
    for height in all.chain.ledger.height()..all.chain.ledger.height() + 4 {
        let restored = all.chain.stored(height).restore().unwrap();
        assert_eq!(restored.validators(), all.chain.ledger.validators());
        assert_eq!(restored.next_validators(), all.chain.ledger.next_validators());
        assert_eq!(restored.protocol(), all.chain.ledger.protocol());
        all.goes_on();
    }
    // A header that names a set which the state does not have.
    let mut stored = all.chain.stored(all.chain.ledger.height());
    stored.header.next_validators[0] ^= 1;
    assert!(matches!(stored.restore(), Err(ledger_replay::RestoreError::Validators { .. })));
}

#[test]
fn a_version_of_the_protocol_is_in_force_from_its_height() {
    let mut all = Consortium::begun();
    let first = all.chain.ledger.height() + 3;
    assert_eq!(all.did(&protocol_activated(2, first, QUORUM)).protocol_version, 1);
    assert_eq!(all.chain.ledger.protocol().planned, Some((2, first)));
    assert_eq!(all.goes_on().protocol_version, 1);
    let early = all.with_last(|block| {
        block.body.header.protocol_version = 2;
        block.certificate = certified(&block.body.header, all.chain.ledger.validators());
    });
    assert_eq!(early, Code::Version);
    let header = all.goes_on();
    assert_eq!((header.height, header.protocol_version), (first, 2));
    let late = all.with_last(|block| {
        block.body.header.protocol_version = 1;
        block.certificate = certified(&block.body.header, all.chain.ledger.validators());
    });
    assert_eq!(late, Code::Version);
    assert!(all.read().is_ok());
}

#[test]
fn nothing_is_made_or_taken_of_a_version_that_this_program_does_not_know() {
    let last = *ledger_format::genesis::PROTOCOL_VERSIONS.end();
    let (clock, start) = (Clock::Wall, china("2026-08-03"));
    let mut all =
        Consortium::of(Story::of(genesis_with(set(&MEMBERS), last, clock, start, LIMITS)));
    let first = all.chain.ledger.height() + 3;
    all.did(&protocol_activated(last + 1, first, QUORUM));
    // What somebody who knows it would have made of the height.
    let entry = sealed(&mut all.story, &acts::asset_described("rain"));
    all.goes_on();
    assert_eq!(all.chain.ledger.height() + 1, first);
    let proposer = all.chain.ledger.validators().members()[0].id;
    assert!(all.chain.ledger.propose(proposer, all.story.time_ms, &[&entry]).block.is_none());
    let mut header = all.chain.ledger.header().unwrap().clone();
    header.previous = header.hash().0;
    header.height += 1;
    header.time_ms += 1;
    header.protocol_version = last + 1;
    let certificate = certified(&header, all.chain.ledger.validators());
    let block = Block { body: Body { header, entries: vec![entry.bytes().clone()] }, certificate };
    let mut blocks = all.chain.blocks.clone();
    blocks.push(block);
    let refuted = read(&blocks, &all.chain.ledger).err().unwrap();
    assert_eq!(refuted.code, Code::Version);
    assert!(refuted.detail.contains("this program knows"), "{refuted}");
}
