//! Budgets at the door: what a client sends beyond one is turned away before its signatures are looked at.

use ledger_event::{Budget, Budgets, Clock};
use ledger_format::digest::KeyId;
use ledger_format::entry::Entry;
use ledger_proto::v1;
use ledger_story::acts::{asset_described, key_revoked};
use ledger_story::cast::{BUYER, EXCHANGE, Label, REGISTRY};
use ledger_story::members::{MEMBERS, budgets_set, set};
use ledger_story::{LIMITS, Story, china, genesis_with};
use tonic::Code;

use crate::node::{Node, refused, sealed};

/// A ledger on which a party may write one entry a minute.
fn limited() -> Story {
    let start = china("2026-08-03");
    let genesis = genesis_with(set(&MEMBERS), 3, Clock::Wall, start, LIMITS);
    let party = Some(Budget { entries: 1, bytes: 0 });
    let budgets = Budgets { window_s: 60, party, exchange: None };
    let story = Story::of(genesis).in_earnest().begun();
    story.did(&budgets_set(Some(budgets), &[EXCHANGE, REGISTRY]))
}

fn request(entry: &Entry) -> v1::SubmitRequest {
    let wait_for = v1::Finality::Ordered.into();
    v1::SubmitRequest { entry: entry.bytes().clone(), wait_for, timeout_ms: 500, replicas: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_budget_nothing_is_checked_until_the_next_window() {
    let mut story = limited();
    story.take(&asset_described("one"));
    let node = Node::following(&story, &[]).await;
    let entry = sealed(&mut story, &asset_described("two"));
    let mut forged = entry.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Entry::decode(forged.into()).unwrap();
    for beyond in [&entry, &forged] {
        let answer = node.submit().submit(request(beyond)).await;
        assert_eq!(refused(answer), (Code::ResourceExhausted, "BUDGET_SPENT".into()));
    }
    assert!(node.nothing_arrived());
    let status = node.own().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    let counted = v1::Refusals { code: "BUDGET_SPENT".into(), count: 2, by_others: false };
    assert_eq!(status.refusals, [counted]);
    // What another node passes on is judged with the block: its client waits for the validators' verdict.
    let passed = vec![vec![7; 200], entry.bytes().to_vec(), Vec::new()];
    node.shared.take_from_peer(KeyId([7; 32]), passed, true).unwrap();
    assert_eq!(node.arrived(), [entry.id()]);
    // The very same entry is good in the next window. Others' entries bring the time here.
    let other = key_revoked(BUYER, Label::System);
    let other = sealed(&mut story, &other);
    assert!(node.commit(story.time_ms + 60_000, &[&other]).is_empty());
    // What is in the log anybody may read, and send: it is no news.
    let placed = vec![other.bytes().to_vec()];
    node.shared.take_from_peer(KeyId([7; 32]), placed, true).unwrap();
    assert!(node.nothing_arrived());
    let (mut client, id) = (node.submit(), entry.id());
    let sent = tokio::spawn(async move { client.submit(request(&entry)).await });
    assert_eq!(node.arrived(), [id]);
    assert_eq!(refused(sent.await.unwrap()).0, Code::DeadlineExceeded);
}
