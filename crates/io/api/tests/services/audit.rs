//! The whole log and proofs about parts of it.

use std::time::Duration;

use bytes::Bytes;
use ledger_format::block::Block;
use ledger_format::note::Note;
use ledger_merkle::log::verify_consistency;
use ledger_proto::v1;
use ledger_proto::v1::audit_service_client::AuditServiceClient;
use ledger_proto::v1::get_proof_request::Of;
use ledger_replay::Replay;
use ledger_story::RAIN;
use ledger_story::acts::asset;
use ledger_verify::proof::verify_proof_file;
use ledger_verify::verdict::Verdict;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use crate::node::{Node, begun, code, refused};

fn not_found() -> (Code, String) {
    (Code::NotFound, "API_NOT_FOUND".into())
}

fn bad_request() -> (Code, String) {
    (Code::InvalidArgument, "API_BAD_REQUEST".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_that_is_streamed_verifies_and_is_bounded() {
    let story = begun().told();
    let node = Node::telling(&story).await;
    let last = story.height;
    let ask = async |from: u64, to: u64| -> Result<Vec<v1::StreamBlocksResponse>, tonic::Status> {
        let request = v1::StreamBlocksRequest { from, to };
        let mut stream = node.audit().stream_blocks(request).await?.into_inner();
        let mut blocks = Vec::new();
        while let Some(block) = stream.message().await? {
            blocks.push(block);
        }
        Ok(blocks)
    };
    let mut replay = Replay::new(story.genesis.clone()).unwrap();
    for (height, response) in (1..).zip(ask(1, 0).await.unwrap()) {
        assert_eq!(response.height, height);
        replay.push(&Block::decode(response.block).unwrap(), |_| ()).unwrap();
    }
    // And its records.
    let mut records =
        node.audit().stream_records(v1::StreamRecordsRequest {}).await.unwrap().into_inner();
    while let Some(message) = records.message().await.unwrap() {
        assert_eq!(message.height, last);
        message.records.iter().for_each(|record| replay.check_record(record).unwrap());
    }
    replay.finish().unwrap();
    assert_eq!(replay.counts().records, node.shared.ledger().record_count());

    let heights =
        |blocks: Vec<v1::StreamBlocksResponse>| blocks.iter().map(|b| b.height).collect::<Vec<_>>();
    assert_eq!(heights(ask(3, 5).await.unwrap()), [3, 4, 5]);
    assert_eq!(heights(ask(last, last).await.unwrap()), [last]);
    // Whoever has everything already is given nothing.
    assert!(ask(last + 1, 0).await.unwrap().is_empty());
    for (from, to) in
        [(0, 0), (0, 5), (1, last + 1), (last + 2, 0), (5, 3), (u64::MAX, 0), (1, u64::MAX)]
    {
        assert_eq!(refused(ask(from, to).await), bad_request(), "{from} to {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_of_what_is_there_and_of_what_is_not() {
    let story = begun().told();
    let node = Node::telling(&story).await;
    let trust = story.genesis.id();
    let ask = async |of: Option<Of>| {
        let answer = node.audit().get_proof(v1::GetProofRequest { of }).await?;
        Ok::<Bytes, tonic::Status>(answer.into_inner().proof)
    };
    for id in [asset(RAIN), asset("none"), "party:nobody".into(), "ledger:genesis".into()] {
        let proof = ask(Some(Of::RecordId(id.clone()))).await.unwrap();
        assert_eq!(verify_proof_file(&proof, None, &trust).verdict, Verdict::Proven, "{id}");
    }
    for logged in &story.log {
        let id = Bytes::copy_from_slice(logged.entry.id().as_bytes());
        let proof = ask(Some(Of::EntryId(id.clone()))).await.unwrap();
        let report = verify_proof_file(&proof, Some(logged.entry.bytes()), &trust);
        assert_eq!(report.verdict, Verdict::Proven);
        let request = v1::GetReceiptRequest { entry_id: id };
        let first = node.audit().get_receipt(request.clone()).await.unwrap().into_inner();
        let again = node.audit().get_receipt(request).await.unwrap().into_inner();
        assert_eq!((first.height, first.leaf_index), (logged.height, logged.leaf));
        assert_eq!(first, again, "always the same bytes");
    }
    let absent: Bytes = vec![9; 32].into();
    assert_eq!(refused(ask(Some(Of::EntryId(absent.clone()))).await), not_found());
    let receipt = node.audit().get_receipt(v1::GetReceiptRequest { entry_id: absent }).await;
    assert_eq!(refused(receipt), not_found());
    assert_eq!(refused(ask(None).await), bad_request());
    for (of, code) in [
        (Of::EntryId(vec![9; 5].into()), "FMT_"),
        (Of::RecordId("none".into()), "FMT_"),
        (Of::RecordId(String::new()), "FMT_"),
    ] {
        assert!(refused(ask(Some(of)).await).1.starts_with(code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_that_one_grew_from_another() {
    let story = begun().told();
    let node = Node::telling(&story).await;
    let head = async |height: u64| {
        let request = v1::GetCheckpointRequest { height };
        node.audit().get_checkpoint(request).await.map(tonic::Response::into_inner)
    };
    assert_eq!(head(0).await.unwrap(), head(story.height).await.unwrap());
    for height in [story.height + 1, u64::MAX] {
        assert_eq!(refused(head(height).await), not_found());
    }
    let mut roots = Vec::new();
    for height in 1..=story.height {
        let answer = head(height).await.unwrap();
        let note = Note::decode(&answer.note).unwrap();
        assert_eq!((answer.height, note.signatures.len()), (height, 2));
        let (header, _) = node.shared.store.header(height).unwrap().unwrap();
        let header = ledger_format::header::Header::decode(header).unwrap();
        roots.push((header.tree_size, header.tree_root));
    }
    let ask = async |from_size: u64, to_size: u64| {
        let request = v1::GetConsistencyRequest { from_size, to_size };
        node.audit().get_consistency(request).await.map(|answer| answer.into_inner().path)
    };
    for (number, (from, first)) in roots.iter().enumerate() {
        for (to, second) in &roots[number..] {
            let path: Vec<[u8; 32]> = ask(*from, *to)
                .await
                .unwrap()
                .iter()
                .map(|hash| hash.as_ref().try_into().unwrap())
                .collect();
            verify_consistency(*from, first, *to, second, &path).unwrap();
        }
    }
    let size = node.shared.head().tree_size;
    for (from, to) in
        [(5, 4), (1, size + 1), (size + 1, size + 2), (1, u64::MAX), (u64::MAX, u64::MAX)]
    {
        assert_eq!(refused(ask(from, to).await), bad_request(), "{from} to {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_blocks_are_few_at_a_time_and_those_unread_are_counted() {
    let node = Node::telling(&begun().told()).await;
    let mut streams = Vec::new();
    // A client that reads hardly anything. What it asks for is more than one chunk, and made soon.
    let endpoint = Endpoint::from_shared(format!("http://{}", node.address)).unwrap();
    let slow = endpoint.initial_stream_window_size(256).connect().await.unwrap();
    let mut audit = AuditServiceClient::new(slow);
    let request = || v1::StreamBlocksRequest { from: 1, to: 0 };
    // Half of all that there are; the others are for other addresses.
    for _ in 0..8 {
        streams.push(audit.stream_blocks(request()).await.unwrap());
    }
    let full = (Code::ResourceExhausted, "API_BUSY".to_owned());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let other = node.audit().stream_blocks(request()).await.unwrap_err();
    assert_eq!(code(&other), full);
    assert!(other.get_error_details().retry_info().is_some());
    let mut elsewhere = Vec::new();
    let mut audit = AuditServiceClient::new(node.elsewhere(2).await);
    for _ in 0..8 {
        elsewhere.push(audit.stream_blocks(request()).await.unwrap());
    }
    let mut audit = AuditServiceClient::new(node.elsewhere(3).await);
    assert!(audit.stream_blocks(request()).await.is_err_and(|status| code(&status) == full));
    // Whoever goes makes room, at once or nearly.
    streams.pop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(node.audit().stream_blocks(request()).await.is_ok());
}
