//! Many signatures for the price of one long sum.
//!
//! For signatures i with coefficients z, the batch asks whether
//!
//! ```text
//! [8] sum of [z_i] ([S_i]B - R_i - [k_i]A_i)  =  0
//! ```
//!
//! in one multiscalar multiplication, with the terms of one key added up first. If every signature
//! is valid, so is the sum, whatever the coefficients. If one is not, at most one value in 2^128 of
//! its coefficient hides it.
//!
//! # Coefficients without randomness
//!
//! The coefficients are a hash of the whole batch: SHA-512 over A, R, S and k of every signature,
//! then SHA-512 of that digest with a counter, 128 bits for each signature. What a forger must hit
//! is fixed only after everything that enters the sum is: to change any A, R, S, k, the number of
//! signatures or their order draws all coefficients anew. Secret random coefficients allow a forger
//! one try for each batch sent, these allow tries at home, and there is nothing better than trying:
//! about 2^128 batches hashed for one success, more than the 2^126 steps that it takes to compute
//! the secret key itself. In return a verdict can be reproduced, and the verifier needs no source
//! of randomness, which a browser or a simulation might not have or might get wrong.
//!
//! # Naming the bad ones
//!
//! If the sum is not zero, the batch is halved. The sum of the left half is computed, that of the
//! right half is the difference, and only halves that are not zero are halved again. Few remain,
//! and they are verified one by one, so no signature is refused that [`verify`](super::verify)
//! accepts. The coefficients stay: they were fixed after all inputs, and for every half the odds
//! are the same. A forger who hopes for one of several halves has to compute each.

use alloc::vec::Vec;
use core::fmt;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use sha2::{Digest, Sha512};

use super::{Claim, SignatureError, settle};

/// Parts of a failed batch of at most this size are verified one by one.
const SINGLY: usize = 8;

/// Signatures to be verified together, with the verdicts of [`verify`](super::verify).
///
/// It holds about 130 bytes for each signature and borrows nothing: the message is hashed when it
/// is pushed.
#[derive(Debug, Default)]
pub struct Batch {
    claims: Vec<Result<Claim, SignatureError>>,
}

impl Batch {
    /// An empty batch, which is valid.
    pub const fn new() -> Self {
        Self { claims: Vec::new() }
    }

    /// An empty batch with room for `signatures`.
    pub fn with_capacity(signatures: usize) -> Self {
        Self { claims: Vec::with_capacity(signatures) }
    }

    /// Adds a signature. Its index among the [`Failures`] is the number of those pushed before it.
    pub fn push(&mut self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) {
        self.claims.push(Claim::new(key, message, signature));
    }

    /// How many signatures were pushed, well formed or not.
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Whether all signatures are valid, and if not, which are not and why.
    ///
    /// A bad signature among 1,024 adds about a quarter to the cost. If all are bad, it is about
    /// twice that of verifying them one by one.
    pub fn verify(self) -> Result<(), Failures> {
        let mut failures = Vec::new();
        let terms = open(&self.claims, &mut failures);
        let sum = weighted_sum(&terms);
        if settle(&sum).is_err() {
            name_failures(&terms, &sum, &mut failures);
        }
        failures.sort_unstable();
        if failures.is_empty() { Ok(()) } else { Err(Failures(failures)) }
    }
}

/// The signatures of a batch that are not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Failures(Vec<(usize, SignatureError)>);

impl Failures {
    /// Index in push order and failed check, by ascending index; at least one.
    pub fn as_slice(&self) -> &[(usize, SignatureError)] {
        &self.0
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the signatures are not valid", self.0.len())?;
        self.0.first().map_or(Ok(()), |(index, error)| write!(f, "; number {index}: {error}"))
    }
}

/// A well-formed signature with its coefficient.
struct Weighted<'a> {
    index: usize,
    claim: &'a Claim,
    z: Scalar,
}

/// The same with its points: one term of the sum.
struct Term<'a> {
    index: usize,
    claim: &'a Claim,
    z: Scalar,
    key: EdwardsPoint,
    r: EdwardsPoint,
}

/// The terms of the sum, those of one key together; what has no term is a failure.
fn open<'a>(
    claims: &'a [Result<Claim, SignatureError>],
    failures: &mut Vec<(usize, SignatureError)>,
) -> Vec<Term<'a>> {
    let mut well_formed = Vec::with_capacity(claims.len());
    for (index, claim) in claims.iter().enumerate() {
        match claim {
            Ok(claim) => well_formed.push((index, claim)),
            Err(error) => failures.push((index, *error)),
        }
    }
    let seed = transcript(well_formed.iter().map(|(_, claim)| *claim));
    let mut weighted: Vec<_> = well_formed
        .into_iter()
        .zip(coefficients(seed))
        .map(|((index, claim), z)| Weighted { index, claim, z })
        .collect();
    weighted.sort_by_key(|weighted| weighted.claim.key);

    let mut terms = Vec::with_capacity(weighted.len());
    for group in weighted.chunk_by(|a, b| a.claim.key == b.claim.key) {
        let Some(first) = group.first() else { continue };
        let key = first.claim.key();
        for Weighted { index, claim, z } in group {
            match key.and_then(|key| Ok((key, claim.r()?))) {
                Ok((key, r)) => terms.push(Term { index: *index, claim, z: *z, key, r }),
                Err(error) => failures.push((*index, error)),
            }
        }
    }
    terms
}

/// What the coefficients depend on: every input of the equation, each at its own fixed place.
fn transcript<'a>(claims: impl Iterator<Item = &'a Claim>) -> [u8; 64] {
    let mut hash = Sha512::new_with_prefix(b"ledger-verify batch transcript 1");
    for claim in claims {
        hash.update(claim.key);
        hash.update(claim.r);
        hash.update(claim.s.as_bytes());
        hash.update(claim.k.as_bytes());
    }
    hash.finalize().into()
}

/// An endless row of 128-bit coefficients.
fn coefficients(seed: [u8; 64]) -> impl Iterator<Item = Scalar> {
    let block = move |counter: u64| -> [u8; 64] {
        let hash = Sha512::new_with_prefix(b"ledger-verify batch coefficients 1");
        hash.chain_update(seed).chain_update(counter.to_be_bytes()).finalize().into()
    };
    (0..)
        .flat_map(move |counter| block(counter).as_chunks::<16>().0.to_vec())
        .map(|bytes| Scalar::from(u128::from_be_bytes(bytes)))
}

/// The negative of the sum of z (\[S\]B - R - \[k\]A), so that the coefficients of all R stay
/// short.
#[expect(clippy::arithmetic_side_effects, reason = "arithmetic of the group is total")]
fn weighted_sum(terms: &[Term<'_>]) -> EdwardsPoint {
    let mut scalars = Vec::with_capacity(terms.len());
    let mut points = Vec::with_capacity(terms.len());
    let mut base = Scalar::ZERO;
    for group in terms.chunk_by(|a, b| a.claim.key == b.claim.key) {
        let Some(first) = group.first() else { continue };
        let mut key = Scalar::ZERO;
        for Term { claim, z, r, .. } in group {
            base -= z * claim.s;
            key += z * claim.k;
            scalars.push(*z);
            points.push(r);
        }
        scalars.push(key);
        points.push(&first.key);
    }
    scalars.push(base);
    points.push(&ED25519_BASEPOINT_POINT);
    EdwardsPoint::vartime_multiscalar_mul(scalars, points)
}

/// Finds the bad signatures among terms whose sum is not zero.
fn name_failures(
    terms: &[Term<'_>],
    sum: &EdwardsPoint,
    failures: &mut Vec<(usize, SignatureError)>,
) {
    if terms.len() <= SINGLY {
        failures.extend(terms.iter().filter_map(|Term { index, claim, key, r, .. }| {
            let verdict = settle(&claim.defect(key, r));
            verdict.err().map(|error| (*index, error))
        }));
        return;
    }
    let (left, right) = terms.split_at(terms.len() / 2);
    let left_sum = weighted_sum(left);
    #[expect(clippy::arithmetic_side_effects, reason = "arithmetic of the group is total")]
    let right_sum = sum - left_sum;
    for (half, sum) in [(left, left_sum), (right, right_sum)] {
        if settle(&sum).is_err() {
            name_failures(half, &sum, failures);
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    const SIZE: usize = 9;
    const KEYS: u8 = 3;

    /// Valid claims, the keys taking turns.
    fn signed(size: usize) -> Vec<Claim> {
        let numbers = (0u64..).map(u64::to_be_bytes);
        (0..KEYS)
            .cycle()
            .zip(numbers)
            .take(size)
            .map(|(key, message)| {
                let key = SigningKey::from_bytes(&[key; 32]);
                let signature = key.sign(&message).to_bytes();
                Claim::new(&key.verifying_key().to_bytes(), &message, &signature).unwrap()
            })
            .collect()
    }

    fn claims() -> Vec<Claim> {
        signed(SIZE)
    }

    fn row(claims: &[Claim]) -> Vec<Scalar> {
        coefficients(transcript(claims.iter())).take(claims.len()).collect()
    }

    fn batch(claims: Vec<Claim>) -> Batch {
        Batch { claims: claims.into_iter().map(Ok).collect() }
    }

    /// A wrong sum would still end in right verdicts, by single verification; it would be slow.
    #[test]
    fn the_sum_alone_tells_a_valid_batch() {
        for size in [0, 1, 2, SIZE, 200, 600, 900] {
            let mut claims = signed(size);
            let settled = |claims: &[Claim]| {
                let entries: Vec<_> = claims.iter().map(|claim| Ok(claim.clone())).collect();
                settle(&weighted_sum(&open(&entries, &mut Vec::new())))
            };
            assert_eq!(settled(&claims), Ok(()), "{size}");
            for at in [0, size / 2, size.saturating_sub(1)] {
                let Some(claim) = claims.get_mut(at) else { continue };
                claim.s += Scalar::ONE;
                assert_eq!(settled(&claims), Err(SignatureError::Equation), "{size}, {at}");
                claims[at].s -= Scalar::ONE;
            }
        }
    }

    #[test]
    fn terms_of_one_key_stand_together() {
        let entries: Vec<_> = claims().into_iter().map(Ok).collect();
        let terms = open(&entries, &mut Vec::new());
        let groups = terms.chunk_by(|a, b| a.claim.key == b.claim.key).count();
        assert_eq!((terms.len(), groups), (SIZE, usize::from(KEYS)));
    }

    #[test]
    fn a_coefficient_has_128_bits_and_is_its_own() {
        let mut row: Vec<[u8; 32]> =
            coefficients([7; 64]).take(1000).map(|z| z.to_bytes()).collect();
        assert!(row.iter().all(|z| z[16..] == [0; 16]));
        for bit in 0..128 {
            let set = row.iter().filter(|z| z[bit / 8] >> (bit % 8) & 1 == 1).count();
            assert!((400..600).contains(&set), "bit {bit} is set in {set} of 1000");
        }
        row.sort_unstable();
        row.dedup();
        assert_eq!(row.len(), 1000);
    }

    /// No coefficient survives a change of any input of the equation, or of their number or order.
    #[test]
    fn every_input_draws_all_coefficients_anew() {
        let before = row(&claims());
        let assert_anew = |what: &str, change: &dyn Fn(&mut Vec<Claim>)| {
            let mut claims = claims();
            change(&mut claims);
            let after = row(&claims);
            assert!(!after.iter().any(|z| before.contains(z)), "{what}");
        };
        for at in 0..SIZE {
            for byte in 0..32 {
                assert_anew("A", &|claims| claims[at].key[byte] ^= 1);
                assert_anew("R", &|claims| claims[at].r[byte] ^= 1);
            }
            assert_anew("S", &|claims| claims[at].s += Scalar::ONE);
            assert_anew("k", &|claims| claims[at].k += Scalar::ONE);
            assert_anew("number", &|claims| claims.truncate(at));
            assert_anew("order", &|claims| claims.rotate_left(at.max(1)));
        }
    }

    /// The forgery that the transcript prevents: faults that cancel under coefficients known
    /// beforehand.
    #[test]
    fn faults_chosen_for_known_coefficients_do_not_cancel() {
        let known = row(&claims());
        let mut forged = claims();
        forged[0].s += known[1];
        forged[1].s -= known[0];

        // With the coefficients that the forger knew, the sum would be zero.
        let entries: Vec<_> = claims().into_iter().map(Ok).collect();
        let mut terms = open(&entries, &mut Vec::new());
        for term in &mut terms {
            term.z = known[term.index];
            term.claim = &forged[term.index];
        }
        assert_eq!(settle(&weighted_sum(&terms)), Ok(()));

        let failures = batch(forged).verify().unwrap_err();
        let equation = SignatureError::Equation;
        assert_eq!(failures.as_slice(), [(0, equation), (1, equation)]);
    }
}
