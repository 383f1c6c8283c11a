//! Batches of signatures that are honest, or wrong in one place.

use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::SigningKey;
use ledger_verify::signature::{Batch, PublicKey, SignatureError, strict_objections};

use crate::cases::{Case, SplitMix, Verdict, add, assert_agreement, batch};

/// Keys and signatures of ed25519-dalek pass every path, however many share a key.
#[test]
fn honest_signatures_pass() {
    let mut rng = SplitMix(25519);
    for signers in [1, 2, 10, 300] {
        let keys: Vec<_> = (0..signers).map(|_| SigningKey::from_bytes(&rng.bytes())).collect();
        let cases: Vec<_> =
            keys.iter().cycle().take(300).map(|key| Case::signed_by(key, &mut rng)).collect();
        for case in &cases {
            assert_eq!(assert_agreement(case), Ok(()));
            PublicKey::enrol(&case.key).unwrap();
            let objections = strict_objections(&case.key, &case.message, &case.signature);
            assert_eq!(objections, Ok(Vec::new()));
        }
        assert!(batch(&cases.iter().collect::<Vec<_>>()).iter().all(Result::is_ok));
    }
}

/// Any single bit of signature, key or message makes it another statement, and a false one.
#[test]
fn any_flipped_bit_is_refused() {
    let mut rng = SplitMix(1);
    let companions: Vec<_> = (0..3).map(|_| Case::honest(&mut rng)).collect();
    for _ in 0..3 {
        let honest = Case { message: rng.bytes::<48>().to_vec(), ..Case::honest(&mut rng) };
        let honest = resigned(honest, &mut rng);
        assert_eq!(assert_agreement(&honest), Ok(()));
        for bit in 0..(64 + 32 + 48) * 8 {
            let mut flipped = honest.clone();
            let (byte, mask) = (bit / 8, 1 << (bit % 8));
            match byte {
                0..64 => flipped.signature[byte] ^= mask,
                64..96 => flipped.key[byte - 64] ^= mask,
                _ => flipped.message[byte - 96] ^= mask,
            }
            let verdict = assert_agreement(&flipped);
            assert!(verdict.is_err(), "bit {bit}");
            let mut members: Vec<_> = companions.iter().collect();
            let place = rng.below(4);
            members.insert(place, &flipped);
            let mut verdicts = vec![Ok(()); 3];
            verdicts.insert(place, verdict);
            assert_eq!(batch(&members), verdicts, "bit {bit}");
        }
    }
}

fn resigned(case: Case, rng: &mut SplitMix) -> Case {
    use ed25519_dalek::Signer;
    let key = SigningKey::from_bytes(&rng.bytes());
    let signature = key.sign(&case.message).to_bytes();
    Case { key: key.verifying_key().to_bytes(), signature, ..case }
}

/// A longer, shorter or exchanged message is another one.
#[test]
fn messages_do_not_run_into_each_other() {
    let mut rng = SplitMix(9);
    let (one, two) = (Case::honest(&mut rng), Case::honest(&mut rng));
    let mut longer = one.clone();
    longer.message.push(0);
    let exchanged = Case { message: two.message.clone(), ..one.clone() };
    let other_key = Case { key: two.key, ..one.clone() };
    for case in [longer, exchanged, other_key] {
        assert_eq!(assert_agreement(&case), Err(SignatureError::Equation));
        assert_eq!(batch(&[&one, &case, &two])[1], Err(SignatureError::Equation));
    }
}

/// Exactly the planted signatures are named, each with the check it fails, in batches of up to 300.
#[test]
fn exactly_the_bad_ones_are_named() {
    let mut rng = SplitMix(300);
    let keys: Vec<_> = (0..40).map(|_| SigningKey::from_bytes(&rng.bytes())).collect();
    for round in 0..120 {
        let size = if round == 0 { 300 } else { 1 + rng.below(300) };
        let signers = 1 + rng.below(keys.len());
        let mut cases: Vec<_> = keys[..signers]
            .iter()
            .cycle()
            .take(size)
            .map(|key| Case::signed_by(key, &mut rng))
            .collect();
        let mut expected = vec![Ok(()); size];
        // none, one, a few, or about all
        let plants = [0, 1, 1 + rng.below(8), 3 * size][round % 4];
        for _ in 0..plants {
            let at = rng.below(size);
            if expected[at].is_ok() {
                expected[at] = plant(&mut cases[at], &mut rng);
            }
        }
        assert_eq!(batch(&cases.iter().collect::<Vec<_>>()), expected, "round {round}");
    }
}

/// Spoils an honest signature in one of six ways.
fn plant(case: &mut Case, rng: &mut SplitMix) -> Verdict {
    let (error, change): (_, fn(&mut Case)) = match rng.below(6) {
        0 => (SignatureError::Equation, |case| case.message.push(1)),
        1 => (SignatureError::Equation, |case| {
            let s = Scalar::from_canonical_bytes(case.s()).unwrap() + Scalar::ONE;
            case.signature[32..].copy_from_slice(s.as_bytes());
        }),
        2 => (SignatureError::NonCanonicalS, |case| {
            let s = add(case.s(), crate::cases::GROUP_ORDER);
            case.signature[32..].copy_from_slice(&s);
        }),
        3 => (SignatureError::NonCanonicalR, |case| case.signature[..32].fill(0xff)),
        4 => (SignatureError::SmallOrderKey, |case| case.key = [0; 32]),
        _ => (SignatureError::RNotOnCurve, |case| {
            case.signature[..32].fill(0);
            case.signature[0] = 2; // y = 2 is on no point
        }),
    };
    change(case);
    Err(error)
}

/// Two signatures whose faults cancel in a sum without coefficients.
#[test]
fn faults_do_not_cancel() {
    let mut rng = SplitMix(10);
    let key = SigningKey::from_bytes(&rng.bytes());
    for companions in 0..20 {
        let mut cases: Vec<_> =
            (0..companions + 2).map(|_| Case::signed_by(&key, &mut rng)).collect();
        let fault = rng.scalar();
        for (case, fault) in cases.iter_mut().zip([fault, -fault]) {
            let s = Scalar::from_canonical_bytes(case.s()).unwrap() + fault;
            case.signature[32..].copy_from_slice(s.as_bytes());
        }
        let mut verdicts = vec![Err(SignatureError::Equation); 2];
        verdicts.resize(companions + 2, Ok(()));
        assert_eq!(batch(&cases.iter().collect::<Vec<_>>()), verdicts);
    }
}

/// One signature pushed many times is as good or bad as once.
#[test]
fn repetition_changes_nothing() {
    let mut rng = SplitMix(11);
    let good = Case::honest(&mut rng);
    let mut bad = good.clone();
    bad.message.push(0);
    assert_eq!(batch(&[&good; 64]), [Ok(()); 64]);
    assert_eq!(batch(&[&bad; 64]), [Err(SignatureError::Equation); 64]);
}

#[test]
fn an_empty_batch_is_valid() {
    assert!(Batch::new().is_empty());
    assert_eq!(Batch::default().verify(), Ok(()));
    assert_eq!(Batch::with_capacity(3).len(), 0);
}

#[test]
fn failures_tell_how_many_and_the_first() {
    let mut rng = SplitMix(13);
    let mut batch = Batch::new();
    for byte in [0, 1, 2] {
        let case = Case::honest(&mut rng);
        batch.push(&case.key, &[byte; 300], &case.signature);
    }
    assert!(!batch.is_empty());
    let failures = batch.verify().unwrap_err();
    let equation = SignatureError::Equation;
    assert_eq!(failures.as_slice(), [(0, equation), (1, equation), (2, equation)]);
    let text = "3 of the signatures are not valid; \
                number 0: the signature is not this key's on this message";
    assert_eq!(failures.to_string(), text);
}
