//! Which blocks others have that are missing here, whom to ask for them, and those that came. One request at a time, of one peer:
//! memory is bounded by one message.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ledger_format::digest::KeyId;

use crate::message::PresentedBlock;
use crate::planted::{self, Bug};
use crate::settings::Answer;

/// How often a peer that is behind is told of it, in milliseconds.
const REMIND_MS: u64 = 500;

/// A block that somebody gave away as decided.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) from: KeyId,
    pub(crate) block: Bytes,
    pub(crate) signature: Option<[u8; 64]>,
}

/// What a peer claims to have.
#[derive(Clone, Copy, Debug)]
struct Tip {
    height: u64,
    /// How many tips had been told before its first.
    arrival: u64,
}

/// An open request.
#[derive(Clone, Copy, Debug)]
struct Request {
    number: u64,
    peer: KeyId,
    /// The first block that was asked for.
    from: u64,
    /// What the peer claimed to have then.
    claimed: u64,
}

/// Tips of others, the open request, and blocks that wait to be executed.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    tips: BTreeMap<KeyId, Tip>,
    arrivals: u64,
    asked: Option<Request>,
    requests: u64,
    /// The height for which somebody will be asked in a moment.
    soon: Option<u64>,
    /// How often a peer did not answer, or answered with what may not follow. Who failed least is asked first, whatever others claim
    /// to have: several that lie must not keep those who do not from being asked.
    failures: BTreeMap<KeyId, u32>,
    /// Who was asked for which block since the last turn of a stranger.
    round: (u64, BTreeSet<KeyId>),
    blocks: VecDeque<Given>,
    /// When somebody who is behind was told last.
    reminded: BTreeMap<KeyId, u64>,
}

impl CatchUp {
    /// Notes that a peer has all blocks up to a height.
    pub(crate) fn note(&mut self, peer: KeyId, height: u64) {
        let arrival = self.arrivals;
        let tip = self.tips.entry(peer).or_insert_with(|| Tip { height: 0, arrival });
        tip.height = tip.height.max(height);
        self.arrivals = arrival.saturating_add(1);
    }

    /// A peer that was asked for a block says that it has no more than the ones below it: it has told, or was understood, otherwise before.
    pub(crate) fn correct(&mut self, peer: KeyId, height: u64, next: u64) {
        if height < next && self.is_asked(&peer) {
            self.tips.remove(&peer);
            self.asked = None;
            self.fail(peer);
        }
    }

    /// Forgets what a peer claimed to have: it gave something that is no block of this ledger.
    pub(crate) fn distrust(&mut self, peer: KeyId) {
        if planted::is(Bug::NeverDistrusts) {
            return;
        }
        self.tips.remove(&peer);
        self.blocks.retain(|given| given.from != peer);
        self.fail(peer);
    }

    fn fail(&mut self, peer: KeyId) {
        if planted::is(Bug::NeverDistrusts) {
            return;
        }
        let failures = self.failures.entry(peer).or_default();
        *failures = failures.saturating_add(1);
    }

    /// Forgets a peer that is gone: it has to tell again what it has, and nothing is kept of strangers.
    pub(crate) fn forget(&mut self, peer: &KeyId, is_stranger: bool) {
        self.tips.remove(peer);
        self.reminded.remove(peer);
        if is_stranger {
            self.failures.remove(peer);
        }
        if self.is_asked(peer) {
            self.asked = None;
        }
    }

    fn is_asked(&self, peer: &KeyId) -> bool {
        self.asked.is_some_and(|asked| asked.peer == *peer)
    }

    /// Notes that somebody is to be asked for a height in a moment; whether that is new.
    pub(crate) fn plan_to_ask(&mut self, next: u64) -> bool {
        self.soon.replace(next) != Some(next)
    }

    /// The moment has come.
    pub(crate) const fn forget_plan(&mut self) {
        self.soon = None;
    }

    /// The highest tip that any of these peers claims.
    pub(crate) fn highest(&self, among: impl Fn(&KeyId) -> bool) -> u64 {
        let tips = self.tips.iter().filter(|(peer, _)| among(peer));
        tips.map(|(_, tip)| tip.height).max().unwrap_or_default()
    }

    /// Whom to ask for `next` now, if anybody, and the number of the request: nobody while an answer may still come, or blocks wait.
    ///
    /// A stranger may be the only one that has the block, and there may be many that lie: one is asked each time that everybody else
    /// who claims to have it was asked in vain. Of strangers who have failed as seldom the one that came first is asked: whoever comes
    /// again and again as somebody else waits behind those who were there.
    pub(crate) fn ask(
        &mut self,
        next: u64,
        is_stranger: impl Fn(&KeyId) -> bool,
    ) -> Option<(u64, KeyId)> {
        if !self.blocks.is_empty()
            || self
                .asked
                .is_some_and(|asked| !self.is_better_known(next, &asked.peer, &is_stranger))
        {
            return None;
        }
        if self.round.0 != next {
            self.round = (next, BTreeSet::new());
        }
        let turn = |peer: &KeyId| !is_stranger(peer) && !self.round.1.contains(peer);
        let peer = self.preferred(next, turn, |tip| tip.height).or_else(|| {
            self.round.1.clear();
            let first = |tip: &Tip| Reverse(tip.arrival);
            let stranger = self.preferred(next, &is_stranger, first);
            stranger.or_else(|| self.preferred(next, |_| true, |tip| tip.height))
        })?;
        self.round.1.insert(peer);
        self.requests += 1;
        let claimed = self.tips.get(&peer).map_or(next, |tip| tip.height);
        self.asked = Some(Request { number: self.requests, peer, from: next, claimed });
        Some((self.requests, peer))
    }

    /// Whether somebody who has failed less than whoever is asked claims to have the block as well: one that claims what nobody has yet,
    /// and does not answer, would else hold up each block until it is given up. Of strangers, only one that was there before.
    fn is_better_known(
        &self,
        next: u64,
        asked: &KeyId,
        is_stranger: impl Fn(&KeyId) -> bool,
    ) -> bool {
        let failures = |peer: &KeyId| self.failures.get(peer).copied().unwrap_or_default();
        let arrival = |peer: &KeyId| self.tips.get(peer).map(|tip| tip.arrival);
        let was_there = |peer: &KeyId| {
            is_stranger(asked) && arrival(peer).is_some_and(|at| Some(at) < arrival(asked))
        };
        let better = |peer: &KeyId| {
            failures(peer) < failures(asked) && (!is_stranger(peer) || was_there(peer))
        };
        self.preferred(next, better, |tip| tip.height).is_some()
    }

    /// Who has failed least of these peers that claim to have a block, and of those the one with the greatest merit.
    fn preferred<M: Ord>(
        &self,
        block: u64,
        among: impl Fn(&KeyId) -> bool,
        merit: impl Fn(&Tip) -> M,
    ) -> Option<KeyId> {
        let having = self.tips.iter().filter(|(peer, tip)| tip.height >= block && among(peer));
        let failures = |peer: &KeyId| self.failures.get(peer).copied().unwrap_or_default();
        let preferred = having.max_by_key(|(peer, tip)| (Reverse(failures(peer)), merit(tip)));
        preferred.map(|(peer, _)| *peer)
    }

    /// A request was not answered in time: another peer is asked if there is one.
    pub(crate) fn give_up(&mut self, request: u64) {
        let asked = self.asked.filter(|_| !planted::is(Bug::NeverGivesUp));
        if let Some(asked) = asked.filter(|asked| asked.number == request) {
            self.fail(asked.peer);
            self.asked = None;
        }
    }

    /// A peer's answer brought nothing new.
    pub(crate) fn disappoint(&mut self, peer: KeyId) {
        self.fail(peer);
    }

    /// Takes blocks that were asked for, and says so. Others are dropped. Whoever keeps back what it claims to have is asked after the
    /// others next time: else one that gives a single block just before it is given up would hold whoever is behind to that pace.
    pub(crate) fn take(&mut self, from: KeyId, blocks: Vec<PresentedBlock>, whole: Answer) -> bool {
        let Some(asked) = self.asked.take_if(|asked| asked.peer == from) else { return false };
        let given = u64::try_from(blocks.len()).unwrap_or(u64::MAX);
        let bytes: usize = blocks.iter().map(|given| given.block.len()).sum();
        let is_whole = blocks.len() >= whole.blocks || bytes >= whole.bytes;
        if !is_whole && asked.from.saturating_add(given) <= asked.claimed {
            self.fail(from);
        }
        self.blocks.extend(blocks.into_iter().map(|PresentedBlock { block, signature }| Given {
            from,
            block: block.into(),
            signature,
        }));
        true
    }

    /// The next block to execute.
    pub(crate) fn next(&mut self) -> Option<Given> {
        self.blocks.pop_front()
    }

    /// Whether a peer that is behind may be told of it again.
    pub(crate) fn may_remind(&mut self, peer: KeyId, now_ms: u64) -> bool {
        let due = self.reminded.get(&peer).is_none_or(|last| now_ms.abs_diff(*last) >= REMIND_MS);
        if due {
            self.reminded.insert(peer, now_ms);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn peer(name: u8) -> KeyId {
        KeyId([name; 32])
    }

    /// Peers from 100 on are strangers.
    fn is_stranger(peer: &KeyId) -> bool {
        peer.0[0] >= 100
    }

    /// All claim to have a block; none ever gives it.
    fn claimed_by(peers: &[u8]) -> CatchUp {
        let mut catch_up = CatchUp::default();
        for name in peers {
            catch_up.note(peer(*name), 9);
        }
        catch_up
    }

    fn asked_in_vain(catch_up: &mut CatchUp, block: u64) -> u8 {
        let (request, asked) =
            catch_up.ask(block, is_stranger).expect("somebody claims to have it");
        catch_up.give_up(request);
        asked.0[0]
    }

    #[test]
    fn a_stranger_is_asked_when_all_others_were_in_vain() {
        let mut catch_up = claimed_by(&[100, 2, 1, 101]);
        let asked: Vec<u8> = (0..9).map(|_| asked_in_vain(&mut catch_up, 5)).collect();
        assert_eq!(asked, [2, 1, 100, 2, 1, 101, 2, 1, 100]);
        // Each block is asked of those first that are no strangers.
        asked_in_vain(&mut catch_up, 5);
        let asked: Vec<u8> = (0..3).map(|_| asked_in_vain(&mut catch_up, 6)).collect();
        assert_eq!(
            (asked[2], is_stranger(&peer(asked[0])), asked[0] == asked[1]),
            (101, false, false)
        );
    }

    #[test]
    fn strangers_that_come_as_somebody_else_each_time_take_no_turn_of_the_others() {
        let mut catch_up = claimed_by(&[1, 2]);
        let asked: Vec<u8> = (100..109)
            .map(|name| {
                catch_up.note(peer(name), u64::MAX);
                let asked = asked_in_vain(&mut catch_up, 5);
                catch_up.forget(&peer(name), true);
                asked
            })
            .collect();
        let known: Vec<u8> = asked.iter().copied().filter(|asked| *asked < 100).collect();
        assert_eq!(known, [2, 1, 2, 1, 2, 1], "{asked:?}");
    }

    /// As for a node whose set is out of date: even those who give blocks are strangers.
    #[test]
    fn strangers_that_come_as_somebody_else_each_time_wait_behind_one_that_was_there() {
        let mut catch_up = claimed_by(&[100]);
        for (block, name) in (5..).zip(101..109) {
            catch_up.note(peer(name), u64::MAX);
            catch_up.note(peer(100), 100);
            let (_, asked) = catch_up.ask(block, is_stranger).unwrap();
            assert_eq!(asked, peer(100));
            let block = PresentedBlock { block: vec![0; 9], signature: None };
            assert!(catch_up.take(asked, vec![block], Answer { blocks: 1, bytes: 99 }));
            catch_up.blocks.clear();
        }
    }

    /// Who claims what nobody has yet is asked for it as soon as all else is here.
    #[test]
    fn whoever_was_asked_in_vain_holds_up_nobody_who_has_the_block() {
        for (liar, honest) in [(1, 2), (101, 2), (101, 100)] {
            let mut catch_up = claimed_by(&[honest, liar]);
            catch_up.note(peer(liar), u64::MAX);
            catch_up.fail(peer(liar));
            let (request, asked) = catch_up.ask(10, is_stranger).unwrap();
            assert_eq!(asked, peer(liar));
            assert!(catch_up.ask(10, is_stranger).is_none(), "nobody else has it");
            catch_up.note(peer(honest), 10);
            let (_, asked) = catch_up.ask(10, is_stranger).unwrap();
            assert_eq!(asked, peer(honest));
            // What comes late of the first request is nothing.
            catch_up.give_up(request);
            assert!(!catch_up.take(peer(liar), Vec::new(), Answer { blocks: 1, bytes: 1 }));
            assert!(catch_up.is_asked(&peer(honest)));
            assert!(catch_up.ask(10, is_stranger).is_none());
        }
    }

    #[test]
    fn a_stranger_that_has_not_failed_yet_takes_no_request_from_others() {
        for asked in [2, 100] {
            let mut catch_up = claimed_by(&[asked]);
            catch_up.fail(peer(asked));
            assert_eq!(catch_up.ask(5, is_stranger).unwrap().1, peer(asked));
            catch_up.note(peer(102), u64::MAX);
            assert!(catch_up.ask(5, is_stranger).is_none());
        }
    }

    #[test]
    fn who_keeps_blocks_back_is_asked_after_others() {
        let mut catch_up = claimed_by(&[1]);
        catch_up.note(peer(2), u64::MAX);
        let mut given = |by: u8, first: u64, blocks: usize, most: usize| {
            let (_, asked) = catch_up.ask(first, is_stranger).unwrap();
            let block = || PresentedBlock { block: vec![0; 100], signature: None };
            let blocks = std::iter::repeat_with(block).take(blocks).collect();
            assert_eq!(asked, peer(by));
            assert!(catch_up.take(asked, blocks, Answer { blocks: most, bytes: 1_000 }));
            catch_up.blocks.clear();
        };
        // It claims most, and its answers are whole by number, and by bytes.
        given(2, 5, 3, 3);
        given(2, 6, 10, 99);
        given(2, 7, 2, 3);
        // All that it claims to have is whole too.
        given(1, 8, 2, 99);
        given(1, 9, 1, 99);
    }

    #[test]
    fn who_says_that_it_has_no_more_is_not_asked_for_more() {
        let mut catch_up = claimed_by(&[1]);
        catch_up.correct(peer(1), 4, 5);
        let (request, _) = catch_up.ask(5, is_stranger).unwrap();
        catch_up.correct(peer(2), 4, 5);
        catch_up.correct(peer(1), 5, 5);
        catch_up.give_up(request);
        catch_up.ask(5, is_stranger).unwrap();
        catch_up.correct(peer(1), 4, 5);
        assert_eq!(catch_up.ask(5, is_stranger), None);
    }

    #[test]
    fn with_nobody_but_strangers_each_of_them_is_asked() {
        let mut catch_up = claimed_by(&[100, 101]);
        let asked: BTreeSet<u8> = (0..2).map(|_| asked_in_vain(&mut catch_up, 5)).collect();
        assert_eq!(asked, BTreeSet::from([100, 101]));
        assert_eq!(catch_up.highest(|_| true), 9);
        assert_eq!(catch_up.highest(|peer| !is_stranger(peer)), 0);
    }
}
