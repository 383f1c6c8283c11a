//! R1: who may apply for the registration of what, on which basis (docs/spec/rules.md, registration).

use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, Basis, DataClass, Derivation, DerivationKind,
    Digest, Grade, PartyKind, PartyRecord, RegistrationApplied, Right, RightClaim, Role, RuleSet,
};
use ledger_rules::Code;
use ledger_story::acts::{self, asset, asset_described, asset_revised, digest};
use ledger_story::cast::{BUYER, EXCHANGE, OMNI, SUPPLIER};
use ledger_story::data::cn_nda_2026;
use ledger_story::deed::{Deed, alone, two_factors};
use ledger_story::{RAIN, Stage, Story};

/// The asset is described, and nothing applied for.
fn ready() -> Story {
    Story::before(Stage::Applied)
}

/// The same with another description of the asset.
fn described(change: impl FnOnce(&mut AssetDescription)) -> Story {
    let deed = asset_described(RAIN)
        .with(|event: &mut AssetDescribed| change(event.description.as_mut().unwrap()));
    Story::opened().did(&deed)
}

fn application(change: impl FnOnce(&mut RegistrationApplied)) -> Deed {
    acts::registration_applied(RAIN).with(change)
}

/// What the usual application meets when the asset is described in another way.
fn refusal_of(change: impl FnOnce(&mut AssetDescription)) -> Option<Code> {
    described(change).refusal(&application(|_| {}))
}

fn refusal_with(change: impl FnOnce(&mut RegistrationApplied)) -> Option<Code> {
    ready().refusal(&application(change))
}

fn claim(right: Right, basis: Basis) -> RightClaim {
    RightClaim { right: right.into(), basis: basis.into() }
}

/// The application of one right on one basis.
fn claiming(right: Right, basis: Basis) -> Deed {
    application(|event| event.rights = vec![claim(right, basis)])
}

/// The national rules with a change, as their second version.
fn second_version(change: impl FnOnce(&mut RuleSet)) -> RuleSet {
    let mut rules = cn_nda_2026();
    rules.version = 2;
    change(&mut rules);
    rules
}

fn under_second_version() -> Deed {
    application(|event| event.rule_set = "CN-NDA-2026/2".into())
}

// --- who, and before whom ------------------------------------------------------------------------------------------------

#[test]
fn only_the_supplier_of_an_asset_applies_for_it() {
    let by_another = application(|_| {})
        .about(format!("registration:{OMNI}/{RAIN}"))
        .signed_by(two_factors(OMNI, Role::Supplier));
    assert_eq!(ready().refusal(&by_another), Some(Code::SubjectNotOwn));
}

#[test]
fn an_application_goes_to_a_registry() {
    assert_eq!(refusal_with(|event| event.registry = OMNI.into()), None);
    for party in [EXCHANGE, BUYER, "nobody", ""] {
        let refusal = refusal_with(|event| event.registry = party.into());
        assert_eq!(refusal, Some(Code::NotARegistry), "{party:?}");
    }
}

/// Art. 10(7).
#[test]
fn a_registry_does_not_apply_to_itself() {
    let described = asset_described(RAIN)
        .about(format!("asset:{OMNI}/{RAIN}"))
        .signed_by(alone(OMNI, Role::Supplier));
    let story = Story::opened().did(&described);
    let own = |event: &mut RegistrationApplied| event.asset = format!("asset:{OMNI}/{RAIN}");
    let elsewhere = application(own)
        .about(format!("registration:{OMNI}/{RAIN}"))
        .signed_by(two_factors(OMNI, Role::Supplier));
    assert_eq!(story.refusal(&elsewhere), None);
    let itself = elsewhere.with(|event: &mut RegistrationApplied| event.registry = OMNI.into());
    assert_eq!(story.refusal(&itself), Some(Code::SelfRegistration));
}

/// Art. 21(7).
#[test]
fn a_processor_does_not_register_what_it_was_entrusted_with() {
    assert_eq!(refusal_of(|d| d.entrusted_processor = SUPPLIER.into()), Some(Code::Entrusted));
    assert_eq!(refusal_of(|d| d.entrusted_processor = OMNI.into()), None);
}

// --- what ----------------------------------------------------------------------------------------------------------------

#[test]
fn core_data_is_not_registered_and_a_grade_is_stated() {
    assert_eq!(refusal_of(|d| d.grade = Grade::Core.into()), Some(Code::CoreData));
    assert_eq!(refusal_of(|d| d.grade = Grade::Unspecified.into()), Some(Code::Field));
    for grade in [Grade::Important, Grade::General4, Grade::General3, Grade::General1] {
        assert_eq!(refusal_of(|d| d.grade = grade.into()), None, "{grade:?}");
    }
}

/// Art. 15(1), 15(2).
#[test]
fn public_data_is_registered_as_a_product_with_its_number_only() {
    let class = |class: DataClass, number: &str| {
        refusal_of(|d| {
            d.data_class = class.into();
            d.public_registration = number.into();
        })
    };
    assert_eq!(class(DataClass::PublicRaw, "GD-2026-1"), Some(Code::RawPublic));
    assert_eq!(class(DataClass::Public, ""), Some(Code::NoPublicRegistration));
    assert_eq!(class(DataClass::Public, "GD-2026-1"), None);
    assert_eq!(class(DataClass::Personal, ""), None);
}

/// Art. 19 and the annex: characters, not bytes.
#[test]
fn a_name_and_a_summary_have_the_length_that_the_rule_set_allows() {
    for (characters, name, summary) in [
        (0, Some(Code::NameLength), Some(Code::NameLength)),
        (1, None, None),
        (40, None, None),
        (41, Some(Code::NameLength), None),
        (400, Some(Code::NameLength), None),
        (401, Some(Code::NameLength), Some(Code::NameLength)),
    ] {
        let text = "数".repeat(characters);
        assert_eq!(refusal_of(|d| d.name_zh = text.clone()), name, "a name of {characters}");
        assert_eq!(refusal_of(|d| d.summary = text), summary, "a summary of {characters}");
    }
}

#[test]
fn an_application_is_for_the_current_version_of_an_asset() {
    let story = ready().did(&asset_revised(RAIN, |_| {}));
    for (version, refusal) in [
        (0, Some(Code::AssetVersion)),
        (1, Some(Code::AssetVersion)),
        (2, None),
        (3, Some(Code::AssetVersion)),
    ] {
        let deed = application(|event| event.version = version);
        assert_eq!(story.refusal(&deed), refusal, "version {version}");
    }
    let unknown = refusal_with(|event| event.asset = asset("snow"));
    assert_eq!(unknown, Some(Code::SubjectUnknown));
    assert_eq!(refusal_with(|event| event.asset = "rain".into()), Some(Code::Field));
}

// --- for how long, for what ----------------------------------------------------------------------------------------------

/// Art. 26.
#[test]
fn validity_is_a_number_of_years_that_the_rule_set_allows() {
    for (years, refusal) in [
        (0, Some(Code::ValidityTooLong)),
        (1, None),
        (5, None),
        (6, Some(Code::ValidityTooLong)),
        (u32::MAX, Some(Code::ValidityTooLong)),
    ] {
        let found = refusal_with(|event| event.validity_years = years);
        assert_eq!(found, refusal, "{years} years");
    }
}

#[test]
fn a_scenario_is_stated_where_the_rule_set_asks_for_one() {
    assert_eq!(refusal_with(|event| event.scenarios.clear()), Some(Code::NoScenario));
    let rules =
        second_version(|rules| rules.registration.as_mut().unwrap().scenario_required = false);
    let story = ready().did(&acts::rule_set_published(&rules));
    let without =
        under_second_version().with(|event: &mut RegistrationApplied| event.scenarios.clear());
    assert_eq!(story.refusal(&without), None);
}

#[test]
fn scenarios_are_few_and_short() {
    let with = |scenarios: Vec<String>| refusal_with(|event| event.scenarios = scenarios);
    assert_eq!(with(vec!["crop insurance".into(); 32]), None);
    assert_eq!(with(vec!["crop insurance".into(); 33]), Some(Code::Field));
    assert_eq!(with(vec!["险".repeat(100)]), None);
    for scenario in [String::new(), "险".repeat(101), "crop\ninsurance".into()] {
        let scenarios = vec!["crop insurance".into(), scenario.clone()];
        assert_eq!(with(scenarios), Some(Code::Field), "{scenario:?}");
    }
}

#[test]
fn materials_are_stated_as_a_digest() {
    let short = digest("proof").map(|d| Digest { value: d.value.slice(1..), ..d });
    let other = digest("proof").map(|d| Digest { algorithm: 0, ..d });
    for materials in [None, short, other] {
        let refusal = refusal_with(|event| event.materials.clone_from(&materials));
        assert_eq!(refusal, Some(Code::Field), "{materials:?}");
    }
}

// --- which rights, on which basis ----------------------------------------------------------------------------------------

#[test]
fn rights_are_stated_each_once_and_in_order() {
    let with = |claims: &[(Right, Basis)]| {
        let rights = claims.iter().map(|(right, basis)| claim(*right, *basis)).collect();
        refusal_with(|event| event.rights = rights)
    };
    let basis = Basis::SelfCollected;
    assert_eq!(with(&[(Right::Hold, basis), (Right::Operate, basis)]), None);
    assert_eq!(with(&[]), Some(Code::Field));
    assert_eq!(with(&[(Right::Unspecified, basis)]), Some(Code::Field));
    assert_eq!(with(&[(Right::Hold, Basis::Unspecified)]), Some(Code::Field));
    assert_eq!(with(&[(Right::Hold, basis), (Right::Hold, basis)]), Some(Code::Field));
    assert_eq!(with(&[(Right::Use, basis), (Right::Hold, basis)]), Some(Code::Field));
    let hold_twice = [(Right::Hold, basis), (Right::Use, basis), (Right::Hold, basis)];
    assert_eq!(with(&hold_twice), Some(Code::Field));
}

/// Each basis with the rights to hold, to use and to operate, on the product that nothing else is said of.
#[test]
fn each_basis_carries_its_rights_and_no_others() {
    let carried = |basis: Basis| {
        [Right::Hold, Right::Use, Right::Operate].map(|right| {
            match ready().refusal(&claiming(right, basis)) {
                None => true,
                Some(Code::BasisDoesNotCarry) => false,
                Some(Code::ConsentMissing) if basis == Basis::CoDeveloped => false,
                Some(other) => panic!("{basis:?}: {other:?}"),
            }
        })
    };
    assert_eq!(carried(Basis::SelfCollected), [true, true, true]);
    assert_eq!(carried(Basis::Commissioned), [true, true, true]);
    assert_eq!(carried(Basis::CoDeveloped), [true, true, false]);
    assert_eq!(carried(Basis::NaturalPerson), [false, false, false]);
    assert_eq!(carried(Basis::PublicScrape), [true, true, true]);
    assert_eq!(carried(Basis::Derived), [false, false, false]);
    assert_eq!(carried(Basis::Licensed), [false, true, false]);
    assert_eq!(carried(Basis::Transferred), [false, false, false]);
}

/// One claim that its basis does not carry is enough, wherever it stands.
#[test]
fn every_claim_of_an_application_is_looked_at() {
    let (good, bad) = (Basis::SelfCollected, Basis::Transferred);
    for bases in [[bad, good, good], [good, bad, good], [good, good, bad]] {
        let rights = [Right::Hold, Right::Use, Right::Operate];
        let claims = rights.into_iter().zip(bases).map(|(right, basis)| claim(right, basis));
        let refusal = refusal_with(|event| event.rights = claims.collect());
        assert_eq!(refusal, Some(Code::BasisDoesNotCarry), "{bases:?}");
    }
}

/// Art. 21(5).
#[test]
fn to_operate_what_was_developed_together_needs_consent() {
    let deed = claiming(Right::Operate, Basis::CoDeveloped);
    assert_eq!(ready().refusal(&deed), Some(Code::ConsentMissing));
}

/// Art. 21(3).
#[test]
fn natural_persons_have_what_natural_persons_collect() {
    let story = ready().altered(&format!("party:{SUPPLIER}"), |party: &mut PartyRecord| {
        party.profile.as_mut().unwrap().kind = PartyKind::Natural.into();
    });
    for right in [Right::Hold, Right::Use, Right::Operate] {
        assert_eq!(story.refusal(&claiming(right, Basis::NaturalPerson)), None, "{right:?}");
    }
}

/// Art. 21(4).
#[test]
fn scraped_public_data_is_operated_as_a_product_only() {
    let story = described(|d| d.kind = AssetKind::Resource.into());
    for (right, refusal) in
        [(Right::Hold, None), (Right::Use, None), (Right::Operate, Some(Code::BasisDoesNotCarry))]
    {
        let deed = claiming(right, Basis::PublicScrape);
        assert_eq!(story.refusal(&deed), refusal, "{right:?}");
    }
}

/// Art. 21(6).
#[test]
fn what_is_derived_names_what_it_is_derived_from() {
    let input =
        Derivation { asset: asset("source"), version: 1, kind: DerivationKind::Subset.into() };
    let derived = asset_described(RAIN).with(|event: &mut AssetDescribed| {
        event.description.as_mut().unwrap().derived_from = vec![input];
    });
    let story = Story::opened().did(&asset_described("source")).did(&derived);
    for right in [Right::Hold, Right::Use, Right::Operate] {
        assert_eq!(story.refusal(&claiming(right, Basis::Derived)), None, "{right:?}");
    }
}

// --- under which rules ---------------------------------------------------------------------------------------------------

#[test]
fn an_application_is_made_under_rules_in_force_on_its_day() {
    let rules = second_version(|rules| {
        (rules.effective_from, rules.effective_to) = (20_260_805, 20_260_810);
    });
    let story = ready().did(&acts::rule_set_published(&rules));
    let refusal = |at: &str| story.clone().on(at).refusal(&under_second_version());
    assert_eq!(refusal("2026-08-04T23:59:59.999"), Some(Code::RulesetNotInForce));
    assert_eq!(refusal("2026-08-05T00:00"), None);
    assert_eq!(refusal("2026-08-10T23:59:59.999"), None);
    assert_eq!(refusal("2026-08-11T00:00"), Some(Code::RulesetNotInForce));
    assert_eq!(ready().refusal(&under_second_version()), Some(Code::RulesetNotInForce));
}

/// What was opened under rules goes on under them when they are in force no longer.
#[test]
fn a_registration_keeps_the_rules_that_it_began_under() {
    let rules = second_version(|rules| rules.effective_to = 20_260_803);
    let story = ready().did(&acts::rule_set_published(&rules)).did(&under_second_version());
    let story = story.on("2026-08-04");
    assert_eq!(story.refusal(&under_second_version()), Some(Code::SubjectExists));
    assert_eq!(story.refusal(&acts::registration_accepted(RAIN)), None);
}
