//! One act on its way through the rules: the frame that every stage uses.
//!
//! A stage file holds a table for each of its acts: the row of the state machine, its signers, and its guards, each guard with
//! the one code it refuses with. The frame checks, in this order: the subject's kind, existence and owner; what the act relies on
//! exists; `prior`; signers; guards. The stage then says what the act writes.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use ledger_event::event::Act as Kind;
use ledger_event::{Digest, HashAlgorithm, LedgerRecord};
use ledger_format::entry::{Claims, Entry};
use ledger_format::id::{Subject, SubjectKind};

use crate::code::{Code, Refusal};
use crate::protocol::Protocol;
use crate::signers::{self, Need, Signers, Who};
use crate::view::{State, Typed};

/// A finding of one guard: nothing, or expected and found.
pub(crate) type Check = Result<(), String>;

/// One row of a stage's table. `G` is the type of its guards: functions of the stage's own context.
pub(crate) struct Rule<G: 'static> {
    /// Row of the state machine, as docs/spec/rules.md numbers it.
    pub(crate) row: &'static str,
    /// What the subject must be.
    pub(crate) subject: SubjectKind,
    /// Whether the act opens the subject, rather than acting on one that exists.
    pub(crate) opens: bool,
    /// Whether `prior` must be stated. Only for acts on subjects that exist.
    pub(crate) binding: bool,
    /// Who signs.
    pub(crate) signers: &'static [Need],
    /// What must hold, in order.
    pub(crate) guards: &'static [(Code, G)],
}

/// One entry, with what judges it.
pub(crate) struct Act<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) state: State<'a>,
    pub(crate) ledger: &'a LedgerRecord,
    pub(crate) signers: Signers,
    pub(crate) height: u64,
    pub(crate) time_ms: u64,
    pub(crate) leaf_index: u64,
}

impl Act<'_> {
    pub(crate) fn claims(&self) -> &Claims {
        self.entry.claims()
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.entry.claims().subject
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.entry.claims().issuer
    }

    /// The version of the protocol that the block follows.
    pub(crate) fn version(&self) -> u32 {
        Protocol::of(self.ledger, self.height).version
    }

    /// The subject's record, which must exist and be of the asked type.
    pub(crate) fn subject_as<T: Typed>(&self) -> Result<T, Refusal> {
        self.required(self.subject().as_str())
    }

    /// A record that the act relies on, which must exist and be of the asked type.
    pub(crate) fn required<T: Typed>(&self, id: &str) -> Result<T, Refusal> {
        self.state.current(id).ok_or_else(|| Refusal::new(Code::SubjectUnknown, id))
    }

    /// Judges the act by one row of a table.
    pub(crate) fn judge<G: Copy>(
        &self,
        rule: &Rule<G>,
        who: &dyn Fn(Who) -> Option<String>,
        guard: impl Fn(G) -> Check,
    ) -> Result<(), Refusal> {
        self.check_subject(rule)?;
        self.check_prior(rule)?;
        let resolve = |place: Who| match place {
            Who::Issuer => Some(Cow::Borrowed(self.issuer())),
            Who::Anyone => None,
            Who::Subject => Some(Cow::Borrowed(self.subject().name())),
            other => Some(Cow::Owned(who(other).unwrap_or_default())),
        };
        signers::check(&self.signers, rule.signers, &resolve)
            .map_err(|refusal| self.refuse(rule, refusal.code, &refusal.detail))?;
        self.check_possession(rule)?;
        for (code, holds) in rule.guards {
            guard(*holds).map_err(|detail| self.refuse(rule, *code, &detail))?;
        }
        Ok(())
    }

    fn refuse<G>(&self, rule: &Rule<G>, code: Code, detail: &str) -> Refusal {
        Refusal::new(code, format!("{} on {}: {detail}", rule.row, self.subject()))
    }

    /// The subject's kind, existence and owner. Stages that read what the act relies on check it before; [`Act::judge`] does so
    /// for all.
    pub(crate) fn check_subject<G>(&self, rule: &Rule<G>) -> Result<(), Refusal> {
        let subject = self.subject();
        if subject.kind() != rule.subject {
            let detail = format!("expected {}, found {subject}", rule.subject.word());
            return Err(self.refuse(rule, Code::SubjectKind, &detail));
        }
        let exists = self.state.exists(subject.as_str());
        match (rule.opens, exists) {
            (true, true) => Err(self.refuse(rule, Code::SubjectExists, "it exists")),
            (false, false) => Err(self.refuse(rule, Code::SubjectUnknown, "it does not exist")),
            (true, false) if subject.owner().is_some_and(|owner| owner != self.issuer()) => {
                let detail = format!("{} signs", self.issuer());
                Err(self.refuse(rule, Code::SubjectNotOwn, &detail))
            }
            (true | false, _) => Ok(()),
        }
    }

    /// Only acts that enrol keys are signed by keys that are not yet in force.
    fn check_possession<G>(&self, rule: &Rule<G>) -> Result<(), Refusal> {
        let enrols =
            matches!(self.entry.event().act, Some(Kind::PartyAdmitted(_) | Kind::KeyEnrolled(_)));
        match self.signers.possession.first() {
            Some(signer) if !enrols => {
                let detail = format!("{} signs as a new key, and none is enrolled", signer.kid);
                Err(self.refuse(rule, Code::KeyPossession, &detail))
            }
            _ => Ok(()),
        }
    }

    fn check_prior<G>(&self, rule: &Rule<G>) -> Result<(), Refusal> {
        let stated = &self.entry.event().prior;
        if stated.is_empty() && !rule.binding {
            return Ok(());
        }
        let found = self.state.timeline(self.subject().as_str()).head;
        // What genesis made has no history that anybody could state: both are empty.
        if *stated == found {
            return Ok(());
        }
        if stated.is_empty() {
            return Err(self.refuse(rule, Code::PriorMissing, "`prior` is empty"));
        }
        let hex = ledger_format::digest::hex;
        let now = if found.is_empty() { "it has no history".into() } else { hex(&found) };
        let detail = format!("signed on {}, now {now}", hex(stated));
        Err(self.refuse(rule, Code::PriorStale, &detail))
    }
}

/// `Ok` when a condition holds, else its detail.
pub(crate) fn ensure(holds: bool, detail: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(detail()) }
}

/// A digest that must be stated: SHA-256, 32 bytes.
pub(crate) fn stated_digest(name: &str, digest: Option<&Digest>) -> Check {
    ensure(digest.is_some_and(is_sha256), || format!("{name}: expected a SHA-256 digest"))
}

/// A digest that may be left out.
pub(crate) fn optional_digest(name: &str, digest: Option<&Digest>) -> Check {
    ensure(digest.is_none_or(is_sha256), || format!("{name}: not a SHA-256 digest"))
}

fn is_sha256(digest: &Digest) -> bool {
    digest.algorithm() == HashAlgorithm::Sha256 && digest.value.len() == 32
}

/// A commitment or hash that may be left out: empty or 32 bytes.
pub(crate) fn optional_hash(name: &str, bytes: &[u8]) -> Check {
    ensure(matches!(bytes.len(), 0 | 32), || {
        format!("{name}: expected 32 bytes or none, found {}", bytes.len())
    })
}

/// A text field within its limit in characters.
pub(crate) fn text(name: &str, value: &str, most: usize) -> Check {
    // A character takes a byte or more; and most texts are ASCII, where each byte is one.
    let is_short = value.len() <= most || value.chars().count() <= most;
    let has_control = if value.is_ascii() {
        value.bytes().fold(false, |found, byte| found | byte.is_ascii_control())
    } else {
        value.chars().any(char::is_control)
    };
    ensure(is_short && !has_control, || {
        let length = value.chars().count();
        format!("{name}: {length} characters, at most {most} and no control characters")
    })
}

/// A text field that must not be empty.
pub(crate) fn stated_text(name: &str, value: &str, most: usize) -> Check {
    ensure(!value.is_empty(), || format!("{name}: must be stated"))?;
    text(name, value, most)
}

/// A date as YYYYMMDD, or zero.
pub(crate) fn optional_date(name: &str, value: u32) -> Check {
    let exists = value == 0 || crate::calendar::date_from_number(value).is_some();
    ensure(exists, || format!("{name}: {value} is not a date as YYYYMMDD"))
}

/// Two upper-case letters.
pub(crate) fn jurisdiction(name: &str, value: &str) -> Check {
    let ok = value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase());
    ensure(ok, || format!("{name}: expected two upper-case letters, found {value:?}"))
}
