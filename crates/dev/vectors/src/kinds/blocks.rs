//! Headers, votes, certificates.

use ledger_fixtures::{Key, certificate};
use ledger_format::digest::hex;
use ledger_format::vote::Certificate;
use serde_json::{Value, json};

use super::{GOOD, bytes_of, chain, cut, longer, malformed, refuted, turned};
use crate::{Kind, Vector};

/// Headers.
pub(super) fn headers() -> Kind {
    let chain = chain();
    let (first, second) = (chain.header_at(1).encode(), chain.header_at(2).encode());
    Kind {
        name: "header",
        description: "Block headers (block.md): block hash, and the leaf that the next block begins with.",
        vectors: vec![
            Vector::new("height 1", "its previous is the ledger id", bytes_of(&first), GOOD),
            Vector::new("height 2", "", bytes_of(&second), GOOD),
            Vector::new("cut", "", bytes_of(cut(&first)), malformed("FMT_TRUNCATED")),
            Vector::new("longer", "", bytes_of(&longer(&first)), malformed("FMT_TRAILING")),
            Vector::new("other mark", "", bytes_of(&turned(&first, 0)), malformed("FMT_MAGIC")),
        ],
    }
}

/// What a vote or a proposal is about: height 2 of the ledger, in a round.
fn about(round: u32, more: &Value) -> Value {
    let chain = chain();
    let header = chain.header_at(2);
    let mut input = json!({
        "ledger": header.ledger.to_string(), "height": header.height, "round": round,
        "block": header.hash().to_string(),
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

/// The bytes under a vote's signature.
pub(super) fn votes() -> Kind {
    let vote = |name: &str, comment: &str, round, more: &Value| {
        Vector::new(name, comment, about(round, more), GOOD)
    };
    let precommit = json!({ "step": "precommit" });
    Kind {
        name: "vote",
        description: "What a validator signs to vote (block.md, votes). Certificates hold precommits for a block.",
        vectors: vec![
            vote("precommit", "what a certificate of round 0 holds", 0, &precommit),
            vote("precommit in a later round", "", 7, &precommit),
            vote("precommit in the last round", "", u32::MAX, &precommit),
            vote("precommit for nil", "", 1, &json!({ "step": "precommit", "block": null })),
            vote("prevote", "", 0, &json!({ "step": "prevote" })),
            vote("prevote for nil", "", 1, &json!({ "step": "prevote", "block": null })),
        ],
    }
}

/// The bytes under a proposal's signature.
pub(super) fn proposals() -> Kind {
    let proposal = |name: &str, comment: &str, round, valid_round: Option<u32>| {
        let input = about(round, &json!({ "valid_round": valid_round }));
        Vector::new(name, comment, input, GOOD)
    };
    Kind {
        name: "proposal",
        description: "What a proposer signs (block.md, votes). `valid_round` is null where none is named.",
        vectors: vec![
            proposal("fresh", "", 0, None),
            proposal("valid since round 0", "not the same as none", 3, Some(0)),
            proposal("valid since round 2", "", 3, Some(2)),
        ],
    }
}

/// Commit certificates.
pub(super) fn certificates() -> Kind {
    let chain = chain();
    let header = chain.header_at(2);
    let raw = |bytes: &[u8]| -> Value {
        json!({
            "genesis": hex(chain.world.genesis.bytes()), "header": hex(&header.encode()),
            "bytes": hex(bytes),
        })
    };
    let input = |certificate: &Certificate| raw(&certificate.encode());
    let by = |places: &[usize]| chain.world.certificate(header, 0, places);
    let all = by(&[0, 1, 2, 3]);
    let stranger = Key::named("vectors stranger");
    let mut with_stranger = by(&[0, 1, 2]);
    with_stranger.signatures.extend(certificate(header, 0, [&stranger]).signatures);
    with_stranger.signatures.sort_by_key(|(id, _)| *id);
    let mut twice = by(&[0, 1, 2]);
    twice.signatures.insert(0, twice.signatures[0]);
    let mut backwards = all.clone();
    backwards.signatures.reverse();
    let mut forged = all.clone();
    forged.signatures[3].1[40] ^= 1;
    let mut other_round = all.clone();
    other_round.round = 1;
    let other = chain.world.certificate(chain.header_at(1), 0, &[0, 1, 2, 3]);
    let bytes = all.encode();
    Kind {
        name: "certificate",
        description: "Commit certificates for a header of a ledger of four validators with equal power (block.md, certificates).",
        vectors: vec![
            Vector::new("four of four", "", input(&all), GOOD),
            Vector::new("three of four", "more than two thirds", input(&by(&[0, 2, 3])), GOOD),
            Vector::new("two of four", "no quorum", input(&by(&[1, 2])), refuted("V_QUORUM")),
            Vector::new("nobody", "no quorum", input(&by(&[])), refuted("V_QUORUM")),
            Vector::new(
                "with a stranger",
                "every signer must be a validator",
                input(&with_stranger),
                refuted("V_CERTIFICATE_SIGNER"),
            ),
            Vector::new(
                "a wrong signature beside a quorum",
                "every signature must be valid",
                input(&forged),
                refuted("V_CERTIFICATE_SIGNATURE"),
            ),
            Vector::new(
                "signatures of another round",
                "the round is signed",
                input(&other_round),
                refuted("V_CERTIFICATE_SIGNATURE"),
            ),
            Vector::new("another block's", "", input(&other), refuted("V_CERTIFICATE_BLOCK")),
            Vector::new(
                "one signer twice",
                "ascending ids",
                input(&twice),
                malformed("FMT_NOT_CANONICAL"),
            ),
            Vector::new(
                "signers out of order",
                "ascending ids",
                input(&backwards),
                malformed("FMT_NOT_CANONICAL"),
            ),
            Vector::new("cut", "", raw(cut(&bytes)), malformed("FMT_TRUNCATED")),
            Vector::new("longer", "", raw(&longer(&bytes)), malformed("FMT_TRAILING")),
        ],
    }
}
