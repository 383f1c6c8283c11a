//! What a verdict must say of a ledger's limits.

use ledger_event::Clock;
use ledger_fixtures::World;
use ledger_verify::verdict::{Aspect, Report, Verdict, caveats};

fn said(world: &World) -> Vec<(Aspect, String)> {
    let mut report = Report::bare(Verdict::Proven);
    caveats(&world.genesis, [world.set()], &mut report);
    assert!(report.lines.iter().all(|line| !line.checked), "{report:?}");
    report.lines.into_iter().map(|line| (line.aspect, line.text)).collect()
}

#[test]
fn a_declared_clock_proves_no_time() {
    let lines = said(&World::new("declared", &[1; 4], Clock::Declared));
    let [(Aspect::Time, text)] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(text.contains("proves no time"), "{text}");
    assert_eq!(said(&World::new("wall", &[1; 4], Clock::Wall)), []);
}

/// Whether by number, by power or by who runs them: a quorum in one hand could have written everything.
#[test]
fn a_quorum_in_one_hand_is_named() {
    let one_party = World::with("party", &[1; 4], |genesis| {
        let set = genesis.validators.as_mut().unwrap();
        set.validators.iter_mut().for_each(|member| member.party = "exchange-00".to_owned());
    });
    for world in [
        World::new("one", &[1], Clock::Wall),
        World::new("power", &[10, 1, 1, 1], Clock::Wall),
        one_party,
    ] {
        let lines = said(&world);
        let [(Aspect::Quorum, text)] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(text.contains("alone could have written all of it"), "{text}");
    }
}

#[test]
fn a_set_that_tolerates_no_fault_says_so() {
    for powers in [&[1, 1][..], &[1, 1, 1], &[2, 1, 1, 1, 1]] {
        let lines = said(&World::new("few", powers, Clock::Wall));
        let [(Aspect::Quorum, text)] = lines.as_slice() else { panic!("{powers:?}: {lines:?}") };
        assert!(text.contains("tolerate no fault"), "{text}");
    }
}
