//! Reading entries, records and histories.

use std::collections::BTreeSet;

use bytes::Bytes;
use ledger_event::AssetDescribed;
use ledger_format::digest::LedgerId;
use ledger_format::id::state_key;
use ledger_proto::v1;
use ledger_proto::v1::get_entry_request::By;
use ledger_replay::ledger::KEPT_HEIGHTS;
use ledger_rules::View as _;
use ledger_story::acts::{self, asset, registration};
use ledger_story::{RAIN, Story};
use ledger_verify::proof::verify_proof_file;
use ledger_verify::verdict::Verdict;
use tonic::Code;

use crate::node::{Node, begun, refused, sealed};

fn told() -> Story {
    begun().told()
}

fn bad_request() -> (Code, String) {
    (Code::InvalidArgument, "API_BAD_REQUEST".into())
}

fn not_found() -> (Code, String) {
    (Code::NotFound, "API_NOT_FOUND".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_by_id_and_by_place() {
    let story = told();
    let node = Node::telling(&story).await;
    let ask = async |by: Option<By>| node.query().get_entry(v1::GetEntryRequest { by }).await;
    for logged in &story.log {
        let id = Bytes::copy_from_slice(logged.entry.id().as_bytes());
        let leaf = ask(Some(By::EntryId(id.clone()))).await.unwrap().into_inner().leaf.unwrap();
        assert_eq!((leaf.leaf_index, leaf.height), (logged.leaf, logged.height));
        assert_eq!((&leaf.entry, &leaf.entry_id), (logged.entry.bytes(), &id));
        let same = ask(Some(By::LeafIndex(logged.leaf))).await.unwrap().into_inner().leaf.unwrap();
        assert_eq!(same, leaf);
    }
    // A header is a leaf and no entry; its hash is no entry's id.
    let header = story.log.iter().find(|logged| logged.height == 2).unwrap().leaf - 1;
    let before = node.shared.store.header(1).unwrap().unwrap().0;
    let hash = Bytes::copy_from_slice(&ledger_format::entry::leaf_hash(&before));
    let end = node.shared.head().tree_size;
    for by in
        [By::LeafIndex(header), By::EntryId(hash), By::LeafIndex(end), By::LeafIndex(u64::MAX)]
    {
        assert_eq!(refused(ask(Some(by)).await), not_found());
    }
    assert_eq!(refused(ask(Some(By::EntryId(vec![7; 32].into()))).await), not_found());
    assert_eq!(refused(ask(None).await), bad_request());
    let short = refused(ask(Some(By::EntryId(vec![7; 31].into()))).await);
    assert!(short.0 == Code::InvalidArgument && short.1.starts_with("FMT_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_now_of_then_and_of_nothing() {
    let story = told();
    let node = Node::telling(&story).await;
    let trust = story.genesis.id();
    let ask = async |id: &str, height: u64| {
        let request = v1::GetRecordRequest { id: id.into(), height, at_ms: 0, with_proof: true };
        node.query().get_record(request).await.map(tonic::Response::into_inner)
    };
    let id = asset(RAIN);
    let mut states = BTreeSet::new();
    for height in 1..=story.height {
        let answer = ask(&id, height).await.unwrap();
        let expected = node
            .shared
            .ledger()
            .state_at(height)
            .unwrap()
            .record(&state_key(&id))
            .map(<[u8]>::to_vec);
        assert_eq!(answer.record, expected.unwrap_or_default());
        assert_eq!(answer.height, height);
        assert_eq!(answer.standing.is_some(), !answer.record.is_empty());
        states.insert(ask(&registration(RAIN), height).await.unwrap().standing.map(|s| s.state));
        // Presence and absence are proven alike.
        let report = verify_proof_file(&answer.proof, None, &trust);
        assert_eq!(report.verdict, Verdict::Proven);
        assert!(!matches!(
            verify_proof_file(&answer.proof, None, &LedgerId::default()).verdict,
            Verdict::Proven
        ));
    }
    assert!(states.len() > 4, "{states:?}");
    let latest = ask(&id, 0).await.unwrap();
    assert_eq!(latest, ask(&id, story.height).await.unwrap());
    let without = v1::GetRecordRequest { id: id.clone(), ..Default::default() };
    assert!(node.query().get_record(without).await.unwrap().into_inner().proof.is_empty());

    let gone = (Code::OutOfRange, "API_HEIGHT_NOT_KEPT".to_owned());
    for height in [story.height + 1, u64::MAX] {
        assert_eq!(refused(ask(&id, height).await), gone);
    }
    for wrong in ["", "rain", "nothing:rain", "asset:", "asset:Rain Maker"] {
        let (grpc, code) = refused(ask(wrong, 0).await);
        assert!(grpc == Code::InvalidArgument && code.starts_with("FMT_"), "{wrong}: {code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heights_that_are_not_kept_are_refused() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    for number in 0..KEPT_HEIGHTS + 2 {
        let entry = sealed(&mut story, &acts::asset_described(&format!("rain-{number}")));
        node.commit(story.time_ms, &[&entry]);
    }
    let ask = async |height: u64| {
        let id = asset("rain-0");
        let request = v1::GetRecordRequest { id, height, at_ms: 0, with_proof: true };
        node.query().get_record(request).await
    };
    let last = node.shared.head().height;
    let first = last - u64::try_from(KEPT_HEIGHTS).unwrap() + 1;
    assert_eq!(refused(ask(first - 1).await).1, "API_HEIGHT_NOT_KEPT");
    assert_eq!(ask(first).await.unwrap().into_inner().height, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_alone_changes_how_a_record_stands() {
    let story = told();
    let node = Node::telling(&story).await;
    let ask = async |at_ms: u64| {
        let id = registration(RAIN);
        let height = story
            .log
            .iter()
            .find(|l| l.time_ms >= ledger_story::china("2026-08-06"))
            .unwrap()
            .height;
        let request = v1::GetRecordRequest { id, height, at_ms, with_proof: false };
        node.query().get_record(request).await.unwrap().into_inner().standing.unwrap()
    };
    let running = ask(0).await;
    let over = ask(ledger_story::china("2026-09-30")).await;
    assert_ne!(running.state, over.state);
    assert_eq!((running.not_determined, over.not_determined), (String::new(), String::new()));
    // After the last published calendar nobody can say.
    assert!(running.changes_on > 20_260_806);
}

async fn page(
    node: &Node,
    id: &str,
    page_size: u32,
    page_token: &str,
) -> Result<v1::GetHistoryResponse, tonic::Status> {
    let (id, page_token) = (id.to_owned(), page_token.to_owned());
    let request = v1::GetHistoryRequest { id, page_size, page_token, with_entries: true };
    node.query().get_history(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_history_fit_together_though_the_ledger_goes_on() {
    let mut story = told();
    let node = Node::telling(&story).await;
    let id = "activity:party/weather-co";
    let key = state_key(id);
    let mut expected: Vec<u64> =
        story.log.iter().filter(|l| l.links.iter().any(|k| k.key == key)).map(|l| l.leaf).collect();
    expected.reverse();
    assert!(expected.len() > 7);
    for size in [1, 2, 3, 7, 1_000, 0] {
        let mut found = Vec::new();
        let mut token = String::new();
        let mut first: Option<v1::GetHistoryResponse> = None;
        loop {
            let answer = page(&node, id, size, &token).await.unwrap();
            assert!(
                answer.leaves.len() <= usize::try_from(if size == 0 { 100 } else { size }).unwrap()
            );
            found.extend(answer.leaves.iter().map(|leaf| leaf.leaf_index));
            // Every page is of the height of the first, with the same count and head.
            let first = first.get_or_insert_with(|| answer.clone());
            assert_eq!(
                (answer.height, answer.count, &answer.head),
                (first.height, first.count, &first.head)
            );
            if answer.next_page_token.is_empty() {
                break;
            }
            token = answer.next_page_token;
            if size == 3 {
                // More of the same meanwhile.
                let name = format!("more-{}", story.serial);
                let entry = sealed(&mut story, &acts::asset_described(&name));
                node.commit(story.time_ms, &[&entry]);
            }
        }
        let first = first.unwrap();
        assert_eq!(u64::try_from(found.len()).unwrap(), first.count);
        let older = found.len() - expected.len();
        assert_eq!(found[older..], expected, "pages of {size}");
        assert!(found.windows(2).all(|pair| pair[0] > pair[1]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_sizes_and_tokens_are_checked() {
    let story = told();
    let node = Node::telling(&story).await;
    let id = asset(RAIN);
    for size in [1_001, u32::MAX] {
        let expected = (Code::ResourceExhausted, "API_TOO_MANY".to_owned());
        assert_eq!(refused(page(&node, &id, size, "").await), expected);
    }
    assert_eq!(refused(page(&node, "asset:weather-co/none", 1, "").await), not_found());
    assert!(refused(page(&node, "rain", 1, "").await).1.starts_with("FMT_"));

    let good = page(&node, &id, 1, "").await.unwrap().next_page_token;
    let parts: Vec<&str> = good.split('.').collect();
    let [version, height, count, next, head] = parts.as_slice() else { panic!("{good}") };
    let with = |next: &str| format!("{version}.{height}.{count}.{next}.{head}");
    assert_eq!(with(next), good);
    page(&node, &id, 1, &good).await.unwrap();
    // Leaves that are no entry about this subject: headers, others' entries, what does not exist.
    let own = |leaf: u64| {
        story.log.iter().any(|l| l.leaf == leaf && l.links.iter().any(|k| k.key == state_key(&id)))
    };
    for leaf in (0..node.shared.head().tree_size).chain([1 << 40, u64::MAX]) {
        let answer = page(&node, &id, 1, &with(&leaf.to_string())).await;
        if own(leaf) {
            assert_eq!(answer.unwrap().leaves[0].leaf_index, leaf);
        } else {
            assert_eq!(refused(answer), bad_request(), "leaf {leaf}");
        }
    }
    for wrong in [
        "x".to_owned(),
        "1".to_owned(),
        "....".to_owned(),
        format!("2.{height}.{count}.{next}.{head}"),
        format!("{good}.0"),
        format!("{version}.{height}.{count}.{next}.{}", &head[2..]),
        with("-1"),
        with("99999999999999999999999"),
        "9".repeat(50_000),
    ] {
        assert_eq!(refused(page(&node, &id, 1, &wrong).await), bad_request(), "{wrong:.60}");
    }
    // A token of one history is none of another.
    let other = registration(RAIN);
    let token = page(&node, &other, 1, "").await.unwrap().next_page_token;
    let found = page(&node, "asset:weather-co/none", 1, &token).await;
    assert_eq!(refused(found), bad_request());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_long_entries_and_records_are_no_longer_than_a_client_takes() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let mut all = BTreeSet::new();
    for block in 0..40 {
        let deed = |number| {
            acts::asset_described(&format!("long-{block}-{number}")).with(
                |event: &mut AssetDescribed| {
                    let description = event.description.as_mut().unwrap();
                    description.summary = "\u{20000}".repeat(4_000);
                    description.source_url = "\u{20000}".repeat(1_000);
                },
            )
        };
        let entries: Vec<_> = (0..10).map(|number| sealed(&mut story, &deed(number))).collect();
        assert!(node.commit(story.time_ms, &entries.iter().collect::<Vec<_>>()).is_empty());
        all.extend(entries.iter().map(|entry| entry.bytes().clone()));
    }
    // The client takes 4 MiB; they are twice as long.
    let (mut found, mut token, mut pages) = (BTreeSet::new(), String::new(), 0);
    loop {
        let answer = page(&node, "activity:kind/asset_described", 1_000, &token).await.unwrap();
        found.extend(answer.leaves.into_iter().map(|leaf| leaf.entry));
        (token, pages) = (answer.next_page_token, pages + 1);
        if token.is_empty() {
            break;
        }
    }
    assert!(found == all, "{} of {}", found.len(), all.len());
    assert_eq!(pages, 3);
    let request = v1::StreamRecordsRequest {};
    let mut records = node.audit().stream_records(request).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(message) = records.message().await.unwrap() {
        count += message.records.len();
    }
    assert_eq!(u64::try_from(count).unwrap(), node.shared.ledger().record_count());
}
