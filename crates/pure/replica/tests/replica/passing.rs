//! Entries that a follower passes on: whom it believes that they are refused, and whom a validator tells.

use bytes::Bytes;
use ledger_event::Clock;
use ledger_format::digest::{EntryId, KeyId};
use ledger_format::entry::Entry;
use ledger_format::genesis::GenesisDocument;
use ledger_replay::Ledger;
use ledger_replica::{Action, Addressed, Event, Message, Replica, Settings, Timer};
use ledger_story::deed::Place;
use ledger_story::{LIMITS, acts, china, data, genesis_of, validator_key_of};

const NAMES: [&str; 4] = ["a-", "b-", "c-", "d-"];
const FOLLOWER: KeyId = KeyId([7; 32]);

fn genesis() -> GenesisDocument {
    genesis_of(&NAMES, Clock::Wall, china("2026-08-03"), LIMITS)
}

/// A node before the first block. It takes only what founders signed: genesis first.
struct One {
    ledger: Ledger,
    replica: Replica,
}

impl One {
    fn follower() -> Self {
        let ledger = Ledger::new(genesis()).unwrap();
        Self { ledger, replica: Replica::follow(FOLLOWER, Settings::default()) }
    }

    fn validator(name: &str) -> Self {
        let ledger = Ledger::new(genesis()).unwrap();
        let key = validator_key_of(name, "vote");
        let (replica, _) = Replica::start(&ledger, vec![key], Settings::default(), &[]).unwrap();
        Self { ledger, replica }
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.tell_after(0, event)
    }

    fn tell_after(&mut self, after_ms: u64, event: Event) -> Vec<Action> {
        self.replica.step(&self.ledger, china("2026-08-03") + after_ms, event).unwrap()
    }

    fn hears(&mut self, from: KeyId, message: Message) -> Vec<Action> {
        self.tell(Event::Received { from, message })
    }
}

fn validators() -> [KeyId; 4] {
    NAMES.map(|name| KeyId::of(validator_key_of(name, "vote").verifying_key().as_bytes()))
}

fn sealed(deed: &ledger_story::deed::Deed) -> Entry {
    sealed_again(deed, 0)
}

/// The same deed, as another entry for each number.
fn sealed_again(deed: &ledger_story::deed::Deed, serial: u64) -> Entry {
    let genesis = genesis();
    let (ledger, time_ms) = (genesis.id(), genesis.message().start_ms);
    deed.seal(&Place { ledger, time_ms, head: Vec::new(), serial, signed: true })
}

/// What no ledger takes before its genesis.
fn refusable() -> Entry {
    sealed(&acts::calendar_published(&data::calendar("CN-2026")))
}

fn acceptable() -> Entry {
    sealed(&acts::genesis_published(&genesis()))
}

fn submitted(entry: &Entry) -> Event {
    Event::Submitted(Box::new(entry.clone()))
}

fn refused(actions: &[Action]) -> Vec<(EntryId, String)> {
    let refused = |action: &Action| match action {
        Action::Refused(id, refusal) => Some((*id, refusal.to_string())),
        _ => None,
    };
    actions.iter().filter_map(refused).collect()
}

fn passed_on(actions: &[Action]) -> bool {
    let entries =
        |action: &Action| matches!(action, Action::Broadcast(said) if said.kind() == "entries");
    actions.iter().any(entries)
}

fn timer(actions: &[Action]) -> Option<Timer> {
    actions.iter().find_map(|action| match action {
        Action::SetTimer(timer, _) => Some(*timer),
        _ => None,
    })
}

#[test]
fn one_validator_alone_makes_nobody_believe_that_an_entry_is_refused() {
    let (mut follower, entry, [a, b, ..]) = (One::follower(), refusable(), validators());
    let _waits = follower.tell(submitted(&entry));
    let verdict = || Message::refused(1, &entry.id(), "GENESIS_PLACE");
    for from in [a, a, FOLLOWER, KeyId([8; 32]), a] {
        assert!(refused(&follower.hears(from, verdict())).is_empty());
    }
    let told = refused(&follower.hears(b, verdict()));
    assert_eq!(told.len(), 1);
    let (id, why) = &told[0];
    assert_eq!(*id, entry.id());
    assert!(why.starts_with("GENESIS_PLACE: "), "{why}");
    for validator in [a, b] {
        assert!(why.contains(&validator.to_string()[..16]), "{why}");
    }
    // It is over: nothing waits, and further verdicts have nothing to be about.
    assert!(!follower.replica.is_waiting(&entry.id()));
    assert!(follower.hears(validators()[2], verdict()).is_empty());
}

#[test]
fn what_the_follower_itself_would_take_is_not_refused_and_is_passed_on_again() {
    let (mut follower, entry) = (One::follower(), acceptable());
    let _waits = follower.tell(submitted(&entry));
    let [a, b, ..] = validators();
    for from in [a, b] {
        let actions = follower.hears(from, Message::refused(1, &entry.id(), "FIELD_VALUE"));
        assert!(refused(&actions).is_empty());
        assert_eq!(passed_on(&actions), from == b);
    }
    assert!(follower.replica.is_waiting(&entry.id()));
}

#[test]
fn a_verdict_on_a_height_that_the_follower_has_not_reached_waits_for_it() {
    let (mut follower, entry) = (One::follower(), refusable());
    let _waits = follower.tell(submitted(&entry));
    let [a, b, c, _] = validators();
    for from in [a, b, c] {
        let actions = follower.hears(from, Message::refused(2, &entry.id(), "PRIOR_STALE"));
        assert!(actions.is_empty(), "{actions:?}");
    }
    assert!(follower.replica.is_waiting(&entry.id()));
}

#[test]
fn what_still_waits_is_passed_on_again() {
    let (mut follower, entry) = (One::follower(), acceptable());
    let again = timer(&follower.tell(submitted(&entry))).unwrap();
    let actions = follower.tell(Event::TimerFired(again));
    assert!(passed_on(&actions));
    // And whoever comes back hears of it.
    let connected = follower.tell(Event::Connected(validators()[0]));
    let told =
        |action: &Action| matches!(action, Action::Send(_, said) if said.kind() == "entries");
    assert!(connected.iter().any(told));
    let next = timer(&actions).unwrap();
    let [a, b, ..] = validators();
    let refusable = refusable();
    let _waits = follower.tell(submitted(&refusable));
    for from in [a, b] {
        let _told = follower.hears(from, Message::refused(1, &refusable.id(), "GENESIS_PLACE"));
    }
    assert!(passed_on(&follower.tell(Event::TimerFired(next))), "the other one still waits");
}

#[test]
fn a_flood_that_is_refused_is_passed_on_as_soon_as_the_last_part_was() {
    const FLOOD: usize = 1_100;
    let mut follower = One::follower();
    let deed = acts::calendar_published(&data::calendar("CN-2026"));
    let mut timers: Vec<Timer> = Vec::new();
    for serial in 0..FLOOD {
        let entry = sealed_again(&deed, serial as u64);
        timers.extend(timer(&follower.tell(submitted(&entry))));
    }
    // Whatever is passed on, two validators refuse, and no time goes by.
    let mut waits = of_entries(follower.tell(Event::TimerFired(timers[0])));
    let (mut messages, mut over) = (0, 0);
    while !waits.is_empty() {
        messages += 1;
        let mut more = Vec::new();
        for bytes in std::mem::take(&mut waits) {
            let id = Entry::decode(bytes.into()).unwrap().id();
            for from in &validators()[..2] {
                let actions = follower.hears(*from, Message::refused(1, &id, "GENESIS_PLACE"));
                over += refused(&actions).len();
                more.extend(of_entries(actions));
            }
        }
        waits = more;
    }
    assert_eq!((messages, over), (3, FLOOD));
}

/// The entries that are passed on to everybody.
fn of_entries(actions: Vec<Action>) -> Vec<Vec<u8>> {
    let entries = |action: Action| match action {
        Action::Broadcast(said) => match said.addressed() {
            Addressed::Intake { entries, .. } => entries,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    actions.into_iter().flat_map(entries).collect()
}

#[test]
fn what_nobody_decides_about_does_not_stand_before_the_rest() {
    const FLOOD: u64 = 600;
    let mut follower = One::follower();
    let deed = acts::calendar_published(&data::calendar("CN-2026"));
    let mut entries = Vec::new();
    let mut again = None;
    for serial in 0..FLOOD {
        let entry = sealed_again(&deed, serial);
        again = again.or(timer(&follower.tell(submitted(&entry))));
        entries.push(entry.bytes().to_vec());
    }
    let (first, rest) = entries.split_at(512);
    for part in [first, rest, first] {
        let actions = follower.tell(Event::TimerFired(again.unwrap()));
        again = timer(&actions);
        assert_eq!(of_entries(actions), part);
    }
}

fn brought_by(from: KeyId, entry: &Entry) -> Event {
    Event::PassedOn { from, entry: Box::new(entry.clone()) }
}

/// What goes on that another node has brought.
fn goes_on(actions: &[Action]) -> Vec<Bytes> {
    let entry = |action: &Action| match action {
        Action::PassOn(entry) => Some(entry.clone()),
        _ => None,
    };
    actions.iter().filter_map(entry).collect()
}

#[test]
fn a_follower_passes_on_once_in_a_while_what_another_one_passed_on_and_keeps_nothing_of_it() {
    let (mut follower, entry) = (One::follower(), refusable());
    let (one, other) = (KeyId([8; 32]), KeyId([9; 32]));
    let first = follower.tell(brought_by(one, &entry));
    assert_eq!((first.len(), goes_on(&first)), (1, vec![entry.bytes().clone()]));
    assert!(!follower.replica.is_waiting(&entry.id()));
    for from in [one, other] {
        assert!(follower.tell_after(3_900, brought_by(from, &entry)).is_empty());
    }
    // Its own node passes it on every five seconds.
    assert_eq!(goes_on(&follower.tell_after(5_000, brought_by(one, &entry))).len(), 1);
    // A client of this node may submit it as well: then it waits, and goes on as what clients submit.
    assert!(timer(&follower.tell_after(5_001, submitted(&entry))).is_some());
    assert!(follower.replica.is_waiting(&entry.id()));
    assert!(follower.tell_after(20_000, brought_by(one, &entry)).is_empty());
}

#[test]
fn what_goes_round_among_followers_comes_to_an_end() {
    let entry = acceptable();
    let mut followers = [One::follower(), One::follower(), One::follower()];
    // Each is connected with both others, and an entry comes in at the first.
    let mut on_its_way = vec![0];
    let mut passed_on = 0;
    while let Some(to) = on_its_way.pop() {
        let actions = followers[to].tell(brought_by(FOLLOWER, &entry));
        if !goes_on(&actions).is_empty() {
            passed_on += 1;
            on_its_way.extend((0..3).filter(|other| *other != to));
        }
        assert!(passed_on <= 3, "it goes round and round");
    }
    assert_eq!(passed_on, 3);
}

#[test]
fn what_clients_sent_is_passed_on_in_messages_that_everybody_takes() {
    const MOST: usize = 512 * 1024;
    let follower = One::follower().replica;
    let entries: Vec<Bytes> = [3, MOST - 3, 1, MOST + 1, 5]
        .iter()
        .map(|length| vec![7_u8; *length].into())
        .chain((0..1_000).map(|_| vec![8_u8; 2].into()))
        .collect();
    let messages = follower.relay_all(&entries);
    let parts: Vec<Vec<Vec<u8>>> = messages
        .into_iter()
        .map(|message| match message.addressed() {
            Addressed::Intake { entries, asked: true } => entries,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(parts.concat(), entries.iter().map(|entry| entry.to_vec()).collect::<Vec<_>>());
    for part in &parts {
        let bytes: usize = part.iter().map(Vec::len).sum();
        assert!(part.len() == 1 || bytes <= MOST, "{bytes} bytes");
    }
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 512, 489]);
}

#[test]
fn a_validator_tells_the_follower_whose_entry_it_drops_and_nobody_else() {
    for name in NAMES {
        let (mut validator, entry) = (One::validator(name), refusable());
        let (other, stranger) = (KeyId([8; 32]), KeyId([9; 32]));
        let mut actions = Vec::new();
        for from in [FOLLOWER, other, FOLLOWER] {
            actions
                .extend(validator.tell(Event::PassedOn { from, entry: Box::new(entry.clone()) }));
        }
        // Whose turn it is gathers; the others lose patience.
        actions.extend(match timer(&actions) {
            Some(patience) => validator.tell(Event::TimerFired(patience)),
            None => validator.tell(Event::Gathered),
        });
        let told = actions.iter().filter_map(|action| match action {
            Action::Send(to, message) => Some((*to, message.clone())),
            _ => None,
        });
        let verdict = Message::refused(1, &entry.id(), "GENESIS_PLACE");
        let expected = [FOLLOWER, other].map(|to| (to, verdict.clone()));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(refused(&actions).len(), 1);
        assert!(!expected.iter().any(|(to, _)| *to == stranger));
    }
}
