//! Peers that send too much or read too little, and those beside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_peer::{Bound, By, Code, Event, Lane, Lanes, Role, Settings, Why};
use ledger_proto::peer as v1;
use tokio::time::timeout;

use crate::node::{Node, PATIENCE, follower, id, pair_with, settings, still_exchange, validators};
use crate::stranger::{Card, dial};

fn small() -> Settings {
    let bound = Bound { frames: 64, bytes: 1024 * 1024 };
    let queues = Lanes { consensus: bound, blocks: bound, entries: bound };
    Settings { max_frame_bytes: 1024 * 1024, queues, follower_queues: queues, ..settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_entries_does_not_delay_the_votes_of_others() {
    let (one, mut other) = pair_with(small()).await;
    let (voter, flooder) = (one.id(), id(&follower(1)));
    let stranger = dial(other.address(), &Card::new()).await;
    let call = stranger.enter(&follower(1), v1::Role::Follower).await;
    other.connected(&flooder).await;
    for _ in 0..100_000 {
        call.frame(v1::Lane::Entries, vec![0; 1024]);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let network = one.network.clone();
    let to = other.id();
    let (mut flood, mut votes, mut slowest) = (0, 0, Duration::ZERO);
    let begun = Instant::now();
    let sender = tokio::spawn(async move {
        for _ in 0..50 {
            let now = u64::try_from(begun.elapsed().as_micros()).unwrap();
            assert!(network.send(&to, Lane::Consensus, Bytes::from(now.to_be_bytes().to_vec())));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    while votes < 50 {
        // A consumer that has something to do with each event.
        tokio::time::sleep(Duration::from_millis(1)).await;
        match timeout(PATIENCE, other.events.recv()).await.unwrap().unwrap() {
            Event::Received { peer, bytes, .. } if peer == voter => {
                let sent = u64::from_be_bytes(bytes.as_ref().try_into().unwrap());
                slowest = slowest.max(begun.elapsed().saturating_sub(Duration::from_micros(sent)));
                votes += 1;
            }
            Event::Received { peer, .. } if peer == flooder => flood += 1,
            event => panic!("{event:?}"),
        }
    }
    sender.await.unwrap();
    assert!(flood > 50, "the flood goes on: {flood}");
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_of_one_peer_go_before_its_entries() {
    let (one, mut other) = pair_with(small()).await;
    for _ in 0..32 {
        assert!(one.network.send(&other.id(), Lane::Entries, Bytes::from_static(b"entry")));
    }
    assert!(one.network.send(&other.id(), Lane::Consensus, Bytes::from_static(b"vote")));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let first = other.events.recv().await.unwrap();
    let (peer, bytes) = (one.id(), Bytes::from_static(b"vote"));
    assert_eq!(first, Event::Received { peer, lane: Lane::Consensus, bytes });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_is_not_read() {
    let mut node = Node::start(&validators()[1], Role::Validator, small()).await;
    let peer = id(&follower(1));
    let stranger = dial(node.address(), &Card::new()).await;
    let call = stranger.enter(&follower(1), v1::Role::Follower).await;
    node.connected(&peer).await;
    for _ in 0..200 {
        call.frame(v1::Lane::Entries, vec![0; 512 * 1024]);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let received = || node.network.peers()[0].counts.entries.received_bytes;
    // The queue, and one frame that waits for room in it.
    assert!(received() <= 1536 * 1024, "{} bytes are held", received());
    for _ in 0..200 {
        node.received(&peer, Lane::Entries).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_is_given_up_without_delay_for_others() {
    let (mut one, mut other) = pair_with(small()).await;
    let peer = id(&validators()[2]);
    let stranger = dial(one.address(), &Card::new()).await;
    let stalled = stranger.enter(&validators()[2], v1::Role::Validator).await;
    one.connected(&peer).await;
    let (heard, taken) = (Arc::new(AtomicUsize::new(0)), other.id());
    let count = Arc::clone(&heard);
    let from = one.id();
    let consumer = tokio::spawn(async move {
        while let Some(event) = other.events.recv().await {
            if matches!(event, Event::Received { peer, .. } if peer == from) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            if count.load(Ordering::Relaxed) >= 200 {
                return other;
            }
        }
        panic!("the transport runs");
    });
    let proposal = Bytes::from(vec![1; 256 * 1024]);
    let (mut slowest, mut sent) = (Duration::ZERO, 0);
    while sent < 200 {
        let begun = Instant::now();
        one.network.send(&peer, Lane::Consensus, proposal.clone());
        if one.network.send(&taken, Lane::Blocks, Bytes::from_static(b"block")) {
            sent += 1;
        }
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(slowest < Duration::from_secs(1), "sending waited {slowest:?}");
    assert_eq!(one.disconnected(&peer).await, Why::Overflow(Lane::Consensus));
    let mut other = timeout(PATIENCE, consumer).await.expect("others get all").unwrap();
    assert!(!one.network.send(&peer, Lane::Consensus, proposal));
    drop(stalled);
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_have_no_room_are_dropped_and_counted() {
    let (mut one, mut other) = pair_with(small()).await;
    let entry = Bytes::from(vec![1; 512 * 1024]);
    let sent = (0..100).filter(|_| one.network.send(&other.id(), Lane::Entries, entry.clone()));
    let sent = u64::try_from(sent.count()).unwrap();
    let counts = one.network.peers()[0].counts.entries;
    assert_eq!((counts.sent, counts.dropped), (sent, 100 - sent));
    assert!(sent < 100);
    for _ in 0..sent {
        other.received(&one.id(), Lane::Entries).await;
    }
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sent_what_is_no_message_is_refused_and_told_so() {
    let (mut one, mut other) = pair_with(settings()).await;
    other.network.refuse(&one.id());
    let refused = |by| Why::Refused { code: Code::Malformed, by };
    assert_eq!(other.disconnected(&one.id()).await, refused(By::Us));
    assert_eq!(one.disconnected(&other.id()).await, refused(By::Them));
    other.counted(Code::Malformed, By::Us).await;
    one.counted(Code::Malformed, By::Them).await;
}

/// A good Hello costs a key, which anybody can make.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_sends_megabytes_before_it_is_admitted() {
    let node = Node::start(&validators()[1], Role::Validator, settings()).await;
    let stranger = dial(node.address(), &Card::new()).await;
    let mut call = stranger.greet(stranger.hello(&follower(1), v1::Role::Follower)).await.unwrap();
    call.next().await.unwrap().unwrap();
    call.frame(v1::Lane::Blocks, vec![0; 20 * 1024 * 1024]);
    node.counted(Code::TooLarge, By::Us).await;
}
