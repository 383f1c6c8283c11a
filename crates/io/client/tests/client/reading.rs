//! Reads that come in pages.

use std::sync::Arc;
use std::time::Duration;

use ledger_client::{Failure, Node};
use ledger_format::digest::EntryId;
use ledger_proto::v1;
use tonic::{Code, Status};

use crate::node::Answers;

/// Pages that a node cuts where it likes: of one leaf, of two, of one.
fn pages(request: &v1::GetHistoryRequest) -> Result<v1::GetHistoryResponse, Status> {
    let (leaves, next_page_token) = match request.page_token.as_str() {
        "" => (vec![9], "second"),
        "second" => (vec![7, 5], "third"),
        "third" => (vec![2], ""),
        other => return Err(Status::invalid_argument(other.to_owned())),
    };
    let leaf = |leaf_index| v1::Leaf { leaf_index, ..v1::Leaf::default() };
    let leaves = leaves.into_iter().map(leaf).collect();
    let next_page_token = next_page_token.to_owned();
    Ok(v1::GetHistoryResponse { leaves, next_page_token, ..v1::GetHistoryResponse::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_ends_where_no_token_is_and_not_with_a_short_page() {
    let answers = Answers { page: Arc::new(pages), ..Answers::default() };
    let leaves = answers.node().await.history("asset:acme/rain").await.unwrap();
    let places: Vec<u64> = leaves.iter().map(|leaf| leaf.leaf_index).collect();
    assert_eq!(places, [2, 5, 7, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_empty_pages_is_no_answer() {
    let empty = |_: &v1::GetHistoryRequest| {
        let next_page_token = "more".to_owned();
        Ok(v1::GetHistoryResponse { next_page_token, ..v1::GetHistoryResponse::default() })
    };
    let answers = Answers { page: Arc::new(empty), ..Answers::default() };
    let error = answers.node().await.history("asset:acme/rain").await.unwrap_err();
    assert_eq!(error.code, "CLIENT_ANSWER");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_the_transport_says_what_to_do() {
    // Every number that a status can have.
    for number in 1..=16 {
        let code = Code::from_i32(number);
        let page = move |_: &v1::GetHistoryRequest| Err(Status::new(code, "the transport's words"));
        let answers = Answers { page: Arc::new(page), ..Answers::default() };
        let error = answers.node().await.history("asset:acme/rain").await.unwrap_err();
        assert_eq!(error.code, format!("GRPC_{code:?}"));
        assert!(error.help.ends_with('.'), "{error:?}");
    }
    // One that is too long for its reader.
    let long = |_: &v1::GetHistoryRequest| {
        let leaf = v1::Leaf { entry: vec![0; 60_000].into(), ..v1::Leaf::default() };
        let leaves = vec![leaf; 400];
        Ok(v1::GetHistoryResponse { leaves, ..v1::GetHistoryResponse::default() })
    };
    let answers = Answers { page: Arc::new(long), ..Answers::default() };
    let error = answers.node().await.history("asset:acme/rain").await.unwrap_err();
    assert_eq!(error.code, "GRPC_OutOfRange");
    assert!(error.help.contains("smaller"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_says_nothing_leaves_no_outcome_open_where_nothing_was_submitted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut node = Node::connect(&url, Duration::from_millis(200)).await.unwrap();
    let read = node.status().await.unwrap_err();
    assert_eq!((read.code.as_str(), read.failure), ("CLIENT_UNANSWERED", Failure::Connect));
    assert_eq!(read.failure.exit_code(), 20);
    assert!(read.message.contains("Timeout expired"), "{read}");
    assert!(node.records().await.is_err_and(|error| error.code == read.code));
    // What became of an entry is another question.
    let waited = node.wait_for(&EntryId([7; 32]), 0).await.unwrap_err();
    assert_eq!((waited.code.as_str(), waited.failure), ("CLIENT_INTERRUPTED", Failure::Unknown));
}
