//! What the node's keys have said before this process: how a node that has forgotten it comes back, and how one notices that a key of
//! its own is used elsewhere (docs/adr/0025).

use ed25519_dalek::SigningKey;
use ledger_format::digest::KeyId;
use ledger_format::header::Header;
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;
use ledger_replay::Ledger;

use super::{Action, Replica, id_of, log, next, placed};
use crate::engine::EngineStopped;
use crate::log_record::LogRecord;
use crate::message::{Content, Message, Statement, StatementKind};
use crate::planted::{self, Bug};
use crate::recall::{Recovering, is_signed_by};
use crate::said::Said;
use crate::settings::Settings;

impl Replica {
    /// A node that has lost its memory of what its vote keys said, whether they are in the set or not. It follows until a quorum has
    /// reported and no height is left at which they may have voted; then it asks for [`Action::Recovered`], and they vote. `alone`:
    /// the others cannot go on without it, and its operator vouches that nobody else has the keys; then it waits until it has all
    /// blocks of a quorum, itself counted.
    pub fn recover(
        ledger: &Ledger,
        keys: Vec<SigningKey>,
        settings: Settings,
        alone: bool,
    ) -> Self {
        let id = keys.first().map(id_of).unwrap_or_default();
        let recovering = Some(Recovering::new(ledger, keys, alone));
        Self { recovering, ..Self::new(id, Vec::new(), settings) }
    }

    /// Whether a node that has lost its memory can come back while the others go on: if they are no quorum, nobody can tell it what it
    /// has said, and the ledger waits for it.
    pub fn can_recover(ledger: &Ledger, own: &[KeyId]) -> bool {
        let sets = [ledger.validators(), ledger.next_validators()];
        let others = |set: &Validators| set.total_power().saturating_sub(set.power_of(own));
        sets.into_iter().all(|set| set.is_quorum(others(set)))
    }

    /// Whether a node decides by itself: what it has not logged, nobody has.
    pub fn is_sole(ledger: &Ledger, own: &[KeyId]) -> bool {
        let validators = ledger.validators();
        validators.is_quorum(validators.power_of(own))
    }

    /// At a new height: whether memory is whole again, and which key votes. Who begins to vote tells the others what it knows, for
    /// those who wait for it.
    pub(super) fn look_back(&mut self, ledger: &Ledger) -> Vec<Action> {
        if let Some(recovering) = &mut self.recovering {
            recovering.advance(ledger);
        }
        let mut actions = self.take_up(ledger);
        if let Some(recovering) = &self.recovering {
            // What is lost on the way would be told again with the next connection, and that may last.
            let missing = self.present.iter().filter(|peer| recovering.lacks(peer));
            let ask = |peer: &KeyId| Action::Send(*peer, Message(Content::WantReport));
            actions.extend(missing.map(ask));
        }
        actions
    }

    /// Takes the keys up if they may vote, and the place that one of them has.
    fn take_up(&mut self, ledger: &Ledger) -> Vec<Action> {
        let was_voting = self.is_voting();
        let mut actions = self.remember_again(ledger);
        if !planted::is(Bug::PlaceKept) {
            self.take_place(ledger);
        }
        actions.extend(self.change_sides(was_voting));
        if self.is_voting() && !was_voting {
            let present: Vec<KeyId> = self.present.iter().copied().collect();
            actions.extend(present.into_iter().filter_map(|peer| self.report(ledger, peer)));
        }
        actions
    }

    /// Takes the keys up again once nothing is left that they may have said and this node has forgotten. The height that begins now
    /// is their first.
    fn remember_again(&mut self, ledger: &Ledger) -> Vec<Action> {
        let over = self.recovering.take_if(|recovering| recovering.is_over(ledger));
        let Some(recovered) = over else { return Vec::new() };
        self.vouched = recovered.vouched(ledger);
        self.keys = recovered.into_keys();
        let mut actions = Vec::new();
        if self.vouched > 0 && !planted::is(Bug::WordNotLogged) {
            // The next process votes without asking the operator again.
            actions.push(log(&LogRecord::Vouched { height: self.vouched }));
            actions.push(Action::FlushLog);
        }
        actions.push(Action::Recovered);
        actions
    }

    /// What is left of a log that is emptied once a height is durable elsewhere: that it is, and the operator's word while it reaches
    /// further.
    pub fn marks(&self, done: u64) -> Vec<Vec<u8>> {
        let word = (self.vouched > done).then_some(LogRecord::Vouched { height: self.vouched });
        let word = word.map(|word| word.encode());
        std::iter::once(super::done(done)).chain(word).collect()
    }

    /// What this node can tell another of what its key has said. Only who votes tells: who has forgotten something itself might have
    /// had more blocks than it has.
    pub(super) fn report(&self, ledger: &Ledger, peer: KeyId) -> Option<Action> {
        let heard = self.overheard.last(&peer);
        let report = Message(Content::Report { height: ledger.height(), heard });
        self.is_voting().then_some(Action::Send(peer, report))
    }

    /// Another node tells its height, and what it has heard this one's key say.
    pub(super) fn reported(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        tip: u64,
        heard: Option<(u64, Said)>,
    ) -> Result<Vec<Action>, EngineStopped> {
        let Some(recovering) = self.recovering.as_mut() else { return Ok(Vec::new()) };
        let genesis = ledger.genesis().id();
        let heard = heard.filter(|(height, said)| {
            let statements = said.statements(*height, 1);
            statements.iter().any(|said| is_signed_by(recovering.keys(), &genesis, said))
        });
        recovering.report(from, tip, heard.map_or(0, |(height, _)| height));
        self.take_up_at_once(ledger)
    }

    /// Takes the keys up within a height: what waits for a validator does not wait for the next block.
    fn take_up_at_once(&mut self, ledger: &Ledger) -> Result<Vec<Action>, EngineStopped> {
        let was_voting = self.is_voting();
        let mut actions = self.take_up(ledger);
        if self.is_voting() && !was_voting {
            actions.extend(self.go_on(ledger)?);
        }
        Ok(actions)
    }

    /// Whoever recovers alone counts every node's height: others may have lost their memory as well.
    pub(super) fn told_tip(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        tip: u64,
    ) -> Result<Vec<Action>, EngineStopped> {
        let Some(recovering) = self.recovering.as_mut().filter(|r| r.is_alone()) else {
            return Ok(Vec::new());
        };
        recovering.report(from, tip, 0);
        self.take_up_at_once(ledger)
    }

    /// Remembers the latest that a validator has said itself.
    pub(super) fn overhear(&mut self, ledger: &Ledger, from: KeyId, content: &Content) {
        if let Content::Said { height, said } = content
            && placed(ledger, &from).is_some()
        {
            self.overheard.note(from, *height, said);
        }
    }

    /// Forgets what those said who have no say any more.
    pub(super) fn forget_former(&mut self, ledger: &Ledger) {
        self.overheard.keep_only(|from| placed(ledger, from).is_some());
    }

    /// If a message shows that one of this node's keys has signed what this node did not: what that proves, and the end of the process.
    pub(super) fn meet_twin(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        content: &Content,
    ) -> Option<Vec<Action>> {
        let statements = content.statements(ledger.validators().members().len());
        let foreign = statements.into_iter().find(|said| self.is_anothers(ledger, said))?;
        Some(self.meet(ledger, from, foreign))
    }

    /// What such a statement proves, and the end of the process.
    pub(super) fn meet(&mut self, ledger: &Ledger, from: KeyId, foreign: Statement) -> Vec<Action> {
        let height = foreign.height;
        let mut actions = self.observe(ledger, foreign, false);
        actions.push(Action::Twin { peer: from, height });
        actions
    }

    /// What one of this node's keys has signed in a block that does not follow the last one here: it has taken part in another history,
    /// whatever an operator vouched for. A header says what it follows, and its hash is what was signed.
    pub(super) fn own_in(
        &self,
        ledger: &Ledger,
        header: &Header,
        certificate: &Certificate,
    ) -> Option<Statement> {
        let Certificate { height, block, .. } = certificate;
        let is_own = |said: &Statement| is_signed_by(&self.keys, &ledger.genesis().id(), said);
        let last = ledger.header().map_or(ledger.genesis().id().0, |last| last.hash().0);
        let is_its = header.hash() == *block && header.height == *height;
        let is_other = *height == next(ledger) && header.previous != last;
        precommits(certificate).into_iter().filter(|_| is_its && is_other).find(is_own)
    }

    /// What the certificate of the next block, which is good, shows: that another process signs with a key of this node, or that a
    /// validator has said two things. Who decides alone has nobody to be held against, and may have lost its log.
    pub(super) fn read_certificate(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        certificate: &Certificate,
    ) -> Vec<Action> {
        let said = precommits(certificate);
        let own: Vec<KeyId> = self.keys.iter().map(id_of).collect();
        let foreign = said.iter().find(|said| self.is_anothers(ledger, said));
        if let Some(foreign) = foreign.filter(|_| !Self::is_sole(ledger, &own)) {
            return self.meet(ledger, from, *foreign);
        }
        // As from their own hands: their signatures are checked.
        said.into_iter().flat_map(|said| self.observe(ledger, said, true)).collect()
    }

    /// Whether a statement is signed with a key of this node, and not by this process or the log that it goes on from. At heights that
    /// are decided it binds nobody any more.
    fn is_anothers(&self, ledger: &Ledger, said: &Statement) -> bool {
        let height = ledger.height().max(self.vouched);
        let is_own = || said.height == next(ledger) && self.signed.knows(said);
        said.height > height && !is_own() && is_signed_by(&self.keys, &ledger.genesis().id(), said)
    }
}

/// The precommits that a certificate consists of.
fn precommits(certificate: &Certificate) -> Vec<Statement> {
    let Certificate { height, round, block, signatures } = certificate;
    let statement = |(validator, signature): &(KeyId, [u8; 64])| Statement {
        height: *height,
        round: *round,
        kind: StatementKind::Precommit,
        block: Some(*block),
        validator: *validator,
        signature: *signature,
    };
    signatures.iter().map(statement).collect()
}
