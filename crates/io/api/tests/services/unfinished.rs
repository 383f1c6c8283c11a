//! Requests that do not come whole: they are held within bounds, of memory and of time, and keep nobody else from submitting.

use std::time::Duration;

use bytes::Bytes;
use ledger_api::{Bounds, Serving};
use ledger_proto::v1;
use ledger_story::acts::asset_described;
use prost::Message as _;

use crate::node::{Node, begun, sealed};
use crate::raw::{Call, Raw, half, message};

const KIB: usize = 1024;
const SUBMIT: &str = "ledger.v1.SubmitService/Submit";
const STREAM: &str = "ledger.v1.SubmitService/SubmitStream";
/// Longer than any of these tests.
const LONG: Duration = Duration::from_mins(10);
const OK: &str = "0";
const RESOURCE_EXHAUSTED: &str = "8";
const DEADLINE_EXCEEDED: &str = "4";

/// So many KiB of requests, in all and of a connection, for as long as it takes.
fn bounds(server: usize, connection: usize) -> impl FnOnce(&mut Serving) {
    move |serving| {
        let bounds = Bounds::default();
        serving.unfinished.time = LONG;
        serving.unfinished.bounds =
            Bounds { server: server * KIB, connection: connection * KIB, ..bounds };
    }
}

/// How many calls end for want of room, before nothing more ends for a while; those stay that have not.
async fn turned_away(calls: &mut Vec<Call>) -> usize {
    let before = calls.len();
    let mut open = Vec::new();
    for mut call in calls.drain(..) {
        match tokio::time::timeout(Duration::from_millis(200), &mut call.end).await {
            Err(_open) => open.push(call),
            Ok((status, message)) => {
                assert_eq!(status, RESOURCE_EXHAUSTED, "{message}");
                assert!(message.starts_with("API_UNFINISHED"), "{message}");
            }
        }
    }
    *calls = open;
    before - calls.len()
}

/// A client's submission of an entry, by itself: it is taken.
async fn submits(node: &Node, entry: &ledger_format::entry::Entry) {
    let wait_for = v1::Finality::Accepted.into();
    let entry_bytes = entry.bytes().clone();
    let request = v1::SubmitRequest { entry: entry_bytes, wait_for, timeout_ms: 100, replicas: 0 };
    let mut client = node.submit();
    let sent = tokio::spawn(async move { client.submit(request).await });
    assert_eq!(node.arrived(), [entry.id()]);
    // Nobody makes blocks here: what became of it is not known.
    assert_eq!(crate::node::refused(sent.await.unwrap()).1, "API_TIMEOUT");
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_of_messages_are_held_within_a_bound_and_others_submit() {
    let mut story = begun();
    let node = Node::holding(&story, bounds(1_024, 768)).await;
    for (round, method) in [SUBMIT, STREAM].into_iter().enumerate() {
        let (mut one, mut other) = (Raw::connect(&node).await, Raw::connect(&node).await);
        // There is room for seven of one connection. Which of them end is open, since they come side by side.
        let mut first = one.halves(method, 20, 100 * KIB).await;
        let count = turned_away(&mut first).await;
        assert!((13..20).contains(&count), "{method}: {count} of 20");
        // The server has room for a few more.
        let mut second = other.halves(method, 20, 100 * KIB).await;
        let more = turned_away(&mut second).await;
        assert!((10 + 20 - count..20).contains(&more), "{method}: {count} and {more} of 20");
        let name = format!("rain-{round}");
        submits(&node, &sealed(&mut story, &asset_described(&name))).await;
        let mut third = Raw::connect(&node).await;
        let mut small = third.halves(method, 1, 100 * KIB).await;
        assert_eq!(turned_away(&mut small).await, 0, "{method}: a little of each is taken");
        // With its connections the flood is forgotten.
        drop((one, other, third));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut again = Raw::connect(&node).await;
        let mut seven = again.halves(method, 7, 100 * KIB).await;
        assert_eq!(turned_away(&mut seven).await, 0, "{method}");
        drop(again);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_message_counts_until_the_client_has_ended_its_side_of_the_call() {
    let node = Node::holding(&begun(), bounds(1_024, 256)).await;
    let mut raw = Raw::connect(&node).await;
    let entry = Bytes::from(vec![0; 100 * KIB]);
    let request = v1::SubmitRequest { entry: entry.clone(), ..Default::default() };
    let bytes = message(&request.encode_to_vec());
    let mut calls = vec![raw.call(SUBMIT, bytes.clone()).await];
    calls.push(raw.call(SUBMIT, bytes.clone()).await);
    assert_eq!(turned_away(&mut calls).await, 0);
    let mut third = vec![raw.call(SUBMIT, bytes.clone()).await];
    assert_eq!(turned_away(&mut third).await, 1);
    // One ends its side, is judged as any other, and makes room.
    let Call { end, mut sending } = calls.pop().unwrap();
    sending.send_data(Bytes::new(), true).unwrap();
    let (_, message_of_one) = end.await;
    assert!(message_of_one.starts_with("FMT_TOO_LARGE"), "{message_of_one}");
    calls.push(raw.call(SUBMIT, bytes.clone()).await);
    assert_eq!(turned_away(&mut calls).await, 0);
    // Of a stream no message counts that is whole: it lasts for as long as the client likes.
    drop(calls);
    let request = v1::SubmitStreamRequest { entries: vec![entry], ..Default::default() };
    let many = message(&request.encode_to_vec()).repeat(8);
    let Call { end, mut sending } = raw.call(STREAM, many).await;
    sending.send_data(Bytes::new(), true).unwrap();
    assert_eq!(end.await.0, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_come_whole_in_time_ends_its_call() {
    let time = Duration::from_millis(500);
    let node = Node::holding(&begun(), |serving| serving.unfinished.time = time).await;
    let mut raw = Raw::connect(&node).await;
    let mut begun_only = half(100 * KIB);
    begun_only.truncate(50 * KIB);
    for (method, bytes) in [
        (SUBMIT, begun_only.clone()),
        (SUBMIT, message(&[])),
        (SUBMIT, Vec::new()),
        (STREAM, begun_only.clone()),
        (STREAM, [message(&[]), begun_only].concat()),
        ("ledger.v1.QueryService/Watch", message(&[])),
        ("ledger.v1.NodeService/GetStatus", vec![0]),
    ] {
        let Call { end, mut sending } = raw.call(method, bytes).await;
        // A byte now and then is not enough.
        tokio::spawn(async move {
            while sending.send_data(Bytes::from_static(&[0]), false).is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let ends = tokio::time::timeout(Duration::from_secs(20), end).await;
        let (status, message) = ends.unwrap();
        assert_eq!((status.as_str(), &message[..8]), (DEADLINE_EXCEEDED, "API_SLOW"), "{method}");
    }
    // A stream between two messages waits for as long as its client.
    let Call { mut end, mut sending } = raw.call(STREAM, message(&[])).await;
    assert!(tokio::time::timeout(time * 3, &mut end).await.is_err());
    sending.send_data(message(&[]).into(), true).unwrap();
    assert_eq!(end.await.0, OK);
}
