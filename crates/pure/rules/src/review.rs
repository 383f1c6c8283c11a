//! Compliance review before listing (合规审核).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ledger_event::{
    AssetKind, AssetRecord, CertificateRecord, ReviewDecided, ReviewOutcome, ReviewRecord,
    ReviewState, ReviewSubmitted, Role,
};
use ledger_format::id::SubjectKind;

use crate::act::{Act, Check, Rule, ensure, optional_date, optional_digest, stated_digest, text};
use crate::asset::current_version;
use crate::code::{Code, Refusal};
use crate::registration::certificate_is_valid;
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

struct Submission<'a, 'b> {
    act: &'b Act<'a>,
    event: &'b ReviewSubmitted,
    asset: AssetRecord,
}

type SubmissionGuard = for<'a, 'b> fn(&'b Submission<'a, 'b>) -> Check;

const SUBMITTED: Rule<SubmissionGuard> = Rule {
    row: "T1 ReviewSubmitted",
    subject: SubjectKind::Review,
    opens: true,
    binding: false,
    signers: &[Need::one(Role::Supplier, Who::Supplier)],
    guards: &[
        (Code::SubjectNotOwn, |s| {
            ensure(s.asset.supplier == s.act.issuer(), || {
                format!("{} supplies the asset", s.asset.supplier)
            })
        }),
        (Code::NoCertificate, |s| {
            let open = s.asset.description.as_ref().is_some_and(|d| d.kind() == AssetKind::Open);
            ensure(open || valid_certificate(s.act, &s.asset, s.event.version), || {
                "the asset is neither registered nor open data".into()
            })
        }),
        (Code::NotAReviewer, |s| {
            let reviewer = s.act.state.has_role(&s.event.reviewer, Role::Reviewer);
            ensure(reviewer, || s.event.reviewer.clone())
        }),
        (Code::ReviewerConflict, |s| s.independent()),
        (Code::Field, |s| optional_digest("materials", s.event.materials.as_ref())),
    ],
};

impl Submission<'_, '_> {
    /// The reviewer is neither the supplier nor a registry that issued a certificate of the asset.
    fn independent(&self) -> Check {
        let reviewer = &self.event.reviewer;
        ensure(*reviewer != self.asset.supplier, || format!("{reviewer} supplies the asset"))?;
        for number in &self.asset.certificates {
            let certificate: Option<CertificateRecord> =
                self.act.state.current(&format!("certificate:{number}"));
            let registry = certificate.map(|certificate| certificate.registry).unwrap_or_default();
            ensure(registry != *reviewer, || format!("{reviewer} registered the asset"))?;
        }
        Ok(())
    }
}

/// Whether the asset has a certificate for this version that is valid at the act's time.
fn valid_certificate(act: &Act<'_>, asset: &AssetRecord, version: u32) -> bool {
    asset.certificates.iter().any(|number| {
        let certificate: Option<CertificateRecord> =
            act.state.current(&format!("certificate:{number}"));
        certificate.is_some_and(|certificate| {
            certificate.version == version
                && certificate_is_valid(act.state.base(), &certificate, act.time_ms) == Some(true)
        })
    })
}

pub(crate) fn submitted(act: &Act<'_>, event: &ReviewSubmitted) -> Result<Writes, Refusal> {
    act.check_subject(&SUBMITTED)?;
    let asset = current_version(act, &event.asset, event.version)?;
    let context = Submission { act, event, asset };
    act.judge(&SUBMITTED, &|_| Some(act.issuer().to_string()), |guard| guard(&context))?;
    let mut writes = Writes::default();
    let record = ReviewRecord {
        state: ReviewState::Submitted.into(),
        supplier: act.issuer().to_string(),
        reviewer: event.reviewer.clone(),
        asset: event.asset.clone(),
        version: event.version,
        valid_to: 0,
        remarks: String::new(),
    };
    writes.put(act.subject().as_str(), record);
    writes.touch(&event.asset);
    Ok(writes)
}

struct Decision<'a> {
    event: &'a ReviewDecided,
    record: ReviewRecord,
}

type DecisionGuard = for<'a, 'b> fn(&'b Decision<'a>) -> Check;

const DECIDED: Rule<DecisionGuard> = Rule {
    row: "T2 ReviewDecided",
    subject: SubjectKind::Review,
    opens: false,
    binding: false,
    // Reviewer and partner.
    signers: &[Need::two_officers(Role::Reviewer, Who::Reviewer)],
    guards: &[
        (Code::WrongState, |d| {
            let state = d.record.state();
            ensure(state == ReviewState::Submitted, || format!("it is {}", state.as_str_name()))
        }),
        (Code::Field, |d| {
            let outcome = d.event.outcome();
            ensure(outcome != ReviewOutcome::Unspecified, || "outcome: must be stated".into())
        }),
        (Code::Field, |d| stated_digest("opinion", d.event.opinion.as_ref())),
        (Code::Field, |d| {
            optional_date("valid_to", d.event.valid_to)?;
            let failed = d.event.outcome() == ReviewOutcome::Failed;
            ensure(failed == (d.event.valid_to == 0), || {
                "valid_to: must be stated unless the review failed".into()
            })
        }),
        (Code::Field, |d| {
            text("remarks", &d.event.remarks, 1_000)?;
            let passed = d.event.outcome() == ReviewOutcome::Passed;
            ensure(passed || !d.event.remarks.is_empty(), || {
                "remarks: conditions or grounds must be stated".into()
            })
        }),
    ],
};

pub(crate) fn decided(act: &Act<'_>, event: &ReviewDecided) -> Result<Writes, Refusal> {
    act.check_subject(&DECIDED)?;
    let record: ReviewRecord = act.subject_as()?;
    let reviewer = record.reviewer.clone();
    let context = Decision { event, record };
    act.judge(&DECIDED, &|_| Some(reviewer.clone()), |guard| guard(&context))?;
    let mut record = context.record;
    record.state = match event.outcome() {
        ReviewOutcome::Passed => ReviewState::Passed,
        ReviewOutcome::Conditional => ReviewState::Conditional,
        ReviewOutcome::Failed | ReviewOutcome::Unspecified => ReviewState::Failed,
    }
    .into();
    record.valid_to = event.valid_to;
    record.remarks.clone_from(&event.remarks);
    let mut writes = Writes::default();
    writes.put(act.subject().as_str(), record);
    Ok(writes)
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![row("review_submitted", &SUBMITTED), row("review_decided", &DECIDED)]
}
