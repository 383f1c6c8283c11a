//! Each kind of liar by itself: honest nodes stay safe and live, and the liar did lie.

use ledger_sim::liars::LiarKind;
use ledger_sim::plan::Plan;
use ledger_sim::run;

/// Liars whose own signatures prove what they did.
const PROVEN: [LiarKind; 5] = [
    LiarKind::Equivocator,
    LiarKind::DoubleVoter,
    // Where the round comes for which it proposed ahead, it proposes once more.
    LiarKind::TimeShifter,
    LiarKind::Twin,
    LiarKind::Forger,
];

/// The first of three seeds that show each kind: not every run brings the round that proves a time shifter guilty.
const FIRST: u64 = 13;

#[test]
fn honest_nodes_are_safe_and_live_beside_every_kind_of_liar() {
    for kind in LiarKind::ALL {
        let (mut lies, mut accused) = (0, 0);
        for seed in FIRST..FIRST + 3 {
            let mut plan = Plan::of(seed, 4, 12);
            plan.liar = Some(kind);
            // Beside a liar that was not drawn with it, four tolerate no lost memory, nor a log that is lost.
            plan.forgets = false;
            plan.troubles.retain(|trouble| trouble.is_sure());
            let report =
                run(plan).unwrap_or_else(|failure| panic!("{kind:?} {seed}: {failure:#?}"));
            lies += report.faults.get(kind.name()).copied().unwrap_or_default();
            accused += report.faults.get("accused").copied().unwrap_or_default();
        }
        assert!(lies > 0, "{kind:?} never lied");
        // Whom evidence names is checked in every run: the liar and nobody else, offline, and at all honest nodes.
        assert_eq!(accused > 0, PROVEN.contains(&kind), "{kind:?}: {accused}");
    }
}
