//! T1 to T4: compliance review and listing, and the papers that they rely on (docs/spec/rules.md, review and listing).

use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, AssetRecord, CertificateRecord, Digest, Grade,
    ListingApplied, PartyRecord, PersonalInformation, RegistrationApplied, ReviewDecided,
    ReviewOutcome, ReviewRecord, ReviewState, ReviewSubmitted, Right, Role, RuleSet, TradeMode,
};
use ledger_rules::Code;
use ledger_story::acts::{self, asset, asset_described, asset_revised, digest, review};
use ledger_story::cast::{BUYER, EXCHANGE, OMNI, REGISTRY, REVIEWER, SUPPLIER};
use ledger_story::data::cn_nda_2026;
use ledger_story::deed::{Deed, alone, two_factors, two_officers};
use ledger_story::{NUMBER, RAIN, Stage, Story};

/// Each thing that is not the digest of something.
fn no_digests() -> [Option<Digest>; 3] {
    let short = digest("something").map(|d| Digest { value: d.value.slice(1..), ..d });
    let other = digest("something").map(|d| Digest { algorithm: 0, ..d });
    [None, short, other]
}

fn with_certificate(story: Story, change: impl FnOnce(&mut CertificateRecord)) -> Story {
    story.altered(&format!("certificate:{NUMBER}"), change)
}

fn with_review(story: Story, change: impl FnOnce(&mut ReviewRecord)) -> Story {
    story.altered(&review(RAIN), change)
}

fn with_description(story: Story, change: impl FnOnce(&mut AssetDescription)) -> Story {
    story.altered(&asset(RAIN), |record: &mut AssetRecord| {
        change(record.description.as_mut().unwrap());
    })
}

// --- T1: submission ------------------------------------------------------------------------------------------------------

fn submission(change: impl FnOnce(&mut ReviewSubmitted)) -> Deed {
    acts::review_submitted(RAIN).with(change)
}

#[test]
fn only_the_supplier_submits_an_asset() {
    let by_another = submission(|_| {})
        .about(format!("review:{OMNI}/{RAIN}"))
        .signed_by(alone(OMNI, Role::Supplier));
    let story = Story::before(Stage::Submitted);
    assert_eq!(story.refusal(&by_another), Some(Code::SubjectNotOwn));
}

#[test]
fn what_is_reviewed_is_registered_or_open() {
    let registered = Story::before(Stage::Certified);
    assert_eq!(registered.refusal(&submission(|_| {})), Some(Code::NoCertificate));
    let open = asset_described(RAIN).with(|event: &mut AssetDescribed| {
        event.description.as_mut().unwrap().kind = AssetKind::Open.into();
    });
    assert_eq!(Story::opened().did(&open).refusal(&submission(|_| {})), None);
}

/// The certificate of one version says nothing of the next.
#[test]
fn a_certificate_is_of_the_version_that_is_reviewed() {
    let story = Story::before(Stage::Submitted).did(&asset_revised(RAIN, |_| {}));
    let second = submission(|event| event.version = 2);
    assert_eq!(story.refusal(&second), Some(Code::NoCertificate));
    assert_eq!(story.refusal(&submission(|_| {})), Some(Code::AssetVersion));
    let certified = with_certificate(story, |certificate| certificate.version = 2);
    assert_eq!(certified.refusal(&second), None);
}

#[test]
fn a_reviewer_has_that_role() {
    let story = Story::before(Stage::Submitted);
    assert_eq!(story.refusal(&submission(|event| event.reviewer = OMNI.into())), None);
    for party in [BUYER, "nobody", ""] {
        let deed = submission(|event| event.reviewer = party.into());
        assert_eq!(story.refusal(&deed), Some(Code::NotAReviewer), "{party:?}");
    }
}

#[test]
fn who_supplies_or_registers_an_asset_does_not_review_it() {
    let story =
        [SUPPLIER, REGISTRY].into_iter().fold(Story::before(Stage::Submitted), |story, party| {
            story.altered(&format!("party:{party}"), |party: &mut PartyRecord| {
                party.roles.push(Role::Reviewer.into());
            })
        });
    for party in [SUPPLIER, REGISTRY] {
        let deed = submission(|event| event.reviewer = party.into());
        assert_eq!(story.refusal(&deed), Some(Code::ReviewerConflict), "{party}");
    }
}

/// The number of the other registry's certificate.
const OTHER: &str = "SJ4422026080001";

/// Registered with two registries, each of which issued a certificate.
fn registered_twice() -> Story {
    let name = "again";
    let applied = acts::registration_applied(name).with(|event: &mut RegistrationApplied| {
        event.asset = asset(RAIN);
        event.registry = OMNI.into();
    });
    let clerk = || alone(OMNI, Role::Registry);
    let office = || two_factors(OMNI, Role::Registry);
    let officers = two_officers(OMNI, Role::Registry);
    Story::before(Stage::Submitted)
        .did(&applied)
        .did(&acts::registration_accepted(name).signed_by(clerk()))
        .did(&acts::registration_reviewed(name).signed_by(officers))
        .did(&acts::notice_opened(name).signed_by(clerk()))
        .on("2026-08-24")
        .did(&acts::evidence_recorded(name).signed_by(office()))
        .did(&acts::certificate_issued(name, OTHER).signed_by(office()))
}

#[test]
fn no_registry_of_an_asset_reviews_it() {
    let story =
        registered_twice().altered(&format!("party:{REGISTRY}"), |party: &mut PartyRecord| {
            party.roles.push(Role::Reviewer.into());
        });
    assert_eq!(story.refusal(&submission(|_| {})), None);
    for party in [REGISTRY, OMNI] {
        let deed = submission(|event| event.reviewer = party.into());
        assert_eq!(story.refusal(&deed), Some(Code::ReviewerConflict), "{party}");
    }
}

#[test]
fn one_valid_certificate_of_several_will_do() {
    let expired = |numbers: &[&str]| {
        let story = numbers.iter().fold(registered_twice(), |story, number| {
            let id = format!("certificate:{number}");
            story.altered(&id, |certificate: &mut CertificateRecord| {
                certificate.valid_to = 20_260_823;
            })
        });
        story.refusal(&submission(|_| {}))
    };
    assert_eq!(expired(&[NUMBER]), None);
    assert_eq!(expired(&[OTHER]), None);
    assert_eq!(expired(&[NUMBER, OTHER]), Some(Code::NoCertificate));
}

#[test]
fn what_is_submitted_is_a_digest_or_left_out() {
    let [absent, short, other] = no_digests();
    for (materials, refusal) in
        [(absent, None), (short, Some(Code::Field)), (other, Some(Code::Field))]
    {
        let deed = submission(|event| event.materials = materials);
        assert_eq!(Story::before(Stage::Submitted).refusal(&deed), refusal, "{:?}", deed.act);
    }
}

// --- T2: decision --------------------------------------------------------------------------------------------------------

fn decision(outcome: ReviewOutcome, valid_to: u32, remarks: &str) -> Deed {
    acts::review_decided(RAIN).with(|event: &mut ReviewDecided| {
        event.outcome = outcome.into();
        event.valid_to = valid_to;
        event.remarks = remarks.into();
    })
}

#[test]
fn a_review_is_decided_once() {
    for outcome in [ReviewOutcome::Passed, ReviewOutcome::Conditional, ReviewOutcome::Failed] {
        let until = if outcome == ReviewOutcome::Failed { 0 } else { 20_270_817 };
        let story = Story::before(Stage::Decided).did(&decision(outcome, until, "why"));
        let again = acts::review_decided(RAIN);
        assert_eq!(story.refusal(&again), Some(Code::WrongState), "{outcome:?}");
    }
}

#[test]
fn a_decision_says_its_outcome_until_when_and_why() {
    use ReviewOutcome::{Conditional, Failed, Passed, Unspecified};
    let longest = "注".repeat(1_000);
    let too_long = "注".repeat(1_001);
    for (outcome, valid_to, remarks, refusal) in [
        (Passed, 20_270_817, "", None),
        (Passed, 20_270_817, longest.as_str(), None),
        (Passed, 20_270_817, too_long.as_str(), Some(Code::Field)),
        (Passed, 0, "", Some(Code::Field)),
        (Passed, 20_270_229, "", Some(Code::Field)),
        (Conditional, 20_270_817, "within the province", None),
        (Conditional, 20_270_817, "", Some(Code::Field)),
        (Conditional, 0, "within the province", Some(Code::Field)),
        (Failed, 0, "no source", None),
        (Failed, 0, "", Some(Code::Field)),
        (Failed, 20_270_817, "no source", Some(Code::Field)),
        (Unspecified, 20_270_817, "why", Some(Code::Field)),
    ] {
        let found = Story::before(Stage::Decided).refusal(&decision(outcome, valid_to, remarks));
        assert_eq!(found, refusal, "{outcome:?} to {valid_to}, {} bytes", remarks.len());
    }
    for opinion in no_digests() {
        let deed = acts::review_decided(RAIN).with(|event: &mut ReviewDecided| {
            event.opinion = opinion;
        });
        let refusal = Story::before(Stage::Decided).refusal(&deed);
        assert_eq!(refusal, Some(Code::Field), "{:?}", deed.act);
    }
}

#[test]
fn a_review_is_what_was_decided() {
    for (outcome, valid_to, state) in [
        (ReviewOutcome::Passed, 20_270_817, ReviewState::Passed),
        (ReviewOutcome::Conditional, 20_270_816, ReviewState::Conditional),
        (ReviewOutcome::Failed, 0, ReviewState::Failed),
    ] {
        let story = Story::before(Stage::Decided).did(&decision(outcome, valid_to, "why"));
        let record: ReviewRecord = story.record(&review(RAIN));
        assert_eq!(record.state(), state);
        assert_eq!((record.valid_to, record.remarks.as_str()), (valid_to, "why"));
        // What failed is not listed; conditions are for the listing's readers.
        let refusal = (state == ReviewState::Failed).then_some(Code::NoReview);
        assert_eq!(story.refusal(&application(|_| {})), refusal, "{outcome:?}");
    }
}

// --- papers --------------------------------------------------------------------------------------------------------------

fn application(change: impl FnOnce(&mut ListingApplied)) -> Deed {
    acts::listing_applied(RAIN, NUMBER).with(change)
}

/// What makes a listing's papers bad, and the code that says so.
fn bad_papers(story: &Story) -> Vec<(&'static str, Code, Story)> {
    let certificate = |change: fn(&mut CertificateRecord)| with_certificate(story.clone(), change);
    let review = |change: fn(&mut ReviewRecord)| with_review(story.clone(), change);
    let (none, unlisted) = (Code::NoCertificate, Code::NoReview);
    vec![
        ("a certificate of another asset", none, certificate(|c| c.asset = asset("snow"))),
        ("a certificate of another version", none, certificate(|c| c.version = 2)),
        ("a certificate of another holder", none, certificate(|c| c.holder = OMNI.into())),
        ("a certificate that has run out", none, certificate(|c| c.valid_to = 20_260_818)),
        ("a certificate of later on", none, certificate(|c| c.valid_from = 20_270_101)),
        ("a review of another asset", unlisted, review(|r| r.asset = asset("snow"))),
        ("a review of another version", unlisted, review(|r| r.version = 2)),
        ("a review that failed", unlisted, review(|r| r.state = ReviewState::Failed.into())),
        ("a review to come", unlisted, review(|r| r.state = ReviewState::Submitted.into())),
        ("a review that has run out", Code::ReviewExpired, review(|r| r.valid_to = 20_260_818)),
    ]
}

/// When it is applied for, when it is published, and when a contract is signed on it.
#[test]
fn the_papers_of_a_listing_are_looked_at_each_time() {
    let steps = [
        (Stage::Offered, "2026-08-19", application(|_| {})),
        (Stage::Listed, "2026-08-20", acts::listing_published(RAIN)),
        (Stage::Contracted, "2026-08-21", acts::contract_signed(RAIN)),
    ];
    for (stage, at, deed) in steps {
        let story = Story::before(stage).on(at);
        assert_eq!(story.judge(&deed), Ok(()), "{stage:?}");
        for (why, code, story) in bad_papers(&story) {
            assert_eq!(story.refusal(&deed), Some(code), "{stage:?}: {why}");
        }
    }
}

/// Art. 21. Whoever may only hold or use data does not sell it.
#[test]
fn the_seller_has_the_right_to_operate() {
    for (stage, deed) in
        [(Stage::Offered, application(|_| {})), (Stage::Contracted, acts::contract_signed(RAIN))]
    {
        let story = with_certificate(Story::before(stage), |certificate| {
            certificate.rights.retain(|claim| claim.right() != Right::Operate);
        });
        assert_eq!(story.refusal(&deed), Some(Code::SellerLacksOperate), "{stage:?}");
    }
}

#[test]
fn a_review_with_conditions_is_a_positive_one() {
    let conditional = |r: &mut ReviewRecord| r.state = ReviewState::Conditional.into();
    for (stage, deed) in [
        (Stage::Offered, application(|_| {})),
        (Stage::Listed, acts::listing_published(RAIN)),
        (Stage::Contracted, acts::contract_signed(RAIN)),
    ] {
        assert_eq!(with_review(Story::before(stage), conditional).refusal(&deed), None);
    }
}

#[test]
fn papers_that_do_not_exist_are_none() {
    let story = Story::before(Stage::Offered);
    for number in ["", "SJ4412026080002"] {
        let deed = application(|event| event.certificate = number.into());
        assert_eq!(story.refusal(&deed), Some(Code::NoCertificate), "{number:?}");
    }
    // The third is there, and is no review.
    for id in [String::new(), review("snow"), asset(RAIN)] {
        let deed = application(|event| event.review = id.clone());
        assert_eq!(story.refusal(&deed), Some(Code::NoReview), "{id:?}");
    }
}

/// A named paper must be good, even where none is asked for.
#[test]
fn rules_that_ask_for_no_papers_look_at_those_that_are_named() {
    let rules = second_version(|rules| {
        let trade = rules.trade.as_mut().unwrap();
        (trade.certificate_required, trade.review_required) = (false, false);
    });
    let story = Story::before(Stage::Offered).did(&acts::rule_set_published(&rules));
    let with = |certificate: &str, review: &str| {
        let deed = application(|event| {
            event.rule_set = "CN-NDA-2026/2".into();
            (event.certificate, event.review) = (certificate.into(), review.into());
        });
        story.refusal(&deed)
    };
    assert_eq!(with("", ""), None);
    assert_eq!(with(NUMBER, &review(RAIN)), None);
    assert_eq!(with("SJ4412026080002", ""), Some(Code::NoCertificate));
    assert_eq!(with("", &review("snow")), Some(Code::NoReview));
}

// --- T3: application -----------------------------------------------------------------------------------------------------

/// The national rules with a change, as their second version.
fn second_version(change: impl FnOnce(&mut RuleSet)) -> RuleSet {
    let mut rules = cn_nda_2026();
    rules.version = 2;
    change(&mut rules);
    rules
}

#[test]
fn only_the_supplier_lists_an_asset_and_only_its_current_version() {
    let story = Story::before(Stage::Offered);
    let by_another = application(|_| {})
        .about(format!("listing:{OMNI}/{RAIN}"))
        .signed_by(two_factors(OMNI, Role::Supplier));
    assert_eq!(story.refusal(&by_another), Some(Code::SubjectNotOwn));
    let revised = story.did(&asset_revised(RAIN, |_| {}));
    assert_eq!(revised.refusal(&application(|_| {})), Some(Code::AssetVersion));
}

#[test]
fn a_listing_names_an_exchange() {
    let story = Story::before(Stage::Offered);
    assert_eq!(story.refusal(&application(|event| event.venue = OMNI.into())), None);
    for party in [REGISTRY, REVIEWER, "nobody", ""] {
        let deed = application(|event| event.venue = party.into());
        assert_eq!(story.refusal(&deed), Some(Code::NotAnExchange), "{party:?}");
    }
}

#[test]
fn core_data_is_not_listed() {
    let story = Story::before(Stage::Offered);
    let core = with_description(story.clone(), |d| d.grade = Grade::Core.into());
    assert_eq!(core.refusal(&application(|_| {})), Some(Code::CoreData));
    let important = with_description(story, |d| d.grade = Grade::Important.into());
    assert_eq!(important.refusal(&application(|_| {})), None);
}

#[test]
fn personal_information_is_listed_anonymised_or_not_at_all() {
    use PersonalInformation::{Anonymised, Deidentified, None, Present, Sensitive, Unspecified};
    for (held, allowed) in [
        (None, true),
        (Anonymised, true),
        (Deidentified, false),
        (Present, false),
        (Sensitive, false),
        (Unspecified, false),
    ] {
        let story = Story::before(Stage::Offered);
        let story = with_description(story, |d| d.personal_information = held.into());
        let refusal = (!allowed).then_some(Code::PersonalNoBasis);
        assert_eq!(story.refusal(&application(|_| {})), refusal, "{held:?}");
    }
}

#[test]
fn other_modes_of_trade_have_no_acts_yet() {
    use TradeMode::{Auction, Negotiation, Subscription, Tender, Unspecified};
    for mode in [Unspecified, Negotiation, Auction, Tender, Subscription] {
        let deed = application(|event| event.mode = mode.into());
        let refusal = Story::before(Stage::Offered).refusal(&deed);
        assert_eq!(refusal, Some(Code::ModeNotAllowed), "{mode:?}");
    }
}

#[test]
fn a_listing_has_terms_and_scenarios_and_maybe_a_price() {
    let story = Story::before(Stage::Offered);
    let with = |change: &dyn Fn(&mut ListingApplied)| story.refusal(&application(change));
    for terms in no_digests() {
        assert_eq!(with(&|event| event.terms.clone_from(&terms)), Some(Code::Field), "{terms:?}");
    }
    for (bytes, refusal) in
        [(0, None), (31, Some(Code::Field)), (32, None), (33, Some(Code::Field))]
    {
        let found = with(&|event| event.price_commitment = vec![7; bytes].into());
        assert_eq!(found, refusal, "{bytes} bytes");
    }
    let scenarios = |scenarios: Vec<String>| with(&|event| event.scenarios.clone_from(&scenarios));
    assert_eq!(scenarios(vec![]), Some(Code::Field));
    assert_eq!(scenarios(vec!["险".repeat(100); 32]), None);
    assert_eq!(scenarios(vec!["险".into(); 33]), Some(Code::Field));
    assert_eq!(scenarios(vec!["险".into(), String::new()]), Some(Code::Field));
    assert_eq!(scenarios(vec!["险".into(), "险".repeat(101)]), Some(Code::Field));
}

/// Applied for while they are in force; published whenever the exchange comes to it.
#[test]
fn a_listing_is_applied_for_under_rules_in_force_and_keeps_them() {
    let rules = second_version(|rules| rules.effective_to = 20_260_819);
    let story = Story::before(Stage::Offered).did(&acts::rule_set_published(&rules));
    let apply = application(|event| event.rule_set = "CN-NDA-2026/2".into());
    let late = story.clone().on("2026-08-20T00:00");
    assert_eq!(late.refusal(&apply), Some(Code::RulesetNotInForce));
    let applied = story.on("2026-08-19T23:00").did(&apply).on("2026-08-20");
    assert_eq!(applied.refusal(&acts::listing_published(RAIN)), None);
}

// --- T4: publication -----------------------------------------------------------------------------------------------------

#[test]
fn a_listing_is_published_once_and_by_its_exchange() {
    let story = Story::before(Stage::Listed);
    let by_another = acts::listing_published(RAIN).signed_by(alone(OMNI, Role::Exchange));
    assert_eq!(story.refusal(&by_another), Some(Code::SigMissingRole));
    let again = acts::listing_published(RAIN).signed_by(alone(EXCHANGE, Role::Exchange));
    assert_eq!(story.listed().refusal(&again), Some(Code::WrongState));
}
