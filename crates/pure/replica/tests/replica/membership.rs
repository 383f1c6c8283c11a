//! The set changes while nodes run: who comes in votes from its height on, who leaves follows, and whose keys change goes on, all
//! without a restart, and with one at every height around the change.

use std::collections::BTreeSet;

use ed25519_dalek::{Signer as _, SigningKey};
use ledger_event::{Clock, ValidatorSet};
use ledger_format::digest::{KeyId, LedgerId};
use ledger_format::vote::{VoteStep, vote_bytes};
use ledger_replica::{Message, Statement, StatementKind};
use ledger_story::cast::{AUTHORITY, EXCHANGE, OMNI, REGISTRY};
use ledger_story::deed::Deed;
use ledger_story::members::{MEMBERS, set, validators_changed, voted};
use ledger_story::{ANNOUNCED, LIMITS, Story, acts, china, data, genesis_with, validator_key_of};

use crate::network::Network;

pub(crate) fn vote(name: &str) -> SigningKey {
    validator_key_of(name, "vote")
}

pub(crate) fn id(name: &str) -> KeyId {
    KeyId::of(vote(name).verifying_key().as_bytes())
}

/// The network and the story that its entries tell, after everybody was admitted: four validators, and whoever else has keys.
pub(crate) struct Told {
    pub(crate) network: Network,
    pub(crate) story: Story,
    said: usize,
}

impl Told {
    pub(crate) fn begun(keys: &[&[&str]]) -> Self {
        Self::of_version(1, keys)
    }

    fn of_version(version: u32, keys: &[&[&str]]) -> Self {
        let genesis =
            genesis_with(set(&MEMBERS), version, Clock::Wall, china("2026-08-03"), LIMITS);
        let keys: Vec<Vec<SigningKey>> =
            keys.iter().map(|names| names.iter().map(|name| vote(name)).collect()).collect();
        let network = Network::start(&genesis, &keys);
        let mut told = Self { network, story: Story::of(genesis).in_earnest(), said: 0 };
        let mut first = vec![acts::genesis_published(&told.story.genesis)];
        first.extend(ANNOUNCED.map(|name| acts::calendar_published(&data::calendar(name))));
        first.push(acts::rule_set_published(&data::cn_nda_2026()));
        told.did(&first);
        for party in [ledger_story::cast::SUPPLIER, OMNI] {
            told.did(&[acts::party_admitted(party)]);
        }
        told
    }

    /// Deeds that all nodes are told of, until they are in a block.
    fn did(&mut self, deeds: &[Deed]) {
        for deed in deeds {
            let entry = self.story.seal(deed);
            self.network.submit(&entry);
            self.story.serial += 1;
        }
        let height = self.story.height + 1;
        self.network.reach(height);
        self.story.serial -= u64::try_from(deeds.len()).unwrap();
        self.story.take_all(deeds);
    }

    pub(crate) fn changes_to(&mut self, set: ValidatorSet, parties: &[&'static str]) {
        self.did(&[validators_changed(set, parties)]);
    }

    /// Blocks of no consequence.
    pub(crate) fn goes_on(&mut self, blocks: usize) {
        for _ in 0..blocks {
            self.said += 1;
            self.did(&[acts::asset_described(&format!("asset-{}", self.said))]);
        }
    }

    /// Who signed the last block.
    fn signers(&self) -> BTreeSet<KeyId> {
        let block = self.network.nodes[0].blocks.last().unwrap();
        block.certificate.signatures.iter().map(|(signer, _)| *signer).collect()
    }

    pub(crate) fn votes(&self, node: usize) -> bool {
        self.network.nodes[node].replica.is_voting()
    }
}

pub(crate) const FOUR: [&[&str]; 4] = [&["a-"], &["b-"], &["c-"], &["d-"]];

#[test]
fn who_comes_in_votes_from_its_height_on() {
    let mut told = Told::begun(&[FOUR.as_slice(), &[&["e-"]]].concat());
    assert!(!told.votes(4), "standby");
    let five = set(&[MEMBERS.as_slice(), &[("e-", OMNI)]].concat());
    told.changes_to(five, &[EXCHANGE, REGISTRY, OMNI]);
    assert!(!told.votes(4), "one height still lies between");
    told.goes_on(1);
    assert!(told.votes(4));
    // Four of five are needed: with one of the old ones down, nothing is decided without the new one.
    told.network.stop(3);
    told.goes_on(3);
    assert!(told.signers().contains(&id("e-")) && !told.signers().contains(&id("d-")));
    // Who was down catches up, by the sets of the heights that it missed.
    told.network.start_again(3);
    told.goes_on(2);
}

/// A node that is behind hears what others tell once before it has the set that says whose key it is.
#[test]
fn evidence_waits_until_the_set_that_tells_is_known() {
    let mut told = Told::begun(&FOUR);
    let lie = voted(told.story.genesis.id(), "e-", 9, [1, 2]);
    told.network.liars.insert(id("e-"));
    told.network.hear(0, id("b-"), &Message::evidence(vec![lie.encode()]));
    told.goes_on(2);
    assert_eq!(told.network.accused, []);
    let five = set(&[MEMBERS.as_slice(), &[("e-", OMNI)]].concat());
    told.changes_to(five, &[EXCHANGE, REGISTRY, OMNI]);
    told.goes_on(1);
    let accused: BTreeSet<(usize, KeyId)> = told.network.accused.iter().copied().collect();
    assert_eq!(accused, (0..4).map(|node| (node, id("e-"))).collect());
    assert_eq!(told.network.accused.len(), 4, "each accuses once");
}

/// Whoever lied and left, or lied with a key that others have replaced since, is named to nodes that have taken these changes.
#[test]
fn since_version_4_evidence_is_taken_of_any_set_that_was() {
    for (version, accused) in [(3, 0), (4, 2)] {
        let mut told = Told::of_version(version, &FOUR);
        told.network.liars.insert(id("d-"));
        let lie = voted(told.story.genesis.id(), "d-", 2, [1, 2]);
        let three = [MEMBERS[0], MEMBERS[1], MEMBERS[2]];
        told.changes_to(set(&three), &[EXCHANGE, REGISTRY, AUTHORITY]);
        told.changes_to(set(&three[..2]), &[EXCHANGE, REGISTRY, AUTHORITY]);
        told.goes_on(2);
        told.network.stop(2);
        told.network.stop(3);
        told.network.hear(0, id("b-"), &Message::evidence(vec![lie.encode()]));
        told.goes_on(1);
        let named: BTreeSet<(usize, KeyId)> = told.network.accused.iter().copied().collect();
        assert_eq!(named, (0..accused).map(|node| (node, id("d-"))).collect(), "version {version}");
    }
}

/// The only one that has a block speaks already with the key that the set after it has.
#[test]
fn blocks_are_taken_from_a_key_that_comes_into_force() {
    let mut told = Told::begun(&[&["a-"], &["b-"], &["c-"], &["d-", "e-"]]);
    let renewed = set(&[MEMBERS[0], MEMBERS[1], MEMBERS[2], ("e-", EXCHANGE)]);
    told.changes_to(renewed, &[EXCHANGE, REGISTRY, AUTHORITY]);
    told.network.stop(0);
    told.goes_on(1);
    assert_eq!(told.network.identity(3), id("e-"));
    told.network.stop(1);
    told.network.stop(2);
    told.network.start_again(0);
    assert_eq!(told.network.nodes[0].ledger.validators().get(&id("e-")), None);
    told.network.reach(told.network.nodes[3].ledger.height());
}

/// The only one that has a block was taken out and put in again with another key, in two blocks of which the others have one: they
/// cannot know whose the key is that it speaks with.
#[test]
fn blocks_are_taken_from_a_key_that_is_unknown_yet() {
    let mut told = Told::begun(&[&["a-"], &["b-"], &["c-"], &["d-", "e-"]]);
    let three = [MEMBERS[0], MEMBERS[1], MEMBERS[2]];
    told.changes_to(set(&three), &[EXCHANGE, REGISTRY, AUTHORITY]);
    told.network.stop(0);
    let again = [three.as_slice(), &[("e-", EXCHANGE)]].concat();
    told.changes_to(set(&again), &[EXCHANGE, REGISTRY, AUTHORITY]);
    assert_eq!(told.network.identity(3), id("e-"));
    told.network.stop(1);
    told.network.stop(2);
    told.network.start_again(0);
    let behind = &told.network.nodes[0].ledger;
    let sets = [behind.validators(), behind.next_validators()];
    assert!(sets.iter().all(|set| set.get(&id("e-")).is_none()));
    told.network.reach(told.network.nodes[3].ledger.height());
}

#[test]
fn who_leaves_follows_and_has_no_say() {
    let mut told = Told::begun(&FOUR);
    let three = set(&[MEMBERS[0], MEMBERS[1], MEMBERS[3]]);
    told.changes_to(three, &[EXCHANGE, REGISTRY]);
    assert!(told.votes(2), "the height between is its to sign");
    told.goes_on(1);
    assert!(!told.votes(2));
    told.goes_on(2);
    assert!(!told.signers().contains(&id("c-")));
    // The others need nobody who left, and it takes what they decide.
    told.network.stop(2);
    told.goes_on(2);
    told.network.start_again(2);
    assert!(!told.votes(2));
    told.goes_on(1);
}

#[test]
fn whoever_waits_at_a_node_that_leaves_hears_what_becomes_of_it() {
    let mut told = Told::begun(&FOUR);
    told.goes_on(1);
    told.changes_to(set(&[MEMBERS[0], MEMBERS[1], MEMBERS[3]]), &[EXCHANGE, REGISTRY]);
    // What is there already, and nobody takes.
    let entry = told.story.seal(&acts::asset_described("asset-1"));
    told.network.submit_to(2, &entry);
    told.goes_on(1);
    assert!(!told.votes(2) && told.network.nodes[2].replica.is_waiting(&entry.id()));
    assert!(told.network.settle(10_000), "silence");
    assert!(!told.network.nodes[2].replica.is_waiting(&entry.id()));
    assert_eq!(told.network.nodes[2].refused, [entry.id()]);
}

#[test]
fn what_a_removed_validator_says_opens_no_height() {
    let mut told = Told::begun(&FOUR);
    told.changes_to(set(&[MEMBERS[0], MEMBERS[3]]), &[EXCHANGE, REGISTRY]);
    told.goes_on(2);
    assert!(told.network.settle(10_000), "silence");
    let logged = |told: &Told| -> Vec<usize> {
        [0, 3].map(|number| told.network.nodes[number].log_records()).into()
    };
    let before = logged(&told);
    // Two of four, more than a third of the power that was: it would have opened a height.
    for (to, from) in [(0, "b-"), (0, "c-"), (3, "b-"), (3, "c-")] {
        for height in told.story.height + 1..told.story.height + 4 {
            let vote = prevote_of_nothing(&told.story.genesis.id(), height, from);
            told.network.hear(to, id(from), &vote);
        }
    }
    assert!(told.network.settle(10_000), "silence again");
    assert_eq!(logged(&told), before, "nothing was begun");
    told.goes_on(2);
}

pub(crate) fn prevote_of_nothing(ledger: &LedgerId, height: u64, from: &str) -> Message {
    let (round, kind, block) = (0, StatementKind::Prevote, None);
    let message = vote_bytes(ledger, VoteStep::Prevote, height, round, block.as_ref());
    let signature = vote(from).sign(&message).to_bytes();
    Message::stating(&Statement { height, round, kind, block, validator: id(from), signature })
        .unwrap()
}

#[test]
fn keys_change_while_the_validator_runs() {
    let mut told = Told::begun(&[&["a-", "a2-"], &["b-"], &["c-"], &["d-"]]);
    let renewed = set(&[("a2-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3]]);
    told.changes_to(renewed, &[EXCHANGE, REGISTRY]);
    told.goes_on(1);
    assert_eq!(told.network.identity(0), id("a2-"));
    // Three of four are needed: with one down, the new key's vote is.
    told.network.stop(3);
    told.goes_on(3);
    assert!(told.signers().contains(&id("a2-")) && !told.signers().contains(&id("a-")));
}

#[test]
fn a_node_may_die_at_every_height_around_a_change() {
    let authority = &[EXCHANGE, REGISTRY, AUTHORITY, OMNI];
    for victim in [0, 1, 4] {
        for after in 0..4 {
            let mut told = Told::begun(&[&["a-", "a2-"], &["b-"], &["c-"], &["d-"], &["e-"]]);
            let next = [("a2-", EXCHANGE), MEMBERS[1], MEMBERS[2], MEMBERS[3], ("e-", OMNI)];
            for height in 0..4 {
                if height == 1 {
                    told.changes_to(set(&next), authority);
                } else {
                    told.goes_on(1);
                }
                if height == after {
                    told.network.stop(victim);
                    told.network.start_again(victim);
                }
            }
            told.goes_on(2);
            let all: Vec<bool> = (0..5).map(|node| told.votes(node)).collect();
            assert_eq!(all, [true; 5], "{victim} died after {after}");
        }
    }
}
