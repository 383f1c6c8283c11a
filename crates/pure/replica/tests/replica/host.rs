//! A host in memory: it carries out actions in order, and can die before any of them.

use std::collections::VecDeque;

use ledger_format::block::Block;
use ledger_format::digest::EntryId;
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_replay::{Ledger, Replay};
use ledger_replica::{Action, Event, Replica, Settings, StartError, Timer, Turned};
use ledger_rules::Code;
use ledger_story::validator_key;

/// What outlives the process.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) genesis: GenesisDocument,
    /// Blocks whose commit was acknowledged or at least durable.
    pub(crate) blocks: Vec<Block>,
    /// Records of the consensus log in order.
    pub(crate) log: Vec<Vec<u8>>,
    /// How many of them are durable.
    pub(crate) synced: usize,
}

/// The process has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Died;

/// A running validator.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) disk: Disk,
    pub(crate) ledger: Ledger,
    pub(crate) replica: Replica,
    pub(crate) now_ms: u64,
    /// Whether a call with [`Event::Gathered`] was asked for.
    pub(crate) gathering: bool,
    /// Timers that are set.
    pub(crate) timers: Vec<Timer>,
    pub(crate) refused: Vec<(EntryId, Code)>,
    pub(crate) turned: Vec<(EntryId, Turned)>,
    /// Names of the actions carried out.
    pub(crate) done: Vec<&'static str>,
    /// Actions until it dies; a commit counts for three.
    pub(crate) left: usize,
}

impl Disk {
    pub(crate) fn new(genesis: GenesisDocument) -> Self {
        Self { genesis, blocks: Vec::new(), log: Vec::new(), synced: 0 }
    }

    /// The ledger that the blocks give. Signatures of entries are left to [`Disk::verified`].
    pub(crate) fn ledger(&self) -> Ledger {
        self.replayed().into_ledger()
    }

    /// The same, and everything is verified.
    pub(crate) fn verified(&self) -> Ledger {
        let mut replay = self.replayed();
        replay.finish().unwrap();
        replay.into_ledger()
    }

    fn replayed(&self) -> Replay {
        let mut replay = Replay::new(self.genesis.clone()).unwrap();
        for block in &self.blocks {
            replay.push(block, |_| ()).unwrap();
        }
        replay
    }

    /// What is found after a crash: the durable records, and perhaps some that were written and not yet synced.
    pub(crate) fn after_crash(&self, unsynced: usize) -> Self {
        let log = self.log[..self.synced + unsynced].to_vec();
        Self { synced: log.len(), log, ..self.clone() }
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.log.len() - self.synced
    }
}

impl Host {
    /// Starts a process that lives for ever.
    pub(crate) fn start(disk: Disk, settings: Settings) -> Result<Self, StartError> {
        let (host, died) = Self::start_until(disk, settings, usize::MAX)?;
        died.unwrap();
        Ok(host)
    }

    /// Starts a process that dies after some actions, perhaps while it starts.
    pub(crate) fn start_until(
        disk: Disk,
        settings: Settings,
        left: usize,
    ) -> Result<(Self, Result<(), Died>), StartError> {
        let ledger = disk.ledger();
        let keys = vec![validator_key("vote")];
        let (replica, first) = Replica::start(&ledger, keys, settings, &disk.log)?;
        let mut host = Self {
            disk,
            now_ms: ledger.time_ms() + 1_000,
            ledger,
            replica,
            gathering: false,
            timers: Vec::new(),
            refused: Vec::new(),
            turned: Vec::new(),
            done: Vec::new(),
            left,
        };
        let died = host.carry_out(first);
        Ok((host, died))
    }

    /// One step of the replica, and nothing carried out.
    pub(crate) fn step(&mut self, event: Event) -> Vec<Action> {
        self.replica.step(&self.ledger, self.now_ms, event).unwrap()
    }

    /// One step, carried out.
    pub(crate) fn tell(&mut self, event: Event) -> Result<(), Died> {
        let actions = self.step(event);
        self.carry_out(actions)
    }

    pub(crate) fn submit(&mut self, entry: &Entry) -> Result<(), Died> {
        self.tell(Event::Submitted(Box::new(entry.clone())))
    }

    pub(crate) fn submit_all(&mut self, entries: &[Entry]) -> Result<(), Died> {
        entries.iter().try_for_each(|entry| self.submit(entry))
    }

    /// Lets the gathering time pass, if it runs.
    pub(crate) fn gathered(&mut self) -> Result<(), Died> {
        if std::mem::take(&mut self.gathering) { self.tell(Event::Gathered) } else { Ok(()) }
    }

    /// Entries of a block.
    pub(crate) fn entries(&self, height: usize) -> Vec<EntryId> {
        let bytes = self.disk.blocks[height - 1].body.entries.iter();
        bytes.map(|bytes| Entry::decode(bytes.clone()).unwrap().id()).collect()
    }

    fn live(&mut self) -> Result<(), Died> {
        self.left = self.left.checked_sub(1).ok_or(Died)?;
        Ok(())
    }

    pub(crate) fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), Died> {
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            self.live()?;
            self.done.push(name(&action));
            match action {
                Action::Log(record) => self.disk.log.push(record),
                Action::FlushLog => self.disk.synced = self.disk.log.len(),
                Action::Gather(_) => self.gathering = true,
                Action::SetTimer(timer, _) => self.timers.push(timer),
                Action::CancelTimer(timer) => self.timers.retain(|set| *set != timer),
                Action::CancelTimers => self.timers.clear(),
                Action::Refused(id, refusal) => self.refused.push((id, refusal.code)),
                Action::Turned(id, turned) => self.turned.push((id, turned)),
                // Nobody is connected.
                Action::Broadcast(_) => {}
                Action::Send(..)
                | Action::PassOn(_)
                | Action::SendBlocks { .. }
                | Action::Suspect { .. }
                | Action::Apart { .. }
                | Action::Recovered
                | Action::Twin { .. }
                | Action::Accuse { .. } => panic!("nobody said anything"),
                Action::Commit(decided) => {
                    self.disk.blocks.push(decided.block);
                    // It can die once the block is durable, before and after the ledger took it.
                    self.live()?;
                    self.ledger.commit(decided.executed).unwrap();
                    self.live()?;
                    queue.extend(self.step(Event::Committed));
                }
            }
        }
        Ok(())
    }
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Log(_) => "log",
        Action::FlushLog => "flush",
        Action::Gather(_) => "gather",
        Action::SetTimer(..) => "set",
        Action::CancelTimer(_) => "cancel",
        Action::CancelTimers => "cancel all",
        Action::Commit(_) => "commit",
        Action::Refused(..) => "refused",
        Action::Turned(..) => "turned",
        Action::PassOn(_) => "pass on",
        Action::Broadcast(_) => "broadcast",
        Action::Send(..) => "send",
        Action::SendBlocks { .. } => "send blocks",
        Action::Suspect { .. } => "suspect",
        Action::Apart { .. } => "apart",
        Action::Accuse { .. } => "accuse",
        Action::Recovered => "recovered",
        Action::Twin { .. } => "twin",
    }
}
