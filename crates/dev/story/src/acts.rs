//! Every act of the main path as it should be. `name` tells the subjects of one story from those of another.

use bytes::Bytes;
use ledger_event::event::Act;
use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, AssetRevised, Basis, BatchAcknowledged, BatchSent,
    Calendar, CalendarPublished, CertificateIssued, ContractSigned, ContractType, DataClass,
    DeliveryCompleted, DeliveryMode, DeliveryPlanned, DeliveryProperty, Digest, EvidenceRecorded,
    FileManifest, Finding, GenesisPublished, Grade, HashAlgorithm, ImportedHistory, KeyEnrolled,
    KeyRevocationReason, KeyRevoked, ListingApplied, ListingPublished, NoticeOpened, Origin,
    PartyAdmitted, PersonalInformation, Purpose, RegistrationAccepted, RegistrationApplied,
    RegistrationReviewed, ReviewDecided, ReviewOutcome, ReviewSubmitted, Right, RightClaim, Role,
    RuleSet, RuleSetPublished, TradeMode,
};
use ledger_format::digest::sha256;
use ledger_format::genesis::GenesisDocument;

use crate::cast::{
    AUTHORITY, BUYER, ENROLLED, EXCHANGE, FOUNDERS, Key, Label, REGISTRY, REVIEWER, SUPPLIER,
    grants, profile, roles,
};
use crate::deed::{Deed, Sign, alone, sign, two_factors, two_officers};

/// What is delivered: five chunks of 1 KiB, the last one shorter, in two batches.
pub const CHUNK_BYTES: u32 = 1024;
/// Length of what is delivered.
pub const FILE_BYTES: u64 = 5 * 1024 - 100;
/// In how many batches.
pub const BATCHES: u32 = 2;

/// Id of the asset of a story.
pub fn asset(name: &str) -> String {
    format!("asset:{SUPPLIER}/{name}")
}

/// Id of its registration.
pub fn registration(name: &str) -> String {
    format!("registration:{SUPPLIER}/{name}")
}

/// Id of its compliance review.
pub fn review(name: &str) -> String {
    format!("review:{SUPPLIER}/{name}")
}

/// Id of its listing.
pub fn listing(name: &str) -> String {
    format!("listing:{SUPPLIER}/{name}")
}

/// Id of its contract.
pub fn contract(name: &str) -> String {
    format!("contract:{SUPPLIER}/{name}")
}

/// Id of its delivery.
pub fn delivery(name: &str) -> String {
    format!("delivery:{SUPPLIER}/{name}")
}

/// A digest of nothing in particular.
pub fn digest(text: &str) -> Option<Digest> {
    let value = Bytes::copy_from_slice(&sha256(&[text.as_bytes()]));
    Some(Digest { algorithm: HashAlgorithm::Sha256.into(), value })
}

/// 32 bytes of nothing in particular.
pub fn hash(text: &str) -> Bytes {
    Bytes::copy_from_slice(&sha256(&[text.as_bytes()]))
}

// --- governance ----------------------------------------------------------------------------------------------------------

/// Several founders, the first of whom issues.
pub fn founders(parties: &[&'static str]) -> Vec<Sign> {
    let purposes = [Purpose::Issue].into_iter().chain(std::iter::repeat(Purpose::Approve));
    parties.iter().zip(purposes).map(|(party, purpose)| founder(party, purpose)).collect()
}

fn founder(party: &'static str, purpose: Purpose) -> Sign {
    sign(party, Label::Seal, roles(party)[0], purpose)
}

/// Genesis, signed by all founders.
pub fn genesis_published(genesis: &GenesisDocument) -> Deed {
    let event = GenesisPublished { document: genesis.bytes().clone() };
    Deed::new("ledger:genesis", Act::GenesisPublished(event), founders(&FOUNDERS))
}

/// A rule set, signed by as many founders as governance asks for.
pub fn rule_set_published(rules: &RuleSet) -> Deed {
    let subject = format!("ruleset:{}/{}", rules.id, rules.version);
    let event = RuleSetPublished { rule_set: Some(rules.clone()) };
    Deed::new(subject, Act::RuleSetPublished(event), founders(&[EXCHANGE, REGISTRY]))
}

/// A year's calendar, signed by as many founders as governance asks for.
pub fn calendar_published(calendar: &Calendar) -> Deed {
    let subject = format!("calendar:{}/{}", calendar.id, calendar.year);
    let event = CalendarPublished { calendar: Some(calendar.clone()) };
    Deed::new(subject, Act::CalendarPublished(event), founders(&[EXCHANGE, REGISTRY]))
}

// --- identity ------------------------------------------------------------------------------------------------------------

/// The admission of a member of the cast, with its keys.
pub fn party_admitted(party: &'static str) -> Deed {
    let event = PartyAdmitted {
        profile: Some(profile(party)),
        roles: roles(party).iter().map(|role| i32::from(*role)).collect(),
        keys: grants(party),
    };
    let mut signers = vec![
        sign(EXCHANGE, Label::Seal, Role::Exchange, Purpose::Issue),
        sign(AUTHORITY, Label::Seal, Role::IdentityAuthority, Purpose::Approve),
    ];
    signers.extend(ENROLLED.map(|label| sign(party, label, roles(party)[0], Purpose::Possession)));
    Deed::new(format!("party:{party}"), Act::PartyAdmitted(event), signers)
}

/// A new key of a party.
pub fn key_enrolled(party: &'static str, label: Label) -> Deed {
    let event = KeyEnrolled { key: Some(Key(party, label).grant()) };
    let role = roles(party)[0];
    let signers = vec![
        sign(party, Label::Seal, role, Purpose::Issue),
        sign(AUTHORITY, Label::Seal, Role::IdentityAuthority, Purpose::Approve),
        sign(party, label, role, Purpose::Possession),
    ];
    Deed::new(format!("party:{party}"), Act::KeyEnrolled(event), signers)
}

fn revocation(party: &'static str, label: Label) -> Act {
    let kid = Bytes::copy_from_slice(Key(party, label).kid().as_bytes());
    Act::KeyRevoked(KeyRevoked { kid, reason: KeyRevocationReason::Lost.into() })
}

/// A key revoked by the party's spare seal.
pub fn key_revoked(party: &'static str, label: Label) -> Deed {
    let signers = vec![sign(party, Label::SpareSeal, roles(party)[0], Purpose::Issue)];
    Deed::new(format!("party:{party}"), revocation(party, label), signers)
}

/// A key revoked by the identity authority.
pub fn key_revoked_by_authority(party: &'static str, label: Label) -> Deed {
    let signers = two_officers(AUTHORITY, Role::IdentityAuthority);
    Deed::new(format!("party:{party}"), revocation(party, label), signers)
}

// --- assets --------------------------------------------------------------------------------------------------------------

/// What the asset of every story is.
pub fn description() -> AssetDescription {
    AssetDescription {
        kind: AssetKind::Product.into(),
        name_zh: "2025年广东省气象日降水量数据集".into(),
        name_en: "Daily rainfall in Guangdong, 2025".into(),
        summary: "省内气象站2025年逐日降水量，经质量控制。".into(),
        industry: "M74".into(),
        origin: Origin::Collected.into(),
        data_class: DataClass::Enterprise.into(),
        grade: Grade::General2.into(),
        personal_information: PersonalInformation::None.into(),
        content: digest("rain.csv"),
        content_bytes: FILE_BYTES,
        time_from: 20_250_101,
        time_to: 20_251_231,
        ..AssetDescription::default()
    }
}

/// The supplier describes the asset.
pub fn asset_described(name: &str) -> Deed {
    let event = AssetDescribed { description: Some(description()) };
    Deed::new(asset(name), Act::AssetDescribed(event), alone(SUPPLIER, Role::Supplier))
}

/// The supplier describes it again, with a change.
pub fn asset_revised(name: &str, change: impl FnOnce(&mut AssetDescription)) -> Deed {
    let mut description = description();
    change(&mut description);
    let event = AssetRevised { description: Some(description), reason: "corrected".into() };
    Deed::new(asset(name), Act::AssetRevised(event), alone(SUPPLIER, Role::Supplier))
}

fn history() -> Act {
    Act::ImportedHistory(ImportedHistory {
        what: "Creation of register".into(),
        when: 19_710_101,
        according_to: "the catalogue's history page".into(),
        source: "history.csv, record 17".into(),
        source_digest: digest("record 17"),
    })
}

/// The supplier attests something from before the ledger.
pub fn history_by_supplier(name: &str) -> Deed {
    Deed::new(asset(name), history(), alone(SUPPLIER, Role::Supplier))
}

/// The exchange attests the same.
pub fn history_by_exchange(name: &str) -> Deed {
    Deed::new(asset(name), history(), alone(EXCHANGE, Role::Exchange))
}

// --- registration --------------------------------------------------------------------------------------------------------

/// The supplier applies for registration.
pub fn registration_applied(name: &str) -> Deed {
    let claim =
        |right: Right| RightClaim { right: right.into(), basis: Basis::SelfCollected.into() };
    let event = RegistrationApplied {
        asset: asset(name),
        version: 1,
        registry: REGISTRY.into(),
        rule_set: "CN-NDA-2026/1".into(),
        rights: vec![claim(Right::Hold), claim(Right::Use), claim(Right::Operate)],
        scenarios: vec!["crop insurance".into()],
        materials: digest("proof of source"),
        validity_years: 5,
    };
    let signers = two_factors(SUPPLIER, Role::Supplier);
    Deed::new(registration(name), Act::RegistrationApplied(event), signers)
}

/// The registry accepts the application.
pub fn registration_accepted(name: &str) -> Deed {
    let act = Act::RegistrationAccepted(RegistrationAccepted {});
    Deed::new(registration(name), act, alone(REGISTRY, Role::Registry))
}

/// Two officers of the registry find nothing against it.
pub fn registration_reviewed(name: &str) -> Deed {
    let event = RegistrationReviewed {
        description: Finding::Satisfied.into(),
        source: Finding::Satisfied.into(),
        title: Finding::Satisfied.into(),
        report: digest("report"),
    };
    let signers = two_officers(REGISTRY, Role::Registry);
    Deed::new(registration(name), Act::RegistrationReviewed(event), signers).binding()
}

/// The public notice begins.
pub fn notice_opened(name: &str) -> Deed {
    let event = NoticeOpened { notice: digest("notice") };
    let signers = alone(REGISTRY, Role::Registry);
    Deed::new(registration(name), Act::NoticeOpened(event), signers)
}

/// The registry records the evidence.
pub fn evidence_recorded(name: &str) -> Deed {
    let event = EvidenceRecorded { evidence: digest("facts") };
    let signers = two_factors(REGISTRY, Role::Registry);
    Deed::new(registration(name), Act::EvidenceRecorded(event), signers).binding()
}

/// The registry issues the certificate of that number.
pub fn certificate_issued(name: &str, number: &str) -> Deed {
    let event = CertificateIssued { number: number.into(), body: digest("sealed document") };
    let signers = two_factors(REGISTRY, Role::Registry);
    Deed::new(registration(name), Act::CertificateIssued(event), signers).binding()
}

// --- review and listing --------------------------------------------------------------------------------------------------

/// The supplier asks for a compliance review.
pub fn review_submitted(name: &str) -> Deed {
    let event = ReviewSubmitted {
        asset: asset(name),
        version: 1,
        reviewer: REVIEWER.into(),
        materials: digest("samples"),
    };
    Deed::new(review(name), Act::ReviewSubmitted(event), alone(SUPPLIER, Role::Supplier))
}

/// The reviewer passes the asset.
pub fn review_decided(name: &str) -> Deed {
    let event = ReviewDecided {
        outcome: ReviewOutcome::Passed.into(),
        opinion: digest("opinion"),
        valid_to: 20_270_817,
        remarks: String::new(),
    };
    Deed::new(review(name), Act::ReviewDecided(event), two_officers(REVIEWER, Role::Reviewer))
}

/// The supplier applies for a listing.
pub fn listing_applied(name: &str, certificate: &str) -> Deed {
    let event = ListingApplied {
        asset: asset(name),
        version: 1,
        venue: EXCHANGE.into(),
        certificate: certificate.into(),
        review: review(name),
        mode: TradeMode::Listing.into(),
        price_commitment: hash("price"),
        terms: digest("terms of the listing"),
        scenarios: vec!["crop insurance".into()],
        rule_set: "CN-NDA-2026/1".into(),
    };
    let signers = two_factors(SUPPLIER, Role::Supplier);
    Deed::new(listing(name), Act::ListingApplied(event), signers)
}

/// The exchange publishes it.
pub fn listing_published(name: &str) -> Deed {
    let act = Act::ListingPublished(ListingPublished {});
    Deed::new(listing(name), act, alone(EXCHANGE, Role::Exchange))
}

// --- contract and delivery -----------------------------------------------------------------------------------------------

/// Seller and buyer sign.
pub fn contract_signed(name: &str) -> Deed {
    let event = ContractSigned {
        listing: listing(name),
        buyer: BUYER.into(),
        contract_type: ContractType::Provision.into(),
        terms: digest("terms of the contract"),
        price_commitment: hash("price agreed"),
        delivery_mode: DeliveryMode::File.into(),
        delivery_property: DeliveryProperty::Both.into(),
        purposes: vec!["crop insurance".into()],
        valid_to: 20_270_630,
    };
    let mut signers = two_factors(SUPPLIER, Role::Supplier);
    signers.extend(counterparty(BUYER, Role::Buyer));
    Deed::new(contract(name), Act::ContractSigned(event), signers)
}

/// The other side of an agreement, with two factors.
pub fn counterparty(party: &'static str, role: Role) -> [Sign; 2] {
    [Label::Seal, Label::Li].map(|label| sign(party, label, role, Purpose::Counterparty))
}

fn both_sides() -> Vec<Sign> {
    vec![
        sign(SUPPLIER, Label::Seal, Role::Supplier, Purpose::Issue),
        sign(BUYER, Label::Seal, Role::Buyer, Purpose::Counterparty),
    ]
}

/// Both sides plan the delivery.
pub fn delivery_planned(name: &str) -> Deed {
    let event = DeliveryPlanned {
        contract: contract(name),
        file: Some(FileManifest {
            bytes: FILE_BYTES,
            chunk_bytes: CHUNK_BYTES,
            root: hash("root of the file"),
            content: digest("rain.csv"),
        }),
        batches: BATCHES,
        endpoint_jurisdiction: "CN".into(),
        window_to: 20_260_930,
    };
    Deed::new(delivery(name), Act::DeliveryPlanned(event), both_sides())
}

/// The root of a batch.
pub fn batch_root(number: u32) -> Bytes {
    hash(&format!("root of batch {number}"))
}

/// Batch 1 with chunks 0 to 2, or batch 2 with chunks 3 and 4.
pub fn batch_sent(name: &str, number: u32) -> Deed {
    let (first_chunk, chunks) = if number == 1 { (0, 3) } else { (3, 2) };
    let end = (first_chunk + chunks) * u64::from(CHUNK_BYTES);
    let bytes = end.min(FILE_BYTES) - first_chunk * u64::from(CHUNK_BYTES);
    let event = BatchSent { number, first_chunk, chunks, bytes, root: batch_root(number) };
    Deed::new(delivery(name), Act::BatchSent(event), alone(SUPPLIER, Role::Supplier))
}

/// The buyer acknowledges a batch.
pub fn batch_acknowledged(name: &str, number: u32) -> Deed {
    let event = BatchAcknowledged { number, root: batch_root(number) };
    Deed::new(delivery(name), Act::BatchAcknowledged(event), alone(BUYER, Role::Buyer))
}

/// Both sides state that the delivery is complete.
pub fn delivery_completed(name: &str) -> Deed {
    let act = Act::DeliveryCompleted(DeliveryCompleted {});
    Deed::new(delivery(name), act, both_sides()).binding()
}
