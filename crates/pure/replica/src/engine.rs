//! The engine's core under our driver: inputs in, outputs out, no IO. What the engine asks for while it runs is answered here;
//! what must happen outside is returned in order.
//!
//! **Invariant:** outputs are carried out in order. A flush comes before everything that lets others, or a restart, rely on what
//! was logged; an error while logging must stop the process (the engine itself would go on).

use std::time::Duration;

use consensus::{
    ConsensusMsg, Effect, Input, LocallyProposedValue, MAX_FUTURE_ROUND_LOOKAHEAD,
    MisbehaviorEvidence, Params, ProposedValue, Resumable as _, Resume, State, ValuePayload,
    VoteExtensionError,
};
use consensus_types::{
    CertificateError, LinearTimeouts, Round, SignedMessage, SignedProposal, SignedVote, Timeout,
    Validity, ValueOrigin, VoteExtensionPolicy,
};
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;

use crate::certificates::{check_commit, check_polka, check_round, decided};
use crate::context::{
    BlockHashId, BlockHeight, BlockValue, EngineSignature, EngineValidators, Ledger, ValidatorId,
    number,
};
use crate::log_record::LogInput;
use crate::message::Statement;
use crate::planted::{self, Bug};
use crate::said::{Said, SaidProposal, SaidRound, SaidVote};
use crate::verified::Verified;

mod kept;
mod output;

use kept::Kept;
pub(crate) use output::{Output, RoundTimer};

/// Inputs for heights to come that the engine may hold back.
const QUEUED_HEIGHTS: usize = 16;
const QUEUED_PER_HEIGHT: usize = 1_000;

/// What a body turned out to be, and for which proposal that was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) round: u32,
    pub(crate) valid_round: Option<u32>,
    pub(crate) proposer: KeyId,
    pub(crate) block: BlockHash,
    pub(crate) valid: bool,
}

/// The engine found that its log and its own conclusions disagree, or met an input that it cannot be in. The process must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the consensus engine stopped: {0}")]
pub struct EngineStopped(pub String);

/// The engine with its key.
pub(crate) struct Engine {
    state: State<Ledger>,
    host: Host,
}

/// The part that answers effects. Apart from the state, so that the engine can borrow one while it asks the other.
struct Host {
    ledger: LedgerId,
    key: SigningKey,
    height: u64,
    /// The height is over: what the engine still schedules for it would keep an idle ledger awake.
    decided: bool,
    /// Nobody else votes: nothing need be published.
    alone: bool,
    kept: Kept,
    /// What the log holds while it is gone through again.
    replayed: Option<Vec<LogInput>>,
    timeouts: LinearTimeouts,
    /// The round in which a start found the height: how long rounds wait is counted from there.
    begun_in: u32,
    verified: Verified,
    outputs: Vec<Output>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("height", &self.host.height).finish_non_exhaustive()
    }
}

/// More than two thirds of the power are a quorum; more than one third hold somebody honest.
fn thresholds() -> consensus::ThresholdParams {
    let usual = consensus::ThresholdParams::default();
    if planted::is(Bug::WeakQuorum) {
        return consensus::ThresholdParams { quorum: usual.honest, ..usual };
    }
    if planted::is(Bug::QuorumOfHalf) {
        let mut weak = usual;
        (weak.quorum.numerator, weak.quorum.denominator) = (1, 2);
        return weak;
    }
    usual
}

impl Engine {
    pub(crate) fn new(
        ledger: LedgerId,
        validators: &Validators,
        key: SigningKey,
        timeouts: LinearTimeouts,
    ) -> Self {
        let id = ValidatorId(KeyId::of(key.verifying_key().as_bytes()));
        let set = EngineValidators::new(validators);
        let params = Params {
            address: id,
            threshold_params: thresholds(),
            // `ProposalOnly` would mark every value valid without asking us.
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let state =
            State::new(Ledger, BlockHeight(0), set, params, QUEUED_HEIGHTS, QUEUED_PER_HEIGHT);
        let host = Host {
            ledger,
            key,
            height: 0,
            decided: false,
            alone: false,
            kept: Kept::default(),
            replayed: None,
            timeouts,
            begun_in: 0,
            verified: Verified::default(),
            outputs: Vec::new(),
        };
        Self { state, host }
    }

    /// The height that is open or was last.
    pub(crate) const fn height(&self) -> u64 {
        self.host.height
    }

    /// Whether the height is over.
    pub(crate) const fn is_decided(&self) -> bool {
        self.host.decided
    }

    /// Whether a quorum is known to have prevoted for a block in a round.
    pub(crate) fn has_polka(&self, round: u32, block: &BlockHash) -> bool {
        self.state.polka_certificate(Round::new(round), &BlockHashId(*block)).is_some()
    }

    /// Whether the engine has a verdict on a block: it keeps no more of them for a round than proposals.
    pub(crate) fn keeps(&self, block: &BlockHash) -> bool {
        let (height, id) = (BlockHeight(self.host.height), BlockHashId(*block));
        self.state.get_proposed_value_by_id(height, Round::new(0), &id).is_some()
    }

    /// Whether the engine takes what is said of a round: it drops what is too far ahead.
    pub(crate) fn is_within_reach(&self, round: u32) -> bool {
        let own = self.state.round().as_u32().unwrap_or(0);
        round <= own.saturating_add(MAX_FUTURE_ROUND_LOOKAHEAD)
    }

    /// The height was decided elsewhere: whatever still comes for it is of no use.
    pub(crate) const fn abandon(&mut self) {
        self.host.decided = true;
    }

    /// Opens a height.
    pub(crate) fn start(
        &mut self,
        height: u64,
        validators: &Validators,
    ) -> Result<Vec<Output>, EngineStopped> {
        self.host.height = height;
        self.host.decided = false;
        self.host.kept = Kept::default();
        self.host.begun_in = 0;
        self.host.verified.clear();
        self.host.alone = validators.members().len() == 1;
        let set = EngineValidators::new(validators);
        // No target time: it is the engine's only use of a real clock.
        let disabled = VoteExtensionPolicy::Disabled;
        self.feed(Input::StartHeight(BlockHeight(height), set, false, None, disabled))
    }

    /// Opens a height that a crash interrupted, and tells the engine again what its log holds. Votes that it signed then are
    /// taken from the log; a conclusion that differs from the log is an error.
    pub(crate) fn resume(
        &mut self,
        height: u64,
        validators: &Validators,
        log: Vec<LogInput>,
    ) -> Result<Vec<Output>, EngineStopped> {
        let unreadable = || EngineStopped("the consensus log holds an unknown record".into());
        let inputs: Option<Vec<Input<Ledger>>> =
            log.iter().cloned().map(|input| input.into_input(height)).collect();
        let inputs = inputs.ok_or_else(unreadable)?;
        let last_vote = self.host.last_vote(&log);
        self.host.replayed = Some(log);
        let mut outputs = self.start(height, validators)?;
        self.host.begun_in = last_vote;
        self.state.index_wal_entries(&inputs);
        for input in inputs {
            outputs.extend(self.feed(input)?);
        }
        self.state.reset_entries_index();
        self.host.replayed = None;
        Ok(outputs)
    }

    /// Proposes a block whose body is logged already.
    pub(crate) fn propose(
        &mut self,
        height: u64,
        round: u32,
        block: BlockHash,
    ) -> Result<Vec<Output>, EngineStopped> {
        let value =
            LocallyProposedValue::new(BlockHeight(height), Round::new(round), BlockValue(block));
        self.feed(Input::Propose(value))
    }

    /// Takes what somebody said about the open height. The engine checks signatures, and drops what it cannot use.
    pub(crate) fn hear(&mut self, said: Said) -> Result<Vec<Output>, EngineStopped> {
        if self.host.decided {
            return Ok(Vec::new());
        }
        let input = said.at(self.host.height);
        if self.is_proven(&input) {
            return Ok(Vec::new());
        }
        self.feed(input)
    }

    /// Whether the engine keeps a vote as half of a double vote already. It would take it for new each time, and log it: one validator
    /// could fill every other's log with one vote.
    fn is_proven(&self, input: &Input<Ledger>) -> bool {
        match input {
            Input::Vote(vote) if !planted::is(Bug::HalfLoggedAgain) => {
                self.state.driver.votes().has_equivocation_evidence(vote)
            }
            _ => false,
        }
    }

    /// Takes the verdict on a body that is logged already, if it is valid.
    pub(crate) fn judged(&mut self, judged: Judged) -> Result<Vec<Output>, EngineStopped> {
        if self.host.decided {
            return Ok(Vec::new());
        }
        let value = ProposedValue {
            height: BlockHeight(self.host.height),
            round: Round::new(judged.round),
            valid_round: Round::from(judged.valid_round),
            proposer: ValidatorId(judged.proposer),
            value: BlockValue(judged.block),
            validity: Validity::from_bool(judged.valid),
        };
        self.feed(Input::ProposedValue(value, ValueOrigin::Consensus))
    }

    /// A timer has fired.
    pub(crate) fn elapsed(&mut self, timer: RoundTimer) -> Result<Vec<Output>, EngineStopped> {
        if timer.height != self.host.height || self.host.decided {
            return Ok(Vec::new());
        }
        self.feed(Input::TimeoutElapsed(timer.timeout))
    }

    fn feed(&mut self, input: Input<Ledger>) -> Result<Vec<Output>, EngineStopped> {
        let Self { state, host } = self;
        let result: Result<(), consensus::Error<Ledger>> = consensus::process!(input: input, state: state, metrics: &(), with: effect => Ok::<_, EngineStopped>(host.handle(effect)));
        result.map_err(|error| EngineStopped(error.to_string()))?;
        Ok(std::mem::take(&mut self.host.outputs))
    }
}

impl Host {
    fn put(&mut self, output: Output) {
        self.outputs.push(output);
    }

    fn timer(&self, timeout: Timeout) -> RoundTimer {
        RoundTimer { height: self.height, timeout }
    }

    /// The round of the last vote in a log that is this validator's own.
    fn last_vote(&self, log: &[LogInput]) -> u32 {
        let own = KeyId::of(self.key.verifying_key().as_bytes());
        let round = |input: &LogInput| match input {
            LogInput::Vote(vote) if vote.validator == own.0 => vote.round,
            _ => None,
        };
        log.iter().filter_map(round).max().unwrap_or(0)
    }

    /// How long to wait. Each round waits longer than the one before; a process that was just started begins anew with that. If it
    /// went on from where the last one ended, validators whose processes live for seconds would never see the end of a late round.
    fn wait_for(&self, timeout: Timeout) -> Duration {
        let round = number(timeout.round).saturating_sub(self.begun_in);
        self.timeouts.duration_for(Timeout::new(Round::new(round), timeout.kind))
    }

    /// Says something to the others. What was signed must be in the log before: a flush comes first.
    fn publish(&mut self, said: Said) {
        if !self.alone {
            if !planted::is(Bug::PublishedBeforeFlush) {
                self.put(Output::Flush);
            }
            self.kept.says(&said);
            self.put(Output::Publish(said));
        }
    }

    /// A decided block must not be lost once the decision is acted upon. The votes of a quorum are kept by those who gave them, each with
    /// the body.
    fn keep(&mut self, certificate: &Certificate) {
        if !self.kept.has(certificate) {
            self.put(Output::Flush);
        }
    }

    fn repeat(&mut self, said: Said) {
        if !self.alone && !self.decided {
            self.put(Output::Repeat(said));
        }
    }

    /// Logs an input, unless it came from the log. What is first concluded during a replay is logged like anything else.
    fn append(&mut self, input: &Input<Ledger>) {
        let Some(input) = LogInput::of(input) else { return };
        if self.replayed.as_ref().is_none_or(|known| !known.contains(&input)) {
            self.put(Output::Log(input));
        }
    }

    fn sign(&mut self, message: &[u8; 96]) -> EngineSignature {
        let signature = self.key.sign(message).to_bytes();
        self.verified.made(self.key.verifying_key().as_bytes(), message, &signature);
        EngineSignature(signature)
    }

    /// Answers one effect. Never an error: the engine would print it and go on.
    fn handle(&mut self, effect: Effect<Ledger>) -> Resume<Ledger> {
        match effect {
            Effect::CancelAllTimeouts(r) => {
                self.put(Output::CancelTimers);
                r.resume_with(())
            }
            Effect::CancelTimeout(timeout, r) => {
                self.put(Output::CancelTimer(self.timer(timeout)));
                r.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, r) => {
                if !self.decided {
                    let after = self.wait_for(timeout);
                    self.put(Output::SetTimer(self.timer(timeout), after));
                }
                r.resume_with(())
            }
            Effect::GetValue(_, round, _, r) => {
                self.put(Output::GetValue { round: number(round) });
                r.resume_with(())
            }
            Effect::WalAppend(_, input, r) => {
                self.append(&input);
                r.resume_with(())
            }
            Effect::PublishConsensusMsg(message, r) => {
                self.publish(Said::of(&message));
                r.resume_with(())
            }
            Effect::PublishLivenessMsg(message, r) => {
                self.publish(Said::of_liveness(&message));
                r.resume_with(())
            }
            Effect::RepublishVote(vote, r) => {
                self.repeat(Said::Vote(SaidVote::of(&vote)));
                r.resume_with(())
            }
            Effect::RepublishRoundCertificate(certificate, r) => {
                self.repeat(Said::Round(SaidRound::of(&certificate)));
                r.resume_with(())
            }
            Effect::Finalize(_, _, evidence, r) => {
                self.put(Output::Misbehaved(pairs(&evidence)));
                r.resume_with(())
            }
            Effect::Decide(certificate, _, r) => {
                let certificate = decided(&certificate);
                self.keep(&certificate);
                self.put(Output::Decided(certificate));
                self.decided = true;
                r.resume_with(())
            }
            other => self.answer(other),
        }
    }

    /// Answers what the engine asks: signatures of its own, and whether those of others are good.
    fn answer(&mut self, effect: Effect<Ledger>) -> Resume<Ledger> {
        match effect {
            Effect::SignVote(vote, r) => {
                let signature = self.sign(&vote.signed_bytes(&self.ledger));
                r.resume_with(SignedVote::new(vote, signature))
            }
            Effect::SignProposal(proposal, r) => {
                let signature = self.sign(&proposal.signed_bytes(&self.ledger));
                r.resume_with(SignedProposal::new(proposal, signature))
            }
            Effect::VerifySignature(message, key, r) => {
                r.resume_with(self.is_signed(&message, &key))
            }
            Effect::VerifyCommitCertificate(certificate, set, _, r) => {
                r.resume_with(check_commit(&self.ledger, &certificate, &set, &mut self.verified))
            }
            Effect::VerifyPolkaCertificate(certificate, set, _, r) => {
                r.resume_with(check_polka(&self.ledger, &certificate, &set))
            }
            Effect::VerifyRoundCertificate(certificate, set, _, r) => {
                r.resume_with(check_round(&self.ledger, &certificate, &set))
            }
            other => unused(other),
        }
    }

    fn is_signed(
        &mut self,
        message: &SignedMessage<Ledger, ConsensusMsg<Ledger>>,
        key: &[u8; 32],
    ) -> bool {
        let bytes = match &message.message {
            ConsensusMsg::Vote(vote) => vote.signed_bytes(&self.ledger),
            ConsensusMsg::Proposal(proposal) => proposal.signed_bytes(&self.ledger),
        };
        planted::is(Bug::VotesUnchecked) || self.verified.check(key, &bytes, &message.signature.0)
    }
}

/// What the engine has noticed at a height, of each validator no more than a few pairs.
fn pairs(evidence: &MisbehaviorEvidence<Ledger>) -> Vec<[Statement; 2]> {
    let height = |height: BlockHeight| height.0;
    let votes = evidence.votes.iter().flat_map(|(_, pairs)| pairs).filter_map(|(one, other)| {
        let state =
            |vote: &SignedVote<Ledger>| SaidVote::of(vote).statement(height(vote.message.height));
        Some([state(one)?, state(other)?])
    });
    let proposals = evidence.proposals.iter().flat_map(|(_, pairs)| pairs);
    let proposals = proposals.filter_map(|(one, other)| {
        let state = |made: &SignedProposal<Ledger>| {
            SaidProposal::of(made).statement(height(made.message.height))
        };
        Some([state(one)?, state(other)?])
    });
    votes.chain(proposals).collect()
}

/// Effects that we do not use. Vote extensions are disabled, blocks that others decided do not go through the engine
/// (`catch_up.rs`), bodies are fetched by their hash when they are missed, and a round that begins shows in what is published.
fn unused(effect: Effect<Ledger>) -> Resume<Ledger> {
    match effect {
        Effect::VerifyExtendedCommitCertificate(_, _, _, _, r) => {
            r.resume_with(Err(CertificateError::VerificationError(None)))
        }
        Effect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
        Effect::VerifyVoteExtension(.., r) => {
            r.resume_with(Err(VoteExtensionError::InvalidVoteExtension))
        }
        _ => Resume::Continue,
    }
}
