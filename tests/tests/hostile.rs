//! Hostile input to a running node: each refusal has its code and leaves no trace, and nobody else is kept waiting.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use ledger_client::Node;
use ledger_client::act::{Signatory, Times, Unsigned, digest_of};
use ledger_event::event::Act;
use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, BatchSent, DataClass, DeliveryCompleted, Finding,
    Grade, ImportedHistory, NoticeOpened, Origin, PersonalInformation, Purpose,
    RegistrationApplied, RegistrationReviewed, Role,
};
use ledger_fixtures::Rng;
use ledger_format::digest::{Hash, LedgerId};
use ledger_format::entry::{Entry, leaf_hash};
use ledger_format::id::Subject;
use ledger_proto::v1;
use ledger_tests::{Exported, Market, Running, Signal};
use ledger_verify::verdict::Verdict;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

/// Longest that a call of an honest client may take.
const CALL: Duration = Duration::from_secs(20);
const HOUR_S: u64 = 3_600;

/// Acts on one ledger, signed at its time.
#[derive(Clone)]
struct Pen {
    ledger: LedgerId,
    now_s: u64,
}

impl Pen {
    async fn new(node: &mut Node) -> Self {
        let status = node.status().await.unwrap();
        let ledger = LedgerId::from_slice(&status.ledger_id).unwrap();
        Self { ledger, now_s: status.time_ms / 1000 }
    }

    fn unsigned(&self, subject: &str, prior: Option<Hash>, act: Act) -> Unsigned {
        Unsigned {
            ledger: self.ledger,
            subject: Subject::parse("subject", subject).unwrap(),
            prior,
            act,
            times: Times::valid_for(self.now_s, HOUR_S / 2),
        }
    }

    fn sign(&self, subject: &str, act: Act, signers: &[Signatory]) -> Entry {
        self.unsigned(subject, None, act).sign(signers).unwrap()
    }

    /// A claim about the market's asset, by whoever signs.
    fn claim(&self, signer: &Signatory) -> Entry {
        self.sign("asset:acme/weather", claim(), std::slice::from_ref(signer))
    }
}

fn claim() -> Act {
    Act::ImportedHistory(ImportedHistory {
        what: "published".into(),
        when: 20_190_401,
        according_to: "somebody".into(),
        source: "somewhere".into(),
        source_digest: Some(digest_of(b"somewhere")),
    })
}

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
    let request = v1::SubmitStreamRequest { entries, wait_for: 0, sequence: 1 };
    let mut answers = node.submit_stream(tokio_stream::iter([request])).await.unwrap();
    let answer = answers.next().await.unwrap().unwrap();
    match answer.outcomes.into_iter().next().and_then(|outcome| outcome.result) {
        Some(v1::outcome::Result::Position(position)) => Ok(position.leaf_index),
        Some(v1::outcome::Result::Refused(refused)) => Err(refused.code),
        other => panic!("neither placed nor refused: {other:?}"),
    }
}

async fn connect(node: &Running) -> Node {
    Node::connect(&node.url, CALL).await.unwrap()
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

fn forged(entry: &Entry) -> Vec<u8> {
    let mut bytes = entry.bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes
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
    let registry =
        Signatory::issuer("registry", Role::Registry, &market.registry.key("registry-org"));
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
        (
            "one officer, two needed",
            one("registration:acme/weather", reviewed(), registry),
            "PRIOR_MISSING",
        ),
    ]
}

/// Entries at the wrong time, for another place, or out of order.
async fn out_of_place(pen: &Pen, market: &Market, node: &mut Node) -> Vec<Case> {
    let acme = Signatory::issuer("acme", Role::Supplier, &market.acme.key("acme-org"));
    let officers: Vec<Signatory> =
        [("registry-officer-1", Purpose::Issue), ("registry-officer-2", Purpose::SecondFactor)]
            .map(|(key, purpose)| {
                Signatory::new("registry", Role::Registry, purpose, &market.registry.key(key))
            })
            .into();
    let registration = "registration:acme/weather";
    let seen = node.record(registration, 0, 0, false).await.unwrap().head();
    let signed = |unsigned: Unsigned, signers: &[Signatory]| {
        unsigned.sign(signers).unwrap().bytes().to_vec()
    };
    let alone = |unsigned: Unsigned| signed(unsigned, std::slice::from_ref(&acme));
    let at = |issued_s: u64, seconds: u64| Unsigned {
        times: Times::valid_for(issued_s, seconds),
        ..pen.unsigned("asset:acme/weather", None, claim())
    };
    let elsewhere = Pen { ledger: LedgerId([7; 32]), ..pen.clone() };
    let notice = Act::NoticeOpened(NoticeOpened { notice: Some(digest_of(b"notice")) });
    let clerk =
        [Signatory::issuer("registry", Role::Registry, &market.registry.key("registry-org"))];
    let batch = BatchSent { number: 1, ..BatchSent::default() };
    let completed = Act::DeliveryCompleted(DeliveryCompleted {});
    vec![
        ("of another ledger", elsewhere.claim(&acme).bytes().to_vec(), "ENTRY_OTHER_LEDGER"),
        ("expired", alone(at(pen.now_s - 2 * HOUR_S, HOUR_S)), "ENTRY_EXPIRED"),
        ("for too long", alone(at(pen.now_s, 30 * 24 * HOUR_S)), "ENTRY_WINDOW"),
        ("far ahead", alone(at(pen.now_s + 100 * 24 * HOUR_S, HOUR_S)), "ENTRY_AHEAD"),
        (
            "without having looked",
            signed(pen.unsigned(registration, None, reviewed()), &officers),
            "PRIOR_MISSING",
        ),
        (
            "having looked elsewhere",
            signed(pen.unsigned(registration, Some([9; 32]), reviewed()), &officers),
            "PRIOR_STALE",
        ),
        (
            "before acceptance",
            signed(pen.unsigned(registration, seen, reviewed()), &officers),
            "WRONG_STATE",
        ),
        (
            "notice before examination",
            signed(pen.unsigned(registration, seen, notice), &clerk),
            "WRONG_STATE",
        ),
        (
            "a batch of no delivery",
            alone(pen.unsigned("delivery:acme/x", None, Act::BatchSent(batch))),
            "SUBJECT_UNKNOWN",
        ),
        (
            "the end of no delivery",
            alone(pen.unsigned("delivery:acme/x", None, completed)),
            "SUBJECT_UNKNOWN",
        ),
        (
            "described again",
            alone(pen.unsigned("asset:acme/weather", None, described())),
            "SUBJECT_EXISTS",
        ),
        (
            "about the wrong kind",
            alone(pen.unsigned("contract:acme/weather", None, described())),
            "SUBJECT_KIND",
        ),
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
    acme.does("key revoke acme acme-officer-2 --reason lost --key acme-org");
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
    let mut node = connect(&market.node).await;
    let pen = Pen::new(&mut node).await;
    let acme = Signatory::issuer("acme", Role::Supplier, &market.acme.key("acme-org"));
    let mut cases = malformed(&pen, &acme);
    cases.extend(by_the_wrong(&pen, &market));
    cases.extend(out_of_place(&pen, &market, &mut node).await);
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
    let request = v1::SubmitStreamRequest { entries, wait_for: 0, sequence: 1 };
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
    let mut node = connect(&market.node).await;
    let pen = Pen::new(&mut node).await;
    let acme = Signatory::issuer("acme", Role::Supplier, &market.acme.key("acme-org"));
    let entry = pen.claim(&acme).bytes().clone();
    let before = head(&mut node).await;
    let send = |entries: Vec<Bytes>| v1::SubmitStreamRequest { entries, wait_for: 0, sequence: 1 };
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
    for (id, code) in [("", "FMT_VALUE"), ("asset:", "FMT_VALUE"), ("no kind", "FMT_VALUE")] {
        let found = node.record(id, 0, 0, true).await.unwrap_err();
        assert!(
            found.code.starts_with("FMT_") || found.code == "API_BAD_REQUEST",
            "{id:?}: {code}, {found}"
        );
    }
    let far = node.record("asset:acme/weather", u64::MAX, 0, true).await.unwrap_err();
    assert_eq!(far.code, "API_HEIGHT_NOT_KEPT");
    assert_eq!(node.entry_at(u64::MAX).await.unwrap_err().code, "API_NOT_FOUND");
    let traced = node.trace("asset:acme/weather", u32::MAX, u32::MAX, u32::MAX).await;
    assert!(traced.is_ok() || traced.is_err_and(|error| error.code == "API_TOO_MANY"));
    assert_eq!(head(&mut node).await, before);
}

/// How long each of some honest submissions takes. Every one must succeed.
async fn honest(node: &mut Node, pen: &Pen, acme: &Signatory, count: usize) -> Vec<Duration> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = pen.claim(acme);
        let begun = Instant::now();
        node.submit(&entry).await.unwrap();
        all.push(begun.elapsed());
    }
    all.sort_unstable();
    all
}

/// Bad entries that cost the node most: well formed, of known keys, with signatures that fail.
fn forgeries(pen: &Pen, acme: &Signatory) -> Vec<Bytes> {
    (0..256).map(|_| forged(&pen.claim(acme)).into()).collect()
}

/// Sends messages without end, each entry different from all before where `fresh` makes it so.
async fn flood(mut node: Node, mut entries: Vec<Bytes>, fresh: Fresh, read: bool) {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let Ok(mut answers) = node.submit_stream(ReceiverStream::new(receiver)).await else { return };
    let kept = if read {
        tokio::spawn(async move { while let Some(Ok(_)) = answers.next().await {} });
        None
    } else {
        Some(answers)
    };
    let mut count = 0;
    loop {
        for entry in &mut entries {
            count += 1;
            fresh(entry, count);
        }
        let message =
            v1::SubmitStreamRequest { entries: entries.clone(), wait_for: 0, sequence: 0 };
        if sender.send(message).await.is_err() {
            break;
        }
    }
    drop(kept);
}

/// Makes an entry another one.
type Fresh = fn(&mut Bytes, u64);

/// A number within the scalar of the signature: still well formed, and as expensive to refuse as any.
fn other_signature(entry: &mut Bytes, number: u64) {
    let mut bytes = entry.to_vec();
    let end = bytes.len();
    bytes[end - 24..end - 16].copy_from_slice(&number.to_be_bytes());
    *entry = bytes.into();
}

fn the_same(_: &mut Bytes, _: u64) {}

/// Writes what is no HTTP/2, again and again.
fn garbage(address: &str, stop: &std::sync::atomic::AtomicBool) {
    let mut rng = Rng(20_261_128);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    while !stop.load(std::sync::atomic::Ordering::Acquire) {
        let noise = rng.some_bytes(20_000);
        for start in [
            &b""[..],
            preface,
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
        ] {
            let Ok(mut stream) = TcpStream::connect(address) else { continue };
            // The node may hang up in the middle of it.
            let _written = stream.write_all(start).and_then(|()| stream.write_all(&noise));
        }
    }
}

/// A market whose honest client's latency is known.
struct Measured {
    market: Market,
    pen: Pen,
    acme: Signatory,
    before: Duration,
}

impl Measured {
    async fn new() -> Self {
        let market = Market::open();
        market.describes();
        let mut node = connect(&market.node).await;
        let pen = Pen::new(&mut node).await;
        let acme = Signatory::issuer("acme", Role::Supplier, &market.acme.key("acme-org"));
        let before = honest(&mut node, &pen, &acme, 60).await[30];
        Self { market, pen, acme, before }
    }

    fn address(&self) -> &str {
        self.market.node.url.strip_prefix("http://").unwrap()
    }

    /// The honest client again, while something else goes on: half of its calls may take ten times as long and 200 ms more, none
    /// two seconds above that.
    async fn goes_on(&self, what: &str) {
        let mut node = connect(&self.market.node).await;
        let now = honest(&mut node, &self.pen, &self.acme, 40).await;
        let (half, worst) = (now[20], now[39]);
        let allowed = self.before * 10 + Duration::from_millis(200);
        eprintln!("{what}: half within {half:?}, worst {worst:?}; before {:?}", self.before);
        assert!(half <= allowed, "{what}: half took {half:?} and more, before {:?}", self.before);
        assert!(worst <= allowed + Duration::from_secs(2), "{what}: one took {worst:?}");
    }

    /// Goes on while a task runs, and after it was broken off.
    async fn during(&self, what: &str, attack: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(attack);
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.goes_on(what).await;
        task.abort();
    }

    async fn verifies(&self) {
        let chain = Exported::read(&self.market.exports());
        assert_eq!(chain.verdict(&self.pen.ledger), Verdict::Proven);
        let status = connect(&self.market.node).await.status().await.unwrap();
        let (blocks, entries) = (
            chain.blocks.len(),
            (1..=chain.blocks.len()).map(|h| chain.block(h).body.entries.len()),
        );
        assert_eq!(status.tree_size, u64::try_from(entries.sum::<usize>() + blocks - 1).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_entries_without_end_slow_nobody() {
    let measured = Measured::new().await;
    let forgeries = forgeries(&measured.pen, &measured.acme);
    let noise: Vec<Bytes> = (0..256).map(|_| Bytes::from_static(&[0xd2; 900])).collect();
    let stale = Pen { now_s: measured.pen.now_s - 2 * HOUR_S, ..measured.pen.clone() };
    let expired: Vec<Bytes> =
        (0..256).map(|_| stale.claim(&measured.acme).bytes().clone()).collect();
    let floods: [(&str, &Vec<Bytes>, Fresh, bool); 5] = [
        ("noise", &noise, the_same, true),
        ("forgeries", &forgeries, other_signature, true),
        ("the same forgeries", &forgeries, the_same, true),
        ("forgeries, answers unread", &forgeries, other_signature, false),
        ("expired entries", &expired, the_same, true),
    ];
    for (what, entries, fresh, read) in floods {
        let node = connect(&measured.market.node).await;
        measured.during(what, flood(node, entries.clone(), fresh, read)).await;
    }
    measured.goes_on("afterwards").await;
    measured.verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_or_nonsense_slow_nobody() {
    let measured = Measured::new().await;
    let idle: Vec<TcpStream> =
        (0..1_000).map(|_| TcpStream::connect(measured.address()).unwrap()).collect();
    measured.goes_on("1,000 idle connections").await;
    drop(idle);
    let mut half_open = Vec::new();
    let mut node = connect(&measured.market.node).await;
    for _ in 0..500 {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        half_open.push((sender, node.submit_stream(ReceiverStream::new(receiver)).await.unwrap()));
    }
    let mut watching = Vec::new();
    for _ in 0..200 {
        watching.push(node.watch(v1::WatchRequest::default()).await.unwrap());
    }
    measured.goes_on("500 half-open streams and 200 watchers who do not read").await;
    drop((half_open, watching));
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (address, told) = (measured.address().to_owned(), std::sync::Arc::clone(&stop));
    let noise = std::thread::spawn(move || garbage(&address, &told));
    tokio::time::sleep(Duration::from_millis(200)).await;
    measured.goes_on("garbage").await;
    stop.store(true, std::sync::atomic::Ordering::Release);
    noise.join().unwrap();
    measured.verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_descriptors_waits_for_some() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = ledger_tests::new_ledger(directory.path());
    let node = Running::start_within(directory.path(), 128).unwrap();
    let mut before = connect(&node).await;
    let address = node.url.strip_prefix("http://").unwrap().to_owned();
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = node.processor_time();
    assert_eq!(before.status().await.unwrap().height, 1, "who was connected is still served");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let busy = node.processor_time() - busy;
    assert!(busy < Duration::from_millis(300), "waiting for descriptors costs {busy:?} a second");
    drop(idle);
    let mut after = connect(&node).await;
    assert_eq!(after.status().await.unwrap().height, 1);
    drop((before, after));
    assert_eq!(node.end(Signal::Terminate), 0);
}
