//! Why an act is refused: one stable code each, with its text, its source and the next step.

use alloc::string::String;
use core::fmt;

use ledger_format::malformed::{Explanation, bounded};

/// A refused act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// Expected and found.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its detail, which is [`bounded`]: whoever may write nothing is refused as often as it likes.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: bounded(detail) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.code.as_str(), self.code.explanation().text, self.detail)
    }
}

impl core::error::Error for Refusal {}

macro_rules! codes {
    ($($name:ident = $code:literal, $text:literal, $source:literal, $help:literal;)*) => {
        /// Every reason for which the rules refuse an act.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $text] $name,)* }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands in answers and documents.
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
    // The entry itself.
    OtherLedger = "ENTRY_OTHER_LEDGER",
        "The entry names another ledger as its audience.", "docs/spec/entry.md, aud",
        "Sign a new entry for this ledger; an entry is never valid on two.";
    Expired = "ENTRY_EXPIRED",
        "The entry's time to be taken has passed.", "docs/spec/entry.md, exp",
        "Sign the act again; if it was submitted before, ask for the first entry's receipt.";
    WindowTooLong = "ENTRY_WINDOW",
        "The entry asks to stay valid longer than the ledger allows, or expires before it was issued.",
        "docs/spec/entry.md, exp; genesis limits",
        "Choose an earlier expiry: `ledger-cli show ledger:genesis` prints the windows.";
    Ahead = "ENTRY_AHEAD",
        "The entry claims a time that has not come.", "docs/spec/entry.md, iat; genesis limits",
        "Check the clock of the signing machine; on a declared clock, move time in smaller steps.";
    Duplicate = "ENTRY_DUPLICATE",
        "The same entry is already in the log.", "docs/spec/entry.md, cti",
        "Nothing is lost: ask for the receipt of the entry that is there.";
    Conflict = "ENTRY_CONFLICT",
        "The issuer has used the same cti for another entry.", "docs/spec/entry.md, cti",
        "Sign the act with a fresh cti.";
    PriorStale = "PRIOR_STALE",
        "The subject's history has changed since the signer looked.", "docs/spec/event.md, prior",
        "Read the subject again, check that the act still makes sense, and sign again.";
    PriorMissing = "PRIOR_MISSING",
        "A binding act must state the head of the history that its signers saw.", "docs/spec/event.md, prior",
        "Read the subject and put its timeline head into `prior`.";

    // Keys, roles and signatures.
    KeyUnknown = "KEY_UNKNOWN",
        "No key of that id is in force.", "docs/spec/rules.md, signers",
        "Enrol the key first; it is in force from the block after its enrolment.";
    KeyInactive = "KEY_INACTIVE",
        "The key has been revoked.", "docs/spec/rules.md, signers",
        "Sign with another key of the party, or enrol a new one.";
    KeyOfOtherParty = "KEY_OF_OTHER_PARTY",
        "The key belongs to another party than the one that the entry names.", "docs/spec/rules.md, signers",
        "Name the key's own party, or sign with a key of the named party.";
    KeyDuplicate = "KEY_DUPLICATE",
        "The key is already enrolled, or is listed twice.", "docs/spec/rules.md, identity",
        "Make a new key; a key has one party for ever.";
    KeyPossession = "KEY_POSSESSION",
        "A key that is being enrolled has not signed, or a key that signs as new is not being enrolled.",
        "docs/spec/rules.md, identity",
        "Co-sign the entry with every new key, purpose POSSESSION, and no other key.";
    RoleNotGranted = "ROLE_NOT_GRANTED",
        "The party does not have the role that it acts in.", "docs/spec/rules.md, signers",
        "Act in a role that the party has, or have the role granted first.";
    SigMissingRole = "SIG_MISSING_ROLE",
        "A required signature is missing.", "docs/spec/rules.md, signers",
        "Add the signature that the message names; one key stands in one place, so a party in two signs with two. docs/spec/rules.md lists the signers of every act.";
    SigSameFactor = "SIG_SAME_FACTOR",
        "A binding act needs two keys of different factor classes: an organisation key and an officer's token.",
        "docs/spec/rules.md, signers",
        "Add a signature with a key of the other class.";
    SigSameOfficer = "SIG_SAME_OFFICER",
        "Two different officers must sign.", "docs/spec/rules.md, signers",
        "Have a second officer sign, whose key was enrolled with another officer commitment.";
    SigWeakFactor = "SIG_WEAK_FACTOR",
        "A system key cannot sign this act.", "docs/spec/rules.md, signers",
        "Sign with an organisation key or an officer's token.";
    SigUncalledFor = "SIG_UNCALLED_FOR",
        "The entry carries a signature of a party or role that the act does not call for.",
        "docs/spec/rules.md, signers",
        "Remove that signer: a signature must mean something.";

    // Subjects and states.
    SubjectKind = "SUBJECT_KIND",
        "The act is not about a subject of that kind.", "docs/spec/rules.md, acts",
        "See the table of acts for the kind of subject each is about.";
    SubjectExists = "SUBJECT_EXISTS",
        "A subject of that id exists already.", "docs/spec/rules.md, acts",
        "Choose another name, or act on the subject that is there.";
    SubjectUnknown = "SUBJECT_UNKNOWN",
        "No subject of that id exists.", "docs/spec/rules.md, acts",
        "Check the id, or do the act that opens the subject first.";
    SubjectNotOwn = "SUBJECT_NOT_OWN",
        "The subject's name or record belongs to another party.", "docs/spec/identifiers.md",
        "Names of subjects start with the id of the party that opens them.";
    WrongState = "WRONG_STATE",
        "The subject is not in a state in which the act is allowed.", "docs/spec/rules.md, states",
        "`ledger-cli show ID` prints the state; docs/spec/rules.md says what may follow it.";
    Field = "FIELD_VALUE",
        "A field of the act is missing or has a value that the act does not allow.", "docs/spec/rules.md, acts",
        "See the message: it names the field, what was expected and what was found.";
    CalendarMissing = "CALENDAR_MISSING",
        "Working days cannot be counted: the calendar of that year is not on the ledger.",
        "docs/spec/rules.md, calendars",
        "Have the founders publish the year's calendar; until then the date is not determined.";
    RulesetNotInForce = "RULESET_NOT_IN_FORCE",
        "The rule set is unknown or not in force on that day.", "docs/spec/rules.md, rule sets",
        "Apply under a rule set that is in force: `ledger-cli show ruleset:ID/VERSION`.";

    // Governance.
    GenesisPlace = "GENESIS_PLACE",
        "Genesis is the first leaf of the ledger that it defines, and nothing else.", "docs/spec/genesis.md",
        "Start a new ledger for a new genesis.";
    GovernanceThreshold = "GOVERNANCE_THRESHOLD",
        "Too few founders signed a change of the rules.", "docs/spec/rules.md, governance",
        "Gather as many founders' signatures as genesis asks for.";

    ValidatorsQuorum = "VALIDATORS_QUORUM",
        "Parties with no more than two thirds of the validators' power signed.", "docs/spec/rules.md, validators",
        "Gather the signatures of more members: the message says how much power has signed.";
    ValidatorsNewQuorum = "VALIDATORS_NEW_QUORUM",
        "The change would leave no quorum: those who signed have no more than two thirds of the new set's power.",
        "docs/spec/rules.md, validators",
        "Have parties of the new set sign as well, or change it in smaller steps.";
    ValidatorConsent = "VALIDATOR_CONSENT",
        "A party whose validator comes in or gets another key has not signed.", "docs/spec/rules.md, validators",
        "Have the party co-sign the draft: nobody is made a validator without consent.";
    ValidatorParty = "VALIDATOR_PARTY",
        "A validator's party is not admitted, or is neither exchange nor node operator.", "docs/spec/rules.md, validators",
        "Admit the party with one of these roles first; it is in force from the next block.";
    ValidatorKeyReused = "VALIDATOR_KEY_REUSED",
        "A validator's key belongs to somebody else, or has served another purpose.", "docs/spec/rules.md, validators",
        "Make fresh keys: `ledger-node keys next`.";
    ValidatorsPending = "VALIDATORS_PENDING",
        "The block already holds a change of the validators.", "docs/spec/rules.md, validators",
        "Read the set again, check that the change still makes sense, and sign again.";
    ProtocolNotActive = "PROTOCOL_NOT_ACTIVE",
        "The act comes with a protocol version that is not in force yet.", "docs/spec/rules.md, protocol versions",
        "Wait for its height, or have the validators activate it: `ledger-cli protocol activate`.";

    MisconductUnproven = "MISCONDUCT_UNPROVEN",
        "The evidence does not prove that a validator of this ledger lied.", "docs/spec/rules.md, misconduct",
        "See the message, and `ledger-cli verify evidence FILE`. Before protocol version 4 only the last two sets of validators are known.";

    BudgetSpent = "BUDGET_SPENT",
        "The party, or the exchange that answers for it, has written as much as its budget allows for now.",
        "docs/spec/rules.md, budgets",
        "Submit the entry again in the next window: the message says when it begins. `ledger-cli budget show` prints the budgets.";

    // Assets and lineage.
    AssetVersion = "ASSET_VERSION",
        "The act names another version of the asset than the current one.", "docs/spec/rules.md, assets",
        "Read the asset and act on its current version.";
    InputUnknown = "INPUT_UNKNOWN",
        "A lineage input is not an asset and version on this ledger.", "docs/spec/rules.md, lineage",
        "Describe the input asset first.";
    LineageCycle = "LINEAGE_CYCLE",
        "An asset would be derived from itself.", "docs/spec/rules.md, lineage",
        "Remove the edge that leads back to the asset.";

    // Registration, by the articles of the guide of July 2026.
    SelfRegistration = "ART10_7_SELF_REGISTRATION",
        "A registry cannot be an applicant before itself.", "CN-NDA-2026 Art. 10(7)",
        "Apply to another registry.";
    RawPublic = "ART15_1_RAW_PUBLIC",
        "Data that party and government bodies collect in their duties is not registered.", "CN-NDA-2026 Art. 15(1)",
        "Register the product made from it under an authorisation, if there is one.";
    NoPublicRegistration = "ART15_2_NO_PUBLIC_REG",
        "A product of authorised public data needs its number on the public data registration platform first.",
        "CN-NDA-2026 Art. 15(2)",
        "State the public registration number in the asset's description.";
    AlreadyAccepted = "ART17_CLOCK",
        "The time to answer the application is over: silence has accepted it.", "CN-NDA-2026 Art. 17",
        "Go on with the review; the application counts as accepted on the first working day after the period.";
    ConsentMissing = "ART21_5_CONSENT_MISSING",
        "The operation right in co-developed data needs the other participants' consent.", "CN-NDA-2026 Art. 21(5)",
        "Claim holding and use only, or record the consents.";
    BasisDoesNotCarry = "ART21_BASIS",
        "The stated basis does not carry the claimed right.", "CN-NDA-2026 Art. 21",
        "Claim only the rights that the basis gives, or state the basis that applies.";
    Entrusted = "ART21_7_ENTRUSTED",
        "A processor cannot register data that it was entrusted with.", "CN-NDA-2026 Art. 21(7)",
        "The entrusting party applies.";
    NoticeRunning = "ART24_NOTICE_RUNNING",
        "The period of public notice has not ended.", "CN-NDA-2026 Art. 24",
        "Record the evidence after the last day of notice.";
    ValidityTooLong = "ART26_VALIDITY_GT_5Y",
        "The requested validity is longer than the rule set allows.", "CN-NDA-2026 Art. 26",
        "Ask for at most the rule set's years; renewal is possible before expiry.";
    CertificateFormat = "ART27_CERT_FORMAT",
        "The certificate number does not follow the national format, or not for this registry and month.",
        "CN-NDA-2026 Art. 27 and annex",
        "SJ, region (2), registry digit (1), year and month of the evidence (6), serial 0001 to 9999 (4).";
    NoScenario = "NO_SCENARIO",
        "The rule set refuses an application without a scenario.", "exchange practice: no scenario, no registration",
        "Name at least one scenario that the data is meant for.";
    NameLength = "NAME_LENGTH",
        "The asset's Chinese name or summary is missing or too long for registration.", "CN-NDA-2026 Art. 19 and annex",
        "Revise the description: a name of at most 40 characters, a summary of at most 400.";
    CoreData = "CORE_DATA",
        "Core data can be neither registered nor traded.", "GB/T 43697-2024; CN-SZ-2023",
        "Nothing: such data stays off the exchange.";

    // Review, listing and trade.
    NoCertificate = "NO_CERTIFICATE",
        "There is no valid certificate for this asset version.", "exchange practice: no registration, no trade",
        "Register the asset and name the certificate's number.";
    NoReview = "NO_REVIEW",
        "There is no positive compliance review of this asset version.", "exchange practice: no review, no listing",
        "Have the asset reviewed, and name the review.";
    ReviewExpired = "REVIEW_EXPIRED",
        "The compliance review is no longer valid on this day.", "docs/spec/rules.md, review",
        "Have the asset reviewed again.";
    ReviewerConflict = "REVIEWER_CONFLICT",
        "The reviewer has an interest in the asset: it supplies or registers it.", "docs/spec/rules.md, review",
        "Choose a reviewer that is neither supplier nor registry of the asset.";
    SellerLacksOperate = "SELLER_LACKS_OPERATE",
        "The certificate does not give the seller the operation right.", "CN-NDA-2026 Art. 21",
        "Only a holder of the operation right may offer the data to others.";
    PersonalNoBasis = "PI_NO_BASIS",
        "The asset holds personal information and no legal basis is on record.", "PIPL Art. 13",
        "Trade an anonymised version, or record the basis first.";
    ModeNotAllowed = "MODE_NOT_ALLOWED",
        "The mode of trade or delivery is not allowed for this asset.", "docs/spec/rules.md, delivery modes",
        "Choose a mode that the rule set allows for the asset's grade.";
    PropertyModeMismatch = "PROPERTY_MODE_MISMATCH",
        "Data that may be used but not seen cannot be delivered in that mode.", "docs/spec/rules.md, delivery modes",
        "Choose a computing mode: sandbox, MPC, federated, TEE or encrypted computation.";
    NotAnExchange = "NOT_AN_EXCHANGE",
        "The named venue is not an exchange.", "docs/spec/rules.md, listing",
        "Name a party with the role of exchange operator.";
    NotARegistry = "NOT_A_REGISTRY",
        "The named party is not a registration authority.", "docs/spec/rules.md, registration",
        "Name a party with the role of registration authority.";
    NotAReviewer = "NOT_A_REVIEWER",
        "The named party is not a compliance reviewer.", "docs/spec/rules.md, review",
        "Name a party with the role of compliance reviewer.";
    SelfDealing = "SELF_DEALING",
        "Seller and buyer are the same party.", "docs/spec/rules.md, trade",
        "A contract has two sides.";
    ContractEnded = "CONTRACT_ENDED",
        "The contract is no longer in force on this day.", "docs/spec/rules.md, delivery",
        "Sign a new contract.";

    // Delivery.
    JurisdictionMissing = "JURISDICTION_MISSING",
        "The delivery does not say where the buyer receives.", "docs/spec/rules.md, delivery",
        "State the endpoint's jurisdiction, two letters.";
    CrossBorderNoBasis = "XB_NO_BASIS",
        "The data leaves its jurisdiction and no legal path is on record.",
        "Provisions on cross-border data flows of March 2024, Art. 3",
        "Only data without personal information and below important grade may leave without a path.";
    ContentMismatch = "CONTENT_MISMATCH",
        "The planned file is not the content that the asset's description declares.", "docs/spec/rules.md, delivery",
        "Deliver the described version, or revise the description.";
    BatchGap = "BATCH_GAP",
        "Batches are numbered from 1 without gaps, and cover the file's chunks in order.", "docs/spec/rules.md, delivery",
        "Send the next batch: the record says which number and chunk it starts with.";
    BatchWindow = "BATCH_WINDOW",
        "The delivery window is over, or too many batches await acknowledgement.", "docs/spec/rules.md, delivery",
        "Have the outstanding batches acknowledged, or plan a new delivery.";
    BatchNotSent = "BATCH_NOT_SENT",
        "No batch of that number awaits acknowledgement.", "docs/spec/rules.md, delivery",
        "Acknowledge each sent batch once.";
    AckWrongParty = "ACK_WRONG_PARTY",
        "Only the buyer named in the contract can acknowledge a batch.", "docs/spec/rules.md, delivery",
        "Have the buyer sign the acknowledgement.";
    AckWrongRoot = "ACK_WRONG_ROOT",
        "The buyer's root is not the root of the batch that was sent.", "docs/spec/rules.md, delivery",
        "Compare the received bytes with the batch: `ledger-cli verify file` names the chunks that differ.";
    DeliveryIncomplete = "DELIVERY_INCOMPLETE",
        "Not every planned batch has been sent and acknowledged.", "docs/spec/rules.md, delivery",
        "Send and acknowledge the rest first.";
}
