//! The tables of docs/spec/rules.md and those that entries are judged by are the same: whoever reads the one knows the other.

use ledger_event::Role;
use ledger_rules::Code;
use ledger_rules::block::ACTS;
use ledger_rules::table::{Keys, Need, Row, Who, rows};

const SPECIFICATION: &str = include_str!("../../../../../docs/spec/rules.md");

/// The cells of each line of a table.
fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    let cells = |line: &'static str| line.strip_prefix("| ")?.strip_suffix(" |");
    SPECIFICATION.lines().filter_map(cells).map(|line| line.split(" | ").collect())
}

/// What stands between backticks in a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn number(row: &Row) -> &'static str {
    row.row.split(' ').next().unwrap()
}

/// The line of the acts' tables with a row's number: act, subject, signers.
fn specified(row: &Row) -> Vec<&'static str> {
    let is_act = |cell: &str| {
        cell.starts_with('`') && quoted(cell).first().is_some_and(|act| ACTS.contains(act))
    };
    let mut found =
        lines().filter(|cells| cells[0] == number(row) && cells.len() == 4 && is_act(cells[1]));
    let line = found.next().unwrap_or_else(|| panic!("{} is not specified", row.row));
    assert_eq!(found.next(), None, "{} is specified twice", row.row);
    line
}

#[test]
fn acts_are_about_the_subjects_that_are_specified() {
    for row in rows() {
        let line = specified(&row);
        assert_eq!(quoted(line[1])[0], row.act, "{}", row.row);
        assert_eq!(quoted(line[2]), [row.subject.word()], "{}", row.row);
        assert_eq!(line[2].contains("opens"), row.opens, "{}", row.row);
        assert_eq!(line[2].contains("binding"), row.binding, "{}", row.row);
    }
}

/// Whether a place of the table is what the specification says: how many keys, in which role, of which party.
fn is_said(need: Need, text: &str) -> bool {
    let (keys, rest) = match text.split_once([',', ' ']).unwrap() {
        ("one", rest) => (Keys::One, rest),
        ("two", rest) if rest.starts_with("factors") => (Keys::TwoFactors, &rest[8..]),
        ("two", rest) if rest.starts_with("officers") => (Keys::TwoOfficers, &rest[9..]),
        _ => panic!("{text}"),
    };
    let rest = rest.trim_start();
    let (role, party) = match rest.strip_prefix("any role, ") {
        Some(party) => (None, party),
        None => rest.split_once(" of ").map(|(role, party)| (Some(role), party)).unwrap(),
    };
    let called = need.role.as_str_name().strip_prefix("ROLE_").unwrap();
    let role_fits = role == (need.role != Role::Unspecified).then_some(called);
    let last = party.rsplit(' ').next().unwrap();
    let party_fits = match need.who {
        Who::Anyone => last == "anyone",
        Who::Subject => last == "subject",
        Who::Issuer | Who::Applicant => last == "issuer",
        Who::Registry => last == "registry",
        Who::Reviewer => last == "reviewer",
        Who::Venue => last == "venue",
        Who::Buyer => last == "buyer",
        // Where the act opens the subject, the issuer is who supplies or sells.
        Who::Supplier => ["supplier", "owner", "issuer"].contains(&last),
        Who::Seller => ["seller", "issuer"].contains(&last),
    };
    keys == need.keys && role_fits && party_fits
}

#[test]
fn acts_are_signed_by_whom_the_specification_names() {
    for row in rows() {
        let (missing, places): (Vec<&str>, Vec<&str>) =
            specified(&row)[3].split("; ").partition(|text| text.starts_with("MISSING"));
        assert_eq!(places.len(), row.signers.len(), "{}", row.row);
        for (need, text) in row.signers.iter().zip(places) {
            assert!(is_said(*need, text), "{}: {text}, {need:?}", row.row);
            let code = missing.first().map_or("SIG_MISSING_ROLE", |text| quoted(text)[0]);
            assert_eq!(need.missing.as_str(), code, "{}", row.row);
        }
    }
}

/// What a line asks before the guards: what an act reads, and whether evidence is proven.
const BEFORE: [&str; 2] = ["reads: ", "it is [proven]"];

/// The codes of a row's guards as the specification orders them. T8 has a table of its own.
fn guards(row: &Row) -> Vec<&'static str> {
    let codes = |cell: &'static str| {
        let all = quoted(cell).into_iter();
        all.filter(|word| Code::ALL.iter().any(|code| code.as_str() == *word))
    };
    let of_row = |cells: &Vec<&'static str>| {
        let named = cells[0].split(", ").any(|name| name == number(row));
        named && cells.len() >= 3 && !BEFORE.iter().any(|before| cells[1].starts_with(before))
    };
    let mut found: Vec<&str> = match number(row) {
        "T8" => {
            let table = SPECIFICATION.split("\n### Trade").nth(1).unwrap();
            let table = table.split("| guard | code |").nth(1).unwrap();
            let table = table.split("\n\n").next().unwrap().lines();
            table.filter_map(|line| line.rsplit(" | ").next()).flat_map(codes).collect()
        }
        _ => lines().filter(of_row).flat_map(|cells| codes(cells[2])).collect(),
    };
    found.dedup();
    found
}

#[test]
fn guards_come_in_the_order_that_is_specified() {
    for row in rows() {
        let mut codes: Vec<&str> = row.guards.iter().map(|code| code.as_str()).collect();
        codes.dedup();
        assert_eq!(codes, guards(&row), "{}", row.row);
    }
}
