//! Evidence: statements that a validator signed and that no honest one signs together (docs/spec/evidence.md).
//!
//! Reading says nothing about signatures: whom evidence proves guilty is decided in `ledger_verify::evidence`.

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use ledger_event::{SetChange, SetChanges};
use prost::{Message, length_delimiter_len};

use crate::digest::{BlockHash, Hash, KeyId, LedgerId, sha256};
use crate::fixed::FixedReader;
use crate::genesis::GenesisDocument;
use crate::header::{HEADER_BYTES, Header};
use crate::limits::{MAX_CHANGES, MAX_CHANGES_BYTES, MAX_EVIDENCE_BYTES, MAX_GENESIS_BYTES};
use crate::malformed::{Kind, Malformed};
use crate::message;
use crate::vote::{Certificate, PROPOSAL_BYTES, VOTE_BYTES, VoteStep, proposal_bytes, vote_bytes};

/// What an evidence file begins with.
pub const EVIDENCE_FILE_MARK: &[u8; 18] = b"ledger/evidence/1\0";
/// What it begins with where it shows changes of the validators.
pub const CHANGED_FILE_MARK: &[u8; 18] = b"ledger/evidence/2\0";

const MARK: &[u8; 15] = b"ledger/evid/v1\0";
const DOUBLE_VOTE: u8 = 1;
const DOUBLE_PROPOSAL: u8 = 2;
const CONFLICTING_CERTIFICATES: u8 = 3;
const FORGED_CERTIFICATE: u8 = 4;

const PRESENTATION_MARK: &[u8; 15] = b"ledger/pres/v1\0";
/// Length of what a validator signs to present a block.
pub const PRESENTATION_BYTES: usize = 112;

/// The bytes that a validator signs when it gives a block to another node as decided: mark 15, zero 1, ledger 32, block hash 32,
/// SHA-256 of the certificate's bytes 32.
pub fn presentation_bytes(
    ledger: &LedgerId,
    block: &BlockHash,
    certificate: &Certificate,
) -> [u8; PRESENTATION_BYTES] {
    let mut bytes = [0; PRESENTATION_BYTES];
    let certificate = sha256(&[&certificate.encode()]);
    let parts: [&[u8]; 5] =
        [PRESENTATION_MARK, &[0], ledger.as_bytes(), block.as_bytes(), &certificate];
    for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    bytes
}

/// SHA-256 of an evidence's bytes, which begin with a mark of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EvidenceId(pub Hash);

impl core::fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&crate::digest::hex(&self.0))
    }
}

/// Two statements about one height, and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The ledger that the statements are about.
    pub ledger: LedgerId,
    /// The height that they are about.
    pub height: u64,
    /// What was done.
    pub offence: Offence,
}

/// The kinds of offence that statements alone can prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Two votes of one step of one round for different things.
    DoubleVote {
        /// The round.
        round: u32,
        /// First or second vote.
        step: VoteStep,
        /// Who signed.
        validator: KeyId,
        /// The votes, ascending.
        votes: [SignedVote; 2],
    },
    /// Two proposals of one round for different blocks.
    DoubleProposal {
        /// The round.
        round: u32,
        /// Who signed.
        validator: KeyId,
        /// The proposals, ascending.
        proposals: [SignedProposal; 2],
    },
    /// Two certificates of one height for different blocks, ascending by round and block.
    ConflictingCertificates([Certificate; 2]),
    /// A block given away as decided, with a certificate that is none.
    ForgedCertificate {
        /// Who gave it away.
        validator: KeyId,
        /// Header of the block.
        header: Header,
        /// What should certify it.
        certificate: Certificate,
        /// Over [`presentation_bytes`].
        signature: [u8; 64],
    },
}

/// A vote's choice and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedVote {
    /// The block; `None` is a vote for none.
    pub block: Option<BlockHash>,
    /// Over [`vote_bytes`].
    pub signature: [u8; 64],
}

/// A proposal's choice and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedProposal {
    /// The block.
    pub block: BlockHash,
    /// The round in which a quorum prevoted for it before.
    pub valid_round: Option<u32>,
    /// Over [`proposal_bytes`].
    pub signature: [u8; 64],
}

impl Offence {
    /// Its name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DoubleVote { step: VoteStep::Prevote, .. } => "double prevote",
            Self::DoubleVote { step: VoteStep::Precommit, .. } => "double precommit",
            Self::DoubleProposal { .. } => "double proposal",
            Self::ConflictingCertificates(_) => "conflicting certificates",
            Self::ForgedCertificate { .. } => "forged certificate",
        }
    }

    /// The round of the first statement.
    pub const fn round(&self) -> u32 {
        match self {
            Self::DoubleVote { round, .. } | Self::DoubleProposal { round, .. } => *round,
            Self::ConflictingCertificates([first, _]) => first.round,
            Self::ForgedCertificate { certificate, .. } => certificate.round,
        }
    }
}

impl Evidence {
    /// Evidence of two votes, put in order.
    pub fn double_vote(
        ledger: LedgerId,
        height: u64,
        (round, step, validator): (u32, VoteStep, KeyId),
        mut votes: [SignedVote; 2],
    ) -> Self {
        votes.sort_unstable();
        Self { ledger, height, offence: Offence::DoubleVote { round, step, validator, votes } }
    }

    /// Evidence of two proposals, put in order.
    pub fn double_proposal(
        ledger: LedgerId,
        height: u64,
        (round, validator): (u32, KeyId),
        mut proposals: [SignedProposal; 2],
    ) -> Self {
        proposals.sort_unstable();
        Self { ledger, height, offence: Offence::DoubleProposal { round, validator, proposals } }
    }

    /// Evidence of two certificates, put in order. The height is that of the first: whether they fit is for the verifier.
    pub fn conflicting_certificates(ledger: LedgerId, mut certificates: [Certificate; 2]) -> Self {
        certificates.sort_by_key(order);
        let height = certificates[0].height;
        Self { ledger, height, offence: Offence::ConflictingCertificates(certificates) }
    }

    /// Evidence of a block that was given away with a certificate that is none.
    pub const fn forged_certificate(
        validator: KeyId,
        header: Header,
        certificate: Certificate,
        signature: [u8; 64],
    ) -> Self {
        let (ledger, height) = (header.ledger, header.height);
        let offence = Offence::ForgedCertificate { validator, header, certificate, signature };
        Self { ledger, height, offence }
    }

    /// What the first and the second vote of a step were signed over.
    pub fn vote_bytes(
        &self,
        round: u32,
        step: VoteStep,
        votes: &[SignedVote; 2],
    ) -> [[u8; VOTE_BYTES]; 2] {
        votes
            .each_ref()
            .map(|vote| vote_bytes(&self.ledger, step, self.height, round, vote.block.as_ref()))
    }

    /// What the two proposals were signed over.
    pub fn proposal_bytes(
        &self,
        round: u32,
        proposals: &[SignedProposal; 2],
    ) -> [[u8; PROPOSAL_BYTES]; 2] {
        proposals.each_ref().map(|proposal| {
            let SignedProposal { block, valid_round, .. } = proposal;
            proposal_bytes(&self.ledger, self.height, round, *valid_round, block)
        })
    }

    /// Whom the statements accuse, ascending: who signed both, or gave the block away. Guilty if the signatures are theirs.
    pub fn accused(&self) -> Vec<KeyId> {
        match &self.offence {
            Offence::DoubleVote { validator, .. }
            | Offence::DoubleProposal { validator, .. }
            | Offence::ForgedCertificate { validator, .. } => [*validator].into(),
            Offence::ConflictingCertificates([first, second]) => {
                let signed_both =
                    |(id, _): &&(KeyId, _)| second.signatures.iter().any(|(other, _)| other == id);
                first.signatures.iter().filter(signed_both).map(|(id, _)| *id).collect()
            }
        }
    }

    /// SHA-256 of the bytes.
    pub fn id(&self) -> EvidenceId {
        EvidenceId(sha256(&[&self.encode()]))
    }

    /// Mark 15, kind 1, ledger 32, height 8, and what the kind needs.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.push(match &self.offence {
            Offence::DoubleVote { .. } => DOUBLE_VOTE,
            Offence::DoubleProposal { .. } => DOUBLE_PROPOSAL,
            Offence::ConflictingCertificates(_) => CONFLICTING_CERTIFICATES,
            Offence::ForgedCertificate { .. } => FORGED_CERTIFICATE,
        });
        bytes.extend_from_slice(self.ledger.as_bytes());
        bytes.extend_from_slice(&self.height.to_be_bytes());
        match &self.offence {
            Offence::DoubleVote { round, step, validator, votes } => {
                bytes.extend_from_slice(&round.to_be_bytes());
                bytes.push(step.number());
                bytes.extend_from_slice(validator.as_bytes());
                for SignedVote { block, signature } in votes {
                    bytes.push(u8::from(block.is_some()));
                    bytes.extend_from_slice(block.unwrap_or_default().as_bytes());
                    bytes.extend_from_slice(signature);
                }
            }
            Offence::DoubleProposal { round, validator, proposals } => {
                bytes.extend_from_slice(&round.to_be_bytes());
                bytes.extend_from_slice(validator.as_bytes());
                for SignedProposal { block, valid_round, signature } in proposals {
                    bytes.extend_from_slice(block.as_bytes());
                    bytes.push(u8::from(valid_round.is_some()));
                    bytes.extend_from_slice(&valid_round.unwrap_or_default().to_be_bytes());
                    bytes.extend_from_slice(signature);
                }
            }
            Offence::ConflictingCertificates(certificates) => {
                for certificate in certificates {
                    let certificate = certificate.encode();
                    let length = u32::try_from(certificate.len()).unwrap_or(u32::MAX);
                    bytes.extend_from_slice(&length.to_be_bytes());
                    bytes.extend_from_slice(&certificate);
                }
            }
            Offence::ForgedCertificate { validator, header, certificate, signature } => {
                bytes.extend_from_slice(validator.as_bytes());
                bytes.extend_from_slice(&header.encode());
                bytes.extend_from_slice(signature);
                bytes.extend_from_slice(&certificate.encode());
            }
        }
        bytes
    }

    /// Reads exactly one evidence.
    ///
    /// # Errors
    /// `FMT_TOO_LARGE`, `FMT_MAGIC`, `FMT_TRUNCATED`, `FMT_TRAILING`, `FMT_VALUE` for an unknown kind or step, and
    /// `FMT_NOT_CANONICAL` when statements are out of order or zero bytes are not.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        if bytes.len() > MAX_EVIDENCE_BYTES {
            let detail = format!("{} bytes, at most {MAX_EVIDENCE_BYTES} allowed", bytes.len());
            return Err(Malformed::new(Kind::TooLarge, AT, detail));
        }
        let mut reader = FixedReader::new(AT, bytes);
        reader.mark(MARK)?;
        let kind = reader.u8()?;
        let ledger = LedgerId(reader.array()?);
        let height = reader.u64()?;
        let offence = match kind {
            DOUBLE_VOTE => double_vote(&mut reader)?,
            DOUBLE_PROPOSAL => double_proposal(&mut reader)?,
            CONFLICTING_CERTIFICATES => conflicting_certificates(&mut reader)?,
            FORGED_CERTIFICATE => forged_certificate(&mut reader, ledger, height)?,
            other => {
                return Err(Malformed::new(Kind::Value, AT, format!("unknown kind {other}")));
            }
        };
        reader.finish()?;
        Ok(Self { ledger, height, offence })
    }
}

const AT: &str = "evidence";

fn order(certificate: &Certificate) -> (u32, BlockHash) {
    (certificate.round, certificate.block)
}

fn ascending<T: PartialOrd>(pair: &[T; 2]) -> Result<(), Malformed> {
    let [first, second] = pair;
    if first <= second {
        return Ok(());
    }
    Err(Malformed::new(Kind::NotCanonical, AT, "the statements are out of order"))
}

/// A byte that says whether what follows is there, and what follows: zero bytes if not.
fn named<const N: usize>(reader: &mut FixedReader) -> Result<Option<[u8; N]>, Malformed> {
    match (reader.u8()?, reader.array::<N>()?) {
        (1, value) => Ok(Some(value)),
        (0, value) if value == [0; N] => Ok(None),
        (flag, _) => {
            let detail = format!("a flag of {flag}, or bytes behind a flag of 0");
            Err(Malformed::new(Kind::NotCanonical, AT, detail))
        }
    }
}

fn double_vote(reader: &mut FixedReader) -> Result<Offence, Malformed> {
    let round = reader.u32()?;
    let step = reader.u8()?;
    let step = VoteStep::from_number(step)
        .ok_or_else(|| Malformed::new(Kind::Value, AT, format!("unknown step {step}")))?;
    let validator = KeyId(reader.array()?);
    let mut vote = || {
        let block = named(reader)?.map(BlockHash);
        Ok::<_, Malformed>(SignedVote { block, signature: reader.array()? })
    };
    let votes = [vote()?, vote()?];
    ascending(&votes)?;
    Ok(Offence::DoubleVote { round, step, validator, votes })
}

fn double_proposal(reader: &mut FixedReader) -> Result<Offence, Malformed> {
    let round = reader.u32()?;
    let validator = KeyId(reader.array()?);
    let mut proposal = || {
        let block = BlockHash(reader.array()?);
        let valid_round = named(reader)?.map(u32::from_be_bytes);
        Ok::<_, Malformed>(SignedProposal { block, valid_round, signature: reader.array()? })
    };
    let proposals = [proposal()?, proposal()?];
    ascending(&proposals)?;
    Ok(Offence::DoubleProposal { round, validator, proposals })
}

fn conflicting_certificates(reader: &mut FixedReader) -> Result<Offence, Malformed> {
    let mut certificate = || {
        let length = reader.u32()?;
        let length = reader.length(length, MAX_EVIDENCE_BYTES)?;
        Certificate::decode(reader.take(length)?)
    };
    let certificates = [certificate()?, certificate()?];
    ascending(&certificates.each_ref().map(order))?;
    Ok(Offence::ConflictingCertificates(certificates))
}

fn forged_certificate(
    reader: &mut FixedReader,
    ledger: LedgerId,
    height: u64,
) -> Result<Offence, Malformed> {
    let validator = KeyId(reader.array()?);
    let header = Header::decode(reader.take(HEADER_BYTES)?)?;
    if (header.ledger, header.height) != (ledger, height) {
        return Err(Malformed::new(Kind::Value, AT, "the header is of another place"));
    }
    let signature = reader.array()?;
    let rest = reader.remaining();
    let certificate = Certificate::decode(reader.take(rest)?)?;
    Ok(Offence::ForgedCertificate { validator, header, certificate, signature })
}

/// Evidence with the genesis document that says whose keys these are: nothing but a trusted hash is needed beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceFile {
    /// The genesis document; `None` when it is left out.
    pub genesis: Option<GenesisDocument>,
    /// How the validators since genesis follow from each other, oldest change first.
    pub changes: Vec<SetChange>,
    /// The evidence.
    pub evidence: Evidence,
}

impl EvidenceFile {
    /// Mark 18, length 4 and bytes of the genesis document; where validators have changed, another mark, and length 4 and bytes of the
    /// changes; then the evidence. Of changes that are too many, the newest are left out.
    pub fn encode(
        genesis: Option<&GenesisDocument>,
        changes: &[SetChange],
        evidence: &Evidence,
    ) -> Vec<u8> {
        let changes = fitting(changes);
        let mark = if changes.is_empty() { EVIDENCE_FILE_MARK } else { CHANGED_FILE_MARK };
        let mut bytes = mark.to_vec();
        let document = genesis.map(|genesis| genesis.bytes().as_ref()).unwrap_or_default();
        let mut put = |part: &[u8]| {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        };
        put(document);
        if !changes.is_empty() {
            put(&message::encode(&SetChanges { changes: changes.to_vec() }));
        }
        bytes.extend_from_slice(&evidence.encode());
        bytes
    }

    /// Reads exactly one evidence file.
    ///
    /// # Errors
    /// `FMT_MAGIC`, `FMT_TOO_LARGE`, `FMT_NOT_CANONICAL` for changes of which there are none, or what genesis, changes or evidence are
    /// refused with.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let changed = bytes.starts_with(CHANGED_FILE_MARK);
        let mut reader = FixedReader::new(FILE, bytes);
        reader.mark(if changed { CHANGED_FILE_MARK } else { EVIDENCE_FILE_MARK })?;
        let length = reader.u32()?;
        let length = reader.length(length, MAX_GENESIS_BYTES)?;
        let genesis = match length {
            0 => None,
            length => Some(GenesisDocument::decode(reader.take(length)?)?),
        };
        let changes = if changed { set_changes(&mut reader)? } else { Vec::new() };
        let rest = reader.remaining();
        let evidence = Evidence::decode(reader.take(rest)?)?;
        Ok(Self { genesis, changes, evidence })
    }
}

const FILE: &str = "evidence file";

/// The oldest of the changes that a file holds: each is certified by the set before, so that none can be left out in between.
fn fitting(changes: &[SetChange]) -> &[SetChange] {
    let mut bytes: usize = 0;
    let fits = |change: &&SetChange| {
        let length = change.encoded_len();
        let framed = length_delimiter_len(length).saturating_add(length).saturating_add(1);
        bytes = bytes.saturating_add(framed);
        bytes <= MAX_CHANGES_BYTES
    };
    let count = changes.iter().take(MAX_CHANGES).take_while(fits).count();
    changes.get(..count).unwrap_or_default()
}

fn set_changes(reader: &mut FixedReader) -> Result<Vec<SetChange>, Malformed> {
    let length = reader.u32()?;
    let length = reader.length(length, MAX_CHANGES_BYTES)?;
    if length == 0 {
        return Err(Malformed::new(Kind::NotCanonical, FILE, "no changes, and their mark"));
    }
    let bytes = reader.take(length)?;
    // A change in memory is larger than one of no bytes.
    let count = message::field_count(&bytes);
    if count > MAX_CHANGES {
        let detail = format!("{count} changes, at most {MAX_CHANGES} allowed");
        return Err(Malformed::new(Kind::TooLarge, FILE, detail));
    }
    let changes: SetChanges = message::decode(FILE, &bytes)?;
    Ok(changes.changes)
}
