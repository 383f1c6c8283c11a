//! Entries of the clients of a node that does not vote, be it a follower or a validator that recovers: it passes them on, hears who
//! refuses them, and judges for itself before it believes that. What such a node passes on to another one, that one passes on as well.
//!
//! One validator alone must not make a caller believe that an entry is refused. So a refusal counts once more than a third of the
//! power has told it, and the rules give the same verdict on the follower's own state of that height or a later one. The second
//! check alone would refuse what depends on an entry that is not in a block yet; the first alone would leave the verdict to others.

use std::time::Duration;

use bytes::Bytes;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_replay::Ledger;
use ledger_rules::{Code, Refusal};

use super::proposing::{RELAYED, RELAYED_BYTES};
use super::{Action, Replica, Timer, Wake, next};
use crate::engine::EngineStopped;
use crate::message::{Content, Message};
use crate::passed::Askers;
use crate::planted::{self, Bug};

/// How often a follower passes on again what still waits.
const PASS_ON: Duration = Duration::from_secs(5);

impl Replica {
    /// Entries of clients, for the others: who does not vote wants to hear what they refuse.
    pub const fn relay(&self, entries: Vec<Vec<u8>>) -> Message {
        if self.is_voting() { Message::entries(entries) } else { Message::passed_on(entries) }
    }

    /// The same for any number of them, in messages that everybody takes.
    pub fn relay_all(&self, entries: &[Bytes]) -> Vec<Message> {
        let relay = |part: &[Bytes]| self.relay(part.iter().map(|entry| entry.to_vec()).collect());
        parts(entries).into_iter().map(relay).collect()
    }

    /// A node that does not vote passed on an entry.
    pub(super) fn passed_on(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        entry: Box<Entry>,
    ) -> Result<Vec<Action>, EngineStopped> {
        if self.engine.is_none() {
            return Ok(self.hand_on(&entry));
        }
        let id = entry.id();
        if self.pool.contains(&id) || self.pool.has_room(entry.bytes().len()) {
            self.askers.note(id, from);
        }
        self.submitted(ledger, entry)
    }

    /// What others' clients submitted is not kept here: its own node passes it on again, and knows when it is over. It goes on once a
    /// while, however many bring it, so that no way round leads on for ever.
    fn hand_on(&mut self, entry: &Entry) -> Vec<Action> {
        let id = entry.id();
        let is_news = !self.pool.contains(&id) && self.handed_on.is_new(id, self.now_ms);
        let goes_on = is_news && !planted::is(Bug::NothingHandedOn);
        goes_on.then(|| Action::PassOn(entry.bytes().clone())).into_iter().collect()
    }

    /// A validator drops an entry: whoever waits here is told, and who passed it on.
    pub(super) fn drop_refused(
        &mut self,
        ledger: &Ledger,
        ticket: u64,
        refusal: Refusal,
    ) -> Vec<Action> {
        let Some(entry) = self.pool.remove(ticket) else { return Vec::new() };
        let id = entry.id();
        let message = Message::refused(next(ledger), &id, refusal.code.as_str());
        let askers = self.askers.take(&id).into_iter();
        let told = askers.map(|asker| Action::Send(asker, message.clone()));
        told.chain([Action::Refused(id, refusal)]).collect()
    }

    /// A follower keeps what its clients submit until it is in a block or refused. The host has passed it on.
    pub(super) fn keep(&mut self, entry: Box<Entry>) -> Vec<Action> {
        let id = entry.id();
        match self.pool.add(entry) {
            Err(turned) => vec![Action::Turned(id, turned)],
            Ok(()) => self.pass_on_later().into_iter().collect(),
        }
    }

    /// A node that was a validator keeps what waits as a follower does, since somebody may wait for its fate; one that has become a
    /// validator judges for itself.
    pub(super) fn change_sides(&mut self, was_voting: bool) -> Option<Action> {
        match (was_voting, self.is_voting()) {
            (true, false) => {
                self.askers = Askers::default();
                self.pass_on_later()
            }
            (false, true) => {
                self.verdicts.forget_all();
                None
            }
            _ => None,
        }
    }

    /// Sets the timer at whose end what still waits is passed on again.
    fn pass_on_later(&mut self) -> Option<Action> {
        if self.verdicts.is_timed || self.pool.is_empty() {
            return None;
        }
        self.verdicts.is_timed = true;
        Some(Action::SetTimer(Timer(Wake::PassOn), PASS_ON))
    }

    /// What still waits is passed on again: it, or a verdict on it, may have been lost.
    pub(super) fn pass_on_again(&mut self) -> Vec<Action> {
        self.verdicts.is_timed = false;
        if self.is_voting() {
            return Vec::new();
        }
        match self.pass_on_later() {
            Some(timer) => vec![self.pass_on_part(), timer],
            None => Vec::new(),
        }
    }

    /// Passes on the next part of what waits, from the beginning once all have had their turn: where nobody tells of refusals, what is
    /// refused waits until it expires, and must not stand before the rest.
    fn pass_on_part(&mut self) -> Action {
        let part = self.pool.since(self.verdicts.next_part, RELAYED, RELAYED_BYTES);
        let is_end = part.0.is_empty();
        let (tickets, entries) =
            if is_end { self.pool.first(RELAYED, RELAYED_BYTES) } else { part };
        self.verdicts.passed_again(entries.iter().map(|entry| entry.id()));
        self.verdicts.next_part = tickets.last().map_or(0, |last| last.saturating_add(1));
        let bytes = entries.into_iter().map(|entry| entry.bytes().to_vec()).collect();
        Action::Broadcast(self.relay(bytes))
    }

    /// Once the fate of all that was passed on again is known, the next follow at once: of a flood that is refused, one message
    /// in five seconds would keep this node busy until it expires.
    fn pass_on_next(&mut self) -> Option<Action> {
        let more = self.verdicts.take_settled() && !self.pool.is_empty();
        more.then(|| self.pass_on_part())
    }

    /// A validator says that it refuses an entry.
    pub(super) fn hear_refusal(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        entry: EntryId,
        height: u64,
    ) -> Vec<Action> {
        let counts = self.engine.is_none() && ledger.validators().get(&from).is_some();
        if !counts || !self.pool.contains(&entry) {
            return Vec::new();
        }
        self.verdicts.hear(entry, from, height);
        let judged = self.judge_refused(ledger, entry);
        judged.into_iter().chain(self.pass_on_next()).collect()
    }

    /// Judges what validators refuse, at a new height.
    pub(super) fn conclude(&mut self, ledger: &Ledger) -> Vec<Action> {
        if self.engine.is_some() {
            return Vec::new();
        }
        let entries = self.verdicts.entries().into_iter();
        let judged: Vec<Action> =
            entries.filter_map(|entry| self.judge_refused(ledger, entry)).collect();
        judged.into_iter().chain(self.pass_on_next()).collect()
    }

    /// Judges an entry that enough validators refuse on the follower's own state. What the rules would take here is passed on
    /// again: the validators judged too early.
    fn judge_refused(&mut self, ledger: &Ledger, id: EntryId) -> Option<Action> {
        let by = self.verdicts.due(&id, ledger.validators(), next(ledger))?;
        let entry = self.pool.get(&id)?;
        let bytes = entry.bytes().to_vec();
        let refusal = self.refusal_of(ledger, entry);
        self.verdicts.forget(&id);
        Some(match refusal {
            Some(refusal) => self.conclude_refused(id, named(&refusal, &by)),
            None => Action::Broadcast(self.relay(vec![bytes])),
        })
    }

    /// No block can take any more what has expired at the last header's time.
    pub(super) fn drop_expired(&mut self, ledger: &Ledger) -> Vec<Action> {
        if self.engine.is_some() {
            return Vec::new();
        }
        let expired =
            |entry: &Entry| entry.claims().expires_s.saturating_mul(1000) <= ledger.time_ms();
        let mut actions = Vec::new();
        for id in self.pool.ids_where(expired) {
            let refusal = Refusal::new(Code::Expired, "while it waited for a block");
            actions.push(self.conclude_refused(id, refusal));
        }
        actions
    }

    fn conclude_refused(&mut self, id: EntryId, refusal: Refusal) -> Action {
        self.verdicts.settle(&id);
        self.pool.forget(&id);
        Action::Refused(id, refusal)
    }
}

/// Pieces in parts that fit into a message each; a piece that is longer than that is one alone.
pub(super) fn parts<T: AsRef<[u8]>>(pieces: &[T]) -> Vec<&[T]> {
    let (mut parts, mut rest) = (Vec::new(), pieces);
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = |piece: &&T| {
            bytes = bytes.saturating_add(piece.as_ref().len());
            bytes <= RELAYED_BYTES
        };
        let count = rest.iter().take(RELAYED).take_while(fits).count().max(1);
        let (first, others) = rest.split_at(count);
        parts.push(first);
        rest = others;
    }
    parts
}

/// A refusal that says who else refuses.
fn named(refusal: &Refusal, by: &[KeyId]) -> Refusal {
    let short = |id: &KeyId| id.to_string().chars().take(16).collect::<String>();
    let by: Vec<String> = by.iter().map(short).collect();
    let detail =
        format!("{}; so judge this node and the validators {}", refusal.detail, by.join(", "));
    Refusal::new(refusal.code, detail)
}

impl Message {
    /// That the sender refuses to put an entry into the block of a height.
    pub fn refused(height: u64, entry: &EntryId, code: &str) -> Self {
        Self(Content::Refused { height, entry: entry.0, code: code.to_owned() })
    }
}
