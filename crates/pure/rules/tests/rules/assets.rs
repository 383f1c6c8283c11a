//! A1 to A4: what a description says, which versions it is derived from, and what others attest (docs/spec/rules.md, assets).

use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, AssetRevised, CatalogueSource, Derivation,
    DerivationKind, Digest, ImportedHistory, Role,
};
use ledger_rules::Code;
use ledger_story::acts::{
    asset, asset_described, asset_revised, digest, history_by_exchange, history_by_supplier,
};
use ledger_story::cast::{BUYER, OMNI, REGISTRY};
use ledger_story::deed::{Deed, alone};
use ledger_story::{RAIN, Story};

fn described(change: impl FnOnce(&mut AssetDescription)) -> Deed {
    asset_described(RAIN)
        .with(|event: &mut AssetDescribed| change(event.description.as_mut().unwrap()))
}

/// What a description with that change meets, as a first version and as a second one.
fn refusal_of(change: impl Fn(&mut AssetDescription)) -> Option<Code> {
    let first = Story::opened().refusal(&described(&change));
    let revision = asset_revised(RAIN, &change);
    let second = Story::opened().described().refusal(&revision);
    assert_eq!(first, second);
    first
}

fn short(text: &str) -> Option<Digest> {
    digest(text).map(|d| Digest { value: d.value.slice(1..), ..d })
}

fn input(name: &str, version: u32) -> Derivation {
    Derivation { asset: asset(name), version, kind: DerivationKind::Subset.into() }
}

// --- fields --------------------------------------------------------------------------------------------------------------

#[test]
fn a_description_is_there_and_says_of_what_kind_the_asset_is() {
    let without = asset_described(RAIN).with(|event: &mut AssetDescribed| event.description = None);
    assert_eq!(Story::opened().refusal(&without), Some(Code::Field));
    let without =
        asset_revised(RAIN, |_| {}).with(|event: &mut AssetRevised| event.description = None);
    assert_eq!(Story::opened().described().refusal(&without), Some(Code::Field));
    assert_eq!(refusal_of(|d| d.kind = AssetKind::Unspecified.into()), Some(Code::Field));
}

#[test]
fn an_asset_has_a_name_in_one_language_or_in_both() {
    let named = |english: usize, chinese: usize| {
        refusal_of(|d| {
            (d.name_en, d.name_zh) = ("n".repeat(english), "名".repeat(chinese));
        })
    };
    assert_eq!(named(1, 0), None);
    assert_eq!(named(0, 1), None);
    assert_eq!(named(300, 300), None);
    assert_eq!(named(0, 0), Some(Code::Field));
    assert_eq!(named(300, 301), Some(Code::Field));
    assert_eq!(refusal_of(|d| d.name_en = "rain\tfall".into()), Some(Code::Field));
}

#[test]
fn texts_of_a_description_have_their_lengths() {
    type Text = fn(&mut AssetDescription) -> &mut String;
    let texts: [(&str, Text, usize); 7] = [
        ("summary", |d| &mut d.summary, 4_000),
        ("industry", |d| &mut d.industry, 20),
        ("licence", |d| &mut d.licence, 400),
        ("publisher", |d| &mut d.publisher, 400),
        ("source_url", |d| &mut d.source_url, 1_000),
        ("media_type", |d| &mut d.media_type, 127),
        ("public_registration", |d| &mut d.public_registration, 100),
    ];
    for (name, field, most) in texts {
        for (text, refusal) in [
            (String::new(), None),
            ("文".repeat(most), None),
            ("文".repeat(most + 1), Some(Code::Field)),
            ("a\u{7f}b".into(), Some(Code::Field)),
        ] {
            let found = refusal_of(|d| field(d).clone_from(&text));
            assert_eq!(found, refusal, "{name} of {} bytes", text.len());
        }
    }
}

#[test]
fn what_a_description_refers_to_has_its_form() {
    assert_eq!(refusal_of(|d| d.entrusted_processor = OMNI.into()), None);
    assert_eq!(refusal_of(|d| d.entrusted_processor = "No Party".into()), Some(Code::Field));
    assert_eq!(refusal_of(|d| d.content = None), None);
    assert_eq!(refusal_of(|d| d.content = short("rain.csv")), Some(Code::Field));
}

#[test]
fn dates_of_a_description_are_days() {
    type Day = fn(&mut AssetDescription) -> &mut u32;
    let days: [Day; 3] = [|d| &mut d.time_from, |d| &mut d.time_to, |d| &mut d.issued];
    for (number, field) in days.into_iter().enumerate() {
        for (day, refusal) in
            [(0, None), (20_240_229, None), (20_250_229, Some(Code::Field)), (1, Some(Code::Field))]
        {
            let found = refusal_of(|d| *field(d) = day);
            assert_eq!(found, refusal, "date {number}: {day}");
        }
    }
}

#[test]
fn a_catalogue_is_named_with_its_record() {
    let source = || CatalogueSource {
        catalogue: "目".repeat(200),
        record: "录".repeat(400),
        record_digest: digest("record"),
        declared_hash: "h".repeat(200),
        ..CatalogueSource::default()
    };
    let with = |change: fn(&mut CatalogueSource)| {
        refusal_of(|d| {
            let mut source = source();
            change(&mut source);
            d.catalogue = Some(source);
        })
    };
    assert_eq!(with(|_| {}), None);
    assert_eq!(with(|source| source.declared_hash.clear()), None);
    let changes: [fn(&mut CatalogueSource); 7] = [
        |source| source.catalogue.clear(),
        |source| source.catalogue.push('目'),
        |source| source.record.clear(),
        |source| source.record.push('录'),
        |source| source.declared_hash.push('h'),
        |source| source.record_digest = None,
        |source| source.record_digest = short("record"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(with(change), Some(Code::Field), "change {number}");
    }
}

#[test]
fn a_revision_says_why_in_few_words_or_none() {
    let story = Story::opened().described();
    for (reason, refusal) in
        [(String::new(), None), ("由".repeat(400), None), ("由".repeat(401), Some(Code::Field))]
    {
        let deed =
            asset_revised(RAIN, |_| {}).with(|event: &mut AssetRevised| event.reason = reason);
        assert_eq!(story.refusal(&deed), refusal);
    }
}

#[test]
fn nobody_else_revises_an_asset() {
    let deed = asset_revised(RAIN, |_| {}).signed_by(alone(OMNI, Role::Supplier));
    let story = Story::opened().described();
    assert_eq!(story.refusal(&deed), Some(Code::SigMissingRole));
}

// --- lineage -------------------------------------------------------------------------------------------------------------

/// Any version that there is, and not only the current one.
#[test]
fn an_input_is_a_version_of_an_asset_on_the_ledger() {
    let story = Story::opened()
        .did(&asset_described("source"))
        .did(&asset_revised("source", |_| {}).about(asset("source")));
    let from = |input: Derivation| described(|d| d.derived_from = vec![input]);
    for (version, refusal) in
        [(0, Some(Code::InputUnknown)), (1, None), (2, None), (3, Some(Code::InputUnknown))]
    {
        let found = story.refusal(&from(input("source", version)));
        assert_eq!(found, refusal, "version {version}");
    }
    assert_eq!(story.refusal(&from(input("snow", 1))), Some(Code::InputUnknown));
    let party = Derivation { asset: format!("party:{OMNI}"), ..input("source", 1) };
    assert_eq!(story.refusal(&from(party)), Some(Code::InputUnknown));
    // One unknown input among known ones.
    let two = described(|d| d.derived_from = vec![input("source", 1), input("snow", 1)]);
    assert_eq!(story.refusal(&two), Some(Code::InputUnknown));
}

/// Not even of one of its own versions before.
#[test]
fn an_asset_is_not_derived_from_itself() {
    let own = described(|d| d.derived_from = vec![input(RAIN, 1)]);
    assert_eq!(Story::opened().refusal(&own), Some(Code::LineageCycle));
    let revision = asset_revised(RAIN, |d| d.derived_from = vec![input(RAIN, 1)]);
    assert_eq!(Story::opened().described().refusal(&revision), Some(Code::LineageCycle));
}

#[test]
fn inputs_are_few_and_each_says_how_it_was_used() {
    let story = Story::opened().did(&asset_described("source"));
    let with = |inputs: Vec<Derivation>| story.refusal(&described(|d| d.derived_from = inputs));
    assert_eq!(with(vec![input("source", 1); 64]), None);
    assert_eq!(with(vec![input("source", 1); 65]), Some(Code::Field));
    let silent = Derivation { kind: DerivationKind::Unspecified.into(), ..input("source", 1) };
    assert_eq!(with(vec![input("source", 1), silent]), Some(Code::Field));
}

// --- history -------------------------------------------------------------------------------------------------------------

#[test]
fn history_says_what_happened_according_to_whom() {
    let story = Story::opened().described();
    let changes: [fn(&mut ImportedHistory); 10] = [
        |event| event.what.clear(),
        |event| event.what = "事".repeat(2_001),
        |event| event.when = 19_710_229,
        |event| event.according_to.clear(),
        |event| event.according_to = "者".repeat(401),
        |event| event.source.clear(),
        |event| event.source = "源".repeat(401),
        |event| event.source = "a\u{85}b".into(),
        |event| event.source_digest = None,
        |event| event.source_digest = short("record 17"),
    ];
    for deed in [history_by_supplier(RAIN), history_by_exchange(RAIN)] {
        let longest = deed.clone().with(|event: &mut ImportedHistory| {
            event.what = "事".repeat(2_000);
            event.when = 0;
            event.according_to = "者".repeat(400);
            event.source = "源".repeat(400);
        });
        assert_eq!(story.refusal(&longest), None);
        for (number, change) in changes.into_iter().enumerate() {
            let refusal = story.refusal(&deed.clone().with(change));
            assert_eq!(refusal, Some(Code::Field), "change {number}");
        }
    }
}

#[test]
fn history_is_attested_by_the_supplier_or_by_an_exchange() {
    let story = Story::opened().described();
    for (party, role) in [(BUYER, Role::Buyer), (REGISTRY, Role::Registry)] {
        let deed = history_by_exchange(RAIN).signed_by(alone(party, role));
        assert_eq!(story.refusal(&deed), Some(Code::RoleNotGranted), "{party}");
    }
    let another = history_by_exchange(RAIN).signed_by(alone(OMNI, Role::Exchange));
    assert_eq!(story.refusal(&another), None);
}
