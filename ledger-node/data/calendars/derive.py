#!/usr/bin/env python3
"""Derives the calendars of this directory, and checks them.

    python3 derive.py            write the files (needs PyPI chinesecalendar 1.11.0 and holidays 0.109)
    python3 derive.py --check    check the files as they are (standard library only)

The form is the proto3 JSON form of message `Calendar` in proto/ledger/v1/genesis.proto. Days are MMDD as integers,
ascending: `holidays` are Mondays to Fridays that are off, `workdays` are weekend days that are worked.
"""

import datetime
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

CN_NOTICES = {
    2024: "国办发明电〔2023〕7号, 2023-10-25",
    2025: "国办发明电〔2024〕12号, 2024-11-12",
    2026: "国办发明电〔2025〕7号, 2025-11-04",
}
HK_YEARS = (2025, 2026)


def mmdd(day):
    return day.month * 100 + day.day


def write(identifier, year, holidays, workdays, source):
    fields = [
        ("id", json.dumps(identifier)),
        ("year", str(year)),
        ("holidays", json.dumps(sorted(mmdd(day) for day in holidays))),
        ("workdays", json.dumps(sorted(mmdd(day) for day in workdays))),
        ("source", json.dumps(source, ensure_ascii=False)),
    ]
    body = ",\n".join(f'  "{name}": {value}' for name, value in fields)
    (HERE / f"{identifier}-{year}.json").write_text("{\n" + body + "\n}\n", encoding="utf-8")


def derive_cn():
    from chinese_calendar.constants import holidays, workdays

    for year, number in CN_NOTICES.items():
        notice = f"国务院办公厅关于{year}年部分节假日安排的通知（{number}）; taken from PyPI chinesecalendar 1.11.0"
        off = [day for day in holidays if day.year == year and day.weekday() < 5]
        worked = [day for day in workdays if day.year == year and day.weekday() >= 5]
        write("CN", year, off, worked, notice)


def derive_hk():
    import holidays

    for year in HK_YEARS:
        # "public" in that package is the shorter list of statutory holidays of employees; the general holidays of
        # Cap. 149, on which offices close, are its category "optional".
        days = holidays.country_holidays("HK", years=year, categories=("optional",))
        if len(days) != 17:
            sys.exit(f"expected 17 general holidays in {year}, found {len(days)}")
        source = (
            f"Hong Kong general holidays for {year}, General Holidays Ordinance (Cap. 149), those on Monday to Friday; "
            "taken from PyPI holidays 0.109, category optional"
        )
        write("HK", year, [day for day in days if day.weekday() < 5], [], source)


def load():
    calendars = {}
    for path in sorted(HERE.glob("*.json")):
        calendar = json.loads(path.read_text(encoding="utf-8"))
        if path.name != f"{calendar['id']}-{calendar['year']}.json":
            sys.exit(path.name + " names another calendar")
        calendars[calendar["id"], calendar["year"]] = calendar
    return calendars


def days_of(calendar, field):
    days = [datetime.date(calendar["year"], n // 100, n % 100) for n in calendar[field]]
    if days != sorted(set(days)):
        sys.exit(f"{calendar['id']} {calendar['year']}: {field} are not ascending")
    return set(days)


def is_working_day(calendars, identifier, day):
    calendar = calendars[identifier, day.year]
    if day.weekday() < 5:
        return day not in days_of(calendar, "holidays")
    return day in days_of(calendar, "workdays")


def add_working_days(calendars, identifier, day, count):
    while count:
        day += datetime.timedelta(days=1)
        count -= is_working_day(calendars, identifier, day)
    return day


def check():
    calendars = load()
    for calendar in calendars.values():
        if any(day.weekday() >= 5 for day in days_of(calendar, "holidays")):
            sys.exit("a holiday on a weekend")
        if any(day.weekday() < 5 for day in days_of(calendar, "workdays")):
            sys.exit("a make-up working day that is no weekend day")
    for identifier, start, count, expected in (
        ("CN", "2026-09-30", 5, "2026-10-13"),
        ("CN", "2026-02-13", 5, "2026-02-27"),
        ("CN", "2024-09-30", 5, "2024-10-12"),
        ("CN", "2025-01-24", 5, "2025-02-07"),
        ("HK", "2026-04-02", 1, "2026-04-08"),
        ("HK", "2025-12-24", 1, "2025-12-29"),
    ):
        day = datetime.date.fromisoformat(start)
        found = add_working_days(calendars, identifier, day, count)
        if found.isoformat() != expected:
            sys.exit(f"{identifier}: {count} working days after {start} is {found}, expected {expected}")
        print(f"{identifier}: {count} working day(s) after {start} is {found}")
    for (identifier, year), calendar in calendars.items():
        print(identifier, year, len(calendar["holidays"]), "off,", len(calendar["workdays"]), "worked")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    elif len(sys.argv) == 1:
        derive_cn()
        derive_hk()
    else:
        sys.exit(__doc__)
