//! Several exchanges and a follower, each a process of its own: one history, whoever is down, and proof of it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use ledger_format::entry::Entry;
use ledger_tests::{Exchanges, Places, Running, Signal, Supplier, connect, node_on, place};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long a network may stand still after it has lost whose turn it is.
const STANDSTILL: Duration = Duration::from_secs(3);

/// Submits an entry at a node and waits for its place.
fn submit(network: &Exchanges, node: usize, entry: &Entry) -> (u64, u64) {
    let node = network.node(node);
    let placed = network.runtime.block_on(async { connect(node).await.submit(entry).await });
    place(placed.unwrap())
}

#[test]
fn an_entry_submitted_anywhere_is_everywhere() {
    let network = Exchanges::start(4, 1);
    let supplier = network.supplier(0);
    let mut placed = Places::new();
    for node in 0..5 {
        for number in 0..3 {
            let entry = supplier.describe(&format!("asset-{node}-{number}")).unwrap();
            placed.insert(entry.id(), submit(&network, node, &entry));
        }
    }
    network.agree(2);
    let first = network.proven(0);
    for (id, place) in &placed {
        assert_eq!(first.get(id), Some(place), "{id}");
    }
    for node in 1..5 {
        assert_eq!(network.proven(node), first, "node {node}");
    }
    // An idle network is silent: nobody makes a block of nothing.
    let height = network.agree(2);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(network.agree(2), height);
}

/// It is judged anew by all of them, whoever gets it, also where nobody else writes.
#[test]
fn what_was_refused_gets_a_place_once_its_cause_is_gone() {
    let network = Exchanges::start(4, 0);
    let supplier = network.supplier(0);
    // Two at each node, one after the other: one of two blocks is not that node's turn.
    let nodes = || (0..8).map(|number| number / 2);
    let name = |number: usize| format!("asset-{number}");
    let early: Vec<Entry> =
        (0..8).map(|number| supplier.revise(&name(number), 1).unwrap()).collect();
    for (node, entry) in nodes().zip(&early) {
        let node = network.node(node);
        let answer = network.runtime.block_on(async { connect(node).await.submit(entry).await });
        assert_eq!(answer.unwrap_err().code, "SUBJECT_UNKNOWN");
    }
    for number in 0..8 {
        let _placed = submit(&network, 0, &supplier.describe(&name(number)).unwrap());
    }
    network.agree(2);
    for (node, entry) in nodes().zip(&early) {
        let begun = Instant::now();
        let _placed = submit(&network, node, entry);
        assert!(begun.elapsed() < STANDSTILL, "node {node}: {:?}", begun.elapsed());
    }
}

/// Writes entries, one after the other, at the validator after one of four that does nothing; how long one waited at most.
fn longest_wait(network: &Exchanges, supplier: &Supplier, idle: usize, entries: u32) -> Duration {
    let waits = (0..entries).map(|number| {
        let entry = supplier.describe(&format!("asset-{idle}-{number}")).unwrap();
        let begun = Instant::now();
        submit(network, (idle + 1) % 4, &entry);
        begun.elapsed()
    });
    waits.max().unwrap()
}

#[test]
fn one_of_four_may_be_down_and_comes_back_by_itself() {
    let mut network = Exchanges::start(4, 1);
    let supplier = network.supplier(0);
    let mut longest = Duration::ZERO;
    for down in 0..4 {
        network.end(down, Signal::Kill);
        longest = longest.max(longest_wait(&network, &supplier, down, 8));
        network.start_nodes(&[down]);
        network.agree(2);
    }
    println!("longest wait for a place with one of four down: {longest:?}");
    assert!(longest < STANDSTILL, "{longest:?}");
    let first = network.proven(0);
    assert_eq!(network.proven(4), first);
    assert_eq!(network.proven(3), first);
}

/// Its connections stay, so that the others cannot know that its turn is lost before they have waited for it.
#[test]
fn one_of_four_may_hang() {
    let network = Exchanges::start(4, 0);
    let supplier = network.supplier(0);
    let mut longest = Duration::ZERO;
    for hung in 0..4 {
        network.node(hung).send(Signal::Pause);
        // One of four blocks would be its own.
        longest = longest.max(longest_wait(&network, &supplier, hung, 4));
        network.node(hung).send(Signal::Resume);
        network.agree(2);
    }
    println!("longest wait for a place with one of four hung: {longest:?}");
    assert!(longest < STANDSTILL, "{longest:?}");
    assert_eq!(network.proven(3), network.proven(0));
}

/// Waits until a node's health says whether it takes writes.
fn becomes(network: &Exchanges, node: usize, expected: ServingStatus) {
    let endpoint = Endpoint::from_shared(network.node(node).url.clone()).unwrap();
    let request = HealthCheckRequest { service: "ledger.v1.SubmitService".into() };
    let said = async {
        let mut health = HealthClient::new(endpoint.connect().await.unwrap());
        let mut says = health.watch(request).await.unwrap().into_inner();
        while says.message().await.unwrap().unwrap().status() != expected {}
    };
    network.runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), said).await.unwrap_or_else(|_| {
            panic!("health of node {node} does not become {expected:?}");
        });
    });
}

/// Submits an entry at the first node, which gets no place there: too many are down.
fn stands_still(network: &Exchanges, entry: &Entry) {
    let node = network.node(0);
    let answered = network.runtime.block_on(async {
        let mut client = connect(node).await;
        tokio::time::timeout(Duration::from_secs(4), client.submit(entry)).await
    });
    assert!(!matches!(answered, Ok(Ok(_))), "too few decided: {answered:?}");
}

#[test]
fn two_of_four_down_is_a_standstill_and_no_fork() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(0);
    network.end(2, Signal::Kill);
    network.end(3, Signal::Kill);
    let before = network.agree(2);
    let entry = supplier.describe("asset").unwrap();
    stands_still(&network, &entry);
    assert_eq!(network.agree(2), before);
    becomes(&network, 0, ServingStatus::NotServing);
    network.start_nodes(&[2, 3]);
    becomes(&network, 0, ServingStatus::Serving);
    // Nobody has to send it again.
    network.agree(before + 1);
    let chain = network.proven(3);
    assert!(chain.contains_key(&entry.id()));
    assert_eq!(network.proven(0), chain);
}

/// Two and three do the same as more, and say what they cannot.
#[test]
fn two_and_three_work_and_say_that_they_tolerate_no_fault() {
    for validators in [2, 3] {
        let mut network = Exchanges::start(validators, 0);
        let supplier = network.supplier(0);
        for node in 0..usize::from(validators) {
            let entry = supplier.describe(&format!("asset-{node}")).unwrap();
            let _placed = submit(&network, node, &entry);
        }
        let height = network.agree(2);
        let status = network.node(1).cli(&["status", "-o", "json"]).expect(0).json();
        assert_eq!(status["validators"], validators);
        assert_eq!(status["tolerated_faults"], 0);
        let notices = status["notices"].as_array().unwrap();
        let says = |text: &serde_json::Value| {
            text.as_str().unwrap().ends_with("the ledger stops with the failure of one")
        };
        assert!(notices.iter().any(says), "{notices:?}");
        // As it says.
        network.end(1, Signal::Kill);
        let entry = supplier.describe("later").unwrap();
        stands_still(&network, &entry);
        network.start_nodes(&[1]);
        network.agree(height + 1);
        assert!(network.proven(1).contains_key(&entry.id()));
    }
}

#[test]
fn two_of_seven_may_be_down() {
    let mut network = Exchanges::start(7, 0);
    let supplier = network.supplier(0);
    let status = network.node(6).cli(&["status", "-o", "json"]).expect(0).json();
    assert_eq!((&status["validators"], &status["tolerated_faults"]), (&7.into(), &2.into()));
    for down in [[1, 2], [5, 6]] {
        for node in down {
            network.end(node, Signal::Kill);
        }
        for number in 0..7 {
            let entry = supplier.describe(&format!("asset-{}-{number}", down[0])).unwrap();
            let _placed = submit(&network, 3, &entry);
        }
        network.start_nodes(&down);
        network.agree(2);
    }
    let first = network.proven(0);
    for node in 1..7 {
        assert_eq!(network.proven(node), first, "node {node}");
    }
}

#[test]
fn a_follower_that_lost_everything_takes_the_history_from_others() {
    let mut network = Exchanges::start(4, 1);
    let supplier = network.supplier(0);
    network.end(4, Signal::Terminate);
    network.wipe(4);
    for number in 0..40 {
        let entry = supplier.describe(&format!("asset-{number}")).unwrap();
        submit(&network, number % 4, &entry);
    }
    network.start_nodes(&[4]);
    network.agree(3);
    assert_eq!(network.proven(4), network.proven(0));
}

/// Starts a node that must not start, and gives its code.
fn refused(network: &Exchanges, node: usize, arguments: &[&str]) -> String {
    let mut command = node_on(&network.path(node));
    command.args(arguments);
    match Running::spawn(command) {
        Err(ended) => ended.error_code(),
        Ok(_) => panic!("a node starts with {arguments:?}"),
    }
}

#[test]
fn nobody_is_what_its_key_is_not() {
    let mut network = Exchanges::start(1, 1);
    let supplier = network.supplier(0);
    let entry = supplier.describe("asset").unwrap();
    submit(&network, 1, &entry);
    network.agree(3);
    assert_eq!(network.proven(1), network.proven(0));

    network.end(0, Signal::Terminate);
    network.end(1, Signal::Terminate);
    assert_eq!(refused(&network, 0, &["--role", "follower"]), "NODE_CONFIG");
    // A validator whose key is in no set may come in later.
    let mut command = node_on(&network.path(1));
    command.args(["--role", "validator"]);
    let standby = Running::spawn(command).unwrap();
    assert_eq!(standby.cli(&["status", "-o", "json"]).expect(0).json()["role"], "standby");
    assert_eq!(standby.end(Signal::Terminate), 0);
    for peers in ["nobody", "00@127.0.0.1:1", &format!("{}@127.0.0.1", "0".repeat(64))] {
        assert_eq!(refused(&network, 1, &["--peer-known", peers]), "NODE_CONFIG", "{peers}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(refused(&network, 1, &["--peer-listen", &address]), "PEER_LISTEN");
}
