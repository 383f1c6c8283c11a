//! Followers: what they answer, whom they believe, and how far an entry has come when anybody is answered.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use ledger_client::{ClientError, Level, Node};
use ledger_format::block::Block;
use ledger_format::digest::{KeyId, LedgerId};
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_proto::v1::outcome::Result as Outcome;
use ledger_tests::{
    Exchanges, Exported, Giver, NODE, Running, Signal, Supplier, new_ledger, node_on, run,
};
use ledger_verify::proof::verify_proof_file;
use ledger_verify::verdict::Verdict;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;

const FOLLOWER: usize = 4;

fn at(level: &str) -> Level {
    level.parse().unwrap()
}

/// A client that has time.
async fn patient(node: &Running) -> Node {
    Node::connect(&node.url, Duration::from_mins(2)).await.unwrap()
}

/// Submits an entry, and waits until it has come so far.
fn submit(
    network: &Exchanges,
    node: usize,
    entry: &Entry,
    level: &str,
    timeout_ms: u32,
) -> Result<v1::Outcome, ClientError> {
    let submit = async {
        patient(network.node(node)).await.submit_until(entry, at(level), timeout_ms).await
    };
    network.runtime.block_on(submit)
}

/// Every level is reached at once while all four are there.
fn levels(network: &Exchanges, supplier: &Supplier) {
    let levels = [("ordered", 1), ("replicated", 1), ("replicated:1", 1), ("replicated:4", 4)];
    for (number, (level, replicas)) in levels.iter().enumerate() {
        for node in [0, FOLLOWER] {
            let entry = supplier.describe(&format!("up-{number}-{node}")).unwrap();
            let outcome = submit(network, node, &entry, level, 0).unwrap();
            assert!(matches!(outcome.result, Some(Outcome::Position(_))), "{outcome:?}");
            // A follower counts validators, and is none.
            let least = if node == FOLLOWER && *replicas == 1 && *level != "replicated:1" {
                0
            } else {
                *replicas
            };
            assert!(outcome.replicas >= least && outcome.replicas <= 4, "{level}: {outcome:?}");
            assert_eq!(outcome.reached(), v1::Finality::Replicated);
        }
    }
    let accepted = supplier.describe("accepted").unwrap();
    let accepted = submit(network, 1, &accepted, "accepted", 0).unwrap();
    assert_eq!((accepted.reached(), accepted.replicas), (v1::Finality::Accepted, 0));
    assert!(matches!(accepted.result, Some(Outcome::Pending(_))), "{accepted:?}");
    let more = supplier.describe("more").unwrap();
    let more = submit(network, 1, &more, "replicated:5", 0).unwrap_err();
    assert_eq!(more.code, "API_REPLICAS", "{}", more.message);
}

/// With one down, three is reached and four is not.
fn three_of_four(network: &Exchanges, supplier: &Supplier) {
    for node in [0, FOLLOWER] {
        let entry = supplier.describe(&format!("three-{node}")).unwrap();
        let outcome = submit(network, node, &entry, "replicated:3", 0).unwrap();
        assert_eq!(outcome.replicas, 3, "{outcome:?}");
        let entry = supplier.describe(&format!("late-{node}")).unwrap();
        let late = submit(network, node, &entry, "replicated:4", 2_000).unwrap_err();
        assert_eq!(late.code, "API_TIMEOUT", "{}", late.message);
        let reached = "durable at 3 validators of the 4 asked for";
        assert!(late.message.contains(reached), "{}", late.message);
    }
}

#[test]
fn replicated_at_four_is_not_answered_until_the_fourth_is_back() {
    let mut network = Exchanges::start(4, 1);
    let supplier = network.supplier(0);
    levels(&network, &supplier);
    network.agree(2);
    network.end(3, Signal::Kill);
    three_of_four(&network, &supplier);
    let waiting: Vec<JoinHandle<Result<v1::Outcome, ClientError>>> = [0, FOLLOWER]
        .map(|node| {
            let entry = supplier.describe(&format!("waits-{node}")).unwrap();
            let mut client = network.runtime.block_on(patient(network.node(node)));
            network.runtime.spawn(async move {
                client.submit_until(&entry, at("replicated:4"), 100_000).await
            })
        })
        .into();
    std::thread::sleep(Duration::from_secs(2));
    assert!(waiting.iter().all(|call| !call.is_finished()), "answered while the fourth is down");
    network.start_nodes(&[3]);
    for call in waiting {
        let outcome = network.runtime.block_on(call).unwrap().unwrap();
        assert_eq!(outcome.replicas, 4, "{outcome:?}");
    }
    // The same on the command line.
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("entry.cose");
    fs::write(&file, supplier.describe("typed").unwrap().bytes()).unwrap();
    let file = file.to_str().unwrap();
    let typed = network.node(2).cli(&["submit", file, "--wait", "replicated:4", "-o", "json"]);
    let typed = typed.expect(0).json();
    assert_eq!((&typed["reached"], &typed["replicas"]), (&"replicated".into(), &4.into()));
}

#[test]
fn a_refusal_reaches_whoever_submitted_at_a_follower() {
    let network = Exchanges::start(4, 1);
    let supplier = network.supplier(0);
    let call = |node: usize, entry| {
        network.runtime.block_on(async { patient(network.node(node)).await.submit(&entry).await })
    };
    let _placed = call(FOLLOWER, supplier.describe("asset").unwrap()).unwrap();
    network.agree(3);
    for node in [FOLLOWER, 2] {
        let again = supplier.describe("asset").unwrap();
        let begun = Instant::now();
        let refused = call(node, again.clone()).unwrap_err();
        assert_eq!(refused.code, "SUBJECT_EXISTS", "{}", refused.message);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let named = refused.message.contains("so judge this node and the validators");
        assert_eq!(named, node == FOLLOWER, "{}", refused.message);
        let known = network.runtime.block_on(async {
            patient(network.node(node)).await.wait_for(&again.id(), 1_000).await.unwrap()
        });
        let Some(Outcome::Refused(refused)) = known.result else { panic!("{known:?}") };
        assert!(refused.height > 3, "{refused:?}");
    }
    // Others go on, also those that depend on each other and come at once.
    let (first, second) = (supplier.describe("two").unwrap(), supplier.revise("two", 1).unwrap());
    let both = network.runtime.block_on(async {
        let mut client = patient(network.node(FOLLOWER)).await;
        let entries = vec![first.bytes().clone(), second.bytes().clone()];
        let request = v1::SubmitStreamRequest { entries, ..Default::default() };
        let mut answers = client.submit_stream(tokio_stream::iter([request])).await.unwrap();
        answers.next().await.unwrap().unwrap().outcomes
    });
    let placed = |outcome: &v1::Outcome| matches!(outcome.result, Some(Outcome::Position(_)));
    assert!(both.iter().all(placed), "{both:?}");
}

#[test]
fn a_follower_answers_every_read() {
    let network = Exchanges::start(4, 1);
    let supplier = network.supplier(0);
    let entry = supplier.describe("asset").unwrap();
    let id = entry.id();
    let height = network.runtime.block_on(async {
        patient(network.node(FOLLOWER)).await.submit(&entry).await.unwrap().height
    });
    network.agree(height);
    network.runtime.block_on(async {
        let mut client = patient(network.node(FOLLOWER)).await;
        let mut validators = Vec::new();
        for node in 0..4 {
            validators.push(patient(network.node(node)).await);
        }
        let trust = client.ledger_id().await.unwrap();
        let (subject, other) = ("asset:supplier/asset", "asset:supplier/none");
        // What only validators sign: the very bytes that one of them gives.
        let (mut notes, mut receipts) = (BTreeSet::new(), BTreeSet::new());
        for validator in &mut validators {
            notes.insert(validator.checkpoint(height).await.unwrap().note);
            receipts.insert(validator.receipt(&id).await.unwrap());
        }
        assert!(notes.contains(&client.checkpoint(height).await.unwrap().note));
        assert!(receipts.contains(&client.receipt(&id).await.unwrap()));
        assert!(!client.checkpoint(0).await.unwrap().note.is_empty());
        let proof = client.prove_entry(&id).await.unwrap();
        let report = verify_proof_file(&proof, Some(entry.bytes()), &trust);
        assert_eq!(report.verdict, Verdict::Proven);
        for record in [subject, other] {
            let proof = client.prove_record(record).await.unwrap();
            assert_eq!(verify_proof_file(&proof, None, &trust).verdict, Verdict::Proven);
        }
        // What is the same everywhere.
        let validator = &mut validators[0];
        let leaf = client.entry(&id).await.unwrap();
        assert_eq!(leaf, validator.entry(&id).await.unwrap());
        assert_eq!(leaf, client.entry_at(leaf.leaf_index).await.unwrap());
        let read = client.record(subject, height, 0, true).await.unwrap();
        assert_eq!(verify_proof_file(&read.proof, None, &trust).verdict, Verdict::Proven);
        assert_eq!(
            client.history(subject).await.unwrap(),
            validator.history(subject).await.unwrap()
        );
        assert_eq!(
            client.trace(subject, 8, 8, 0).await.unwrap(),
            validator.trace(subject, 8, 8, 0).await.unwrap()
        );
        let all = v1::WatchRequest { until_now: true, ..Default::default() };
        let watched: Vec<_> = client.watch(all.clone()).await.unwrap().collect().await;
        let there: Vec<_> = validator.watch(all).await.unwrap().collect().await;
        assert_eq!(watched.len(), there.len());
        assert!(watched.len() > 1);
        let mut count = 0;
        let mut blocks = client.blocks(1, height).await.unwrap();
        while let Some(block) = blocks.next().await {
            count += 1;
            assert_eq!(block.unwrap().height, count);
        }
        assert_eq!(count, height);
        let records: Vec<_> = client.records().await.unwrap().collect().await;
        let records: usize = records.into_iter().map(|part| part.unwrap().records.len()).sum();
        let status = client.status().await.unwrap();
        assert_eq!(u64::try_from(records).unwrap(), status.records);
        assert_eq!(client.genesis().await.unwrap().id(), trust);
        let url = network.node(FOLLOWER).url.clone();
        let mut audit = v1::audit_service_client::AuditServiceClient::connect(url).await.unwrap();
        let sizes = v1::GetConsistencyRequest { from_size: 1, to_size: status.tree_size };
        let path = audit.get_consistency(sizes).await.unwrap().into_inner().path;
        assert!(!path.is_empty());
        let known = client.wait_for(&id, 1_000).await.unwrap();
        assert!(matches!(known.result, Some(Outcome::Position(_))), "{known:?}");
    });
}

/// What a node serves that validators sign is theirs, to the byte, and convinces offline.
fn serves_signed(network: &Exchanges, node: usize, entry: &Entry, height: u64) {
    let id = entry.id();
    network.runtime.block_on(async {
        let (mut notes, mut receipts) = (BTreeSet::new(), BTreeSet::new());
        for validator in 0..FOLLOWER {
            let mut validator = patient(network.node(validator)).await;
            notes.insert(validator.checkpoint(height).await.unwrap().note);
            receipts.insert(validator.receipt(&id).await.unwrap());
        }
        let mut client = patient(network.node(node)).await;
        assert!(notes.contains(&client.checkpoint(height).await.unwrap().note));
        assert!(receipts.contains(&client.receipt(&id).await.unwrap()));
        let proof = client.prove_entry(&id).await.unwrap();
        let trust = LedgerId::from_hex(&network.node(node).genesis).unwrap();
        let report = verify_proof_file(&proof, Some(entry.bytes()), &trust);
        assert_eq!(report.verdict, Verdict::Proven);
    });
}

#[test]
fn a_follower_that_knows_only_followers_writes_and_serves_all_the_same() {
    let network = Exchanges::start_in_line(4, 3);
    let supplier = network.supplier(0);
    let (near, far) = (FOLLOWER + 1, FOLLOWER + 2);
    for node in [near, far] {
        let notices = status(&network, node).notices;
        let told = notices.iter().any(|notice| notice.starts_with("no validator is connected"));
        assert!(told, "{notices:?}");
    }
    for (number, node) in [far, near, far].into_iter().enumerate() {
        let entry = supplier.describe(&format!("asset-{number}")).unwrap();
        let begun = Instant::now();
        let placed = submit(&network, node, &entry, "replicated", 20_000).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4), "it came by chance, not at once");
        assert_eq!(placed.reached(), v1::Finality::Replicated);
        let Some(Outcome::Position(position)) = placed.result else { panic!("{placed:?}") };
        network.agree(position.height);
        let begun = Instant::now();
        serves_signed(&network, node, &entry, position.height);
        assert!(begun.elapsed() < Duration::from_secs(4), "it came at a later attempt");
    }
    // Nobody makes it believe in a refusal: its caller's time ends, and the entry holds up nobody, and waits nowhere else.
    let again = supplier.describe("asset-0").unwrap();
    let waits = submit(&network, far, &again, "replicated", 6_000).unwrap_err();
    assert_eq!(waits.code, "API_TIMEOUT", "{}", waits.message);
    assert!(waits.message.contains("ACCEPTED"), "{}", waits.message);
    let next = supplier.describe("next").unwrap();
    let _placed = submit(&network, far, &next, "replicated", 20_000).unwrap();
    let waiting = |node| status(&network, node).pool_entries;
    assert_eq!((waiting(far), waiting(near), waiting(FOLLOWER)), (1, 0, 0));
}

/// Four validators and a follower, with some blocks; the follower is down and has nothing.
fn with_empty_follower(blocks: u64) -> (Exchanges, u64) {
    let mut network = Exchanges::start(4, 1);
    let supplier = network.supplier(0);
    for number in 2..blocks {
        let entry = supplier.describe(&format!("asset-{number}")).unwrap();
        let submit = async { patient(network.node(0)).await.submit(&entry).await.unwrap() };
        network.runtime.block_on(submit);
    }
    let top = network.agree(blocks);
    network.end(FOLLOWER, Signal::Terminate);
    network.wipe(FOLLOWER);
    (network, top)
}

/// The chain of a node, taken apart.
fn exported(node: &Running) -> Exported {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("chain.ledger");
    node.export(&file);
    Exported::read(&file)
}

fn blocks_of(chain: &Exported) -> Vec<Block> {
    (1..=chain.blocks.len()).map(|height| chain.block(height)).collect()
}

fn status(network: &Exchanges, node: usize) -> v1::GetStatusResponse {
    network.runtime.block_on(async { patient(network.node(node)).await.status().await.unwrap() })
}

/// Waits until the follower names somebody.
fn suspect(network: &Exchanges) -> v1::Suspect {
    let begun = Instant::now();
    loop {
        if let Some(suspect) = status(network, FOLLOWER).suspects.first() {
            return suspect.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody is named");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Feeds the follower a lie about block 3, alone with whoever tells it.
fn feed(network: &mut Exchanges, lie: &Exported, code: &str) {
    let liar = Giver::of(network, 0, blocks_of(lie));
    let config = fs::read_to_string(network.path(FOLLOWER).join("config.toml")).unwrap();
    let known = config.split('"').find(|part| part.starts_with(&liar.id().to_string())).unwrap();
    let mut node = node_on(&network.path(FOLLOWER));
    node.args(["--peer-known", known]);
    network.nodes[FOLLOWER] = Some(Running::spawn(node).unwrap());

    let suspect = suspect(network);
    let peer = KeyId::from_slice(&suspect.peer).unwrap();
    assert_eq!((&*suspect.code, suspect.height, peer), (code, 3, liar.id()), "{suspect:?}");
    assert!(suspect.count >= 1);
    let url = &network.node(FOLLOWER).url;
    let shown = run(NODE, ["status", "--node", url, "-o", "json"]);
    let shown = &shown.expect(0).json()["suspects"][0];
    assert_eq!((&shown["code"], &shown["height"]), (&code.into(), &3.into()), "{shown}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(status(network, FOLLOWER).height, 2, "{code}: something of a lie was kept");
    let told = network.end(FOLLOWER, Signal::Terminate);
    let line = told.err.lines().find(|line| line.contains("may not follow")).unwrap();
    for part in [code, "height=3", &liar.id().to_string()] {
        assert!(line.contains(part), "{line}");
    }
    liar.leave(network);
}

#[test]
fn a_follower_fed_lies_names_height_reason_and_peer_and_keeps_nothing_of_them() {
    let (mut network, top) = with_empty_follower(6);
    let truth = exported(network.node(1));
    network.end(0, Signal::Terminate);
    let forged = truth.with(3, |block| block.body.entries = truth.block(4).body.entries);
    let forked = truth.with(3, |block| block.body.header.time_ms += 1);
    let reordered = truth.changed(|chain| chain.blocks.swap(2, 3));
    let truncated = truth.changed(|chain| chain.blocks.truncate(2));
    let uncertified = truth.with(3, |block| block.certificate.signatures.truncate(2));
    let lies = [
        (&forged, "V_TREE_ROOT"),
        (&reordered, "V_HEIGHT"),
        (&truncated, "V_HEIGHT"),
        (&forked, "V_CERTIFICATE_BLOCK"),
        (&uncertified, "V_QUORUM"),
    ];
    for (lie, code) in lies {
        feed(&mut network, lie, code);
    }
    // With somebody honest beside the liar the follower gets the truth.
    let liar = Giver::of(&network, 0, blocks_of(&forged));
    network.start_nodes(&[FOLLOWER]);
    network.agree(top);
    // Whoever signs that a forged block is decided has proven its own guilt.
    assert_eq!(status(&network, FOLLOWER).evidence, 1);
    let copied = exported(network.node(FOLLOWER));
    assert_eq!(copied.verdict(&truth.ledger()), Verdict::Proven);
    assert_eq!(copied.records, truth.records);
    liar.leave(&network);
}

/// As a restore leaves a directory that has verified everything, and dies after it has moved one part.
fn died_while_moving(path: &std::path::Path) {
    fs::create_dir(path.join("restoring")).unwrap();
    for part in ["wal", "FORMAT"] {
        fs::rename(path.join(part), path.join("restoring").join(part)).unwrap();
    }
}

/// The same chain, exported when it had three blocks.
fn three_blocks_of(chain: &Exported) -> Exported {
    chain.changed(|chain| {
        chain.blocks.truncate(3);
        chain.records.clear();
    })
}

/// A checkpoint of the same size with another root.
fn of_another_history(note: &str) -> String {
    let root = note.lines().nth(2).unwrap();
    note.replacen(root, &format!("{}=", "A".repeat(43)), 1)
}

#[test]
fn a_follower_starts_from_a_chain_that_contains_the_pinned_block() {
    let (mut network, top) = with_empty_follower(6);
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    network.node(1).export(directory.path().join("chain").as_path());
    let truth = Exported::read(directory.path().join("chain").as_path());
    let note = network
        .runtime
        .block_on(async { patient(network.node(0)).await.checkpoint(top).await.unwrap().note });
    fs::write(at("note"), &note).unwrap();
    fs::write(at("other"), of_another_history(&note)).unwrap();
    let hash = |height: usize| truth.block(height).body.header.hash().to_string();
    let path = network.path(FOLLOWER);
    let restore = |to: &std::path::Path, file: &str, checkpoint: &str| {
        let to = to.to_str().unwrap();
        let arguments =
            ["restore", "--data-dir", to, "--snapshot", file, "--checkpoint", checkpoint];
        run(NODE, arguments.iter().chain(&["-o", "json"]))
    };

    let other = TempDir::new().unwrap();
    let _id = new_ledger(other.path());
    let stranger = Running::start(other.path()).unwrap();
    stranger.export(directory.path().join("stranger").as_path());
    let whole = fs::read(at("chain")).unwrap();
    fs::write(at("truncated"), &whole[..whole.len() / 2]).unwrap();
    let forged = truth.with(3, |block| block.body.entries = truth.block(4).body.entries);
    fs::write(at("forged"), forged.file()).unwrap();
    fs::write(at("early"), three_blocks_of(&truth).file()).unwrap();
    let cases = [
        ("stranger", at("note"), "NODE_SNAPSHOT", 13),
        ("truncated", at("note"), "FMT_TRUNCATED", 11),
        ("forged", at("note"), "V_TREE_ROOT", 10),
        ("early", at("note"), "NODE_CHECKPOINT", 12),
        ("early", hash(4), "NODE_CHECKPOINT", 12),
        ("chain", "ab".repeat(32), "NODE_CHECKPOINT", 12),
        ("chain", at("other"), "V_TREE_ROOT", 10),
        ("chain", at("chain"), "NODE_CHECKPOINT", 12),
        ("chain", at("nothing"), "NODE_CHECKPOINT", 12),
    ];
    for (file, checkpoint, code, exit) in cases {
        let refused = restore(&path, &at(file), &checkpoint);
        assert_eq!(refused.error_code(), code, "{file}: {refused:?}");
        assert_eq!(refused.code, exit, "{file}: {refused:?}");
        assert!(file != "truncated" || refused.err.contains(", after block "), "{refused:?}");
        for left in ["store", "wal", "FORMAT", "restoring"] {
            assert!(!path.join(left).exists(), "{file} leaves {left}");
        }
    }
    let validator = restore(&network.path(0), &at("chain"), &at("note"));
    assert_eq!(validator.error_code(), "NODE_CONFIG");

    // What an attempt left that died does not count.
    fs::create_dir_all(path.join("restoring/store")).unwrap();
    fs::write(path.join("restoring/store/conf"), "half").unwrap();
    let restored = restore(&path, &at("early"), &hash(3)).expect(0).json();
    assert_eq!((&restored["height"], &restored["block"]), (&3.into(), &hash(3).into()));
    assert_eq!(restore(&path, &at("chain"), &at("note")).error_code(), "NODE_EXISTS");
    died_while_moving(&path);
    let again = restore(&path, &at("early"), &hash(2)).expect(0).json();
    assert_eq!((&again["height"], &again["block"]), (&3.into(), &hash(3).into()));
    assert!(!path.join("restoring").exists());
    network.start_nodes(&[FOLLOWER]);
    network.agree(top);
    // With the latest checkpoint nothing is left to fetch.
    network.end(FOLLOWER, Signal::Terminate);
    network.wipe(FOLLOWER);
    let restored = restore(&path, &at("chain"), &at("note")).expect(0).json();
    assert_eq!(restored["height"], top);
    network.start_nodes(&[FOLLOWER]);
    let copied = exported(network.node(FOLLOWER));
    assert_eq!(copied.verdict(&truth.ledger()), Verdict::Proven);
}
