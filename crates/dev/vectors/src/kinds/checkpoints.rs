//! Notes and texts that are no checkpoints, and lines that are not the key's.

use ledger_format::note::Note;

use super::{malformed, refuted};
use crate::Vector;

/// Makes a vector of a note, with the keys that must have signed it.
type Input<'a> = &'a dyn Fn(&str) -> serde_json::Value;

/// All of them, made of a good note with the line of a log key and that of a cosigner key.
pub(super) fn wrong(good: &Note, input: Input<'_>) -> Vec<Vector> {
    let mut vectors = lines(good, input);
    vectors.extend(texts(good, input));
    vectors.extend(notes(good, input));
    vectors
}

/// Lines that are not the key's. What only a signature shows is beside them.
fn lines(good: &Note, input: Input<'_>) -> Vec<Vector> {
    let changed = |name: &str, comment: &str, change: &dyn Fn(&mut Note)| {
        let mut note = good.clone();
        change(&mut note);
        Vector::new(name, comment, input(&note.encode()), refuted(""))
    };
    vec![
        changed("another name", "a line is a key's if name and key id are", &|note| {
            note.signatures[0].name = "other.example".into();
        }),
        changed("another key id", "a line is a key's if name and key id are", &|note| {
            note.signatures[0].key_id[0] ^= 1;
        }),
        changed("not by the cosigner", "every key listed must have signed", &|note| {
            note.signatures.truncate(1);
        }),
        changed("another time", "the time of a cosignature is signed", &|note| {
            note.signatures[1].signature[7] ^= 1;
        }),
    ]
}

/// Texts that are no checkpoint.
fn texts(good: &Note, input: Input<'_>) -> Vec<Vector> {
    let origin = good.text.split('\n').next().unwrap();
    let root = good.text.split('\n').nth(2).unwrap();
    let bare = root.trim_end_matches('=');
    // 32 bytes leave two bits over in the last character; the next in the alphabet has one of them set.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let last = alphabet.find(bare.chars().last().unwrap()).unwrap();
    let stray = format!("{}{}=", &bare[..bare.len() - 1], &alphabet[last + 1..last + 2]);
    let replaced = |name: &str, comment: &str, from: &str, to: &str, code| {
        assert!(good.text.contains(from), "{name}");
        let text = good.text.replacen(from, to, 1);
        let note = Note { text, signatures: good.signatures.clone() };
        Vector::new(name, comment, input(&note.encode()), malformed(code))
    };
    let three = format!("{root}\n");
    vec![
        replaced("size with a zero in front", "", "\n4\n", "\n04\n", "FMT_VALUE"),
        replaced("size with a sign", "", "\n4\n", "\n+4\n", "FMT_VALUE"),
        replaced("no size", "", "\n4\n", "\n\n", "FMT_VALUE"),
        replaced("size of 65 bits", "", "\n4\n", "\n18446744073709551616\n", "FMT_VALUE"),
        replaced("root without padding", "RFC 4648 section 4", root, bare, "FMT_VALUE"),
        replaced("root with stray bits", "padding bits are zero", root, &stray, "FMT_VALUE"),
        replaced("root of 31 bytes", "", root, &format!("{}AA==", &bare[..40]), "FMT_VALUE"),
        replaced("extension line", "there are none", &three, &format!("{root}\nx\n"), "FMT_VALUE"),
        replaced("no root", "three lines", &three, "", "FMT_VALUE"),
        replaced("origin with a plus sign", "it names a key", origin, "a+b", "FMT_IDENTIFIER"),
        replaced("origin with a space", "it names a key", origin, "a b", "FMT_IDENTIFIER"),
    ]
}

/// Texts that are no notes.
fn notes(good: &Note, input: Input<'_>) -> Vec<Vector> {
    let note = good.encode();
    let head = format!("{}\n", good.text);
    let bad = |name: &str, comment: &str, note: &str, code| {
        Vector::new(name, comment, input(note), malformed(code))
    };
    let line = |line: &str| format!("{head}{line}\n");
    vec![
        bad("carriage return", "below U+0020", &note.replacen('\n', "\r\n", 1), "FMT_VALUE"),
        bad("no empty line", "", &note.replacen("\n\n", "\n", 1), "FMT_VALUE"),
        bad(
            "a hyphen before the name",
            "U+2014, a dash",
            &note.replacen('\u{2014}', "-", 1),
            "FMT_VALUE",
        ),
        bad("line without a name", "", &line("\u{2014}  AAAAAAA="), "FMT_VALUE"),
        bad("name with a plus sign", "", &line("\u{2014} a+b AAAAAAA="), "FMT_VALUE"),
        bad("line without base64", "", &line("\u{2014} a"), "FMT_VALUE"),
        bad("base64 without padding", "", &line("\u{2014} a AAAAAAA"), "FMT_VALUE"),
        bad("a key id and no signature", "", &line("\u{2014} a AAAAAA=="), "FMT_VALUE"),
        bad(
            "301 lines",
            "at most 300",
            &format!("{head}{}", "\u{2014} a AAAAAAA=\n".repeat(301)),
            "FMT_TOO_LARGE",
        ),
    ]
}
