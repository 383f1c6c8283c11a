//! Answers for people: times, nested values, reports.

use jiff::Timestamp;
use ledger_verify::finding::Place;
use ledger_verify::verdict::{Line, Report, Verdict};
use serde_json::{Value, json};

/// An instant in milliseconds since 1970, as RFC 3339 in UTC.
pub(crate) fn time_ms(ms: u64) -> String {
    // As many digits for each: so that they sort as texts, too.
    timestamp(ms).map_or_else(|| format!("{ms} ms"), |time| format!("{time:.3}"))
}

fn timestamp(ms: u64) -> Option<Timestamp> {
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

/// An instant in seconds since 1970, as RFC 3339 in UTC.
pub(crate) fn time_s(seconds: u64) -> String {
    let ms = seconds.saturating_mul(1000);
    timestamp(ms).map_or_else(|| format!("{seconds} s"), |time| format!("{time:.0}"))
}

/// A JSON value as indented lines, `name: value`.
pub(crate) fn render(value: &Value) -> String {
    let mut lines = Vec::new();
    lines_of(value, 0, &mut lines);
    lines.join("\n")
}

fn lines_of(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| *name != "schema") {
                match member {
                    Value::Object(_) => {
                        lines.push(format!("{indent}{name}:"));
                        lines_of(member, depth + 1, lines);
                    }
                    Value::Array(items) if items.iter().any(Value::is_object) => {
                        lines.push(format!("{indent}{name}:"));
                        for item in items {
                            item_lines(item, depth + 1, lines);
                        }
                    }
                    other => lines.push(format!("{indent}{name}: {}", scalar(name, other))),
                }
            }
        }
        other => lines.push(format!("{indent}{}", scalar("", other))),
    }
}

fn item_lines(item: &Value, depth: usize, lines: &mut Vec<String>) {
    let first = lines.len();
    lines_of(item, depth + 1, lines);
    if let Some(line) = lines.get_mut(first) {
        line.replace_range(depth * 2..depth * 2 + 2, "- ");
    }
}

fn scalar(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // A length among the instants: how far a block's time may be from a validator's clock.
        Value::Number(number) if name == "skew_ms" => format!("{number} ms"),
        Value::Number(number) if name.ends_with("_ms") => {
            number.as_u64().map_or_else(|| number.to_string(), time_ms)
        }
        Value::Array(items) => {
            items.iter().map(|item| scalar("", item)).collect::<Vec<_>>().join(", ")
        }
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// A report as JSON.
pub(crate) fn report_json(report: &Report) -> Value {
    let Report { verdict, lines, height } = report;
    let place = match verdict {
        Verdict::Refuted(refuted) => Some(refuted.place.as_ref().clone()),
        _ => height.map(Place::block),
    };
    let place = place.map(|Place { height, entry, leaf, record }| {
        let entry = entry.map(|entry| entry.to_string());
        json!({ "height": height, "leaf_index": leaf, "entry": entry, "record": record })
    });
    json!({
        "verdict": verdict.word(), "code": verdict.code(), "reason": verdict.reason(), "place": place,
        "exit": verdict.exit_code(), "lines": lines.iter().map(line_json).collect::<Vec<_>>(),
    })
}

/// A line as JSON. A time stands in its text, and as a number for programs.
fn line_json(line: &Line) -> Value {
    let mut value =
        json!({ "aspect": line.aspect.word(), "checked": line.checked, "text": line_text(line) });
    if let Some(ms) = line.time_ms {
        value["time_ms"] = json!(ms);
    }
    value
}

fn line_text(line: &Line) -> String {
    match line.time_ms {
        Some(ms) => format!("{} {}", line.text, time_ms(ms)),
        None => line.text.clone(),
    }
}

/// A report for people: the verdict first, then what was checked, then what was not.
pub(crate) fn report_text(report: &Report) -> String {
    let Report { verdict, lines, .. } = report;
    let mut text = vec![verdict.word().to_uppercase()];
    if *verdict != Verdict::Proven {
        text.push(format!("  {}", verdict.reason()));
    }
    if let Some(code) = verdict.code() {
        text.push(format!("  more: ledger-cli explain {code}"));
    }
    for (checked, title) in [(true, "checked"), (false, "not checked, or not known")] {
        let mut some = lines.iter().filter(|line| line.checked == checked).peekable();
        if some.peek().is_some() {
            text.push(format!("{title}:"));
        }
        text.extend(some.map(|line| format!("  {:<10} {}", line.aspect.word(), line_text(line))));
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_times_as_people_write_them_and_keeps_the_number() {
        let mut report = Report::bare(Verdict::Proven);
        report.claimed_time("the block's header says", 1_785_715_200_001);
        let text = report_text(&report);
        assert!(
            text.ends_with("time       the block's header says 2026-08-03T00:00:00.001Z"),
            "{text}"
        );
        let line = &report_json(&report)["lines"][0];
        assert_eq!(line["time_ms"], 1_785_715_200_001_u64);
        assert_eq!(line["text"], "the block's header says 2026-08-03T00:00:00.001Z");
    }

    #[test]
    fn nested_values_are_indented_and_times_readable() {
        let value = json!({
            "id": "asset:a/b", "schema": "x", "time_ms": 86_400_000_u64,
            "body": { "roles": ["A", "B"], "steps": [{ "n": 1, "of": { "x": 2 } }, { "n": 2 }] },
        });
        assert_eq!(
            render(&value),
            "body:\n  roles: A, B\n  steps:\n    - n: 1\n      of:\n        x: 2\n    - n: 2\nid: asset:a/b\ntime_ms: 1970-01-02T00:00:00.000Z"
        );
    }
}
