//! Accuses those who did nothing: makes evidence of every kind out of what honest validators signed, and of what they did not sign.

use bytes::Bytes;
use ed25519_dalek::Signer as _;
use ledger_fixtures::Rng;
use ledger_format::block::Block;
use ledger_format::digest::{BlockHash, KeyId};
use ledger_format::evidence::{Evidence, SignedProposal, SignedVote, presentation_bytes};
use ledger_format::header::Header;
use ledger_format::vote::{Certificate, VoteStep};
use ledger_replica::{Message, Statement, StatementKind};

use super::{Liar, Saying, Voice};

/// Statements that it remembers, and blocks.
const STATEMENTS: usize = 64;
const BLOCKS: usize = 8;

/// A block that a validator gave away.
#[derive(Debug)]
struct Given {
    by: KeyId,
    header: Header,
    certificate: Certificate,
    signature: [u8; 64],
}

#[derive(Debug, Default)]
pub(super) struct Framer {
    /// What others said themselves.
    said: Vec<Statement>,
    given: Vec<Given>,
    heard: usize,
}

impl Liar for Framer {
    fn says(
        &mut self,
        voice: &Voice<'_>,
        _: usize,
        message: &Message,
        dice: &mut Rng,
    ) -> Vec<Saying> {
        let truth = Saying::Message(message.clone());
        if !dice.once_in(8) {
            return vec![truth];
        }
        let evidence = match dice.below(5) {
            0 => self.forged_certificate(voice, dice),
            1 => self.conflicting_certificates(voice, dice),
            _ => self.double(voice, dice),
        };
        let lie = evidence.map(|evidence| Message::evidence(vec![evidence.encode()]));
        lie.map(Saying::Message).into_iter().chain([truth]).collect()
    }

    fn hears(&mut self, from: KeyId, message: &Message) {
        self.heard += 1;
        if let Some(said) = message.statement() {
            keep(&mut self.said, said, self.heard, STATEMENTS);
        }
        for (bytes, signature) in message.as_presented().into_iter().flatten() {
            let Some(signature) = signature.copied() else { continue };
            let Ok(block) = Block::decode(Bytes::copy_from_slice(bytes)) else { continue };
            let (header, certificate) = (block.body.header, block.certificate);
            keep(
                &mut self.given,
                Given { by: from, header, certificate, signature },
                self.heard,
                BLOCKS,
            );
        }
    }
}

fn keep<T>(all: &mut Vec<T>, new: T, number: usize, most: usize) {
    if all.len() < most {
        all.push(new);
    } else {
        all[number % most] = new;
    }
}

impl Framer {
    /// Two statements that are not of one round and step, or of which one was never made.
    fn double(&self, voice: &Voice<'_>, dice: &mut Rng) -> Option<Evidence> {
        let others: Vec<&Statement> =
            self.said.iter().filter(|said| said.validator != voice.id).collect();
        if others.is_empty() {
            return None;
        }
        let first = **dice.pick(&others);
        let altered = Statement { block: Some(BlockHash(dice.bytes())), ..first };
        let second = match dice.below(3) {
            0 => altered,
            1 => {
                let own = voice.state(&altered, altered.block)?.statement()?;
                Statement { validator: first.validator, ..own }
            }
            // Of another round, another height or another step.
            _ => {
                let slot = |said: &Statement| (said.height, said.round, said.kind);
                let is_other = |said: &&&Statement| {
                    said.validator == first.validator && slot(said) != slot(&first)
                };
                let apart: Vec<&Statement> = others.iter().filter(is_other).copied().collect();
                if apart.is_empty() { altered } else { **dice.pick(&apart) }
            }
        };
        Some(double(voice, &first, &second))
    }

    /// Certificates of two heights, or one and what it would be for another block.
    fn conflicting_certificates(&self, voice: &Voice<'_>, dice: &mut Rng) -> Option<Evidence> {
        if self.given.is_empty() {
            return None;
        }
        let first = &dice.pick(&self.given).certificate;
        let mut second = dice.pick(&self.given).certificate.clone();
        if second.height == first.height || dice.once_in(2) {
            second.block = BlockHash(dice.bytes());
        }
        if dice.once_in(2) {
            (second.height, second.round) = (first.height, first.round);
        }
        Some(Evidence::conflicting_certificates(voice.ledger, [first.clone(), second]))
    }

    /// A good block, or one that its giver has not given away so.
    fn forged_certificate(&self, voice: &Voice<'_>, dice: &mut Rng) -> Option<Evidence> {
        if self.given.is_empty() {
            return None;
        }
        let Given { by, header, certificate, signature } = dice.pick(&self.given);
        let (mut certificate, mut signature) = (certificate.clone(), *signature);
        if dice.once_in(2) {
            certificate.signatures.pop();
        }
        if dice.once_in(2) {
            let bytes = presentation_bytes(&voice.ledger, &header.hash(), &certificate);
            signature = voice.key.sign(&bytes).to_bytes();
        }
        Some(Evidence::forged_certificate(*by, header.clone(), certificate, signature))
    }
}

/// Evidence that two statements would be if they were of the first one's round and step.
fn double(voice: &Voice<'_>, first: &Statement, second: &Statement) -> Evidence {
    let Statement { height, round, validator, .. } = *first;
    let both = [first, second];
    let step = match first.kind {
        StatementKind::Prevote => VoteStep::Prevote,
        StatementKind::Precommit => VoteStep::Precommit,
        StatementKind::Proposal { valid_round } => {
            let proposal = |said: &Statement| SignedProposal {
                block: said.block.unwrap_or_default(),
                valid_round,
                signature: said.signature,
            };
            let proposals = both.map(proposal);
            let slot = (round, validator);
            return Evidence::double_proposal(voice.ledger, height, slot, proposals);
        }
    };
    let vote = |said: &Statement| SignedVote { block: said.block, signature: said.signature };
    Evidence::double_vote(voice.ledger, height, (round, step, validator), both.map(vote))
}
