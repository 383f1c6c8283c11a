//! What an auditor asks of files, after the main path was typed by hand: chains that end early, records, checkpoints.

use std::fs;
use std::path::Path;

use ledger_tests::{Exported, Market};

/// A file of the chain up to a height, without its state.
fn shorter_chain(market: &Market, whole: &Path, height: usize) -> String {
    let short = Exported::read(whole).changed(|chain| {
        chain.blocks.truncate(height);
        chain.records.clear();
    });
    let path = market.bank.file(&format!("chain-{height}.ledger"));
    fs::write(&path, short.file()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_a_shorter_chain_does_not_have_is_not_refuted() {
    let market = Market::shared();
    let (bank, whole) = (&market.bank, market.exports());
    let short = shorter_chain(&market, &whole, 3);
    let history = bank.does("history delivery:acme/weather-1");
    let last = history["entries"].as_array().unwrap().last().unwrap()["entry"].as_str().unwrap();
    bank.does(&format!("show {last} --save last.cose"));
    let file = "file weather.csv --delivery acme/weather-1".to_owned();
    for what in [file, "entry last.cose".to_owned()] {
        let line = format!("verify {what} {} -o json --chain", market.trust());
        let told = bank.types(&format!("{line} {short}")).expect(12).json();
        assert_eq!(told["verdict"], "not determined", "{what}");
        assert!(told["reason"].as_str().unwrap().contains("ends at height 3"), "{told}");
        let _proven = bank.types(&format!("{line} {}", whole.to_str().unwrap())).expect(0);
    }
}

#[test]
fn a_proven_record_says_what_it_is() {
    let market = Market::shared();
    let bank = &market.bank;
    let proof = |id: &str| {
        let file = format!("{}.proof", id.replace([':', '/'], "-"));
        let _proof = bank.types(&format!("prove record {id} --out {file}")).expect(0);
        let again = bank.types(&format!("prove record {id} --out {file} --output json")).expect(24);
        assert_eq!(again.error()["code"], "CLIENT_FILE_EXISTS");
        let line = format!("verify record {file} {}", market.trust());
        let told = bank.types(&format!("{line} -o json")).expect(0).json();
        (bank.types(&line).expect(0).out, told)
    };
    let (text, told) = proof("certificate:SJ4412026080001");
    let shown = bank.does("show certificate:SJ4412026080001");
    assert_eq!((&told["record"], &told["id"]), (&shown["record"], &shown["id"]));
    let (_, says) = text.split_once("\nthe record says:\n").unwrap();
    assert!(says.contains("\n  id: certificate:SJ4412026080001\n"), "{text}");
    let (text, told) = proof("asset:acme/none");
    assert!(told["record"].is_null() && told["height"].is_u64(), "{told}");
    assert!(!text.contains("the record says"), "{text}");
}

#[test]
fn a_checkpoint_is_verified_by_genesis_a_proof_or_a_chain() {
    let market = Market::shared();
    let (bank, chain) = (&market.bank, market.exports());
    let note = bank.types("checkpoint").expect(0).out;
    fs::write(bank.file("head.note"), &note).unwrap();
    let number = |digit: &str| if digit == "1" { "2" } else { "1" };
    let mut lines: Vec<String> = note.lines().map(str::to_owned).collect();
    let first = lines[1][..1].to_owned();
    lines[1].replace_range(..1, number(&first));
    fs::write(bank.file("changed.note"), lines.join("\n") + "\n").unwrap();
    let _proof = bank.types("prove record party:acme --out party.proof").expect(0);
    let verify = |file: &str, more: &str, exit: i32| {
        let line = format!("verify checkpoint {file} {more} -o json");
        bank.types(&line).expect(exit).json()
    };
    let genesis = market.data().join("genesis");
    let by = [
        format!("--genesis {}", genesis.display()),
        "--proof party.proof".to_owned(),
        format!("--chain {}", chain.display()),
    ];
    let status = bank.does("status");
    for (by, has_head) in by.iter().zip([false, true, true]) {
        let trusted = format!("{by} {}", market.trust());
        let told = verify("head.note", &trusted, 0);
        assert_eq!((&told["verdict"], &told["size"]), (&"proven".into(), &status["tree_size"]));
        assert_eq!(told["signers"][0]["party"], "exchange", "{told}");
        assert_eq!(told["height"] == status["height"], has_head, "{told}");
        assert_eq!(verify("changed.note", &trusted, 10)["code"], "V_SIGNATURE");
        verify("head.note", by, 12);
        verify("head.note", &format!("{by} --trust {}", "0".repeat(64)), 13);
        verify("weather.csv", &trusted, 11);
    }
    verify("head.note", &market.trust(), 12);
    // A file whose statement does not hold is none to stand on.
    let proof = fs::read(bank.file("party.proof")).unwrap();
    let at = proof.windows(10).position(|id| id == b"party:acme").unwrap();
    let other = [&proof[..at], b"party:acmf", &proof[at + 10..]].concat();
    fs::write(bank.file("other.proof"), other).unwrap();
    let told = verify("head.note", &format!("--proof other.proof {}", market.trust()), 10);
    assert_eq!(told["code"], "V_STATE_PROOF", "{told}");
    let short = format!("--chain {} {}", shorter_chain(&market, &chain, 3), market.trust());
    let told = verify("head.note", &short, 12);
    assert!(told["reason"].as_str().unwrap().contains("ends at height 3"), "{told}");
}
