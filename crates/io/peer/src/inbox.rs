//! What peers sent and nobody took yet: queues of each peer, and the consumer that goes round them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger_format::digest::KeyId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::outbox::Queue;
use crate::session::Why;
use crate::settings::{Bound, Lane, Lanes, Role};

/// What happened between this node and its peers. Of one peer, in order: `Connected`, any number of `Received`, `Disconnected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer is there, and knows nothing of what was sent to it before.
    Connected {
        /// Who.
        peer: KeyId,
        /// What it is.
        role: Role,
        /// Height of its last block, by its own account.
        height: u64,
    },
    /// A peer sent something.
    Received {
        /// Who.
        peer: KeyId,
        /// Through which queue.
        lane: Lane,
        /// The message. What it is, the transport does not know.
        bytes: Bytes,
    },
    /// A peer is gone. What was sent to it last may not have arrived.
    Disconnected {
        /// Who.
        peer: KeyId,
        /// Why.
        why: Why,
    },
}

/// Queues of all peers. One consumer takes one event of each peer in turn, so that what a peer sends waits for no more than one event of
/// each other peer, whatever they send.
#[derive(Debug)]
pub(crate) struct Inbox {
    bounds: Lanes<Bound>,
    state: Mutex<State>,
    filled: Condvar,
    filled_async: Notify,
}

#[derive(Debug, Default)]
struct State {
    peers: BTreeMap<KeyId, VecDeque<Received>>,
    /// Peers with an event to take, each once.
    turns: VecDeque<KeyId>,
    closed: bool,
}

/// What came through one connection.
#[derive(Debug)]
struct Received {
    session: u64,
    role: Role,
    height: u64,
    announced: bool,
    lanes: Lanes<Queue>,
    ended: Option<Why>,
    room: Arc<Notify>,
}

impl Received {
    fn next(&mut self, peer: KeyId) -> Option<Event> {
        if !self.announced {
            self.announced = true;
            return Some(Event::Connected { peer, role: self.role, height: self.height });
        }
        if let Some((lane, bytes)) = self.lanes.pop() {
            self.room.notify_one();
            return Some(Event::Received { peer, lane, bytes });
        }
        Some(Event::Disconnected { peer, why: self.ended? })
    }
}

impl State {
    fn next(&mut self) -> Option<Event> {
        while let Some(peer) = self.turns.pop_front() {
            let Some(connections) = self.peers.get_mut(&peer) else { continue };
            let Some(event) = connections.front_mut().and_then(|first| first.next(peer)) else {
                continue;
            };
            if matches!(event, Event::Disconnected { .. }) {
                connections.pop_front();
            }
            if connections.is_empty() {
                self.peers.remove(&peer);
            } else {
                self.turns.push_back(peer);
            }
            return Some(event);
        }
        None
    }

    fn give_turn(&mut self, peer: KeyId) {
        if !self.turns.contains(&peer) {
            self.turns.push_back(peer);
        }
    }

    fn forget(&mut self, peer: &KeyId, session: u64) {
        let Some(connections) = self.peers.get_mut(peer) else { return };
        connections.retain(|received| received.session != session);
        if connections.is_empty() {
            self.peers.remove(peer);
        }
    }

    fn session(&mut self, peer: &KeyId, session: u64) -> Option<&mut Received> {
        self.peers.get_mut(peer)?.iter_mut().find(|received| received.session == session)
    }
}

impl Inbox {
    pub(crate) fn new(bounds: Lanes<Bound>) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            state: Mutex::default(),
            filled: Condvar::new(),
            filled_async: Notify::new(),
        })
    }

    /// Begins a connection. Frames of the peer's connections before it are dropped: what matters of them is sent again.
    pub(crate) fn open(&self, peer: KeyId, session: u64, role: Role, height: u64) {
        let mut state = self.state();
        let connections = state.peers.entry(peer).or_default();
        connections.retain(|received| received.announced);
        for received in connections.iter_mut() {
            received.lanes = Lanes::default();
        }
        connections.push_back(Received {
            session,
            role,
            height,
            announced: false,
            lanes: Lanes::default(),
            ended: None,
            room: Arc::default(),
        });
        state.give_turn(peer);
        self.wake(state);
    }

    /// Ends a connection, after the frames that came through it. A follower's are dropped: there are as many followers as somebody
    /// makes keys, and each would leave its queues behind.
    pub(crate) fn end(&self, peer: KeyId, session: u64, why: Why) {
        let mut state = self.state();
        let Some(received) = state.session(&peer, session) else { return };
        if received.ended.is_some() {
            return;
        }
        received.ended = Some(why);
        received.room.notify_one();
        if received.role == Role::Follower {
            received.lanes = Lanes::default();
            if !received.announced {
                state.forget(&peer, session);
            }
        }
        state.give_turn(peer);
        self.wake(state);
    }

    /// Queues a frame, when there is room for it. False when the connection has ended.
    pub(crate) async fn push(&self, peer: KeyId, session: u64, lane: Lane, bytes: Bytes) -> bool {
        loop {
            let room = {
                let mut state = self.state();
                let closed = state.closed;
                let Some(received) = state.session(&peer, session) else { return false };
                if closed || received.ended.is_some() {
                    return false;
                }
                if received.lanes.get_mut(lane).push(self.bounds.get(lane), bytes.clone()) {
                    state.give_turn(peer);
                    self.wake(state);
                    return true;
                }
                Arc::clone(&received.room)
            };
            room.notified().await;
        }
    }

    /// No more events after those that are there.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(state);
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        drop(state);
        self.filled.notify_one();
        self.filled_async.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events, for one consumer: a thread or a task.
///
/// It has to take what is there without waiting for anything that a peer does, and drop what it has no room for: while a queue of a
/// peer is full, nothing more is read from that peer, in any lane. Dropped, it ends the transport.
#[derive(Debug)]
pub struct Events {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) stop: CancellationToken,
}

impl Events {
    /// The next event, or nothing when the transport has stopped.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            match self.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => self.inbox.filled_async.notified().await,
            }
        }
    }

    /// The next event, for a thread that waits.
    ///
    /// # Errors
    /// When none comes in time, and when the transport has stopped.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Event, RecvTimeoutError> {
        let begun = Instant::now();
        let mut state = self.inbox.state();
        loop {
            if let Some(event) = state.next() {
                return Ok(event);
            }
            if state.closed {
                return Err(RecvTimeoutError::Disconnected);
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            let waited = self.inbox.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// When there is none, and when the transport has stopped.
    pub fn try_recv(&mut self) -> Result<Event, TryRecvError> {
        let mut state = self.inbox.state();
        match state.next() {
            Some(event) => Ok(event),
            None if state.closed => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.inbox.close();
        self.stop.cancel();
    }
}
