//! Proofs that leave the ledger: of entries, of records, of absence. Good ones convince under the right trust; wrong, cut, changed
//! and spliced ones never do, and the exit code says why.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use ledger_event::Anchor;
use ledger_event::proof_file::Statement;
use ledger_format::digest::LedgerId;
use ledger_format::proof_file::{decode, encode};
use ledger_tests::{Machine, Market, Shared};
use ledger_verify::proof::verify_proof_file;
use ledger_verify::verdict::Verdict;
use serde_json::Value;

/// A ledger with its proofs in files of the exchange's machine: `first` and `second` of two entries, with their bytes, receipts and
/// proofs; `present` and `absent` of records; and the chain.
struct Proven {
    market: Market,
    trust: String,
}

fn proven() -> Arc<Proven> {
    static SHARED: Shared<Proven> = Shared::new();
    SHARED.get(|| {
        let market = Market::open();
        let exchange = &market.exchange;
        for (name, party) in [("first", "registry"), ("second", "acme")] {
            let history = exchange.does(&format!("history party:{party}"));
            let id = history["entries"][0]["entry"].as_str().unwrap().to_owned();
            exchange.does(&format!("prove entry {id} --out {name}.proof --entry {name}.cose"));
            exchange.does(&format!("prove receipt {id} --out {name}.receipt"));
        }
        exchange.does("prove record party:acme --out present.proof");
        exchange.does("prove record asset:acme/gold --out absent.proof");
        fs::rename(market.exports(), exchange.file("chain.ledger")).unwrap();
        Proven { trust: market.node.genesis.clone(), market }
    })
}

impl Proven {
    fn machine(&self) -> &Machine {
        &self.market.exchange
    }

    fn read(&self, name: &str) -> Bytes {
        fs::read(self.machine().file(name)).unwrap().into()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.machine().file(name), bytes).unwrap();
    }

    /// Types `verify …` under the right trust, and wants an exit code.
    fn verify(&self, line: &str, code: i32) -> Value {
        self.under(&self.trust, line, code)
    }

    fn under(&self, trust: &str, line: &str, code: i32) -> Value {
        let line = format!("verify {line} --trust {trust} -o json");
        self.machine().types(&line).expect(code).json()
    }

    fn untrusted(&self, line: &str) -> Value {
        self.machine().types(&format!("verify {line} -o json")).expect(12).json()
    }
}

#[test]
fn the_proof_of_an_entry_convinces_with_its_entry_and_trust() {
    let all = proven();
    let told = all.verify("receipt first.proof --entry first.cose", 0);
    assert_eq!(told["verdict"], "proven");
    assert!(told["lines"].to_string().contains("proves no time"), "{told}");
    // How far it has come, and with whom.
    let quorum = |line: &&Value| line["aspect"] == "quorum" && line["checked"] == true;
    let quorum: Vec<&Value> = told["lines"].as_array().unwrap().iter().filter(quorum).collect();
    let says = |text: &str| quorum.iter().any(|line| line["text"].to_string().contains(text));
    assert!(says("REPLICATED with those who certified") && says("1 of 1 validators"), "{told}");
    // What the header says of the time: RFC 3339 for people, and the number for programs.
    let lines = told["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| !line["time_ms"].is_null()).unwrap();
    let text = line["text"].as_str().unwrap();
    assert!(text.starts_with("the block's header says 20") && text.ends_with('Z'), "{text}");
    assert!(line["time_ms"].as_u64() > Some(1_577_836_800_000), "{line}");
    let line = format!("verify receipt first.proof --entry first.cose --trust {}", all.trust);
    let table = all.machine().types(&line).expect(0).out;
    assert!(table.contains(text), "{table}");
    all.verify("entry first.cose --proof first.proof", 0);
    all.verify("entry first.cose --chain chain.ledger", 0);
    let alone = all.verify("entry first.cose", 12);
    assert_eq!(alone["verdict"], "not determined");
    for line in ["receipt first.proof --entry first.cose", "entry first.cose --chain chain.ledger"]
    {
        assert!(all.untrusted(line)["reason"].as_str().unwrap().contains(&all.trust));
        all.under(&"ab".repeat(32), line, 13);
    }
}

#[test]
fn a_proof_is_of_its_entry_only() {
    let all = proven();
    for line in ["receipt first.proof --entry second.cose", "entry second.cose --proof first.proof"]
    {
        assert_eq!(all.verify(line, 10)["code"], "V_OTHER_ENTRY");
    }
    let (anchor, first) = decode(&all.read("first.proof")).unwrap();
    let (other_anchor, second) = decode(&all.read("second.proof")).unwrap();
    let (Statement::Entry(first), Statement::Entry(second)) = (first, second) else { panic!() };
    let spliced = |name: &str, anchor: Anchor, id: &Bytes, receipts: &[Bytes]| {
        let proof = ledger_event::EntryProof { entry_id: id.clone(), receipts: receipts.to_vec() };
        all.write(name, &encode(anchor, Statement::Entry(proof)));
    };
    // The receipt of the other entry; the same leaf's receipt under a header of another height; header and certificate that do
    // not belong together; a certificate without signatures; no receipt at all.
    spliced("a.proof", other_anchor.clone(), &first.entry_id, &second.receipts);
    let told = all.verify("receipt a.proof --entry first.cose", 10);
    assert_eq!(told["code"], "V_INCLUSION");
    assert_eq!(told["place"]["entry"].as_str().unwrap().len(), 64);
    let block = ledger_tests::Exported::read(&all.machine().file("chain.ledger")).block(3);
    let (header, certificate) = (block.body.header.encode(), block.certificate.encode());
    let old = Anchor {
        header: header.clone().into(),
        certificate: certificate.clone().into(),
        ..anchor.clone()
    };
    spliced("b.proof", old, &first.entry_id, &first.receipts);
    assert_eq!(all.verify("receipt b.proof --entry first.cose", 10)["code"], "V_TREE_SIZE");
    let mixed = Anchor { header: header.into(), ..anchor.clone() };
    spliced("c.proof", mixed, &first.entry_id, &first.receipts);
    assert_eq!(all.verify("receipt c.proof --entry first.cose", 10)["code"], "V_CERTIFICATE_BLOCK");
    let mixed = Anchor { certificate: certificate.into(), ..anchor.clone() };
    spliced("d.proof", mixed, &first.entry_id, &first.receipts);
    assert_eq!(all.verify("receipt d.proof --entry first.cose", 10)["code"], "V_CERTIFICATE_BLOCK");
    let mut nobody = ledger_format::vote::Certificate::decode(anchor.certificate.clone()).unwrap();
    nobody.signatures.clear();
    let nobody = Anchor { certificate: nobody.encode().into(), ..anchor.clone() };
    spliced("e.proof", nobody, &first.entry_id, &first.receipts);
    assert_eq!(all.verify("receipt e.proof --entry first.cose", 10)["code"], "V_QUORUM");
    spliced("f.proof", anchor, &first.entry_id, &[]);
    all.verify("receipt f.proof --entry first.cose", 12);
}

#[test]
fn records_are_proven_and_their_absence_is() {
    let all = proven();
    assert_eq!(all.verify("record present.proof", 0)["verdict"], "proven");
    let absent = all.verify("record absent.proof", 0);
    assert!(
        absent["lines"].to_string().contains("nothing of id asset:acme/gold exists"),
        "{absent}"
    );
    all.untrusted("record present.proof");
    all.untrusted("record absent.proof");
    all.under(&"cd".repeat(32), "record absent.proof", 13);
    let (anchor, statement) = decode(&all.read("present.proof")).unwrap();
    let (_, nothing) = decode(&all.read("absent.proof")).unwrap();
    let (Statement::Record(present), Statement::Record(absent)) = (statement, nothing) else {
        panic!()
    };
    let says = |name: &str, change: &dyn Fn(&mut ledger_event::RecordProof)| {
        let mut proof = present.clone();
        change(&mut proof);
        all.write(name, &encode(anchor.clone(), Statement::Record(proof)));
        all.verify(&format!("record {name}"), 10)["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(says("g.proof", &|proof| proof.record = Bytes::new()), "V_RECORD");
    assert_eq!(says("h.proof", &|proof| proof.record = all.read("absent.proof")), "V_RECORD");
    assert_eq!(says("i.proof", &|proof| proof.proof = absent.proof.clone()), "V_STATE_PROOF");
    // The path of one record says nothing of another.
    let moved = says("j.proof", &|proof| proof.id = "party:bank".into());
    assert!(["V_RECORD", "V_STATE_PROOF"].contains(&moved.as_str()), "{moved}");
    let invented = says("k.proof", &|proof| {
        proof.id = "asset:acme/gold".into();
        proof.proof = absent.proof.clone();
    });
    assert_eq!(invented, "V_RECORD");
}

#[test]
fn a_bare_receipt_alone_determines_nothing() {
    let all = proven();
    let told = all.verify("receipt first.receipt --entry first.cose", 12);
    assert!(told["reason"].as_str().unwrap().contains("prove entry"), "{told}");
    all.under(&"ef".repeat(32), "receipt first.receipt --entry first.cose", 13);
    all.untrusted("receipt first.receipt --entry first.cose");
    let receipt = all.read("first.receipt");
    all.write("cut.receipt", &receipt[..receipt.len() - 1]);
    all.verify("receipt cut.receipt --entry first.cose", 11);
    for place in (0..receipt.len()).step_by(7) {
        let mut changed = receipt.to_vec();
        changed[place] ^= 1;
        all.write("changed.receipt", &changed);
        let line =
            format!("verify receipt changed.receipt --entry first.cose --trust {}", all.trust);
        let code = all.machine().types(&line).code;
        assert!((10..=13).contains(&code), "byte {place}: exit {code}");
    }
}

#[test]
fn what_is_no_proof_is_malformed() {
    let all = proven();
    all.write("none.proof", b"");
    all.write("text.proof", b"I was there");
    for line in [
        "receipt none.proof --entry first.cose",
        "receipt text.proof --entry first.cose",
        "receipt present.proof --entry first.cose",
        "receipt first.proof --entry none.proof",
        "receipt first.proof --entry text.proof",
        "receipt first.proof --entry first.proof",
        "receipt first.receipt --entry text.proof",
        "record first.proof",
        "record text.proof",
        "entry text.proof",
        "entry text.proof --proof first.proof",
        "chain text.proof",
    ] {
        all.verify(line, 11);
    }
    let nowhere = all.machine().types("verify receipt nowhere.proof --entry first.cose -o json");
    assert_eq!(nowhere.expect(1).error()["code"], "CLIENT_FILE");
    // An entry that is well formed and on no ledger, judged by a chain.
    let stranger = Market::open();
    stranger.exchange.does("show leaf:8 --save stranger.cose");
    stranger.exchange.sends("stranger.cose", all.machine());
    let told = all.verify("entry stranger.cose --chain chain.ledger", 10);
    assert_eq!(told["code"], "V_INCLUSION");
}

/// In this process, since it is done some ten thousand times.
#[test]
fn no_bit_and_no_cut_of_a_proof_counts() {
    let all = proven();
    let trust = LedgerId::from_hex(&all.trust).unwrap();
    for (file, entry) in [("first.proof", Some(all.read("first.cose"))), ("absent.proof", None)] {
        let proof = all.read(file);
        let verdict = |bytes: &[u8]| {
            verify_proof_file(&Bytes::copy_from_slice(bytes), entry.as_ref(), &trust).verdict
        };
        assert_eq!(verdict(&proof), Verdict::Proven);
        for place in 0..proof.len() {
            let mut changed = proof.to_vec();
            for mask in [1 << (place % 8), 0xff] {
                changed[place] ^= mask;
                let found = verdict(&changed);
                let refused = matches!(found.exit_code(), 10 | 11 | 13);
                assert!(refused, "{file}, byte {place}, mask {mask:#x}: {found:?}");
                changed[place] ^= mask;
            }
            assert_eq!(verdict(&proof[..place]).exit_code(), 11, "{file}, cut to {place} bytes");
        }
    }
}
