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
#[derive(Debug, Default)]
pub(crate) struct Inbox {
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
    bounds: Lanes<Bound>,
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
    /// Begins a connection. Frames of the peer's connections before it are dropped: what matters of them is sent again.
    pub(crate) fn open(
        &self,
        peer: KeyId,
        session: u64,
        role: Role,
        height: u64,
        bounds: Lanes<Bound>,
    ) {
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
            bounds,
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
                let Received { lanes, bounds, room, .. } = received;
                if lanes.get_mut(lane).push(bounds.get(lane), bytes.clone()) {
                    state.give_turn(peer);
                    self.wake(state);
                    return true;
                }
                Arc::clone(room)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        Events { inbox: Arc::default(), stop: CancellationToken::new() }
    }

    fn open(events: &Events, number: u8, session: u64, role: Role, height: u64) {
        let bound = Bound { frames: 50, bytes: 1_000 };
        let bounds = Lanes { consensus: bound, blocks: bound, entries: bound };
        events.inbox.open(peer(number), session, role, height, bounds);
    }

    fn peer(number: u8) -> KeyId {
        KeyId([number; 32])
    }

    async fn push(events: &Events, number: u8, lane: Lane) {
        assert!(events.inbox.push(peer(number), number.into(), lane, Bytes::new()).await);
    }

    /// Peers of the events that are there, in order.
    fn order(events: &mut Events) -> Vec<u8> {
        let all = std::iter::from_fn(|| events.try_recv().ok());
        all.map(|event| match event {
            Event::Connected { peer, .. }
            | Event::Received { peer, .. }
            | Event::Disconnected { peer, .. } => peer.0[0],
        })
        .collect()
    }

    #[tokio::test]
    async fn peers_take_turns_whatever_they_send() {
        let mut events = events();
        for number in 1..=3 {
            open(&events, number, number.into(), Role::Validator, 0);
        }
        assert_eq!(order(&mut events), [1, 2, 3]);
        for _ in 0..50 {
            push(&events, 1, Lane::Consensus).await;
        }
        push(&events, 2, Lane::Entries).await;
        push(&events, 3, Lane::Consensus).await;
        push(&events, 3, Lane::Consensus).await;
        assert_eq!(order(&mut events)[..6], [1, 2, 3, 1, 3, 1]);
    }

    #[tokio::test]
    async fn a_connection_is_announced_first_and_gone_last() {
        let mut events = events();
        open(&events, 1, 1, Role::Validator, 5);
        push(&events, 1, Lane::Entries).await;
        push(&events, 1, Lane::Consensus).await;
        events.inbox.end(peer(1), 1, Why::Closed);
        events.inbox.end(peer(1), 1, Why::Replaced);
        assert!(!events.inbox.push(peer(1), 1, Lane::Blocks, Bytes::new()).await);
        let (peer, bytes) = (peer(1), Bytes::new());
        let received = |lane| Event::Received { peer, lane, bytes: bytes.clone() };
        let expected = [
            Event::Connected { peer, role: Role::Validator, height: 5 },
            received(Lane::Consensus),
            received(Lane::Entries),
            Event::Disconnected { peer, why: Why::Closed },
        ];
        for event in expected {
            assert_eq!(events.try_recv(), Ok(event));
        }
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
        assert!(events.inbox.state().peers.is_empty());
    }

    #[tokio::test]
    async fn a_newer_connection_comes_after_the_end_of_the_older_and_without_its_frames() {
        let mut events = events();
        open(&events, 1, 1, Role::Validator, 0);
        assert!(matches!(events.try_recv(), Ok(Event::Connected { .. })));
        push(&events, 1, Lane::Entries).await;
        events.inbox.end(peer(1), 1, Why::Replaced);
        // Never announced, so nobody has to hear of it.
        open(&events, 1, 2, Role::Validator, 0);
        events.inbox.end(peer(1), 2, Why::Closed);
        open(&events, 1, 3, Role::Validator, 9);
        let (peer, role) = (peer(1), Role::Validator);
        assert_eq!(events.try_recv(), Ok(Event::Disconnected { peer, why: Why::Replaced }));
        assert_eq!(events.try_recv(), Ok(Event::Connected { peer, role, height: 9 }));
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn followers_that_are_gone_leave_no_frames_behind() {
        let mut events = events();
        for number in 1..=200 {
            open(&events, number, number.into(), Role::Follower, 0);
            push(&events, number, Lane::Entries).await;
            events.inbox.end(peer(number), number.into(), Why::Closed);
        }
        assert!(events.inbox.state().peers.is_empty());
        assert_eq!(order(&mut events), []);
    }

    #[tokio::test]
    async fn a_full_queue_waits_for_the_consumer_or_the_end() {
        let mut events = events();
        open(&events, 1, 1, Role::Validator, 0);
        for _ in 0..50 {
            push(&events, 1, Lane::Entries).await;
        }
        let inbox = Arc::clone(&events.inbox);
        let again = || {
            let inbox = Arc::clone(&inbox);
            tokio::spawn(async move { inbox.push(peer(1), 1, Lane::Entries, Bytes::new()).await })
        };
        let waiting = again();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        // The announcement makes no room, the frame does.
        assert!(matches!(events.try_recv(), Ok(Event::Connected { .. })));
        assert!(matches!(events.try_recv(), Ok(Event::Received { .. })));
        assert!(waiting.await.unwrap());
        let waiting = again();
        tokio::time::sleep(Duration::from_millis(50)).await;
        inbox.end(peer(1), 1, Why::Closed);
        assert!(!waiting.await.unwrap());
    }
}
