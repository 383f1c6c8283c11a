//! Keys take effect, and lose it, from the block after: a block is judged by the keys that the state before it has.

use ledger_event::{Clock, Purpose, Role};
use ledger_format::entry::Entry;
use ledger_replay::Replay;
use ledger_rules::Code;
use ledger_story::acts;
use ledger_story::cast::{EXCHANGE, Label, REVIEWER, SUPPLIER};
use ledger_story::deed::{Deed, sign};
use ledger_story::{Story, china, validator};

use crate::chain::{Chain, begun, sealed};

fn described_with(label: Label, name: &str) -> Deed {
    acts::asset_described(name).signed_by(vec![sign(
        SUPPLIER,
        label,
        Role::Supplier,
        Purpose::Issue,
    )])
}

/// What the next block says of each entry.
fn verdicts(chain: &Chain, now_ms: u64, entries: &[&Entry]) -> Vec<Option<Code>> {
    let proposal = chain.ledger.propose(validator(), now_ms, entries);
    let code = |number: usize| {
        let refused = proposal.refused.iter().find(|(refused, _)| *refused == number);
        assert_eq!(refused.is_none(), proposal.included.contains(&number));
        refused.map(|(_, refusal)| refusal.code)
    };
    (0..entries.len()).map(code).collect()
}

fn accepted(chain: &Chain) {
    let mut replay = Replay::new(chain.genesis().clone()).unwrap();
    for block in &chain.blocks {
        replay.push(block, |_| ()).unwrap();
    }
    replay.finish().unwrap();
}

#[test]
fn a_revoked_key_is_good_for_the_rest_of_its_block_and_no_longer() {
    let (mut story, mut chain) = begun(Clock::Wall);
    let now_ms = story.time_ms;
    let before = sealed(&mut story, &described_with(Label::Li, "one"));
    let revoked = sealed(&mut story, &acts::key_revoked(SUPPLIER, Label::Li));
    let after = sealed(&mut story, &described_with(Label::Li, "two"));
    let later = sealed(&mut story, &described_with(Label::Li, "three"));
    let other = sealed(&mut story, &described_with(Label::SpareLi, "four"));

    chain.take(now_ms, &[&before, &revoked, &after]);
    assert_eq!(verdicts(&chain, now_ms, &[&later, &other]), [Some(Code::KeyInactive), None]);
    // Signed before the revocation or not: what counts is the block.
    let again = sealed(&mut story, &acts::key_revoked(SUPPLIER, Label::Li));
    assert_eq!(verdicts(&chain, now_ms, &[&again]), [Some(Code::KeyInactive)]);
    chain.take(now_ms, &[&other]);
    accepted(&chain);
}

#[test]
fn a_key_can_be_revoked_once_in_a_block_too() {
    let (mut story, chain) = begun(Clock::Wall);
    let now_ms = story.time_ms;
    let first = sealed(&mut story, &acts::key_revoked(SUPPLIER, Label::Li));
    let second = sealed(&mut story, &acts::key_revoked(SUPPLIER, Label::Li));
    assert_eq!(verdicts(&chain, now_ms, &[&first, &second]), [None, Some(Code::KeyInactive)]);
}

#[test]
fn an_enrolled_key_signs_from_the_block_after() {
    let (mut story, mut chain) = begun(Clock::Wall);
    let now_ms = story.time_ms;
    let early = sealed(&mut story, &described_with(Label::Fresh, "one"));
    let enrolled = sealed(&mut story, &acts::key_enrolled(SUPPLIER, Label::Fresh));
    let same = sealed(&mut story, &described_with(Label::Fresh, "two"));
    let all = [&early, &enrolled, &same];
    let unknown = Some(Code::KeyUnknown);
    assert_eq!(verdicts(&chain, now_ms, &all), [unknown, None, unknown]);
    chain.take(now_ms, &[&enrolled]);
    chain.take(now_ms, &[&same, &early]);
    accepted(&chain);
}

#[test]
fn a_party_and_its_roles_count_from_the_block_after() {
    let mut story = Story::before_genesis(Clock::Wall, "2026-08-03").in_earnest().begun();
    let mut first = Chain::up_to(&story, 1);
    story.time_ms = china("2026-08-03");
    let admitted =
        [SUPPLIER, REVIEWER].map(|party| sealed(&mut story, &acts::party_admitted(party)));
    let described = sealed(&mut story, &acts::asset_described("one"));
    let all = [&admitted[0], &admitted[1], &described];
    let unknown = Some(Code::KeyUnknown);
    assert_eq!(verdicts(&first, story.time_ms, &all), [None, None, unknown]);
    first.take(story.time_ms, &all[..2]);
    // Subjects move entry by entry: what one entry opened the next may use.
    let history = sealed(&mut story, &acts::history_by_exchange("one"));
    assert_eq!(history.claims().issuer, EXCHANGE);
    assert_eq!(
        verdicts(&first, story.time_ms, &[&history, &described]),
        [Some(Code::SubjectUnknown), None]
    );
    first.take(story.time_ms, &[&described, &history]);
    accepted(&first);
}
