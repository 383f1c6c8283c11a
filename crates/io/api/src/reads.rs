//! Reads for clients: few at a time, and callers in turn, on threads where they hold nobody up.
//!
//! The threads that serve calls carry the connections with other nodes as well, so none of them reads what may take long. A read waits
//! for a place of its connection, of its address and of the node, in this order: each connection has its turn among those of its address,
//! and each address among all, however many calls wait behind one of them. What takes long is read in pieces, with a turn for each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ledger_proto::address::network_of;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};

use crate::held::{Bounds, Held, Share};
use crate::problem::Problem;
use crate::shared::Shared;

/// Calls that are read for, or wait: each keeps its request.
const CALLS: Bounds = Bounds { server: 1_024, address: 512, connection: 256, assured: 4 };
/// How long a piece of what takes long may take: others wait so long for their turn.
const PIECE: Duration = Duration::from_millis(20);
/// How long a client is asked to wait when too many calls wait.
const RETRY: Duration = Duration::from_millis(500);

/// Bytes after which an answer of many things ends, whatever more of them was asked for: a client takes 4 MiB unless it is told otherwise.
pub(crate) const ANSWER_BYTES: usize = 3 * 1024 * 1024;

/// How many reads there are at a time: half of the cores are left to consensus and what clients submit.
pub(crate) fn most() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).max(1)
}

/// The reads of a node.
#[derive(Clone, Debug)]
pub(crate) struct Reads(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    shared: Arc<Shared>,
    calls: Arc<Held>,
    places: Arc<Semaphore>,
    addresses: Turns<IpAddr>,
    connections: Turns<SocketAddr>,
}

impl Reads {
    /// So many at a time; one caller has half of them.
    pub(crate) fn new(shared: Arc<Shared>, most: usize) -> Self {
        let (calls, places) = (Held::new("reads", CALLS), Arc::new(Semaphore::new(most)));
        let share = most.div_ceil(2);
        let (addresses, connections) = (Turns::new(share), Turns::new(share));
        Self(Arc::new(Gate { shared, calls, places, addresses, connections }))
    }

    /// What is read.
    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Begins to read for a call, when calls of its connection before it have ended.
    ///
    /// # Errors
    /// `API_BUSY` when too many calls wait.
    pub(crate) async fn begin(&self, source: Option<SocketAddr>) -> Result<Reading, Problem> {
        let mut call = self.0.calls.share(source);
        call.hold(1).map_err(|detail| Problem::busy(detail).retry(RETRY))?;
        let place = self.0.connections.place(source).await?;
        Ok(Reading { _call: Some((call, place)), ..self.stream(source) })
    }

    /// Reads for a stream, which has a place that bounds how many there are: it never waits for calls of its connection, which may last
    /// as long as itself.
    pub(crate) fn stream(&self, source: Option<SocketAddr>) -> Reading {
        let address = source.map(|source| network_of(source.ip()));
        Reading { gate: Arc::clone(&self.0), address, _call: None }
    }

    /// Reads once.
    ///
    /// # Errors
    /// `API_BUSY`, and those of the read.
    pub(crate) async fn once<T: Send + 'static>(
        &self,
        source: Option<SocketAddr>,
        read: impl FnOnce(&Shared) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.begin(source).await?.piece(read).await
    }

    /// Answers a call with what is read once.
    ///
    /// # Errors
    /// The same.
    pub(crate) async fn answer<Q: Send + 'static, A: Send + 'static>(
        &self,
        request: Request<Q>,
        read: impl FnOnce(&Shared, Q) -> Result<A, Problem> + Send + 'static,
    ) -> Result<Response<A>, Status> {
        let source = request.remote_addr();
        let request = request.into_inner();
        Ok(Response::new(self.once(source, |shared| read(shared, request)).await?))
    }
}

/// A call, or a stream, for which is read.
#[derive(Debug)]
pub(crate) struct Reading {
    gate: Arc<Gate>,
    address: Option<IpAddr>,
    _call: Option<(Share, OwnedSemaphorePermit)>,
}

impl Reading {
    /// Reads when its turn has come. What has begun goes on, and keeps its place, though the caller has gone.
    ///
    /// # Errors
    /// Those of the read.
    pub(crate) async fn piece<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let gate = Arc::clone(&self.gate);
        let own = gate.addresses.place(self.address).await?;
        let place = acquired(Arc::clone(&gate.places)).await?;
        let read = tokio::task::spawn_blocking(move || {
            let _places = (own, place);
            read(&gate.shared)
        });
        read.await.map_err(|error| Problem::internal(error.to_string()))?
    }

    /// Reads step by step until a step says that it was the last, and gives others their turn in between.
    ///
    /// # Errors
    /// Those of the steps.
    pub(crate) async fn steps<T: Send + 'static>(
        &self,
        mut state: T,
        step: fn(&mut T, &Shared) -> Result<bool, Problem>,
    ) -> Result<T, Problem> {
        loop {
            let piece = self.piece(move |shared| {
                let begun = Instant::now();
                while !step(&mut state, shared)? {
                    if begun.elapsed() >= PIECE {
                        return Ok((state, false));
                    }
                }
                Ok((state, true))
            });
            let done;
            (state, done) = piece.await?;
            if done {
                return Ok(state);
            }
        }
    }
}

/// Places of each of those who want one, in the order in which they were asked for. Whoever wants none is forgotten.
#[derive(Debug)]
struct Turns<K> {
    share: usize,
    places: Mutex<BTreeMap<Option<K>, Weak<Semaphore>>>,
}

impl<K: Ord> Turns<K> {
    const fn new(share: usize) -> Self {
        Self { share, places: Mutex::new(BTreeMap::new()) }
    }

    async fn place(&self, of: Option<K>) -> Result<OwnedSemaphorePermit, Problem> {
        let places = self.places(of);
        acquired(places).await
    }

    fn places(&self, of: Option<K>) -> Arc<Semaphore> {
        let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, places| places.strong_count() > 0);
        let known = all.get(&of).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let new = Arc::new(Semaphore::new(self.share));
            all.insert(of, Arc::downgrade(&new));
            new
        })
    }
}

async fn acquired(places: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    places.acquire_owned().await.map_err(|_never_closed| Problem::stopping("no reads"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use ledger_replay::Ledger;
    use ledger_store::{DataDirectory, Store};
    use ledger_story::Story;
    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    use super::*;

    const FIRST: &str = "10.0.0.1:1";

    fn reads() -> (TempDir, Reads) {
        let directory = tempfile::tempdir().unwrap();
        let genesis = Story::opened().genesis;
        let data = DataDirectory::open_or_create(directory.path(), &genesis.id()).unwrap();
        let ledger = Ledger::new(genesis).unwrap();
        let shared = Shared::new(ledger, Store::open(data).unwrap(), Vec::new());
        (directory, Reads::new(shared, 1))
    }

    /// A call, which waits where it has to when this returns.
    async fn call<T: Send + 'static>(
        reads: &Reads,
        source: &str,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<Result<T, Problem>> {
        let (reads, source) = (reads.clone(), source.parse().ok());
        let call = tokio::spawn(async move { reads.once(source, move |_| Ok(read())).await });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        call
    }

    #[tokio::test]
    async fn addresses_have_their_turns_and_connections_of_one_among_each_other() {
        let (_directory, reads) = reads();
        let (go, gone) = mpsc::channel::<()>();
        let mut calls = vec![call(&reads, FIRST, move || gone.recv().unwrap_or(())).await];
        let (reading, read) = mpsc::channel();
        let all = [FIRST, FIRST, FIRST, "10.0.0.1:2", "10.0.0.2:1", "10.0.0.1:2", "10.0.0.3:1"];
        for source in all {
            let reading = reading.clone();
            let read = move || {
                reading.send(source).unwrap();
                // Long enough for who came from the read before to wait for its turn again.
                std::thread::sleep(PIECE * 2);
            };
            calls.push(call(&reads, source, read).await);
        }
        assert!(read.try_recv().is_err(), "there is one place");
        drop(go);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let order: Vec<&str> = read.try_iter().collect();
        // Who comes late is first, where those before it wait behind their own calls.
        let others = ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.1:2"];
        assert_eq!(order[..3], others, "{order:?}");
        assert_eq!(order[3..], [FIRST, "10.0.0.1:2", FIRST, FIRST], "{order:?}");
    }

    #[tokio::test]
    async fn what_takes_long_is_read_in_pieces() {
        let (_directory, reads) = reads();
        let long = reads.stream(FIRST.parse().ok());
        let until = Instant::now() + PIECE * 20;
        let step = |until: &mut Instant, _: &Shared| Ok(Instant::now() >= *until);
        let long = tokio::spawn(async move { long.steps(until, step).await });
        tokio::time::sleep(PIECE / 2).await;
        let short = call(&reads, "10.0.0.2:1", Instant::now).await;
        assert!(short.await.unwrap().unwrap() < until, "it waited for all of it");
        long.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded_and_those_who_have_gone_are_forgotten() {
        let (_directory, reads) = reads();
        let (go, gone) = mpsc::channel::<()>();
        let mut calls = vec![call(&reads, FIRST, move || gone.recv().unwrap_or(())).await];
        for _ in 1..CALLS.connection {
            calls.push(call(&reads, FIRST, || ()).await);
        }
        let refused = call(&reads, FIRST, || ()).await;
        assert!(refused.is_finished(), "it waits too");
        let refused = refused.await.unwrap().unwrap_err();
        assert_eq!((refused.code, refused.retry_after), ("API_BUSY", Some(RETRY)));
        let other = call(&reads, "10.0.0.2:1", || ()).await;
        // A place is kept until its read has ended, whoever has gone.
        calls.iter().for_each(JoinHandle::abort);
        let again = call(&reads, FIRST, || ()).await;
        assert!(!other.is_finished() && !again.is_finished());
        drop(go);
        other.await.unwrap().unwrap();
        again.await.unwrap().unwrap();
        let key = "10.0.0.9:1".parse().ok();
        let _other = reads.0.connections.places(key);
        assert_eq!(reads.0.connections.places.lock().unwrap().len(), 1);
    }
}
