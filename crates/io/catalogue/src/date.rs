//! Civil dates as catalogues write them.

use crate::record::CivilDate;

/// What the text of a date says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    /// Nothing: empty, or a sentinel such as 9999-12-31.
    Nothing,
    /// A day.
    Day(CivilDate),
    /// A month or year: its first and last day.
    Period(CivilDate, CivilDate),
    /// It is no date.
    Unreadable,
}

/// Years from here on stand for "open" or "unknown" in catalogues.
const SENTINEL_YEAR: u32 = 9000;

/// Reads `YYYY-MM-DD` and `YYYY/MM/DD` (also without leading zeros, also followed by a time), `YYYYMMDD`, `YYYY-MM` and `YYYY`.
/// The day is the one that is written: times and offsets are not converted.
pub(crate) fn year_first(text: &str) -> Stated {
    let text = text.trim();
    if text.is_empty() {
        return Stated::Nothing;
    }
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    if !(time.is_empty() || is_time(time)) {
        return Stated::Unreadable;
    }
    let date = without_offset(date);
    let mut parts = date.split(['-', '/']);
    let (first, month, day) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    if parts.next().is_some() {
        return Stated::Unreadable;
    }
    match (month, day) {
        (None, None) if first.len() == 8 => digits(first, 8..=8)
            .map_or(Stated::Unreadable, |n| checked(n / 10_000, n / 100 % 100, n % 100)),
        (None, None) => digits(first, 4..=4).map_or(Stated::Unreadable, whole_year),
        (Some(month), None) => match (digits(first, 4..=4), digits(month, 2..=2)) {
            (Some(year), Some(month)) => whole_month(year, month),
            _ => Stated::Unreadable,
        },
        (Some(month), Some(day)) => {
            match (digits(first, 4..=4), digits(month, 1..=2), digits(day, 1..=2)) {
                (Some(year), Some(month), Some(day)) => checked(year, month, day),
                _ => Stated::Unreadable,
            }
        }
        (None, Some(_)) => Stated::Unreadable,
    }
}

/// Reads `DD/MM/YYYY`; `.` is the sign of Statistics Denmark for a date that is not stated.
pub(crate) fn day_first(text: &str) -> Stated {
    let text = text.trim();
    if text.is_empty() || text == "." {
        return Stated::Nothing;
    }
    let mut parts = text.split('/');
    let (day, month, year) = (parts.next(), parts.next(), parts.next());
    let (Some(day), Some(month), Some(year), None) = (day, month, year, parts.next()) else {
        return Stated::Unreadable;
    };
    match (digits(year, 4..=4), digits(month, 2..=2), digits(day, 2..=2)) {
        (Some(year), Some(month), Some(day)) => checked(year, month, day),
        _ => Stated::Unreadable,
    }
}

/// `23:59`, `23:59:59.25`, also with an offset. Anything else behind a date, such as a second date, makes it unreadable.
fn is_time(text: &str) -> bool {
    let text = without_offset(text);
    let allowed = |b: u8| b.is_ascii_digit() || matches!(b, b':' | b'.' | b',');
    text.bytes().all(allowed)
        && text.split_once(':').is_some_and(|(hour, _)| digits(hour, 1..=2).is_some())
}

/// Takes `Z`, `+08:00` and the like off the end.
fn without_offset(text: &str) -> &str {
    if let Some(rest) = text.strip_suffix(['Z', 'z']) {
        return rest;
    }
    let Some((rest, offset)) = text.len().checked_sub(6).and_then(|at| text.split_at_checked(at))
    else {
        return text;
    };
    let number = offset.strip_prefix(['+', '-']).and_then(|clock| clock.split_once(':'));
    let is_offset = number.is_some_and(|(hours, minutes)| {
        digits(hours, 2..=2).is_some() && digits(minutes, 2..=2).is_some()
    });
    if is_offset { rest } else { text }
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    if length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn checked(year: u32, month: u32, day: u32) -> Stated {
    if year == 0 || day == 0 || day > days_of(year, month) {
        Stated::Unreadable
    } else if year >= SENTINEL_YEAR {
        Stated::Nothing
    } else {
        Stated::Day(year * 10_000 + month * 100 + day)
    }
}

fn whole_month(year: u32, month: u32) -> Stated {
    match (checked(year, month, 1), checked(year, month, days_of(year, month))) {
        (Stated::Day(first), Stated::Day(last)) => Stated::Period(first, last),
        (other, _) => other,
    }
}

fn whole_year(year: u32) -> Stated {
    match (checked(year, 1, 1), checked(year, 12, 31)) {
        (Stated::Day(first), Stated::Day(last)) => Stated::Period(first, last),
        (other, _) => other,
    }
}

/// Days of a month of the Gregorian calendar; none in a month that does not exist.
const fn days_of(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        for (text, expected) in [
            ("2026-09-30", Stated::Day(20_260_930)),
            ("2025-08-21T23:04:37.691343+00:00", Stated::Day(20_250_821)),
            ("2025-12-31T23:59:59-12:00", Stated::Day(20_251_231)),
            ("2025-12-31 9:30", Stated::Day(20_251_231)),
            ("2025-12-31+08:00", Stated::Day(20_251_231)),
            ("2025-12-31Z", Stated::Day(20_251_231)),
            ("2025-01-01 to 2025-12-31", Stated::Unreadable),
            ("2025-01-01 2025-12-31", Stated::Unreadable),
            ("2024/2/29", Stated::Day(20_240_229)),
            ("2023/2/29", Stated::Unreadable),
            ("1900-02-29", Stated::Unreadable),
            ("2000-02-29", Stated::Day(20_000_229)),
            ("20260218", Stated::Day(20_260_218)),
            ("2026-02", Stated::Period(20_260_201, 20_260_228)),
            ("2019", Stated::Period(20_190_101, 20_191_231)),
            ("9999-12-31", Stated::Nothing),
            ("9999", Stated::Nothing),
            (" ", Stated::Nothing),
            ("2026-13-01", Stated::Unreadable),
            ("2026-00-01", Stated::Unreadable),
            ("0000-01-01", Stated::Unreadable),
            ("30.09.2026", Stated::Unreadable),
            ("2026-09-30-1", Stated::Unreadable),
            ("+026-09-30", Stated::Unreadable),
            ("99999999999999999999", Stated::Unreadable),
            ("二〇二六年", Stated::Unreadable),
        ] {
            assert_eq!(year_first(text), expected, "{text}");
        }
    }

    #[test]
    fn danish_dates_and_sentinels() {
        for (text, expected) in [
            ("31/12/1988", Stated::Day(19_881_231)),
            ("31/12/9999", Stated::Nothing),
            ("31/12/9998", Stated::Nothing),
            (".", Stated::Nothing),
            ("", Stated::Nothing),
            ("31/02/2020", Stated::Unreadable),
            ("1988-12-31", Stated::Unreadable),
            ("31/12/1988/1", Stated::Unreadable),
        ] {
            assert_eq!(day_first(text), expected, "{text}");
        }
    }
}
