//! The main path from genesis to a completed delivery, with the state after each act, on the shipped calendars and rule set.

use ledger_event::{
    AssetRecord, CertificateRecord, Clock, ContractRecord, ContractState, DeliveryRecord,
    DeliveryState, KeyRecord, LedgerRecord, ListingRecord, ListingState, PartyRecord,
    RegistrationRecord, RegistrationState, ReviewRecord, ReviewState, RuleSet,
};
use ledger_rules::registration::certificate_is_valid;
use ledger_rules::standing::standing;
use ledger_rules::view::{Typed, read};
use ledger_story::acts::{self, asset, contract, delivery, listing, registration, review};
use ledger_story::cast::{BUYER, EXCHANGE, FOUNDERS, Key, Label, REGISTRY, REVIEWER, SUPPLIER};
use ledger_story::data::{calendar, cn_nda_2026};
use ledger_story::{ANNOUNCED, LIMITS, NUMBER, RAIN, Story, china};

/// The record of an id, and how many entries are about it.
fn expect<T: Typed + PartialEq + std::fmt::Debug>(story: &Story, id: &str, count: u64, body: &T) {
    assert_eq!(&story.record::<T>(id), body, "{id}");
    assert_eq!(story.timeline(id).count, count, "{id}");
}

fn stands(story: &Story, id: &str) -> (String, u32) {
    let record = read(&story.state, id).unwrap();
    let standing = standing(&story.state, &record, story.time_ms);
    assert_eq!(standing.not_determined, "");
    (standing.state, standing.changes_on)
}

#[test]
fn genesis_and_what_it_announces() {
    let story = Story::before_genesis(Clock::Wall, "2026-08-03");
    let founders: Vec<String> = FOUNDERS.map(String::from).into();
    let mut ledger = LedgerRecord {
        genesis: story.genesis.id().0.to_vec().into(),
        founders,
        governance_threshold: 2,
        limits: Some(LIMITS),
        clock: Clock::Wall.into(),
        awaited_documents: story.genesis.message().documents.clone(),
        ..LedgerRecord::default()
    };
    expect(&story, "ledger:genesis", 0, &ledger);

    let genesis = acts::genesis_published(&story.genesis);
    let mut story = story;
    let documents: Vec<_> = std::iter::once(acts::rule_set_published(&cn_nda_2026()))
        .chain(ANNOUNCED.map(|name| acts::calendar_published(&calendar(name))))
        .collect();
    let first = [vec![genesis], documents].concat();
    story.take_all(&first);

    ledger.awaited_documents.clear();
    expect(&story, "ledger:genesis", 5, &ledger);
    expect(&story, "ruleset:CN-NDA-2026/1", 1, &cn_nda_2026());
    for name in ANNOUNCED {
        let id = format!("calendar:{}", name.replace('-', "/"));
        expect(&story, &id, 1, &calendar(name));
    }
    assert_eq!((story.height, story.leaves), (1, 5));
}

#[test]
fn admission_and_keys() {
    let mut story = Story::opened();
    let labels = ledger_story::cast::ENROLLED;
    let mut party = PartyRecord {
        profile: Some(ledger_story::cast::profile(BUYER)),
        roles: ledger_story::cast::roles(BUYER).iter().map(|role| i32::from(*role)).collect(),
        keys: labels.map(|label| Key(BUYER, label).kid().0.to_vec().into()).into(),
        admitted_by: String::new(),
    };
    let id = format!("party:{BUYER}");
    expect(&story, &id, 1, &party);
    for label in labels {
        let grant = Key(BUYER, label).grant();
        let key = KeyRecord {
            party: BUYER.into(),
            public_key: grant.public_key.clone(),
            factor: grant.factor,
            officer: grant.officer.clone(),
            revoked_ms: 0,
        };
        expect(&story, &format!("key:{}", Key(BUYER, label).kid()), 1, &key);
    }

    story.take(&acts::key_enrolled(BUYER, Label::Fresh));
    let fresh = Key(BUYER, Label::Fresh);
    party.keys.push(fresh.kid().0.to_vec().into());
    expect(&story, &id, 2, &party);
    let key_id = format!("key:{}", fresh.kid());
    assert_eq!(story.record::<KeyRecord>(&key_id).revoked_ms, 0);
    assert_eq!(stands(&story, &key_id), ("ACTIVE".into(), 0));

    story = story.on("2026-08-04");
    story.take(&acts::key_revoked(BUYER, Label::Fresh));
    expect(&story, &id, 3, &party);
    assert_eq!(story.record::<KeyRecord>(&key_id).revoked_ms, china("2026-08-04"));
    assert_eq!(story.timeline(&key_id).count, 2);
    assert_eq!(stands(&story, &key_id), ("REVOKED".into(), 0));

    story.take(&acts::key_revoked_by_authority(BUYER, Label::SpareLi));
    let spare = format!("key:{}", Key(BUYER, Label::SpareLi).kid());
    assert_ne!(story.record::<KeyRecord>(&spare).revoked_ms, 0);
}

#[test]
fn asset_and_its_history() {
    let story = Story::opened().described();
    let mut record = AssetRecord {
        supplier: SUPPLIER.into(),
        version: 1,
        description: Some(acts::description()),
        certificates: vec![],
    };
    expect(&story, &asset(RAIN), 1, &record);

    let story = story.did(&acts::history_by_supplier(RAIN)).did(&acts::history_by_exchange(RAIN));
    expect(&story, &asset(RAIN), 3, &record);

    let story = story.did(&acts::asset_revised(RAIN, |d| d.content_bytes += 1));
    record.version = 2;
    record.description.as_mut().unwrap().content_bytes += 1;
    expect(&story, &asset(RAIN), 4, &record);

    // Lineage: the input's timeline shows that something was made from it.
    let edge = ledger_event::Derivation {
        asset: asset(RAIN),
        version: 1,
        kind: ledger_event::DerivationKind::Aggregate.into(),
    };
    let derived =
        acts::asset_described("monthly").with(|event: &mut ledger_event::AssetDescribed| {
            event.description.as_mut().unwrap().derived_from = vec![edge];
        });
    let story = story.did(&derived);
    expect(&story, &asset(RAIN), 5, &record);
    assert_eq!(story.timeline(&asset("monthly")).count, 1);
}

#[test]
fn registration_to_certificate() {
    let id = registration(RAIN);
    let story = Story::opened().described().on("2026-08-03").applied();
    let applied = acts::registration_applied(RAIN);
    let ledger_event::event::Act::RegistrationApplied(event) = &applied.act else { panic!() };
    let mut record = RegistrationRecord {
        state: RegistrationState::Applied.into(),
        applicant: SUPPLIER.into(),
        registry: REGISTRY.into(),
        rule_set: "CN-NDA-2026/1".into(),
        asset: asset(RAIN),
        version: 1,
        rights: event.rights.clone(),
        validity_years: 5,
        applied_ms: china("2026-08-03"),
        ..RegistrationRecord::default()
    };
    expect(&story, &id, 1, &record);
    assert_eq!(stands(&story, &id), ("APPLIED".into(), 20_260_807));
    assert_eq!(story.timeline(&asset(RAIN)).count, 2);

    let story = story.on("2026-08-04").accepted();
    record.state = RegistrationState::Accepted.into();
    record.accepted_ms = china("2026-08-04");
    expect(&story, &id, 2, &record);
    assert_eq!(stands(&story, &id), ("ACCEPTED".into(), 0));

    let story = story.on("2026-08-05").reviewed();
    record.state = RegistrationState::Reviewed.into();
    record.reviewed_ms = china("2026-08-05");
    expect(&story, &id, 3, &record);
    assert_eq!(stands(&story, &id), ("REVIEWED".into(), 0));

    let story = story.on("2026-08-06").noticed();
    record.state = RegistrationState::Notice.into();
    record.notice_ms = china("2026-08-06");
    expect(&story, &id, 4, &record);
    assert_eq!(stands(&story, &id), ("NOTICE".into(), 20_260_814));
    assert_eq!(stands(&story.clone().on("2026-08-14"), &id), ("NOTICE_DONE".into(), 0));

    let story = story.on("2026-08-14").recorded();
    record.state = RegistrationState::Registered.into();
    record.registered_ms = china("2026-08-14");
    record.valid_from = 20_260_814;
    record.valid_to = 20_310_813;
    expect(&story, &id, 5, &record);
    assert_eq!(stands(&story, &id), ("REGISTERED".into(), 20_310_814));

    let story = story.certified();
    record.state = RegistrationState::Certified.into();
    record.certificate = NUMBER.into();
    expect(&story, &id, 6, &record);
    assert_eq!(stands(&story, &id), ("CERTIFIED".into(), 20_310_814));
    let certificate = CertificateRecord {
        registration: id,
        registry: REGISTRY.into(),
        holder: SUPPLIER.into(),
        asset: asset(RAIN),
        version: 1,
        rights: record.rights,
        valid_from: 20_260_814,
        valid_to: 20_310_813,
        body: acts::digest("sealed document"),
        rule_set: "CN-NDA-2026/1".into(),
    };
    expect(&story, &format!("certificate:{NUMBER}"), 1, &certificate);
    assert_eq!(certificate_is_valid(&story.state, &certificate, story.time_ms), Some(true));
    assert_eq!(stands(&story, &format!("certificate:{NUMBER}")), ("VALID".into(), 20_310_814));
    assert_eq!(story.record::<AssetRecord>(&asset(RAIN)).certificates, [NUMBER]);
    assert_eq!(story.timeline(&asset(RAIN)).count, 3);
}

#[test]
fn review_to_listing() {
    let story = Story::before(ledger_story::Stage::Submitted).submitted();
    let mut record = ReviewRecord {
        state: ReviewState::Submitted.into(),
        supplier: SUPPLIER.into(),
        reviewer: REVIEWER.into(),
        asset: asset(RAIN),
        version: 1,
        valid_to: 0,
        remarks: String::new(),
    };
    expect(&story, &review(RAIN), 1, &record);
    assert_eq!(stands(&story, &review(RAIN)), ("SUBMITTED".into(), 0));

    let story = story.decided();
    record.state = ReviewState::Passed.into();
    record.valid_to = 20_270_817;
    expect(&story, &review(RAIN), 2, &record);
    assert_eq!(stands(&story, &review(RAIN)).0, "PASSED");

    let story = story.offered();
    let mut record = ListingRecord {
        state: ListingState::Applied.into(),
        seller: SUPPLIER.into(),
        venue: EXCHANGE.into(),
        asset: asset(RAIN),
        version: 1,
        certificate: NUMBER.into(),
        review: review(RAIN),
        mode: ledger_event::TradeMode::Listing.into(),
        price_commitment: acts::hash("price"),
        rule_set: "CN-NDA-2026/1".into(),
    };
    expect(&story, &listing(RAIN), 1, &record);

    let story = story.listed();
    record.state = ListingState::Listed.into();
    expect(&story, &listing(RAIN), 2, &record);
    assert_eq!(stands(&story, &listing(RAIN)), ("LISTED".into(), 0));
    assert_eq!(story.timeline(&asset(RAIN)).count, 5);
}

#[test]
fn contract_to_completed_delivery() {
    let story = Story::before(ledger_story::Stage::Contracted).contracted();
    let agreed = ContractRecord {
        state: ContractState::Contracted.into(),
        listing: listing(RAIN),
        seller: SUPPLIER.into(),
        buyer: BUYER.into(),
        contract_type: ledger_event::ContractType::Provision.into(),
        delivery_mode: ledger_event::DeliveryMode::File.into(),
        delivery_property: ledger_event::DeliveryProperty::Both.into(),
        price_commitment: acts::hash("price agreed"),
        terms: acts::digest("terms of the contract"),
        valid_to: 20_270_630,
        asset: asset(RAIN),
        version: 1,
        rule_set: "CN-NDA-2026/1".into(),
    };
    expect(&story, &contract(RAIN), 1, &agreed);
    assert_eq!(stands(&story, &contract(RAIN)), ("IN_FORCE".into(), 20_270_701));
    assert_eq!(story.timeline(&listing(RAIN)).count, 3);

    let id = delivery(RAIN);
    let story = story.planned();
    let planned = acts::delivery_planned(RAIN);
    let ledger_event::event::Act::DeliveryPlanned(event) = planned.act else { panic!() };
    let mut record = DeliveryRecord {
        state: DeliveryState::Planned.into(),
        contract: contract(RAIN),
        seller: SUPPLIER.into(),
        buyer: BUYER.into(),
        asset: asset(RAIN),
        version: 1,
        file: event.file,
        batches: 2,
        window_to: 20_260_930,
        rule_set: "CN-NDA-2026/1".into(),
        ..DeliveryRecord::default()
    };
    expect(&story, &id, 1, &record);
    assert_eq!(story.timeline(&contract(RAIN)).count, 2);

    let sent = |number, at| ledger_event::BatchRecord {
        number,
        root: acts::batch_root(number),
        sent_ms: china(at),
    };
    let story = story.on("2026-08-25").sent(1);
    record.state = DeliveryState::InProgress.into();
    (record.sent, record.next_chunk) = (1, 3);
    record.outstanding = vec![sent(1, "2026-08-25")];
    expect(&story, &id, 2, &record);

    // The second batch goes out before the first is acknowledged, and is acknowledged before it.
    let story = story.on("2026-08-26").sent(2);
    (record.sent, record.next_chunk) = (2, 5);
    record.outstanding.push(sent(2, "2026-08-26"));
    expect(&story, &id, 3, &record);

    let story = story.acknowledged(2);
    record.acknowledged = 1;
    record.outstanding.pop();
    expect(&story, &id, 4, &record);

    let story = story.acknowledged(1);
    record.acknowledged = 2;
    record.outstanding.clear();
    expect(&story, &id, 5, &record);
    assert_eq!(stands(&story, &id).0, "IN_PROGRESS");

    let story = story.completed();
    record.state = DeliveryState::Completed.into();
    expect(&story, &id, 6, &record);
    assert_eq!(stands(&story, &id).0, "COMPLETED");
    expect(&story, &contract(RAIN), 3, &agreed);
}

/// Who signed, and what was done, in numbers: the timelines across subjects.
#[test]
fn activity_of_the_whole_path() {
    let story = Story::before(ledger_story::Stage::End);
    let signed = |party: &str| story.timeline(&format!("activity:party/{party}")).count;
    // Genesis and four documents, four admissions, one listing published.
    assert_eq!(signed(EXCHANGE), 10);
    // Genesis and four documents, then acceptance, review, notice, evidence and certificate.
    assert_eq!(signed(REGISTRY), 10);
    // Description, application, submission, listing, contract, plan, two batches, completion.
    assert_eq!(signed(SUPPLIER), 9);
    // Contract, plan, two acknowledgements, completion.
    assert_eq!(signed(BUYER), 5);
    assert_eq!(signed(REVIEWER), 1);
    for (kind, count) in
        [("calendar_published", 3), ("party_admitted", 4), ("batch_sent", 2), ("key_revoked", 0)]
    {
        let id = format!("activity:kind/{kind}");
        assert_eq!(story.timeline(&id).count, count, "{kind}");
    }
}

/// What a rule set cites is a code that exists, so that nobody looks an article up in vain.
#[test]
fn the_rule_set_cites_codes_that_exist() {
    let rules: RuleSet = cn_nda_2026();
    assert!(!rules.citations.is_empty());
    for citation in &rules.citations {
        let known = ledger_rules::Code::ALL.iter().any(|code| code.as_str() == citation.code);
        assert!(known, "{}", citation.code);
        assert!(citation.article.starts_with('第'), "{}", citation.article);
    }
}

#[test]
fn every_shipped_calendar_can_be_published() {
    for name in ["CN-2024", "CN-2025", "CN-2026", "HK-2025", "HK-2026"] {
        assert_eq!(ledger_rules::calendar::check_calendar(&calendar(name)), Ok(()), "{name}");
    }
}
