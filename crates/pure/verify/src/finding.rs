//! What a verifier finds against a claim: a stable code, the place, and expected against found.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use ledger_format::digest::EntryId;
use ledger_format::malformed::{Explanation, bounded};

/// Where in a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Height of the block.
    pub height: Option<u64>,
    /// Id of the entry.
    pub entry: Option<EntryId>,
    /// Leaf index of the entry.
    pub leaf: Option<u64>,
    /// Id of the record.
    pub record: Option<String>,
}

impl Place {
    /// A block.
    pub fn block(height: u64) -> Self {
        Self { height: Some(height), ..Self::default() }
    }

    /// An entry of a block.
    pub fn entry(height: u64, leaf: u64, entry: EntryId) -> Self {
        Self { height: Some(height), leaf: Some(leaf), entry: Some(entry), record: None }
    }

    /// A record.
    pub fn record(height: u64, id: &str) -> Self {
        Self { height: Some(height), record: Some(id.to_string()), ..Self::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = alloc::vec::Vec::new();
        if let Some(height) = self.height {
            parts.push(format!("height {height}"));
        }
        if let Some(leaf) = self.leaf {
            parts.push(format!("leaf {leaf}"));
        }
        if let Some(entry) = self.entry {
            parts.push(format!("entry {entry}"));
        }
        if let Some(record) = &self.record {
            parts.push(format!("record {record}"));
        }
        f.write_str(if parts.is_empty() { "the ledger" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// Evidence contradicts the claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {place}: {detail}", code = .code.as_str())]
pub struct Refuted {
    /// What kind of contradiction.
    pub code: Code,
    /// Where. Boxed, so that a result of a check stays small.
    pub place: Box<Place>,
    /// Expected and found.
    pub detail: String,
}

impl Refuted {
    /// A finding. Its detail is [`bounded`].
    pub fn new(code: Code, place: Place, detail: impl Into<String>) -> Self {
        Self { code, place: Box::new(place), detail: bounded(detail) }
    }

    /// The same finding at a place that is known better.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place: Box::new(place), ..self }
    }

    /// A finding that two values differ.
    pub fn differs(
        code: Code,
        place: Place,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::new(code, place, format!("expected {expected}, found {found}"))
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $text:literal, $source:literal, $help:literal;)*) => {
        /// The kinds of contradiction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $text] $name,)* }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands in reports and documents.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Text, source and next step.
            pub const fn explanation(self) -> Explanation {
                match self {
                    $(Self::$name => Explanation { code: $code, text: $text, source: $source, help: $help },)*
                }
            }
        }
    };
}

codes! {
    Genesis = "V_GENESIS",
        "The log does not begin with the genesis document, signed by every founder.", "docs/spec/genesis.md",
        "Do not use this copy: it is not the ledger that it claims to be.";
    WeakKey = "V_WEAK_KEY",
        "A key is not a point of prime order in canonical form.", "docs/spec/signature.md, enrolment",
        "Make a new key with ordinary software; such keys do not come about by chance.";
    Signature = "V_SIGNATURE",
        "A signature is not that of the named key over these bytes.", "docs/spec/signature.md",
        "What was signed was changed, or somebody else signed it.";
    Height = "V_HEIGHT",
        "A block's height does not follow the one before.", "docs/spec/block.md",
        "Blocks are missing, repeated or out of order; get the chain from another node.";
    Previous = "V_PREVIOUS",
        "A header does not name the header before it.", "docs/spec/block.md",
        "A header was changed after the fact, or two histories were mixed.";
    HeaderLedger = "V_HEADER_LEDGER",
        "A header belongs to another ledger.", "docs/spec/block.md",
        "Blocks of different ledgers were mixed.";
    Version = "V_PROTOCOL_VERSION",
        "A block follows a protocol version that was not in force.", "docs/spec/block.md",
        "The block was never acceptable; see which validators signed it.";
    Time = "V_TIME",
        "A header's time breaks the time rules.", "docs/spec/block.md, time",
        "The block was never acceptable; see which validators signed it.";
    Validators = "V_VALIDATORS",
        "A header names another validator set than the one in force.", "docs/spec/block.md",
        "The block was signed by a set that had no say at that height.";
    Proposer = "V_PROPOSER",
        "A block's proposer is not a validator.", "docs/spec/block.md",
        "The block was never acceptable; see which validators signed it.";
    CertificateBlock = "V_CERTIFICATE_BLOCK",
        "A certificate is for another block.", "docs/spec/block.md, certificates",
        "Header and certificate do not belong together.";
    CertificateSigner = "V_CERTIFICATE_SIGNER",
        "A certificate names a signer that is not a validator of that height.", "docs/spec/block.md, certificates",
        "The certificate was tampered with, or made by outsiders.";
    CertificateSignature = "V_CERTIFICATE_SIGNATURE",
        "A validator's signature on a block is not valid.", "docs/spec/block.md, certificates",
        "Header or certificate was changed after it was signed.";
    Quorum = "V_QUORUM",
        "Validators with no more than two thirds of the power signed the block.", "docs/spec/block.md, certificates",
        "The block is not final; a certificate with more signatures may exist.";
    TreeSize = "V_TREE_SIZE",
        "A header's tree size is not that of the log with its entries.", "docs/spec/block.md",
        "Entries were added to or dropped from the block.";
    TreeRoot = "V_TREE_ROOT",
        "A header's tree root is not that of the log with its entries.", "docs/spec/block.md",
        "Entries were changed, reordered or exchanged.";
    StateRoot = "V_STATE_ROOT",
        "Executing the entries does not give the state root of the header.", "docs/spec/state.md",
        "The block commits to a state that its entries do not make.";
    Record = "V_RECORD",
        "A record is not the one in the state.", "docs/spec/state.md",
        "The record was changed, or is of another height.";
    Refused = "V_ENTRY_REFUSED",
        "A block holds an entry that the rules refuse.", "docs/spec/rules.md",
        "See the entry's own code in the message.";
    Duplicate = "V_ENTRY_DUPLICATE",
        "A block holds an entry that the log already has, or one that reuses a cti.", "docs/spec/entry.md, cti",
        "The block was never acceptable; see which validators signed it.";
    EntryForm = "V_ENTRY_FORM",
        "A block holds bytes that are no canonical entry.", "docs/spec/entry.md",
        "An entry's bytes were changed, or the block was never acceptable.";
    BlockForm = "V_BLOCK_FORM",
        "What stands in a block's place is no block.", "docs/spec/block.md",
        "Bytes of the block were changed; get the chain from another node.";
    BlockLimits = "V_BLOCK_LIMITS",
        "A block is empty or exceeds the ledger's caps.", "docs/spec/genesis.md, limits",
        "The block was never acceptable; see which validators signed it.";
    Inclusion = "V_INCLUSION",
        "The path does not lead from the entry to the root.", "RFC 9162 section 2.1.3",
        "The proof is of another entry, place or tree.";
    ReceiptKey = "V_RECEIPT_KEY",
        "A receipt is signed by a key that no validator has for receipts.", "docs/spec/receipt.md",
        "The receipt is not this ledger's.";
    ReceiptSignature = "V_RECEIPT_SIGNATURE",
        "A receipt's signature is not valid for the root.", "RFC 9942; docs/spec/receipt.md",
        "The receipt was changed, or belongs to another tree.";
    OtherEntry = "V_OTHER_ENTRY",
        "The proof is about another entry.", "docs/spec/proof.md",
        "Use the proof that was made for this entry.";
    StateProof = "V_STATE_PROOF",
        "The path does not lead from the record to the state root.", "docs/spec/state.md, proofs",
        "The proof is of another record, height or ledger.";
    Timeline = "V_TIMELINE",
        "The entries are not the complete history that the record commits to.", "docs/spec/state.md, timelines",
        "Entries were left out, added or reordered.";
    Content = "V_CONTENT",
        "The bytes are not those that the ledger records.", "docs/spec/delivery.md",
        "The file was changed, or is another version: the message names the first part that differs.";
    NoConflict = "V_NO_CONFLICT",
        "The statements of an evidence do not contradict each other.", "docs/spec/evidence.md",
        "Accuse nobody by this evidence: honest validators sign such statements.";
}
