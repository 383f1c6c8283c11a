//! The engine's core under our driver: inputs in, outputs out, no IO. What the engine asks for while it runs is answered here;
//! what must happen outside is returned in order.
//!
//! **Invariant:** outputs are carried out in order. A flush comes before everything that lets others, or a restart, rely on what
//! was logged; an error while logging must stop the process (the engine itself would go on).

use std::time::Duration;

use consensus::{
    ConsensusMsg, Effect, Input, LocallyProposedValue, Params, Resumable as _, Resume, State,
    ValuePayload, VoteExtensionError,
};
use consensus_types::{
    CertificateError, CommitCertificate, CommitSignature, LinearTimeouts, Round, SignedMessage,
    SignedProposal, SignedVote, Timeout, ValidatorSet as _, VoteExtensionPolicy,
};
use ed25519_dalek::{Signer as _, SigningKey};
use ledger_format::digest::{BlockHash, KeyId, LedgerId};
use ledger_format::validators::Validators;
use ledger_format::vote::Certificate;
use ledger_verify::signature;

use crate::context::{
    BlockHeight, BlockValue, EngineSignature, EngineValidators, Ledger, ValidatorId, number,
};
use crate::log_record::LogInput;

/// Inputs for heights to come that the engine may hold back.
const QUEUED_HEIGHTS: usize = 16;
const QUEUED_PER_HEIGHT: usize = 1_000;

/// What the engine wants done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Append to the log.
    Log(LogInput),
    /// Make the log durable before going on.
    Flush,
    /// Call back after a while.
    SetTimer(Timer, Duration),
    /// Forget one timer.
    CancelTimer(Timer),
    /// Forget all timers.
    CancelTimers,
    /// A block is wanted for this height and round.
    GetValue { height: u64, round: u32 },
    /// The height is decided.
    Decided(Certificate),
}

/// A timeout with its height, which the engine's own timeouts lack: one that fires late must not hit the next height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    pub(crate) height: u64,
    pub(crate) timeout: Timeout,
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
    replaying: bool,
    outputs: Vec<Output>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("height", &self.host.height).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(ledger: LedgerId, validators: &Validators, key: SigningKey) -> Self {
        let id = ValidatorId(KeyId::of(key.verifying_key().as_bytes()));
        let set = EngineValidators::new(validators);
        let params = Params {
            address: id,
            threshold_params: consensus::ThresholdParams::default(),
            // `ProposalOnly` would mark every value valid without asking us.
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let state =
            State::new(Ledger, BlockHeight(0), set, params, QUEUED_HEIGHTS, QUEUED_PER_HEIGHT);
        let (height, decided, replaying, outputs) = (0, false, false, Vec::new());
        Self { state, host: Host { ledger, key, height, decided, replaying, outputs } }
    }

    /// Opens a height.
    pub(crate) fn start(
        &mut self,
        height: u64,
        validators: &Validators,
    ) -> Result<Vec<Output>, EngineStopped> {
        self.host.height = height;
        self.host.decided = false;
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
            log.into_iter().map(|input| input.into_input(height)).collect();
        let inputs = inputs.ok_or_else(unreadable)?;
        self.host.replaying = true;
        let mut outputs = self.start(height, validators)?;
        self.state.index_wal_entries(&inputs);
        for input in inputs {
            outputs.extend(self.feed(input)?);
        }
        self.state.reset_entries_index();
        self.host.replaying = false;
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

    /// A timer has fired.
    pub(crate) fn elapsed(&mut self, timer: Timer) -> Result<Vec<Output>, EngineStopped> {
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

    fn timer(&self, timeout: Timeout) -> Timer {
        Timer { height: self.height, timeout }
    }

    fn sign(&self, message: &[u8]) -> EngineSignature {
        EngineSignature(self.key.sign(message).to_bytes())
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
                    let after = LinearTimeouts::default().duration_for(timeout);
                    self.put(Output::SetTimer(self.timer(timeout), after));
                }
                r.resume_with(())
            }
            Effect::GetValue(height, round, _, r) => {
                self.put(Output::GetValue { height: height.0, round: number(round) });
                r.resume_with(())
            }
            Effect::WalAppend(_, input, r) => {
                if let (false, Some(input)) = (self.replaying, LogInput::of(&input)) {
                    self.put(Output::Log(input));
                }
                r.resume_with(())
            }
            Effect::Decide(certificate, _, r) => {
                // What decided must survive before the decision is acted upon.
                self.put(Output::Flush);
                self.put(Output::Decided(decided(&certificate)));
                self.decided = true;
                r.resume_with(())
            }
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
                r.resume_with(self.check_commit(&certificate, &set))
            }
            other => alone(other),
        }
    }

    fn is_signed(
        &self,
        message: &SignedMessage<Ledger, ConsensusMsg<Ledger>>,
        key: &[u8; 32],
    ) -> bool {
        let bytes = match &message.message {
            ConsensusMsg::Vote(vote) => vote.signed_bytes(&self.ledger),
            ConsensusMsg::Proposal(proposal) => proposal.signed_bytes(&self.ledger),
        };
        signature::verify(key, &bytes, &message.signature.0).is_ok()
    }

    /// The engine checks the certificate that it has just made, with the auditor's rule.
    #[expect(clippy::result_large_err, reason = "the engine's own error type")]
    fn check_commit(
        &self,
        certificate: &CommitCertificate<Ledger>,
        set: &EngineValidators,
    ) -> Result<(), CertificateError<Ledger>> {
        let message = decided(certificate).signed_bytes(&self.ledger);
        let mut signed: u64 = 0;
        for commit in &certificate.commit_signatures {
            let member = set.set().get(&commit.address.0);
            let member = member.ok_or(CertificateError::UnknownValidator(commit.address))?;
            signature::verify(&member.vote_key, &message, &commit.signature.0)
                .map_err(|_invalid| CertificateError::InvalidCommitSignature(commit.clone()))?;
            signed = signed.saturating_add(u64::from(member.power));
        }
        if set.set().is_quorum(signed) {
            return Ok(());
        }
        let total = set.total_voting_power();
        Err(CertificateError::NotEnoughVotingPower { signed, total, expected: total })
    }
}

/// Effects about other validators. A validator alone has nobody to tell, and nothing that could be answered arrives from anybody:
/// [`crate::Replica`] refuses sets of more than one until there is a transport.
fn alone(effect: Effect<Ledger>) -> Resume<Ledger> {
    let nobody = || CertificateError::VerificationError(None);
    match effect {
        Effect::VerifyPolkaCertificate(_, _, _, r) | Effect::VerifyRoundCertificate(_, _, _, r) => {
            r.resume_with(Err(nobody()))
        }
        Effect::VerifyExtendedCommitCertificate(_, _, _, _, r) => r.resume_with(Err(nobody())),
        Effect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
        Effect::VerifyVoteExtension(.., r) => {
            r.resume_with(Err(VoteExtensionError::InvalidVoteExtension))
        }
        _ => Resume::Continue,
    }
}

/// The engine's certificate in our form, ascending by validator.
fn decided(certificate: &CommitCertificate<Ledger>) -> Certificate {
    let signature = |commit: &CommitSignature<Ledger>| (commit.address.0, commit.signature.0);
    let mut signatures: Vec<_> = certificate.commit_signatures.iter().map(signature).collect();
    signatures.sort_unstable_by_key(|(validator, _)| *validator);
    Certificate {
        height: certificate.height.0,
        round: number(certificate.round),
        block: certificate.value_id.0,
        signatures,
    }
}
