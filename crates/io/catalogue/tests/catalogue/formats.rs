//! CKAN, DCAT and CSV, on hand-written catalogues.

use std::fs;

use ledger_catalogue::{Code, Delimiter, Format, HashForm, Options, SourceError, local_name, open};

use crate::reading::{Outcome, fixture, read, read_bytes, scratch};

fn of(name: &str) -> Outcome {
    read(&fixture(name), &Options::default())
}

#[test]
fn ckan_search() {
    let outcome = of("ckan-search.json");
    let summary = outcome.summary.as_ref().unwrap();
    assert_eq!((summary.format, summary.catalogue.as_str()), (Format::Ckan, "opendata.example.hk"));
    assert_eq!((summary.records, summary.skipped.values().sum::<u64>()), (2, 2));
    assert_eq!(outcome.codes(), [Code::IncompletePage, Code::NotPublic, Code::NoIdentifier]);
    let skipped = outcome.skipped();
    assert_eq!(skipped[1].locator.to_string(), "ckan-search.json#/result/results/3");

    let air = outcome.record("3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    assert_eq!(air.title.as_deref(), Some("每小時空氣質素監測數據"));
    assert_eq!(air.title_zh.as_deref(), Some("每小时空气质量监测数据"));
    assert_eq!(air.title_en.as_deref(), Some("Hourly air quality readings"));
    assert_eq!(air.display_name(), "Hourly air quality readings");
    assert_eq!(
        air.summary.as_deref(),
        Some("一般及路邊監測站的讀數。\n臺／台、裏／里、著／着 不作統一。")
    );
    assert_eq!(air.publisher.as_deref(), Some("環境數據署"));
    assert_eq!(air.licence.as_ref().unwrap().label(), "CC-BY-4.0");
    assert_eq!((air.issued, air.modified), (20_240_301, 20_260_831));
    assert_eq!((air.time_from, air.time_to), (20_190_101, 20_250_630));
    assert_eq!((air.media_type.as_deref(), air.bytes), (Some("text/csv"), Some(48219)));
    assert_eq!(air.declared_hash.as_ref().unwrap().form, HashForm::Unchecked);

    let bus = outcome.record("bus-routes");
    assert_eq!((&bus.licence, &bus.publisher, bus.bytes), (&None, &None, None));
    assert_eq!(bus.distributions.len(), 2);
    assert_eq!(bus.distributions[0].bytes, Some(1024));
    assert_eq!(bus.issued, 20_250_115);
}

#[test]
fn dcat_compact() {
    let outcome = of("dcat-compact.jsonld");
    let summary = outcome.summary.as_ref().unwrap();
    assert_eq!((summary.format, summary.catalogue.as_str()), (Format::Dcat, "灣區開放數據目錄"));
    assert_eq!(outcome.codes(), [Code::ReferenceOnly, Code::NoIdentifier]);
    let tide = outcome.record("潮汐-2025");
    assert_eq!(tide.local_name, local_name("潮汐-2025"));
    assert_eq!(tide.locator.to_string(), "dcat-compact.jsonld#/dcat:dataset/0");
    assert_eq!(tide.title.as_deref(), Some("2025年珠江口潮汐观测"));
    assert_eq!(
        (tide.title_zh.as_deref(), tide.title_language.as_deref()),
        (tide.title.as_deref(), Some("zh-Hans"))
    );
    assert_eq!(tide.title_en.as_deref(), Some("Tides of the Pearl River estuary, 2025"));
    assert_eq!(tide.summary.as_deref(), Some("九个验潮站的逐时潮高。"));
    assert_eq!(tide.publisher.as_deref(), Some("示例海事局"));
    assert_eq!((tide.issued, tide.modified), (20_260_105, 20_260_228));
    assert_eq!((tide.time_from, tide.time_to), (20_250_101, 0));
    assert_eq!(tide.collection.as_deref(), Some("https://data.example.cn/series/tide"));
    assert_eq!(tide.source_url.as_deref(), Some("https://data.example.cn/dataset/tide/2025"));
    assert_eq!(tide.licence.as_ref().unwrap().spdx, Some("CC0-1.0"));
    assert_eq!((tide.media_type.as_deref(), tide.bytes), (Some("text/csv"), Some(121_417)));
    assert!(tide.declared_hash.as_ref().unwrap().text.starts_with("27219f1c"));
    assert_eq!(tide.findings, []);
}

#[test]
fn dcat_us() {
    let outcome = of("dcat-us.json");
    assert_eq!(outcome.summary.as_ref().unwrap().format, Format::Dcat);
    // `R/P1M` says how often it changes, not when it did.
    assert_eq!(outcome.codes(), [Code::DateUnreadable]);
    let airports = outcome.record("EXAMPLE-0001");
    assert_eq!(airports.title_en.as_deref(), Some("Airport activity"));
    assert_eq!(airports.title_language.as_deref(), Some("en-US"));
    assert_eq!(airports.publisher.as_deref(), Some("Example Transport Agency"));
    assert_eq!(airports.licence.as_ref().unwrap().spdx, Some("CC0-1.0"));
    assert_eq!(airports.source_url.as_deref(), Some("https://transport.example.gov/airports"));
    assert_eq!((airports.time_from, airports.time_to), (20_100_101, 20_191_231));
    assert_eq!((airports.distributions.len(), &airports.media_type), (2, &None));
    assert_eq!(outcome.record("EXAMPLE-0002").publisher, None);
}

#[test]
fn dcat_graph_follows_references() {
    let outcome = of("dcat-graph.jsonld");
    assert_eq!(outcome.summary.as_ref().unwrap().catalogue, "統計目錄");
    assert_eq!(outcome.codes(), []);
    let record = outcome.record("https://stat.example.hk/d/1");
    assert_eq!(record.locator.to_string(), "dcat-graph.jsonld#/@graph/2");
    assert_eq!(record.title_zh.as_deref(), Some("按區劃分的人口"));
    assert_eq!(record.publisher.as_deref(), Some("示例統計處"));
    assert_eq!(record.licence.as_ref().unwrap().stated, "使用條款");
    assert_eq!(record.distributions[0].url.as_deref(), Some("https://stat.example.hk/d/1.csv"));

    // What a record refers to is part of its digest.
    let text = fs::read_to_string(fixture("dcat-graph.jsonld")).unwrap();
    let changed = text.replace("使用條款", "使用条款");
    let other = read_bytes("dcat-graph.jsonld", changed, &Options::default());
    assert_ne!(other.record("https://stat.example.hk/d/1").record_digest, record.record_digest);
}

#[test]
fn csv_with_semicolons_and_chinese_header() {
    let outcome = of("semicolons.csv");
    let summary = outcome.summary.as_ref().unwrap();
    assert_eq!((summary.format, summary.catalogue.as_str()), (Format::Csv, "semicolons"));
    assert_eq!(outcome.notices.len(), 1);
    assert_eq!(outcome.notices[0].text, "1 columns are not read: 備註");
    let record = outcome.record("空氣/2024");
    assert_eq!(record.title.as_deref(), Some("2024年空氣質素;按站"));
    assert_eq!(record.title_en.as_deref(), Some("Air quality 2024"));
    assert_eq!(
        (record.issued, record.time_from, record.time_to),
        (20_250_301, 20_240_101, 20_241_231)
    );
    assert_eq!((record.bytes, record.rows), (Some(1024), Some(8760)));
    // Traditional and simplified are two identifiers, and stay so.
    let other = outcome.record("空气/2024");
    assert_ne!(other.local_name, record.local_name);
    assert_eq!(other.locator.to_string(), "semicolons.csv row 4 (line 5)");
}

#[test]
fn csv_with_commas_and_a_file() {
    let outcome = of("commas.csv");
    assert_eq!(outcome.codes(), []);
    let record = outcome.record("rows-of-five");
    assert_eq!(record.summary.as_deref(), Some(r#"He said "five", and 5" pipes"#));
    assert_eq!((record.bytes, record.local_file.as_ref()), (Some(24), Some(&fixture("five.txt"))));
    assert_eq!(record.declared_hash.as_ref().unwrap().form, HashForm::OfFile);
    assert_eq!(record.licence.as_ref().unwrap().spdx, Some("OGL-UK-3.0"));
    assert_eq!(
        (record.title_zh.as_deref(), record.collection.as_deref()),
        (Some("五行"), Some("examples"))
    );
}

#[test]
fn people_are_neither_carried_nor_digested() {
    for name in ["ckan-search.json", "dcat-compact.jsonld", "dcat-us.json"] {
        let outcome = of(name);
        let printed = format!("{outcome:?}");
        for person in
            ["陳大文", "Chan Tai Man", "chan.tai.man", "2123", "李小明", "li@", "Jane", "data@"]
        {
            assert!(!printed.contains(person), "{name}: {person}");
        }
        let mut text = fs::read_to_string(fixture(name)).unwrap();
        for person in ["陳大文", "Chan Tai Man", "李小明", "Jane Doe"] {
            text = text.replace(person, "X");
        }
        let other = read_bytes(name, text, &Options::default());
        assert_eq!(other.items, outcome.items, "{name}");
    }
}

#[test]
fn text_survives_byte_for_byte() {
    // Composed and decomposed é, an ideographic space, a compatibility ideograph, full-width digits, a joiner.
    let text = "e\u{301} \u{e9}\u{3000}\u{f900} １２ \u{200d}  裡裏里 ";
    let csv = format!("id,title\na,\"{text}\"\n");
    let json = |body: &str| body.replace("TEXT", text);
    for (name, bytes) in [
        ("x.csv", csv),
        ("datapackage.json", json(r#"{"resources": [{"name": "a", "title": "TEXT"}]}"#)),
        ("ckan.json", json(r#"{"result": [{"id": "a", "title": "TEXT"}]}"#)),
        ("dcat.json", json(r#"{"dataset": [{"identifier": "a", "title": "TEXT"}]}"#)),
    ] {
        let outcome = read_bytes(name, bytes, &Options::default());
        assert_eq!(outcome.record("a").title.as_deref(), Some(text), "{name}");
    }
}

#[test]
fn the_language_of_a_csv_title_is_used() {
    let text = "id,title,language,title_en\n1,標題,zh-Hant,Title\n2,Titel,da,\n";
    let outcome = read_bytes("a.csv", text, &Options::default());
    let titles = |id| {
        let record = outcome.record(id);
        (record.title.as_deref(), record.title_zh.as_deref(), record.title_en.as_deref())
    };
    assert_eq!(titles("1"), (Some("標題"), Some("標題"), Some("Title")));
    assert_eq!(titles("2"), (Some("Titel"), None, None));
}

#[test]
fn only_changed_records_have_changed_digests() {
    let one = read_bytes("a.csv", "id,title,issued\na,x,2024-01-01\nb,y,\n", &Options::default());
    // Columns in another order, a new empty column, one value changed.
    let two =
        read_bytes("b.csv", "title,id,issued,new\nx,a,2024-01-01,\nz,b,,\n", &Options::default());
    assert_eq!(one.record("a").record_digest, two.record("a").record_digest);
    assert_ne!(one.record("b").record_digest, two.record("b").record_digest);
}

#[test]
fn all_shapes_of_ckan_and_dcat_answers() {
    for (bytes, records) in [
        (r#"{"success": true, "result": {"id": "a", "title": "x"}}"#, 1),
        (r#"{"result": [{"id": "a"}, {"name": "b"}]}"#, 2),
        (r#"{"result": {"count": 0, "results": []}}"#, 0),
        (r#"{"@type": "http://www.w3.org/ns/dcat#Dataset", "@id": "https://x.example/1"}"#, 1),
        (r#"{"@type": "dcat:Catalog"}"#, 0),
        (r#"{"dataset": {"identifier": "a"}}"#, 1),
        (
            r#"[{"@id": "https://x.example/c", "@type": ["http://www.w3.org/ns/dcat#Catalog"],
                 "http://www.w3.org/ns/dcat#dataset": [{"@id": "https://x.example/1"}]},
                {"@id": "https://x.example/1", "@type": ["http://www.w3.org/ns/dcat#Dataset"],
                 "http://purl.org/dc/terms/title": [{"@value": "x"}]}]"#,
            1,
        ),
        (
            r#"{"@graph": [{"@type": "dcat:Catalog", "dcat:dataset": [{"@id": "https://x.example/1", "dct:title": "x"}]}]}"#,
            1,
        ),
    ] {
        let outcome = read_bytes("answer.json", bytes, &Options::default());
        assert!(outcome.error.is_none(), "{bytes}: {:?}", outcome.error);
        assert_eq!(outcome.records().len(), records, "{bytes}");
        assert!(outcome.skipped().is_empty(), "{bytes}");
    }
}

#[test]
fn frictionless_versions_and_hash_habits() {
    let directory = scratch();
    fs::write(directory.join("a.txt"), "test").unwrap();
    for (hash, form) in [
        ("098f6bcd4621d373cade4e832627b4f6", HashForm::OfFile),
        ("md5:098f6bcd4621d373cade4e832627b4f6", HashForm::OfFile),
        ("sha1:a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", HashForm::OfFile),
        ("SHA1:A94A8FE5CCB19BA61C4C0873D391E987982FBBD3", HashForm::OfFile),
        // git hash-object, with SHA-1 and with SHA-256.
        ("sha1:30d74d258442c7c65512eafab474568dd706c430", HashForm::OfGitBlob),
        (
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            HashForm::OfFile,
        ),
        ("sha1:0000000000000000000000000000000000000000", HashForm::Mismatch),
        ("crc32:00000000", HashForm::Unchecked),
    ] {
        let package = format!(
            r#"{{"profile": "data-package", "name": "p", "resources": [
                {{"name": "a", "path": ["a.txt"], "bytes": 4, "hash": "{hash}"}}]}}"#
        );
        fs::write(directory.join("datapackage.json"), package).unwrap();
        let outcome = read(&directory, &Options::default());
        let record = outcome.record("a");
        let declared = record.declared_hash.as_ref().unwrap();
        assert_eq!((declared.text.as_str(), declared.form), (hash, form));
        let expected = match form {
            HashForm::Mismatch => vec![Code::HashMismatch],
            HashForm::Unchecked => vec![Code::HashUnreadable],
            HashForm::OfFile | HashForm::OfGitBlob => vec![],
        };
        assert_eq!(outcome.codes(), expected, "{hash}");
        assert_eq!(record.bytes, Some(4));
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn publishers_of_packages() {
    let package = r#"{"name": "p", "contributors": [
            {"title": "A. Person", "role": "author", "email": "a@example.org"},
            {"title": "Bureau of Examples", "roles": ["publisher"]}],
        "resources": [{"name": "a"}, {"name": "b", "sources": [{"title": "Other", "path": "x.csv"}]}]}"#;
    let outcome = read_bytes("datapackage.json", package, &Options::default());
    assert_eq!(outcome.record("a").publisher.as_deref(), Some("Bureau of Examples"));
    assert_eq!(outcome.record("b").publisher.as_deref(), Some("Bureau of Examples"));
    assert_eq!(outcome.record("b").source_url, None);
    assert!(!format!("{outcome:?}").contains("Person"));
}

#[test]
fn the_format_can_be_stated() {
    let ckan = r#"{"resources": [], "result": [{"id": "a"}]}"#;
    let outcome = read_bytes("x.json", ckan, &Options::default());
    assert_eq!(outcome.summary.unwrap().format, Format::Frictionless);
    let options = Options { format: Some(Format::Ckan), ..Options::default() };
    assert_eq!(read_bytes("x.json", ckan, &options).records().len(), 1);

    let options = Options {
        format: Some(Format::Csv),
        delimiter: Some(Delimiter::Semicolon),
        catalogue: Some("mine".to_owned()),
        ..Options::default()
    };
    let outcome = read_bytes("x.txt", "id;a,b\n1;2\n", &options);
    assert_eq!(
        (outcome.records().len(), outcome.summary.unwrap().catalogue),
        (1, "mine".to_owned())
    );
    // JSON is told by its first byte where the name does not tell it.
    assert_eq!(read_bytes("search", ckan, &Options::default()).codes(), []);
}

#[test]
fn a_directory_is_read_by_what_is_in_it() {
    let directory = scratch();
    assert!(matches!(open(&directory, &Options::default()), Err(SourceError::NoCatalogue { .. })));
    fs::write(directory.join("datapackage.json"), r#"{"resources": []}"#).unwrap();
    let outcome = read(&directory, &Options::default());
    assert_eq!(outcome.summary.unwrap().records, 0);
    fs::remove_dir_all(directory).unwrap();
}
