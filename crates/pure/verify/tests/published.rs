//! Published vectors: the twelve of "Taming the many EdDSAs" and Wycheproof's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Case, SplitMix, assert_agreement, batch, hex};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use ledger_verify::signature::SignatureError::{self, Equation};
use wycheproof::{TestResult, eddsa};

/// Message, key, R, S, and what Algorithm 2 says.
type Vector = ([&'static str; 4], Result<(), SignatureError>);

/// K. Chalkias, F. Garillot, V. Nikolaenko, "Taming the many EdDSAs", SSR 2020, in the order of the
/// paper; the bytes are those of `cases.json` in
/// <https://github.com/novifinancial/ed25519-speccheck>.
const SPECCHECK: [Vector; 12] = [
    (
        [
            "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "0000000000000000000000000000000000000000000000000000000000000000",
        ],
        Err(SignatureError::SmallOrderKey),
    ),
    (
        [
            "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
            "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ],
        Err(SignatureError::SmallOrderKey),
    ),
    (
        [
            "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        ],
        Ok(()),
    ),
    (
        [
            "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f",
            "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        ],
        Ok(()),
    ),
    (
        [
            "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512",
            "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        ],
        Ok(()),
    ),
    (
        [
            "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
            "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
            "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7",
            "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        ],
        Ok(()),
    ),
    (
        [
            "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
            "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
            "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e",
            "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        ],
        Err(SignatureError::NonCanonicalS),
    ),
    (
        [
            "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
            "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
            "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942",
            "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        ],
        Err(SignatureError::NonCanonicalS),
    ),
    (
        [
            "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        ],
        Err(SignatureError::NonCanonicalR),
    ),
    (
        [
            "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        ],
        Err(SignatureError::NonCanonicalR),
    ),
    (
        [
            "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc",
            "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ],
        Err(SignatureError::NonCanonicalKey),
    ),
    (
        [
            "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc",
            "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ],
        Err(SignatureError::NonCanonicalKey),
    ),
];

fn speccheck() -> Vec<(Case, Result<(), SignatureError>)> {
    SPECCHECK
        .iter()
        .enumerate()
        .map(|(number, ([message, key, r, s], expected))| {
            let name = format!("speccheck {number}");
            (Case::new(name, hex(key), &hex::<32>(message), hex(r), hex(s)), *expected)
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
    common::assert_any_composition(&all, 20, &mut rng);
}
