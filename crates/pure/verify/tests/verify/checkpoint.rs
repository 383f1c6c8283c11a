//! Checkpoints by themselves: who signed one, and what a changed one is.

use ledger_event::Clock;
use ledger_fixtures::{Chain, World, record};
use ledger_format::header::Header;
use ledger_format::note::{Checkpoint, Note, NoteSignature, cosignature_message};
use ledger_format::validators::Validators;
use ledger_verify::checkpoint::{Known, Signed, verify_checkpoint};
use ledger_verify::verdict::{Report, Verdict};

/// Two blocks of four validators, five from height 3 on.
fn chain() -> Chain {
    let mut chain = Chain::new(World::new("notes", &[1, 2, 3, 4], Clock::Wall));
    for height in 1..=4_usize {
        if height == 2 {
            chain.change("later", &[1; 5]);
        }
        chain.push(&[], &[record("asset:exchange-00/rain", &[])]);
    }
    chain
}

/// The checkpoint after a height, signed by one of its validators, before and after a change.
fn note(chain: &Chain, height: usize, by: usize, change: impl FnOnce(&mut Note)) -> Vec<u8> {
    let header = chain.header_at(height);
    let (set, keys) = chain.validators_at(height);
    let origin = chain.world.genesis.message().origin.clone();
    let (member, keys) = (&set.members()[by], &keys[by]);
    let checkpoint =
        Checkpoint { origin: origin.clone(), size: header.tree_size, root: header.tree_root };
    let text = checkpoint.text();
    let cosigned = keys.cosign.sign(&cosignature_message(7, &text));
    let signatures = vec![
        NoteSignature::log(&origin, &member.log_key, &keys.log.sign(text.as_bytes())),
        NoteSignature::cosigner(
            &format!("{}/cosigner", member.name),
            &member.cosign_key,
            7,
            &cosigned,
        ),
    ];
    let mut note = Note { text, signatures };
    change(&mut note);
    note.encode().into_bytes()
}

fn judged(
    chain: &Chain,
    bytes: &[u8],
    sets: &[Validators],
    head: Option<&Header>,
) -> (Report, Vec<Signed>) {
    verify_checkpoint(bytes, &Known { genesis: &chain.world.genesis, sets, head })
}

fn code(chain: &Chain, bytes: &[u8], head: Option<&Header>) -> Option<&'static str> {
    let sets = [chain.world.genesis.validators().clone()];
    judged(chain, bytes, &sets, head).0.verdict.code()
}

#[test]
fn a_checkpoint_is_its_signers_word_and_with_the_header_the_quorums() {
    let chain = chain();
    let sets = [chain.world.genesis.validators().clone()];
    let bytes = note(&chain, 1, 2, |_| {});
    let (report, signed) = judged(&chain, &bytes, &sets, None);
    assert_eq!(report.verdict, Verdict::Proven);
    let member = &sets[0].members()[2];
    assert_eq!((signed[0].id, signed[0].log, signed[0].cosigned_s), (member.id, true, Some(7)));
    let says = |report: &Report, checked, text: &str| {
        report.lines.iter().any(|line| line.checked == checked && line.text.contains(text))
    };
    let power = format!("power {} of 10", member.power);
    assert!(says(&report, false, &power), "{report:?}");
    assert!(says(&report, false, "whether a block ends with this tree"), "{report:?}");
    let (report, _) = judged(&chain, &bytes, &sets, Some(chain.header_at(1)));
    assert_eq!(report.verdict, Verdict::Proven);
    assert!(says(&report, true, "the log after block 1"), "{report:?}");
}

#[test]
fn what_was_changed_is_refuted() {
    let chain = chain();
    let other =
        Checkpoint { origin: chain.world.genesis.message().origin.clone(), size: 1, root: [7; 32] };
    let changed = note(&chain, 1, 0, |note| note.text = other.text());
    assert_eq!(code(&chain, &changed, None), Some("V_SIGNATURE"));
    // One of the two lines is enough to see it.
    for line in [0, 1] {
        let last = |note: &mut Note| *note.signatures[line].signature.last_mut().unwrap() ^= 1;
        assert_eq!(code(&chain, &note(&chain, 1, 0, last), None), Some("V_SIGNATURE"), "{line}");
        let cut = |note: &mut Note| note.signatures[line].signature.truncate(40);
        assert_eq!(code(&chain, &note(&chain, 1, 0, cut), None), Some("V_SIGNATURE"), "{line}");
    }
    let time = |note: &mut Note| note.signatures[1].signature[7] ^= 1;
    assert_eq!(code(&chain, &note(&chain, 1, 0, time), None), Some("V_SIGNATURE"));
    // Well signed, and another tree than the certified one.
    let bytes = note(&chain, 1, 0, |_| {});
    assert_eq!(code(&chain, &bytes, Some(chain.header_at(2))), Some("V_TREE_ROOT"));
    for broken in [&bytes[..bytes.len() - 1], b"\xff\n\n", b""] {
        assert_eq!(code(&chain, broken, None), Some("FMT_VALUE"));
    }
}

/// A key that was given up may be anybody's by now, and its validator still is one.
#[test]
fn a_log_key_that_a_validator_gave_up_is_a_strangers() {
    let chain = chain();
    let genesis = chain.world.genesis.validators().clone();
    let mut message = chain.world.genesis.message().validators.clone().unwrap();
    message.validators[0].log_key = vec![9; 32].into();
    message.validators[0].cosign_key = vec![8; 32].into();
    let renewed = Validators::new(message).unwrap();
    assert_eq!(renewed.members()[0].id, genesis.members()[0].id);
    for broken in [false, true] {
        let old = note(&chain, 1, 0, |note| note.signatures[0].signature[0] ^= u8::from(broken));
        let (report, signed) = judged(&chain, &old, &[genesis.clone(), renewed.clone()], None);
        assert!(matches!(report.verdict, Verdict::NotDetermined(_)), "{report:?}");
        assert!(signed.is_empty());
    }
}

#[test]
fn strangers_and_validators_that_are_not_known_prove_nothing() {
    let chain = chain();
    let genesis = chain.world.genesis.validators().clone();
    let bytes = note(&chain, 4, 1, |_| {});
    let (report, signed) = judged(&chain, &bytes, std::slice::from_ref(&genesis), None);
    assert!(matches!(report.verdict, Verdict::NotDetermined(_)), "{report:?}");
    assert!(signed.is_empty());
    let sets = [genesis, chain.validators_at(4).0.clone()];
    let (report, signed) = judged(&chain, &bytes, &sets, Some(chain.header_at(4)));
    assert_eq!((report.verdict, signed.len()), (Verdict::Proven, 1));
    // Whoever was removed may sign what it likes; a certified header shows that it did not.
    let old = note(&chain, 1, 0, |_| {});
    let (report, signed) = judged(&chain, &old, &sets, None);
    assert!(matches!(report.verdict, Verdict::NotDetermined(_)), "{report:?}");
    assert_eq!(signed.len(), 1);
    let (report, _) = judged(&chain, &old, &sets, Some(chain.header_at(1)));
    assert_eq!(report.verdict, Verdict::Proven);
    let unnamed = note(&chain, 1, 0, |note| {
        for line in &mut note.signatures {
            line.key_id[0] ^= 1;
        }
    });
    let (report, _) = judged(&chain, &unnamed, &sets, Some(chain.header_at(1)));
    assert!(matches!(report.verdict, Verdict::NotDetermined(_)), "{report:?}");
    // A tree that no block ends with is none of the ledger's, whoever signed it.
    let forged = note(&chain, 1, 0, |note| {
        let true_one = Checkpoint::decode(&note.text).unwrap();
        note.text = Checkpoint { root: [7; 32], ..true_one }.text();
        note.signatures.iter_mut().for_each(|line| line.key_id[0] ^= 1);
    });
    assert_eq!(code(&chain, &forged, Some(chain.header_at(1))), Some("V_TREE_ROOT"));
    // Of another log.
    let other = World::with("notes", &[1], |genesis| genesis.origin = "other.example/log".into());
    let known = Known { genesis: &other.genesis, sets: &sets, head: None };
    let (report, _) = verify_checkpoint(&bytes, &known);
    assert!(matches!(report.verdict, Verdict::TrustNotMet(_)), "{report:?}");
}

/// Else whoever stays in the set while others come and go would seem to have signed with twice its power.
#[test]
fn a_validator_of_two_sets_is_one_signer() {
    let chain = chain();
    let set = chain.world.genesis.validators().clone();
    let (report, signed) =
        judged(&chain, &note(&chain, 1, 2, |_| {}), &[set.clone(), set.clone()], None);
    assert_eq!((report.verdict, signed.len()), (Verdict::Proven, 1));
    let power = format!("power {} of {}", set.members()[2].power, set.total_power());
    assert!(report.lines.iter().any(|line| line.text.contains(&power)), "{:?}", report.lines);
}
