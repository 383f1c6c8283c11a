//! Contracts: signed by seller and buyer over the same terms.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use ledger_event::{
    AssetRecord, ContractRecord, ContractSigned, ContractState, ContractType, DeliveryMode,
    DeliveryProperty, Grade, ListingRecord, ListingState, Role, RuleSet,
};
use ledger_format::id::SubjectKind;

use crate::act::{
    Act, Check, Rule, ensure, optional_date, optional_hash, stated_digest, stated_text,
};
use crate::asset::grade;
use crate::code::{Code, Refusal};
use crate::listing::Papers;
use crate::rule_sets::{delivery, of_subject};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

struct Signing<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b ContractSigned,
    listing: &'b ListingRecord,
    rules: &'b RuleSet,
    papers: Papers<'a, 'b>,
}

type SigningGuard = for<'a, 'b> fn(&'b Signing<'a, 'b>) -> Check;

const SIGNED: Rule<SigningGuard> = Rule {
    row: "T8 ContractSigned",
    subject: SubjectKind::Contract,
    opens: true,
    binding: false,
    signers: &[
        Need::two_factors(Role::Supplier, Who::Seller),
        Need::two_factors(Role::Buyer, Who::Buyer),
    ],
    guards: &[
        (Code::WrongState, |s| {
            let state = s.listing.state();
            ensure(state == ListingState::Listed, || {
                format!("the listing is {}", state.as_str_name())
            })
        }),
        (Code::SubjectNotOwn, |s| {
            ensure(s.listing.seller == s.act.issuer(), || {
                format!("{} is the seller", s.listing.seller)
            })
        }),
        (Code::SelfDealing, |s| {
            ensure(s.event.buyer != s.listing.seller, || s.event.buyer.clone())
        }),
        (Code::RoleNotGranted, |s| {
            let buyer = s.act.state.has_role(&s.event.buyer, Role::Buyer);
            ensure(buyer, || format!("{} is not a buyer", s.event.buyer))
        }),
        (Code::NoCertificate, |s| s.papers.certificate()),
        (Code::SellerLacksOperate, |s| s.papers.operation_right()),
        (Code::NoReview, |s| s.papers.review()),
        (Code::ReviewExpired, |s| s.papers.review_in_time()),
        (Code::Field, |s| s.fields()),
        (Code::PropertyModeMismatch, |s| {
            let property = s.event.delivery_property();
            let compute = delivery(s.rules).compute_modes().any(|m| m == s.event.delivery_mode());
            ensure(property != DeliveryProperty::UsableNotVisible || compute, || {
                format!("delivery mode {}", s.event.delivery_mode().as_str_name())
            })
        }),
        (Code::ModeNotAllowed, |s| {
            let allowed = delivery(s.rules).important_modes().any(|m| m == s.event.delivery_mode());
            ensure(s.grade() != Grade::Important || allowed, || {
                format!("important data by {}", s.event.delivery_mode().as_str_name())
            })
        }),
    ],
};

impl Signing<'_, '_> {
    fn fields(&self) -> Check {
        let e = self.event;
        ensure(e.contract_type() != ContractType::Unspecified, || "contract_type".into())?;
        ensure(e.delivery_mode() != DeliveryMode::Unspecified, || "delivery_mode".into())?;
        ensure(e.delivery_property() != DeliveryProperty::Unspecified, || {
            "delivery_property".into()
        })?;
        stated_digest("terms", e.terms.as_ref())?;
        optional_hash("price_commitment", &e.price_commitment)?;
        optional_date("valid_to", e.valid_to)?;
        ensure((1..=32).contains(&e.purposes.len()), || "purposes: expected 1 to 32".into())?;
        e.purposes.iter().try_for_each(|purpose| stated_text("purpose", purpose, 100))
    }

    fn grade(&self) -> Grade {
        let asset: Option<AssetRecord> = self.act.state.current(&self.listing.asset);
        asset.as_ref().map_or(Grade::Unspecified, grade)
    }
}

pub(crate) fn signed(act: &Act<'_>, event: &ContractSigned) -> Result<Writes, Refusal> {
    act.check_subject(&SIGNED)?;
    let listing: ListingRecord = act.required(&event.listing)?;
    let rules = of_subject(act, &listing.rule_set)?;
    let papers = Papers::of_listing(act, &rules, &listing);
    let context = Signing { act, event, listing: &listing, rules: &rules, papers };
    let who = |who: Who| match who {
        Who::Buyer => Some(event.buyer.clone()),
        Who::Seller => Some(listing.seller.clone()),
        _ => None,
    };
    act.judge(&SIGNED, &who, |guard| guard(&context))?;
    let record = ContractRecord {
        state: ContractState::Contracted.into(),
        listing: event.listing.clone(),
        seller: act.issuer().to_string(),
        buyer: event.buyer.clone(),
        contract_type: event.contract_type,
        delivery_mode: event.delivery_mode,
        delivery_property: event.delivery_property,
        price_commitment: event.price_commitment.clone(),
        terms: event.terms.clone(),
        valid_to: event.valid_to,
        asset: listing.asset.clone(),
        version: listing.version,
        rule_set: listing.rule_set.clone(),
    };
    let mut writes = Writes::default();
    writes.put(act.subject().as_str(), record);
    writes.touch(&event.listing);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![row("contract_signed", &SIGNED)]
}
