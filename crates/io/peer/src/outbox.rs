//! What waits to be sent to one peer: a bounded queue for each lane, the most urgent one first.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use ledger_proto::peer as v1;
use tokio_stream::Stream;
use tonic::Status;

use crate::code::Code;
use crate::local::Own;
use crate::settings::{Bound, Lane, Lanes};
use crate::wire::{frame, status};

/// A message on its way out, for either direction of the stream.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Hello(v1::Hello),
    Admitted,
    Frame(Lane, Bytes),
    /// The last one.
    Refused(Code),
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotQueued {
    /// The lane is full.
    Full,
    /// Nothing more is sent.
    Ended,
}

/// The queues of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Who this node was when the connection began.
    pub(crate) own: Own,
    bounds: Lanes<Bound>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Hello and Admitted, before all frames.
    greetings: VecDeque<Outgoing>,
    lanes: Lanes<Queue>,
    ended: bool,
    farewell: Option<Code>,
    waker: Option<Waker>,
}

/// Frames of one lane.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, bound: &Bound, frame: Bytes) -> bool {
        let bytes = self.bytes.saturating_add(frame.len());
        let fits = self.frames.len() < bound.frames && bytes <= bound.bytes;
        if fits {
            self.bytes = bytes;
            self.frames.push_back(frame);
        }
        fits
    }

    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(frame.len());
        Some(frame)
    }
}

impl Lanes<Queue> {
    /// The next frame of the most urgent lane that has one.
    pub(crate) fn pop(&mut self) -> Option<(Lane, Bytes)> {
        Lane::ALL.into_iter().find_map(|lane| Some((lane, self.get_mut(lane).pop()?)))
    }
}

impl Outbox {
    pub(crate) fn new(bounds: Lanes<Bound>, hello: Option<v1::Hello>, own: Own) -> Arc<Self> {
        let greetings = hello.into_iter().map(Outgoing::Hello).collect();
        let state = State { greetings, ..State::default() };
        Arc::new(Self { own, bounds, state: Mutex::new(state) })
    }

    pub(crate) fn admit(&self) {
        let mut state = self.state();
        state.greetings.push_back(Outgoing::Admitted);
        state.wake();
    }

    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.state().lanes.get(lane).bytes
    }

    pub(crate) fn push(&self, lane: Lane, bytes: Bytes) -> Result<(), NotQueued> {
        let mut state = self.state();
        if state.ended {
            return Err(NotQueued::Ended);
        }
        if !state.lanes.get_mut(lane).push(self.bounds.get(lane), bytes) {
            return Err(NotQueued::Full);
        }
        state.wake();
        Ok(())
    }

    /// Ends the stream after what is queued.
    pub(crate) fn finish(&self) {
        let mut state = self.state();
        state.ended = true;
        state.wake();
    }

    /// Ends the stream at once, with a refusal if there is one to tell.
    pub(crate) fn abort(&self, farewell: Option<Code>) {
        let mut state = self.state();
        if !state.ended {
            state.farewell = farewell;
        }
        state.ended = true;
        state.lanes = Lanes::default();
        state.wake();
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Outgoing>> {
        let mut state = self.state();
        if let Some(greeting) = state.greetings.pop_front() {
            return Poll::Ready(Some(greeting));
        }
        if let Some((lane, bytes)) = state.lanes.pop() {
            return Poll::Ready(Some(Outgoing::Frame(lane, bytes)));
        }
        if state.ended {
            return Poll::Ready(state.farewell.take().map(Outgoing::Refused));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The dialler's half of the stream.
#[derive(Debug)]
pub(crate) struct Requests(pub(crate) Arc<Outbox>);

impl Stream for Requests {
    type Item = v1::ExchangeRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        use v1::exchange_request::Content;
        self.0.poll(cx).map(|outgoing| {
            let content = match outgoing? {
                Outgoing::Hello(hello) => Content::Hello(hello),
                Outgoing::Admitted => Content::Admitted(v1::Admitted {}),
                Outgoing::Frame(lane, bytes) => Content::Frame(frame(lane, bytes)),
                Outgoing::Refused(code) => {
                    Content::Refusal(v1::Refusal { code: code.as_str().to_owned() })
                }
            };
            Some(v1::ExchangeRequest { content: Some(content) })
        })
    }
}

/// The acceptor's half of the stream.
#[derive(Debug)]
pub(crate) struct Responses(pub(crate) Arc<Outbox>);

impl Stream for Responses {
    type Item = Result<v1::ExchangeResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        use v1::exchange_response::Content;
        self.0.poll(cx).map(|outgoing| {
            let content = match outgoing? {
                Outgoing::Hello(hello) => Some(Content::Hello(hello)),
                // The acceptor's Hello is its word that the dialler is admitted.
                Outgoing::Admitted => None,
                Outgoing::Frame(lane, bytes) => Some(Content::Frame(frame(lane, bytes))),
                Outgoing::Refused(code) => return Some(Err(status(code))),
            };
            Some(Ok(v1::ExchangeResponse { content }))
        })
    }
}

#[cfg(test)]
mod tests {
    use ledger_format::digest::KeyId;

    use super::*;
    use crate::settings::Role;

    fn outbox(frames: usize, bytes: usize) -> Arc<Outbox> {
        let bound = Bound { frames, bytes };
        let bounds = Lanes { consensus: bound, blocks: bound, entries: bound };
        let own = Own { id: KeyId::default(), role: Role::Validator };
        Outbox::new(bounds, Some(v1::Hello::default()), own)
    }

    fn poll(outbox: &Outbox) -> Poll<Option<Outgoing>> {
        outbox.poll(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn urgent_lanes_go_first_and_greetings_before_them() {
        let outbox = outbox(8, 64);
        for lane in [Lane::Entries, Lane::Blocks, Lane::Consensus] {
            outbox.push(lane, Bytes::from_static(b"x")).unwrap();
        }
        assert!(matches!(poll(&outbox), Poll::Ready(Some(Outgoing::Hello(_)))));
        for lane in Lane::ALL {
            let next = poll(&outbox);
            assert!(matches!(next, Poll::Ready(Some(Outgoing::Frame(l, _))) if l == lane));
        }
        assert!(poll(&outbox).is_pending());
    }

    #[test]
    fn a_lane_is_bounded_by_frames_and_bytes_and_its_room_comes_back() {
        let outbox = outbox(2, 10);
        let push = |n: usize| outbox.push(Lane::Entries, Bytes::from(vec![0; n]));
        assert_eq!(push(11), Err(NotQueued::Full));
        assert_eq!(push(6), Ok(()));
        assert_eq!(push(5), Err(NotQueued::Full));
        assert_eq!(push(4), Ok(()));
        assert_eq!(push(0), Err(NotQueued::Full));
        assert_eq!(outbox.push(Lane::Blocks, Bytes::new()), Ok(()));
        for _ in 0..4 {
            assert!(poll(&outbox).is_ready());
        }
        assert_eq!(push(10), Ok(()));
    }

    #[test]
    fn a_refusal_is_the_last_word() {
        let outbox = outbox(8, 64);
        outbox.push(Lane::Entries, Bytes::new()).unwrap();
        outbox.abort(Some(Code::Malformed));
        outbox.abort(Some(Code::Timeout));
        assert_eq!(outbox.push(Lane::Entries, Bytes::new()), Err(NotQueued::Ended));
        assert!(matches!(poll(&outbox), Poll::Ready(Some(Outgoing::Hello(_)))));
        let last = poll(&outbox);
        assert!(matches!(last, Poll::Ready(Some(Outgoing::Refused(Code::Malformed)))));
        assert!(matches!(poll(&outbox), Poll::Ready(None)));
    }
}
