//! Strangers that hold connections open and say nothing. Only Linux gives a process all addresses of the loopback.

use std::net::SocketAddr;
use std::time::Duration;

use ledger_peer::{By, Code, Neighbours, Peer, Role, Settings};
use ledger_proto::peer as v1;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::node::{Node, PATIENCE, follower, id, settings, validators};
use crate::stranger::{Card, dial};

/// As many connections as one address gets, from each of eight.
async fn strangers(to: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 2..10 {
        for _ in 0..32 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, number], 0).into()).unwrap();
            held.push(socket.connect(to).await.unwrap());
        }
    }
    held
}

async fn no_places(node: &Node, times: u64) {
    let counted = async {
        while node.network.refusals().get(&(Code::Places, By::Us)) != Some(&times) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = timeout(PATIENCE, counted).await.is_ok();
    assert!(in_time, "not {times} in {:?}", node.network.refusals());
}

async fn enters(node: &mut Node) {
    let validator = &validators()[2];
    let stranger = dial(node.address(), &Card::new()).await;
    let call = stranger.enter(validator, v1::Role::Validator).await;
    node.connected(&id(validator)).await;
    drop((call, stranger));
    node.disconnected(&id(validator)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_leave_places_to_those_who_are_known() {
    let patient = Settings { hello_timeout: PATIENCE * 5, ..settings() };
    let mut node = Node::start(&validators()[1], Role::Validator, patient).await;
    // Anybody can make a follower's key: a good Hello with one makes nobody known.
    let stranger = dial(node.address(), &Card::new()).await;
    let call = stranger.enter(&follower(1), v1::Role::Follower).await;
    node.connected(&id(&follower(1))).await;
    let held = strangers(node.address()).await;
    no_places(&node, 64).await;
    let mut one_more = TcpStream::connect(node.address()).await.unwrap();
    assert_eq!(timeout(PATIENCE, one_more.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    no_places(&node, 65).await;

    // A validator that the settings name by its address; then one that has been here.
    let peer = Peer { identity: id(&validators()[2]), address: "127.0.0.1:9".into() };
    node.network.meet(Neighbours::knowing(vec![peer])).unwrap();
    enters(&mut node).await;
    node.network.meet(Neighbours::knowing(Vec::new())).unwrap();
    enters(&mut node).await;
    no_places(&node, 65).await;
    drop((held, call));
}
