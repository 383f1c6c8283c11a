//! What a start makes of the records of an interrupted height: everything that was known and said before is so again.

use std::collections::BTreeSet;

use ledger_replay::Ledger;

use super::{Action, Phase, Replica, id_of, next, signing};
use crate::engine::Output;
use crate::log_record::LogInput;
use crate::planted::{self, Bug};
use crate::recovery::{Recovered, StartError};
use crate::said::{Said, SaidProposal};

impl Replica {
    /// Goes through an interrupted height again.
    pub(super) fn resume(
        &mut self,
        ledger: &Ledger,
        found: Recovered,
    ) -> Result<Vec<Action>, StartError> {
        let spoke = |input: &LogInput| match input {
            LogInput::Vote(vote) => vote.validator == self.id.0,
            LogInput::Proposal(proposal) => proposal.proposer == self.id.0,
            _ => false,
        };
        let dropped = planted::is(Bug::LeftoversDropped) && !found.inputs.iter().any(spoke);
        if found.inputs.is_empty() || dropped {
            return Ok(Vec::new());
        }
        for (candidate, entries) in found.candidates {
            self.keep_entries(entries);
            self.bodies.add(candidate);
        }
        // Whoever proposed a body that is here: without that, it would look like one of its own that it has not proposed yet.
        for input in &found.inputs {
            if let LogInput::Proposal(proposal) = input {
                self.bodies.propose(proposal);
            }
        }
        // The engine makes its votes anew while it goes through the log, and takes its proposals from there.
        let own = found.inputs.iter().filter_map(|input| match input {
            LogInput::Proposal(proposal) if proposal.proposer == self.id.0 => Some(proposal),
            _ => None,
        });
        let own: Vec<SaidProposal> = own.cloned().collect();
        let proposed: BTreeSet<u32> = own.iter().filter_map(|proposal| proposal.round).collect();
        let height = next(ledger);
        for proposal in own {
            self.remember(height, Said::Proposal(proposal));
        }
        let mut actions = Vec::new();
        for input in &found.inputs {
            let statement = match input {
                LogInput::Vote(vote) => vote.statement(height),
                LogInput::Proposal(proposal) => proposal.statement(height),
                _ => None,
            };
            let Some(statement) = statement else { continue };
            // Of whichever of its keys: the one that had the place may be another now.
            if self.keys.iter().any(|key| id_of(key) == statement.validator) {
                self.signed.add(&statement);
            } else {
                actions.extend(self.observe(ledger, statement, false));
            }
        }
        self.phase = Phase::Deciding;
        let Some(engine) = &mut self.engine else { return Ok(actions) };
        let outputs = engine.resume(height, signing(ledger), found.inputs)?;
        // The engine asks for a value before it is told again which one it had; it needs no second one.
        let again = |output: &Output| match output {
            Output::GetValue { round } => !proposed.contains(round),
            _ => true,
        };
        actions.extend(self.carry_out(ledger, outputs.into_iter().filter(again).collect())?);
        Ok(actions)
    }
}
