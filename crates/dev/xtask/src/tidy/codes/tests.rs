use super::*;

/// A tree in which each table has a code of its own family, but for rules, and each document names them.
fn good() -> Tree {
    let mut tree = Tree::default();
    let mut documents: BTreeMap<&str, String> = BTreeMap::new();
    for (at, (table, document)) in (0_u8..).zip(TABLES) {
        let family = char::from(b'A' + at);
        let rows = format!("    One = \"{family}{family}_ONE\", \"text\";\n");
        let more = if table.contains("rules") { "    Key = \"KEY_LOST\", \"text\";\n" } else { "" };
        let text = format!("codes! {{\n{rows}{more}        \"NO_ROW\";\n}}\n");
        let document = if document.ends_with('/') { "docs/spec/a.md" } else { document };
        let line = format!("`{family}{family}_ONE` KEY_LOST\n");
        documents.entry(document).or_default().push_str(&line);
        tree.files.insert(table.to_owned(), Some(text));
    }
    let documents = documents.into_iter().map(|(path, text)| (path.to_owned(), Some(text)));
    tree.files.extend(documents);
    tree
}

fn with(path: &str, text: &str) -> Vec<String> {
    let mut tree = good();
    let file = tree.files.entry(path.to_owned()).or_default().get_or_insert_default();
    file.push_str(text);
    check(&tree).iter().map(ToString::to_string).collect()
}

fn assert_one(found: &[String], start: &str) {
    assert!(found.len() == 1 && found[0].starts_with(start), "{start}: {found:?}");
}

#[test]
fn tables_and_documents_that_agree_are_fine() {
    assert_eq!(check(&good()), []);
}

#[test]
fn rows_are_read_in_each_form_of_table() {
    let macros = "kinds! {\n    /// Doc.\n    A = \"F_A\", \"TEXT_B\", \"x\";\n    b: 2 = \"F_B\",\n    C \"F_C\" Skip\n}\n";
    let read: Vec<&str> = rows(macros).into_iter().map(|(_, code)| code).collect();
    assert_eq!(read, ["F_A", "F_B", "F_C"]);
    let plain = "    Explanation {\n        code: \"F_D\",\n        text: \"F_E\",\n";
    assert_eq!(rows(plain), [(2, "F_D")]);
    assert_eq!(rows("fn a() {\n    let a = \"F_A\";\n}\n"), []);
    assert_eq!(rows("        code: \"F_A\".to_owned(),\n"), []);
}

#[test]
fn codes_without_documents_are_found() {
    for (table, document) in TABLES {
        let found = with(table, "codes! {\n    New = \"AA_NEW\", \"text\";\n}\n");
        assert!(found.iter().any(|line| line.contains(&format!("AA_NEW is not in {document}"))));
    }
    // The document of another table does not count.
    let mut tree = good();
    let moved = tree.files.remove("docs/API.md").unwrap();
    tree.files.insert("docs/CLIENTS.md".to_owned(), moved);
    assert_eq!(check(&tree).len(), 1);
}

#[test]
fn next_steps_that_differ_from_those_of_the_table_are_found() {
    let (table, document) = TABLES[8];
    let with_help = |documented: &str| {
        let mut tree = good();
        let row = "codes! {\n    New = \"AA_NEW\",\n        \"Text.\",\n        \"Say \\\"no\\\": stop.\";\n";
        let next = "    Next = \"AA_NEXT\", \"Text.\", \"Go on.\";\n}\n";
        tree.files.insert(table.to_owned(), Some(format!("{row}{next}")));
        let text = format!("AA_NEXT\n| `AA_NEW` | 1 | Text. | {documented} |\nII_ONE\n");
        let file = tree.files.get_mut(document).unwrap().as_mut().unwrap();
        file.push_str(&text);
        let found = check(&tree).into_iter().map(|violation| violation.to_string());
        found.filter(|line| line.contains("next step")).collect::<Vec<_>>()
    };
    assert!(with_help("Say \"no\": stop.").is_empty());
    assert_one(&with_help("Say \"no\": stop (or not)."), document);
    assert_one(&with_help("Go on."), document);
    // A code may stand in other tables as well: one of its rows has the next step.
    assert!(with_help("Go on. |\n| `AA_NEW` | Text. | Say \"no\": stop.").is_empty());
}

#[test]
fn codes_with_two_rows_are_found() {
    let found = with(TABLES[4].0, "codes! {\n    Two = \"DD_ONE\", \"text\";\n}\n");
    assert!(found.iter().any(|line| line.contains("DD_ONE has a row in")), "{found:?}");
}

#[test]
fn tables_that_are_gone_or_unknown_are_found() {
    let mut tree = good();
    tree.files.insert(TABLES[0].0.to_owned(), Some(String::new()));
    let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
    assert!(found[0].contains("no table of codes here"), "{found:?}");
    let found = with("crates/io/new/src/a.rs", "codes! {\n    A = \"ZZ_ONE\", \"text\";\n}\n");
    assert_one(&found, "crates/io/new/src/a.rs:0: a table of codes that the codes check");
    assert_eq!(check(&Tree::default()).len(), TABLES.len());
}

#[test]
fn codes_of_a_family_that_no_table_has_are_found_in_sources() {
    let source = "fn a() -> &'static str {\n    \"CC_GONE\"\n}\n";
    assert_one(&with("crates/io/a/src/a.rs", source), "crates/io/a/src/a.rs:2: CC_GONE");
    assert_one(&with("crates/io/a/tests/a.rs", source), "crates/io/a/tests/a.rs:2: CC_GONE");
    assert_eq!(with("crates/io/a/src/a.rs", "\"LEDGER_NODE\" \"CC_ONE\""), [""; 0]);
}

#[test]
fn codes_that_no_table_has_are_found_in_documents() {
    assert_one(&with("docs/a.md", "a\n`CC_GONE`, CC_*, CC_ONE\n"), "docs/a.md:2: CC_GONE");
    assert_one(&with("README.md", "KEY_GONE"), "README.md:1: KEY_GONE");
    assert_one(&with("proto/a.proto", "// CC_GONE, KEY_GONE"), "proto/a.proto:1: CC_GONE");
    let vector = "\"code\": \"KEY_GONE\",\n\"code\": \"KEY_LOST\",\n\"text\": \"A_B\"\n";
    assert_one(&with("docs/spec/vectors/a.json", vector), "docs/spec/vectors/a.json:1: KEY_GONE");
    assert_eq!(with("docs/a.md", "NOT_FOUND is what gRPC says"), [""; 0]);
}

#[test]
fn documents_may_name_settings_and_values_of_enumerations() {
    let mut tree = good();
    let mut add = |path: &str, text: &str| tree.files.insert(path.into(), Some(text.into()));
    add("ledger-x/src/a.rs", "env = \"LEDGER_TRUST\"");
    add("proto/a.proto", "  AUTH_FACTOR_ORG_HSM = 1;");
    add("docs/a.md", "LEDGER_TRUST, ORG_HSM, AUTH_FACTOR_ORG_HSM");
    assert_eq!(check(&tree), []);
    // What only tests name is not there.
    let settings = tree.files.remove("ledger-x/src/a.rs").unwrap();
    tree.files.insert("ledger-x/tests/a.rs".into(), settings);
    assert_eq!(check(&tree).len(), 1);
}
