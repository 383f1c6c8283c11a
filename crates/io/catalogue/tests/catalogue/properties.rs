//! Bytes at random, and catalogues with bytes changed at random: never a panic, always an end.

use std::fs;

use ledger_catalogue::{Format, Item, Options, local_name};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::malformed::write_danish;
use crate::reading::{Outcome, fixture, read, read_bytes, scratch};

const FORMATS: [Option<Format>; 6] = [
    None,
    Some(Format::Frictionless),
    Some(Format::Csv),
    Some(Format::Ckan),
    Some(Format::Dcat),
    Some(Format::DstFsv),
];

const SEEDS: [&str; 6] = [
    "ckan-search.json",
    "dcat-compact.jsonld",
    "dcat-us.json",
    "dcat-graph.jsonld",
    "semicolons.csv",
    "commas.csv",
];

/// What holds of every outcome, whatever was read.
fn check(outcome: &Outcome) {
    let Some(summary) = &outcome.summary else {
        assert!(outcome.error.is_some());
        return;
    };
    assert_eq!(summary.complete, outcome.error.is_none());
    let count = |n: usize| u64::try_from(n).unwrap();
    assert_eq!(summary.records, count(outcome.records().len()));
    assert_eq!(summary.claims, count(outcome.claims().len()));
    assert_eq!(summary.skipped.values().sum::<u64>(), count(outcome.skipped().len()));
    let mut names = std::collections::BTreeSet::new();
    for item in &outcome.items {
        if let Item::Record(record) = item {
            assert!(names.insert(&record.local_name), "{}", record.local_name);
            assert_eq!(record.local_name, local_name(&record.record_id));
        }
    }
}

fn read_as(format: Option<Format>, name: &str, bytes: &[u8]) {
    let options = Options { format, ..Options::default() };
    check(&read_bytes(name, bytes, &options));
}

/// Short pieces that the formats give a meaning to.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..8),
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            "\"",
            ",",
            ":",
            ";",
            "\n",
            "\r",
            "\\u",
            "\\",
            "null",
            "1e999",
            "-0",
            "id",
            "name",
            "\"resources\":[",
            "\"result\":{\"results\":[",
            "\"@graph\":[",
            "\"dataset\":[",
            "\"@id\":",
            "\"path\":",
            "\u{feff}",
            "\0",
            "數據",
            "\"hash\":\"sha1:",
            "9999-12-31",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(pieces in vec(piece(), 0..40)) {
        let bytes = pieces.concat();
        for format in FORMATS {
            read_as(format, "dst-fsv.json", &bytes);
        }
        read_as(None, "a.csv", &bytes);
    }

    #[test]
    fn changed_catalogues_never_panic(
        seed in 0..SEEDS.len(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut bytes = fs::read(fixture(SEEDS[seed])).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_as(None, SEEDS[seed], &bytes);
    }

    #[test]
    fn danish_tables_never_panic(rows in vec(vec("[A-Z]{1,2}|[0-9/.]{0,10}|\"|\n|,| \\| ", 0..12), 3)) {
        let directory = scratch();
        let table = |header: &str, row: &[String]| format!("{header}\n{}", row.join(","));
        let [registers, datasets, history] = [
            table("register,title_da,title_en,url_datasets", &rows[0]),
            table("register,dataset,created_raw,created_iso,n_variables,n_observations,n_bytes,raw", &rows[1]),
            table("register,category_da,category_en,reason_da,reason_en,update_date", &rows[2]),
        ];
        write_danish(
            &directory,
            [("registers.csv.gz", &registers), ("datasets.csv.gz", &datasets), ("history.csv.gz", &history)],
        );
        check(&read(&directory, &Options::default()));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_csv_quotes_is_read_back(cells in vec("[^\\p{Cc}]{1,12}|[\"\n,;]{1,6}", 1..20)) {
        let rows: Vec<String> =
            (0..).zip(&cells).map(|(n, cell)| format!("{n},\"{}\"\n", cell.replace('"', "\"\""))).collect();
        let outcome = read_bytes("a.csv", format!("id,title\n{}", rows.concat()), &Options::default());
        prop_assert!(outcome.error.is_none());
        let titles: Vec<_> = outcome.records().iter().map(|record| record.title.clone()).collect();
        let expected: Vec<_> =
            cells.iter().map(|cell| (!cell.trim().is_empty()).then(|| cell.clone())).collect();
        prop_assert_eq!(titles, expected);
    }

    #[test]
    fn local_names_are_safe_and_distinct(a in ".{0,100}|[a-z0-9~.-]{0,90}", b in ".{0,100}") {
        let (one, two) = (local_name(&a), local_name(&b));
        for name in [&one, &two] {
            prop_assert!((1..=80).contains(&name.len()));
            prop_assert!(name.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b)));
        }
        prop_assert_eq!(one == two, a == b);
        prop_assert_ne!(local_name(&one) == one, one != a);
    }
}
