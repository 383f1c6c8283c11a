//! What a verification says, in words that tell "forged" from "damaged", "unknown" and "not trusted".

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ledger_event::Clock;
use ledger_format::digest::LedgerId;
use ledger_format::genesis::GenesisDocument;
use ledger_format::malformed::Malformed;
use ledger_format::validators::Validators;

use crate::finding::Refuted;

/// The outcome of a verification. Never [`Verdict::Proven`] without a stated anchor of trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every requested check passed under the stated trust.
    Proven,
    /// Evidence contradicts the claim.
    Refuted(Refuted),
    /// The input is not what it should be; nobody is accused.
    Malformed(Malformed),
    /// Something that is needed is missing.
    NotDetermined(String),
    /// The mathematics is right, the stated trust is not met.
    TrustNotMet(String),
}

impl Verdict {
    /// Exit code of the command line.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Refuted(_) => 10,
            Self::Malformed(_) => 11,
            Self::NotDetermined(_) => 12,
            Self::TrustNotMet(_) => 13,
        }
    }

    /// The verdict in a word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Refuted(_) => "refuted",
            Self::Malformed(_) => "malformed",
            Self::NotDetermined(_) => "not determined",
            Self::TrustNotMet(_) => "trust not met",
        }
    }

    /// The stable code behind it, if it has one.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refuted(refuted) => Some(refuted.code.as_str()),
            Self::Malformed(malformed) => Some(malformed.code()),
            Self::Proven | Self::NotDetermined(_) | Self::TrustNotMet(_) => None,
        }
    }

    /// The reason, one sentence; empty when proven.
    pub fn reason(&self) -> String {
        match self {
            Self::Proven => String::new(),
            Self::Refuted(refuted) => refuted.to_string(),
            Self::Malformed(malformed) => malformed.to_string(),
            Self::NotDetermined(reason) | Self::TrustNotMet(reason) => reason.clone(),
        }
    }
}

impl From<Refuted> for Verdict {
    fn from(refuted: Refuted) -> Self {
        Self::Refuted(refuted)
    }
}

impl From<Malformed> for Verdict {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What a check is about. Reported apart, because they fail for different reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Are the bytes what was ordered?
    Integrity,
    /// Who signed, and with which right?
    Identity,
    /// Did enough validators agree?
    Quorum,
    /// What is known of the time?
    Time,
    /// What is covered, and what is not?
    Scope,
}

impl Aspect {
    /// The aspect in a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Identity => "identity",
            Self::Quorum => "quorum",
            Self::Time => "time",
            Self::Scope => "scope",
        }
    }
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub aspect: Aspect,
    /// Whether it was checked and holds; `false`: it was not checked, or says what is not known.
    pub checked: bool,
    /// The finding.
    pub text: String,
    /// The time that the finding is about, in milliseconds since 1970. How it is written is for whoever shows the report.
    pub time_ms: Option<u64>,
}

/// A verdict with what was checked and what was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// What was checked and what was not.
    pub lines: Vec<Line>,
    /// The block that malformed bytes of a chain stand in the place of. A refutation has its own place.
    pub height: Option<u64>,
}

impl Report {
    /// A report with nothing but its verdict.
    pub fn bare(verdict: impl Into<Verdict>) -> Self {
        Self { verdict: verdict.into(), lines: Vec::new(), height: None }
    }

    /// The same findings where nobody said which ledger is trusted: what would be proven is not determined.
    #[must_use]
    pub fn without_trust(self, ledger: &LedgerId) -> Self {
        if self.verdict != Verdict::Proven {
            return self;
        }
        let reason = format!(
            "no trust was stated; if you trust the genesis with hash {ledger}, say --trust {ledger}"
        );
        Self { verdict: Verdict::NotDetermined(reason), ..self }
    }

    /// Adds what was checked.
    pub fn checked(&mut self, aspect: Aspect, text: impl Into<String>) {
        self.lines.push(Line { aspect, checked: true, text: text.into(), time_ms: None });
    }

    /// Adds what was not checked, or cannot be known.
    pub fn unchecked(&mut self, aspect: Aspect, text: impl Into<String>) {
        self.lines.push(Line { aspect, checked: false, text: text.into(), time_ms: None });
    }

    /// Adds a time that something claims and nothing shows. The text ends where the time is to follow.
    pub fn claimed_time(&mut self, text: impl Into<String>, time_ms: u64) {
        let (aspect, text, time_ms) = (Aspect::Time, text.into(), Some(time_ms));
        self.lines.push(Line { aspect, checked: false, text, time_ms });
    }
}

/// What every verdict on a ledger must say of its limits: a declared clock proves no time, a quorum in one hand proves nothing
/// against it, and a set that tolerates no fault proves little. `sets` are all that have signed.
pub fn caveats<'a>(
    genesis: &GenesisDocument,
    sets: impl IntoIterator<Item = &'a Validators>,
    report: &mut Report,
) {
    if genesis.clock() == Clock::Declared {
        report.unchecked(
            Aspect::Time,
            "this ledger's clock is declared: its times follow what entries claim, so it proves no time",
        );
    }
    let texts: BTreeSet<String> = sets.into_iter().filter_map(weakness).collect();
    for text in texts {
        report.unchecked(Aspect::Quorum, text);
    }
}

/// What a set's signatures do not prove.
fn weakness(validators: &Validators) -> Option<String> {
    match (validators.members().len(), validators.sole_operator()) {
        (1, _) => Some(
            "this ledger has one validator: its operator alone could have written all of it".into(),
        ),
        (_, Some(party)) => Some(format!(
            "{party} runs validators with more than two thirds of the power: it alone could have written all of it"
        )),
        (count, None) if validators.tolerated_faults() == 0 => Some(format!(
            "{count} validators tolerate no fault: they could have agreed on another history"
        )),
        _ => None,
    }
}
