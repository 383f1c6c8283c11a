//! The power is cut: what was not synced is gone, and still no answer is lost and no vote contradicted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger_fixtures::Rng;
use ledger_tests::{
    Disk, Exchanges, NODE, Places, Running, SharedBook, Signal, Supplier, connect, new_ledger,
    places_in, run,
};
use tokio::runtime::Runtime;

/// Longest load before the power is cut.
const LOAD_MS: usize = 300;
const CUTS: u64 = 12;

/// A disk, unless this machine has none of that kind and does not insist.
fn disk_under(directory: &Path) -> Option<Disk> {
    match Disk::under(directory) {
        Ok(disk) => Some(disk),
        Err(why) => {
            assert!(std::env::var_os("LOOP_DEVICES").is_none(), "{why}");
            eprintln!("left out, for it takes a disk of its own: {why}");
            None
        }
    }
}

fn dice() -> Rng {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    eprintln!("seed {}", now.as_secs());
    Rng(now.as_secs())
}

fn start(directory: &Path) -> Running {
    Running::start(directory).unwrap_or_else(|ended| panic!("the node does not start: {ended:?}"))
}

#[test]
fn every_answer_outlives_every_power_cut() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let Some(mut disk) = disk_under(directory) else { return };
    let _genesis = new_ledger(directory);
    // What `init` has made is there, or nothing that came after it could be.
    disk.cut();
    let (runtime, mut dice) = (Runtime::new().unwrap(), dice());
    let node = start(directory);
    let supplier = runtime.block_on(async {
        let mut client = connect(&node).await;
        Supplier::admit(&mut client, directory, "supplier").await.unwrap()
    });
    let (mut node, mut all) = (Some(node), Places::new());
    for cut in 0..CUTS {
        let (book, running) = (SharedBook::default(), node.take().unwrap());
        runtime.block_on(async {
            book.load(&running, &supplier, &cut.to_string()).await;
            let pause = u64::try_from(dice.below(LOAD_MS)).unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
        });
        running.end(Signal::Kill);
        disk.cut();
        let (mut book, running) = (book.take(), start(directory));
        all.append(&mut book.acknowledged.clone());
        runtime.block_on(async { book.check(&mut connect(&running).await).await.unwrap() });
        node = Some(running);
    }
    assert!(all.len() > 100, "{} answers are too few to show anything", all.len());
    assert_eq!(node.take().unwrap().end(Signal::Terminate), 0);
    let elsewhere = tempfile::tempdir().unwrap();
    let chain = places_in(directory, &elsewhere.path().join("chain.ledger"));
    assert!(all.iter().all(|(id, place)| chain.get(id) == Some(place)));
}

/// Kills the node of a validator, takes its power, and starts it again.
fn cut(network: &mut Exchanges, node: usize, disk: &mut Disk) {
    network.end(node, Signal::Kill);
    disk.cut();
    network.start_nodes(&[node]);
}

/// Moves a validator to a disk of its own: a copy of its directory vouches for no vote, so it recovers there.
fn move_to_disk(network: &mut Exchanges, supplier: &Supplier, node: usize) -> Option<Disk> {
    network.end(node, Signal::Terminate);
    let directory = network.path(node);
    let disk = disk_under(&directory)?;
    let _put_aside = run(NODE, ["recover", "--data-dir", directory.to_str().unwrap()]).expect(0);
    network.start_nodes(&[node]);
    network.write_until_recovered(supplier, node, 1);
    Some(disk)
}

#[test]
fn a_validator_contradicts_nothing_after_a_power_cut() {
    let mut network = Exchanges::start(4, 0);
    let supplier = network.supplier(0);
    let Some(mut disk) = move_to_disk(&mut network, &supplier, 0) else { return };
    let (mut dice, mut all) = (dice(), Places::new());
    for number in 0..CUTS {
        let book = SharedBook::default();
        network.runtime.block_on(async {
            book.load(network.node(0), &supplier, &number.to_string()).await;
            let pause = u64::try_from(dice.below(LOAD_MS)).unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
        });
        cut(&mut network, 0, &mut disk);
        let mut book = book.take();
        all.append(&mut book.acknowledged.clone());
        // What decided the last block may be with the others alone, and comes from them.
        let shown = book.acknowledged.values().map(|(height, _)| *height).max();
        network.reach(0, shown.unwrap_or_default());
        network.runtime.block_on(async {
            book.check(&mut connect(network.node(0)).await).await.unwrap();
        });
    }
    network.agree(2);
    let chains: Vec<Places> = (0..4).map(|node| network.proven(node)).collect();
    assert!(chains.iter().all(|chain| *chain == chains[0]));
    assert!(all.iter().all(|(id, place)| chains[0].get(id) == Some(place)));
    assert!(all.len() > 100, "{} answers are too few to show anything", all.len());
    for node in 0..4 {
        assert_eq!(network.status(node).evidence, 0, "node {node} has found a contradiction");
    }
    // Its disk goes before the directory that it is mounted in.
    network.end(0, Signal::Terminate);
}
