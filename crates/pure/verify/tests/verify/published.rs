//! Published vectors: the twelve of "Taming the many EdDSAs" and Wycheproof's.

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use ledger_fixtures::SPECCHECK;
use ledger_verify::signature::SignatureError::{self, Equation};
use wycheproof::{TestResult, eddsa};

use crate::cases::{Case, SplitMix, assert_agreement, batch, hex};

/// What Algorithm 2 of the paper says of its twelve vectors.
const EXPECTED: [Result<(), SignatureError>; 12] = [
    Err(SignatureError::SmallOrderKey),
    Err(SignatureError::SmallOrderKey),
    Ok(()),
    Ok(()),
    Ok(()),
    Ok(()),
    Err(SignatureError::NonCanonicalS),
    Err(SignatureError::NonCanonicalS),
    Err(SignatureError::NonCanonicalR),
    Err(SignatureError::NonCanonicalR),
    Err(SignatureError::NonCanonicalKey),
    Err(SignatureError::NonCanonicalKey),
];

fn speccheck() -> Vec<(Case, Result<(), SignatureError>)> {
    SPECCHECK
        .iter()
        .zip(EXPECTED)
        .enumerate()
        .map(|(number, ([message, key, r, s], expected))| {
            let name = format!("speccheck {number}");
            (Case::new(name, hex(key), &hex::<32>(message), hex(r), hex(s)), expected)
        })
        .collect()
}

/// The bytes above are the paper's if other verifiers say of them what `results.md` of that
/// repository says they say.
#[test]
fn speccheck_as_published_for_other_verifiers() {
    let (mut zebra, mut dalek, mut strict) = (String::new(), String::new(), String::new());
    for (Case { key, message, signature, .. }, _) in speccheck() {
        let mark = |accepted| if accepted { 'V' } else { 'X' };
        let signature = Signature::from_bytes(&signature);
        let key_of_zebra = ed25519_zebra::VerificationKey::try_from(key).unwrap();
        let key_of_dalek = VerifyingKey::from_bytes(&key).unwrap();
        zebra.push(mark(key_of_zebra.verify(&signature, &message).is_ok()));
        dalek.push(mark(key_of_dalek.verify(&message, &signature).is_ok()));
        strict.push(mark(key_of_dalek.verify_strict(&message, &signature).is_ok()));
    }
    assert_eq!(zebra, "VVVVVVXXXVVV");
    assert_eq!(dalek, "VVVVXXXXXXXV");
    assert_eq!(strict, "XXXVXXXXXXXX");
}

#[test]
fn speccheck_alone() {
    for (case, expected) in speccheck() {
        assert_eq!(assert_agreement(&case), expected, "{}", case.name);
    }
}

/// Each vector at each place among honest signatures by other keys.
#[test]
fn speccheck_at_every_place_of_a_batch() {
    let mut rng = SplitMix(12);
    for companions in [1, 2, 3, 7, 8, 15, 32] {
        let honest: Vec<_> = (0..companions).map(|_| Case::honest(&mut rng)).collect();
        for (case, expected) in speccheck() {
            for place in 0..=companions {
                let mut members: Vec<_> = honest.iter().collect();
                members.insert(place, &case);
                let mut verdicts = vec![Ok(()); companions];
                verdicts.insert(place, expected);
                assert_eq!(batch(&members), verdicts, "{} at {place}", case.name);
            }
        }
    }
}

/// Any of the vectors together, several times, with signatures that are merely wrong among them.
#[test]
fn speccheck_in_each_others_company() {
    let mut rng = SplitMix(5);
    let mut members = speccheck();
    for round in 0..400 {
        let mut honest = Case::honest(&mut rng);
        let expected = if round % 3 == 0 {
            honest.signature[40] ^= 1;
            Err(Equation)
        } else {
            Ok(())
        };
        members.push((honest, expected));
        rng.shuffle(&mut members);
        let size = 1 + rng.below(members.len());
        let cases: Vec<_> = members[..size].iter().map(|(case, _)| case).collect();
        let expected: Vec<_> = members[..size].iter().map(|(_, expected)| *expected).collect();
        assert_eq!(batch(&cases), expected);
        members.retain(|(case, _)| case.name != "honest" || rng.below(12) > 0);
    }
}

/// C2SP Wycheproof, `ed25519_test.json`, as the crate `wycheproof` carries it.
#[test]
fn wycheproof() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut rng = SplitMix(3);
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for group in &set.test_groups {
        for test in &group.tests {
            // Another length is not a signature: the types do not let it in.
            let Ok(signature) = <[u8; 64]>::try_from(&test.sig[..]) else {
                assert_eq!(test.result, TestResult::Invalid);
                continue;
            };
            let case = Case {
                name: format!("wycheproof {}", test.tc_id),
                key: group.key.pk[..].try_into().unwrap(),
                message: test.msg.to_vec(),
                signature,
            };
            let accepted = assert_agreement(&case).is_ok();
            assert_eq!(accepted, test.result == TestResult::Valid, "{}", case.name);
            if accepted { valid.push(case) } else { invalid.push(case) }
        }
    }
    assert!(valid.len() > 80 && invalid.len() > 40, "{} and {}", valid.len(), invalid.len());
    assert!(batch(&valid.iter().collect::<Vec<_>>()).iter().all(Result::is_ok));
    let all = [valid, invalid].concat();
    crate::cases::assert_any_composition(&all, 20, &mut rng);
}
