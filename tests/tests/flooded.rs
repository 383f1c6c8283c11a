//! Floods and idlers: whoever sends refused entries without end, nonsense, or nothing at all keeps nobody else waiting.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::future::Future;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_client::Node;
use ledger_client::act::Signatory;
use ledger_event::Role;
use ledger_fixtures::Rng;
use ledger_proto::v1;
use ledger_tests::{Exported, Market, Pen, Running, Signal, forged, node_on};
use ledger_verify::verdict::Verdict;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

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
        let message = v1::SubmitStreamRequest {
            entries: entries.clone(),
            wait_for: 0,
            sequence: 0,
            replicas: 0,
        };
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
fn garbage(address: &str, stop: &AtomicBool) {
    let mut rng = Rng(20_261_128);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    while !stop.load(Ordering::Acquire) {
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
        let mut node = market.node.connect().await;
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
        let mut node = self.market.node.connect().await;
        let now = honest(&mut node, &self.pen, &self.acme, 40).await;
        let (half, worst) = (now[20], now[39]);
        let allowed = self.before * 10 + Duration::from_millis(200);
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
        let status = self.market.node.connect().await.status().await.unwrap();
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
    let stale = Pen { now_s: measured.pen.now_s - 7_200, ..measured.pen.clone() };
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
        let node = measured.market.node.connect().await;
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
    let mut node = measured.market.node.connect().await;
    for _ in 0..500 {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        half_open.push((sender, node.submit_stream(ReceiverStream::new(receiver)).await.unwrap()));
    }
    let mut watching = Vec::new();
    // As many as one address may have.
    for _ in 0..128 {
        watching.push(node.watch(v1::WatchRequest::default()).await.unwrap());
    }
    let refused = node.watch(v1::WatchRequest::default()).await;
    assert_eq!(refused.unwrap_err().code, "API_BUSY");
    measured.goes_on("500 half-open streams and 128 watchers who do not read").await;
    drop((half_open, watching));
    let stop = Arc::new(AtomicBool::new(false));
    let (address, told) = (measured.address().to_owned(), Arc::clone(&stop));
    let noise = std::thread::spawn(move || garbage(&address, &told));
    tokio::time::sleep(Duration::from_millis(200)).await;
    measured.goes_on("garbage").await;
    stop.store(true, Ordering::Release);
    noise.join().unwrap();
    measured.verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_when_as_many_are_connected_as_may_be_waits_for_a_place() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = ledger_tests::new_ledger(directory.path());
    let mut command = node_on(directory.path());
    command.args(["--client-connections", "4"]);
    let node = Running::spawn(command).unwrap();
    let mut first = node.connect().await;
    assert_eq!(first.status().await.unwrap().height, 1);
    let address = node.url.strip_prefix("http://").unwrap().to_owned();
    let idle: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let url = node.url.clone();
    let mut asks = tokio::spawn(async move {
        let mut late = Node::connect(&url, Duration::from_secs(30)).await.unwrap();
        late.status().await.unwrap().height
    });
    let soon = tokio::time::timeout(Duration::from_secs(1), &mut asks).await;
    assert!(soon.is_err(), "a fifth was served at once");
    assert_eq!(first.status().await.unwrap().height, 1, "who was connected is still served");
    drop(idle);
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), asks).await.unwrap().unwrap(), 1);
    drop(first);
    let told = node.stop(Signal::Terminate).expect(0).err;
    assert_eq!(told.matches("others wait").count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connects_and_does_not_speak_keeps_no_place() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = ledger_tests::new_ledger(directory.path());
    let mut command = node_on(directory.path());
    command.args(["--client-connections", "2"]);
    let node = Running::spawn(command).unwrap();
    let address = node.url.strip_prefix("http://").unwrap();
    let _silent = TcpStream::connect(address).unwrap();
    let mut halting = TcpStream::connect(address).unwrap();
    halting.write_all(b"PRI * HTTP/2.0").unwrap();
    let begun = Instant::now();
    assert_eq!(node.connect().await.status().await.unwrap().height, 1);
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(5), "there was a place at once: {waited:?}");
    assert_eq!(node.end(Signal::Terminate), 0);
}

/// As many clients as there are descriptors would leave none for the store and for other nodes.
#[test]
fn more_clients_than_descriptors_leave_places_for_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = ledger_tests::new_ledger(directory.path());
    fs::write(directory.path().join("config.toml"), "[client]\nconnections = 5000\n").unwrap();
    let ended = match Running::start_within(directory.path(), 1_024) {
        Err(ended) => ended.expect(2),
        Ok(_) => panic!("a node starts with more clients than descriptors"),
    };
    assert_eq!(ended.error_code(), "NODE_CONFIG");
    for part in ["`client.connections` = 5000", "768 are left"] {
        assert!(ended.err.contains(part), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_descriptors_waits_for_some() {
    let directory = tempfile::tempdir().unwrap();
    let _genesis = ledger_tests::new_ledger(directory.path());
    let node = Running::start_within(directory.path(), 128).unwrap();
    let mut before = node.connect().await;
    let address = node.url.strip_prefix("http://").unwrap().to_owned();
    let idle: Vec<TcpStream> = (0..150).map(|_| TcpStream::connect(&address).unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = node.processor_time();
    assert_eq!(before.status().await.unwrap().height, 1, "who was connected is still served");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let busy = node.processor_time().saturating_sub(busy);
    assert!(busy < Duration::from_millis(300), "waiting for descriptors costs {busy:?} a second");
    drop(idle);
    let mut after = node.connect().await;
    assert_eq!(after.status().await.unwrap().height, 1);
    // Some are kept for the node itself, which makes a file when it stops.
    let _idle: Vec<TcpStream> = (0..150).map(|_| TcpStream::connect(&address).unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop((before, after));
    assert_eq!(node.end(Signal::Terminate), 0);
}
