//! Cases, a seeded generator, and two verifiers to compare with.
//!
//! [`reference`] is the rule once more, written from its statement on plain group operations. It
//! shares with the crate the names of the errors and no code. [`assert_agreement`] is the one way
//! in which tests ask for a verdict.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity};
use ed25519_dalek::{Signer, SigningKey};
use ledger_verify::signature::{Batch, SignatureError, verify};
use sha2::{Digest, Sha512};

pub(crate) type Verdict = Result<(), SignatureError>;

/// L, little-endian.
pub(crate) const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// p, little-endian.
pub(crate) const FIELD_ORDER: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) key: [u8; 32],
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

impl Case {
    /// From R and S apart.
    pub(crate) fn new(
        name: String,
        key: [u8; 32],
        message: &[u8],
        r: [u8; 32],
        s: [u8; 32],
    ) -> Self {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(&s);
        Self { name, key, message: message.to_vec(), signature }
    }

    /// A valid signature, made by ed25519-dalek.
    pub(crate) fn honest(rng: &mut SplitMix) -> Self {
        Self::signed_by(&SigningKey::from_bytes(&rng.bytes()), rng)
    }

    pub(crate) fn signed_by(key: &SigningKey, rng: &mut SplitMix) -> Self {
        let mut message = rng.bytes::<200>().to_vec();
        message.truncate(rng.below(200));
        let signature = key.sign(&message).to_bytes();
        Self { name: "honest".into(), key: key.verifying_key().to_bytes(), message, signature }
    }

    pub(crate) fn single(&self) -> Verdict {
        verify(&self.key, &self.message, &self.signature)
    }

    pub(crate) fn r(&self) -> [u8; 32] {
        self.signature[..32].try_into().unwrap()
    }

    pub(crate) fn s(&self) -> [u8; 32] {
        self.signature[32..].try_into().unwrap()
    }
}

/// The verdict of a batch on each of its members.
pub(crate) fn batch(cases: &[&Case]) -> Vec<Verdict> {
    let mut batch = Batch::new();
    for case in cases {
        batch.push(&case.key, &case.message, &case.signature);
    }
    assert_eq!(batch.len(), cases.len());
    let mut verdicts = vec![Ok(()); cases.len()];
    if let Err(failures) = batch.verify() {
        assert!(!failures.as_slice().is_empty());
        assert!(failures.as_slice().is_sorted());
        for (index, error) in failures.as_slice() {
            assert_eq!(verdicts[*index], Ok(()), "named once");
            verdicts[*index] = Err(*error);
        }
    }
    verdicts
}

/// The verdict that single verification, a batch of one, the reference and ed25519-zebra agree on.
pub(crate) fn assert_agreement(case: &Case) -> Verdict {
    let verdict = case.single();
    assert_eq!(verdict, reference(case), "single and reference: {case:?}");
    assert_eq!(verdict.is_ok(), zebra(case), "single and ed25519-zebra: {case:?}");
    assert_eq!(batch(&[case]), [verdict], "single and batch of one: {case:?}");
    verdict
}

/// Puts all cases into batches of random size and order, `rounds` times, and expects the verdict
/// that each has alone.
pub(crate) fn assert_any_composition(cases: &[Case], rounds: usize, rng: &mut SplitMix) {
    let alone: Vec<_> = cases.iter().map(assert_agreement).collect();
    let mut order: Vec<_> = (0..cases.len()).collect();
    for _ in 0..rounds {
        rng.shuffle(&mut order);
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let size = (1 + rng.below(48)).min(rest.len());
            let (members, after) = rest.split_at(size);
            rest = after;
            let expected: Vec<_> = members.iter().map(|&index| alone[index]).collect();
            let verdicts = batch(&members.iter().map(|&index| &cases[index]).collect::<Vec<_>>());
            if verdicts != expected {
                let differs = (0..size).find(|&at| verdicts[at] != expected[at]).unwrap();
                let (case, got) = (&cases[members[differs]], verdicts[differs]);
                panic!("{got:?}, alone {:?}, in a batch of {size}: {case:?}", expected[differs]);
            }
        }
    }
}

/// The rule, step by step.
pub(crate) fn reference(case: &Case) -> Verdict {
    let (a, r, s) = (case.key, case.r(), case.s());
    if !below(&s, &GROUP_ORDER) {
        return Err(SignatureError::NonCanonicalS);
    }
    if !is_canonical(&a) {
        return Err(SignatureError::NonCanonicalKey);
    }
    let key = CompressedEdwardsY(a).decompress();
    if key.is_some_and(|key| eight_times(key).is_identity()) {
        return Err(SignatureError::SmallOrderKey);
    }
    if !is_canonical(&r) {
        return Err(SignatureError::NonCanonicalR);
    }
    let key = key.ok_or(SignatureError::KeyNotOnCurve)?;
    let commitment = CompressedEdwardsY(r).decompress().ok_or(SignatureError::RNotOnCurve)?;
    let left = eight_times(EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(s)));
    let right = eight_times(commitment) + eight_times(key * challenge(&r, &a, &case.message));
    if left == right { Ok(()) } else { Err(SignatureError::Equation) }
}

/// ed25519-zebra decides the equation; recompression decides what it leaves open.
pub(crate) fn zebra(case: &Case) -> bool {
    let signature = ed25519_zebra::Signature::from_bytes(&case.signature);
    let accepts = ed25519_zebra::VerificationKey::try_from(case.key)
        .and_then(|key| key.verify(&signature, &case.message))
        .is_ok();
    accepts
        && [case.key, case.r()].iter().all(is_canonical)
        && !CompressedEdwardsY(case.key).decompress().unwrap().is_small_order()
}

pub(crate) fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let digest = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&digest.into())
}

/// A point is canonical if it compresses to the same bytes; what is no point needs only y < p.
fn is_canonical(encoding: &[u8; 32]) -> bool {
    match CompressedEdwardsY(*encoding).decompress() {
        Some(point) => point.compress().to_bytes() == *encoding,
        None => below(&unsigned(*encoding), &FIELD_ORDER),
    }
}

fn eight_times(point: EdwardsPoint) -> EdwardsPoint {
    (0..8).fold(EdwardsPoint::identity(), |sum, _| sum + point)
}

fn below(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let big_endian = |mut bytes: [u8; 32]| {
        bytes.reverse();
        bytes
    };
    big_endian(*a) < big_endian(*b)
}

fn unsigned(mut encoding: [u8; 32]) -> [u8; 32] {
    encoding[31] &= 0x7f;
    encoding
}

/// a + b, little-endian, which must fit.
pub(crate) fn add(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    let sum = std::array::from_fn(|at| {
        let total = u16::from(a[at]) + u16::from(b[at]) + carry;
        carry = total >> 8;
        total.to_be_bytes()[1]
    });
    assert_eq!(carry, 0, "fits into 32 bytes");
    sum
}

/// All encodings that decompress to a point of small order: 8 canonical ones first, then 6 that are
/// not.
pub(crate) fn small_order_encodings() -> Vec<[u8; 32]> {
    let canonical = EIGHT_TORSION.map(|point| point.compress().to_bytes());
    let mut all = canonical.to_vec();
    for encoding in canonical {
        let y = unsigned(encoding);
        let mut spellings = vec![y];
        if y[0] < 19 && y[1..] == [0; 31] {
            spellings.push(add(y, FIELD_ORDER));
        }
        for mut spelling in spellings {
            for _ in 0..2 {
                let point = CompressedEdwardsY(spelling).decompress().unwrap();
                assert!(point.is_small_order());
                if !all.contains(&spelling) {
                    all.push(spelling);
                }
                spelling[31] ^= 0x80;
            }
        }
    }
    assert_eq!(all.len(), 14);
    all
}

pub(crate) fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// The generator of every test here: the seed is in the source, so a failure repeats.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_be_bytes()[0])
    }

    pub(crate) fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.bytes())
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
