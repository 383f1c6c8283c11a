//! Answers that nobody reads: they are held within a bound, and keep nobody else from asking.

use std::time::Duration;

use bytes::Bytes;
use ledger_api::Bounds;
use ledger_proto::v1;
use ledger_story::Story;
use prost::Message as _;

use crate::node::{Node, begun};
use crate::raw::{Call, Raw, message};

const GENESIS: &str = "ledger.v1.AuditService/GetGenesis";

/// A node that holds so many bytes of one connection.
async fn holding(story: &Story, connection: usize) -> Node {
    let bounds = Bounds { connection, ..Bounds::default() };
    Node::holding(story, |serving| serving.unread = bounds).await
}

async fn asks(raw: &mut Raw) -> Call {
    let mut call = raw.call(GENESIS, message(&[])).await;
    call.sending.send_data(Bytes::new(), true).unwrap();
    call
}

/// Who takes a byte of each has been given all of it, and the connection keeps what is not taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_which_a_byte_was_taken_is_held_whole() {
    let story = begun();
    let length = story.genesis.bytes().len();
    let node = holding(&story, 10 * length).await;
    let mut raw = Raw::taking(&node, Some(1)).await;
    let mut open = Vec::new();
    for _ in 0..9 {
        open.push(asks(&mut raw).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ends = tokio::time::timeout(Duration::from_secs(10), asks(&mut raw).await.end);
    let (status, why) = ends.await.unwrap();
    assert!(status == "8" && why.starts_with("API_UNREAD"), "{status} {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_held_within_a_bound_and_others_ask() {
    let story = begun();
    let document = story.genesis.bytes().clone();
    let ledger_id = Bytes::copy_from_slice(story.genesis.id().as_bytes());
    let answer = v1::GetGenesisResponse { document, ledger_id };
    let length = message(&answer.encode_to_vec()).len();
    let node = holding(&story, 10 * length).await;
    // Nothing of an answer is taken but its headers.
    let mut raw = Raw::taking(&node, Some(0)).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(asks(&mut raw).await);
    }
    for call in &mut open {
        let ends = tokio::time::timeout(Duration::from_millis(100), &mut call.end);
        assert!(ends.await.is_err(), "an answer that was not read has ended");
    }
    let ends = tokio::time::timeout(Duration::from_secs(10), asks(&mut raw).await.end);
    let (status, why) = ends.await.unwrap();
    assert_eq!(status, "8", "{why}");
    assert!(why.starts_with("API_UNREAD"), "{why}");
    // Somebody else asks, and reads.
    let mut other = Raw::connect(&node).await;
    for _ in 0..20 {
        assert_eq!(asks(&mut other).await.end.await.0, "0");
    }
    // An answer that nobody wants any more makes room.
    drop(open.pop());
    let mut waits = 0;
    while let Ok((_, why)) =
        tokio::time::timeout(Duration::from_millis(200), asks(&mut raw).await.end).await
    {
        waits += 1;
        assert!(waits < 50, "{why}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
