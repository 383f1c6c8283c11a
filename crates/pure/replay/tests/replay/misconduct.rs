//! Evidence that entries record: only what the offline judge calls proven enters a block, and a block with anything else is refuted.

use ledger_event::{Clock, MisconductRecorded, Role};
use ledger_format::block::Block;
use ledger_format::evidence::{Evidence, Offence};
use ledger_format::vote::Certificate;
use ledger_rules::Code;
use ledger_story::cast::{AUTHORITY, EXCHANGE, SUPPLIER};
use ledger_story::deed::Deed;
use ledger_story::members::{MEMBERS, misconduct_recorded, set, validators_changed, voted};
use ledger_story::{LIMITS, Story, china, genesis_with, validator_key_of};
use ledger_verify::finding::Code as Finding;

use crate::chain::sealed;
use crate::membership::{Consortium, QUORUM, RENEWED, certified};

fn consortium() -> Consortium {
    consortium_of(2)
}

fn consortium_of(version: u32) -> Consortium {
    let start = china("2026-08-03");
    Consortium::of(Story::of(genesis_with(set(&MEMBERS), version, Clock::Wall, start, LIMITS)))
}

fn recorded(evidence: &Evidence) -> Deed {
    misconduct_recorded(evidence, SUPPLIER, Role::Supplier)
}

impl Consortium {
    /// What a proposer says of a deed that is no more than an attempt.
    fn refuses(&mut self, deed: &Deed) -> Option<Code> {
        let entry = sealed(&mut self.story, deed);
        let proposer = self.chain.ledger.validators().members()[0].id;
        let proposal = self.chain.ledger.propose(proposer, self.story.time_ms, &[&entry]);
        assert_eq!(proposal.included.len() + proposal.refused.len(), 1);
        proposal.refused.first().map(|(_, refusal)| refusal.code)
    }
}

#[test]
fn evidence_that_proves_something_is_recorded() {
    let mut all = consortium();
    let (ledger, height) = (all.chain.ledger.genesis().id(), all.chain.ledger.height());
    all.did(&recorded(&voted(ledger, "b-", height, [1, 2])));
    assert!(all.read().is_ok());
}

#[test]
fn evidence_that_proves_nothing_is_refused() {
    let mut all = consortium();
    let ledger = all.chain.ledger.genesis().id();
    let good = voted(ledger, "b-", 1, [1, 2]);
    assert_eq!(all.refuses(&recorded(&good)), None);
    let mut forged = good.clone();
    if let Offence::DoubleVote { votes, .. } = &mut forged.offence {
        votes[1].signature[40] ^= 1;
    }
    let mut framed = good.clone();
    if let Offence::DoubleVote { validator, .. } = &mut framed.offence {
        *validator = voted(ledger, "a-", 1, [1, 2]).accused()[0];
    }
    let mut elsewhere = good;
    elsewhere.ledger.0[0] ^= 1;
    let innocent = voted(ledger, "b-", 1, [1, 1]);
    let stranger = voted(ledger, "a2-", 1, [1, 2]);
    for evidence in [forged, framed, elsewhere, innocent, stranger] {
        let refused = all.refuses(&recorded(&evidence));
        assert_eq!(refused, Some(Code::MisconductUnproven), "{evidence:?}");
    }
    let garbled =
        recorded(&voted(ledger, "b-", 1, [1, 2])).with(|event: &mut MisconductRecorded| {
            event.evidence = event.evidence.slice(..event.evidence.len() - 1);
        });
    assert_eq!(all.refuses(&garbled), Some(Code::Field));
}

#[test]
fn a_block_with_unproven_evidence_is_refuted_whoever_signed_it() {
    let mut all = consortium();
    let ledger = all.chain.ledger.genesis().id();
    all.did(&recorded(&voted(ledger, "b-", 1, [1, 2])));
    let lie = sealed(&mut all.story, &recorded(&voted(ledger, "b-", 1, [1, 1])));
    let refuted = all.with_last(|block: &mut Block| {
        block.body.entries = vec![lie.bytes().clone()];
        block.certificate = certified(&block.body.header, all.chain.ledger.validators());
    });
    assert_eq!(refuted, Finding::Refused);
}

#[test]
fn a_validator_that_was_just_replaced_does_not_get_away() {
    let mut all = consortium();
    let ledger = all.chain.ledger.genesis().id();
    let [former, new] = ["a-", "a2-"].map(|name| recorded(&voted(ledger, name, 1, [1, 2])));
    assert_eq!(all.refuses(&new), Some(Code::MisconductUnproven));
    all.did(&validators_changed(set(&RENEWED), QUORUM));
    assert_eq!((all.refuses(&former), all.refuses(&new)), (None, None));
    all.did(&former);
    assert!(all.read().is_ok());
}

/// What a node tells its operator is of the party that the record of it will name.
#[test]
fn from_version_5_on_nodes_name_who_had_the_key_at_the_height_and_not_who_has_it_now() {
    for (version, party) in [(4, EXCHANGE), (5, AUTHORITY)] {
        let mut all = consortium_of(version);
        let evidence = voted(all.chain.ledger.genesis().id(), "c-", 1, [1, 2]);
        let three = set(&[MEMBERS[0], MEMBERS[1], MEMBERS[3]]);
        all.did(&validators_changed(three, QUORUM));
        let moved = set(&[MEMBERS[0], MEMBERS[1], ("c-", EXCHANGE), MEMBERS[3]]);
        all.did(&validators_changed(moved, QUORUM));
        let culprits = all.chain.ledger.judge(&evidence).unwrap();
        assert_eq!(culprits[0].party, party, "version {version}");
    }
}

#[test]
fn nodes_judge_by_the_last_two_sets_what_they_hear_after_a_change() {
    let mut all = consortium();
    let ledger = all.chain.ledger.genesis().id();
    let named = |all: &Consortium, name: &str| {
        let evidence = voted(ledger, name, 1, [1, 2]);
        let culprits = all.chain.ledger.judge(&evidence);
        culprits.is_ok_and(|culprits| culprits[0].key == evidence.accused()[0])
    };
    assert!(named(&all, "a-") && !named(&all, "a2-"));
    all.did(&validators_changed(set(&RENEWED), QUORUM));
    assert!(named(&all, "a-") && named(&all, "a2-"));
    let mut again = RENEWED;
    again[0].0 = "a3-";
    all.did(&validators_changed(set(&again), QUORUM));
    assert!(!named(&all, "a-") && named(&all, "a2-") && named(&all, "a3-"));
    let innocent = voted(ledger, "a3-", 1, [1, 1]);
    assert!(all.chain.ledger.judge(&innocent).is_err());
}

/// The last block, as "b-" gives it away: with a certificate of two, and with its own.
fn given(all: &Consortium) -> [Deed; 2] {
    use ed25519_dalek::Signer as _;
    let header = all.chain.ledger.header().unwrap();
    let good = certified(header, all.chain.ledger.validators());
    let mut forged: Certificate = good.clone();
    forged.signatures.truncate(2);
    [forged, good].map(|certificate| {
        let block = header.hash();
        let bytes =
            ledger_format::evidence::presentation_bytes(&header.ledger, &block, &certificate);
        let id = voted(header.ledger, "b-", 1, [1, 2]).accused()[0];
        let signature = validator_key_of("b-", "vote").sign(&bytes).to_bytes();
        recorded(&Evidence::forged_certificate(id, header.clone(), certificate, signature))
    })
}

#[test]
fn a_forged_certificate_is_judged_by_the_set_that_its_header_names() {
    let mut all = consortium();
    let [guilty, innocent] = given(&all);
    assert_eq!(all.refuses(&innocent), Some(Code::MisconductUnproven));
    all.did(&validators_changed(set(&RENEWED), QUORUM));
    assert_eq!(all.refuses(&guilty), None);
    assert_eq!(all.refuses(&innocent), Some(Code::MisconductUnproven));
}

#[test]
fn since_version_4_the_state_tells_what_was_done_under_any_set() {
    let mut again = RENEWED;
    again[0].0 = "a3-";
    for (version, tells) in [(3, false), (4, true)] {
        let mut all = consortium_of(version);
        let (ledger, first) = (all.chain.ledger.genesis().id(), all.chain.ledger.height());
        let [guilty, innocent] = given(&all);
        all.did(&validators_changed(set(&RENEWED), QUORUM));
        all.did(&validators_changed(set(&again), QUORUM));
        let vote = voted(ledger, "a-", first, [1, 2]);
        assert_eq!(all.chain.ledger.judge(&vote).is_ok(), tells, "version {version}");
        assert!(all.chain.ledger.judge(&voted(ledger, "a-", first, [1, 1])).is_err());
        assert_eq!(all.refuses(&guilty).is_none(), tells, "version {version}");
        assert_eq!(all.refuses(&innocent), Some(Code::MisconductUnproven));
        if tells {
            all.did(&guilty);
            all.did(&recorded(&vote));
        }
        assert!(all.read().is_ok());
    }
}
