//! Listing on an exchange: no registration, no trade; no compliance review, no listing.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use ledger_event::{
    AssetRecord, CertificateRecord, Grade, ListingApplied, ListingRecord, ListingState,
    PersonalInformation, ReviewRecord, ReviewState, Right, Role, RuleSet, TradeMode,
};
use ledger_format::id::SubjectKind;

use crate::act::{Act, Check, Rule, ensure, optional_hash, stated_digest, stated_text};
use crate::asset::{current_version, grade, personal_information};
use crate::code::{Code, Refusal};
use crate::registration::{certificate_is_valid, is_past};
use crate::rule_sets::{self, in_force, of_subject, today};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

/// What makes an asset version tradable at the time of an act: a valid certificate of the seller's operation right, and a
/// positive review that has not run out.
pub(crate) struct Papers<'a, 'b> {
    act: &'b Act<'a>,
    rules: &'b RuleSet,
    seller: &'b str,
    asset: &'b str,
    version: u32,
    certificate_number: &'b str,
    certificate: Option<CertificateRecord>,
    review_id: &'b str,
    review: Option<ReviewRecord>,
}

impl<'a, 'b> Papers<'a, 'b> {
    /// Reads the papers that a listing names.
    pub(crate) fn of_listing(
        act: &'b Act<'a>,
        rules: &'b RuleSet,
        listing: &'b ListingRecord,
    ) -> Self {
        Self {
            act,
            rules,
            seller: &listing.seller,
            asset: &listing.asset,
            version: listing.version,
            certificate_number: &listing.certificate,
            certificate: act.state.current(&format!("certificate:{}", listing.certificate)),
            review: act.state.current(&listing.review),
            review_id: &listing.review,
        }
    }

    pub(crate) fn certificate(&self) -> Check {
        let required = rule_sets::trade(self.rules).certificate_required;
        if !required && self.certificate_number.is_empty() {
            return Ok(());
        }
        let none = || format!("there is no certificate {:?}", self.certificate_number);
        let certificate = self.certificate.as_ref().ok_or_else(none)?;
        ensure(certificate.asset == self.asset && certificate.version == self.version, || {
            format!("it is of {} version {}", certificate.asset, certificate.version)
        })?;
        ensure(certificate.holder == self.seller, || {
            format!("it is held by {}", certificate.holder)
        })?;
        let valid = certificate_is_valid(self.act.state.base(), certificate, self.act.time_ms);
        ensure(valid == Some(true), || {
            format!("it is valid from {} to {}", certificate.valid_from, certificate.valid_to)
        })
    }

    pub(crate) fn operation_right(&self) -> Check {
        let operates = self
            .certificate
            .as_ref()
            .is_none_or(|c| c.rights.iter().any(|claim| claim.right() == Right::Operate));
        ensure(operates, || "the certificate names no operation right".into())
    }

    pub(crate) fn review(&self) -> Check {
        if !rule_sets::trade(self.rules).review_required && self.review_id.is_empty() {
            return Ok(());
        }
        let none = || format!("there is no review {:?}", self.review_id);
        let review = self.review.as_ref().ok_or_else(none)?;
        let positive = matches!(review.state(), ReviewState::Passed | ReviewState::Conditional);
        ensure(positive, || format!("the review is {}", review.state().as_str_name()))?;
        ensure(review.asset == self.asset && review.version == self.version, || {
            format!("it is of {} version {}", review.asset, review.version)
        })
    }

    pub(crate) fn review_in_time(&self) -> Check {
        let Some(review) = &self.review else { return Ok(()) };
        ensure(!is_past(today(self.act, self.rules), review.valid_to), || {
            format!("it was valid to {}", review.valid_to)
        })
    }
}

struct Application<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b ListingApplied,
    asset: AssetRecord,
    papers: Papers<'a, 'b>,
}

type ApplicationGuard = for<'a, 'b> fn(&'b Application<'a, 'b>) -> Check;

const APPLIED: Rule<ApplicationGuard> = Rule {
    row: "T3 ListingApplied",
    subject: SubjectKind::Listing,
    opens: true,
    binding: false,
    signers: &[Need::two_factors(Role::Supplier, Who::Seller)],
    guards: &[
        (Code::SubjectNotOwn, |a| {
            ensure(a.asset.supplier == a.act.issuer(), || {
                format!("{} supplies the asset", a.asset.supplier)
            })
        }),
        (Code::NotAnExchange, |a| {
            let exchange = a.act.state.has_role(&a.event.venue, Role::Exchange);
            ensure(exchange, || a.event.venue.clone())
        }),
        (Code::CoreData, |a| {
            ensure(grade(&a.asset) != Grade::Core, || "graded as core data".into())
        }),
        (Code::NoCertificate, |a| a.papers.certificate()),
        (Code::SellerLacksOperate, |a| a.papers.operation_right()),
        (Code::NoReview, |a| a.papers.review()),
        (Code::ReviewExpired, |a| a.papers.review_in_time()),
        (Code::PersonalNoBasis, |a| {
            let held = personal_information(&a.asset);
            let clear = matches!(held, PersonalInformation::None | PersonalInformation::Anonymised);
            ensure(clear, || format!("personal information: {}", held.as_str_name()))
        }),
        (Code::ModeNotAllowed, |a| {
            // Auctions, tenders and negotiations need acts of their own before a contract.
            let mode = a.event.mode();
            ensure(mode == TradeMode::Listing, || format!("trade mode {}", mode.as_str_name()))
        }),
        (Code::Field, |a| stated_digest("terms", a.event.terms.as_ref())),
        (Code::Field, |a| optional_hash("price_commitment", &a.event.price_commitment)),
        (Code::Field, |a| {
            ensure((1..=32).contains(&a.event.scenarios.len()), || {
                "scenarios: expected 1 to 32".into()
            })?;
            a.event.scenarios.iter().try_for_each(|s| stated_text("scenario", s, 100))
        }),
    ],
};

pub(crate) fn applied(act: &Act<'_>, event: &ListingApplied) -> Result<Writes, Refusal> {
    act.check_subject(&APPLIED)?;
    let rules = in_force(act, &event.rule_set)?;
    let asset = current_version(act, &event.asset, event.version)?;
    let record = ListingRecord {
        state: ListingState::Applied.into(),
        seller: act.issuer().to_string(),
        venue: event.venue.clone(),
        asset: event.asset.clone(),
        version: event.version,
        certificate: event.certificate.clone(),
        review: event.review.clone(),
        mode: event.mode,
        price_commitment: event.price_commitment.clone(),
        rule_set: event.rule_set.clone(),
    };
    let papers = Papers::of_listing(act, &rules, &record);
    let context = Application { act, event, asset, papers };
    act.judge(&APPLIED, &|_| Some(act.issuer().to_string()), |guard| guard(&context))?;
    let mut writes = Writes::default();
    writes.put(act.subject().as_str(), record);
    writes.touch(&event.asset);
    Ok(writes)
}

struct Publication<'a, 'b> {
    record: &'b ListingRecord,
    papers: Papers<'a, 'b>,
}

type PublicationGuard = for<'a, 'b> fn(&'b Publication<'a, 'b>) -> Check;

const PUBLISHED: Rule<PublicationGuard> = Rule {
    row: "T4 ListingPublished",
    subject: SubjectKind::Listing,
    opens: false,
    binding: false,
    signers: &[Need::one(Role::Exchange, Who::Venue)],
    guards: &[
        (Code::WrongState, |p| {
            let state = p.record.state();
            ensure(state == ListingState::Applied, || format!("it is {}", state.as_str_name()))
        }),
        (Code::NoCertificate, |p| p.papers.certificate()),
        (Code::NoReview, |p| p.papers.review()),
        (Code::ReviewExpired, |p| p.papers.review_in_time()),
    ],
};

pub(crate) fn published(act: &Act<'_>) -> Result<Writes, Refusal> {
    act.check_subject(&PUBLISHED)?;
    let record: ListingRecord = act.subject_as()?;
    let rules = of_subject(act, &record.rule_set)?;
    let papers = Papers::of_listing(act, &rules, &record);
    let context = Publication { record: &record, papers };
    act.judge(&PUBLISHED, &|_| Some(record.venue.clone()), |guard| guard(&context))?;
    let mut listed = record.clone();
    listed.state = ListingState::Listed.into();
    let mut writes = Writes::default();
    writes.put(act.subject().as_str(), listed);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![row("listing_applied", &APPLIED), row("listing_published", &PUBLISHED)]
}
