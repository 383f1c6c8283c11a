//! When blocks are made, of what, and in which order things are done for them.

use ledger_event::{AssetDescribed, Clock, Limits};
use ledger_format::entry::Entry;
use ledger_format::header::HEADER_BYTES;
use ledger_replica::{Action, Event, Settings};
use ledger_rules::Code;
use ledger_story::deed::Deed;
use ledger_story::{LIMITS, Story, acts, china, genesis};

use crate::host::{Disk, Host};
use crate::notary::{Kind, Notary};

/// A validator with genesis and everybody's admission in its chain, and the story that goes on.
pub(crate) fn begun_with(clock: Clock, limits: Limits, settings: Settings) -> (Story, Host) {
    let mut story = Story::of(genesis(clock, china("2026-08-03"), limits)).in_earnest().begun();
    let mut host = Host::start(Disk::new(story.genesis.clone()), settings).unwrap();
    for height in 1..=2 {
        host.now_ms = story.time_ms;
        host.submit_all(&logged(&story, height)).unwrap();
        host.gathered().unwrap();
    }
    assert_eq!(host.ledger.height(), 2);
    story.time_ms += 1_000;
    host.now_ms = story.time_ms;
    host.done.clear();
    (story, host)
}

pub(crate) fn begun() -> (Story, Host) {
    begun_with(Clock::Wall, LIMITS, Settings::default())
}

/// The entries of a block of a story.
pub(crate) fn logged(story: &Story, height: u64) -> Vec<Entry> {
    let own = story.log.iter().filter(|logged| logged.height == height);
    own.map(|logged| logged.entry.clone()).collect()
}

pub(crate) fn sealed(story: &mut Story, deed: &Deed) -> Entry {
    let entry = story.seal(deed);
    story.serial += 1;
    entry
}

/// Descriptions of assets, which have nothing to do with each other.
pub(crate) fn assets(story: &mut Story, name: &str, count: usize) -> Vec<Entry> {
    let name = |number: usize| format!("{name}-{number}");
    (0..count).map(|number| sealed(story, &acts::asset_described(&name(number)))).collect()
}

/// One of 16 KB.
fn bulky(story: &mut Story, name: &str) -> Entry {
    let deed = acts::asset_described(name).with(|event: &mut AssetDescribed| {
        event.description.as_mut().unwrap().summary = "\u{20000}".repeat(4_000);
    });
    sealed(story, &deed)
}

fn ids(entries: &[Entry]) -> Vec<ledger_format::digest::EntryId> {
    entries.iter().map(Entry::id).collect()
}

#[test]
fn without_an_entry_nothing_happens() {
    let story = Story::before_genesis(Clock::Wall, "2026-08-03");
    for clock_ms in [0, story.time_ms, u64::MAX] {
        let mut host = Host::start(Disk::new(story.genesis.clone()), Settings::default()).unwrap();
        host.now_ms = clock_ms;
        assert!(host.done.is_empty() && host.timers.is_empty());
        // A call that nobody asked for.
        for _ in 0..3 {
            assert!(host.step(Event::Gathered).is_empty());
        }
    }
    // Nor after a block, nor when all entries were refused: no empty block.
    let (mut story, mut host) = begun();
    assert!(host.step(Event::Gathered).is_empty() && host.timers.is_empty());
    let nothing = sealed(&mut story, &acts::asset_revised("none", |_| ()));
    host.submit(&nothing).unwrap();
    host.gathered().unwrap();
    assert_eq!(host.done, ["gather", "refused"]);
    assert_eq!(host.refused, [(nothing.id(), Code::SubjectUnknown)]);
    assert!(host.step(Event::Gathered).is_empty() && host.timers.is_empty());
    assert_eq!(host.ledger.height(), 2);
    assert_eq!(host.replica.pool_size(), (0, 0));
}

#[test]
fn entries_gather_and_one_block_takes_them_all() {
    let (mut story, mut host) = begun();
    let entries = assets(&mut story, "rain", 40);
    host.submit_all(&entries).unwrap();
    // The time to gather is asked for once, by the first.
    assert_eq!(host.done, ["gather"]);
    let bytes = entries.iter().map(|entry| entry.bytes().len()).sum();
    assert_eq!(host.replica.pool_size(), (40, bytes));
    host.gathered().unwrap();
    assert_eq!(host.ledger.height(), 3);
    assert_eq!(host.entries(3), ids(&entries));
    assert_eq!(host.replica.pool_size(), (0, 0));
    assert!(host.timers.is_empty(), "a decided height leaves no timer");
    // Silent again: the next entry gathers again.
    host.done.clear();
    host.submit_all(&assets(&mut story, "sun", 2)).unwrap();
    assert_eq!(host.done, ["gather"]);
}

#[test]
fn while_a_height_is_decided_entries_wait_for_the_next() {
    let (mut story, mut host) = begun();
    let first = assets(&mut story, "rain", 2);
    let second = assets(&mut story, "sun", 3);
    host.submit_all(&first).unwrap();
    host.gathering = false;
    let actions = host.step(Event::Gathered);
    assert!(matches!(actions.last(), Some(Action::Commit(_))));
    // The block is on its way to the disk.
    for entry in &second {
        assert!(host.step(Event::Submitted(Box::new(entry.clone()))).is_empty());
    }
    assert!(host.step(Event::Gathered).is_empty());
    // Entries of the block that is being decided are no longer in the pool, the others are.
    assert_eq!(host.replica.pool_size().0, 3);
    host.carry_out(actions).unwrap();
    // The next height follows at once, without gathering.
    assert!(
        !host.done.contains(&"gather") || host.done.iter().filter(|d| **d == "gather").count() == 1
    );
    assert_eq!(host.ledger.height(), 4);
    assert_eq!((host.entries(3), host.entries(4)), (ids(&first), ids(&second)));
}

#[test]
fn blocks_keep_to_the_caps_of_genesis() {
    let limits = Limits { block_entries: 15, block_bytes: 128 * 1024, ..LIMITS };
    let (mut story, mut host) = begun_with(Clock::Wall, limits, Settings::default());
    let entries = assets(&mut story, "rain", 37);
    host.submit_all(&entries).unwrap();
    host.gathered().unwrap();
    assert_eq!(host.ledger.height(), 5);
    let all: Vec<_> = (3..=5).map(|height| host.entries(height)).collect();
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [15, 15, 7]);
    assert_eq!(all.concat(), ids(&entries));

    // By bytes, header and lengths included: as many as fit, in order, and the rest in the next.
    let names = (0..20).map(|number| format!("bulky-{number}"));
    let entries: Vec<Entry> = names.map(|name| bulky(&mut story, &name)).collect();
    host.submit_all(&entries).unwrap();
    host.gathered().unwrap();
    let cap = usize::try_from(limits.block_bytes).unwrap();
    let mut found = Vec::new();
    for height in 6..=usize::try_from(host.ledger.height()).unwrap() {
        let body = &host.disk.blocks[height - 1].body;
        let bytes = body.encode().len();
        assert!(bytes <= cap && bytes > HEADER_BYTES);
        found.extend(host.entries(height));
        if found.len() < entries.len() {
            let next = &entries[found.len()];
            assert!(bytes + 2 + next.bytes().len() > cap, "height {height} had room");
        }
    }
    assert_eq!(found, ids(&entries));
    assert!(host.refused.is_empty());
}

#[test]
fn the_longest_entry_gets_its_verdict_and_makes_room() {
    let limits = Limits { block_bytes: 128 * 1024, ..LIMITS };
    for clock in [Clock::Wall, Clock::Declared] {
        let (mut story, mut host) = begun_with(clock, limits, Settings::default());
        // Longer than the rules allow, and as long as an entry can be.
        let filled = |length: usize| {
            acts::asset_described("huge").with(|event: &mut AssetDescribed| {
                event.description.as_mut().unwrap().summary = "x".repeat(length);
            })
        };
        let spare = 65_535 - story.seal(&filled(60_000)).bytes().len();
        let huge = sealed(&mut story, &filled(60_000 + spare));
        assert_eq!(huge.bytes().len(), 65_535);
        let small = assets(&mut story, "rain", 1);
        for entry in [&huge, &small[0]] {
            host.submit(entry).unwrap();
        }
        host.gathered().unwrap();
        assert_eq!(host.refused, [(huge.id(), Code::Field)]);
        assert_eq!(host.entries(3), ids(&small));
    }
}

#[test]
fn a_refused_entry_is_told_so_and_holds_up_nobody() {
    let (mut story, mut host) = begun();
    let good = assets(&mut story, "rain", 5);
    let twice = sealed(&mut story, &acts::asset_described("rain-1"));
    let unknown = sealed(&mut story, &acts::asset_revised("none", |_| ()));
    let far = Deed { issued_after_s: 3_600, ..acts::asset_described("later") };
    let far = sealed(&mut story, &far);
    let conflict = Deed { nonce: Some(good[0].claims().nonce), ..acts::asset_described("again") };
    let conflict = sealed(&mut story, &conflict);
    let order =
        [&unknown, &good[0], &good[1], &far, &twice, &good[2], &conflict, &good[3], &good[4]];
    for entry in order {
        host.submit(entry).unwrap();
    }
    host.gathered().unwrap();
    let expected = [
        (unknown.id(), Code::SubjectUnknown),
        (far.id(), Code::Ahead),
        (twice.id(), Code::SubjectExists),
        (conflict.id(), Code::Conflict),
    ];
    assert_eq!(host.refused, expected);
    assert_eq!(host.entries(3), ids(&good));
    // They are told before the block is decided, and the pool keeps none of them.
    let position = |name: &str| host.done.iter().position(|done| *done == name).unwrap();
    assert!(position("refused") < position("commit"));
    assert_eq!(host.replica.pool_size(), (0, 0));

    // One that is in the log already.
    host.refused.clear();
    host.submit(&good[0]).unwrap();
    host.gathered().unwrap();
    assert_eq!(host.refused, [(good[0].id(), Code::Duplicate)]);
    assert_eq!(host.ledger.height(), 3);
}

#[test]
fn on_a_declared_clock_each_block_has_the_time_of_its_first_entry() {
    let (mut story, mut host) = begun_with(Clock::Declared, LIMITS, Settings::default());
    let mut entries = Vec::new();
    for (number, after_s) in [0, 0, 50, 50, 20, 100].into_iter().enumerate() {
        let deed = acts::asset_described(&format!("rain-{number}"));
        entries.push(sealed(&mut story, &Deed { issued_after_s: after_s, ..deed }));
    }
    host.now_ms = u64::MAX;
    host.submit_all(&entries).unwrap();
    host.gathered().unwrap();
    let ids = ids(&entries);
    let found: Vec<_> = (3..=5).map(|height| host.entries(height)).collect();
    assert_eq!(found, [&ids[..2], &ids[2..5], &ids[5..]]);
    let times = [0, 50_000, 100_000].map(|after_ms| story.time_ms + after_ms);
    let headers = host.disk.blocks[2..].iter().map(|block| block.body.header.time_ms);
    assert_eq!(headers.collect::<Vec<_>>(), times);
}

#[test]
fn body_proposal_and_votes_are_durable_before_the_block_is() {
    let (mut story, mut host) = begun();
    host.submit_all(&assets(&mut story, "rain", 3)).unwrap();
    let actions = host.step(Event::Gathered);
    let at = |wanted: fn(&Action) -> bool| actions.iter().position(wanted).unwrap();
    let commit = at(|action| matches!(action, Action::Commit(_)));
    let flush = at(|action| matches!(action, Action::FlushLog));
    assert_eq!(commit, actions.len() - 1);
    assert!(matches!(actions[commit - 1], Action::CancelTimers));
    let logged = |from: usize, to: usize| -> Vec<Vec<u8>> {
        let record = |action: &Action| match action {
            Action::Log(record) => Some(record.clone()),
            _ => None,
        };
        actions[from..to].iter().filter_map(record).collect()
    };
    // Everything that was signed is in the log before the flush, and nothing is logged between flush and commit.
    assert!(logged(flush, commit).is_empty());
    let before = logged(0, flush);
    let mut notary = Notary::new(story.genesis.id());
    notary.read_log(&before);
    let slots = [Kind::Proposal, Kind::Prevote, Kind::Precommit].map(|kind| (3, 0, kind));
    assert_eq!(notary.slots(3), slots);
    // The body comes before the first signature for it.
    let mut notary = Notary::new(story.genesis.id());
    notary.read_log(&before[..1]);
    assert!(notary.slots(3).is_empty());
    let Action::Commit(decided) = &actions[commit] else { panic!("no commit") };
    let body = decided.block.body.encode();
    assert!(before[0].windows(body.len()).any(|window| window == body));
    assert_eq!(decided.block.certificate.signatures.len(), 1);
    // Nobody else has it.
    assert!(!decided.is_with_quorum);
    assert_eq!(decided.executed.header, decided.block.body.header);
}

#[test]
fn timers_of_a_height_that_is_over_do_nothing() {
    let (mut story, mut host) = begun();
    let mut old = Vec::new();
    for name in ["rain", "sun"] {
        host.submit_all(&assets(&mut story, name, 1)).unwrap();
        host.gathering = false;
        let actions = host.step(Event::Gathered);
        old.extend(actions.iter().filter_map(|action| match action {
            Action::SetTimer(timer, after) => {
                assert!(!after.is_zero());
                Some(*timer)
            }
            _ => None,
        }));
        host.carry_out(actions).unwrap();
    }
    assert!(old.len() >= 4, "{old:?}");
    let height = host.ledger.height();
    for timer in &old {
        assert!(host.step(Event::TimerFired(*timer)).is_empty());
    }
    // And the next height goes as any other.
    host.submit_all(&assets(&mut story, "moon", 1)).unwrap();
    host.gathered().unwrap();
    assert_eq!(host.ledger.height(), height + 1);
}
