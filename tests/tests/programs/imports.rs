//! Catalogues imported from the command line: what is shipped and what was made up, once and again, broken off on either side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use ledger_event::event::Act;
use ledger_format::entry::Entry;
use ledger_tests::{Exported, Machine, Market};
use ledger_verify::verdict::Verdict;
use serde_json::Value;

/// Records and claims of the catalogue of Statistics Denmark (tests/data/dst-fsv/README.md).
const RECORDS: u64 = 6_675;
const CLAIMS: u64 = 4_572;

fn data(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn made_up(name: &str) -> String {
    data(&format!("../crates/io/catalogue/tests/fixtures/{name}"))
}

fn import(machine: &Machine, source: &str) -> Value {
    machine.does(&format!("import {source} --key acme-org"))
}

fn count(told: &Value, name: &str) -> u64 {
    told[name].as_u64().unwrap_or_else(|| panic!("{name} in {told}"))
}

/// Imports a source twice: all of it is new, then all of it is there. Gives the first answer.
fn twice(machine: &Machine, source: &str, new: u64) -> Value {
    let first = import(machine, source);
    assert_eq!((count(&first, "described"), count(&first, "revised")), (new, 0), "{first}");
    assert_eq!(count(&first, "unchanged"), 0, "{first}");
    let leaves = machine.does("status")["tree_size"].clone();
    let again = import(machine, source);
    assert_eq!((count(&again, "described"), count(&again, "revised")), (0, 0), "{again}");
    assert_eq!((count(&again, "unchanged"), count(&again, "claims")), (new, 0), "{again}");
    assert_eq!(again["skipped"], first["skipped"]);
    assert_eq!(machine.does("status")["tree_size"], leaves, "{source}");
    first
}

#[test]
fn small_catalogues_of_every_format_count_once() {
    let market = Market::open();
    let acme = &market.acme;
    for (source, new) in [
        (data("data/vega/datapackage.json"), 16),
        (made_up("commas.csv"), 1),
        (made_up("semicolons.csv"), 2),
        (made_up("ckan-search.json"), 2),
        (made_up("dcat-us.json"), 2),
        (made_up("dcat-graph.jsonld"), 1),
    ] {
        let told = twice(acme, &source, new);
        assert!(!told["catalogue"].as_str().unwrap().is_empty());
    }
    // Read from the table, and found on the ledger.
    let history = acme.does("history activity:kind/asset_described");
    assert_eq!(history["count"], 24);
    let airports = history["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["subject"].as_str().unwrap());
    let airports = airports.filter(|subject| subject.starts_with("asset:acme/airports")).count();
    assert_eq!(airports, 1);
    let shown = acme.does("show asset:acme/airports");
    assert!(shown["record"].to_string().contains("\"catalogue\""), "{shown}");
}

#[test]
fn a_frictionless_package_and_a_table_are_read_as_they_say() {
    let market = Market::open();
    let acme = &market.acme;
    fs::write(acme.file("rain.csv"), "day,mm\n1,3\n").unwrap();
    fs::write(
        acme.file("datapackage.json"),
        r#"{"name": "mine", "resources": [
            {"name": "rain", "path": "rain.csv", "bytes": 11, "title": "Rain"},
            {"name": "wind", "path": "../wind.csv", "title": "Wind"},
            {"path": "nameless.csv"},
            {"name": "rain", "path": "rain.csv"}
        ]}"#,
    )
    .unwrap();
    let told = twice(acme, "datapackage.json", 2);
    let reasons: BTreeSet<&str> = told["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skip| skip["code"].as_str().unwrap())
        .collect();
    assert!(reasons.contains("CAT_DUPLICATE_IDENTIFIER"), "{told}");
    assert!(
        told["skipped"]
            .as_array()
            .unwrap()
            .iter()
            .all(|skip| !skip["reason"].as_str().unwrap().is_empty())
    );
    let rain = acme.does("show asset:acme/rain").to_string();
    assert!(rain.contains("11"), "{rain}");

    let table =
        "id,title,issued\n1,One,2024-01-01\n,None,\n1,Again,\n2,Two,not a day\n3,Three\n4,Four,\n";
    fs::write(acme.file("table.csv"), table).unwrap();
    let told = twice(acme, "table.csv", 3);
    let skipped: Vec<(&str, &str)> = told["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skip| (skip["code"].as_str().unwrap(), skip["place"].as_str().unwrap()))
        .collect();
    let codes: Vec<&str> = skipped.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["CAT_NO_IDENTIFIER", "CAT_DUPLICATE_IDENTIFIER", "CAT_ROW_FIELDS"]);
    assert!(skipped.iter().all(|(_, place)| place.starts_with("table.csv row ")), "{skipped:?}");
    let text = acme.types("import table.csv --key acme-org").expect(0).out;
    assert!(text.contains("CAT_ROW_FIELDS") && text.contains("skipped: 3"), "{text}");
    // A record that changed becomes a new version, and the others stay.
    fs::write(acme.file("table.csv"), table.replace("Four", "Fourth")).unwrap();
    let changed = import(acme, "table.csv");
    assert_eq!((count(&changed, "revised"), count(&changed, "unchanged")), (1, 2), "{changed}");
    assert!(acme.does("show asset:acme/4").to_string().contains("Fourth"));
}

#[test]
fn what_cannot_be_imported_is_refused_with_its_exit_code() {
    let market = Market::open();
    let acme = &market.acme;
    fs::create_dir(acme.file("empty")).unwrap();
    fs::write(acme.file("prose.txt"), "Dear Sir or Madam").unwrap();
    fs::write(acme.file("other.json"), r#"{"weather": "fine"}"#).unwrap();
    fs::write(acme.file("broken.json"), r#"{"resources": ["#).unwrap();
    fs::write(acme.file("refusal.json"), r#"{"success": false, "error": {}}"#).unwrap();
    fs::write(acme.file("headless.csv"), "title,title\na,b\n").unwrap();
    for (source, exit, code) in [
        ("nowhere.csv", 1, "CAT_NOT_FOUND"),
        ("empty", 11, "CAT_NO_CATALOGUE"),
        ("prose.txt", 11, "CAT_FORMAT_UNKNOWN"),
        ("other.json", 11, "CAT_FORMAT_UNKNOWN"),
        ("broken.json", 11, "CAT_JSON_SYNTAX"),
        ("refusal.json", 11, "CAT_CATALOGUE_REFUSED"),
        ("headless.csv", 11, "CAT_CSV_HEADER"),
    ] {
        let told = acme.types(&format!("import {source} --key acme-org -o json"));
        let error = told.expect(exit).error();
        assert_eq!(error["code"], code, "{source}");
        assert!(!error["help"].as_str().unwrap().is_empty());
    }
    let format = acme.types("import prose.txt --format prose --key acme-org -o json");
    assert_eq!(format.expect(2).error()["code"], "CLIENT_USAGE");
    fs::write(acme.file("one.csv"), "id,title\n1,One\n").unwrap();
    acme.does("key new acme-stranger");
    let stranger = acme.types("import one.csv --key acme-stranger -o json");
    assert_eq!(stranger.expect(2).error()["code"], "CLIENT_SIGNERS");
}

/// A table that ends within a row: what came before stays, and whoever reads the error knows that.
#[test]
fn an_import_that_breaks_off_says_how_far_it_came() {
    let market = Market::open();
    let acme = &market.acme;
    let rows: Vec<String> = (0..4_000).map(|number| format!("{number},Row {number}")).collect();
    let rows = rows.join("\n");
    let ends = |last: &str| fs::write(acme.file("long.csv"), format!("id,title\n{rows}\n{last}"));
    ends("last,\"One").unwrap();
    let error = acme.types("import long.csv --key acme-org -o json").expect(11).error();
    assert_eq!(error["code"], "CAT_CSV_UNCLOSED_QUOTE");
    let help = error["help"].as_str().unwrap();
    let reached = help.split_once("At least ").and_then(|(_, told)| told.split(' ').next());
    let reached: u64 = reached.unwrap().parse().unwrap();
    assert!(reached > 0 && help.ends_with("import again goes on with the others."), "{help}");
    ends("last,One\n").unwrap();
    let told = import(acme, "long.csv");
    assert_eq!(count(&told, "described") + count(&told, "unchanged"), 4_001, "{told}");
    assert!(count(&told, "unchanged") >= reached, "{told}");
}

#[test]
fn an_import_of_which_nothing_is_taken_has_failed() {
    let market = Market::open();
    let (acme, bank) = (&market.acme, &market.bank);
    fs::write(acme.file("two.csv"), "id,title\n1,One\n2,Two\n").unwrap();
    acme.sends("two.csv", bank);
    // A buyer describes nothing: each record is refused by the rules, and the answer says what to do.
    let refused = bank.types("import two.csv --key bank-org -o json").expect(1).json();
    let skipped = refused["skipped"].as_array().unwrap();
    assert_eq!((count(&refused, "described"), skipped.len()), (0, 2), "{refused}");
    assert!(skipped.iter().all(|skip| skip["code"] == "ROLE_NOT_GRANTED"), "{refused}");
    assert!(refused["help"].as_str().unwrap().contains("ledger-cli explain"), "{refused}");
    let told = bank.types("import two.csv --key bank-org").expect(1).out;
    assert!(told.contains("nothing was imported") && told.contains("help: "), "{told}");
    // Nor is a table taken in which no row can be read.
    fs::write(acme.file("nameless.csv"), "id,title\n,One\n,Two\n").unwrap();
    let nameless = acme.types("import nameless.csv --key acme-org -o json").expect(1).json();
    assert_eq!(nameless["skipped"][0]["code"], "CAT_NO_IDENTIFIER", "{nameless}");
    // One record on the ledger, new or from before, and it is an import with something skipped.
    fs::write(acme.file("mixed.csv"), "id,title\n1,One\n,Two\n").unwrap();
    for (described, unchanged) in [(1, 0), (0, 1)] {
        let told = import(acme, "mixed.csv");
        assert_eq!((count(&told, "described"), count(&told, "unchanged")), (described, unchanged));
        assert_eq!(told["skipped"].as_array().unwrap().len(), 1, "{told}");
        assert!(told["help"].is_null(), "{told}");
    }
    // Where there is nothing to import nothing has failed.
    fs::write(acme.file("empty.csv"), "id,title\n").unwrap();
    assert_eq!(count(&import(acme, "empty.csv"), "described"), 0);
}

/// Waits until the ledger has so many leaves more than before.
fn grown(machine: &Machine, by: u64) {
    let leaves = || count(&machine.does("status"), "tree_size");
    let (begun, before) = (Instant::now(), leaves());
    while leaves() < before + by {
        assert!(begun.elapsed() < Duration::from_secs(30), "the import does not get on");
    }
}

/// Every asset is described once, every claim there is once, and the chain verifies.
fn nothing_doubled(market: &Market, collections: u64) {
    let chain = Exported::read(&market.exports());
    assert_eq!(chain.verdict(&chain.ledger()), Verdict::Proven);
    let (mut described, mut claims) = (BTreeMap::new(), BTreeMap::new());
    for bytes in (1..=chain.blocks.len()).flat_map(|height| chain.block(height).body.entries) {
        let entry = Entry::decode(bytes).unwrap();
        let subject = entry.claims().subject.to_string();
        match &entry.event().act {
            Some(Act::AssetDescribed(_)) => *described.entry(subject).or_insert(0) += 1,
            Some(Act::AssetRevised(_)) => panic!("{subject} was revised"),
            Some(Act::ImportedHistory(claim)) => {
                *claims.entry((subject, claim.source.clone())).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    let twice: Vec<_> =
        described.values().chain(claims.values()).filter(|count| **count > 1).collect();
    assert!(twice.is_empty(), "{} are there twice", twice.len());
    assert_eq!(described.len(), usize::try_from(RECORDS + collections).unwrap());
    assert_eq!(claims.len(), usize::try_from(CLAIMS).unwrap());
}

#[test]
fn an_import_goes_on_after_either_side_was_killed() {
    let mut market = Market::open();
    let line = format!("import {} --key acme-org", data("data/dst-fsv"));
    // The client is killed; at once another one starts, while entries of the first may be under way.
    let mut client = market.acme.begins(&line);
    grown(&market.acme, 1_500);
    client.kill().unwrap();
    client.wait().unwrap();
    // The node is killed under the second; its client says that it does not know.
    let mut client = market.acme.begins(&line);
    grown(&market.acme, 1_500);
    market.crashes();
    let code = client.wait().unwrap().code().unwrap();
    assert!([20, 26].contains(&code), "exit code {code}");
    market.restarts();
    let third = import(&market.acme, &data("data/dst-fsv"));
    let collections = count(&third, "described") + count(&third, "unchanged") - RECORDS;
    assert!(count(&third, "unchanged") > 2_500, "{third}");
    assert_eq!(count(&third, "claims") + count(&third, "claims_unchanged"), CLAIMS);
    assert_eq!(third["skipped"].as_array().unwrap().len(), 0, "{third}");
    nothing_doubled(&market, collections);
    let fourth = import(&market.acme, &data("data/dst-fsv"));
    assert_eq!((count(&fourth, "described"), count(&fourth, "claims")), (0, 0), "{fourth}");
    assert_eq!(count(&fourth, "claims_unchanged"), CLAIMS);
}
