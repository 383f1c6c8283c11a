//! Following what is new: from any point on, without gap and without repetition.

use std::time::Duration;

use ledger_event::AssetDescribed;
use ledger_format::entry::Entry;
use ledger_format::id::state_key;
use ledger_proto::v1;
use ledger_proto::v1::query_service_client::QueryServiceClient;
use ledger_story::acts::{self, asset};
use ledger_story::cast::SUPPLIER;
use ledger_story::{RAIN, Story};
use tonic::Code;

use crate::node::{Node, begun, code, sealed};

async fn watched(node: &Node, request: v1::WatchRequest) -> Vec<v1::WatchResponse> {
    let request = v1::WatchRequest { until_now: true, ..request };
    let mut stream = node.query().watch(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(response) = stream.message().await.unwrap() {
        found.push(response);
    }
    found
}

fn leaves(responses: &[v1::WatchResponse]) -> Vec<u64> {
    responses.iter().map(|response| response.leaf.as_ref().unwrap().leaf_index).collect()
}

/// The leaves of a story whose entries are on one timeline.
fn on(story: &Story, id: &str) -> Vec<u64> {
    let key = state_key(id);
    let own = story.log.iter().filter(|logged| logged.links.iter().any(|link| link.key == key));
    own.map(|logged| logged.leaf).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_resumes_anywhere_without_gap_or_repetition() {
    let story = begun().told();
    let node = Node::telling(&story).await;
    let all: Vec<u64> = story.log.iter().map(|logged| logged.leaf).collect();
    let whole = watched(&node, v1::WatchRequest::default()).await;
    assert_eq!(leaves(&whole), all);
    for (response, logged) in whole.iter().zip(&story.log) {
        let leaf = response.leaf.as_ref().unwrap();
        assert_eq!(&leaf.entry, logged.entry.bytes());
        assert_eq!(leaf.height, logged.height);
    }
    // From every cursor that was given, and from every leaf, headers included.
    for (number, response) in whole.iter().enumerate() {
        let from = response.next;
        let rest = watched(&node, v1::WatchRequest { from, ..Default::default() }).await;
        assert_eq!(rest, whole[number + 1..]);
    }
    for from in (0..node.shared.head().tree_size + 3).chain([u64::MAX]) {
        let rest = watched(&node, v1::WatchRequest { from, ..Default::default() }).await;
        let expected: Vec<u64> = all.iter().copied().filter(|leaf| *leaf >= from).collect();
        assert_eq!(leaves(&rest), expected, "from {from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_nothing_can_pass_is_refused() {
    let node = Node::telling(&begun().told()).await;
    let request = |subject: &str, party: &str, act: &str| v1::WatchRequest {
        subject: subject.into(),
        party: party.into(),
        act: act.into(),
        until_now: true,
        ..Default::default()
    };
    let wrong = [
        (request("", "", "contract_singed"), "contract_signed"),
        (request("acme/weather", "", ""), "no colon after the kind"),
        (request("assets:acme/weather", "", ""), "unknown kind of subject"),
        (request("", "Acme Ltd", ""), "not a party id"),
    ];
    for (request, why) in wrong {
        let refused = node.query().watch(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(why), "{}", refused.message());
    }
    // Of what is not there yet there may be something one day.
    assert!(watched(&node, request("asset:acme/later", "nobody", "budgets_set")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_out_and_nothing_more() {
    let story = begun().told();
    let node = Node::telling(&story).await;
    let subject = v1::WatchRequest { subject: asset(RAIN), ..Default::default() };
    let whole = watched(&node, subject.clone()).await;
    assert_eq!(leaves(&whole), on(&story, &asset(RAIN)));
    for (number, response) in whole.iter().enumerate() {
        let request = v1::WatchRequest { from: response.next, ..subject.clone() };
        assert_eq!(watched(&node, request).await, whole[number + 1..]);
    }
    for party in [SUPPLIER.to_owned(), format!("party:{SUPPLIER}")] {
        let request = v1::WatchRequest { party, ..Default::default() };
        let found = leaves(&watched(&node, request).await);
        let signed = on(&story, &format!("activity:party/{SUPPLIER}"));
        // Its own admission it signs too, with keys that are new: that is no activity of a party yet.
        assert!(signed.iter().all(|leaf| found.contains(leaf)) && found.len() == signed.len() + 1);
    }
    let request = v1::WatchRequest { act: "batch_sent".into(), ..Default::default() };
    assert_eq!(leaves(&watched(&node, request).await), on(&story, "activity:kind/batch_sent"));
    let request = v1::WatchRequest { subject: asset("none"), ..Default::default() };
    assert!(watched(&node, request).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_blocks_reach_those_who_wait() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let end = node.shared.head().tree_size;
    let open = async |from: u64| {
        let request = v1::WatchRequest { from, ..Default::default() };
        node.query().watch(request).await.unwrap().into_inner()
    };
    let (mut now, mut later) = (open(end).await, open(end + 3).await);
    let quiet = tokio::time::timeout(Duration::from_millis(60), now.message()).await;
    assert!(quiet.is_err(), "nothing is new");
    let mut expected = Vec::new();
    for number in 0..20 {
        let names = [format!("rain-{number}"), format!("sun-{number}")];
        let entries = names.map(|name| sealed(&mut story, &acts::asset_described(&name)));
        node.commit(story.time_ms, &entries.each_ref());
        expected.extend(entries.map(|entry| entry.id().as_bytes().to_vec()));
    }
    for (stream, skipped) in [(&mut now, 0), (&mut later, 2)] {
        for id in &expected[skipped..] {
            let next = tokio::time::timeout(Duration::from_secs(20), stream.message()).await;
            let leaf = next.unwrap().unwrap().unwrap().leaf.unwrap();
            assert_eq!(&leaf.entry_id.to_vec(), id);
        }
        let quiet = tokio::time::timeout(Duration::from_millis(60), stream.message()).await;
        assert!(quiet.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_are_bounded_and_who_has_gone_keeps_no_place() {
    let node = Node::telling(&begun()).await;
    let mut watches = Vec::new();
    let request = || v1::WatchRequest { from: u64::MAX, ..Default::default() };
    for _ in 0..128 {
        watches.push(node.query().watch(request()).await.unwrap());
    }
    let full = (Code::ResourceExhausted, "API_BUSY".to_owned());
    assert!(node.query().watch(request()).await.is_err_and(|status| code(&status) == full));
    // The other half is for other addresses.
    let mut query = QueryServiceClient::new(node.elsewhere(2).await);
    for _ in 0..128 {
        watches.push(query.watch(request()).await.unwrap());
    }
    assert!(query.watch(request()).await.is_err_and(|status| code(&status) == full));
    let mut query = QueryServiceClient::new(node.elsewhere(3).await);
    assert!(query.watch(request()).await.is_err_and(|status| code(&status) == full));
    // Without any new block.
    drop(watches);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut watches = Vec::new();
    for _ in 0..128 {
        watches.push(query.watch(request()).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_of_long_entries_comes_in_parts_without_gap_or_repetition() {
    let mut story = begun();
    let node = Node::holding(&story, |serving| serving.watched = 50_000).await;
    let from = node.shared.head().tree_size;
    let deed = |number| {
        acts::asset_described(&format!("long-{number}")).with(|event: &mut AssetDescribed| {
            event.description.as_mut().unwrap().summary = "\u{20000}".repeat(4_000);
        })
    };
    let entries: Vec<_> = (0..12).map(|number| sealed(&mut story, &deed(number))).collect();
    let bytes: usize = entries.iter().map(|entry| entry.bytes().len()).sum();
    assert!(bytes > 150_000, "{bytes}");
    assert!(node.commit(story.time_ms, &entries.iter().collect::<Vec<_>>()).is_empty());
    for act in ["", "asset_described"] {
        let request = v1::WatchRequest { from, act: act.into(), ..Default::default() };
        let found = watched(&node, request).await;
        let found: Vec<_> =
            found.into_iter().map(|response| response.leaf.unwrap().entry).collect();
        assert_eq!(found.len(), entries.len(), "{act}");
        assert!(found.iter().eq(entries.iter().map(Entry::bytes)), "{act}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_an_end_are_told_that_the_node_stops() {
    let node = Node::telling(&begun()).await;
    let from = node.shared.head().tree_size;
    let request = v1::WatchRequest { from, ..Default::default() };
    let mut watch = node.query().watch(request).await.unwrap().into_inner();
    let requests = tokio_stream::pending();
    let mut submits = node.submit().submit_stream(requests).await.unwrap().into_inner();
    node.stop();
    let ends = async { [watch.message().await.unwrap_err(), submits.message().await.unwrap_err()] };
    let ends = tokio::time::timeout(Duration::from_secs(10), ends).await.unwrap();
    for end in ends {
        assert_eq!(code(&end), (Code::Unavailable, "API_STOPPING".into()));
    }
}
