//! Submitting: levels of finality, time-outs, refusals, streams and bounds.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_api::Bounds;
use ledger_api::problem::Problem;
use ledger_event::AssetDescribed;
use ledger_event::{Clock, Purpose, Role};
use ledger_format::digest::{KeyId, LedgerId};
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_proto::v1::outcome::Result as Found;
use ledger_proto::v1::{Finality, Outcome};
use ledger_story::acts;
use ledger_story::cast::{Label, SUPPLIER};
use ledger_story::deed::{Deed, sign};
use ledger_story::{Story, china, genesis};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::node::{Node, begun, code, refused, sealed};

fn request(entry: &Entry, wait_for: Finality, timeout_ms: u32) -> v1::SubmitRequest {
    let entry = entry.bytes().clone();
    v1::SubmitRequest { entry, wait_for: wait_for.into(), timeout_ms, replicas: 0 }
}

fn wait(entry: &Entry, wait_for: Finality, timeout_ms: u32) -> v1::WaitForRequest {
    let entry_id = Bytes::copy_from_slice(entry.id().as_bytes());
    v1::WaitForRequest { entry_id, wait_for: wait_for.into(), timeout_ms, replicas: 0 }
}

async fn waited(node: &Node, request: v1::WaitForRequest) -> Outcome {
    node.submit().wait_for(request).await.unwrap().into_inner().outcome.unwrap()
}

fn pending(outcome: &Outcome) -> bool {
    matches!(outcome.result, Some(Found::Pending(_)))
}

fn position(outcome: &Outcome) -> v1::Position {
    match outcome.result {
        Some(Found::Position(position)) => position,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_is_answered_when_it_is_reached() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let entry = sealed(&mut story, &acts::asset_described("rain"));

    // Nobody waits for it and it is nowhere.
    let unknown = node.submit().wait_for(wait(&entry, Finality::Accepted, 50)).await;
    assert_eq!(refused(unknown), (Code::NotFound, "API_NOT_FOUND".into()));

    let mut client = node.submit();
    let ordered = request(&entry, Finality::Ordered, 20_000);
    let ordered = tokio::spawn(async move { client.submit(ordered).await });
    assert_eq!(node.arrived(), [entry.id()]);
    // Checked, and not yet in the pool.
    let outcome = waited(&node, wait(&entry, Finality::Accepted, 50)).await;
    assert!(pending(&outcome) && outcome.reached() == Finality::Unspecified);

    node.shared.outcomes.accepted([entry.id()]);
    let begun = Instant::now();
    let outcome = waited(&node, wait(&entry, Finality::Accepted, 20_000)).await;
    assert!(pending(&outcome) && outcome.reached() == Finality::Accepted);
    let again = node.submit().submit(request(&entry, Finality::Accepted, 20_000)).await.unwrap();
    let outcome = again.into_inner().outcome.unwrap();
    assert!(pending(&outcome) && outcome.reached() == Finality::Accepted);
    assert!(begun.elapsed() < Duration::from_secs(10), "nothing to wait for");
    // Higher levels are waited for, to the end of the time.
    for level in [Finality::Ordered, Finality::Replicated, Finality::Unspecified] {
        let outcome = waited(&node, wait(&entry, level, 30)).await;
        assert!(pending(&outcome) && outcome.reached() == Finality::Accepted, "{level:?}");
    }
    // One that is under way is not checked again.
    assert!(node.nothing_arrived() && !ordered.is_finished());

    node.commit(story.time_ms, &[&entry]);
    let outcome = ordered.await.unwrap().unwrap().into_inner().outcome.unwrap();
    assert_eq!(outcome.reached(), Finality::Replicated);
    assert_eq!(outcome.entry_id, entry.id().as_bytes().as_slice());
    let place = position(&outcome);
    assert_eq!((place.height, place.leaf_index), (3, node.shared.head().tree_size - 1));
    assert_eq!(place.time_ms, node.shared.head().time_ms);
    for level in [Finality::Accepted, Finality::Ordered, Finality::Replicated] {
        assert_eq!(waited(&node, wait(&entry, level, 50)).await, outcome);
        // The same entry again is the same answer.
        let again = node.submit().submit(request(&entry, level, 50)).await.unwrap();
        assert_eq!(again.into_inner().outcome.unwrap(), outcome);
    }
    assert!(node.nothing_arrived());
    assert_eq!(node.shared.outcomes.waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_fate_is_not_known_in_time_is_not_lost() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let entry = sealed(&mut story, &acts::asset_described("rain"));
    // It had no room before: of what is sent again that is not the outcome.
    let full = ledger_api::outcomes::Outcome::refused(Problem::pool_full("the pool"));
    node.shared.outcomes.announce([(entry.id(), full)]);
    let answer = node.submit().submit(request(&entry, Finality::Replicated, 50)).await;
    assert_eq!(refused(answer), (Code::DeadlineExceeded, "API_TIMEOUT".into()));
    assert_eq!(node.arrived(), [entry.id()]);
    assert!(pending(&waited(&node, wait(&entry, Finality::Replicated, 50)).await));
    let answer = node.submit().submit(request(&entry, Finality::Replicated, 50)).await;
    assert_eq!(refused(answer).1, "API_TIMEOUT");
    assert!(node.nothing_arrived());
    node.commit(story.time_ms, &[&entry]);
    assert_eq!(position(&waited(&node, wait(&entry, Finality::Replicated, 50)).await).height, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_entry_has_its_code_at_once_and_later() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let good = sealed(&mut story, &acts::asset_described("rain"));
    node.commit(story.time_ms, &[&good]);

    // Before any block: what the bytes themselves show.
    let mut forged = sealed(&mut story, &acts::asset_described("sun")).bytes().to_vec();
    let last = forged.len() - 1;
    forged[last - 4] ^= 1;
    let forged = Entry::decode(forged.into()).unwrap();
    let stranger = sign(SUPPLIER, Label::Fresh, Role::Supplier, Purpose::Issue);
    let stranger = acts::asset_described("moon").signed_by(vec![stranger]);
    let stranger = sealed(&mut story, &stranger);
    let elsewhere = Deed { ledger: Some(LedgerId::default()), ..acts::asset_described("mars") };
    let elsewhere = sealed(&mut story, &elsewhere);
    let conflict = Deed { nonce: Some(good.claims().nonce), ..acts::asset_described("star") };
    let conflict = sealed(&mut story, &conflict);
    let before = [
        (&forged, Code::PermissionDenied, "V_SIGNATURE", true),
        (&stranger, Code::PermissionDenied, "KEY_UNKNOWN", true),
        (&elsewhere, Code::InvalidArgument, "ENTRY_OTHER_LEDGER", false),
        (&conflict, Code::AlreadyExists, "ENTRY_CONFLICT", false),
    ];
    for (entry, grpc, expected, remembered) in before {
        let answer = node.submit().submit(request(entry, Finality::Replicated, 20_000)).await;
        assert_eq!(refused(answer), (grpc, expected.to_owned()));
        let later = node.submit().wait_for(wait(entry, Finality::Replicated, 50)).await;
        if remembered {
            let outcome = later.unwrap().into_inner().outcome.unwrap();
            let Some(Found::Refused(refused)) = outcome.result else { panic!("{outcome:?}") };
            assert_eq!((refused.code.as_str(), refused.height), (expected, 0));
        } else {
            assert_eq!(refused(later).1, "API_NOT_FOUND");
        }
    }
    assert!(node.nothing_arrived());

    // By the rules, at a height.
    let twice = sealed(&mut story, &acts::asset_described("rain"));
    let mut client = node.submit();
    let sent = request(&twice, Finality::Ordered, 20_000);
    let sent = tokio::spawn(async move { client.submit(sent).await });
    assert_eq!(node.arrived(), [twice.id()]);
    assert_eq!(node.commit(story.time_ms, &[&twice]), [twice.id()]);
    assert_eq!(refused(sent.await.unwrap()), (Code::AlreadyExists, "SUBJECT_EXISTS".into()));
    let outcome = waited(&node, wait(&twice, Finality::Ordered, 50)).await;
    let Some(Found::Refused(refused)) = outcome.result else { panic!("{outcome:?}") };
    assert_eq!((refused.code.as_str(), refused.height), ("SUBJECT_EXISTS", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_numbers_that_mean_nothing_are_refused() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let good = sealed(&mut story, &acts::asset_described("rain"));
    let entry = |entry: Vec<u8>| v1::SubmitRequest { entry: entry.into(), ..Default::default() };
    for (bytes, expected) in [
        (Vec::new(), "FMT_"),
        (vec![0; 100], "FMT_"),
        (good.bytes()[..200].to_vec(), "FMT_TRUNCATED"),
        ([good.bytes().as_ref(), &[0]].concat(), "FMT_TRAILING"),
        (vec![0xd2; 65_536], "FMT_TOO_LARGE"),
    ] {
        let (grpc, found) = refused(node.submit().submit(entry(bytes)).await);
        assert!(grpc == Code::InvalidArgument && found.starts_with(expected), "{found}");
    }
    let unknown =
        v1::SubmitRequest { entry: good.bytes().clone(), wait_for: 99, ..Default::default() };
    let bad = (Code::InvalidArgument, "API_BAD_REQUEST".to_owned());
    assert_eq!(refused(node.submit().submit(unknown).await), bad);
    let unknown = v1::WaitForRequest { wait_for: 99, ..wait(&good, Finality::Ordered, 0) };
    assert_eq!(refused(node.submit().wait_for(unknown).await), bad);
    for length in [0, 31, 33] {
        let id = v1::WaitForRequest { entry_id: vec![0; length].into(), ..Default::default() };
        let (grpc, found) = refused(node.submit().wait_for(id).await);
        assert!(grpc == Code::InvalidArgument && found.starts_with("FMT_"), "{found}");
    }
    assert!(node.nothing_arrived());
}

fn message(entries: &[Bytes], sequence: u64, wait_for: Finality) -> v1::SubmitStreamRequest {
    v1::SubmitStreamRequest {
        entries: entries.to_vec(),
        wait_for: wait_for.into(),
        sequence,
        replicas: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_every_entry_in_order() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let names = ["one", "two", "three", "four"];
    let entries = names.map(|name| sealed(&mut story, &acts::asset_described(name)));
    let bytes = |number: usize| entries[number].bytes().clone();
    // The second message holds what is no entry, an entry of the first again, and one twice.
    let first = message(&[bytes(0), bytes(1)], 7, Finality::Replicated);
    let broken = Bytes::from_static(b"no entry");
    let second = [bytes(2), broken, bytes(0), bytes(3), bytes(3)];
    let second = message(&second, 3, Finality::Replicated);
    let third = message(&[], 9, Finality::Replicated);
    let requests = tokio_stream::iter([first, second, third]);
    let mut answers = node.submit().submit_stream(requests).await.unwrap().into_inner();
    let mut arrived = Vec::new();
    while arrived.len() < 4 {
        arrived.extend(node.arrived());
    }
    assert_eq!(arrived, entries.each_ref().map(Entry::id));
    assert!(node.nothing_arrived());
    node.commit(story.time_ms, &entries.iter().collect::<Vec<_>>());

    let mut found = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        found.push(answer);
    }
    assert_eq!(found.iter().map(|answer| answer.sequence).collect::<Vec<_>>(), [7, 3, 9]);
    let first_leaf = node.shared.head().tree_size - 4;
    let leaf = |outcome: &Outcome| match &outcome.result {
        Some(Found::Position(position)) => Ok(position.leaf_index - first_leaf),
        Some(Found::Refused(refused)) => {
            assert!(outcome.entry_id.is_empty());
            Err(refused.code[..4].to_owned())
        }
        other => panic!("{other:?}"),
    };
    let leaves: Vec<Vec<_>> =
        found.iter().map(|answer| answer.outcomes.iter().map(leaf).collect()).collect();
    let second = vec![Ok(2), Err("FMT_".to_owned()), Ok(0), Ok(3), Ok(3)];
    assert_eq!(leaves, [vec![Ok(0), Ok(1)], second, vec![]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_stream_are_bounded() {
    let story = begun();
    let node = Node::telling(&story).await;
    let junk = |count: usize| vec![Bytes::from_static(b"x"); count];
    let send = async |message: v1::SubmitStreamRequest| {
        let requests = tokio_stream::iter([message]);
        let mut answers = node.submit().submit_stream(requests).await.unwrap().into_inner();
        answers.message().await.map(|answer| answer.unwrap().outcomes.len())
    };
    assert_eq!(send(message(&junk(4_096), 1, Finality::Ordered)).await.unwrap(), 4_096);
    let found = send(message(&junk(4_097), 1, Finality::Ordered)).await;
    assert_eq!(refused(found), (Code::ResourceExhausted, "API_TOO_MANY".into()));
    let mut unknown = message(&junk(1), 1, Finality::Ordered);
    unknown.wait_for = -1;
    assert_eq!(refused(send(unknown).await).1, "API_BAD_REQUEST");
    // Longer than any message: refused by its length, before it is read.
    let large = message(&vec![Bytes::from(vec![0; 65_535]); 70], 1, Finality::Ordered);
    assert_eq!(send(large).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_intake_turns_away_and_says_when_to_come_back() {
    // Nobody checks anything here.
    let limits = ledger_story::LIMITS;
    let mut story = Story::of(genesis(Clock::Wall, china("2026-08-03"), limits)).begun();
    let node = Node::start(story.genesis.clone(), false).await;
    let bulky = |name: String| {
        acts::asset_described(&name).with(|event: &mut AssetDescribed| {
            event.description.as_mut().unwrap().summary = "\u{20000}".repeat(12_000);
        })
    };
    let entries: Vec<Entry> =
        (0..200).map(|number| sealed(&mut story, &bulky(format!("asset-{number}")))).collect();
    let size = entries[0].bytes().len();
    assert!(size > 48_000);
    let (mut waiting, mut turned) = (0, Vec::new());
    for entry in &entries {
        // It stays in the intake when the time is over, if it was taken at all.
        let status = node.submit().submit(request(entry, Finality::Accepted, 1)).await.unwrap_err();
        if code(&status).1 == "API_TIMEOUT" {
            waiting += 1;
        } else {
            turned.push(status);
        }
    }
    // Eight megabytes of one connection.
    assert_eq!(waiting, 8 * 1024 * 1024 / size);
    assert_eq!(turned.len(), entries.len() - waiting);
    // Of another node it takes as many, entries or not, and looks at none of them now; what is too short to be one takes no room.
    let peer = KeyId([7; 32]);
    let all: Vec<Vec<u8>> = entries.iter().map(|entry| entry.bytes().to_vec()).collect();
    node.shared.take_from_peer(peer, all[..waiting].to_vec(), false).unwrap();
    let no_entry = vec![vec![0; size]; 2];
    let turned_away = node.shared.take_from_peer(peer, no_entry.clone(), false);
    assert_eq!(turned_away.unwrap_err().code, "API_POOL_FULL");
    node.shared.take_from_peer(peer, vec![vec![0; 127]; 100_000], false).unwrap();
    node.shared.take_from_peer(KeyId([8; 32]), vec![vec![0; size]; waiting], false).unwrap();
    let turned_away = node.shared.take_from_peer(KeyId([8; 32]), no_entry.clone(), false);
    assert_eq!(turned_away.unwrap_err().code, "API_POOL_FULL");
    for status in &turned {
        assert_eq!(code(status), (Code::ResourceExhausted, "API_POOL_FULL".into()));
        let retry = status.get_error_details().retry_info().cloned();
        assert!(retry.is_some_and(|retry| retry.retry_delay.is_some()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_for_a_client_that_has_gone_makes_room() {
    let mut story = begun();
    let node = Node::holding(&story, |serving| {
        serving.under_way = Bounds { server: 1, address: 1, connection: 1, assured: 0 };
    })
    .await;
    // Nobody makes blocks here, so it stays under way.
    let entry = sealed(&mut story, &acts::asset_described("rain"));
    let stream = async || {
        let entries = vec![entry.bytes().clone()];
        let request = v1::SubmitStreamRequest { entries, ..Default::default() };
        node.submit().submit_stream(tokio_stream::iter([request])).await.unwrap().into_inner()
    };
    let gone = stream().await;
    assert_eq!(node.arrived(), [entry.id()]);
    assert_eq!(refused(stream().await.message().await).1, "API_BUSY");
    drop(gone);
    let mut tries = 0;
    while let Ok(ended) =
        tokio::time::timeout(Duration::from_millis(200), stream().await.message()).await
    {
        assert_eq!(refused(ended).1, "API_BUSY");
        tries += 1;
        assert!(tries < 50, "its room is kept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whoever asks what became of an entry may ask as often as it likes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_passed_on_again_is_neither_doubled_nor_checked_again() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let entry = sealed(&mut story, &acts::asset_described("rain"));
    let mut forged = entry.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Entry::decode(forged.into()).unwrap();
    let passed = |entry: &Entry| {
        let copies = vec![entry.bytes().to_vec(); 3];
        node.shared.take_from_peer(KeyId([7; 32]), copies, true).unwrap();
    };
    passed(&entry);
    assert_eq!(node.arrived(), [entry.id()]);
    passed(&forged);
    assert!(node.nothing_arrived());
    // As if it had come into the pool, or gone on: then its signatures were good.
    for checked in [&node.shared.recent, &node.shared.handed_on] {
        checked.remember(forged.id());
        passed(&forged);
        assert_eq!(node.arrived(), [forged.id()]);
        checked.forget(&forged.id());
    }
}
