//! One connection for each pair.

use bytes::Bytes;
use ledger_peer::{By, Code, Lane, Why};
use ledger_proto::peer as v1;
use tokio::time::timeout;

use crate::node::{Node, PATIENCE, id, validators};
use crate::stranger::{Card, code, dial};

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_replaces_the_older() {
    let mut node = Node::validator(&validators()[1], &[]).await;
    let peer = id(&validators()[0]);
    let first = dial(node.address(), &Card::new()).await;
    let mut first = first.enter(&validators()[0], v1::Role::Validator).await;
    node.connected(&peer).await;
    let second = dial(node.address(), &Card::new()).await;
    let mut second = second.enter(&validators()[0], v1::Role::Validator).await;
    assert_eq!(node.disconnected(&peer).await, Why::Replaced);
    node.connected(&peer).await;
    timeout(PATIENCE, first.end()).await.expect("the first one is closed").ok();
    assert_eq!(node.network.peers().len(), 1);
    assert!(node.network.send(&peer, Lane::Consensus, Bytes::from_static(b"vote")));
    let vote = second.next().await.unwrap().unwrap();
    assert!(matches!(vote.content, Some(v1::exchange_response::Content::Frame(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_replaced_by_another_process_does_not_come_back_and_a_new_start_does() {
    let mut node = Node::validator(&validators()[1], &[]).await;
    let (key, peer) = (&validators()[0], id(&validators()[0]));
    let (one, other) = (Card::new(), Card::new());
    // The same process may connect as often as it likes.
    let mut calls = Vec::new();
    for card in [&one, &one, &other] {
        calls.push(dial(node.address(), card).await.enter(key, v1::Role::Validator).await);
        node.connected(&peer).await;
    }
    let mut again = dial(node.address(), &one).await.enter(key, v1::Role::Validator).await;
    let refused = timeout(PATIENCE, again.end()).await.expect("it is refused").unwrap_err();
    assert_eq!(code(&refused), "PEER_TWIN");
    node.counted(Code::Twin, By::Us).await;
    assert!(
        node.network.send(&peer, Lane::Consensus, Bytes::from_static(b"vote")),
        "the other stays"
    );
    // Started again while what is left of the old connection is still open.
    let _anew = dial(node.address(), &Card::new()).await.enter(key, v1::Role::Validator).await;
    assert_eq!(node.disconnected(&peer).await, Why::Replaced);
    node.connected(&peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_validators_that_know_each_other_one_dials() {
    // Both addresses are needed before both nodes are there.
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let addresses = [free(), free()];
    let peer = |n: usize| ledger_peer::Peer {
        identity: id(&validators()[n]),
        address: addresses[n].to_string(),
    };
    let mut nodes = Vec::new();
    for (n, address) in addresses.into_iter().enumerate() {
        let settings =
            ledger_peer::Settings { listen: Some(address), ..crate::node::knowing(&[peer(1 - n)]) };
        let role = ledger_peer::Role::Validator;
        nodes.push(Node::start(&validators()[n], role, settings).await);
    }
    for (n, node) in nodes.iter_mut().enumerate() {
        node.connected(&id(&validators()[1 - n])).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for node in &mut nodes {
        assert!(node.events.try_recv().is_err(), "the connection stays");
    }
}
