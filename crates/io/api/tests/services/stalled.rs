//! Streams of which nobody takes anything end, and make room.

use std::time::Duration;

use bytes::Bytes;
use ledger_api::{Bounds, Serving};
use ledger_proto::v1;
use ledger_proto::v1::audit_service_client::AuditServiceClient;
use ledger_replay::ledger::KEPT_HEIGHTS;
use ledger_story::acts::asset_described;
use prost::Message as _;
use tonic::Code;

use crate::node::{Node, begun, code, refused, sealed};
use crate::raw::{Raw, message};

const TIME: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_ends_and_makes_room() {
    let node = Node::holding(&begun().told(), |serving| serving.stalled = TIME).await;
    let mut raw = Raw::taking(&node, Some(0)).await;
    let blocks = message(&v1::StreamBlocksRequest { from: 1, to: 0 }.encode_to_vec());
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut call = raw.call("ledger.v1.AuditService/StreamBlocks", blocks.clone()).await;
        call.sending.send_data(Bytes::new(), true).unwrap();
        open.push(call);
    }
    for _ in 0..2 {
        let mut call = raw.call("ledger.v1.AuditService/StreamRecords", message(&[])).await;
        call.sending.send_data(Bytes::new(), true).unwrap();
        open.push(call);
    }
    tokio::time::sleep(TIME / 4).await;
    let request = || v1::StreamBlocksRequest { from: 1, to: 0 };
    let records = || v1::StreamRecordsRequest {};
    assert_eq!(refused(node.audit().stream_blocks(request()).await).1, "API_BUSY");
    assert_eq!(refused(node.audit().stream_records(records()).await).1, "API_BUSY");
    tokio::time::sleep(TIME * 3).await;
    // Its calls are open still, and all places are free.
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(node.audit().stream_blocks(request()).await.unwrap());
    }
    assert!(node.audit().stream_records(records()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_on_after_all_is_told_and_a_stream_without_news_goes_on() {
    let mut story = begun();
    let node = Node::holding(&story, |serving| serving.stalled = TIME).await;
    let mut add = |number: u32| {
        let entry = sealed(&mut story, &asset_described(&format!("rain-{number}")));
        assert!(node.commit(story.time_ms, &[&entry]).is_empty());
    };
    let request = v1::WatchRequest { from: node.shared.head().tree_size, ..Default::default() };
    let mut quiet = node.query().watch(request).await.unwrap().into_inner();
    tokio::time::sleep(TIME * 3).await;
    add(0);
    assert!(quiet.message().await.unwrap().is_some());
    // More than a client takes that does not read.
    (1..200).for_each(&mut add);
    let request = v1::StreamBlocksRequest { from: 1, to: 0 };
    let mut audit = AuditServiceClient::new(node.elsewhere(2).await);
    let mut stalled = audit.stream_blocks(request).await.unwrap().into_inner();
    tokio::time::sleep(TIME * 3).await;
    let mut blocks = 0;
    let end = loop {
        match stalled.message().await {
            Ok(block) => assert_eq!(block.unwrap().height, blocks + 1),
            Err(end) => break end,
        }
        blocks += 1;
    };
    assert_eq!(code(&end), (Code::DeadlineExceeded, "API_STALLED".into()));
    assert!((1..node.shared.head().height).contains(&blocks), "{blocks}");
}

/// What clients send over streams is answered at once if it is no entry: whoever reads none of that has it kept for a while, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_stream_that_nobody_reads_are_bounded_and_make_room() {
    const ENTRIES: usize = 64;
    let bounded = |stalled: Duration| {
        move |serving: &mut Serving| {
            serving.stalled = stalled;
            let (all, connection) = (100 * ENTRIES, 12 * ENTRIES);
            serving.under_way = Bounds { server: all, address: all, connection, assured: 0 };
        }
    };
    let sent = |count: usize| {
        let entries = vec![Bytes::new(); count];
        message(&v1::SubmitStreamRequest { entries, ..Default::default() }.encode_to_vec())
    };
    let submit = "ledger.v1.SubmitService/SubmitStream";
    // Of the answers some are on their way, and the rest is too much for another one.
    let patient = Node::holding(&begun(), bounded(TIME * 100)).await;
    let mut raw = Raw::taking(&patient, Some(0)).await;
    let _open = raw.call(submit, sent(ENTRIES).repeat(12)).await;
    tokio::time::sleep(TIME / 2).await;
    let ends = tokio::time::timeout(TIME * 10, raw.call(submit, sent(9 * ENTRIES)).await.end);
    let (status, why) = ends.await.expect("it was taken in");
    assert!(status == "8" && why.starts_with("API_BUSY"), "{status} {why}");
    let node = Node::holding(&begun(), bounded(TIME)).await;
    let mut raw = Raw::taking(&node, Some(0)).await;
    let _open = raw.call(submit, sent(ENTRIES).repeat(12)).await;
    tokio::time::sleep(TIME * 3).await;
    let ends = tokio::time::timeout(TIME / 2, raw.call(submit, sent(9 * ENTRIES)).await.end);
    assert!(ends.await.is_err(), "there is no room");
}

/// The state of a height is kept for whoever reads its records, and what was written since takes memory for as long.
#[tokio::test(flavor = "multi_thread")]
async fn a_height_is_not_kept_for_who_reads_its_records_slowly() {
    let mut story = begun();
    let node = Node::holding(&story, |serving| serving.kept_for = 100).await;
    let mut block = |names: Vec<String>| {
        let entries: Vec<_> =
            names.iter().map(|name| sealed(&mut story, &asset_described(name))).collect();
        assert!(node.commit(story.time_ms, &entries.iter().collect::<Vec<_>>()).is_empty());
    };
    for number in 0..40 {
        block((0..100).map(|of| format!("rain-{number}-{of}")).collect());
    }
    let (height, count) = {
        let ledger = node.shared.ledger();
        (ledger.height(), usize::try_from(ledger.record_count()).unwrap())
    };
    let mut audit = AuditServiceClient::new(node.elsewhere(2).await);
    let records = audit.stream_records(v1::StreamRecordsRequest {}).await.unwrap();
    let mut records = records.into_inner();
    assert_eq!(records.message().await.unwrap().unwrap().height, height);
    for number in 0..KEPT_HEIGHTS {
        block((0..2).map(|of| format!("sun-{number}-{of}")).collect());
    }
    let is_kept = || node.shared.ledger().state_at(height).is_some();
    for _ in 0..100 {
        if !is_kept() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!is_kept());
    let mut read = 0;
    let end = loop {
        match records.message().await {
            Ok(Some(message)) => read += message.records.len(),
            Ok(None) => panic!("{read} of {count}: an end, as if that were all"),
            Err(end) => break end,
        }
    };
    assert_eq!(code(&end).1, "API_HEIGHT_NOT_KEPT");
    assert!(read < count, "{read} of {count}");
}
