//! R1, the application: who may register what, on which basis (Art. 14 to 16, 19, 21).

use alloc::format;
use alloc::string::ToString;

use ledger_event::{
    AssetDescription, AssetKind, AssetRecord, Basis, DataClass, Grade, PartyKind,
    RegistrationApplied, RegistrationRecord, RegistrationState, Right, RightClaim, Role, RuleSet,
};
use ledger_format::id::SubjectKind;

use crate::act::{Act, Check, Rule, ensure, stated_digest, stated_text};
use crate::asset::{current_version, grade};
use crate::code::{Code, Refusal};
use crate::rule_sets::{self, in_force};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

/// Most rights and scenarios of one application.
const MAX_ITEMS: usize = 32;

struct Application<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b RegistrationApplied,
    asset: AssetRecord,
    rules: RuleSet,
}

type ApplicationGuard = for<'a, 'b> fn(&'b Application<'a, 'b>) -> Check;

const APPLIED: Rule<ApplicationGuard> = Rule {
    row: "R1 RegistrationApplied",
    subject: SubjectKind::Registration,
    opens: true,
    binding: false,
    signers: &[Need::two_factors(Role::Supplier, Who::Applicant)],
    guards: &[
        (Code::Field, |a| a.fields()),
        (Code::SubjectNotOwn, |a| {
            ensure(a.asset.supplier == a.act.issuer(), || {
                format!("{} supplies the asset", a.asset.supplier)
            })
        }),
        (Code::NotARegistry, |a| {
            let registry = a.act.state.has_role(&a.event.registry, Role::Registry);
            ensure(registry, || a.event.registry.clone())
        }),
        (Code::SelfRegistration, |a| {
            ensure(a.event.registry != a.act.issuer(), || {
                format!("{} applies to itself", a.act.issuer())
            })
        }),
        (Code::Entrusted, |a| {
            let processor = a.asset.description.as_ref().map(|d| d.entrusted_processor.as_str());
            ensure(processor != Some(a.act.issuer()), || {
                "the applicant is the entrusted processor".into()
            })
        }),
        (Code::CoreData, |a| {
            ensure(grade(&a.asset) != Grade::Core, || "graded as core data".into())
        }),
        (Code::Field, |a| {
            ensure(grade(&a.asset) != Grade::Unspecified, || {
                "the asset's grade must be stated".into()
            })
        }),
        (Code::RawPublic, |a| {
            ensure(a.data_class() != DataClass::PublicRaw, || "raw public data".into())
        }),
        (Code::NoPublicRegistration, |a| {
            let description = a.asset.description.as_ref();
            let number = description.is_some_and(|d| !d.public_registration.is_empty());
            ensure(a.data_class() != DataClass::Public || number, || {
                "a product of public data without a public registration number".into()
            })
        }),
        (Code::NameLength, |a| a.name_length()),
        (Code::NoScenario, |a| {
            let required = rule_sets::registration(&a.rules).scenario_required;
            ensure(!required || !a.event.scenarios.is_empty(), || "no scenario".into())
        }),
        (Code::ValidityTooLong, |a| {
            let most = rule_sets::registration(&a.rules).validity_years;
            ensure((1..=most).contains(&a.event.validity_years), || {
                format!("{} years asked, at most {most} allowed", a.event.validity_years)
            })
        }),
        (Code::ConsentMissing, |a| {
            a.each_right(|claim| {
                !(claim.right() == Right::Operate && claim.basis() == Basis::CoDeveloped)
            })
        }),
        (Code::BasisDoesNotCarry, |a| a.each_right(|claim| a.carries(claim))),
    ],
};

impl Application<'_, '_> {
    fn fields(&self) -> Check {
        let rights = &self.event.rights;
        ensure((1..=MAX_ITEMS).contains(&rights.len()), || "rights: expected 1 to 32".into())?;
        let stated =
            |c: &RightClaim| c.right() != Right::Unspecified && c.basis() != Basis::Unspecified;
        ensure(rights.iter().all(stated), || "rights: each needs a right and a basis".into())?;
        let ascending = rights.iter().zip(rights.iter().skip(1)).all(|(a, b)| a.right < b.right);
        ensure(ascending, || "rights: each at most once, in ascending order".into())?;
        ensure(self.event.scenarios.len() <= MAX_ITEMS, || "scenarios: more than 32".into())?;
        for scenario in &self.event.scenarios {
            stated_text("scenario", scenario, 100)?;
        }
        stated_digest("materials", self.event.materials.as_ref())
    }

    fn data_class(&self) -> DataClass {
        let description = self.asset.description.as_ref();
        description.map_or(DataClass::Unspecified, AssetDescription::data_class)
    }

    fn name_length(&self) -> Check {
        let rules = rule_sets::registration(&self.rules);
        let most = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let description = self.asset.description.clone().unwrap_or_default();
        stated_text("name_zh", &description.name_zh, most(rules.name_characters))?;
        stated_text("summary", &description.summary, most(rules.summary_characters))
    }

    fn each_right(&self, holds: impl Fn(RightClaim) -> bool) -> Check {
        match self.event.rights.iter().find(|claim| !holds(**claim)) {
            None => Ok(()),
            Some(claim) => Err(format!(
                "{} on the basis {}",
                claim.right().as_str_name(),
                claim.basis().as_str_name()
            )),
        }
    }

    /// Art. 21(3): only natural persons have what natural persons collect, by that basis.
    fn applicant_is_natural(&self) -> bool {
        let party = self.act.state.party(self.act.issuer());
        let profile = party.as_ref().and_then(|party| party.profile.as_ref());
        profile.is_some_and(|profile| profile.kind() == PartyKind::Natural)
    }

    /// Art. 21(4): scraped public data carries holding and use; a product made from it carries all three. The basis "licensed"
    /// carries use only; a transferred right needs a transfer registration, which is another procedure.
    fn carries(&self, claim: RightClaim) -> bool {
        let product =
            self.asset.description.as_ref().is_some_and(|d| d.kind() == AssetKind::Product);
        match claim.basis() {
            Basis::SelfCollected | Basis::Commissioned | Basis::CoDeveloped => true,
            Basis::NaturalPerson => self.applicant_is_natural(),
            Basis::Derived => {
                self.asset.description.as_ref().is_some_and(|d| !d.derived_from.is_empty())
            }
            Basis::PublicScrape => product || claim.right() != Right::Operate,
            Basis::Licensed => claim.right() == Right::Use,
            Basis::Transferred | Basis::Unspecified => false,
        }
    }
}

pub(crate) fn applied(act: &Act<'_>, event: &RegistrationApplied) -> Result<Writes, Refusal> {
    act.check_subject(&APPLIED)?;
    let rules = in_force(act, &event.rule_set)?;
    let asset = current_version(act, &event.asset, event.version)?;
    let context = Application { act, event, asset, rules };
    act.judge(&APPLIED, &|_| Some(act.issuer().to_string()), |guard| guard(&context))?;
    let mut writes = Writes::default();
    let record = RegistrationRecord {
        state: RegistrationState::Applied.into(),
        applicant: act.issuer().to_string(),
        registry: event.registry.clone(),
        rule_set: event.rule_set.clone(),
        asset: event.asset.clone(),
        version: event.version,
        rights: event.rights.clone(),
        validity_years: event.validity_years,
        applied_ms: act.time_ms,
        ..RegistrationRecord::default()
    };
    writes.put(act.subject().as_str(), record);
    writes.touch(&event.asset);
    Ok(writes)
}

/// The table above.
pub(super) fn application_row() -> Row {
    row("registration_applied", &APPLIED)
}
