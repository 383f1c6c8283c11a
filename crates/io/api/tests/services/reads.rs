//! Reads for clients hold up nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ledger_proto::v1;
use ledger_proto::v1::get_entry_request::By;
use ledger_proto::v1::query_service_client::QueryServiceClient;
use ledger_story::acts::asset_described;

use crate::node::{Node, begun, sealed};

/// Calls that each read much.
const CALLS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn many_long_reads_of_one_caller_keep_nobody_from_asking_and_submitting() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    for block in 0..20 {
        let names = (0..100).map(|number| format!("rain-{block}-{number}"));
        let entries: Vec<_> =
            names.map(|name| sealed(&mut story, &asset_described(&name))).collect();
        assert!(node.commit(story.time_ms, &entries.iter().collect::<Vec<_>>()).is_empty());
    }
    assert!(node.shared.head().tree_size > 2_000);
    let done = Arc::new(AtomicUsize::new(0));
    let long = QueryServiceClient::new(node.elsewhere(2).await);
    for _ in 0..CALLS {
        let (mut long, done) = (long.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let id = "activity:kind/asset_described".to_owned();
            let request = v1::GetHistoryRequest { id, page_size: 1_000, ..Default::default() };
            long.get_history(request).await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    while done.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..10 {
        node.own().get_status(v1::GetStatusRequest {}).await.unwrap();
        let first = v1::GetEntryRequest { by: Some(By::LeafIndex(0)) };
        node.query().get_entry(first).await.unwrap();
    }
    let entry = sealed(&mut story, &asset_described("sun"));
    let wait_for = v1::Finality::Accepted.into();
    let bytes = entry.bytes().clone();
    let request = v1::SubmitRequest { entry: bytes, wait_for, timeout_ms: 100, replicas: 0 };
    let mut client = node.submit();
    let sent = tokio::spawn(async move { client.submit(request).await });
    assert_eq!(node.arrived(), [entry.id()]);
    // Nobody makes blocks here: what became of it is not known.
    assert_eq!(crate::node::refused(sent.await.unwrap()).1, "API_TIMEOUT");
    let done = done.load(Ordering::Relaxed);
    assert!(done < CALLS / 2, "{done} of {CALLS} long reads came first");
}

/// Anybody may ask where an id is, and send an entry that has expired, signed or not: where these are is looked up among other reads.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_up_for_who_submits_waits_its_turn_and_new_entries_do_not() {
    const SOON: Duration = Duration::from_millis(300);
    let mut story = begun();
    // Nothing is read at all.
    let node = Node::holding(&story, |serving| serving.reads = 0).await;
    let there = story.log.last().unwrap().entry.bytes().clone();
    let submitted = |entry: &Bytes| v1::SubmitRequest {
        entry: entry.clone(),
        timeout_ms: 100,
        ..Default::default()
    };
    let mut client = node.submit();
    assert!(tokio::time::timeout(SOON, client.submit(submitted(&there))).await.is_err());
    let stream = v1::SubmitStreamRequest { entries: vec![there], ..Default::default() };
    let mut answers =
        client.submit_stream(tokio_stream::iter([stream])).await.unwrap().into_inner();
    assert!(tokio::time::timeout(SOON, answers.message()).await.is_err());
    let wait = v1::WaitForRequest { entry_id: vec![7; 32].into(), ..Default::default() };
    assert!(tokio::time::timeout(SOON, client.wait_for(wait)).await.is_err());
    let entry = sealed(&mut story, &asset_described("sun"));
    let sent = tokio::spawn({
        let request = submitted(entry.bytes());
        async move { client.submit(request).await }
    });
    assert_eq!(node.arrived(), [entry.id()]);
    assert_eq!(crate::node::refused(sent.await.unwrap()).1, "API_TIMEOUT");
}

/// What waits is kept meanwhile, with what was read of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_looked_up_is_bounded() {
    let story = begun();
    let node = Node::holding(&story, |serving| serving.reads = 0).await;
    let there = story.log.last().unwrap().entry.bytes().clone();
    // A connection may have 32 MiB of them, and many more entries under way.
    let count = 3 * 1024 * 1024 / there.len();
    assert!(40 * count < 48 * 4_096);
    let (mut client, mut open) = (node.submit(), Vec::new());
    let mut refused = None;
    while open.len() < 40 && refused.is_none() {
        let stream =
            v1::SubmitStreamRequest { entries: vec![there.clone(); count], ..Default::default() };
        let stream = tokio_stream::iter([stream]);
        let mut answers = client.submit_stream(stream).await.unwrap().into_inner();
        let soon = tokio::time::timeout(Duration::from_millis(200), answers.message());
        refused = soon.await.ok().and_then(Result::err);
        open.push(answers);
    }
    let refused = refused.expect("all of it is kept");
    assert_eq!(crate::node::code(&refused).1, "API_BUSY");
}
