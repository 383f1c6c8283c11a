//! The data that the repository ships: counts, hashes, traps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ledger_catalogue::{About, Format, HashForm, Item, Licence, Options};
use sha2::{Digest, Sha256};

use crate::reading::{Outcome, hex, read, scratch, shipped};

/// One value for all digests, in order.
fn fingerprint(outcome: &Outcome) -> String {
    let mut hasher = Sha256::new();
    for item in &outcome.items {
        match item {
            Item::Record(record) => hasher.update(record.record_digest),
            Item::Claim(claim) => hasher.update(claim.digest),
            Item::Skipped(skipped) => hasher.update(skipped.code.as_str()),
        }
    }
    hex(&hasher.finalize())
}

#[test]
fn vega_hashes_are_those_of_git_blobs() {
    let outcome = read(&shipped("vega"), &Options::default());
    assert!(outcome.error.is_none());
    let summary = outcome.summary.as_ref().unwrap();
    assert_eq!((summary.format, summary.records), (Format::Frictionless, 16));
    assert_eq!(summary.catalogue, "vega-datasets 3.2.1");
    assert!(summary.complete && summary.skipped.is_empty() && summary.findings.is_empty());

    let form = |form| {
        let of_form = outcome
            .records()
            .into_iter()
            .filter(|record| record.declared_hash.as_ref().is_some_and(|hash| hash.form == form));
        of_form.map(|record| record.record_id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(form(HashForm::OfGitBlob).len(), 12);
    assert_eq!(form(HashForm::Unchecked), ["disasters", "driving", "flights_3m", "stocks"]);
    assert_eq!(form(HashForm::OfFile), Vec::<&str>::new());
    assert_eq!(form(HashForm::Mismatch), Vec::<&str>::new());
}

#[test]
fn vega_files_are_as_the_readme_says() {
    let readme = fs::read_to_string(shipped("vega").join("README.md")).unwrap();
    let outcome = read(&shipped("vega"), &Options::default());
    for record in outcome.records() {
        let Some(file) = &record.local_file else {
            assert!(record.sha256.is_none(), "{}", record.record_id);
            continue;
        };
        let name = file.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(file).unwrap();
        assert_eq!(record.bytes, Some(u64::try_from(bytes.len()).unwrap()), "{name}");
        assert_eq!(record.sha256, Some(Sha256::digest(&bytes).into()), "{name}");
        let row = format!("| `{name}` | {} | `{}` |", bytes.len(), hex(&Sha256::digest(&bytes)));
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn vega_licences_are_as_stated_and_not_inherited() {
    let outcome = read(&shipped("vega"), &Options::default());
    let licences: BTreeMap<_, _> = outcome
        .records()
        .into_iter()
        .map(|record| (record.record_id.as_str(), record.licence.as_ref().map(Licence::label)))
        .collect();
    let flights = "Data Collected Under U.S. DOT Regulatory Requirements - License Terms Not Explicitly Specified";
    for (id, expected) in [
        ("airports", Some("https://www.usa.gov/government-works")),
        ("co2_concentration", Some("CC-BY-4.0")),
        ("disasters", Some("EM-DAT terms of use; Creative Commons BY license (Our World in Data)")),
        ("driving", None),
        ("flights_2k", Some(flights)),
        ("london_boroughs", Some("OGL-UK-3.0")),
        ("penguins", Some("CC0-1.0")),
        ("stocks", None),
        ("weather", Some("U.S. Government Dataset")),
    ] {
        assert_eq!(licences[id], expected, "{id}");
    }
    let inheriting = Options { inherit_from_package: true, ..Options::default() };
    let outcome = read(&shipped("vega"), &inheriting);
    assert_eq!(outcome.record("stocks").licence.as_ref().unwrap().spdx, Some("BSD-3-Clause"));
}

#[test]
fn vega_records_carry_what_is_stated() {
    let outcome = read(&shipped("vega"), &Options::default());
    let record = outcome.record("seattle_weather");
    assert_eq!(record.local_name, "seattle_weather");
    assert_eq!(record.publisher.as_deref(), Some("NOAA National Climatic Data Center"));
    assert_eq!(
        record.source_url.as_deref(),
        Some("https://www.ncdc.noaa.gov/cdo-web/datatools/records")
    );
    assert_eq!(record.media_type.as_deref(), Some("text/csv"));
    assert_eq!(
        record.declared_hash.as_ref().unwrap().text,
        "sha1:0f38b53bdc1c42c5e5d484f33b9d4d7b229e0e59"
    );
    assert_eq!((record.issued, record.time_from, record.time_to), (0, 0, 0));
    assert_eq!(record.title, None);
    assert_eq!(record.locator.to_string(), "datapackage.json#/resources/12");
    assert!(record.summary.as_ref().unwrap().starts_with("Daily weather in metric units."));
    let stocks = outcome.record("stocks");
    assert_eq!((&stocks.publisher, &stocks.source_url, stocks.bytes), (&None, &None, Some(12245)));

    let bare = Options { keep_summaries: false, ..Options::default() };
    assert!(read(&shipped("vega"), &bare).records().iter().all(|record| record.summary.is_none()));
}

#[test]
fn vega_without_hashing_opens_no_file() {
    let options = Options { hash_files: false, ..Options::default() };
    let outcome = read(&shipped("vega"), &options);
    for record in outcome.records() {
        assert_eq!(record.sha256, None);
        assert_eq!(record.declared_hash.as_ref().unwrap().form, HashForm::Unchecked);
    }
    assert!(outcome.record("weather").local_file.is_some());
}

#[test]
fn danish_catalogue_counts() {
    let outcome = read(&shipped("dst-fsv"), &Options::default());
    assert!(outcome.error.is_none());
    let summary = outcome.summary.as_ref().unwrap();
    assert_eq!((summary.format, summary.complete), (Format::DstFsv, true));
    assert_eq!((summary.records, summary.claims, summary.collections), (6675, 4572, 531));
    assert!(summary.skipped.is_empty() && summary.findings.is_empty());

    let records = outcome.records();
    let registers: BTreeSet<_> = records.iter().map(|record| record.collection.as_ref()).collect();
    assert_eq!(registers.len(), 526);
    assert_eq!(records.iter().map(|record| record.bytes.unwrap()).sum::<u64>(), 4_957_517_668_352);
    assert_eq!(records.iter().map(|record| record.issued).min(), Some(20_070_227));
    assert_eq!(records.iter().map(|record| record.issued).max(), Some(20_260_827));
    assert!(records.iter().all(|record| record.licence.is_none()));
    let names: BTreeSet<_> = records.iter().map(|record| record.local_name.as_str()).collect();
    assert_eq!(names.len(), 6675);

    let claims = outcome.claims();
    let subjects: BTreeSet<_> = claims.iter().map(|claim| &claim.about).collect();
    assert_eq!(subjects.len(), 531);
    assert_eq!(claims.iter().filter(|claim| claim.when == 0).count(), 7);
    assert_eq!(
        claims.iter().map(|claim| claim.when).filter(|when| *when > 0).min(),
        Some(19_710_131)
    );
    assert_eq!(claims.iter().map(|claim| claim.when).max(), Some(20_260_827));
}

#[test]
fn danish_categories_as_measured() {
    let outcome = read(&shipped("dst-fsv"), &Options::default());
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for claim in outcome.claims() {
        *counts.entry(claim.category.english.as_deref().unwrap()).or_default() += 1;
    }
    let expected = BTreeMap::from([
        ("Creation of register", 554),
        ("Error from DST corrected", 220),
        ("Error from external data supplier corrected", 20),
        ("Historical update - reason not registered", 777),
        ("Other reason for updating", 144),
        ("Quality-improved source data", 310),
        ("Register closed for updating", 35),
        ("Scheduled update with new period", 2512),
    ]);
    assert_eq!(counts, expected);
}

#[test]
fn danish_traps() {
    let outcome = read(&shipped("dst-fsv"), &Options::default());
    let adop = outcome.record("ADOP1988");
    assert_eq!(adop.title.as_deref(), Some("Adoptioner fra CPR (ADOP1988)"));
    assert_eq!(adop.title_en.as_deref(), Some("Adoptions from CPR (ADOP1988)"));
    assert_eq!(adop.title_language.as_deref(), Some("da"));
    assert_eq!((adop.issued, adop.bytes, adop.rows), (20_130_127, Some(163_840), Some(1294)));
    assert_eq!(adop.summary.as_deref(), Some("Variables: 19. Observations: 1294."));

    let energy = outcome.record("ENERGIMV2015");
    assert_eq!((energy.rows, energy.bytes), (None, Some(144_493_150_208)));
    assert_eq!(energy.summary.as_deref(), Some("Variables: 4."));

    // Danish letters, in titles and in addresses.
    let elder = outcome.records().into_iter().find(|one| one.collection.as_deref() == Some("AEFB"));
    assert!(elder.unwrap().title.as_ref().unwrap().starts_with("Ældredokumentation forebyggende"));
    assert!(elder.unwrap().source_url.as_ref().unwrap().ends_with("hjemmebesøg.html"));

    // Line breaks inside reasons; the one reason that is empty falls back to its category.
    let claims = outcome.claims();
    assert_eq!(claims.iter().filter(|claim| claim.what.text.contains('\n')).count(), 275);
    let vark = claims.iter().find(|claim| {
        claim.about == About::Collection("VARK".to_owned()) && claim.when == 20_250_505
    });
    assert_eq!(vark.unwrap().what.text, vark.unwrap().category.text);
    assert!(claims.iter().any(|claim| claim.locator.to_string().contains("(line ")));
}

#[test]
fn reading_twice_gives_the_same() {
    for name in ["vega", "dst-fsv"] {
        let (one, two) =
            (read(&shipped(name), &Options::default()), read(&shipped(name), &Options::default()));
        assert_eq!(one.items, two.items);
        assert_eq!(one.summary, two.summary);
    }
}

/// A change here means that every importer sees every record as changed. The values were also computed apart from this
/// crate, from the shipped files, with sorted keys and no spaces.
#[test]
fn digests_are_frozen() {
    for (name, expected) in [
        ("vega", "15ce7817af8b9f2b0e617d397977a844a4273d451dcd439c146231203681ee4d"),
        ("dst-fsv", "285f86273f92156f167cb38dde1adc0951c92ec79f917762c841120efe41de08"),
    ] {
        assert_eq!(fingerprint(&read(&shipped(name), &Options::default())), expected, "{name}");
    }
}

/// An importer sends rows while it reads others: of a directory with a bad table nothing may come, of no other table either.
#[test]
fn a_table_that_was_tampered_with_is_refused_before_the_first_row() {
    let directory = scratch();
    for name in ["dst-fsv.json", "registers.csv.gz", "datasets.csv.gz", "history.csv.gz"] {
        fs::copy(shipped("dst-fsv").join(name), directory.join(name)).unwrap();
    }
    let manifest = fs::read_to_string(directory.join("dst-fsv.json")).unwrap();
    for name in ["registers.csv.gz", "datasets.csv.gz", "history.csv.gz"] {
        let (_, about) = manifest.split_once(&format!("\"{name}\"")).unwrap();
        let (_, about) = about.split_once("\"sha256\": \"").unwrap();
        let declared = &about[..64];
        let changed = manifest.replace(declared, &"0".repeat(64));
        fs::write(directory.join("dst-fsv.json"), changed).unwrap();
        let outcome = read(&directory, &Options::default());
        assert!(outcome.items.is_empty(), "{name}: {} items", outcome.items.len());
        let error = outcome.error.unwrap();
        assert_eq!(error.code().as_str(), "CAT_FILE_DIGEST");
        assert!(error.to_string().contains(declared), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(outcome.summary.is_none(), "{name} is refused when the source is opened");
    }
    fs::remove_dir_all(directory).unwrap();
}
