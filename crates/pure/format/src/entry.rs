//! An entry: one COSE_Sign1 (RFC 9052) over a protobuf event, in deterministic CBOR (docs/spec/entry.md).
//!
//! Every entry is also a SCITT signed statement (RFC 9943) and fits a C2SP entry bundle. Signatures are checked elsewhere
//! (`ledger-verify`): this module says what is signed, and by which keys.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{Event, Purpose, Role};

use crate::cbor::{self, Reader, Writer, Written};
use crate::digest::{EntryId, KeyId, LedgerId, hex_in, sha256};
use crate::id::{Subject, check_party};
use crate::limits::{MAX_ENTRY_BYTES, MAX_SIGNERS};
use crate::malformed::{Kind, Malformed};
use crate::message;

/// COSE label of the algorithm, and its value EdDSA (RFC 9053), used with Ed25519 only.
const ALG: i64 = 1;
/// EdDSA.
pub(crate) const EDDSA: i64 = -8;
const CONTENT_TYPE: i64 = 3;
pub(crate) const KID: i64 = 4;
/// CWT claims in a COSE header (RFC 9597).
pub(crate) const CWT_CLAIMS: i64 = 15;
/// Private label: the co-signatures, sealed by the outer signature.
const COSIGNATURES: i64 = -65_537;
/// Private CWT claim: every required signer.
const SIGNERS: i64 = -65_537;

/// Media type of the payload; its last part is the version of the event vocabulary.
pub const CONTENT_TYPE_V1: &str = "application/vnd.ledger.event.v1";

/// Room for the protected header of an entry that its issuer alone signs.
const HEADER_ROOM: usize = 512;

/// Context string of what co-signers sign, so that no such signature is an outer one.
const COSIGNATURE_CONTEXT: &str = "LedgerCosignature1";
/// Context string of COSE_Sign1 (RFC 9052 section 4.4).
const SIGNATURE_CONTEXT: &str = "Signature1";

/// The claims that a signer makes about its act (CWT, RFC 8392).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: the party that acts.
    pub issuer: String,
    /// `sub`: what the act is about.
    pub subject: Subject,
    /// `aud`: the only ledger on which the entry is valid.
    pub ledger: LedgerId,
    /// `exp`: seconds since 1970 after which no block may take the entry.
    pub expires_s: u64,
    /// `iat`: when the issuer says it acted, in seconds since 1970.
    pub issued_s: u64,
    /// `cti`: 16 bytes that make (issuer, cti) unique, so that a repeated submission is known as such.
    pub nonce: [u8; 16],
    /// Every signer, sorted by kid, the issuer's own included; empty when the issuer alone signs.
    pub signers: Vec<Signer>,
}

/// One required signer of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Who signs.
    pub party: String,
    /// With which key.
    pub kid: KeyId,
    /// Acting as what.
    pub role: Role,
    /// Why.
    pub purpose: Purpose,
}

/// A decoded entry. Its bytes are canonical; its signatures are **not** yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    bytes: Bytes,
    id: EntryId,
    kid: KeyId,
    claims: Claims,
    event: Event,
    /// The protected header as co-signers sign it; empty where there is no co-signer.
    body: Vec<u8>,
    protected: Bytes,
    payload: Bytes,
    cosignatures: Vec<[u8; 64]>,
    signature: [u8; 64],
}

/// What one key signed in an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The key.
    pub kid: KeyId,
    /// The exact bytes under the signature.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: [u8; 64],
}

impl Entry {
    /// Reads an entry and refuses every encoding but the canonical one.
    ///
    /// # Errors
    /// A [`Malformed`] that names the part.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        if bytes.len() > MAX_ENTRY_BYTES {
            let detail = format!("{} bytes, at most {MAX_ENTRY_BYTES} allowed", bytes.len());
            return Err(Malformed::new(Kind::TooLarge, "entry", detail));
        }
        let mut reader = Reader::new("entry", &bytes);
        reader.tag(18)?;
        reader.array(4)?;
        let protected = bytes.slice_ref(reader.bytes()?);
        if reader.map()? != 0 {
            let detail = "the unprotected header must be empty";
            return Err(Malformed::new(Kind::NotCanonical, "entry", detail));
        }
        let payload = bytes.slice_ref(reader.bytes()?);
        let signature = reader.fixed()?;
        reader.finish(&bytes, &envelope(&protected, &payload, &signature))?;

        let (kid, claims, cosignatures) = decode_protected(&protected)?;
        check_signers(kid, &claims, &cosignatures)?;
        let event: Event = message::decode("event", &payload)?;
        if event.act.is_none() {
            return Err(Malformed::new(Kind::Value, "event", "no act"));
        }
        if !matches!(event.prior.len(), 0 | 32) {
            return Err(Malformed::new(
                Kind::Value,
                "event",
                "`prior` is neither empty nor 32 bytes",
            ));
        }
        let id = EntryId(leaf_hash(&bytes));
        let is_alone = cosignatures.is_empty();
        let body = if is_alone { Vec::new() } else { protected_header(kid, &claims, None) };
        Ok(Self {
            bytes,
            id,
            kid,
            claims,
            event,
            body,
            protected,
            payload,
            cosignatures,
            signature,
        })
    }

    /// The exact bytes, a leaf of the log.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The Merkle leaf hash of the bytes.
    pub const fn id(&self) -> EntryId {
        self.id
    }

    /// The issuer's key.
    pub const fn kid(&self) -> KeyId {
        self.kid
    }

    /// The claims.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The event.
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// The payload bytes, the canonical encoding of the event.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Everything that is signed, one item a signature: the co-signatures in the order of the signers, then the outer one.
    pub fn signatures(&self) -> impl Iterator<Item = Signed> + '_ {
        let others = self.claims.signers.iter().filter(|signer| signer.kid != self.kid);
        let inner = others.zip(&self.cosignatures).map(|(signer, signature)| Signed {
            kid: signer.kid,
            message: cosign_message(&self.body, &self.payload),
            signature: *signature,
        });
        let outer = Signed {
            kid: self.kid,
            message: seal_message(&self.protected, &self.payload),
            signature: self.signature,
        };
        inner.chain(core::iter::once(outer))
    }

    /// The keys that sign, the issuer's last.
    pub fn kids(&self) -> impl Iterator<Item = KeyId> + '_ {
        let others = self.claims.signers.iter().map(|signer| signer.kid);
        others.filter(|kid| *kid != self.kid).chain(core::iter::once(self.kid))
    }
}

/// An entry before its signatures: what each signer signs, and how the pieces become an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    kid: KeyId,
    claims: Claims,
    payload: Vec<u8>,
}

impl Draft {
    /// A draft. Sorts the signers by kid.
    pub fn new(kid: KeyId, mut claims: Claims, event: &Event) -> Self {
        claims.signers.sort_by_key(|signer| signer.kid);
        Self { kid, claims, payload: message::encode(event) }
    }

    /// The issuer's key, which seals the entry.
    pub const fn kid(&self) -> KeyId {
        self.kid
    }

    /// The claims, signers sorted.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The payload bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The protected header without co-signatures, which with the payload is what co-signers agree to.
    pub fn body(&self) -> Vec<u8> {
        protected_header(self.kid, &self.claims, None)
    }

    /// Reads a draft from a protected header without co-signatures, and a payload.
    ///
    /// # Errors
    /// A [`Malformed`] that names the part.
    pub fn from_parts(body: &[u8], payload: Vec<u8>) -> Result<Self, Malformed> {
        let (kid, claims, cosignatures) = decode_protected(body)?;
        if !cosignatures.is_empty() {
            let detail = "a draft's header must not hold co-signatures";
            return Err(Malformed::new(Kind::Value, "draft", detail));
        }
        let payload = Bytes::from(payload);
        message::decode::<Event>("event", &payload)?;
        Ok(Self { kid, claims, payload: payload.to_vec() })
    }

    /// The keys that co-sign, in the order in which [`Draft::seal_message`] takes their signatures.
    pub fn cosigners(&self) -> impl Iterator<Item = &Signer> {
        self.claims.signers.iter().filter(|signer| signer.kid != self.kid)
    }

    /// What every co-signer signs.
    pub fn cosign_message(&self) -> Vec<u8> {
        cosign_message(&self.body(), &self.payload)
    }

    /// What the issuer signs, last, over all co-signatures.
    pub fn seal_message(&self, cosignatures: &[[u8; 64]]) -> Vec<u8> {
        seal_message(&self.protected(cosignatures), &self.payload)
    }

    /// The entry.
    ///
    /// # Errors
    /// A [`Malformed`] when the draft breaks a limit or the signatures do not fit its signers.
    pub fn seal(
        &self,
        cosignatures: &[[u8; 64]],
        signature: &[u8; 64],
    ) -> Result<Entry, Malformed> {
        let protected = self.protected(cosignatures);
        Entry::decode(envelope(&protected, &self.payload, signature).into())
    }

    fn protected(&self, cosignatures: &[[u8; 64]]) -> Vec<u8> {
        let sealed = (!cosignatures.is_empty()).then_some(cosignatures);
        protected_header(self.kid, &self.claims, sealed)
    }
}

/// The Merkle leaf hash (RFC 9162 section 2.1.1) of an entry's or a header leaf's bytes.
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    sha256(&[&[0x00], leaf])
}

/// Most bytes of what stands around the header and the payload in what is signed, and in an entry beside its signature.
const AROUND: usize = 40;

fn room(protected: &[u8], payload: &[u8]) -> usize {
    protected.len().saturating_add(payload.len()).saturating_add(AROUND)
}

fn envelope(protected: &[u8], payload: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let room = room(protected, payload).saturating_add(signature.len());
    cbor::write_in(room, |w| {
        w.tag(minicbor::data::Tag::new(18))?.array(4)?;
        w.bytes(protected)?.map(0)?.bytes(payload)?.bytes(signature)?;
        Ok(())
    })
}

fn cosign_message(body: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::write_in(room(body, payload), |w| {
        w.array(3)?.str(COSIGNATURE_CONTEXT)?.bytes(body)?.bytes(payload)?.ok()
    })
}

fn seal_message(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    sig_structure(protected, payload)
}

/// `Sig_structure` of a COSE_Sign1 without external data (RFC 9052 section 4.4).
pub(crate) fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::write_in(room(protected, payload), |w| {
        w.array(4)?.str(SIGNATURE_CONTEXT)?.bytes(protected)?.bytes(&[])?.bytes(payload)?.ok()
    })
}

fn protected_header(kid: KeyId, claims: &Claims, cosignatures: Option<&[[u8; 64]]>) -> Vec<u8> {
    cbor::write_in(HEADER_ROOM, |w| {
        w.map(if cosignatures.is_some() { 5 } else { 4 })?;
        w.i64(ALG)?.i64(EDDSA)?;
        w.i64(CONTENT_TYPE)?.str(CONTENT_TYPE_V1)?;
        w.i64(KID)?.bytes(kid.as_bytes())?;
        w.i64(CWT_CLAIMS)?;
        write_claims(w, claims)?;
        if let Some(signatures) = cosignatures {
            w.i64(COSIGNATURES)?.array(count(signatures.len()))?;
            for signature in signatures {
                w.bytes(signature)?;
            }
        }
        Ok(())
    })
}

fn write_claims(w: &mut Writer<'_>, claims: &Claims) -> Written {
    w.map(if claims.signers.is_empty() { 6 } else { 7 })?;
    w.i64(1)?.str(&claims.issuer)?;
    w.i64(2)?.str(claims.subject.as_str())?;
    w.i64(3)?.str(hex_in(claims.ledger.as_bytes(), &mut [0; 64]))?;
    w.i64(4)?.u64(claims.expires_s)?;
    w.i64(6)?.u64(claims.issued_s)?;
    w.i64(7)?.bytes(&claims.nonce)?;
    if claims.signers.is_empty() {
        return Ok(());
    }
    w.i64(SIGNERS)?.array(count(claims.signers.len()))?;
    for signer in &claims.signers {
        w.array(4)?.str(&signer.party)?.bytes(signer.kid.as_bytes())?;
        w.i32(signer.role.into())?.i32(signer.purpose.into())?;
    }
    Ok(())
}

/// A length as CBOR writes it.
fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

type Protected = (KeyId, Claims, Vec<[u8; 64]>);

fn decode_protected(bytes: &[u8]) -> Result<Protected, Malformed> {
    let mut r = Reader::new("protected header", bytes);
    let pairs = r.map()?;
    r.key(ALG)?;
    let alg = r.int()?;
    if alg != EDDSA {
        let detail = format!("expected algorithm -8 (EdDSA), found {alg}");
        return Err(Malformed::new(Kind::Value, "protected header", detail));
    }
    r.key(CONTENT_TYPE)?;
    let content_type = r.text()?;
    if content_type != CONTENT_TYPE_V1 {
        let detail = format!("expected content type {CONTENT_TYPE_V1:?}, found {content_type:?}");
        return Err(Malformed::new(Kind::UnknownValue, "protected header", detail));
    }
    r.key(KID)?;
    let kid = KeyId(r.fixed()?);
    r.key(CWT_CLAIMS)?;
    let claims = read_claims(&mut r)?;
    let mut cosignatures = Vec::new();
    if pairs > 4 {
        r.key(COSIGNATURES)?;
        for _ in 0..r.array_up_to(MAX_SIGNERS)? {
            cosignatures.push(r.fixed()?);
        }
    }
    // An empty list would be a second encoding of an entry without co-signatures.
    let sealed = (!cosignatures.is_empty()).then_some(cosignatures.as_slice());
    r.finish(bytes, &protected_header(kid, &claims, sealed))?;
    Ok((kid, claims, cosignatures))
}

fn read_claims(r: &mut Reader<'_>) -> Result<Claims, Malformed> {
    let pairs = r.map()?;
    r.key(1)?;
    let issuer = r.text()?;
    check_party("iss", issuer)?;
    r.key(2)?;
    let subject = Subject::parse("sub", r.text()?)?;
    r.key(3)?;
    let ledger = LedgerId::from_hex(r.text()?)?;
    r.key(4)?;
    let expires_s = r.uint()?;
    r.key(6)?;
    let issued_s = r.uint()?;
    r.key(7)?;
    let nonce = r.fixed()?;
    let mut signers = Vec::new();
    if pairs > 6 {
        r.key(SIGNERS)?;
        for _ in 0..r.array_up_to(MAX_SIGNERS)? {
            signers.push(read_signer(r)?);
        }
    }
    let issuer = issuer.to_string();
    Ok(Claims { issuer, subject, ledger, expires_s, issued_s, nonce, signers })
}

fn read_signer(r: &mut Reader<'_>) -> Result<Signer, Malformed> {
    r.array(4)?;
    let party = r.text()?;
    check_party("signer", party)?;
    let kid = KeyId(r.fixed()?);
    let unknown = |what: &str, value: i64| {
        Malformed::new(Kind::UnknownValue, "signer", format!("unknown {what} {value}"))
    };
    let number = r.int()?;
    let role = i32::try_from(number).ok().and_then(|n| Role::try_from(n).ok());
    let role = role.filter(|role| *role != Role::Unspecified);
    let role = role.ok_or_else(|| unknown("role", number))?;
    let number = r.int()?;
    let purpose = i32::try_from(number).ok().and_then(|n| Purpose::try_from(n).ok());
    let purpose = purpose.filter(|purpose| *purpose != Purpose::Unspecified);
    let purpose = purpose.ok_or_else(|| unknown("purpose", number))?;
    Ok(Signer { party: party.to_string(), kid, role, purpose })
}

/// The shape of the signer list: absent for one signer; else two or more, strictly ascending by kid, exactly one issuer whose
/// party and kid are the entry's, and one co-signature for each of the others.
fn check_signers(kid: KeyId, claims: &Claims, cosignatures: &[[u8; 64]]) -> Result<(), Malformed> {
    let wrong = |detail: &str| Err(Malformed::new(Kind::Value, "signers", detail));
    let signers = &claims.signers;
    if signers.is_empty() {
        return if cosignatures.is_empty() {
            Ok(())
        } else {
            wrong("co-signatures without a signer list")
        };
    }
    if signers.len() < 2 {
        return wrong("a signer list of one: leave it out");
    }
    let ascending = signers.iter().zip(signers.iter().skip(1)).all(|(a, b)| a.kid < b.kid);
    if !ascending {
        return wrong("not strictly ascending by kid");
    }
    let mut issuers = signers.iter().filter(|signer| signer.purpose == Purpose::Issue);
    match (issuers.next(), issuers.next()) {
        (Some(one), None) if one.kid == kid && one.party == claims.issuer => {}
        _ => return wrong("exactly one signer must issue, and be the entry's iss and kid"),
    }
    if cosignatures.len().checked_add(1) != Some(signers.len()) {
        return wrong("the number of co-signatures is not the number of co-signers");
    }
    Ok(())
}
