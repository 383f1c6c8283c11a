//! The loop that runs the replica: it takes what arrives, carries out actions in order, and stops the node when one fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ledger_api::admission::{Checked, CheckedEntry};
use ledger_api::intake::Source;
use ledger_api::outcomes::{Outcome, Position, RefusedAt};
use ledger_api::problem::Problem;
use ledger_api::{Head, Shared};
use ledger_format::digest::{EntryId, Hash};
use ledger_peer::Network;
use ledger_replay::Ledger;
use ledger_replica::{Action, Decided, Event, Replica, Timer, Turned};
use ledger_rules::{Code, Refusal};
use ledger_store::{Store, Wal};
use tokio::sync::oneshot;

use crate::evidence::{self, EvidenceDirectory};
use crate::failure::Failure;
use crate::node::check_protocol;
use crate::peers;
use crate::recover;
use crate::refused::Refused;
use crate::requests::{Requests, Wanted};
use crate::stored;

/// How long a client is asked to wait when the pool is full.
const FULL_RETRY: Duration = Duration::from_millis(200);
/// Wake-ups without any timer, to notice that the node is stopping.
const IDLE: Duration = Duration::from_secs(1);

/// How long the loop takes what arrives before it looks after the rest: a steady stream is never taken whole.
const TAKEN_FOR: Duration = Duration::from_millis(100);

/// What the loop writes to beside the store: the consensus log, and evidence.
pub(crate) type Disk = (Wal, EvidenceDirectory);

/// What the loop is told.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Entries whose signatures were checked.
    Checked(Checked),
    /// Another node came, went, or said something.
    Peers(Box<Event>),
}

/// A running replica.
pub(crate) struct ReplicaLoop {
    shared: Arc<Shared>,
    replica: Replica,
    wal: Wal,
    evidence: EvidenceDirectory,
    gather_at: Option<Instant>,
    /// When it was last asked whether others refuse this process for another one.
    looked_at: Instant,
    timers: Vec<(Instant, Timer)>,
    refused: Refused,
    committed: SyncSender<()>,
    /// What came and is to be passed on, until all that came with it is looked at.
    to_pass_on: Vec<Bytes>,
    /// The other nodes.
    network: Network,
    /// What other nodes asked for.
    requests: Arc<Requests>,
}

impl ReplicaLoop {
    /// A loop about to begin with some actions. `committed` is told of every block, without waiting.
    pub(crate) fn new(
        shared: Arc<Shared>,
        replica: Replica,
        (wal, evidence): Disk,
        committed: SyncSender<()>,
        network: Network,
        requests: Arc<Requests>,
    ) -> Self {
        let (gather_at, timers, looked_at) = (None, Vec::new(), Instant::now());
        let (refused, to_pass_on) = (Refused::default(), Vec::new());
        Self {
            shared,
            replica,
            wal,
            evidence,
            gather_at,
            looked_at,
            timers,
            refused,
            committed,
            to_pass_on,
            network,
            requests,
        }
    }

    /// Runs until the queue closes or `stopping` says so. `begun` is told once a height that a crash interrupted has been gone through
    /// again: what this node's log alone decides is shown from then on.
    pub(crate) fn run(
        mut self,
        (first, begun): (Vec<Action>, oneshot::Sender<()>),
        queue: &Receiver<Arrival>,
        stopping: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        self.carry_out(first)?;
        let _nobody_waits = begun.send(());
        // Asked at every turn: others may send more for as long as they are heard.
        while !stopping() {
            match queue.recv_timeout(self.wait()) {
                Ok(arrival) => take_waiting(arrival, queue, |arrival| self.arrived(arrival))?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.fire()?;
            // Whatever arrived or fired may have taken something away.
            self.shared.set_pool(self.replica.pool_size());
            self.give_way()?;
        }
        Ok(())
    }

    /// Ends this process when another one has come in its place: validators that say so have the power to hold somebody honest.
    fn give_way(&mut self) -> Result<(), Failure> {
        if self.looked_at.elapsed() < IDLE {
            return Ok(());
        }
        self.looked_at = Instant::now();
        let refusing = peers::seen_twice(&self.network);
        if refusing.is_empty() {
            return Ok(());
        }
        let set = self.shared.ledger().validators().clone();
        let (power, total) = (set.power_of(&refusing), set.total_power());
        if power.saturating_mul(3) <= total {
            return Ok(());
        }
        let why = format!(
            "validators with power {power} of {total} refuse this process, since another one has come as the same validator"
        );
        Err(recover::stopped_by_twin(&self.shared, why)?)
    }

    fn wait(&self) -> Duration {
        let next = self.timers.iter().map(|(at, _)| *at).chain(self.gather_at).min();
        next.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()).min(IDLE))
    }

    /// Takes one thing that has arrived; whether more may follow. Not when a timer is due: whoever sends without end must not stop this
    /// node's clocks.
    fn arrived(&mut self, arrival: Arrival) -> Result<bool, Failure> {
        match arrival {
            Arrival::Checked(entries) => self.submitted(entries)?,
            Arrival::Peers(event) => {
                let actions = self.step(*event)?;
                self.carry_out(actions)?;
            }
        }
        Ok(!self.wait().is_zero())
    }

    /// Puts entries into the pool, tells those who wait for no more than that, and passes clients' entries on to other nodes: any of
    /// them may be the next to propose.
    fn submitted(&mut self, entries: Checked) -> Result<(), Failure> {
        let mut accepted = Vec::with_capacity(entries.len());
        let is_alone = self.network.is_alone();
        for CheckedEntry { entry, source, asked } in entries {
            let id = entry.id();
            let bytes = matches!(source, Source::Client(_)).then(|| entry.bytes().clone());
            let actions = self.step(match source {
                Source::Peer(from) if asked => Event::PassedOn { from, entry },
                _ => Event::Submitted(entry),
            })?;
            // Also if another node brought it first.
            let is_kept = self.replica.is_waiting(&id);
            if is_kept {
                accepted.push(id);
            }
            if !actions.iter().any(|action| matches!(action, Action::Turned(..))) {
                self.to_pass_on.extend(bytes);
                if !is_alone {
                    let Shared { recent, handed_on, .. } = &*self.shared;
                    // Before what follows, which may refuse it.
                    if is_kept { recent } else { handed_on }.remember(id);
                }
            }
            self.carry_out(actions)?;
        }
        let passed_on = std::mem::take(&mut self.to_pass_on);
        if !is_alone {
            for message in self.replica.relay_all(&passed_on) {
                peers::broadcast(&self.network, &message);
            }
        }
        self.shared.outcomes.accepted(accepted);
        Ok(())
    }

    fn fire(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.gather_at.is_some_and(|at| at <= now) {
            self.gather_at = None;
            let actions = self.step(Event::Gathered)?;
            self.carry_out(actions)?;
        }
        while let Some(due) = self.timers.iter().position(|(at, _)| *at <= now) {
            let (_, timer) = self.timers.swap_remove(due);
            let actions = self.step(Event::TimerFired(timer))?;
            self.carry_out(actions)?;
        }
        Ok(())
    }

    fn step(&mut self, event: Event) -> Result<Vec<Action>, Failure> {
        let ledger = self.shared.ledger();
        Ok(self.replica.step(&ledger, now_ms(), event)?)
    }

    /// Carries out actions in order; what follows from a commit comes after what was asked before it.
    fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), Failure> {
        let mut queue = VecDeque::from(actions);
        let mut settled: Vec<(EntryId, Outcome)> = Vec::new();
        while let Some(action) = queue.pop_front() {
            match action {
                Action::Log(record) => self.wal.append(&record),
                Action::FlushLog => self.wal.sync()?,
                Action::Gather(after) => self.gather_at = Some(Instant::now() + after),
                Action::SetTimer(timer, after) => {
                    self.timers.retain(|(_, known)| *known != timer);
                    self.timers.push((Instant::now() + after, timer));
                }
                Action::CancelTimer(timer) => self.timers.retain(|(_, known)| *known != timer),
                Action::CancelTimers => self.timers.retain(|(_, timer)| !timer.is_of_a_round()),
                Action::Commit(decided) => {
                    let is_with_quorum = decided.is_with_quorum;
                    settled.extend(self.commit(*decided)?);
                    self.announce(&mut settled);
                    self.height_done(is_with_quorum)?;
                    check_protocol(&self.shared.ledger())?;
                    queue.extend(self.step(Event::Committed)?);
                }
                Action::Refused(id, refusal) => settled.push((id, self.refused(id, refusal)?)),
                Action::Turned(id, Turned::Full) => {
                    let full = Problem::pool_full("the pool").retry(FULL_RETRY);
                    settled.push((id, Outcome::refused(full)));
                }
                // Whoever submitted it first waits for it already, and this one now does as well.
                Action::Turned(_, Turned::Known) => {}
                Action::PassOn(entry) => self.to_pass_on.push(entry),
                Action::Broadcast(message) => peers::broadcast(&self.network, &message),
                Action::Send(to, message) => peers::send(&self.network, &to, &message),
                Action::SendBlocks { to, from } => {
                    let is_validator = self.shared.is_validator(&to);
                    self.requests.ask(Wanted::Blocks { to, from }, is_validator);
                }
                Action::Accuse { evidence, culprits } => {
                    evidence::accuse(&self.evidence, &self.shared, *evidence, culprits)?;
                }
                Action::Recovered => recover::votes_again(&self.shared)?,
                Action::Twin { peer, height } => {
                    let why = format!(
                        "node {peer} shows its signature at height {height}, which this node did not make"
                    );
                    return Err(recover::stopped_by_twin(&self.shared, why)?);
                }
                Action::Suspect { peer, height, why } => {
                    peers::suspect(&self.shared, peer, height, *why);
                }
                Action::Apart { peer, height, ahead_ms } => {
                    peers::ahead(&self.shared, peer, height, ahead_ms);
                }
            }
        }
        self.announce(&mut settled);
        Ok(())
    }

    fn announce(&self, settled: &mut Vec<(EntryId, Outcome)>) {
        if !settled.is_empty() {
            self.shared.outcomes.announce(settled.drain(..));
        }
    }

    /// A refusal, with the height that it was judged for. An entry that is in the log already is no refusal.
    ///
    /// # Errors
    /// A read that failed: whoever submitted it must not be told for good what may not be so.
    fn refused(&mut self, id: EntryId, refusal: Refusal) -> Result<Outcome, Failure> {
        if matches!(refusal.code, Code::Duplicate | Code::Expired)
            && let Some(position) = self.shared.position(&id)?
        {
            return Ok(Outcome::Placed(position));
        }
        // Once its cause is gone it may be passed on again, and is judged anew.
        self.shared.recent.forget(&id);
        let height = self.shared.ledger().height() + 1;
        let (code, detail) = (refusal.code.as_str(), refusal.detail.as_str());
        if let Some(times) = self.refused.note(refusal.code, Instant::now()) {
            tracing::info!(%id, height, code, times, detail, "entry refused");
        } else {
            tracing::debug!(%id, height, code, detail, "entry refused");
        }
        Ok(Outcome::Refused(RefusedAt { problem: refusal.into(), height }))
    }

    /// Keeps a block, then lets everybody see it. The order is the promise: nobody is told before it is on the disks of a quorum, this
    /// node's among them, in the logs or in the store.
    fn commit(&mut self, decided: Decided) -> Result<Vec<(EntryId, Outcome)>, Failure> {
        let Decided { block, executed, is_with_quorum } = decided;
        let header = executed.header.clone();
        let store = &self.shared.store;
        let keep = if is_with_quorum { Store::commit_logged } else { Store::commit };
        stored::put(&block, &executed, |new| keep(store, new))?;
        let ids = executed.ids.clone();
        let first = executed.first_entry;
        let before = sets(&self.shared.ledger());
        self.shared.ledger_mut().commit(executed).map_err(Failure::stopped)?;
        let (height, time_ms) = (header.height, header.time_ms);
        tracing::debug!(
            height,
            entries = ids.len(),
            round = block.certificate.round,
            "block committed"
        );
        // Whoever sees the block must not see its entries wait.
        self.shared.set_pool(self.replica.pool_size());
        self.shared.set_head(Head { height, tree_size: header.tree_size, time_ms });
        let after = sets(&self.shared.ledger());
        if before != after {
            tracing::info!(height, role = self.shared.role().word(), "the validators change");
            self.network.members_changed();
        }
        let placed =
            |(leaf_index, id)| (id, Outcome::Placed(Position { height, leaf_index, time_ms }));
        Ok((first..).zip(ids).map(placed).collect())
    }

    /// Ends a height: what logs alone have kept so far gets on disk in the store, before anything of the next one is logged.
    fn height_done(&mut self, is_with_quorum: bool) -> Result<(), Failure> {
        if is_with_quorum {
            self.shared.store.flush()?;
        }
        let height = self.shared.ledger().height();
        self.wal.height_done(&self.replica.marks(height))?;
        // Maintenance may be busy; it looks for itself what is to be done.
        let _busy = self.committed.try_send(());
        Ok(())
    }
}

/// Takes what has arrived, and all that arrived after it: entries that come together fill one block. It ends when `take` says so, or after
/// a while: there is more to do than to listen.
fn take_waiting<T>(
    first: T,
    queue: &Receiver<T>,
    mut take: impl FnMut(T) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let enough = Instant::now() + TAKEN_FOR;
    let mut arrived = Some(first);
    while let Some(arrival) = arrived {
        let may_go_on = take(arrival)? && Instant::now() < enough;
        arrived = if may_go_on { queue.try_recv().ok() } else { None };
    }
    Ok(())
}

/// The sets that sign the next two heights.
fn sets(ledger: &Ledger) -> [Hash; 2] {
    [ledger.validators().hash(), ledger.next_validators().hash()]
}

/// This machine's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_stream_without_end_is_left_after_a_while_and_when_a_timer_is_due() {
        let (sender, queue) = channel();
        let mut taken = 0_u64;
        let again = |number| {
            taken = number;
            sender.send(number + 1).unwrap();
            Ok(true)
        };
        let began = Instant::now();
        take_waiting(1, &queue, again).unwrap();
        assert!(began.elapsed() >= TAKEN_FOR);
        // The rest waits.
        let next = queue.try_recv().unwrap();
        assert_eq!(next, taken + 1);
        let mut taken = Vec::new();
        for number in [8, 9] {
            sender.send(number).unwrap();
        }
        let until_8 = |number| {
            taken.push(number);
            Ok(number < 8)
        };
        take_waiting(7, &queue, until_8).unwrap();
        assert_eq!((taken, queue.try_recv()), (vec![7, 8], Ok(9)));
    }
}
