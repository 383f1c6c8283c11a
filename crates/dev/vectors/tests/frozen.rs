//! The vectors in the tree are the ones that the formats give, and the ledger's crates say of each what it says of itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ledger_format::digest::{hex, sha256};
use ledger_vectors::judge::judge;
use ledger_vectors::{FORMAT, SUMS, files};
use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/spec/vectors")).to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_formats_are_what_they_were() {
    for (name, text) in files() {
        assert!(
            read(&name) == text,
            "{name} is not what the formats give now. Writing it anew approves a change of the format; it mends no test"
        );
    }
}

#[test]
fn every_file_has_its_digest_and_none_is_extra() {
    let sums = read(SUMS);
    let listed: BTreeSet<&str> =
        sums.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    for line in sums.lines() {
        let (digest, name) = line.split_once("  ").unwrap();
        assert_eq!(hex(&sha256(&[read(name).as_bytes()])), digest, "{name}");
    }
    let there: BTreeSet<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "json"))
        .collect();
    assert!(listed.iter().map(ToString::to_string).eq(there), "{listed:?}");
}

#[test]
fn every_vector_is_judged_as_it_says() {
    let (mut good, mut bad) = (0, 0);
    for (name, _) in files().into_iter().filter(|(name, _)| name != SUMS) {
        let file: Value = serde_json::from_str(&read(&name)).unwrap();
        assert_eq!(file["format"], FORMAT);
        let kind = file["kind"].as_str().unwrap();
        let mut names = BTreeSet::new();
        for vector in file["vectors"].as_array().unwrap() {
            let title = vector["name"].as_str().unwrap();
            assert!(names.insert(title), "{kind}: two vectors are called {title}");
            let found = judge(kind, &vector["input"]);
            let place = format!("{kind}, {title}: {}", found.reason);
            assert_eq!(vector["result"], found.result, "{place}");
            assert_eq!(vector["code"], found.code, "{place}");
            assert_eq!(vector["output"], found.output, "{place}");
            *if found.result == "good" { &mut good } else { &mut bad } += 1;
        }
    }
    assert!(good > 100 && bad > 100, "{good} good and {bad} bad");
}
