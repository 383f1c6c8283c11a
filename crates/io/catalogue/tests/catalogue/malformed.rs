//! Inputs that cannot be read: each gives its code, and every code has an input.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ledger_catalogue::{CODES, Code, CodeKind, Limits, Options, SourceError, open};

use crate::reading::{Outcome, fixture, hex, read, read_bytes, scratch, shipped};

/// Name of the file, its bytes, and the codes that reading it reports, in order.
type Case = (&'static str, Vec<u8>, &'static [Code]);

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, codes: &'static [Code]) -> Case {
    (name, bytes.into(), codes)
}

/// A data package of one resource with this name and these further members.
fn resource(rest: &str) -> String {
    format!(r#"{{"resources": [{{"name": "a"{rest}}}]}}"#)
}

fn broken_documents() -> Vec<Case> {
    let deep = "[".repeat(1_000_000);
    vec![
        case("a.json", r#"{"resources": [{"name": "a"}"#, &[Code::JsonSyntax]),
        case("a.json", "", &[Code::JsonSyntax]),
        case("a.json", "{} {}", &[Code::JsonSyntax]),
        case("a.json", "\"text\"", &[Code::JsonShape]),
        case("a.json", "7", &[Code::JsonShape]),
        case("a.json", deep.clone(), &[Code::JsonSyntax]),
        case("a.json", format!("{deep}{}", "]".repeat(1_000_000)), &[Code::RecordTooLarge]),
        case("a.json", r#"{"x": 1}"#, &[Code::FormatUnknown]),
        case("a.json", r#"{"resources": {}}"#, &[Code::JsonShape]),
        case("a.json", r#"{"resources": [], "resources": []}"#, &[Code::JsonShape]),
        case("a.json", r#"{"result": 7}"#, &[Code::JsonShape]),
        case("a.json", r#"{"result": {"results": 7}}"#, &[Code::JsonShape]),
        case("a.json", r#"{"result": {}}"#, &[Code::JsonShape]),
        case("a.json", r#"{"success": true}"#, &[Code::JsonShape]),
        case("a.json", r#"{"success": false, "error": {}}"#, &[Code::CatalogueRefused]),
        case("a.json", r#"{"@type": "foaf:Person"}"#, &[Code::JsonShape]),
        case("a.json", *b"{\"resources\": [\"\xff\"]}", &[Code::NotUtf8]),
        case("a.json", *b"\xff\xfe{\0}\0", &[Code::NotUtf8]),
        case("a.json", "\u{feff}{\"resources\": []}", &[]),
        case("a.json", "{\"resources\": [\0]}", &[Code::JsonSyntax]),
        case("a.txt", "id\n1\n", &[Code::FormatUnknown]),
        case("a.csv", "", &[Code::CsvHeader]),
        case("a.csv", "title\nx\n", &[Code::CsvHeader]),
        case("a.csv", "id,id\n1,2\n", &[Code::CsvHeader]),
        case("a.csv", "id,title,name\n1,2,3\n", &[Code::CsvHeader]),
        case("a.csv", "\"id\"x\n1\n", &[Code::CsvHeader]),
        case("a.csv", *b"id,\xb1\xea\xcc\xe2\n1,2\n", &[Code::NotUtf8]),
        case("a.csv", *b"\xff\xfei\0d\0\n\0", &[Code::NotUtf8]),
        case("a.csv", *b"\xef\xbb\xbfid\n1\n", &[]),
        case("a.csv", *b"\xef\xbbid\n1\n", &[Code::NotUtf8]),
        case("a.csv", "id,title\n1,\"x\n2,y\n", &[Code::CsvUnclosedQuote]),
        case("a.csv", "\"id,title\n1,x\n", &[Code::CsvUnclosedQuote]),
    ]
}

fn broken_records() -> Vec<Case> {
    let nested = format!(r#", "x": {}{}"#, "[".repeat(200_000), "]".repeat(200_000));
    let long = "x".repeat(70_000);
    vec![
        case("a.json", resource(&nested), &[Code::RecordTooDeep]),
        case("a.json", resource(r#", "x": 1e999"#), &[Code::RecordMalformed]),
        case("a.json", resource(r#", "title": "\ud800""#), &[Code::RecordMalformed]),
        case("a.json", resource(r#", "name": "b""#), &[Code::DuplicateKey]),
        case("a.json", resource(r#", "title": "a\u0000b""#), &[Code::ControlCharacter]),
        case("a.json", resource(&format!(r#", "title": "{long}""#)), &[Code::TextTooLong]),
        case(
            "a.json",
            resource(&format!(r#", "x": "{}""#, "x".repeat(1 << 20))),
            &[Code::RecordTooLarge],
        ),
        case("a.json", r#"{"resources": ["a", 7, null]}"#, &[Code::RecordShape; 3]),
        case("a.json", r#"{"resources": [{}, {"name": "  "}]}"#, &[Code::NoIdentifier; 2]),
        case("a.json", r#"{"resources": [{"name": 7}]}"#, &[Code::NoIdentifier]),
        case(
            "a.json",
            r#"{"resources": [{"name": "a"}, {"name": "a"}]}"#,
            &[Code::DuplicateIdentifier],
        ),
        case(
            "a.json",
            format!(r#"{{"resources": [{{"name": "{}"}}]}}"#, "x".repeat(1025)),
            &[Code::IdentifierUnusable],
        ),
        case("a.json", r#"{"resources": [{"name": "a\nb"}]}"#, &[Code::ControlCharacter]),
        case("a.json", r#"{"result": ["a", 7]}"#, &[Code::ReferenceOnly, Code::RecordShape]),
        case("a.json", r#"{"result": [{"id": "a", "private": true}]}"#, &[Code::NotPublic]),
        case(
            "a.json",
            r#"{"dataset": ["a", {"@id": "b"}, 7]}"#,
            &[Code::ReferenceOnly, Code::ReferenceOnly, Code::RecordShape],
        ),
        case("a.csv", "id,title\n,x\n", &[Code::NoIdentifier]),
        case("a.csv", "id,title\n1\n1,2,3\n", &[Code::RowFields; 2]),
        case("a.csv", "id,title\n1,\"x\"y\n2,z\n", &[Code::RowQuote]),
        case("a.csv", *b"id,title\n1,\xb1\xea\n2,z\n", &[Code::RowNotUtf8]),
        case("a.csv", "id,title\n1,a\0b\n2,c\n", &[Code::ControlCharacter]),
        case(
            "a.csv",
            format!("id,title\n1,\"{}\"\n2,z\n", "x\n".repeat(600_000)),
            &[Code::RecordTooLarge],
        ),
        case("a.csv", "id\n1\n1\n", &[Code::DuplicateIdentifier]),
    ]
}

fn doubtful_records() -> Vec<Case> {
    let sha = "0".repeat(64);
    vec![
        case("a.json", resource(r#", "bytes": -1"#), &[Code::FieldUnreadable]),
        case("a.json", resource(r#", "bytes": 1e3"#), &[Code::FieldUnreadable]),
        case("a.json", resource(r#", "bytes": 99999999999999999999999"#), &[Code::FieldUnreadable]),
        case("a.json", resource(r#", "bytes": "12 MB""#), &[Code::FieldUnreadable]),
        case("a.json", resource(r#", "title": {"en": "x"}"#), &[Code::FieldUnreadable]),
        case("a.json", resource(r#", "hash": "sha256:12""#), &[Code::HashUnreadable]),
        case("a.json", resource(r#", "path": "/etc/passwd""#), &[Code::UnsafePath]),
        case("a.json", resource(r#", "path": "../x""#), &[Code::UnsafePath]),
        case("a.json", resource(r#", "path": ["x", "y"]"#), &[Code::SeveralFiles]),
        case("a.json", resource(r#", "path": "a.json", "bytes": 1"#), &[Code::BytesMismatch]),
        case(
            "a.json",
            resource(&format!(r#", "path": "a.json", "hash": "{sha}""#)),
            &[Code::HashMismatch],
        ),
        case("a.json", r#"{"name": 1e999, "resources": []}"#, &[Code::FieldUnreadable]),
        case(
            "a.json",
            r#"{"result": {"count": 2, "results": [{"id": "a"}]}}"#,
            &[Code::IncompletePage],
        ),
        case(
            "a.json",
            r#"{"result": [{"id": "a", "url": "mailto:x@example.org"}]}"#,
            &[Code::FieldUnreadable],
        ),
        case(
            "a.csv",
            "id,issued,colour\n1,yesterday,red\n",
            &[Code::UnknownColumn, Code::DateUnreadable],
        ),
        case(
            "a.csv",
            "id,issued,bytes\n1,2024,1.5\n",
            &[Code::DateUnreadable, Code::FieldUnreadable],
        ),
    ]
}

#[test]
fn each_input_gives_its_codes() {
    let cases = broken_documents().into_iter().chain(broken_records()).chain(doubtful_records());
    for (name, bytes, codes) in cases {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let outcome = read_bytes(name, bytes, &Options::default());
        assert_eq!(outcome.codes(), codes, "{start}");
        check_messages(&outcome);
    }
}

/// Each message names a code first, or a place; and says what was expected or what to do.
fn check_messages(outcome: &Outcome) {
    for skipped in outcome.skipped() {
        let text = skipped.to_string();
        assert!(text.starts_with("CAT_") && text.contains("expected"), "{text}");
        assert!(text.len() < 600, "{text}");
    }
    if let Some(error) = &outcome.error {
        let text = error.to_string();
        assert!(text.starts_with(error.code().as_str()) && text.len() < 600, "{text}");
        // No directories of this machine, except where the path itself is the matter.
        assert!(!text.contains("catalogue-"), "{text}");
    }
}

#[test]
fn a_bad_record_costs_only_itself() {
    let bytes = r#"{"resources": [{"name": "a"}, {"name": "b", "x": 1e999}, 7, {"name": "c"}]}"#;
    let outcome = read_bytes("a.json", bytes, &Options::default());
    let ids: Vec<_> = outcome.records().iter().map(|record| record.record_id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert!(outcome.summary.unwrap().complete);
    let outcome = read_bytes("a.csv", "id,title\na,x\nb,\"y\"z\nc\nd,w\n", &Options::default());
    let ids: Vec<_> = outcome.records().iter().map(|record| record.record_id.as_str()).collect();
    assert_eq!(ids, ["a", "d"]);
}

#[test]
fn an_unclosed_quote_names_the_line_it_starts_in() {
    let outcome = read_bytes("a.csv", "id,title\n1,x\n2,\"y\n3,z\n", &Options::default());
    assert_eq!(outcome.records().len(), 1);
    let Some(SourceError::CsvUnclosedQuote { line, .. }) = outcome.error else {
        panic!("{:?}", outcome.error);
    };
    assert_eq!(line, 3);
    assert!(!outcome.summary.unwrap().complete);
}

fn limited(limits: Limits) -> Options {
    Options { limits, ..Options::default() }
}

#[test]
fn limits_hold() {
    let json = r#"{"resources": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#;
    let csv = "id\n1\n2\n3\n";
    let items = limited(Limits { items: 2, ..Limits::default() });
    let bytes = limited(Limits { catalogue_bytes: 8, ..Limits::default() });
    for (name, text) in [("a.json", json), ("a.csv", csv)] {
        assert_eq!(read_bytes(name, text, &items).codes(), [Code::TooManyItems], "{name}");
        assert_eq!(read_bytes(name, text, &bytes).codes(), [Code::TooLarge], "{name}");
    }
    assert_eq!(read_bytes("a.csv", csv, &items).records().len(), 2);
    let small = limited(Limits { catalogue_bytes: 1 << 16, ..Limits::default() });
    assert_eq!(read(&shipped("dst-fsv"), &small).codes(), [Code::TooLarge]);
    let content = limited(Limits { content_bytes: 10, ..Limits::default() });
    assert_eq!(read(&fixture("commas.csv"), &content).codes(), [Code::FileUnusable]);
}

/// A data set whose distributions are these nodes, beside the nodes.
fn graph(references: &[&str], nodes: &[String]) -> String {
    let references: Vec<String> =
        references.iter().map(|id| format!(r#"{{"@id": "{id}"}}"#)).collect();
    format!(
        r#"[{{"@id": "https://x.example/1", "@type": "dcat:Dataset", "distribution": [{}]}}, {}]"#,
        references.join(","),
        nodes.join(",")
    )
}

/// A reference costs few bytes, and what it stands for many, over several hops.
#[test]
fn a_record_does_not_grow_without_bound_by_what_it_refers_to() {
    let node = |id: &str, rest: &str| format!(r#"{{"@id": "{id}"{rest}}}"#);
    let text = |bytes: usize| format!(r#", "title": "{}""#, "x".repeat(bytes));
    let read = |json: String| read_bytes("a.jsonld", json, &Options::default());

    let fits = read(graph(&["a"; 100], &[node("a", &text(10_000))]));
    assert_eq!((fits.codes(), fits.records().len()), (vec![], 1));
    let wide = read(graph(&["a"; 200], &[node("a", &text(1 << 19))]));
    assert_eq!(wide.codes(), [Code::RecordTooLarge]);
    assert!(wide.error.is_none());

    // Each of the copies refers a thousand times to a third node.
    let more = vec![r#"{"@id": "b"}"#; 1_000].join(",");
    let hop = node("a", &format!(r#", "checksum": [{more}]"#));
    let deep = read(graph(&["a"; 50], &[hop, node("b", &text(1_000))]));
    assert_eq!(deep.codes(), [Code::RecordTooLarge]);
}

#[test]
fn paths_that_cannot_be_opened() {
    let nowhere = Path::new("/nowhere/at/all.json");
    assert_eq!(open(nowhere, &Options::default()).unwrap_err().code(), Code::NotFound);
    let directory = scratch();
    assert_eq!(open(&directory, &Options::default()).unwrap_err().code(), Code::NoCatalogue);
    let below_a_file = fixture("five.txt").join("x.json");
    assert_eq!(open(&below_a_file, &Options::default()).unwrap_err().code(), Code::Io);
    fs::remove_dir_all(directory).unwrap();
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_are_not_followed() {
    let directory = scratch();
    std::os::unix::fs::symlink("/etc/passwd", directory.join("inside.txt")).unwrap();
    let package = resource(r#", "path": "inside.txt""#);
    fs::write(directory.join("datapackage.json"), package).unwrap();
    let outcome = read(&directory, &Options::default());
    assert_eq!(outcome.codes(), [Code::UnsafePath]);
    assert_eq!(outcome.record("a").sha256, None);
    fs::remove_dir_all(directory).unwrap();
}

/// The three tables of the Danish form, small, with faults; and what reading them reports.
fn danish_cases() -> Vec<(&'static str, &'static str, &'static str, &'static [Code])> {
    const REGISTERS: &str = "register,title_da,title_en,url_datasets\nA,Æ,E,https://x.example\n";
    const DATASETS: &str =
        "register,dataset,created_raw,created_iso,n_variables,n_observations,n_bytes,raw\n";
    const HISTORY: &str = "register,category_da,category_en,reason_da,reason_en,update_date\n";
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let datasets = |rows: &str| leak(format!("{DATASETS}{rows}"));
    let history = |rows: &str| leak(format!("{HISTORY}{rows}"));
    vec![
        (REGISTERS, DATASETS, HISTORY, &[]),
        ("register\nA\n", DATASETS, HISTORY, &[Code::CsvHeader]),
        (
            REGISTERS,
            datasets("A,A1,01JAN20,2020-01-01,1,1.000,2,A1 | 01JAN20 | 1 | 1.000 | 2\n"),
            HISTORY,
            &[Code::FieldUnreadable, Code::FieldsDisagree],
        ),
        (
            REGISTERS,
            datasets(
                "B,B1,01JAN20,2020-01-01,1,1000,2,B1 | 01JAN20 | 1 | 1.000 | 2\nA,,,,,,,\nA,A1\n",
            ),
            HISTORY,
            &[Code::FieldsDisagree, Code::NoIdentifier, Code::RowFields],
        ),
        (
            REGISTERS,
            DATASETS,
            history(
                "A,,,,,01/01/2020\n,x,x,x,x,01/01/2020\nA,x,x,x,x,2020-01-01\nA,x,,,,31/12/9999\n",
            ),
            &[Code::ClaimEmpty, Code::ClaimEmpty, Code::ClaimDate],
        ),
        (REGISTERS, DATASETS, history("A,a\0b,,,,01/01/2020\n"), &[Code::ControlCharacter]),
    ]
}

/// Writes a table of the Danish form. It is packed without compression, so that the same beginning is the same bytes.
fn write_table(directory: &Path, name: &str, text: &str) {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(text.as_bytes()).unwrap();
    fs::write(directory.join(name), packed.finish().unwrap()).unwrap();
}

/// Writes a directory of the Danish form whose digests are right, whatever is in its tables.
pub(crate) fn write_danish(directory: &Path, tables: [(&str, &str); 3]) {
    use sha2::Digest;
    let mut files = Vec::new();
    for (name, text) in tables {
        write_table(directory, name, text);
        let digest = hex(&sha2::Sha256::digest(text));
        files.push(format!(r#""{name}": {{"sha256": "{digest}"}}"#));
    }
    let manifest = format!(
        r#"{{"form": "dst-fsv/1", "package": "p", "version": "1", "publisher": "P", "files": {{{}}}}}"#,
        files.join(", ")
    );
    fs::write(directory.join("dst-fsv.json"), manifest).unwrap();
}

#[test]
fn danish_faults() {
    for (registers, datasets, history, codes) in danish_cases() {
        let directory = scratch();
        let tables = [
            ("registers.csv.gz", registers),
            ("datasets.csv.gz", datasets),
            ("history.csv.gz", history),
        ];
        write_danish(&directory, tables);
        let outcome = read(&directory, &Options::default());
        assert_eq!(outcome.codes(), codes, "{registers}{datasets}{history}");
        check_messages(&outcome);
        fs::remove_dir_all(directory).unwrap();
    }
}

#[test]
fn a_danish_table_that_changes_while_it_is_read_is_refused_at_its_end() {
    let directory = scratch();
    let registers = "register,title_da,title_en,url_datasets\nA,Æ,E,https://x.example\n";
    let datasets =
        "register,dataset,created_raw,created_iso,n_variables,n_observations,n_bytes,raw\n";
    let mut history =
        "register,category_da,category_en,reason_da,reason_en,update_date\n".to_owned();
    history.push_str(&"A,x,x,x,x,01/01/2020\n".repeat(20_000));
    let tables = [
        ("registers.csv.gz", registers),
        ("datasets.csv.gz", datasets),
        ("history.csv.gz", history.as_str()),
    ];
    write_danish(&directory, tables);
    let mut source = open(&directory, &Options::default()).unwrap();
    assert!(source.next().unwrap().is_ok());
    let changed = format!("{}1\n", history.strip_suffix("0\n").unwrap());
    write_table(&directory, "history.csv.gz", &changed);
    let codes: Vec<Code> =
        source.by_ref().filter_map(|item| item.err().map(|error| error.code())).collect();
    assert_eq!(codes, [Code::FileDigest]);
    assert!(!source.summary().complete);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn danish_directories_that_are_damaged() {
    let directory = scratch();
    let manifest = directory.join("dst-fsv.json");
    for (text, code) in [
        ("{}", Code::FormVersion),
        ("7", Code::FormVersion),
        ("{", Code::FormVersion),
        (r#"{"form": "dst-fsv/2"}"#, Code::FormVersion),
        (r#"{"form": "dst-fsv/1", "files": {}}"#, Code::FormVersion),
    ] {
        fs::write(&manifest, text).unwrap();
        let outcome = read(&directory, &Options::default());
        assert_eq!(outcome.codes(), [code], "{text}");
    }
    fs::copy(shipped("dst-fsv").join("dst-fsv.json"), &manifest).unwrap();
    assert_eq!(read(&manifest, &Options::default()).codes(), [Code::Io]);
    let packed = fs::read(shipped("dst-fsv").join("registers.csv.gz")).unwrap();
    for bytes in [&packed[..packed.len() / 2], b"not gzip", b""] {
        fs::write(directory.join("registers.csv.gz"), bytes).unwrap();
        assert_eq!(read(&directory, &Options::default()).codes(), [Code::Damaged]);
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn the_table_of_codes_is_complete() {
    let mut texts = BTreeSet::new();
    for row in CODES {
        let text = row.code.as_str();
        assert!(texts.insert(text), "{text} twice");
        assert!(
            text.starts_with("CAT_")
                && text.bytes().all(|b| b == b'_' || b.is_ascii_uppercase() || b.is_ascii_digit())
        );
        assert!(!row.meaning.is_empty() && !row.remedy.is_empty());
    }

    // Every code has an input above that gives it, or is pinned by a test of its own.
    let mut reached: BTreeSet<Code> = broken_documents()
        .into_iter()
        .chain(broken_records())
        .chain(doubtful_records())
        .flat_map(|(_, _, codes)| codes.to_vec())
        .chain(danish_cases().into_iter().flat_map(|(.., codes)| codes.to_vec()))
        .collect();
    reached.extend([
        Code::NotFound,
        Code::NoCatalogue,
        Code::Io,
        Code::TooManyItems,
        Code::TooLarge,
        Code::FileUnusable,
        Code::FormVersion,
        Code::Damaged,
        Code::FileDigest,
    ]);
    let all: BTreeSet<Code> = CODES.iter().map(|row| row.code).collect();
    assert_eq!(all.difference(&reached).collect::<Vec<_>>(), Vec::<&Code>::new());
}

#[test]
fn kinds_of_codes_are_kept_apart() {
    let kind = |code: Code| CODES.iter().find(|row| row.code == code).unwrap().kind;
    let cases = broken_documents().into_iter().chain(broken_records()).chain(doubtful_records());
    for (name, bytes, _) in cases {
        let outcome = read_bytes(name, bytes, &Options::default());
        assert!(outcome.error.iter().all(|error| kind(error.code()) == CodeKind::Error));
        assert!(outcome.skipped().iter().all(|skipped| kind(skipped.code) == CodeKind::Skip));
        let records = outcome.records();
        let findings = records.iter().flat_map(|record| &record.findings).chain(&outcome.notices);
        assert!(findings.into_iter().all(|finding| kind(finding.code) == CodeKind::Finding));
    }
}
