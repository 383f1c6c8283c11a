//! Who lied: contradictions that are noticed or told, kept, and told to the others once.

use bytes::Bytes;
use ledger_format::digest::KeyId;
use ledger_format::evidence::Evidence;
use ledger_format::validators::Member;
use ledger_replay::Ledger;
use ledger_verify::block::proposer;
use ledger_verify::evidence::Culprit;
use ledger_verify::finding::{Code, Place, Refuted};
use ledger_verify::verdict::Verdict;

use super::deciding::is_proposed;
use super::passing::parts;
use super::{Action, Replica, next};
use crate::message::{Content, Message, Statement};
use crate::planted::{self, Bug};
use crate::said::Said;
use crate::witness::pair;

/// Evidence of one node that is put off at most, the newest; and of one message, the first: of more that cannot be judged no more is
/// looked at, since anybody may send it.
const PUT_OFF: usize = 8;
/// Nodes whose evidence is put off at most.
const TELLERS: usize = 256;

impl Replica {
    /// Takes back evidence that was kept before the node was started. What does not prove is left out; how much was taken.
    pub fn recall(&mut self, ledger: &Ledger, evidence: &[Evidence]) -> usize {
        let mut keep = |evidence: &Evidence| {
            let judged = ledger.judge(evidence);
            judged.is_ok_and(|culprits| self.witness.keep(evidence, &culprits))
        };
        evidence.iter().filter(|evidence| keep(evidence)).count()
    }

    /// Notices what a message about a height gives away.
    pub(super) fn notice(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        content: &Content,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        for statement in content.statements(ledger.validators().members().len()) {
            let first_hand = statement.validator == from;
            actions.extend(self.observe(ledger, statement, first_hand));
            // Of a proposer that shows different blocks to different nodes, each has half of the proof.
            if first_hand && let Some(other) = self.other_proposal(ledger, &statement) {
                actions.push(Action::Send(from, other));
            }
        }
        actions
    }

    /// The proposal of a vote's round, if it is for another block, as a message.
    fn other_proposal(&self, ledger: &Ledger, vote: &Statement) -> Option<Message> {
        let proposer = proposer(ledger.validators(), vote.height, vote.round);
        let message = Message::stating(self.witness.other_proposal(vote, &proposer)?)?;
        match &message.0 {
            Content::Said { height, said: Said::Proposal(proposal) }
                if is_proposed(ledger, *height, proposal) =>
            {
                Some(message)
            }
            _ => None,
        }
    }

    /// Notices what this validator says itself: another process may sign with its key.
    pub(super) fn observe(
        &mut self,
        ledger: &Ledger,
        statement: Statement,
        first_hand: bool,
    ) -> Vec<Action> {
        let (id, validators) = (ledger.genesis().id(), ledger.validators());
        let evidence = self.witness.hear(&id, validators, next(ledger), statement, first_hand);
        evidence.into_iter().flat_map(|evidence| self.accuse(ledger, evidence)).collect()
    }

    /// Pairs that the engine has found, some perhaps in the log of an interrupted height.
    pub(super) fn found(&mut self, ledger: &Ledger, pairs: &[[Statement; 2]]) -> Vec<Action> {
        let id = ledger.genesis().id();
        let evidence = pairs.iter().filter_map(|[first, second]| pair(&id, first, second));
        evidence.flat_map(|evidence| self.accuse(ledger, evidence)).collect()
    }

    /// Evidence that another node has: kept and passed on if it is new and proves; suspicious if it speaks against nobody.
    pub(super) fn told(
        &mut self,
        ledger: &Ledger,
        from: KeyId,
        evidence: Vec<Vec<u8>>,
    ) -> Vec<Action> {
        let (mut actions, mut undetermined) = (Vec::new(), 0);
        for bytes in evidence {
            let evidence = match Evidence::decode(Bytes::from(bytes)) {
                Ok(evidence) => evidence,
                Err(malformed) => {
                    let why = nothing(next(ledger), Verdict::Malformed(malformed));
                    actions.push(Action::suspect(from, next(ledger), why));
                    break;
                }
            };
            let height = evidence.height;
            let accused = evidence.accused();
            let known = accused.iter().filter(|key| self.witness.is_enough(key, height)).count();
            if known > 0 && known == accused.len() {
                continue;
            }
            match judge(ledger, &evidence) {
                Ok(_) => actions.extend(self.accuse(ledger, evidence)),
                Err(Verdict::NotDetermined(_)) => {
                    self.put_off(from, evidence);
                    undetermined += 1;
                    if undetermined == PUT_OFF {
                        break;
                    }
                }
                Err(verdict) => {
                    actions.push(Action::suspect(from, height, nothing(height, verdict)));
                    break;
                }
            }
        }
        actions
    }

    /// Keeps evidence that only a set tells which this node has not, for when it has it: others tell it once.
    fn put_off(&mut self, from: KeyId, evidence: Evidence) {
        if self.put_off.len() >= TELLERS && !self.put_off.contains_key(&from) {
            return;
        }
        let told = self.put_off.entry(from).or_default();
        if told.contains(&evidence) {
            return;
        }
        if told.len() == PUT_OFF {
            told.pop_front();
        }
        told.push_back(evidence);
    }

    /// Judges again, with a new block, what was put off.
    pub(super) fn judge_again(&mut self, ledger: &Ledger) -> Vec<Action> {
        let mut actions = Vec::new();
        for (from, all) in std::mem::take(&mut self.put_off) {
            for evidence in all {
                match ledger.judge(&evidence) {
                    Ok(_) => actions.extend(self.accuse(ledger, evidence)),
                    Err(Verdict::NotDetermined(_)) => self.put_off(from, evidence),
                    Err(_) => {}
                }
            }
        }
        actions
    }

    /// Keeps what the block that was just committed records, as if somebody had told it.
    pub(super) fn keep_recorded(&mut self, ledger: &Ledger) -> Vec<Action> {
        let recorded = std::mem::take(&mut self.recorded).into_iter();
        recorded.flat_map(|evidence| self.accuse(ledger, evidence)).collect()
    }

    /// Keeps evidence if it proves and is new, and tells everybody.
    pub(super) fn accuse(&mut self, ledger: &Ledger, evidence: Evidence) -> Vec<Action> {
        let Ok(culprits) = judge(ledger, &evidence) else {
            return Vec::new();
        };
        if !self.witness.keep(&evidence, &culprits) {
            return Vec::new();
        }
        let mut evidence = evidence;
        if planted::is(Bug::EvidenceMisdated) {
            evidence.height = evidence.height.saturating_add(1);
        }
        let message = Message::evidence(vec![evidence.encode()]);
        let mut actions = vec![Action::Accuse { evidence: Box::new(evidence), culprits }];
        if !planted::is(Bug::EvidenceUntold) {
            actions.push(Action::Broadcast(message));
        }
        actions
    }

    /// All evidence, for a node that has just connected.
    pub(super) fn all_evidence(&self) -> Vec<Message> {
        if planted::is(Bug::EvidenceUntold) {
            return Vec::new();
        }
        in_messages(&self.witness.evidence().map(Evidence::encode).collect::<Vec<_>>())
    }
}

/// Evidence in messages that everybody takes: pieces have certificates in them, and one that is too long for a frame would be lost with
/// all others, at each connection anew.
fn in_messages(evidence: &[Vec<u8>]) -> Vec<Message> {
    parts(evidence).into_iter().map(|part| Message::evidence(part.to_vec())).collect()
}

/// Whom evidence proves guilty.
fn judge(ledger: &Ledger, evidence: &Evidence) -> Result<Vec<Culprit>, Verdict> {
    let judged = ledger.judge(evidence);
    if judged.is_ok() || !planted::is(Bug::EvidenceUnjudged) {
        return judged;
    }
    let culprit = |key: KeyId| {
        let Member { name, party, .. } = ledger.validators().get(&key)?.clone();
        Some(Culprit { key, name, party })
    };
    Ok(evidence.accused().into_iter().filter_map(culprit).collect())
}

/// Why evidence proves nothing.
fn nothing(height: u64, verdict: Verdict) -> Refuted {
    let why = match verdict {
        Verdict::Refuted(refuted) => return refuted,
        Verdict::Malformed(malformed) => malformed.to_string(),
        Verdict::NotDetermined(why) | Verdict::TrustNotMet(why) => why,
        Verdict::Proven => "it names nobody".to_owned(),
    };
    Refuted::new(Code::NoConflict, Place::block(height), why)
}

#[cfg(test)]
mod tests {
    use super::super::proposing::RELAYED_BYTES;
    use super::*;

    #[test]
    fn much_evidence_is_told_whole_in_several_messages() {
        assert!(in_messages(&[]).is_empty());
        let pieces: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 100_000]).collect();
        let messages = in_messages(&pieces);
        assert!(messages.len() > 1);
        let mut told = Vec::new();
        for message in messages {
            // Beside the pieces there are their lengths.
            assert!(message.encode().len() <= RELAYED_BYTES + 1_024);
            let Content::Evidence { evidence } = message.0 else { panic!("no evidence") };
            told.extend(evidence);
        }
        assert_eq!(told, pieces);
    }
}
