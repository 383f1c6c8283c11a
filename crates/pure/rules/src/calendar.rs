//! Days: civil dates in a rule set's zone, and working days by the calendars on the ledger.
//!
//! Nothing is computed past the last published calendar: the answer is then [`Undetermined`], never a guess.

use alloc::format;
use core::fmt;

use jiff::Span;
use jiff::civil::{Date, Weekday};
use ledger_event::{Calendar, RuleSet};

use crate::view::{View, read_as};

/// A day count that reaches a year whose calendar is not on the ledger, or a date that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undetermined {
    /// Id of the calendar.
    pub calendar: alloc::string::String,
    /// The year that is missing.
    pub year: i16,
}

impl fmt::Display for Undetermined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calendar {} of {} is not on the ledger", self.calendar, self.year)
    }
}

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Longest count of working days. No rule set that asks for more can be published.
pub const MAX_COUNT: u32 = 366;

/// Reads YYYYMMDD.
pub fn date_from_number(number: u32) -> Option<Date> {
    let year = i16::try_from(number.checked_div(10_000)?).ok()?;
    let month = i8::try_from(number.checked_div(100)?.checked_rem(100)?).ok()?;
    let day = i8::try_from(number.checked_rem(100)?).ok()?;
    Date::new(year, month, day).ok()
}

/// Writes YYYYMMDD; zero for years before 0, which no ledger has.
pub fn date_to_number(date: Date) -> u32 {
    let part = |value: i16| u32::try_from(value).unwrap_or_default();
    let month = part(i16::from(date.month()));
    part(date.year())
        .saturating_mul(100)
        .saturating_add(month)
        .saturating_mul(100)
        .saturating_add(part(i16::from(date.day())))
}

/// The days of one rule set: its zone and its calendar, read from a state.
#[derive(Clone, Copy)]
pub struct Days<'a> {
    rules: &'a RuleSet,
    view: &'a dyn View,
}

impl fmt::Debug for Days<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Days").field("calendar", &self.rules.calendar).finish_non_exhaustive()
    }
}

impl<'a> Days<'a> {
    /// Counts by `rules`, with the calendars of `view`.
    pub fn new(rules: &'a RuleSet, view: &'a dyn View) -> Self {
        Self { rules, view }
    }

    fn offset_ms(&self) -> i64 {
        i64::from(self.rules.utc_offset_minutes).saturating_mul(60_000)
    }

    /// The civil date of an instant in the rule set's zone; the last date there is for instants beyond it.
    pub fn date(&self, time_ms: u64) -> Date {
        let local = i64::try_from(time_ms).unwrap_or(i64::MAX).saturating_add(self.offset_ms());
        let days = local.div_euclid(DAY_MS);
        let epoch = Date::constant(1970, 1, 1);
        Span::new().try_days(days).and_then(|days| epoch.checked_add(days)).unwrap_or(Date::MAX)
    }

    /// The first instant of a date in the rule set's zone, in milliseconds since 1970; 0 for dates before.
    pub fn start_ms(&self, date: Date) -> u64 {
        let epoch = Date::constant(1970, 1, 1);
        let days = epoch.until(date).map_or(0, |span| span.get_days());
        let local = i64::from(days).saturating_mul(DAY_MS);
        u64::try_from(local.saturating_sub(self.offset_ms())).unwrap_or_default()
    }

    /// Whether a date is a working day.
    ///
    /// # Errors
    /// [`Undetermined`] when the year's calendar is not on the ledger.
    pub fn is_working(&self, date: Date) -> Result<bool, Undetermined> {
        let id = format!("calendar:{}/{}", self.rules.calendar, date.year());
        let calendar: Calendar = read_as(self.view, &id).ok_or_else(|| Undetermined {
            calendar: self.rules.calendar.clone(),
            year: date.year(),
        })?;
        let mmdd = date_to_number(date).checked_rem(10_000).unwrap_or_default();
        let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        Ok(if weekend {
            calendar.workdays.binary_search(&mmdd).is_ok()
        } else {
            calendar.holidays.binary_search(&mmdd).is_err()
        })
    }

    /// The `count`-th working day after `date`; `date` itself for a count of 0.
    ///
    /// # Errors
    /// [`Undetermined`] when a year on the way has no calendar.
    pub fn working_days_after(&self, date: Date, count: u32) -> Result<Date, Undetermined> {
        let mut day = date;
        let mut left = count.min(MAX_COUNT);
        while left > 0 {
            day = self.next(day)?;
            if self.is_working(day)? {
                left = left.saturating_sub(1);
            }
        }
        Ok(day)
    }

    /// Working days in `(from, to]`; 0 when `to` is not after `from`.
    ///
    /// # Errors
    /// [`Undetermined`] when a year on the way has no calendar.
    pub fn working_days_between(&self, from: Date, to: Date) -> Result<u32, Undetermined> {
        let mut day = from;
        let mut count: u32 = 0;
        while day < to {
            day = self.next(day)?;
            if self.is_working(day)? {
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    /// The day after.
    ///
    /// # Errors
    /// [`Undetermined`] past the last date that can be written.
    pub fn next(&self, date: Date) -> Result<Date, Undetermined> {
        date.tomorrow().map_err(|_last_date| Undetermined {
            calendar: self.rules.calendar.clone(),
            year: date.year(),
        })
    }
}

/// Checks a calendar document: an id and year, ascending days that exist and that the weekday rule gets wrong.
///
/// # Errors
/// What is wrong, in words.
pub fn check_calendar(calendar: &Calendar) -> Result<(), alloc::string::String> {
    let id_ok = !calendar.id.is_empty() && calendar.id.bytes().all(|b| b.is_ascii_alphanumeric());
    if !id_ok || !(1970..=9998).contains(&calendar.year) || calendar.source.is_empty() {
        return Err("id, year and source must be stated".into());
    }
    for (days, weekend) in [(&calendar.holidays, false), (&calendar.workdays, true)] {
        if !days.iter().zip(days.iter().skip(1)).all(|(a, b)| a < b) {
            return Err("days are not strictly ascending".into());
        }
        for day in days {
            let number = calendar.year.saturating_mul(10_000).saturating_add(*day);
            let date = date_from_number(number).filter(|_| *day < 10_000);
            let date = date.ok_or_else(|| format!("{day:04} is not a day of {}", calendar.year))?;
            let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
            if is_weekend != weekend {
                return Err(format!("{day:04} is listed although the weekday rule has it right"));
            }
        }
    }
    Ok(())
}
