//! The main path typed by hand, by five parties at five machines; then everything that can be asked of it, in every form.

use std::fs;

use ledger_tests::{CLI, Machine, Market, run};
use serde_json::Value;

/// Types a command that must fail with an exit code, and gives the code of its error.
fn refused(machine: &Machine, line: &str, exit: i32) -> String {
    let error = machine.types(&format!("{line} --output json")).expect(exit).error();
    assert_eq!(error["exit"], exit);
    assert!(!error["help"].as_str().unwrap().is_empty(), "{error}");
    error["code"].as_str().unwrap().to_owned()
}

#[test]
fn every_stage_leaves_a_record_in_its_last_state() {
    let market = Market::shared();
    let bank = &market.bank;
    let standing = [
        ("asset:acme/weather", "RECORDED"),
        ("registration:acme/weather", "CERTIFIED"),
        ("certificate:SJ4412026080001", "VALID"),
        ("review:acme/weather", "PASSED"),
        ("listing:acme/weather", "LISTED"),
        ("contract:acme/weather-bank", "IN_FORCE"),
        ("delivery:acme/weather-1", "COMPLETED"),
    ];
    let mut found = Vec::new();
    for (id, state) in standing {
        let shown = bank.does(&format!("show {id} {}", market.trust()));
        assert_eq!(shown["verified"]["verdict"], "proven", "{id}");
        found.push((id, shown["standing"]["state"].as_str().unwrap_or_default().to_owned(), state));
    }
    let wrong: Vec<_> = found.iter().filter(|(_, found, expected)| found != expected).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn histories_are_complete_and_lineage_leads_from_asset_to_delivery() {
    let market = Market::shared();
    let bank = &market.bank;
    let history = bank.does(&format!("history registration:acme/weather {}", market.trust()));
    let acts: Vec<&str> =
        history["entries"].as_array().unwrap().iter().map(|e| e["act"].as_str().unwrap()).collect();
    let steps = [
        "registration_applied",
        "registration_accepted",
        "registration_reviewed",
        "notice_opened",
        "evidence_recorded",
        "certificate_issued",
    ];
    assert_eq!(acts[..6], steps);
    assert_eq!(history["complete"], true);
    let delivered = bank.does("history delivery:acme/weather-1");
    // Nobody has checked that.
    assert_eq!((delivered["count"].as_u64(), &delivered["complete"]), (Some(8), &Value::Null));
    let lineage = bank.does("trace delivery:acme/weather-1");
    let nodes = lineage["nodes"].to_string();
    for id in ["asset:acme/weather", "contract:acme/weather-bank", "listing:acme/weather"] {
        assert!(nodes.contains(id), "{id} in {nodes}");
    }
    let tree = bank.types("trace asset:acme/weather").expect(0).out;
    assert!(tree.contains("delivery:acme/weather-1"), "{tree}");
}

#[test]
fn the_delivered_file_is_known_and_no_other() {
    let market = Market::shared();
    let (bank, chain) = (&market.bank, market.exports());
    let offline = format!("--chain {}", chain.to_str().unwrap());
    let verify = |file: &str, more: &str, exit: i32| -> Value {
        let line = format!("verify file {file} --delivery acme/weather-1 {more} -o json");
        bank.types(&line).expect(exit).json()
    };
    assert_eq!(verify("weather.csv", &market.trust(), 0)["verdict"], "proven");
    verify("weather.csv", &format!("{} {offline}", market.trust()), 0);
    assert_eq!(verify("weather.csv", "", 12)["verdict"], "not determined");
    let mut changed = fs::read(bank.file("weather.csv")).unwrap();
    changed[1_500] ^= 1;
    fs::write(bank.file("changed.csv"), changed).unwrap();
    for more in [market.trust(), format!("{} {offline}", market.trust())] {
        let told = verify("changed.csv", &more, 10);
        assert_eq!(told["code"], "V_CONTENT");
        assert!(told["reason"].as_str().unwrap().contains("batch 2"), "{told}");
    }
    assert_eq!(refused(bank, "verify file weather.csv --delivery acme/none", 23), "CLIENT_ABSENT");
    let line = format!("verify chain {} {} -o json", chain.to_str().unwrap(), market.trust());
    assert_eq!(
        bank.types(&line).expect(0).json()["checked"]["blocks"],
        market.bank.does("status")["height"]
    );
}

#[test]
fn answers_come_as_table_json_and_lines() {
    let (market, asset) = (Market::shared(), "asset:acme/weather");
    let first = market.bank.does(&format!("history {asset}"))["entries"][0]["entry"]
        .as_str()
        .unwrap()
        .to_owned();
    let lists = [
        format!("history {asset}"),
        format!("history {asset} --full"),
        "history activity:party/acme".to_owned(),
        format!("trace {asset}"),
        "watch --until-now".to_owned(),
        "watch --until-now --subject delivery:acme/weather-1 --act batch_sent".to_owned(),
        "explain --all".to_owned(),
        "key list".to_owned(),
        "validator show".to_owned(),
    ];
    let ones = [
        format!("show {asset}"),
        format!("show {first}"),
        "show leaf:3".to_owned(),
        format!("show {asset} --height 12"),
        "show registration:acme/weather --at 2026-08-10".to_owned(),
        "status".to_owned(),
        "checkpoint".to_owned(),
        "checkpoint 3".to_owned(),
        "key show bank-org".to_owned(),
        "explain PRIOR_STALE".to_owned(),
    ];
    for line in lists.iter().chain(&ones) {
        let table = market.bank.types(line).expect(0).out;
        assert!(!table.trim().is_empty(), "{line}");
        let lines = market.bank.types(&format!("{line} -o jsonl")).expect(0).out;
        let parsed = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert!(parsed.map(|one| assert!(one.is_object())).count() > 0, "{line}");
        if line.starts_with("watch") {
            continue;
        }
        let whole = market.bank.types(&format!("{line} -o json")).expect(0).json();
        assert!(whole["schema"].as_str().unwrap().starts_with("ledger-cli/"), "{line}");
    }
    let sent = market.bank.types(&format!("{} -o jsonl", lists[5])).expect(0).out;
    assert_eq!(sent.lines().count(), 3);
    let note = market.bank.types("checkpoint").expect(0).out;
    assert!(note.starts_with("ledger.invalid/market\n") && note.contains("\n\u{2014} "), "{note}");
}

#[test]
fn every_code_is_explained() {
    let all = run(CLI, ["explain", "--all", "-o", "jsonl"]).expect(0).out;
    let codes: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(codes.len() > 100, "{}", codes.len());
    for listed in &codes {
        let code = listed["code"].as_str().unwrap();
        let one = run(CLI, ["explain", code, "-o", "json"]).expect(0).json();
        for member in ["code", "text", "source", "help"] {
            assert_eq!(one[member], listed[member], "{code}");
            assert!(!one[member].as_str().unwrap().is_empty(), "{code}: {member}");
        }
    }
    for code in ["NODE_VOTE_LOCK", "STORE_LOCKED", "PEER_TWIN"] {
        assert!(codes.iter().any(|listed| listed["code"] == code), "{code}");
    }
    let guarded = run(CLI, ["explain", "art24_notice_running", "-o", "json"]).expect(0).json();
    assert!(guarded["acts"].to_string().contains("EvidenceRecorded"), "{guarded}");
    let unknown = run(CLI, ["explain", "NO_SUCH_CODE"]).expect(2);
    assert!(unknown.err.contains("ledger-cli explain --all lists the codes"), "{}", unknown.err);
}

#[test]
fn shells_complete_and_manuals_are_written() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef ledger-cli"),
        ("fish", "complete -c ledger-cli"),
    ] {
        let script = run(CLI, ["completion", shell]).expect(0).out;
        assert!(script.contains(mark), "{shell}");
        for word in ["registration", "scraped-public"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let _written = run(CLI, ["man", directory.path().to_str().unwrap()]).expect(0);
    let pages: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["ledger-cli.1", "ledger-cli-delivery-ack.1", "ledger-cli-verify-chain.1"] {
        assert!(pages.iter().any(|name| name == page), "{page} among {pages:?}");
    }
    // Whatever the top names, its help can be read.
    let help = run(CLI, ["--help"]).expect(0).out;
    let commands = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.starts_with("Options"));
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let _help = run(CLI, [name, "--help"]).expect(0);
    }
}

#[test]
fn keys_are_encrypted_listed_and_never_overwritten() {
    let market = Market::shared();
    let acme = &market.acme;
    let keys = acme.does("key list");
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| key["encrypted"] == true));
    assert_eq!(acme.does("key show acme-org")["kid"], keys[2]["kid"]);
    assert_eq!(refused(acme, "key new acme-org", 24), "CLIENT_KEY_EXISTS");
    let pem = fs::read_to_string(acme.keys().join("acme-org.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    fs::write(acme.file("wrong"), "wrong horse\n").unwrap();
    let claim = "asset claim acme/weather --what x --according-to y --source z --source-digest weather.csv --key acme-org";
    let keys = acme.keys().to_str().unwrap();
    let wrong = acme.file("wrong");
    let common =
        ["--keys", keys, "--node", &market.node.url, "--passphrase-file", wrong.to_str().unwrap()];
    let words = claim.replace("weather.csv", acme.file("weather.csv").to_str().unwrap());
    let opened = run(CLI, common.into_iter().chain(words.split(' ')).chain(["-o", "json"]));
    assert_eq!(opened.expect(22).error()["code"], "CLIENT_KEY");
    // Nobody is there to be asked.
    let asked = run(CLI, common[..4].iter().copied().chain(words.split(' ')).chain(["-o", "json"]));
    assert_eq!(asked.expect(2).error()["code"], "CLIENT_USAGE");
}

#[test]
fn commitments_open_with_their_file_only() {
    let market = Market::shared();
    let listing = market.acme.does("show listing:acme/weather");
    let price = text_of(&listing, "price_commitment");
    let check = |file: &str| market.acme.types(&format!("commitment check {file} {price} -o json"));
    assert_eq!(check("asked.opening").expect(0).json()["value"], "1200000-CNY");
    assert_eq!(check("agreed.opening").expect(10).json()["opens"], false);
    assert_eq!(
        refused(&market.acme, "commitment new listing_applied.price 1 --out asked.opening", 24),
        "CLIENT_FILE_EXISTS"
    );
}

/// The bytes of a member anywhere below, in hex.
fn text_of(value: &Value, name: &str) -> String {
    find(value, name).unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

fn find<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    match value {
        Value::Object(members) => {
            members.iter().find_map(
                |(key, member)| if key == name { member.as_str() } else { find(member, name) },
            )
        }
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

#[test]
fn what_the_rules_refuse_is_refused_with_its_code() {
    let market = Market::open();
    let (acme, registry, bank) = (&market.acme, &market.registry, &market.bank);
    market.describes();
    let again = "asset describe acme/weather --kind product --name-en Again --origin collected --data-class enterprise \
                 --grade general1 --personal-information none --key acme-org";
    assert_eq!(refused(acme, again, 24), "SUBJECT_EXISTS");
    let apply = "registration apply acme/weather --asset acme/weather --registry registry --rule-set CN-NDA-2026/1 \
                 --right hold=self-collected --right operate=self-collected --materials weather.csv \
                 --at 2026-08-03T10:30:00+08:00 --key acme-org";
    assert_eq!(refused(acme, &format!("{apply} --scenario x"), 22), "SIG_MISSING_ROLE");
    assert_eq!(refused(acme, &format!("{apply} --key acme-officer-1"), 1), "NO_SCENARIO");
    acme.does(&format!("{apply} --scenario x --key acme-officer-1"));
    let missing = "registration accept acme/other --key registry-org";
    assert_eq!(refused(registry, missing, 23), "SUBJECT_UNKNOWN");
    let review = "registration review acme/weather --description satisfied --source satisfied --title satisfied \
                  --report passphrase --at 2026-08-06T15:00:00+08:00";
    registry
        .does("registration accept acme/weather --at 2026-08-05T09:30:00+08:00 --key registry-org");
    let same = format!("{review} --key registry-officer-1 --key registry-org");
    assert_eq!(refused(registry, &same, 22), "SIG_SAME_OFFICER");
    registry.does(&format!("{review} --key registry-officer-1 --key registry-officer-2"));
    registry.does("registration notice acme/weather --notice passphrase --at 2026-08-07T09:00:00+08:00 --key registry-org");
    let evidence = "registration evidence acme/weather --evidence passphrase --key registry-org --key registry-officer-1";
    let early = format!("{evidence} --at 2026-08-14T09:00:00+08:00");
    assert_eq!(refused(registry, &early, 1), "ART24_NOTICE_RUNNING");
    let stranger = "registration accept acme/weather --key bank-org";
    assert_eq!(refused(bank, stranger, 2), "CLIENT_SIGNERS");
    registry.does(&format!("{evidence} --at 2026-08-17T09:30:00+08:00"));
    let certify = "registration certify acme/weather --body passphrase --key registry-org --key registry-officer-1 \
                   --at 2026-08-17T10:00:00+08:00";
    assert_eq!(
        refused(registry, &format!("{certify} --number SJ9912026080001"), 1),
        "ART27_CERT_FORMAT"
    );
    registry.does(&format!("{certify} --number SJ4412026080001"));
    assert_eq!(refused(registry, evidence, 1), "WRONG_STATE");
    market.lists();
    market.contracts();
    let plan = "delivery plan acme/weather-1 --contract acme/weather-bank --batches 3 --chunk-bytes 1024 --window-to 2026-12-31 \
                --key acme-org --with bank-org.pub --draft plan.draft";
    fs::copy(bank.keys().join("bank-org.pub"), acme.file("bank-org.pub")).unwrap();
    acme.does(&format!("{plan} --file weather.csv"));
    assert_eq!(refused(acme, &format!("{plan} --file weather.csv"), 24), "CLIENT_FILE_EXISTS");
    assert_eq!(refused(acme, "draft submit plan.draft --key acme-org", 27), "CLIENT_UNSIGNED");
    assert_eq!(refused(acme, "draft sign plan.draft --key acme-officer-1", 2), "CLIENT_SIGNERS");
    acme.sends("plan.draft", bank);
    let shown = bank.does("draft show plan.draft");
    assert_eq!(shown["issuer"], "acme");
    bank.does("draft sign plan.draft --key bank-org --to signed.draft");
    bank.sends("signed.draft", acme);
    changed_after_it_was_signed(acme);
    acme.does("draft submit signed.draft --key acme-org --save plan.cose");
    deliveries_that_do_not_fit(&market);
    // The same entry again is the same entry.
    let placed = acme.does("submit plan.cose");
    assert_eq!(acme.does("submit plan.cose"), placed);
}

/// A draft that was edited after the bank had signed it.
fn changed_after_it_was_signed(acme: &Machine) {
    let states = |shown: &Value| {
        let signers = shown["signers"].as_array().unwrap();
        signers.iter().map(|signer| signer["state"].to_string()).collect::<Vec<_>>().join(" ")
    };
    assert!(states(&acme.does("draft show signed.draft")).contains("unchecked"));
    let shown = acme.does("draft show signed.draft --with bank-org.pub");
    assert!(states(&shown).contains("\"signed\""), "{shown}");
    let path = acme.file("signed.draft");
    let mut draft: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (_, signature) in draft["cosignatures"].as_object_mut().unwrap() {
        *signature = Value::from("00".repeat(64));
    }
    fs::write(acme.file("void.draft"), draft.to_string()).unwrap();
    let shown = acme.does("draft show void.draft --with bank-org.pub");
    assert!(states(&shown).contains("\"void\""), "{shown}");
    // The node knows the bank's key.
    let submit = "draft submit void.draft --key acme-org";
    assert_eq!(refused(acme, submit, 22), "CLIENT_COSIGNATURE");
}

fn deliveries_that_do_not_fit(market: &Market) {
    let (acme, bank) = (&market.acme, &market.bank);
    fs::write(acme.file("other.csv"), [7; 2_500]).unwrap();
    let other = "delivery send acme/weather-1 --file other.csv --key acme-org";
    assert_eq!(refused(acme, other, 11), "CLIENT_DOCUMENT");
    let ack = "delivery ack acme/weather-1 --number 1 --key bank-org";
    acme.sends("weather.csv", bank);
    assert_eq!(refused(bank, &format!("{ack} --file weather.csv"), 23), "CLIENT_ABSENT");
    acme.does("delivery send acme/weather-1 --file weather.csv --key acme-org");
    acme.sends("other.csv", bank);
    assert_eq!(refused(bank, &format!("{ack} --file other.csv"), 1), "ACK_WRONG_ROOT");
    let part = fs::read(acme.file("weather.csv")).unwrap()[..1_024].to_vec();
    fs::write(bank.file("part.bin"), part).unwrap();
    bank.does(&format!("{ack} --part part.bin"));
    assert_eq!(refused(bank, &format!("{ack} --part part.bin"), 1), "BATCH_NOT_SENT");
    let complete = "delivery complete acme/weather-1 --key acme-org --with bank-org.pub --draft complete.draft";
    acme.does(complete);
    acme.sends("complete.draft", bank);
    bank.does("draft sign complete.draft --key bank-org");
    bank.sends("complete.draft", acme);
    assert_eq!(
        refused(acme, "draft submit complete.draft --key acme-org", 1),
        "DELIVERY_INCOMPLETE"
    );
}

#[test]
fn assets_are_revised_claimed_and_derived_and_a_dry_run_changes_nothing() {
    let market = Market::open();
    let acme = &market.acme;
    market.describes();
    let height = acme.does("status")["height"].clone();
    let revise = "asset revise acme/weather --licence CC-BY-4.0 --reason terms --key acme-org";
    let dry = acme.does(&format!("{revise} --dry-run"));
    assert_eq!(dry["subject"], "asset:acme/weather");
    assert_eq!(acme.does("status")["height"], height);
    acme.does(&format!("{revise} --save revised.cose --valid-for 30m"));
    acme.does(
        "asset claim acme/weather --what published --when 2019-04-01 --according-to Acme --source report --source-digest weather.csv \
         --key acme-org",
    );
    fs::write(
        acme.file("subset.json"),
        r#"{"kind": "ASSET_KIND_PRODUCT", "nameEn": "Subset", "origin": "ORIGIN_COLLECTED", "dataClass": "DATA_CLASS_ENTERPRISE",
            "grade": "GRADE_GENERAL_1", "personalInformation": "PERSONAL_INFORMATION_NONE"}"#,
    )
    .unwrap();
    acme.does("asset describe acme/subset --from subset.json --derived-from acme/weather@2=subset --key acme-org");
    let shown = acme.does("show asset:acme/weather");
    assert!(shown["record"].to_string().contains("CC-BY-4.0"), "{shown}");
    assert!(acme.does("trace asset:acme/subset").to_string().contains("asset:acme/weather"));
    let cycle =
        "asset revise acme/weather --derived-from acme/weather@2=copy --reason loop --key acme-org";
    assert_eq!(refused(acme, cycle, 1), "LINEAGE_CYCLE");
    let stale = acme.does("submit revised.cose");
    assert_eq!(stale["act"], "asset_revised", "the same entry, where it was");
}

#[test]
fn keys_are_enrolled_and_revoked() {
    let market = Market::open();
    let (exchange, acme) = (&market.exchange, &market.acme);
    market.describes();
    acme.does("key new acme-new");
    fs::copy(acme.keys().join("acme-new.pub"), exchange.file("acme-new.pub")).unwrap();
    fs::copy(acme.keys().join("acme-org.pub"), exchange.file("acme-org.pub")).unwrap();
    exchange.does(
        "key enrol acme --grant acme-new.pub=org-hsm --key organisation --with acme-org.pub --with acme-new.pub --draft new.draft",
    );
    exchange.sends("new.draft", acme);
    acme.does("draft sign new.draft --key acme-org --key acme-new");
    acme.sends("new.draft", exchange);
    exchange.does("draft submit new.draft --key organisation");
    let revise = "asset revise acme/weather --reason x --summary y --key acme-new";
    acme.does(revise);
    let alone = "key revoke acme acme-new --reason lost --key acme-new";
    assert_eq!(refused(acme, alone, 22), "SIG_MISSING_ROLE");
    let one = "key revoke acme acme-new --reason lost --key acme-org";
    assert_eq!(refused(acme, one, 22), "SIG_MISSING_ROLE");
    let two = format!("{one} --key acme-officer-1");
    acme.does(&two);
    assert_eq!(refused(acme, revise, 22), "KEY_INACTIVE");
    assert_eq!(refused(acme, &two, 22), "KEY_INACTIVE");
    let officers =
        "key revoke acme acme-officer-2.pub --reason lost --key officer-1 --key officer-2";
    fs::copy(acme.keys().join("acme-officer-2.pub"), exchange.file("acme-officer-2.pub")).unwrap();
    exchange.does(officers);
}

#[test]
fn founders_publish_rule_sets_and_calendars() {
    let market = Market::open();
    let exchange = &market.exchange;
    fs::write(
        exchange.file("calendar.json"),
        r#"{"id": "TEST", "year": 2027, "holidays": [101, 1001], "workdays": [], "source": "made up"}"#,
    )
    .unwrap();
    exchange.does("calendar publish calendar.json --key organisation");
    assert!(exchange.does("show calendar:TEST/2027").to_string().contains("made up"));
    assert_eq!(
        refused(exchange, "calendar publish calendar.json --key organisation", 24),
        "SUBJECT_EXISTS"
    );
    let rules =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../ledger-node/data/rulesets/CN-NDA-2026.json");
    let mut rules: Value = serde_json::from_str(&fs::read_to_string(rules).unwrap()).unwrap();
    rules["version"] = 2.into();
    fs::write(exchange.file("rules.json"), rules.to_string()).unwrap();
    exchange.does("ruleset publish rules.json --key organisation");
    exchange.does("show ruleset:CN-NDA-2026/2");
    fs::write(
        market.acme.file("rules.json"),
        rules.to_string().replace("\"version\":2", "\"version\":3"),
    )
    .unwrap();
    assert_eq!(
        refused(&market.acme, "ruleset publish rules.json --key acme-org", 1),
        "GOVERNANCE_THRESHOLD"
    );
    fs::write(exchange.file("rules.json"), r#"{"id": "X", "surprise": 1}"#).unwrap();
    let publish = "ruleset publish rules.json --key organisation";
    assert_eq!(refused(exchange, publish, 11), "CLIENT_DOCUMENT");
    let told = exchange.types(publish).expect(11).err;
    assert!(told.contains("rules.json: A document is not"), "{told}");
}

#[test]
fn a_wrong_command_line_is_usage_and_no_node_is_no_connection() {
    for words in [
        &["no-such"][..],
        &["show"],
        &["asset", "describe", "x"],
        &["verify", "chain", "f", "--trust", "abc"],
    ] {
        assert_eq!(
            run(CLI, words.iter().chain(&["-o", "json"])).expect(2).error()["code"],
            "CLIENT_USAGE"
        );
    }
    let nobody = run(CLI, ["--node", "http://127.0.0.1:1", "status", "-o", "json"]);
    assert_eq!(nobody.expect(20).error()["code"], "CLIENT_CONNECT");
    let other = Market::shared().bank.types(&format!("status --trust {} -o json", "0".repeat(64)));
    assert_eq!(other.expect(22).error()["code"], "CLIENT_VERIFY");
    assert_eq!(refused(&Market::shared().bank, "show asset:acme/none", 23), "CLIENT_ABSENT");
}
