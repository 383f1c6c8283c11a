//! A connection with a peer whose identity is known.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ledger_format::digest::KeyId;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::code::{By, Code, Refusal};
use crate::hello::Introduced;
use crate::link::Link;
use crate::local::{Local, Own};
use crate::outbox::{NotQueued, Outbox};
use crate::settings::{Lane, Lanes, Role};
use crate::wire::{self, Incoming, Said};

/// How long the end of a connection may take to tell why.
const TELLS_WITHIN: Duration = Duration::from_millis(50);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The other side closed it, or it broke.
    Closed,
    /// One side refused the other.
    Refused {
        /// The stable code.
        code: Code,
        /// Which side.
        by: By,
    },
    /// The same peer connected once more.
    Replaced,
    /// What one of the two nodes is on the ledger has changed.
    Changed,
    /// The peer does not read as fast as this node sends, and a frame was dropped that must not be.
    Overflow(Lane),
    /// This node stops.
    Stopped,
}

/// Frames and bytes of one lane, since the start for a configured peer, else of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames queued to be sent.
    pub sent: u64,
    /// Payload bytes queued to be sent.
    pub sent_bytes: u64,
    /// Frames received.
    pub received: u64,
    /// Payload bytes received.
    pub received_bytes: u64,
    /// Frames that were not sent, since their queue was full.
    pub dropped: u64,
}

/// Counts of one peer.
#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<Lanes<Counts>>);

impl Traffic {
    pub(crate) fn counts(&self) -> Lanes<Counts> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, lane: Lane, change: impl FnOnce(&mut Counts)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(lane));
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    /// Later connections have greater numbers.
    pub(crate) number: u64,
    pub(crate) peer: KeyId,
    pub(crate) role: Role,
    pub(crate) height: u64,
    pub(crate) since: SystemTime,
    pub(crate) link: Arc<Link>,
    /// Whether it may be anybody, of whom there may be many. One that the settings name may be a follower to this node because one of
    /// the two is behind, and give what this one lacks.
    pub(crate) is_bounded: bool,
    pub(crate) traffic: Arc<Traffic>,
    outbox: Arc<Outbox>,
    pub(crate) ended: CancellationToken,
    /// The registry has it no more: only then another connection can take its place.
    pub(crate) left: CancellationToken,
    why: OnceLock<Why>,
}

impl Session {
    pub(crate) fn new(
        local: &Local,
        introduced: Introduced,
        link: Arc<Link>,
        outbox: Arc<Outbox>,
    ) -> Arc<Self> {
        let Introduced { peer, role, height } = introduced;
        Arc::new(Self {
            number: local.next_session(),
            peer,
            role,
            height,
            since: SystemTime::now(),
            link,
            is_bounded: role == Role::Follower && !local.registry.is_known(&peer),
            traffic: local.registry.traffic(&peer),
            outbox,
            ended: CancellationToken::new(),
            left: CancellationToken::new(),
            why: OnceLock::new(),
        })
    }

    /// Queues a frame. When a lane is full that must not lose one, the connection ends, and the next one begins from known state.
    pub(crate) fn send(&self, lane: Lane, bytes: Bytes) -> bool {
        let length = wide(bytes.len());
        match self.outbox.push(lane, bytes) {
            Ok(()) => self.traffic.count(lane, |counts| {
                counts.sent = counts.sent.saturating_add(1);
                counts.sent_bytes = counts.sent_bytes.saturating_add(length);
            }),
            Err(NotQueued::Ended) => return false,
            Err(NotQueued::Full) => {
                self.dropped(lane);
                if lane != Lane::Entries {
                    self.end(Why::Overflow(lane));
                }
                return false;
            }
        }
        true
    }

    /// Bytes that wait to be sent.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.outbox.waiting(lane)
    }

    pub(crate) fn dropped(&self, lane: Lane) {
        self.traffic.count(lane, |counts| counts.dropped = counts.dropped.saturating_add(1));
    }

    /// Asks the connection to end. The first reason counts.
    pub(crate) fn end(&self, why: Why) {
        let _later = self.why.set(why);
        self.ended.cancel();
    }

    /// Who this node was when the connection began.
    pub(crate) fn own(&self) -> Own {
        self.outbox.own
    }

    /// Why it ended.
    pub(crate) fn why(&self) -> Why {
        self.why.get().copied().unwrap_or(Why::Closed)
    }

    fn received(&self, lane: Lane, bytes: &Bytes) {
        self.traffic.count(lane, |counts| {
            counts.received = counts.received.saturating_add(1);
            counts.received_bytes = counts.received_bytes.saturating_add(wide(bytes.len()));
        });
    }
}

/// Why nothing more is read from a stream.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What came is refused.
    Refused(Refusal),
    /// Nothing more comes.
    Ended(Why),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Failure {
    /// What a status means that ended a stream.
    pub(crate) fn of(status: &tonic::Status, link: &Link) -> Self {
        Self::with(wire::why(status, link), status.message())
    }

    /// A reason, as a refusal if this node refuses.
    pub(crate) fn with(why: Why, detail: &str) -> Self {
        match why {
            Why::Refused { code, by: By::Us } => Self::Refused(Refusal::new(code, detail)),
            why => Self::Ended(why),
        }
    }
}

/// The next message. One that refuses this node is a failure.
pub(crate) async fn next<M: Incoming>(
    link: &Link,
    inbound: &mut Streaming<M>,
) -> Result<Said, Failure> {
    match inbound.message().await {
        Ok(Some(message)) => match message.said()? {
            Said::Refused(Some(code)) => Err(Failure::Ended(Why::Refused { code, by: By::Them })),
            Said::Refused(None) => Err(Failure::Ended(Why::Closed)),
            said => Ok(said),
        },
        ended => {
            // The stream hears of a broken connection, or just ends with it, before that has told why.
            let _either = tokio::time::timeout(TELLS_WITHIN, link.closed.cancelled()).await;
            Err(match (ended, link.fault()) {
                (Err(status), _) => Failure::of(&status, link),
                (Ok(_), None) => Failure::Ended(Why::Closed),
                (Ok(_), Some((code, by))) => {
                    Failure::with(Why::Refused { code, by }, "a connection that HTTP/2 gave up")
                }
            })
        }
    }
}

/// Registers a session, receives until it ends, and closes the connection.
pub(crate) async fn run<M: Incoming>(
    local: &Local,
    session: &Arc<Session>,
    inbound: &mut Streaming<M>,
) -> Why {
    if let Err(failure) = local.registry.register(local, session) {
        return close(local, session, failure).await;
    }
    // Whoever may be anybody can come as somebody else each time, and must not fill the disk.
    let is_told = !session.is_bounded || local.refusals.may_log();
    if is_told {
        tracing::info!(peer = %session.peer, address = %session.link.remote, role = ?session.role, height = session.height, "peer connected");
    }
    let failure = loop {
        tokio::select! {
            biased;
            () = session.ended.cancelled() => break ended(session.why()),
            received = receive(local, session, inbound) => {
                if let Err(failure) = received {
                    break failure;
                }
            }
        }
    };
    let why = close(local, session, failure).await;
    if is_told {
        tracing::info!(peer = %session.peer, address = %session.link.remote, ?why, "peer disconnected");
    }
    why
}

/// What a connection ends for that this node ended elsewhere, in the middle: for what came over it, or since its operator took the peer
/// off the list.
fn ended(why: Why) -> Failure {
    let is_unlisted = matches!(why, Why::Refused { code: Code::NotAllowed, .. });
    let no_message = "what is no message of this protocol version";
    Failure::with(why, if is_unlisted { "it is listed no more" } else { no_message })
}

async fn receive<M: Incoming>(
    local: &Local,
    session: &Session,
    inbound: &mut Streaming<M>,
) -> Result<(), Failure> {
    let Said::Frame(lane, bytes) = next(&session.link, inbound).await? else {
        return Err(Refusal::new(Code::Malformed, "a second Hello").into());
    };
    if bytes.len() > local.settings.longest_from(session.is_bounded, lane) {
        return Err(Refusal::new(Code::TooLarge, format!("a frame of {}", bytes.len())).into());
    }
    session.received(lane, &bytes);
    if local.inbox.push(session.peer, session.number, lane, bytes).await {
        return Ok(());
    }
    Err(Failure::Ended(session.why()))
}

async fn close(local: &Local, session: &Arc<Session>, failure: Failure) -> Why {
    session.end(local.judged(&failure, &session.link, Some(session.peer)));
    let why = session.why();
    local.registry.remove(session);
    local.inbox.end(session.peer, session.number, why);
    farewell(&session.outbox, why);
    session.link.close().await;
    why
}

/// Ends a stream so that the other side learns what it has to.
pub(crate) fn farewell(outbox: &Outbox, why: Why) {
    match why {
        Why::Refused { code, by: By::Us } => outbox.abort(Some(code)),
        Why::Stopped => outbox.finish(),
        Why::Refused { .. } | Why::Closed | Why::Replaced | Why::Changed | Why::Overflow(_) => {
            outbox.abort(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_of_a_connection_that_this_node_ends_belongs_to_its_code() {
        let detail = |code| match ended(Why::Refused { code, by: By::Us }) {
            Failure::Refused(refusal) => refusal.detail,
            Failure::Ended(why) => panic!("{why:?}"),
        };
        assert_eq!(detail(Code::NotAllowed), "it is listed no more");
        assert!(detail(Code::Malformed).contains("no message"));
        assert!(matches!(ended(Why::Changed), Failure::Ended(Why::Changed)));
    }
}
