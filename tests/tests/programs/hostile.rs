//! Hostile entries and calls to a running node: each is refused with its code and leaves no trace.

use std::collections::BTreeSet;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_client::Node;
use ledger_client::act::{Signatory, Times, Unsigned, digest_of};
use ledger_event::event::Act;
use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, BatchSent, DataClass, DeliveryCompleted, Finding,
    Grade, NoticeOpened, Origin, PersonalInformation, Purpose, RegistrationApplied,
    RegistrationReviewed, Role,
};
use ledger_format::digest::LedgerId;
use ledger_format::entry::{Entry, leaf_hash};
use ledger_proto::v1;
use ledger_tests::{Exported, Market, Pen, claim, forged};
use ledger_verify::verdict::Verdict;
use tokio_stream::StreamExt as _;

const HOUR_S: u64 = 3_600;

fn described() -> Act {
    let description = AssetDescription {
        kind: AssetKind::Product.into(),
        name_en: "Gold".into(),
        origin: Origin::Collected.into(),
        data_class: DataClass::Enterprise.into(),
        grade: Grade::General1.into(),
        personal_information: PersonalInformation::None.into(),
        ..AssetDescription::default()
    };
    Act::AssetDescribed(AssetDescribed { description: Some(description) })
}

fn applied() -> Act {
    Act::RegistrationApplied(RegistrationApplied {
        asset: "asset:acme/weather".into(),
        version: 1,
        registry: "registry".into(),
        rule_set: "CN-NDA-2026/1".into(),
        ..RegistrationApplied::default()
    })
}

fn reviewed() -> Act {
    let satisfied = Finding::Satisfied.into();
    let report = Some(digest_of(b"report"));
    let findings = RegistrationReviewed {
        description: satisfied,
        source: satisfied,
        title: satisfied,
        report,
    };
    Act::RegistrationReviewed(findings)
}

/// What became of bytes that were submitted: their leaf, or the code that they were refused with.
async fn fate(node: &mut Node, bytes: &[u8]) -> Result<u64, String> {
    let entries = vec![Bytes::copy_from_slice(bytes)];
    let request = v1::SubmitStreamRequest { entries, wait_for: 0, sequence: 1, replicas: 0 };
    let mut answers = node.submit_stream(tokio_stream::iter([request])).await.unwrap();
    let answer = answers.next().await.unwrap().unwrap();
    match answer.outcomes.into_iter().next().and_then(|outcome| outcome.result) {
        Some(v1::outcome::Result::Position(position)) => Ok(position.leaf_index),
        Some(v1::outcome::Result::Refused(refused)) => Err(refused.code),
        other => panic!("neither placed nor refused: {other:?}"),
    }
}

/// Height, leaves and time: what any entry that counts would change.
async fn head(node: &mut Node) -> (u64, u64, u64) {
    let status = node.status().await.unwrap();
    (status.height, status.tree_size, status.time_ms)
}

/// Where the outer signature of an entry begins: its CBOR head is before its 64 bytes.
fn longer_head(entry: &Entry) -> Vec<u8> {
    let bytes = entry.bytes();
    let (before, signature) = bytes.split_at(bytes.len() - 64);
    let (before, head) = before.split_at(before.len() - 2);
    assert_eq!(head, [0x58, 64], "a byte string of 64 bytes");
    [before, &[0x59, 0, 64], signature].concat()
}

type Case = (&'static str, Vec<u8>, &'static str);

/// Entries whose form is wrong.
fn malformed(pen: &Pen, acme: &Signatory) -> Vec<Case> {
    let good = pen.claim(acme);
    let bytes = good.bytes().to_vec();
    let mut changed = bytes.clone();
    changed[0] = 0xd1;
    vec![
        ("nothing", Vec::new(), "FMT_TRUNCATED"),
        ("oversized", vec![0xd2; 65_536], "FMT_TOO_LARGE"),
        ("oversized, and begins well", [bytes.clone(), vec![0; 65_536]].concat(), "FMT_TOO_LARGE"),
        ("not canonical", longer_head(&good), "FMT_NOT_CANONICAL"),
        ("one byte more", [&bytes[..], &[0]].concat(), "FMT_TRAILING"),
        ("one byte less", bytes[..bytes.len() - 1].to_vec(), "FMT_TRUNCATED"),
        ("half", bytes[..bytes.len() / 2].to_vec(), "FMT_TRUNCATED"),
        ("another tag", changed, "FMT_CBOR"),
    ]
}

/// Entries that are well formed and signed by somebody who may not.
fn by_the_wrong(pen: &Pen, market: &Market) -> Vec<Case> {
    let (acme, bank) = (market.acme.key("acme-org"), market.bank.key("bank-org"));
    let supplier = |key: &SigningKey| Signatory::issuer("acme", Role::Supplier, key);
    let stranger = ledger_client::keys::generate().unwrap();
    let revoked = market.acme.key("acme-officer-2");
    let two = |first: &SigningKey, second: &SigningKey| {
        let second = Signatory::new("acme", Role::Supplier, Purpose::SecondFactor, second);
        let signed = [supplier(first), second];
        pen.sign("registration:acme/again", applied(), &signed).bytes().to_vec()
    };
    let one = |subject: &str, act: Act, signer: Signatory| {
        pen.sign(subject, act, &[signer]).bytes().to_vec()
    };
    vec![
        ("forged", forged(&pen.claim(&supplier(&acme))), "V_SIGNATURE"),
        ("a key of nobody", pen.claim(&supplier(&stranger)).bytes().to_vec(), "KEY_UNKNOWN"),
        ("a key of another", pen.claim(&supplier(&bank)).bytes().to_vec(), "KEY_OF_OTHER_PARTY"),
        ("a revoked key", pen.claim(&supplier(&revoked)).bytes().to_vec(), "KEY_INACTIVE"),
        (
            "in another's name space",
            one("asset:acme/gold", described(), Signatory::issuer("bank", Role::Buyer, &bank)),
            "SUBJECT_NOT_OWN",
        ),
        (
            "without the role",
            one("asset:bank/gold", described(), Signatory::issuer("bank", Role::Buyer, &bank)),
            "ROLE_NOT_GRANTED",
        ),
        (
            "not the supplier",
            pen.claim(&Signatory::issuer("bank", Role::Buyer, &bank)).bytes().to_vec(),
            "ROLE_NOT_GRANTED",
        ),
        (
            "one factor",
            one("registration:acme/again", applied(), supplier(&acme)),
            "SIG_MISSING_ROLE",
        ),
        ("the same factor twice", two(&acme, &market.acme.key("acme-org-2")), "SIG_SAME_FACTOR"),
    ]
}

/// Entries for another ledger or another time, or about what is not there.
fn out_of_place(pen: &Pen, acme: &Signatory) -> Vec<Case> {
    let alone =
        |unsigned: Unsigned| unsigned.sign(std::slice::from_ref(acme)).unwrap().bytes().to_vec();
    let on = |subject: &str, act: Act| alone(pen.unsigned(subject, None, act));
    let at = |issued_s: u64, seconds: u64| {
        let times = Times::valid_for(issued_s, seconds);
        alone(Unsigned { times, ..pen.unsigned("asset:acme/weather", None, claim()) })
    };
    let elsewhere = Pen { ledger: LedgerId([7; 32]), ..pen.clone() };
    let batch = Act::BatchSent(BatchSent { number: 1, ..BatchSent::default() });
    let completed = Act::DeliveryCompleted(DeliveryCompleted {});
    vec![
        ("of another ledger", elsewhere.claim(acme).bytes().to_vec(), "ENTRY_OTHER_LEDGER"),
        ("expired", at(pen.now_s - 2 * HOUR_S, HOUR_S), "ENTRY_EXPIRED"),
        ("for too long", at(pen.now_s, 30 * 24 * HOUR_S), "ENTRY_WINDOW"),
        ("far ahead", at(pen.now_s + 100 * 24 * HOUR_S, HOUR_S), "ENTRY_AHEAD"),
        ("a batch of no delivery", on("delivery:acme/x", batch), "SUBJECT_UNKNOWN"),
        ("the end of no delivery", on("delivery:acme/x", completed), "SUBJECT_UNKNOWN"),
        ("described again", on("asset:acme/weather", described()), "SUBJECT_EXISTS"),
        ("about the wrong kind", on("contract:acme/weather", described()), "SUBJECT_KIND"),
    ]
}

/// Entries of the registry that do not follow what is there: an application that it has not accepted.
async fn out_of_order(pen: &Pen, market: &Market, node: &mut Node) -> Vec<Case> {
    let signs = |key: &str, purpose: Purpose| {
        Signatory::new("registry", Role::Registry, purpose, &market.registry.key(key))
    };
    let officers = [
        signs("registry-officer-1", Purpose::Issue),
        signs("registry-officer-2", Purpose::SecondFactor),
    ];
    let clerk = [signs("registry-org", Purpose::Issue)];
    let registration = "registration:acme/weather";
    let seen = node.record(registration, 0, 0, false).await.unwrap().head();
    let case = |prior, act, signers: &[Signatory]| {
        pen.unsigned(registration, prior, act).sign(signers).unwrap().bytes().to_vec()
    };
    let notice = Act::NoticeOpened(NoticeOpened { notice: Some(digest_of(b"notice")) });
    vec![
        ("without having looked", case(None, reviewed(), &officers), "PRIOR_MISSING"),
        ("having looked elsewhere", case(Some([9; 32]), reviewed(), &officers), "PRIOR_STALE"),
        ("before acceptance", case(seen, reviewed(), &officers), "WRONG_STATE"),
        ("notice before examination", case(seen, notice, &clerk), "WRONG_STATE"),
        ("one officer, two needed", case(seen, reviewed(), &officers[..1]), "SIG_MISSING_ROLE"),
    ]
}

/// A market with an asset, an application, a revoked key `acme-officer-2` and a second organisation key `acme-org-2`.
fn prepared() -> Market {
    let market = Market::open();
    let (acme, exchange) = (&market.acme, &market.exchange);
    market.describes();
    acme.does(
        "registration apply acme/weather --asset acme/weather --registry registry --rule-set CN-NDA-2026/1 --scenario x \
         --right hold=self-collected --materials weather.csv --key acme-org --key acme-officer-1",
    );
    acme.does("key revoke acme acme-officer-2 --reason lost --key acme-org --key acme-officer-1");
    acme.does("key new acme-org-2");
    for key in ["acme-org", "acme-org-2"] {
        std::fs::copy(acme.keys().join(format!("{key}.pub")), exchange.file(&format!("{key}.pub")))
            .unwrap();
    }
    exchange.does(
        "key enrol acme --grant acme-org-2.pub=org-hsm --key organisation --with acme-org.pub --with acme-org-2.pub --draft k.draft",
    );
    exchange.sends("k.draft", acme);
    acme.does("draft sign k.draft --key acme-org --key acme-org-2");
    acme.sends("k.draft", exchange);
    exchange.does("draft submit k.draft --key organisation");
    market
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_code_and_leaves_no_trace() {
    let market = prepared();
    let mut node = market.node.connect().await;
    let pen = Pen::new(&mut node).await;
    let acme = Signatory::issuer("acme", Role::Supplier, &market.acme.key("acme-org"));
    let mut cases = malformed(&pen, &acme);
    cases.extend(by_the_wrong(&pen, &market));
    cases.extend(out_of_place(&pen, &acme));
    cases.extend(out_of_order(&pen, &market, &mut node).await);
    let before = head(&mut node).await;
    let mut wrong = Vec::new();
    for (name, bytes, code) in &cases {
        let found = fate(&mut node, bytes).await;
        if found != Err((*code).to_owned()) {
            wrong.push(format!("{name}: expected {code}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(head(&mut node).await, before, "something has entered a block");
    repeated(&pen, &acme, &mut node).await;
    let chain = Exported::read(&market.exports());
    assert_eq!(chain.verdict(&pen.ledger), Verdict::Proven);
    let leaves: BTreeSet<_> = (1..=chain.blocks.len())
        .flat_map(|height| chain.block(height).body.entries)
        .map(|entry| leaf_hash(&entry))
        .collect();
    let inside: Vec<_> = cases
        .iter()
        .filter(|(_, bytes, _)| leaves.contains(&leaf_hash(bytes)))
        .map(|case| case.0)
        .collect();
    assert!(inside.is_empty(), "{inside:?}");
}

/// The same bytes count once, wherever they are sent again; another entry with their cti is refused.
async fn repeated(pen: &Pen, acme: &Signatory, node: &mut Node) {
    let unsigned = || pen.unsigned("asset:acme/weather", None, claim());
    let draft = unsigned().draft("acme", ledger_client::keys::kid(&acme.key), Vec::new()).unwrap();
    let seal = |draft: &ledger_format::entry::Draft| {
        ledger_client::act::seal(draft, &[], &acme.key).unwrap()
    };
    let first = seal(&draft);
    let leaf = fate(node, first.bytes()).await.unwrap();
    let after = head(node).await;
    for _ in 0..3 {
        assert_eq!(fate(node, first.bytes()).await, Ok(leaf));
    }
    // A hundred times in one message, before any of them is in a block.
    let again = pen.claim(acme).bytes().clone();
    let entries = vec![again; 100];
    let request = v1::SubmitStreamRequest { entries, wait_for: 0, sequence: 1, replicas: 0 };
    let mut answers = node.submit_stream(tokio_stream::iter([request])).await.unwrap();
    let outcomes = answers.next().await.unwrap().unwrap().outcomes;
    let first_outcome = outcomes[0].clone();
    assert!(matches!(first_outcome.result, Some(v1::outcome::Result::Position(_))));
    assert!(outcomes.iter().all(|outcome| *outcome == first_outcome));
    assert_eq!(head(node).await.1, after.1 + 2, "a header and one entry");
    let after = head(node).await;
    let mut claims = draft.claims().clone();
    claims.issued_s += 1;
    let event = ledger_event::Event { act: Some(claim()), ..Default::default() };
    let other = seal(&ledger_format::entry::Draft::new(draft.kid(), claims, &event));
    assert_eq!(fate(node, other.bytes()).await, Err("ENTRY_CONFLICT".into()));
    assert_eq!(head(node).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_their_limits_are_refused_whole() {
    let market = Market::open();
    market.describes();
    let mut node = market.node.connect().await;
    let pen = Pen::new(&mut node).await;
    let acme = Signatory::issuer("acme", Role::Supplier, &market.acme.key("acme-org"));
    let entry = pen.claim(&acme).bytes().clone();
    let before = head(&mut node).await;
    let send = |entries: Vec<Bytes>| v1::SubmitStreamRequest {
        entries,
        wait_for: 0,
        sequence: 1,
        replicas: 0,
    };
    let many = send(vec![Bytes::new(); 4_097]);
    let large = send(vec![Bytes::from(vec![0; 60_000]); 80]);
    let unknown = v1::SubmitStreamRequest { wait_for: 99, ..send(vec![entry]) };
    for (request, code) in
        [(many, "API_TOO_MANY"), (large, "GRPC_OutOfRange"), (unknown, "API_BAD_REQUEST")]
    {
        let mut answers = node.submit_stream(tokio_stream::iter([request])).await.unwrap();
        let refused = answers.next().await.unwrap().unwrap_err();
        assert_eq!(ledger_client::ClientError::from(refused).code, code);
    }
    for id in ["", "asset:", "no kind"] {
        let found = node.record(id, 0, 0, true).await.unwrap_err();
        assert_eq!(found.code, "FMT_IDENTIFIER", "{id:?}: {found}");
    }
    let far = node.record("asset:acme/weather", u64::MAX, 0, true).await.unwrap_err();
    assert_eq!(far.code, "API_HEIGHT_NOT_KEPT");
    assert_eq!(node.entry_at(u64::MAX).await.unwrap_err().code, "API_NOT_FOUND");
    let traced = node.trace("asset:acme/weather", u32::MAX, u32::MAX, u32::MAX).await;
    assert!(traced.is_ok() || traced.is_err_and(|error| error.code == "API_TOO_MANY"));
    assert_eq!(head(&mut node).await, before);
}
