//! Those who say nothing.

use std::time::Duration;

use ledger_peer::{By, Code, Role, Settings};
use ledger_proto::peer as v1;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::impostor::Impostor;
use crate::node::Node;
use crate::node::{PATIENCE, id, knowing, pair_with, settings, still_exchange, validators};
use crate::stranger::{Card, code, dial, hello, tls};

/// What pings find out.
const FROZE: ledger_peer::Why = ledger_peer::Why::Refused { code: Code::Timeout, by: By::Us };

fn hasty() -> Settings {
    hasty_knowing(&[])
}

fn hasty_knowing(peers: &[ledger_peer::Peer]) -> Settings {
    Settings { hello_timeout: Duration::from_millis(500), ..knowing(peers) }
}

#[tokio::test(flavor = "multi_thread")]
async fn diallers_that_say_nothing() {
    let (mut one, mut other) = pair_with(hasty()).await;
    let times = |node: &Node| {
        node.network.refusals().get(&(Code::Timeout, By::Us)).copied().unwrap_or_default()
    };
    // Nothing on TCP.
    let mut tcp = TcpStream::connect(other.address()).await.unwrap();
    assert_eq!(timeout(PATIENCE, tcp.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    assert_eq!(times(&other), 1);
    // Nothing on TLS but what HTTP/2 sends by itself.
    let (mut stream, _) = tls(other.address(), Some(&Card::new())).await;
    drop(timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap());
    assert_eq!(times(&other), 2);
    // A call without a message.
    let stranger = dial(other.address(), &Card::new()).await;
    let status = timeout(PATIENCE, stranger.call(None)).await.unwrap();
    assert_eq!(code(&status.err().unwrap()), "PEER_TIMEOUT");
    assert_eq!(times(&other), 3);
    // A Hello, and no word about the answer.
    let stranger = dial(other.address(), &Card::new()).await;
    let hello = stranger.hello(&validators()[2], v1::Role::Validator);
    let mut call = stranger.greet(hello).await.unwrap();
    let end = timeout(PATIENCE, call.end()).await.unwrap();
    assert_eq!(code(&end.unwrap_err()), "PEER_TIMEOUT");
    assert_eq!(times(&other), 4);
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptors_that_say_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer =
        |address: String, n: usize| ledger_peer::Peer { identity: id(&validators()[n]), address };
    let address = silent.local_addr().unwrap().to_string();
    let peers = vec![peer(address, 2)];
    let node = Node::start(&validators()[0], Role::Validator, hasty_knowing(&peers)).await;
    let (_held, _) = silent.accept().await.unwrap();
    node.counted(Code::Timeout, By::Us).await;
    node.network.stop().await;

    let mut impostor = Impostor::start(&Card::new(), |_| Vec::new()).await;
    let peers = vec![impostor.as_peer(id(&validators()[2]))];
    let node = Node::start(&validators()[0], Role::Validator, hasty_knowing(&peers)).await;
    assert_eq!(impostor.refusal().await, "PEER_TIMEOUT");
    node.counted(Code::Timeout, By::Us).await;
}

/// A thread that does what it is told, and then does nothing any more with sockets that stay open.
fn frozen<T>(work: impl Future<Output = T> + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let held = runtime.block_on(work);
        std::thread::sleep(PATIENCE);
        drop(held);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_froze_is_given_up() {
    let lively = Settings { keep_alive: Duration::from_millis(300), ..settings() };
    let (mut one, mut other) = pair_with(lively).await;
    let address = other.address();
    frozen(async move {
        let stranger = dial(address, &Card::new()).await;
        let call = stranger.enter(&validators()[2], v1::Role::Validator).await;
        // Long enough to be connected, and to answer a ping.
        tokio::time::sleep(Duration::from_millis(500)).await;
        (stranger, call)
    });
    let peer = id(&validators()[2]);
    other.connected(&peer).await;
    let gone = timeout(Duration::from_secs(5), other.disconnected(&peer)).await;
    assert_eq!(gone.expect("pings notice"), FROZE);
    other.counted(Code::Timeout, By::Us).await;
    still_exchange(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptor_that_froze_is_given_up() {
    let (told, address) = tokio::sync::oneshot::channel();
    frozen(async move {
        let card = Card::new();
        let own = card.spki;
        let reply = move |dialler: &[u8; 32]| {
            let hello = hello(&validators()[2], v1::Role::Validator, 2, &own, dialler);
            vec![v1::exchange_response::Content::Hello(hello)]
        };
        let mut impostor = Impostor::start(&card, reply).await;
        told.send(impostor.as_peer(id(&validators()[2]))).unwrap();
        impostor.admitted().await;
        // Long enough to answer a ping.
        tokio::time::sleep(Duration::from_millis(500)).await;
        impostor
    });
    let keep_alive = Duration::from_millis(300);
    let settings = Settings { keep_alive, ..knowing(&[address.await.unwrap()]) };
    let mut node = Node::start(&validators()[0], Role::Validator, settings).await;
    let peer = id(&validators()[2]);
    node.connected(&peer).await;
    let gone = timeout(Duration::from_secs(5), node.disconnected(&peer)).await;
    assert_eq!(gone.expect("pings notice"), FROZE);
    node.counted(Code::Timeout, By::Us).await;
}
