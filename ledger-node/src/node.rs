//! A node: threads around a shared state, from opening a data directory to a clean stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use ledger_api::admission::{self, CheckedEntry};
use ledger_api::intake::Source;
use ledger_api::{NodeRole, Serving, Shared};
use ledger_format::entry::Entry;
use ledger_format::evidence::Evidence;
use ledger_format::genesis::PROTOCOL_VERSIONS;
use ledger_format::genesis_file::GenesisFile;
use ledger_peer::{Events, Network};
use ledger_replay::Ledger;
use ledger_replica::{Action, Replica, Settings};
use ledger_store::{DataDirectory, Store, StoreError, Wal};
use ledger_verify::entry::check_signatures;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::ending::{Fault, Threads};
use crate::evidence::{EvidenceDirectory, Found};
use crate::failure::Failure;
use crate::keys::KeySet;
use crate::maintenance;
use crate::open::{Layout, Opened, lost, open};
use crate::peers::{self, PeerOptions};
use crate::recover::{self, Memory, Recalled};
use crate::replica_loop::{Arrival, Disk, ReplicaLoop, now_ms};
use crate::requests::Requests;

/// Batches of checked entries that wait for the replica.
const CHECKED_QUEUE: usize = 16;
/// How long one validator alone may take to make block 1.
const ALONE: Duration = Duration::from_secs(30);
/// When a node that waits for block 1 first says what it lacks, and how seldom in the end.
const FIRST_TOLD: Duration = Duration::from_secs(5);
const TOLD_EVERY: Duration = Duration::from_hours(1);
/// How long a process that has its address takes at most to lock its directory.
const LOCKS_WITHIN: Duration = Duration::from_secs(1);
/// How long calls under way may take to end when the node stops.
const DRAIN: Duration = Duration::from_secs(5);

/// What a node needs to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data directory.
    pub data_dir: PathBuf,
    /// Address of the gRPC services.
    pub listen: SocketAddr,
    /// How the replica behaves.
    pub settings: Settings,
    /// Threads that check signatures.
    pub check_threads: usize,
    /// Whether the node votes, or follows what validators decide.
    pub is_follower: bool,
    /// How the node meets others.
    pub peers: PeerOptions,
    /// Connections of clients at one time.
    pub connections: usize,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// What its services share.
    pub shared: Arc<Shared>,
    /// Where it listens.
    pub address: SocketAddr,
    stopping: Arc<AtomicBool>,
    stop_server: Option<oneshot::Sender<()>>,
    server: tokio::task::JoinHandle<()>,
    threads: Threads,
    fault: Fault,
    /// The other nodes.
    pub network: Network,
}

impl Node {
    /// Opens the data directory and starts everything. On a new ledger the genesis file's entries become block 1.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn start(options: &Options) -> Result<Self, Failure> {
        let layout = Layout(options.data_dir.clone());
        let genesis = agreed(&layout)?;
        let keys = layout.read_keys()?;
        let listener = TcpListener::bind(options.listen).await;
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => return Err(cannot_listen(options, &genesis, &error).await),
        };
        let address = listener.local_addr().map_err(Failure::listen)?;

        let Opened { store, ledger } = open(&options.data_dir, &genesis.document)?;
        warn_of_lost(&store);
        check_protocol(&ledger)?;
        check_keys(&ledger, &keys)?;
        let first_start = ledger.height() == 0;
        let votes: Vec<SigningKey> = keys.iter().map(|keys| keys.vote.clone()).collect();
        let found = recover::recall(&store, &ledger, &votes, options.is_follower)?;
        let (mut replica, actions) = replica_of(options, &ledger, votes.clone(), &found)?;
        let (disk, known) = recall(&layout, &ledger, &mut replica, found.wal)?;

        let (checked, arrivals) = sync_channel(CHECKED_QUEUE);
        let (committed, commits) = sync_channel(1);
        let shared = share(options, ledger, store, keys, found.memory);
        shared.evidence.extend(known);
        let signs = if options.is_follower { Vec::new() } else { votes.clone() };
        let (network, events) = peers::start(options, votes, &shared).await?;
        let stopping = Arc::new(AtomicBool::new(false));
        let fault = Fault::none();

        if first_start && !options.is_follower {
            let entries = Arrival::Checked(check_genesis(&shared, genesis.entries)?);
            checked.send(entries).map_err(Failure::stopped)?;
        }
        let mut others =
            check_threads(&fault, options.check_threads, &shared, &checked, &stopping)?;
        shared.seals.ask_with(peers::Asking(network.clone()));
        let requests = Arc::<Requests>::default();
        let said = (network.clone(), events);
        others.push(hear(&fault, &shared, &stopping, said, (checked, Arc::clone(&requests)))?);
        others.push(maintain(&fault, &shared, commits, &stopping)?);
        others.push(answer(&fault, &shared, &network, signs, &requests, &stopping)?);
        let (begun, has_begun) = oneshot::channel();
        let replica = fault.spawn("replica", {
            let (shared, stopping, fault) =
                (Arc::clone(&shared), Arc::clone(&stopping), fault.clone());
            let said = network.clone();
            move || {
                let replica = ReplicaLoop::new(shared, replica, disk, committed, said, requests);
                let stopping = || stopping.load(Ordering::Acquire);
                if let Err(failure) = replica.run((actions, begun), &arrivals, &stopping) {
                    fault.tell(&failure);
                }
            }
        })?;
        others.push(replica);
        wait_for(has_begun, &fault, &shared).await;
        let (stop_server, stopped) = oneshot::channel::<()>();
        let serving = Serving::new(env!("CARGO_PKG_VERSION"), options.connections);
        let server = serve(&fault, &shared, listener, serving, stopped);
        let node = Self {
            shared,
            address,
            stopping,
            stop_server: Some(stop_server),
            server,
            threads: Threads(others),
            fault,
            network,
        };
        node.ready().await
    }

    /// The node when it can be asked. If it never can, the replica knows best why.
    async fn ready(self) -> Result<Self, Failure> {
        match self.until_genesis().await {
            Ok(()) => Ok(self),
            Err(failure) => Err(self.stop().await.err().unwrap_or(failure)),
        }
    }

    /// Waits until block 1 is there: without it nothing can be asked or submitted.
    async fn until_genesis(&self) -> Result<(), Failure> {
        let mut heads = self.shared.watch_head();
        let wait = async {
            while heads.borrow_and_update().height == 0 {
                if heads.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            done = tokio::time::timeout(first_block_within(&self.shared), wait) => {
                let why = "its entries did not become block 1; see the log";
                done.map_err(|_elapsed| Failure::genesis(why))
            }
            never = self.tell_while_waiting() => match never {},
            // Others may come at any time, and a node that waits for them can be told to stop.
            () = self.failed() => Err(Failure::stopped("the replica stopped; see the log")),
        }
    }

    /// Says what keeps block 1 away, ever more seldom: a node that reaches nobody would wait for ever and say nothing.
    async fn tell_while_waiting(&self) -> Infallible {
        let mut after = FIRST_TOLD;
        loop {
            tokio::time::sleep(after).await;
            let why = self.shared.out_of_reach().join("; ");
            if !why.is_empty() {
                tracing::warn!(why, "waiting for block 1");
            }
            after = after.saturating_mul(2).min(TOLD_EVERY);
        }
    }

    /// Completes when something has failed without which the node is of no use: it must be stopped then.
    pub async fn failed(&self) {
        let _told_by_stop = self.fault.comes(&self.shared).await;
    }

    /// Stops: no new calls, calls under way end, then the replica, the store is flushed and closed.
    ///
    /// # Errors
    /// What failed first, if anything did.
    pub async fn stop(mut self) -> Result<(), Failure> {
        drop(self.stop_server.take());
        match tokio::time::timeout(DRAIN, &mut self.server).await {
            Ok(_served) => {}
            // Watchers never end by themselves.
            Err(_) => self.server.abort(),
        }
        self.stopping.store(true, Ordering::Release);
        self.shared.seals.ask_nobody();
        self.network.stop().await;
        self.threads.end(self.shared, self.fault).await
    }
}

/// Waits until the replica has begun, or something has failed, which whoever waits until the node can be asked is told.
async fn wait_for(begun: oneshot::Receiver<()>, fault: &Fault, shared: &Shared) {
    tokio::select! {
        _begun = begun => {}
        _failure = fault.comes(shared) => {}
    }
}

/// How long block 1 may take. Only who makes it alone knows that it does not come; one that recovers waits for it as others do.
pub(crate) fn first_block_within(shared: &Shared) -> Duration {
    let is_sole = shared.ledger().validators().members().len() == 1;
    let makes_it = shared.role() == NodeRole::Validator && !shared.is_recovering();
    if is_sole && makes_it { ALONE } else { Duration::MAX }
}

/// The genesis file, if all founders have signed it as it is.
fn agreed(layout: &Layout) -> Result<GenesisFile, Failure> {
    let genesis = layout.read_genesis()?;
    ledger_client::genesis::check(&genesis).map_err(Failure::genesis)?;
    Ok(genesis)
}

/// Where blocks were on disk and are not, that is told before anything else: a follower takes them again, and nobody would know.
fn warn_of_lost(store: &Store) {
    if let Some(noted) = lost(store) {
        let height = store.height().unwrap_or(0);
        tracing::warn!(
            height,
            noted,
            "the store has fewer blocks than it had: its end was damaged, and what followed is gone"
        );
    }
}

/// What the node's threads share. A follower signs nothing.
fn share(
    options: &Options,
    ledger: Ledger,
    store: Store,
    keys: Vec<KeySet>,
    memory: Memory,
) -> Arc<Shared> {
    let signers = keys.into_iter().filter(|_| !options.is_follower);
    let signers = signers.map(|keys| (ledger_client::keys::kid(&keys.vote), keys.node));
    let shared = Shared::new(ledger, store, signers.collect());
    shared.set_recovering(memory.is_silent());
    if shared.role() == NodeRole::Standby {
        tracing::warn!(
            "standby: no key of this node is in the validator set; it verifies and does not vote"
        );
    }
    shared
}

/// Tells the replica what evidence was kept before, and gives what the replica's loop writes to.
fn recall(
    layout: &Layout,
    ledger: &Ledger,
    replica: &mut Replica,
    wal: Wal,
) -> Result<(Disk, Vec<Found>), Failure> {
    let directory = EvidenceDirectory::open(layout.evidence())?;
    let known = directory.read(ledger)?;
    let evidence: Vec<Evidence> = known.iter().map(|(evidence, _)| evidence.clone()).collect();
    replica.recall(ledger, &evidence);
    Ok(((wal, directory), known))
}

/// Does what keeps the store fast.
fn maintain(
    fault: &Fault,
    shared: &Arc<Shared>,
    commits: Receiver<()>,
    stopping: &Arc<AtomicBool>,
) -> Result<JoinHandle<()>, Failure> {
    let (shared, stopping) = (Arc::clone(shared), Arc::clone(stopping));
    let told = fault.clone();
    fault.spawn("maintenance", move || {
        let stopping = || stopping.load(Ordering::Acquire);
        if let Err(error) = maintenance::run(&shared, &commits, &stopping) {
            told.tell(&error.into());
        }
    })
}

/// Brings what other nodes say to those whom it concerns: the replica, and whoever answers requests.
fn hear(
    fault: &Fault,
    shared: &Arc<Shared>,
    stopping: &Arc<AtomicBool>,
    (network, events): (Network, Events),
    (arrivals, requests): (SyncSender<Arrival>, Arc<Requests>),
) -> Result<JoinHandle<()>, Failure> {
    let (shared, stopping) = (Arc::clone(shared), Arc::clone(stopping));
    fault.spawn("peers", move || {
        let stopping = || stopping.load(Ordering::Acquire);
        peers::listen(events, &network, &shared, &arrivals, &requests, &stopping);
    })
}

/// Gives other nodes what they ask for.
fn answer(
    fault: &Fault,
    shared: &Arc<Shared>,
    network: &Network,
    keys: Vec<SigningKey>,
    requests: &Arc<Requests>,
    stopping: &Arc<AtomicBool>,
) -> Result<JoinHandle<()>, Failure> {
    let (shared, network) = (Arc::clone(shared), network.clone());
    let (requests, stopping) = (Arc::clone(requests), Arc::clone(stopping));
    fault.spawn("answers", move || {
        let stopping = || stopping.load(Ordering::Acquire);
        peers::answer_all(&network, &shared, &keys, &requests, &stopping);
    })
}

/// A validator, one that has lost its memory, or a follower, as the settings and the vote lock say; a follower's keys must be no
/// validator's.
fn replica_of(
    options: &Options,
    ledger: &Ledger,
    votes: Vec<SigningKey>,
    found: &Recalled,
) -> Result<(Replica, Vec<Action>), Failure> {
    let settings = options.settings;
    match found.memory {
        Memory::Whole => return Ok(Replica::start(ledger, votes, settings, &found.log)?),
        Memory::Recovers { alone } => {
            return Ok((Replica::recover(ledger, votes, settings, alone), Vec::new()));
        }
        Memory::Stale | Memory::NotNeeded => {}
    }
    let mut ids = votes.iter().map(ledger_client::keys::kid);
    // The validator may be running elsewhere: two that sign with one key are found out by what they say.
    if ids.any(|id| ledger.validators().get(&id).is_some()) {
        return Err(Failure::config(
            "role: the vote key is a validator's; a follower needs a key of its own",
        ));
    }
    let id = votes.first().map(ledger_client::keys::kid).unwrap_or_default();
    Ok((Replica::follow(id, settings), Vec::new()))
}

/// Stops before a height whose protocol version this program does not know.
pub(crate) fn check_protocol(ledger: &Ledger) -> Result<(), Failure> {
    let (version, known) = (ledger.protocol().version, PROTOCOL_VERSIONS);
    if known.contains(&version) {
        return Ok(());
    }
    let height = ledger.height() + 1;
    let detail =
        format!("version {version} from height {height}, this program knows 1 to {}", known.end());
    Err(Failure::protocol(detail))
}

/// A validator's four keys belong together: what it signed with another one would be refuted everywhere.
fn check_keys(ledger: &Ledger, keys: &[KeySet]) -> Result<(), Failure> {
    for set in [ledger.validators(), ledger.next_validators()] {
        let votes = |keys: &&KeySet| set.get(&ledger_client::keys::kid(&keys.vote)).is_some();
        for keys in keys.iter().filter(votes) {
            crate::join::member_with(set, keys)?;
        }
    }
    Ok(())
}

/// Who cannot have the address may be a second process on the same directory, which says more. The first one may have the address and
/// be about to lock the directory: it is given the time.
async fn cannot_listen(
    options: &Options,
    genesis: &GenesisFile,
    error: &std::io::Error,
) -> Failure {
    tokio::time::sleep(LOCKS_WITHIN).await;
    match DataDirectory::open(&options.data_dir, &genesis.document.id()) {
        Err(locked @ StoreError::Locked { .. }) => locked.into(),
        _ => Failure::listen(format!("{}: {error}", options.listen)),
    }
}

/// Serves until it is told to stop.
fn serve(
    fault: &Fault,
    shared: &Arc<Shared>,
    listener: TcpListener,
    serving: Serving,
    stopped: oneshot::Receiver<()>,
) -> tokio::task::JoinHandle<()> {
    let stop = async move {
        // A dropped sender means stop as well.
        let _dropped = stopped.await;
    };
    let fault = fault.clone();
    let server = ledger_api::serve(Arc::clone(shared), listener, serving, stop);
    tokio::spawn(async move {
        if let Err(error) = server.await {
            fault.tell(&Failure::listen(error));
        }
    })
}

/// The founders' entries, their signatures checked. No one else may submit before them.
fn check_genesis(shared: &Shared, entries: Vec<Entry>) -> Result<admission::Checked, Failure> {
    let ledger = shared.ledger();
    for entry in &entries {
        check_signatures(entry, |kid| ledger.public_key(kid)).map_err(Failure::genesis)?;
    }
    let checked = |entry| {
        let (entry, source) = (Box::new(entry), Source::Client(None));
        CheckedEntry { entry, source, asked: false }
    };
    Ok(entries.into_iter().map(checked).collect())
}

fn check_threads(
    fault: &Fault,
    count: usize,
    shared: &Arc<Shared>,
    checked: &SyncSender<Arrival>,
    stopping: &Arc<AtomicBool>,
) -> Result<Vec<JoinHandle<()>>, Failure> {
    let start = |number: usize| {
        let shared = Arc::clone(shared);
        let (checked, stopping) = (checked.clone(), Arc::clone(stopping));
        fault.spawn(&format!("check-{number}"), move || {
            let forward = |entries| checked.send(Arrival::Checked(entries)).is_ok();
            admission::run(&shared, now_ms, &forward, &|| stopping.load(Ordering::Acquire));
        })
    };
    (0..count.max(1)).map(start).collect()
}
