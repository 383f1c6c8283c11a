//! Assets: descriptions, versions, lineage, and what others say happened to them before the ledger.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, AssetRecord, AssetRevised, DerivationKind, Grade,
    ImportedHistory, PersonalInformation, Role,
};
use ledger_format::id::{Subject, SubjectKind, check_party};

use crate::act::{
    Act, Check, Rule, ensure, optional_date, optional_digest, stated_digest, stated_text, text,
};
use crate::code::{Code, Refusal};
use crate::signers::{Need, Who};
use crate::table::{Row, row};
use crate::view::Writes;

/// Most lineage inputs of one asset version.
const MAX_INPUTS: usize = 64;

/// A description and the version that it is to become.
struct Draft<'a, 'b> {
    act: &'b Act<'a>,
    description: Option<&'b AssetDescription>,
    /// Why it is revised; empty for a first version.
    reason: &'b str,
    supplier: String,
}

type DraftGuard = for<'a, 'b> fn(&'b Draft<'a, 'b>) -> Check;

const GUARDS: &[(Code, DraftGuard)] = &[
    (Code::Field, |d| d.description().map(|_| ())),
    (Code::Field, |d| d.fields()),
    (Code::LineageCycle, |d| {
        let own = d.act.subject().as_str();
        let cycle = d.description()?.derived_from.iter().any(|input| input.asset == own);
        ensure(!cycle, || format!("{own} names itself as an input"))
    }),
    (Code::InputUnknown, |d| d.inputs_exist()),
];

const DESCRIBED: Rule<DraftGuard> = Rule {
    row: "A1 AssetDescribed",
    subject: SubjectKind::Asset,
    opens: true,
    binding: false,
    signers: &[Need::one(Role::Supplier, Who::Issuer)],
    guards: GUARDS,
};

const REVISED: Rule<DraftGuard> = Rule {
    row: "A2 AssetRevised",
    subject: SubjectKind::Asset,
    opens: false,
    binding: false,
    signers: &[Need::one(Role::Supplier, Who::Supplier)],
    guards: GUARDS,
};

impl<'b> Draft<'_, 'b> {
    fn description(&self) -> Result<&'b AssetDescription, String> {
        self.description.ok_or_else(|| "description: must be stated".to_string())
    }

    fn fields(&self) -> Check {
        let d = self.description()?;
        ensure(d.kind() != AssetKind::Unspecified, || "kind: must be stated".into())?;
        stated_text("name", &[d.name_en.as_str(), &d.name_zh].concat(), 600)?;
        for (name, value, most) in [
            ("summary", &d.summary, 4_000),
            ("industry", &d.industry, 20),
            ("licence", &d.licence, 400),
            ("publisher", &d.publisher, 400),
            ("source_url", &d.source_url, 1_000),
            ("media_type", &d.media_type, 127),
            ("public_registration", &d.public_registration, 100),
        ] {
            text(name, value, most)?;
        }
        if !d.entrusted_processor.is_empty() {
            check_party("entrusted_processor", &d.entrusted_processor)
                .map_err(|error| error.to_string())?;
        }
        optional_digest("content", d.content.as_ref())?;
        optional_date("time_from", d.time_from)?;
        optional_date("time_to", d.time_to)?;
        optional_date("issued", d.issued)?;
        let inputs = &d.derived_from;
        ensure(inputs.len() <= MAX_INPUTS, || {
            format!("derived_from: {} inputs, at most {MAX_INPUTS} allowed", inputs.len())
        })?;
        ensure(inputs.iter().all(|input| input.kind() != DerivationKind::Unspecified), || {
            "derived_from: each input needs a kind of derivation".into()
        })?;
        text("reason", self.reason, 400)?;
        if let Some(source) = &d.catalogue {
            stated_text("catalogue", &source.catalogue, 200)?;
            stated_text("record", &source.record, 400)?;
            text("declared_hash", &source.declared_hash, 200)?;
            stated_digest("record_digest", source.record_digest.as_ref())?;
        }
        Ok(())
    }

    fn inputs_exist(&self) -> Check {
        let inputs = &self.description()?.derived_from;
        for input in inputs {
            let record: Option<AssetRecord> = self.act.state.current(&input.asset);
            let known = record.is_some_and(|r| (1..=r.version).contains(&input.version));
            ensure(known, || format!("{} version {}", input.asset, input.version))?;
        }
        Ok(())
    }
}

pub(crate) fn described(act: &Act<'_>, event: &AssetDescribed) -> Result<Writes, Refusal> {
    let supplier = act.issuer().to_string();
    let context = Draft { act, description: event.description.as_ref(), reason: "", supplier };
    act.judge(&DESCRIBED, &|_| None, |guard| guard(&context))?;
    let record = AssetRecord {
        supplier: context.supplier,
        version: 1,
        description: event.description.clone(),
        certificates: alloc::vec![],
    };
    Ok(written(act, record))
}

pub(crate) fn revised(act: &Act<'_>, event: &AssetRevised) -> Result<Writes, Refusal> {
    act.check_subject(&REVISED)?;
    let mut record: AssetRecord = act.subject_as()?;
    let description = event.description.as_ref();
    let supplier = record.supplier.clone();
    let context = Draft { act, description, reason: &event.reason, supplier };
    let who = |who: Who| (who == Who::Supplier).then(|| context.supplier.clone());
    act.judge(&REVISED, &who, |guard| guard(&context))?;
    record.version = record.version.saturating_add(1);
    record.description.clone_from(&event.description);
    Ok(written(act, record))
}

/// The asset, and each of its inputs: their timelines are how lineage is followed forward.
fn written(act: &Act<'_>, record: AssetRecord) -> Writes {
    let mut writes = Writes::default();
    for input in record.description.iter().flat_map(|d| &d.derived_from) {
        writes.touch(&input.asset);
    }
    writes.put(act.subject().as_str(), record);
    writes
}

type HistoryGuard = for<'b> fn(&'b ImportedHistory) -> Check;

/// A claim is signed by the asset's supplier, or by an exchange that imports it.
const fn history(row: &'static str, signers: &'static [Need]) -> Rule<HistoryGuard> {
    Rule {
        row,
        subject: SubjectKind::Asset,
        opens: false,
        binding: false,
        signers,
        guards: &[
            (Code::Field, |event| stated_text("what", &event.what, 2_000)),
            (Code::Field, |event| optional_date("when", event.when)),
            (Code::Field, |event| stated_text("according_to", &event.according_to, 400)),
            (Code::Field, |event| stated_text("source", &event.source, 400)),
            (Code::Field, |event| stated_digest("source_digest", event.source_digest.as_ref())),
        ],
    }
}

const HISTORY_BY_SUPPLIER: Rule<HistoryGuard> =
    history("A3 ImportedHistory by the supplier", &[Need::one(Role::Supplier, Who::Supplier)]);
const HISTORY_BY_EXCHANGE: Rule<HistoryGuard> =
    history("A4 ImportedHistory by an exchange", &[Need::one(Role::Exchange, Who::Issuer)]);

pub(crate) fn imported(act: &Act<'_>, event: &ImportedHistory) -> Result<Writes, Refusal> {
    let owner = act.subject().owner().map(ToString::to_string);
    let own = owner.as_deref() == Some(act.issuer());
    let rule = if own { &HISTORY_BY_SUPPLIER } else { &HISTORY_BY_EXCHANGE };
    act.judge(rule, &|_| owner.clone(), |guard| guard(event))?;
    let mut writes = Writes::default();
    writes.touch(act.subject().as_str());
    Ok(writes)
}

/// The asset's grade; unspecified where its description does not say.
pub(crate) fn grade(asset: &AssetRecord) -> Grade {
    asset.description.as_ref().map_or(Grade::Unspecified, AssetDescription::grade)
}

/// What the asset's description says of personal information.
pub(crate) fn personal_information(asset: &AssetRecord) -> PersonalInformation {
    let unspecified = PersonalInformation::Unspecified;
    asset.description.as_ref().map_or(unspecified, AssetDescription::personal_information)
}

/// The asset that an act names, at its current version.
pub(crate) fn current_version(
    act: &Act<'_>,
    asset: &str,
    version: u32,
) -> Result<AssetRecord, Refusal> {
    let id = Subject::parse("asset", asset)
        .map_err(|error| Refusal::new(Code::Field, error.to_string()))?;
    let record: AssetRecord = act.required(id.as_str())?;
    if record.version == version {
        return Ok(record);
    }
    let detail = format!("{asset} is at version {}, the act names {version}", record.version);
    Err(Refusal::new(Code::AssetVersion, detail))
}

/// The tables above, in order.
pub(crate) fn rows() -> Vec<Row> {
    alloc::vec![
        row("asset_described", &DESCRIBED),
        row("asset_revised", &REVISED),
        row("imported_history", &HISTORY_BY_SUPPLIER),
        row("imported_history", &HISTORY_BY_EXCHANGE)
    ]
}
