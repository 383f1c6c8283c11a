//! Receipts of inclusion: COSE_Sign1 with a detached Merkle root (RFC 9942, verifiable data structure RFC9162_SHA256).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::cbor::{self, Reader};
use crate::digest::{Hash, KeyId, LedgerId};
use crate::entry::{CWT_CLAIMS, EDDSA, KID, sig_structure};
use crate::limits::{MAX_LOG_PATH, MAX_RECEIPT_BYTES};
use crate::malformed::{Kind, Malformed};

/// COSE label of the verifiable data structure, and RFC9162_SHA256.
const VDS: i64 = 395;
const RFC9162_SHA256: i64 = 1;
/// COSE label of verifiable data proofs, and inclusion proofs in it.
const VDP: i64 = 396;
const INCLUSION: i64 = -1;

/// A signed statement that a leaf is in a log of a certain root.
///
/// The signature is over the root alone, so a node signs once for all receipts of a block; size, index and path are checked
/// by recomputing the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The ledger, `iss` of the protected header.
    pub ledger: LedgerId,
    /// The receipt key.
    pub kid: KeyId,
    /// Leaves of the tree.
    pub tree_size: u64,
    /// Index of the leaf, from 0.
    pub leaf_index: u64,
    /// Inclusion path from the leaf to the root.
    pub path: Vec<Hash>,
    /// Signature over [`Receipt::signed_message`].
    pub signature: [u8; 64],
}

impl Receipt {
    /// What a receipt key signs for a root, whatever the leaf.
    pub fn signed_message(ledger: &LedgerId, kid: &KeyId, root: &Hash) -> Vec<u8> {
        sig_structure(&protected(ledger, kid), root)
    }

    /// The deterministic COSE bytes.
    pub fn encode(&self) -> Vec<u8> {
        let proof = cbor::write(|w| {
            w.array(3)?.u64(self.tree_size)?.u64(self.leaf_index)?;
            w.array(u64::try_from(self.path.len()).unwrap_or(u64::MAX))?;
            for hash in &self.path {
                w.bytes(hash)?;
            }
            Ok(())
        });
        cbor::write(|w| {
            w.tag(minicbor::data::Tag::new(18))?.array(4)?;
            w.bytes(&protected(&self.ledger, &self.kid))?;
            w.map(1)?.i64(VDP)?.map(1)?.i64(INCLUSION)?.array(1)?.bytes(&proof)?;
            w.null()?.bytes(&self.signature)?.ok()
        })
    }

    /// Reads exactly one receipt.
    ///
    /// # Errors
    /// A [`Malformed`] that names the part.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_RECEIPT_BYTES {
            let detail = format!("{} bytes, at most {MAX_RECEIPT_BYTES} allowed", bytes.len());
            return Err(Malformed::new(Kind::TooLarge, "receipt", detail));
        }
        let mut r = Reader::new("receipt", bytes);
        r.tag(18)?;
        r.array(4)?;
        let (ledger, kid) = decode_protected(r.bytes()?)?;
        r.map()?;
        r.key(VDP)?;
        r.map()?;
        r.key(INCLUSION)?;
        r.array(1)?;
        let (tree_size, leaf_index, path) = decode_inclusion(r.bytes()?)?;
        r.null()?;
        let receipt = Self { ledger, kid, tree_size, leaf_index, path, signature: r.fixed()? };
        r.finish(bytes, &receipt.encode())?;
        Ok(receipt)
    }
}

fn protected(ledger: &LedgerId, kid: &KeyId) -> Vec<u8> {
    cbor::write(|w| {
        w.map(4)?;
        w.i64(1)?.i64(EDDSA)?;
        w.i64(KID)?.bytes(kid.as_bytes())?;
        w.i64(CWT_CLAIMS)?.map(1)?.i64(1)?.str(&ledger.to_string())?;
        w.i64(VDS)?.i64(RFC9162_SHA256)?.ok()
    })
}

fn decode_protected(bytes: &[u8]) -> Result<(LedgerId, KeyId), Malformed> {
    let mut r = Reader::new("receipt header", bytes);
    r.map()?;
    r.key(1)?;
    r.key(EDDSA)?;
    r.key(KID)?;
    let kid = KeyId(r.fixed()?);
    r.key(CWT_CLAIMS)?;
    r.map()?;
    r.key(1)?;
    let ledger = LedgerId::from_hex(r.text()?)?;
    r.key(VDS)?;
    r.key(RFC9162_SHA256)?;
    r.finish(bytes, &protected(&ledger, &kid))?;
    Ok((ledger, kid))
}

fn decode_inclusion(bytes: &[u8]) -> Result<(u64, u64, Vec<Hash>), Malformed> {
    let mut r = Reader::new("inclusion proof", bytes);
    r.array(3)?;
    let (tree_size, leaf_index) = (r.uint()?, r.uint()?);
    let count = r.array_up_to(MAX_LOG_PATH)?;
    let path = (0..count).map(|_| r.fixed()).collect::<Result<_, _>>()?;
    Ok((tree_size, leaf_index, path))
}
