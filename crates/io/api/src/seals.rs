//! Seals: what a validator signs of one block, from which every checkpoint and receipt of that block follows.
//!
//! A validator signs when it is asked, about heights whose set it was in. Any other node asks one of that set, checks the signatures
//! against the keys that the ledger names for the height, and remembers them. Where none of that set is connected it asks whoever is:
//! that one gives what it remembers, or asks somebody else in its turn and gives it once it comes.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use ed25519_dalek::Signer as _;
use ledger_format::digest::KeyId;
use ledger_format::header::Header;
use ledger_format::malformed::Explanation;
use ledger_format::note::{Checkpoint, cosignature_message};
use ledger_format::receipt::Receipt;
use ledger_format::validators::{Member, Validators};
use ledger_verify::signature::verify;

use crate::problem::Problem;
use crate::shared::Shared;

mod waiting;

pub use waiting::Seals;

/// How long a client is asked to wait when nobody who was asked has answered.
const RETRY: Duration = Duration::from_secs(1);

/// What one validator signs of a block, 64 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// By the log key, over the checkpoint.
    pub log: [u8; 64],
    /// By the cosigner key, over the checkpoint and the header's time in seconds.
    pub cosignature: [u8; 64],
    /// By the receipt key, over the tree root.
    pub receipt: [u8; 64],
}

/// What a node has of a seal.
#[derive(Debug)]
pub(crate) enum Sealing {
    /// All of it.
    Known(Box<Member>, Seal),
    /// The height, and those who can be asked.
    Of(u64, Validators),
}

/// How validators are asked.
pub trait AskValidators: Debug + Send + Sync {
    /// Asks one of a height's validators that is connected for its seal of the height, or whoever else is where none of them is, but
    /// nobody who asks for it: another one at each attempt. Never waits.
    fn ask_for_seal(
        &self,
        height: u64,
        validators: &Validators,
        attempt: u32,
        askers: &BTreeSet<KeyId>,
    );

    /// The nodes that are connected, validators or not.
    fn connected(&self) -> Vec<KeyId>;

    /// The nodes that are not, since one of the two refuses the other.
    fn refused(&self) -> Vec<RefusedPeer>;

    /// How often nodes were refused, or refused this one, by code.
    fn refusals(&self) -> Vec<Refusals>;
}

/// How often something was refused for a reason, since the node started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// The stable code.
    pub code: &'static str,
    /// How often.
    pub count: u64,
    /// Whether it was this node that was refused.
    pub by_others: bool,
}

/// A node that this one is set to connect with, and why they are not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedPeer {
    /// Who.
    pub peer: KeyId,
    /// Whether this node refuses it, or it this node.
    pub by_us: bool,
    /// The code, what it says and the next step.
    pub why: &'static Explanation,
}

impl Shared {
    /// The text of the checkpoint after a block.
    pub(crate) fn checkpoint_text(&self, header: &Header) -> String {
        let origin = self.genesis.message().origin.clone();
        Checkpoint { origin, size: header.tree_size, root: header.tree_root }.text()
    }

    /// What a validator signs of a block: by its log key, its cosigner key and its receipt key.
    fn sealed(&self, header: &Header, member: &Member) -> [Vec<u8>; 3] {
        let text = self.checkpoint_text(header);
        let cosigned = cosignature_message(header.time_ms / 1000, &text);
        let kid = KeyId::of(&member.receipt_key);
        let root = Receipt::signed_message(&self.genesis.id(), &kid, &header.tree_root);
        [text.into_bytes(), cosigned, root]
    }

    /// This node's seal of a block; none if it was no validator of that height.
    fn own_seal(&self, header: &Header) -> Result<Option<(Member, Seal)>, Problem> {
        let Some((member, keys)) = self.signer_at(header.height)? else { return Ok(None) };
        // One for all receipts of a block: it holds nothing of a single entry.
        if let Some((by, seal)) = self.seals.find(header.height)
            && by.id == member.id
        {
            return Ok(Some((member, seal)));
        }
        let [log, cosigned, root] = self.sealed(header, &member);
        let seal = Seal {
            log: keys.log.sign(&log).to_bytes(),
            cosignature: keys.cosign.sign(&cosigned).to_bytes(),
            receipt: keys.receipt.sign(&root).to_bytes(),
        };
        self.seals.remember(header.height, member.clone(), seal);
        Ok(Some((member, seal)))
    }

    /// The seal of a block that is here, this node's own or another validator's.
    fn seal_here(&self, header: &Header) -> Result<Option<(Member, Seal)>, Problem> {
        Ok(self.own_seal(header)?.or_else(|| self.seals.find(header.height)))
    }

    /// The seal of a block, by height, for another node, and the vote key's id of the validator whose it is; none if this node was no
    /// validator of that height and has not got another one's.
    ///
    /// # Errors
    /// `API_NOT_FOUND` for a height that is not there, or what cannot be read.
    pub fn seal_for_others(&self, height: u64) -> Result<Option<(KeyId, Seal)>, Problem> {
        let (header, _, _) = self.header(height)?;
        Ok(self.seal_here(&header)?.map(|(member, seal)| (member.id, seal)))
    }

    /// Asks somebody else for a seal that another node asks for and that is not here: it may reach nobody who could sign. Never waits;
    /// once the seal has come, [`Seals::take_askers`] has those who are to be told.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn ask_for_others(&self, asker: KeyId, height: u64) -> Result<(), Problem> {
        self.seals.ask_for(asker, height, &self.validators_at(height)?);
        Ok(())
    }

    /// What this node has of the seal of a block.
    pub(crate) fn sealing(&self, header: &Header) -> Result<Sealing, Problem> {
        Ok(match self.seal_here(header)? {
            Some((member, seal)) => Sealing::Known(Box::new(member), seal),
            None => Sealing::Of(header.height, self.validators_at(header.height)?),
        })
    }

    /// The seal of a block, this node's own or another validator's, and whose it is.
    pub(crate) async fn seal(&self, sealing: Sealing) -> Result<(Member, Seal), Problem> {
        match sealing {
            Sealing::Known(member, seal) => Ok((*member, seal)),
            Sealing::Of(height, validators) => {
                let found = self.seals.obtain(height, &validators).await;
                found.ok_or_else(|| Problem::unsigned(format!("block {height}")).retry(RETRY))
            }
        }
    }

    /// The height at whose end an entry of a block is proven: the block's own while somebody can be asked who signed it, and otherwise
    /// the last one. Where only others are connected these reach those who sign the last one, if anybody.
    pub(crate) fn sealed_height(&self, own: u64) -> Result<u64, Problem> {
        let last = self.head().height;
        let set = self.validators_at(own)?;
        if self.signer_of(&set).is_some() || self.seals.find(own).is_some() {
            return Ok(own);
        }
        let signing = self.validators_at(last)?;
        if self.signer_of(&signing).is_some() {
            return Ok(last);
        }
        let connected = self.seals.connected();
        let is_near = |set: &Validators| connected.iter().any(|peer| set.get(peer).is_some());
        let only_others = !connected.is_empty() && !is_near(&signing);
        let have_stayed = || set.members().iter().any(|member| signing.get(&member.id).is_some());
        let can_be_asked = is_near(&set) || only_others && have_stayed();
        Ok(if can_be_asked { own } else { last })
    }

    /// Takes a seal that was asked for; whether its signatures are the validator's whose they are said to be, one of the set of that
    /// height, for the block that this node has.
    ///
    /// # Errors
    /// What this node cannot read of its own: it says nothing of who sent the seal.
    pub fn take_seal(&self, height: u64, validator: KeyId, seal: &Seal) -> Result<bool, Problem> {
        if !self.seals.is_wanted(height) {
            return Ok(true);
        }
        let (header, _, _) = self.header(height)?;
        let set = self.validators_at(height)?;
        let Some(member) = set.get(&validator) else { return Ok(false) };
        let [log, cosigned, root] = self.sealed(&header, member);
        let good = verify(&member.log_key, &log, &seal.log).is_ok()
            && verify(&member.cosign_key, &cosigned, &seal.cosignature).is_ok()
            && verify(&member.receipt_key, &root, &seal.receipt).is_ok();
        if good {
            self.seals.remember(height, member.clone(), *seal);
        }
        Ok(good)
    }
}
