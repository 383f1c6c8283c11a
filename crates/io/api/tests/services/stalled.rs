//! Streams of which nobody takes anything end, and make room.

use std::time::Duration;

use bytes::Bytes;
use ledger_proto::v1;
use ledger_proto::v1::audit_service_client::AuditServiceClient;
use ledger_story::acts::asset_described;
use prost::Message as _;
use tonic::Code;

use crate::node::{Node, begun, code, refused, sealed};
use crate::raw::{Raw, message};

const TIME: Duration = Duration::from_millis(400);

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
