//! What honest nodes do with each other.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_peer::{
    Audience, Bound, Certificate, Code, Event, Identity, Lane, Lanes, Network, Peer, Role,
    Settings, Why,
};
use tokio::time::timeout;

use crate::node::{
    LEDGER, LIMITS, Node, PATIENCE, follower, id, knowing, pair, settings, still_exchange,
    validators,
};

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_and_a_follower_exchange_on_all_lanes() {
    let mut nodes: Vec<Node> = Vec::new();
    for key in validators()[..4].iter().rev() {
        let peers: Vec<Peer> = nodes.iter().map(Node::as_peer).collect();
        nodes.push(Node::validator(key, &peers).await);
    }
    let peers: Vec<Peer> = nodes.iter().map(Node::as_peer).collect();
    let only_dials = Settings { listen: None, ..knowing(&peers) };
    nodes.push(Node::start(&follower(1), Role::Follower, only_dials).await);
    let ids: Vec<_> = nodes.iter().map(Node::id).collect();
    let role = |index: usize| if index < 4 { Role::Validator } else { Role::Follower };
    for (index, node) in nodes.iter_mut().enumerate() {
        let others = (0..5).filter(|other| *other != index);
        let mut expected: Vec<_> = others.map(|other| (ids[other], role(other), 42)).collect();
        while !expected.is_empty() {
            let found = node
                .until(|event| match event {
                    Event::Connected { peer, role, height } => Some((*peer, *role, *height)),
                    _ => None,
                })
                .await;
            let place = expected.iter().position(|peer| *peer == found).expect("each once");
            expected.remove(place);
        }
    }
    for (index, node) in nodes.iter().enumerate() {
        for lane in Lane::ALL {
            let word = Bytes::from(format!("{index} {lane:?}"));
            let heard = node.network.broadcast(Audience::All, lane, &word);
            assert_eq!(heard, 4);
        }
        let validators = if index < 4 { 3 } else { 4 };
        let heard = node.network.broadcast(Audience::Validators, Lane::Blocks, &Bytes::new());
        assert_eq!(heard, validators);
    }
    for node in &mut nodes {
        let own = node.id();
        for (index, peer) in ids.iter().enumerate().filter(|(_, peer)| **peer != own) {
            // Of one peer lanes overtake each other, so each is looked at alone.
            let mut words = Vec::new();
            let status =
                node.network.peers().into_iter().find(|status| status.identity == *peer).unwrap();
            assert!(status.connected_since.is_some() && status.height == Some(42));
            assert_eq!((status.role, status.last_refusal), (Some(role(index)), None));
            words.extend(Lane::ALL.map(|lane| format!("{index} {lane:?}")));
            expect(node, words).await;
        }
    }
    for node in nodes {
        node.network.stop().await;
    }
}

/// Whatever has not come yet is among what comes.
async fn expect(node: &mut Node, words: Vec<String>) {
    for word in words {
        node.expect_word(&word).await;
    }
}

impl Node {
    /// Takes events until the word was there, now or before.
    async fn expect_word(&mut self, word: &str) {
        let came = async {
            while !self.words.iter().any(|came| came == word) {
                if let Some(Event::Received { bytes, .. }) = self.events.recv().await {
                    self.words.push(bytes);
                }
            }
        };
        timeout(PATIENCE, came).await.unwrap_or_else(|_| panic!("{word} does not come"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_messages_arrive_and_longer_ones_are_not_sent() {
    let bound = Bound { frames: 8, bytes: 3_000_000 };
    let queues = Lanes { consensus: bound, blocks: bound, entries: bound };
    let settings = Settings { max_frame_bytes: 3_000_000, queues, ..settings() };
    let (mut one, mut other) = crate::node::pair_with(settings).await;
    let long = Bytes::from(vec![5; 3_000_000]);
    assert!(one.network.send(&other.id(), Lane::Blocks, long.clone()));
    assert_eq!(other.received(&one.id(), Lane::Blocks).await, long);
    assert!(!one.network.send(&other.id(), Lane::Blocks, Bytes::from(vec![5; 3_000_001])));
    assert_eq!(one.network.peers()[0].counts.blocks.dropped, 1);
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_back_is_connected_again() {
    let (mut one, mut other) = pair().await;
    let (key, address) = (validators()[1].clone(), other.address());
    other.network.stop().await;
    assert_eq!(one.disconnected(&id(&key)).await, Why::Closed);
    assert!(!one.network.send(&id(&key), Lane::Consensus, Bytes::new()));
    // Long enough for several attempts that find nobody.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = Settings { listen: Some(address), ..settings() };
    other = Node::start(&key, Role::Validator, again).await;
    one.connected(&id(&key)).await;
    other.connected(&one.id()).await;
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_has_sent_what_was_queued_and_leaves_nothing_behind() {
    let (one, mut other) = pair().await;
    let (id, address, mut events) = (one.id(), one.address(), one.events);
    // More than HTTP/2 takes at once.
    let words = Bytes::from(vec![8; 256 * 1024]);
    for _ in 0..20 {
        assert!(one.network.send(&other.id(), Lane::Blocks, words.clone()));
    }
    timeout(Duration::from_secs(5), one.network.stop()).await.expect("it stops");
    for _ in 0..20 {
        assert_eq!(other.received(&id, Lane::Blocks).await, words);
    }
    assert_eq!(other.disconnected(&id).await, Why::Closed);
    let mut last = None;
    while let Some(event) = events.recv().await {
        last = Some(event);
    }
    assert_eq!(last, Some(Event::Disconnected { peer: other.id(), why: Why::Stopped }));
    drop(std::net::TcpListener::bind(address).expect("the port is free"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_thread_takes_events_and_ends_the_transport_by_dropping_them() {
    let (one, mut other) = pair().await;
    let (network, id) = (one.network.clone(), one.id());
    let mut events = one.events;
    let thread = std::thread::spawn(move || {
        let wait = Duration::from_millis(50);
        assert_eq!(events.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
        let begun = Instant::now();
        loop {
            match events.recv_timeout(PATIENCE) {
                Ok(Event::Received { bytes, .. }) => return (bytes, begun.elapsed()),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(other.network.send(&id, Lane::Consensus, Bytes::from_static(b"vote")));
    let taken = tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    assert_eq!(taken.0, "vote");
    assert!(taken.1 < PATIENCE / 2, "woken, not timed out");
    assert_eq!(other.disconnected(&id).await, Why::Closed);
    assert!(network.peers().iter().all(|peer| peer.connected_since.is_none()));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let identity = || Identity {
        keys: vec![follower(1)],
        role: Role::Follower,
        certificate: Certificate::fresh().unwrap(),
    };
    let start = |settings| Network::start(settings, identity(), |_| None, || 0);
    let mut small = Settings::new(LEDGER, LIMITS);
    small.queues.blocks.bytes = small.max_frame_bytes - 1;
    assert_eq!(start(small).await.unwrap_err().code(), Code::Settings);
    let peer = Peer { identity: id(&follower(2)), address: "127.0.0.1:1".to_owned() };
    let twice = knowing(&[peer.clone(), peer]);
    assert_eq!(start(twice).await.unwrap_err().code(), Code::Settings);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = Some(taken.local_addr().unwrap());
    let same = start(Settings { listen, ..settings() }).await;
    assert_eq!(same.unwrap_err().code(), Code::Listen);
}
