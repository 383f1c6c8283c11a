//! Time: what silence does, when periods end, and when a date is not determined.

use jiff::civil::{Date, date};
use ledger_event::{CertificateRecord, Clock, RegistrationRecord, RuleSet};
use ledger_rules::Code;
use ledger_rules::calendar::{Days, Undetermined, date_from_number, date_to_number};
use ledger_rules::registration::{
    Status, acceptance_by_silence, certificate_is_valid, is_overdue, last_answer_day,
    last_notice_day, status,
};
use ledger_rules::standing::{Standing, standing};
use ledger_rules::view::read;
use ledger_story::acts::{self, delivery, registration};
use ledger_story::data::{calendar, cn_nda_2026};
use ledger_story::{NUMBER, RAIN, Stage, State, Story, china};

fn days<'a>(story: &'a Story, rules: &'a RuleSet) -> Days<'a> {
    Days::new(rules, &story.state)
}

/// What the story's registration is at an instant in China.
fn status_at(story: &Story, at: &str) -> Result<Status, Undetermined> {
    let (rules, record) = (cn_nda_2026(), story.record(&registration(RAIN)));
    status(&record, &days(story, &rules), &rules, china(at))
}

fn overdue_at(story: &Story, at: &str) -> Result<bool, Undetermined> {
    let (rules, record) = (cn_nda_2026(), story.record(&registration(RAIN)));
    is_overdue(&record, &days(story, &rules), &rules, china(at))
}

fn standing_at(story: &Story, id: &str, at: &str) -> Standing {
    standing(&story.state, &read(&story.state, id).unwrap(), china(at))
}

/// An application on a day.
fn applied_on(at: &str) -> Story {
    Story::opened().described().on(at).applied()
}

/// A notice that was opened on a day, be it before the review: that times ascend is not the rules' business.
fn noticed_on(at: &str) -> Story {
    Story::before(Stage::Noticed).on(at).did(&acts::notice_opened(RAIN))
}

// --- working days --------------------------------------------------------------------------------------------------------

#[test]
fn working_days_over_holidays_and_the_weekends_that_make_up_for_them() {
    let (story, rules) = (Story::opened(), cn_nda_2026());
    let days = days(&story, &rules);
    for (from, count, expected) in [
        (date(2026, 9, 30), 5, date(2026, 10, 13)),
        (date(2026, 2, 13), 5, date(2026, 2, 27)),
        (date(2024, 9, 30), 5, date(2024, 10, 12)),
        (date(2025, 1, 24), 5, date(2025, 2, 7)),
        // Over the turn of a year of which both calendars are there.
        (date(2025, 12, 31), 1, date(2026, 1, 4)),
        (date(2026, 8, 3), 0, date(2026, 8, 3)),
    ] {
        assert_eq!(days.working_days_after(from, count), Ok(expected), "{count} after {from}");
        assert_eq!(days.working_days_between(from, expected), Ok(count), "{from} to {expected}");
    }
    // A Saturday that is worked, and the Sunday after it, which is not.
    assert_eq!(days.is_working(date(2026, 10, 10)), Ok(true));
    assert_eq!(days.is_working(date(2026, 10, 11)), Ok(false));
    // Back in time there are no days.
    assert_eq!(days.working_days_between(date(2026, 8, 5), date(2026, 8, 3)), Ok(0));
}

/// Compared with counting by hand, day by day, over all shipped years.
#[test]
fn working_days_agree_with_a_naive_count() {
    let (story, rules) = (Story::opened(), cn_nda_2026());
    let days = days(&story, &rules);
    let calendars = ledger_story::ANNOUNCED.map(calendar);
    let works = |day: Date| {
        let year = u32::try_from(day.year()).unwrap();
        let calendar = calendars.iter().find(|calendar| calendar.year == year).unwrap();
        let mmdd = date_to_number(day) % 10_000;
        let weekend = day.weekday().to_monday_zero_offset() >= 5;
        calendar.workdays.contains(&mmdd) || (!weekend && !calendar.holidays.contains(&mmdd))
    };
    let mut day = date(2024, 1, 1);
    while day < date(2026, 11, 1) {
        let mut expected = day;
        let mut left = 7;
        while left > 0 {
            expected = expected.tomorrow().unwrap();
            left -= u32::from(works(expected));
        }
        assert_eq!(days.working_days_after(day, 7), Ok(expected), "{day}");
        assert_eq!(days.is_working(day), Ok(works(day)), "{day}");
        day = day.tomorrow().unwrap();
    }
}

#[test]
fn nothing_is_counted_past_the_last_calendar() {
    let (story, rules) = (Story::opened(), cn_nda_2026());
    let days = days(&story, &rules);
    let missing = Undetermined { calendar: "CN".into(), year: 2027 };
    assert_eq!(days.working_days_after(date(2026, 12, 31), 1), Err(missing.clone()));
    assert_eq!(days.working_days_after(date(2026, 12, 30), 1), Ok(date(2026, 12, 31)));
    assert_eq!(days.working_days_between(date(2026, 12, 1), date(2027, 1, 1)), Err(missing));
    assert_eq!(
        days.is_working(date(2023, 12, 29)),
        Err(Undetermined { calendar: "CN".into(), year: 2023 })
    );
}

/// No instant and no date makes a count fail otherwise: headers and genesis documents may claim any time.
#[test]
fn any_instant_has_a_date() {
    let rules = cn_nda_2026();
    let view = State::default();
    let days = Days::new(&rules, &view);
    let last = Date::MAX;
    for time_ms in [u64::MAX, u64::MAX / 2, 1 << 62, 1 << 60, 1 << 50, 631_139_040_000_000] {
        assert_eq!(days.date(time_ms), last, "{time_ms}");
    }
    assert_eq!(days.date(0), date(1970, 1, 1));
    assert!(days.next(last).is_err());
    for number in [0, 20_260_230, 20_261_301, 99_999_999, u32::MAX, 20_270_229] {
        assert_eq!(date_from_number(number), None, "{number}");
    }
    for day in [date(2024, 2, 29), date(9999, 12, 31), date(1970, 1, 1)] {
        assert_eq!(date_from_number(date_to_number(day)), Some(day));
    }
}

#[test]
fn days_begin_at_midnight_in_the_zone_of_the_rule_set() {
    let (story, mut rules) = (Story::opened(), cn_nda_2026());
    // 15:59:59.999 and 16:00 UTC.
    let midnight = china("2026-08-04T00:00");
    assert_eq!(midnight % 86_400_000, 16 * 3_600_000);
    let china_days = days(&story, &rules);
    assert_eq!(china_days.date(midnight - 1), date(2026, 8, 3));
    assert_eq!(china_days.date(midnight), date(2026, 8, 4));
    assert_eq!(china_days.start_ms(date(2026, 8, 4)), midnight);
    rules.utc_offset_minutes = 0;
    assert_eq!(days(&story, &rules).date(midnight), date(2026, 8, 3));
    rules.utc_offset_minutes = -300;
    assert_eq!(days(&story, &rules).date(midnight), date(2026, 8, 3));
    assert_eq!(days(&story, &rules).start_ms(date(2026, 8, 4)), midnight + 13 * 3_600_000);
}

// --- acceptance ----------------------------------------------------------------------------------------------------------

/// Applied on a Monday: to be answered by Thursday, accepted by silence on Friday.
#[test]
fn silence_accepts_on_the_working_day_after_the_period() {
    let story = applied_on("2026-08-03");
    assert_eq!(status_at(&story, "2026-08-06T23:59:59.999"), Ok(Status::Applied));
    assert_eq!(status_at(&story, "2026-08-07T00:00"), Ok(Status::Accepted));

    let accept = acts::registration_accepted(RAIN);
    assert_eq!(story.clone().on("2026-08-06T23:59:59.999").judge(&accept), Ok(()));
    let late = story.clone().on("2026-08-07T00:00");
    assert_eq!(late.refusal(&accept), Some(Code::AlreadyAccepted));

    // The registry goes on without an act of acceptance, and the record says since when.
    let reviewed = late.did(&acts::registration_reviewed(RAIN));
    let record: RegistrationRecord = reviewed.record(&registration(RAIN));
    assert_eq!(record.accepted_ms, china("2026-08-07T00:00"));
    // It cannot before that.
    let early = story.on("2026-08-06T23:59:59.999");
    assert_eq!(early.refusal(&acts::registration_reviewed(RAIN)), Some(Code::WrongState));
}

/// Applied on a Tuesday: to be answered by Friday, accepted by silence on Monday. At the weekend the time to answer is over, and
/// the application not yet accepted.
#[test]
fn silence_over_a_weekend() {
    let story = applied_on("2026-08-04");
    let accept = acts::registration_accepted(RAIN);
    assert_eq!(story.clone().on("2026-08-07T23:59:59.999").judge(&accept), Ok(()));
    for at in ["2026-08-08T00:00", "2026-08-09T23:59:59.999"] {
        assert_eq!(status_at(&story, at), Ok(Status::Applied), "{at}");
        assert_eq!(story.clone().on(at).refusal(&accept), Some(Code::AlreadyAccepted), "{at}");
    }
    assert_eq!(status_at(&story, "2026-08-10T00:00"), Ok(Status::Accepted));
    assert_eq!(story.on("2026-08-10T00:00").refusal(&accept), Some(Code::AlreadyAccepted));
}

/// An application on a Saturday counts from then on: Monday is the first day.
#[test]
fn application_at_a_weekend() {
    let story = applied_on("2026-08-08");
    assert_eq!(status_at(&story, "2026-08-12T23:59:59.999"), Ok(Status::Applied));
    assert_eq!(status_at(&story, "2026-08-13T00:00"), Ok(Status::Accepted));
}

/// Over the National Day holiday of 2026 (1 to 7 October) with its working Saturday, 10 October.
#[test]
fn silence_over_the_national_day_holiday() {
    let (story, rules) = (applied_on("2026-09-29"), cn_nda_2026());
    let record = story.record(&registration(RAIN));
    // 30 September, 8 October, 9 October; then the Saturday.
    let days = days(&story, &rules);
    assert_eq!(last_answer_day(&record, &days, &rules), Ok(date(2026, 10, 9)));
    assert_eq!(acceptance_by_silence(&record, &days, &rules), Ok(date(2026, 10, 10)));
    assert_eq!(status_at(&story, "2026-10-09T23:59:59.999"), Ok(Status::Applied));
    assert_eq!(status_at(&story, "2026-10-10T00:00"), Ok(Status::Accepted));
    // The Sunday before the holiday is worked as well: 20 September.
    let earlier = applied_on("2026-09-17");
    assert_eq!(status_at(&earlier, "2026-09-21T23:59:59.999"), Ok(Status::Applied));
    assert_eq!(status_at(&earlier, "2026-09-22T00:00"), Ok(Status::Accepted));
}

/// In the evening of the UTC day it is already tomorrow in China: the application counts from there.
#[test]
fn an_application_in_the_evening_of_another_zone() {
    let before = applied_on("2026-08-03T23:59:59.999"); // 15:59 UTC
    let after = applied_on("2026-08-04T00:00"); // 16:00 UTC, the same day there
    assert_eq!(status_at(&before, "2026-08-07T00:00"), Ok(Status::Accepted));
    assert_eq!(status_at(&after, "2026-08-07T00:00"), Ok(Status::Applied));
    assert_eq!(status_at(&after, "2026-08-10T00:00"), Ok(Status::Accepted));
}

/// Near the end of the last published year a period is not determined, and acts that need it wait for the calendar.
#[test]
fn an_application_at_the_end_of_the_last_calendar() {
    let story = applied_on("2026-12-30");
    let accept = acts::registration_accepted(RAIN);
    let missing = Err(Undetermined { calendar: "CN".into(), year: 2027 });
    assert_eq!(status_at(&story, "2026-12-31"), missing);
    let standing = standing_at(&story, &registration(RAIN), "2026-12-31");
    assert_eq!(standing.not_determined, "calendar CN of 2027 is not on the ledger");
    let story = story.on("2026-12-31");
    let refusal = story.judge(&accept).unwrap_err();
    assert_eq!(refusal.code, Code::CalendarMissing);
    assert_eq!(refusal.detail, "calendar CN of 2027 is not on the ledger");

    // 2027 by the weekday rule, but for New Year's Day: enough for a test, and no calendar that anybody announced.
    let next = ledger_event::Calendar {
        id: "CN".into(),
        year: 2027,
        holidays: vec![101],
        workdays: vec![],
        source: "invented for a test".into(),
    };
    let story = story.did(&acts::calendar_published(&next));
    assert_eq!(story.judge(&accept), Ok(()));
    assert_eq!(status_at(&story, "2027-01-05T23:59:59.999"), Ok(Status::Applied));
    assert_eq!(status_at(&story, "2027-01-06T00:00"), Ok(Status::Accepted));
}

// --- notice and evidence -------------------------------------------------------------------------------------------------

/// Published on a Thursday: five working days are Friday to Thursday.
#[test]
fn evidence_waits_for_the_last_minute_of_the_notice() {
    let (story, rules) = (noticed_on("2026-08-06"), cn_nda_2026());
    let record = story.record(&registration(RAIN));
    assert_eq!(last_notice_day(&record, &days(&story, &rules), &rules), Ok(date(2026, 8, 13)));
    let record = acts::evidence_recorded(RAIN);
    for at in ["2026-08-06", "2026-08-10", "2026-08-13T23:59:59.999"] {
        assert_eq!(status_at(&story, at), Ok(Status::Notice), "{at}");
        assert_eq!(story.clone().on(at).refusal(&record), Some(Code::NoticeRunning), "{at}");
    }
    assert_eq!(status_at(&story, "2026-08-14T00:00"), Ok(Status::NoticeDone));
    assert_eq!(story.on("2026-08-14T00:00").judge(&record), Ok(()));
}

/// A notice of 30 September ends on 13 October, one of 13 February 2026 on the 27th.
#[test]
fn notice_over_holidays() {
    let story = noticed_on("2026-09-30");
    assert_eq!(status_at(&story, "2026-10-13T23:59:59.999"), Ok(Status::Notice));
    assert_eq!(status_at(&story, "2026-10-14T00:00"), Ok(Status::NoticeDone));
    let spring = noticed_on("2026-02-13");
    assert_eq!(status_at(&spring, "2026-02-27T23:59:59.999"), Ok(Status::Notice));
    assert_eq!(status_at(&spring, "2026-02-28T00:00"), Ok(Status::NoticeDone));
}

// --- validity ------------------------------------------------------------------------------------------------------------

#[test]
fn a_certificate_is_valid_to_the_last_minute() {
    let story = Story::before(Stage::Submitted);
    let id = format!("certificate:{NUMBER}");
    let certificate: CertificateRecord = story.record(&id);
    let valid = |at: &str| certificate_is_valid(&story.state, &certificate, china(at));
    assert_eq!(valid("2026-08-13T23:59:59.999"), Some(false));
    assert_eq!(valid("2026-08-14T00:00"), Some(true));
    assert_eq!(valid("2031-08-13T23:59:59.999"), Some(true));
    assert_eq!(valid("2031-08-14T00:00"), Some(false));
    assert_eq!(certificate_is_valid(&State::default(), &certificate, 0), None);

    assert_eq!(standing_at(&story, &id, "2026-08-13").state, "NOT_YET_VALID");
    assert_eq!(standing_at(&story, &id, "2031-08-13T23:59:59.999").state, "VALID");
    assert_eq!(standing_at(&story, &id, "2031-08-14T00:00").state, "EXPIRED");
    assert_eq!(status_at(&story, "2031-08-13T23:59:59.999"), Ok(Status::Certified));
    assert_eq!(status_at(&story, "2031-08-14T00:00"), Ok(Status::Expired));

    // No trade on it from then on, not even under a review that is still good.
    let deed = acts::review_submitted(RAIN);
    assert_eq!(story.clone().on("2031-08-13T23:59:59.999").judge(&deed), Ok(()));
    assert_eq!(story.on("2031-08-14T00:00").refusal(&deed), Some(Code::NoCertificate));
}

/// Validity runs from the evidence. A certificate that comes when it is over would say nothing.
#[test]
fn registered_and_never_certified() {
    let story = Story::before(Stage::Certified);
    assert_eq!(status_at(&story, "2031-08-13T23:59:59.999"), Ok(Status::Registered));
    assert_eq!(status_at(&story, "2031-08-14T00:00"), Ok(Status::Expired));
    let deed = acts::certificate_issued(RAIN, NUMBER);
    assert_eq!(story.on("2031-08-14").refusal(&deed), Some(Code::WrongState));
}

/// A registration with evidence on a day of 2024, under the national rules as if they had been in force then.
fn registered_in_2024(noticed: &str, recorded: &str, years: u32) -> RegistrationRecord {
    let mut rules = cn_nda_2026();
    (rules.id, rules.effective_from) = ("CN-EARLIER".into(), 20_240_101);
    let earlier = |event: &mut ledger_event::RegistrationApplied| {
        event.rule_set = "CN-EARLIER/1".into();
        event.validity_years = years;
    };
    let story = Story::opened_on(Clock::Wall, "2024-01-02")
        .did(&acts::rule_set_published(&rules))
        .described()
        .did(&acts::registration_applied(RAIN).with(earlier))
        .did(&acts::registration_accepted(RAIN))
        .did(&acts::registration_reviewed(RAIN))
        .on(noticed)
        .did(&acts::notice_opened(RAIN))
        .on(recorded)
        .did(&acts::evidence_recorded(RAIN));
    story.record(&registration(RAIN))
}

#[test]
fn validity_from_a_leap_day() {
    for (years, to) in [(1, 20_250_228), (2, 20_260_228), (4, 20_280_228), (5, 20_290_228)] {
        let record = registered_in_2024("2024-02-20", "2024-02-29", years);
        assert_eq!((record.valid_from, record.valid_to), (20_240_229, to), "{years} years");
    }
}

/// Years that end with a leap day, and years that begin with the first of a month.
#[test]
fn validity_to_a_leap_day() {
    let record = registered_in_2024("2024-02-20", "2024-03-01", 4);
    assert_eq!((record.valid_from, record.valid_to), (20_240_301, 20_280_229));
    let record = registered_in_2024("2024-02-20", "2024-03-01", 5);
    assert_eq!((record.valid_from, record.valid_to), (20_240_301, 20_290_228));
}

// --- overdue -------------------------------------------------------------------------------------------------------------

/// Ten working days and ten more from acceptance, not counting the notice.
#[test]
fn overdue_after_twenty_working_days_without_those_of_the_notice() {
    // Accepted on Tuesday, 4 August; 1 September is the twentieth working day after it.
    let story = Story::before(Stage::Reviewed);
    assert_eq!(overdue_at(&story, "2026-09-01T23:59:59.999"), Ok(false));
    assert_eq!(overdue_at(&story, "2026-09-02T00:00"), Ok(true));
    assert_eq!(standing_at(&story, &registration(RAIN), "2026-09-02").marks, ["OVERDUE"]);

    // With a notice of five working days, five days later. A notice that still runs has not yet stopped the clock for all of them.
    let story = noticed_on("2026-08-06");
    assert_eq!(overdue_at(&story, "2026-09-08T23:59:59.999"), Ok(false));
    assert_eq!(overdue_at(&story, "2026-09-09T00:00"), Ok(true));
    let story = noticed_on("2026-09-01");
    assert_eq!(overdue_at(&story, "2026-09-04"), Ok(false));
    assert_eq!(overdue_at(&story, "2026-09-09"), Ok(true));
    // Opened on the day after the twentieth, a notice does not make up for the days before it, not even while it runs.
    let story = noticed_on("2026-09-02");
    assert_eq!(overdue_at(&story, "2026-09-04"), Ok(true));

    // The evidence ends the procedure: what was in time stays so.
    let story = noticed_on("2026-08-06").on("2026-09-08").recorded();
    assert_eq!(overdue_at(&story, "2026-12-31"), Ok(false));
    let story = noticed_on("2026-08-06").on("2026-09-09").recorded();
    assert_eq!(overdue_at(&story, "2026-12-31"), Ok(true));
}

/// A registry that never answers is the one that regulators look for.
#[test]
fn overdue_after_acceptance_by_silence() {
    let story = applied_on("2026-08-03");
    assert_eq!(overdue_at(&story, "2026-08-05"), Ok(false));
    // Accepted by silence on Friday, 7 August.
    assert_eq!(overdue_at(&story, "2026-09-04T23:59:59.999"), Ok(false));
    assert_eq!(overdue_at(&story, "2026-09-07T00:00"), Ok(true));
}

#[test]
fn overdue_up_to_a_review_that_ends_the_procedure() {
    let unverifiable = |event: &mut ledger_event::RegistrationReviewed| {
        event.source = ledger_event::Finding::Unverifiable.into();
    };
    let deed = acts::registration_reviewed(RAIN).with(unverifiable);
    let in_time = Story::before(Stage::Reviewed).on("2026-09-01").did(&deed);
    assert_eq!(status_at(&in_time, "2026-12-01"), Ok(Status::Terminated));
    assert_eq!(overdue_at(&in_time, "2026-12-01"), Ok(false));
    let late = Story::before(Stage::Reviewed).on("2026-09-02").did(&deed);
    assert_eq!(overdue_at(&late, "2026-12-01"), Ok(true));
}

// --- trade and delivery --------------------------------------------------------------------------------------------------

#[test]
fn a_review_can_be_relied_on_to_its_last_minute() {
    let decided = acts::review_decided(RAIN)
        .with(|event: &mut ledger_event::ReviewDecided| event.valid_to = 20_260_820);
    let story = Story::before(Stage::Decided).did(&decided);
    let apply = acts::listing_applied(RAIN, NUMBER);
    assert_eq!(story.clone().on("2026-08-20T23:59:59.999").judge(&apply), Ok(()));
    assert_eq!(story.on("2026-08-21T00:00").refusal(&apply), Some(Code::ReviewExpired));
}

#[test]
fn a_contract_and_a_window_end_with_their_last_day() {
    let story = Story::before(Stage::Planned);
    let plan = acts::delivery_planned(RAIN);
    assert_eq!(story.clone().on("2027-06-30T23:59:59.999").judge(&plan), Ok(()));
    assert_eq!(story.clone().on("2027-07-01T00:00").refusal(&plan), Some(Code::ContractEnded));
    assert_eq!(standing_at(&story, &acts::contract(RAIN), "2027-07-01").state, "ENDED");

    let story = Story::before(Stage::Sent);
    let send = acts::batch_sent(RAIN, 1);
    assert_eq!(story.clone().on("2026-09-30T23:59:59.999").judge(&send), Ok(()));
    assert_eq!(story.clone().on("2026-10-01T00:00").refusal(&send), Some(Code::BatchWindow));
    let standing = standing_at(&story, &delivery(RAIN), "2026-10-01T00:00");
    assert_eq!(standing.marks, ["WINDOW_OVER"]);
    // What was sent in time can still be acknowledged, and the delivery completed.
    let sent = Story::before(Stage::SentAll).sent(2).on("2026-10-20").acknowledged(2).completed();
    assert_eq!(standing_at(&sent, &delivery(RAIN), "2026-10-20").marks, Vec::<String>::new());
}

/// Seven times twenty-four hours, whatever the days: a mark, and no change of state.
#[test]
fn a_batch_without_acknowledgement_is_marked_after_seven_days() {
    let story = Story::before(Stage::Sent).on("2026-08-24T10:00").sent(1);
    let marks = |at: &str| standing_at(&story, &delivery(RAIN), at);
    assert_eq!(marks("2026-08-31T10:00").marks, Vec::<String>::new());
    assert_eq!(marks("2026-08-31T10:00:00.001").marks, ["UNACKNOWLEDGED batch 1"]);
    assert_eq!(marks("2026-08-31T10:00:00.001").state, "IN_PROGRESS");
    let story = story.on("2026-09-10").acknowledged(1);
    assert_eq!(standing_at(&story, &delivery(RAIN), "2026-09-20").marks, Vec::<String>::new());
}
