//! Evidence files: what proves that a validator lied, and what only looks like it.

use ledger_event::{Clock, SetChange};
use ledger_fixtures::{Chain, Key, World};
use ledger_format::digest::{BlockHash, KeyId, hex};
use ledger_format::evidence::{
    CHANGED_FILE_MARK, Evidence, EvidenceFile, SignedProposal, SignedVote, presentation_bytes,
};
use ledger_format::header::Header;
use ledger_format::vote::{Certificate, VoteStep, proposal_bytes, vote_bytes};
use serde_json::{Value, json};

use super::{GOOD, cut, longer, malformed, refuted, turned};
use crate::{Kind, Vector};

const HEIGHT: u64 = 7;
const ONE: BlockHash = BlockHash([0x11; 32]);
const OTHER: BlockHash = BlockHash([0x22; 32]);

/// A ledger of four validators whose votes can be had.
struct Voters(World);

impl Voters {
    fn id(&self, number: usize) -> KeyId {
        self.0.validators[number].vote.id()
    }

    fn vote(&self, by: usize, round: u32, step: VoteStep, block: Option<BlockHash>) -> SignedVote {
        let bytes = vote_bytes(&self.0.genesis.id(), step, HEIGHT, round, block.as_ref());
        SignedVote { block, signature: self.0.validators[by].vote.sign(&bytes) }
    }

    fn double_vote(&self, step: VoteStep, votes: [SignedVote; 2]) -> Evidence {
        Evidence::double_vote(self.0.genesis.id(), HEIGHT, (0, step, self.id(1)), votes)
    }

    fn proposal(&self, round: u32, valid: Option<u32>, block: BlockHash) -> SignedProposal {
        let bytes = proposal_bytes(&self.0.genesis.id(), HEIGHT, round, valid, &block);
        let signature = self.0.validators[2].vote.sign(&bytes);
        SignedProposal { block, valid_round: valid, signature }
    }

    fn double_proposal(&self, proposals: [SignedProposal; 2]) -> Evidence {
        Evidence::double_proposal(self.0.genesis.id(), HEIGHT, (1, self.id(2)), proposals)
    }

    fn certificate(&self, round: u32, block: BlockHash, by: &[usize]) -> Certificate {
        let signature = |by: &usize| {
            let vote = self.vote(*by, round, VoteStep::Precommit, Some(block));
            (self.id(*by), vote.signature)
        };
        let signatures = by.iter().map(signature).collect();
        Certificate { height: HEIGHT, round, block, signatures }
    }

    fn fork(&self, certificates: [Certificate; 2]) -> Evidence {
        Evidence::conflicting_certificates(self.0.genesis.id(), certificates)
    }

    /// A block that validator 3 gave away as decided.
    fn presented(&self, by: &[usize]) -> Evidence {
        let set = self.0.set().hash();
        let header = Header {
            protocol_version: 1,
            ledger: self.0.genesis.id(),
            height: HEIGHT,
            previous: [1; 32],
            time_ms: 2,
            proposer: self.id(0),
            tree_size: 3,
            tree_root: [4; 32],
            state_root: [5; 32],
            validators: set,
            next_validators: set,
        };
        let certificate = self.certificate(0, header.hash(), by);
        let bytes = presentation_bytes(&header.ledger, &header.hash(), &certificate);
        let signature = self.0.validators[3].vote.sign(&bytes);
        Evidence::forged_certificate(self.id(3), header, certificate, signature)
    }

    fn file(&self, evidence: &Evidence) -> Vec<u8> {
        EvidenceFile::encode(Some(&self.0.genesis), &[], evidence)
    }

    fn input(&self, bytes: &[u8]) -> Value {
        json!({ "trust": self.0.genesis.id().to_string(), "bytes": hex(bytes) })
    }

    fn vector(
        &self,
        name: &str,
        comment: &str,
        evidence: &Evidence,
        expected: (&'static str, &'static str),
    ) -> Vector {
        Vector::new(name, comment, self.input(&self.file(evidence)), expected)
    }
}

/// Evidence files.
pub(super) fn files() -> Kind {
    let voters = Voters(World::new("vectors", &[1, 1, 1, 1], Clock::Wall));
    let (first, second) = (VoteStep::Prevote, VoteStep::Precommit);
    let vote = |step, block| voters.vote(1, 0, step, block);
    let double = voters.double_vote(second, [vote(second, Some(ONE)), vote(second, Some(OTHER))]);
    let whole = voters.file(&double);
    let body = whole.len() - double.encode().len();
    let changed = |name: &str, comment: &str, bytes: &[u8], code| {
        Vector::new(name, comment, voters.input(bytes), malformed(code))
    };
    let mut backwards = whole.clone();
    // The two votes stand at the end, 97 bytes each.
    backwards[whole.len() - 194..].rotate_left(97);
    let nil = voters.double_vote(second, [vote(second, None), vote(second, Some(ONE))]);
    let mut behind_nil = voters.file(&nil);
    let flag = behind_nil.len() - 194;
    behind_nil[flag + 1] = 1;
    let mut stranger = double.encode();
    stranger[61..93].copy_from_slice(&[9; 32]);
    let stranger = [&whole[..body], &stranger].concat();
    let other_ledger = json!({ "trust": hex(&[5; 32]), "bytes": hex(&whole) });
    let mut vectors = vec![
        voters.vector("double precommit", "", &double, GOOD),
        voters.vector("double precommit, one for nil", "nil is a choice as well", &nil, GOOD),
        voters.vector(
            "double prevote",
            "",
            &voters.double_vote(first, [vote(first, Some(ONE)), vote(first, Some(OTHER))]),
            GOOD,
        ),
        voters.vector(
            "double proposal",
            "each may refer to a round of its own",
            &voters.double_proposal([
                voters.proposal(1, None, ONE),
                voters.proposal(1, Some(0), OTHER),
            ]),
            GOOD,
        ),
        voters.vector(
            "two certificates of one round",
            "names whoever signed both",
            &voters.fork([
                voters.certificate(0, ONE, &[0, 1, 2]),
                voters.certificate(0, OTHER, &[1, 2, 3]),
            ]),
            GOOD,
        ),
        voters.vector(
            "two certificates of two rounds",
            "a fork; who lied, they do not tell",
            &voters.fork([
                voters.certificate(0, ONE, &[0, 1, 2]),
                voters.certificate(1, OTHER, &[1, 2, 3]),
            ]),
            ("not determined", ""),
        ),
        voters.vector(
            "a block given away without a quorum",
            "a presentation is signed",
            &voters.presented(&[0, 1]),
            GOOD,
        ),
        voters.vector(
            "a block given away with a quorum",
            "its certificate is good",
            &voters.presented(&[0, 1, 2]),
            refuted("V_NO_CONFLICT"),
        ),
        voters.vector(
            "a certificate without a quorum",
            "",
            &voters.fork([
                voters.certificate(0, ONE, &[0, 1, 2]),
                voters.certificate(0, OTHER, &[1, 2]),
            ]),
            refuted("V_QUORUM"),
        ),
        voters.vector(
            "one vote twice",
            "",
            &voters.double_vote(second, [vote(second, Some(ONE)); 2]),
            refuted("V_NO_CONFLICT"),
        ),
        voters.vector(
            "one block proposed with two valid rounds",
            "",
            &voters
                .double_proposal([voters.proposal(1, None, ONE), voters.proposal(1, Some(0), ONE)]),
            refuted("V_NO_CONFLICT"),
        ),
        voters.vector(
            "a vote of another round",
            "the round is signed",
            &voters.double_vote(
                second,
                [vote(second, Some(ONE)), voters.vote(1, 1, second, Some(OTHER))],
            ),
            refuted("V_SIGNATURE"),
        ),
        voters.vector(
            "a prevote and a precommit",
            "the step is signed",
            &voters.double_vote(second, [vote(second, Some(ONE)), vote(first, Some(OTHER))]),
            refuted("V_SIGNATURE"),
        ),
        voters.vector(
            "votes of two validators",
            "",
            &voters.double_vote(
                second,
                [vote(second, Some(ONE)), voters.vote(3, 0, second, Some(OTHER))],
            ),
            refuted("V_SIGNATURE"),
        ),
        Vector::new(
            "a key of no validator",
            "whose it is, nothing shows",
            voters.input(&stranger),
            ("not determined", ""),
        ),
        Vector::new(
            "without a genesis document",
            "whose keys these are, nothing shows",
            voters.input(&EvidenceFile::encode(None, &[], &double)),
            ("not determined", ""),
        ),
        Vector::new("of another ledger", "", other_ledger, ("trust not met", "")),
        changed("votes out of order", "ascending", &backwards, "FMT_NOT_CANONICAL"),
        changed("bytes behind nil", "zero bytes", &behind_nil, "FMT_NOT_CANONICAL"),
        changed("unknown kind", "", &turned(&whole, (body + 15) * 8 + 3), "FMT_VALUE"),
        changed("unknown step", "", &turned(&whole, (body + 60) * 8), "FMT_VALUE"),
        changed("other mark", "", &turned(&whole, 0), "FMT_MAGIC"),
        changed("cut", "", cut(&whole), "FMT_TRUNCATED"),
        changed("longer", "", &longer(&whole), "FMT_TRAILING"),
    ];
    vectors.extend(later());
    Kind {
        name: "evidence",
        description: "Evidence files (evidence.md): whom signed statements prove guilty. `accused` are ids of vote keys.",
        vectors,
    }
}

/// Files of a ledger whose validators were put into the place of others, who signed height 1 alone.
fn later() -> Vec<Vector> {
    let mut chain = Chain::new(World::new("vectors", &[1, 1, 1, 1], Clock::Wall));
    chain.change("newcomers", &[1, 1, 1, 1]);
    for _ in 0..HEIGHT {
        chain.push(&[], &[]);
    }
    let trust = chain.world.genesis.id();
    let voted = |by: &Key| {
        let vote = |block| {
            let bytes = vote_bytes(&trust, VoteStep::Precommit, HEIGHT, 0, Some(&block));
            SignedVote { block: Some(block), signature: by.sign(&bytes) }
        };
        let by = (0, VoteStep::Precommit, by.id());
        Evidence::double_vote(trust, HEIGHT, by, [vote(ONE), vote(OTHER)])
    };
    let newcomer = voted(&chain.validators_at(7).1[1].vote);
    let former = voted(&chain.world.validators[2].vote);
    let shown = chain.anchor(7).changes;
    let few = SetChange {
        certificate: chain.certificate(1, &[0, 1]).encode().into(),
        ..shown[0].clone()
    };
    let genesis = Some(&chain.world.genesis);
    let file = |evidence: &Evidence, changes: &[SetChange]| {
        EvidenceFile::encode(genesis, changes, evidence)
    };
    let document = &file(&newcomer, &[])[18..];
    let (document, _) = document.split_at(document.len() - newcomer.encode().len());
    let none = [CHANGED_FILE_MARK.as_slice(), document, &[0; 4], &newcomer.encode()].concat();
    let vector = |name: &str, comment: &str, bytes: &[u8], expected| {
        let input = json!({ "trust": trust.to_string(), "bytes": hex(bytes) });
        Vector::new(name, comment, input, expected)
    };
    vec![
        vector("by who came in later", "the change is shown", &file(&newcomer, &shown), GOOD),
        vector("by who has left", "at a height of others", &file(&former, &shown), GOOD),
        vector(
            "by who came in later, not shown how",
            "whose key it is, nothing shows",
            &file(&newcomer, &[]),
            ("not determined", ""),
        ),
        vector(
            "a change without quorum",
            "two of four",
            &file(&newcomer, &[few]),
            refuted("V_QUORUM"),
        ),
        vector("changes that are none", "", &none, malformed("FMT_NOT_CANONICAL")),
    ]
}
