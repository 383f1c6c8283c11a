//! V2 and V3: which rule sets and calendars can be published, since whoever counts by them cannot refuse (docs/spec/rules.md, rule sets
//! and calendars).

use ledger_event::{
    Calendar, CalendarPublished, DeliveryMode, RegistrationRules, RuleSet, RuleSetPublished,
};
use ledger_rules::Code;
use ledger_story::Story;
use ledger_story::acts::{calendar_published, rule_set_published};
use ledger_story::data::{calendar, cn_nda_2026};

/// What the second version of the national rules meets with a change.
fn with_rules(change: impl FnOnce(&mut RuleSet)) -> Option<Code> {
    let mut rules = cn_nda_2026();
    rules.version = 2;
    change(&mut rules);
    Story::opened().refusal(&rule_set_published(&rules))
}

/// What the next year's calendar meets with a change.
fn with_calendar(change: impl FnOnce(&mut Calendar)) -> Option<Code> {
    let mut next = Calendar {
        id: "CN".into(),
        year: 2027,
        // New Year's Day is a Friday; the second a Saturday, and the third a Sunday.
        holidays: vec![101, 104],
        workdays: vec![102, 103],
        source: "invented for a test".into(),
    };
    change(&mut next);
    Story::opened().refusal(&calendar_published(&next))
}

// --- rule sets -----------------------------------------------------------------------------------------------------------

#[test]
fn a_rule_set_has_an_id_and_a_version_and_says_whose_it_is() {
    assert_eq!(with_rules(|_| {}), None);
    assert_eq!(with_rules(|rules| rules.id = "cn.NDA-2026".into()), None);
    for id in ["CN_NDA", "CN~NDA", "CN/NDA"] {
        assert_eq!(with_rules(|rules| rules.id = id.into()), Some(Code::Field), "{id}");
    }
    assert_eq!(with_rules(|rules| rules.version = 0), Some(Code::Field));
    for (characters, refusal) in [(0, Some(Code::Field)), (400, None), (401, Some(Code::Field))] {
        let text = "规".repeat(characters);
        assert_eq!(with_rules(|rules| rules.title.clone_from(&text)), refusal, "{characters}");
        assert_eq!(with_rules(|rules| rules.source = text), refusal, "{characters}");
    }
    for place in ["", "cn", "CHN"] {
        let found = with_rules(|rules| rules.jurisdiction = place.into());
        assert_eq!(found, Some(Code::Field), "{place:?}");
    }
    let without = rule_set_published(&cn_nda_2026()).with(|event: &mut RuleSetPublished| {
        event.rule_set = None;
    });
    let without = without.about("ruleset:CN-NDA-2026/2");
    assert_eq!(Story::opened().refusal(&without), Some(Code::Field));
}

#[test]
fn a_rule_set_is_in_force_from_a_day_on_and_maybe_to_another() {
    for (from, to, refusal) in [
        (20_260_801, 0, None),
        (20_260_801, 20_260_801, None),
        (20_260_801, 20_260_802, None),
        (20_260_802, 20_260_801, Some(Code::Field)),
        (0, 0, Some(Code::Field)),
        (0, 20_260_801, Some(Code::Field)),
        (20_260_230, 0, Some(Code::Field)),
        (20_260_801, 20_270_229, Some(Code::Field)),
    ] {
        let found = with_rules(|rules| (rules.effective_from, rules.effective_to) = (from, to));
        assert_eq!(found, refusal, "{from} to {to}");
    }
}

#[test]
fn a_rule_set_has_a_zone_and_a_calendar() {
    for (minutes, refusal) in [
        (0, None),
        (840, None),
        (-840, None),
        (841, Some(Code::Field)),
        (-841, Some(Code::Field)),
        (i32::MAX, Some(Code::Field)),
        (i32::MIN, Some(Code::Field)),
    ] {
        assert_eq!(with_rules(|rules| rules.utc_offset_minutes = minutes), refusal, "{minutes}");
    }
    for id in ["", "C-N", "CN/2026", "中国"] {
        assert_eq!(with_rules(|rules| rules.calendar = id.into()), Some(Code::Field), "{id:?}");
    }
}

#[test]
fn a_rule_set_has_all_its_parts() {
    assert_eq!(with_rules(|rules| rules.registration = None), Some(Code::Field));
    assert_eq!(with_rules(|rules| rules.trade = None), Some(Code::Field));
    assert_eq!(with_rules(|rules| rules.delivery = None), Some(Code::Field));
}

/// No count of days that a rule set asks for is longer than a year of them.
#[test]
fn counts_of_a_rule_set_are_bounded() {
    type Count = fn(&mut RegistrationRules) -> &mut u32;
    let counts: [Count; 4] = [
        |r| &mut r.acceptance_days,
        |r| &mut r.notice_days,
        |r| &mut r.whole_days,
        |r| &mut r.extension_days,
    ];
    let with = |field: Count, value: u32| {
        with_rules(|rules| *field(rules.registration.as_mut().unwrap()) = value)
    };
    for (number, field) in counts.into_iter().enumerate() {
        for (days, refusal) in [(0, None), (366, None), (367, Some(Code::Field))] {
            assert_eq!(with(field, days), refusal, "count {number} of {days}");
        }
    }
    for (years, refusal) in
        [(0, Some(Code::Field)), (1, None), (100, None), (101, Some(Code::Field))]
    {
        assert_eq!(with(|r| &mut r.validity_years, years), refusal, "{years} years");
    }
}

#[test]
fn certificates_of_a_rule_set_begin_with_two_letters() {
    for (prefix, refusal) in [
        ("HK", None),
        ("", Some(Code::Field)),
        ("S", Some(Code::Field)),
        ("SJX", Some(Code::Field)),
        ("sj", Some(Code::Field)),
        ("S1", Some(Code::Field)),
    ] {
        let found = with_rules(|rules| {
            rules.registration.as_mut().unwrap().certificate_prefix = prefix.into();
        });
        assert_eq!(found, refusal, "{prefix:?}");
    }
}

#[test]
fn modes_of_a_rule_set_are_stated() {
    let none = i32::from(DeliveryMode::Unspecified);
    let compute = with_rules(|rules| rules.delivery.as_mut().unwrap().compute_modes.push(none));
    assert_eq!(compute, Some(Code::Field));
    let important = with_rules(|rules| rules.delivery.as_mut().unwrap().important_modes.push(none));
    assert_eq!(important, Some(Code::Field));
}

// --- calendars -----------------------------------------------------------------------------------------------------------

#[test]
fn a_calendar_has_an_id_a_year_and_a_source() {
    assert_eq!(with_calendar(|_| {}), None);
    for id in ["C-N", "C_N"] {
        assert_eq!(with_calendar(|calendar| calendar.id = id.into()), Some(Code::Field), "{id}");
    }
    let empty = |year: u32| {
        with_calendar(|calendar| {
            *calendar = Calendar { year, ..calendar.clone() };
            (calendar.holidays, calendar.workdays) = (vec![], vec![]);
        })
    };
    for (year, refusal) in
        [(1_969, Some(Code::Field)), (1_970, None), (9_998, None), (9_999, Some(Code::Field))]
    {
        assert_eq!(empty(year), refusal, "{year}");
    }
    assert_eq!(with_calendar(|calendar| calendar.source.clear()), Some(Code::Field));
    let without = calendar_published(&calendar("HK-2026"))
        .with(|event: &mut CalendarPublished| event.calendar = None);
    assert_eq!(Story::opened().refusal(&without), Some(Code::Field));
}

#[test]
fn days_of_a_calendar_ascend_and_exist() {
    for days in [
        vec![104, 101],
        vec![101, 101],
        vec![229],
        vec![0],
        vec![1_301],
        vec![1_232],
        // A day of the year after, as if it were one of this.
        vec![10_103],
    ] {
        let holidays = with_calendar(|calendar| calendar.holidays.clone_from(&days));
        assert_eq!(holidays, Some(Code::Field), "holidays {days:?}");
    }
    for days in [vec![103, 102], vec![102, 102], vec![228, 229], vec![10_101]] {
        let workdays = with_calendar(|calendar| calendar.workdays.clone_from(&days));
        assert_eq!(workdays, Some(Code::Field), "workdays {days:?}");
    }
}

/// What the weekday says already is not listed: a list that does so was made for another year.
#[test]
fn a_calendar_lists_what_the_weekday_gets_wrong() {
    for day in [102, 103] {
        let holidays = with_calendar(|calendar| calendar.holidays = vec![day]);
        assert_eq!(holidays, Some(Code::Field), "{day} is a weekend");
    }
    for day in [101, 104] {
        let workdays = with_calendar(|calendar| calendar.workdays = vec![day]);
        assert_eq!(workdays, Some(Code::Field), "{day} is none");
    }
}
