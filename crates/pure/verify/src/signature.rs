//! Ed25519 signatures under one rule, for every path.
//!
//! # The rule
//!
//! RFC 8032 leaves room for verifiers that disagree, and those in use do, even one library's single
//! and batch functions. A ledger whose nodes disagree about a signature forks. So the rule is
//! fixed: Algorithm 2 of K. Chalkias, F. Garillot and V. Nikolaenko, "Taming the many EdDSAs" (SSR
//! 2020, <https://eprint.iacr.org/2020/1244>). For a key A, a message M and a signature R || S of
//! 64 bytes, in this order:
//!
//! 1. S < L;
//! 2. A is the canonical encoding (y < p, no sign on x = 0) of a point, and that point is not of
//!    small order;
//! 3. R is the canonical encoding of a point;
//! 4. k = SHA-512(R || A || M) mod L, over the bytes as received;
//! 5. the signature is valid if and only if \[8\](\[S\]B - R - \[k\]A) = 0.
//!
//! The factor 8 is what lets a batch agree with single verification: the sum of a batch cannot see
//! the components of small order of R and A, so nothing else may see them either.
//!
//! A key is checked once more when it is [enrolled](PublicKey::enrol): it must lie in the subgroup
//! of prime order. Verification does not repeat that, it costs as much as a signature.
//!
//! # What computes it
//!
//! Decompression, scalars and sums are those of `curve25519-dalek`; the checks on bytes and the
//! equation are written here, once, for single verification and [`Batch`] alike. `ed25519-zebra`
//! has the same equation, and the tests hold every verdict against it. Its batch keeps k to itself,
//! so that coefficients which depend on k would cost a second hash of every message, and it hands
//! them out in the order of a randomly seeded map.
//!
//! # What it does not promise
//!
//! A signer can craft an R for its own key that this rule accepts and a stricter verifier refuses;
//! [`strict_objections`] names the cases. Without the secret key nobody can.

mod batch;
mod encoding;
mod memo;

use alloc::vec::Vec;
use core::fmt;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest, Sha512};

pub use self::batch::{Batch, Failures};

/// A key that passed enrolment.
///
/// Only [`PublicKey::enrol`] makes one, so whoever holds one need not check it again. [`verify`]
/// and [`Batch`] take bytes all the same: the rule is about any 32 bytes, and an auditor has
/// nothing better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Checks a key that somebody asks to enrol.
    ///
    /// The point must lie in the subgroup of prime order, which is more than [`verify`] asks for.
    /// Its owner could otherwise sign what this ledger accepts and other verifiers accept or
    /// refuse by chance.
    pub fn enrol(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        if !encoding::is_canonical(bytes) {
            return Err(KeyError::NonCanonical);
        }
        if encoding::is_small_order(bytes) {
            return Err(KeyError::SmallOrder);
        }
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(KeyError::NotOnCurve)?;
        if point.is_torsion_free() { Ok(Self(*bytes)) } else { Err(KeyError::MixedOrder) }
    }

    /// The 32 bytes, as they are on the ledger and as [`verify`] takes them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Why a key cannot be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum KeyError {
    /// y >= p, or a sign on x = 0.
    #[error("the key is not a canonical encoding")]
    NonCanonical,
    /// The point has order 1, 2, 4 or 8: one signature would be valid for many messages.
    #[error("the key is a point of small order")]
    SmallOrder,
    /// No point of the curve has this y coordinate.
    #[error("the key is not a point of the curve")]
    NotOnCurve,
    /// The point is the sum of one of prime order and one of small order.
    #[error("the key is not in the subgroup of prime order")]
    MixedOrder,
}

/// The first check of the rule that a signature fails. Single verification and [`Batch`] name the
/// same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum SignatureError {
    /// S >= L. Anybody can make such a signature from a valid one by adding L.
    #[error("S is not below the group order")]
    NonCanonicalS,
    /// The key has y >= p, or a sign on x = 0.
    #[error("the key is not a canonical encoding")]
    NonCanonicalKey,
    /// The key has order 1, 2, 4 or 8.
    #[error("the key is a point of small order")]
    SmallOrderKey,
    /// R has y >= p, or a sign on x = 0.
    #[error("R is not a canonical encoding")]
    NonCanonicalR,
    /// No point of the curve has the y coordinate of the key.
    #[error("the key is not a point of the curve")]
    KeyNotOnCurve,
    /// No point of the curve has the y coordinate of R.
    #[error("R is not a point of the curve")]
    RNotOnCurve,
    /// Everything is well formed, and the key did not sign this message.
    #[error("the signature is not this key's on this message")]
    Equation,
}

/// Whether `signature` is that of `key` on `message`, by the rule of this module.
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    memo::once(key, message, signature, || {
        let claim = Claim::new(key, message, signature)?;
        settle(&claim.defect(&claim.key()?, &claim.r()?))
    })
}

/// Why another Ed25519 verifier may refuse a signature that this ledger accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum StrictReason {
    /// \[S\]B = R + \[k\]A does not hold without the factor 8: refused by every verifier that
    /// leaves the factor out, which RFC 8032 allows and most do.
    #[error("the equation holds only with the cofactor")]
    CofactorOnly,
    /// R has order 1, 2, 4 or 8: refused by verifiers that exclude such points, such as
    /// `verify_strict` of ed25519-dalek and libsodium.
    #[error("R is a point of small order")]
    SmallOrderR,
    /// R has a component of small order: refused where points must lie in the subgroup of prime
    /// order, and by chance in batches without the cofactor.
    #[error("R is not in the subgroup of prime order")]
    MixedOrderR,
    /// The key has a component of small order, with the same consequences. No enrolled key has.
    #[error("the key is not in the subgroup of prime order")]
    MixedOrderKey,
}

/// Everything that a stricter verifier may hold against a valid signature, in the order of
/// [`StrictReason`].
///
/// If there is nothing, R and the key lie in the subgroup of prime order and R is not the neutral
/// element: no verifier that follows RFC 8032 refuses. If the signature is not even valid here,
/// that is the error.
pub fn strict_objections(
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<Vec<StrictReason>, SignatureError> {
    let claim = Claim::new(key, message, signature)?;
    let (key, r) = (claim.key()?, claim.r()?);
    let defect = claim.defect(&key, &r);
    settle(&defect)?;
    let objections = [
        (!defect.is_identity(), StrictReason::CofactorOnly),
        (r.is_small_order(), StrictReason::SmallOrderR),
        (!r.is_torsion_free(), StrictReason::MixedOrderR),
        (!key.is_torsion_free(), StrictReason::MixedOrderKey),
    ];
    Ok(objections.into_iter().filter_map(|(objects, reason)| objects.then_some(reason)).collect())
}

/// A signature that passed every check on bytes, with its message reduced to k. What is left to
/// check are points.
#[derive(Debug, Clone)]
struct Claim {
    key: [u8; 32],
    r: [u8; 32],
    s: Scalar,
    k: Scalar,
}

impl Claim {
    fn new(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<Self, SignatureError> {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&signature[..32]);
        s.copy_from_slice(&signature[32..]);
        let s = Scalar::from_canonical_bytes(s).into_option();
        let s = s.ok_or(SignatureError::NonCanonicalS)?;
        if !encoding::is_canonical(key) {
            return Err(SignatureError::NonCanonicalKey);
        }
        if encoding::is_small_order(key) {
            return Err(SignatureError::SmallOrderKey);
        }
        if !encoding::is_canonical(&r) {
            return Err(SignatureError::NonCanonicalR);
        }
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        Ok(Self { key: *key, r, s, k })
    }

    fn key(&self) -> Result<EdwardsPoint, SignatureError> {
        CompressedEdwardsY(self.key).decompress().ok_or(SignatureError::KeyNotOnCurve)
    }

    fn r(&self) -> Result<EdwardsPoint, SignatureError> {
        CompressedEdwardsY(self.r).decompress().ok_or(SignatureError::RNotOnCurve)
    }

    /// \[S\]B - R - \[k\]A. Everything here is public, so it may take a time that depends on it.
    #[expect(clippy::arithmetic_side_effects, reason = "arithmetic of the group is total")]
    fn defect(&self, key: &EdwardsPoint, r: &EdwardsPoint) -> EdwardsPoint {
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k, &-key, &self.s) - r
    }
}

/// The equation: \[8\] of the defect is the neutral element.
fn settle(defect: &EdwardsPoint) -> Result<(), SignatureError> {
    if defect.is_small_order() { Ok(()) } else { Err(SignatureError::Equation) }
}
