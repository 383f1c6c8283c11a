//! Signed notes, checkpoints, cosignatures (docs/spec/checkpoint.md).

use ledger_fixtures::Key;
use ledger_format::limits::MAX_NOTE_SIGNATURES;
use ledger_format::malformed::Kind;
use ledger_format::note::{
    Checkpoint, Note, NoteKeyKind, NoteSignature, cosignature_message, key_id, verifier_key,
};

use crate::samples::kind;

const TEXT: &str = "ledger.example/log\n12\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
const LINE: &str = "— ledger.example/log AAAAAAE=\n";

fn note() -> String {
    format!("{TEXT}\n{LINE}")
}

fn refused(note: &str) {
    assert_eq!(kind(Note::decode(note)), Kind::Value, "{note:?}");
}

#[test]
fn what_is_written_is_read() {
    let key = Key::named("log");
    let note = Note {
        text: TEXT.to_owned(),
        signatures: vec![
            NoteSignature::log("ledger.example/log", &key.public(), &key.sign(TEXT.as_bytes())),
            NoteSignature::cosigner("witness.example", &key.public(), 7, &[1; 64]),
        ],
    };
    let encoded = note.encode();
    assert_eq!(Note::decode(&encoded), Ok(note));
    for text in ["\n", "a\n\nb\n", "\n\n\n", "数据\n"] {
        let note =
            Note { text: text.to_owned(), signatures: Note::decode(&encoded).unwrap().signatures };
        assert_eq!(Note::decode(&note.encode()), Ok(note));
    }
}

#[test]
fn a_note_is_cut_short_at_every_length() {
    let note = note();
    for (length, _) in note.char_indices() {
        refused(&note[..length]);
    }
}

#[test]
fn a_note_has_text_an_empty_line_and_signature_lines() {
    for wrong in [
        String::new(),
        "\n".to_owned(),
        "\n\n".to_owned(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}{LINE}"),
        LINE.to_owned(),
        format!("\n{LINE}"),
        format!("{TEXT}\n{LINE}\n"),
        format!("{TEXT}\n{LINE}x"),
        format!("{TEXT}\n{LINE}no line of a signature\n"),
        format!("{TEXT}\r\n{LINE}"),
        format!("a\tb\n\n{LINE}"),
        format!("a\0b\n\n{LINE}"),
        format!("a\u{1f}b\n\n{LINE}"),
    ] {
        refused(&wrong);
    }
}

/// C2SP forbids the ASCII control characters below U+0020 and no others.
#[test]
fn other_characters_are_text() {
    for text in ["a\u{7f}b\n", "a\u{85}b\n", "a\u{feff}\u{2028}b\n", "\u{1f4c4}\n"] {
        let note = format!("{text}\n{LINE}");
        assert_eq!(Note::decode(&note).unwrap().encode(), note);
    }
}

#[test]
fn a_signature_line_is_a_dash_a_name_and_base64() {
    for line in [
        "- ledger.example/log AAAAAAE=\n",      // a hyphen
        "—ledger.example/log AAAAAAE=\n",       // no space
        "—  ledger.example/log AAAAAAE=\n",     // two spaces
        "— AAAAAAE=\n",                         // no name
        "—  AAAAAAE=\n",                        // an empty name
        "— ledger.example+log AAAAAAE=\n",      // a plus sign
        "— ledger.example/log\n",               // no signature
        "— ledger.example/log \n",              // an empty one
        "— ledger.example/log AAAAAA==\n",      // an id and nothing else
        "— ledger.example/log AAAA\n",          // not even an id
        "— ledger.example/log AAAAAAE\n",       // no padding
        "— ledger.example/log AAAAAAF=\n",      // bits that are thrown away
        "— ledger.example/log AAAAAAE==\n",     // more padding
        "— ledger.example/log AAAA AAE=\n",     // a space
        "— ledger.example/log AAAAAA-_\n",      // the other alphabet
        "— ledger.example/log AAAAAAE= \n",     // a space at the end
        "— ledger.example\u{a0}log AAAAAAE=\n", // a space of another kind
    ] {
        refused(&format!("{TEXT}\n{line}"));
        refused(&format!("{TEXT}\n{LINE}{line}"));
    }
}

/// A verifier ignores the lines of keys that it does not know; it must be able to read past them.
#[test]
fn lines_of_strangers_are_read() {
    for line in
        ["— 证人.example AAAAAAE=\n", "— a:b,c;d AAAAAAECAwQF\n", "— ledger.example/log AAAAAAE=\n"]
    {
        let note = format!("{TEXT}\n{LINE}{line}{LINE}");
        let read = Note::decode(&note).unwrap();
        assert_eq!((read.signatures.len(), read.encode()), (3, note));
    }
    let long = format!("— witness.example/pq {}\n", "AAAA".repeat(820));
    assert!(Note::decode(&format!("{TEXT}\n{LINE}{long}")).is_ok());
}

#[test]
fn lines_and_bytes_are_bounded() {
    let lines = |count: usize| format!("{TEXT}\n{}", LINE.repeat(count));
    // C2SP asks for at least 16.
    assert_eq!(Note::decode(&lines(MAX_NOTE_SIGNATURES)).unwrap().signatures.len(), 300);
    assert_eq!(kind(Note::decode(&lines(301))), Kind::TooLarge);
    let long = |length: usize| {
        let rest = "\n\n".len() + LINE.len();
        format!("{}\n\n{LINE}", "a".repeat(length - rest))
    };
    assert!(Note::decode(&long(65_536)).is_ok());
    assert_eq!(kind(Note::decode(&long(65_537))), Kind::TooLarge);
}

#[test]
fn a_cosignature_has_a_time() {
    let line = NoteSignature::cosigner("w.example", &[3; 32], 0x0102_0304_0506_0708, &[9; 64]);
    assert_eq!(line.signature[..9], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(line.cosignature(), Some((0x0102_0304_0506_0708, [9; 64])));
    for length in [0, 7, 8, 64, 71, 73] {
        let line = NoteSignature { signature: vec![0; length], ..line.clone() };
        assert_eq!(line.cosignature(), None, "{length} bytes");
    }
    let message = b"cosignature/v1\ntime 1679315147\nlog\n1\nroot\n";
    assert_eq!(cosignature_message(1_679_315_147, "log\n1\nroot\n"), message);
}

#[test]
fn a_key_id_depends_on_name_kind_and_key() {
    let id = |name, kind| key_id(name, kind, &[3; 32]);
    let mut all = vec![
        id("a", NoteKeyKind::Log),
        id("a", NoteKeyKind::Cosigner),
        id("b", NoteKeyKind::Log),
        key_id("a", NoteKeyKind::Log, &[4; 32]),
    ];
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4);
    let line = NoteSignature::log("a", &[3; 32], &[0; 64]);
    assert_eq!(line.key_id, id("a", NoteKeyKind::Log));
    let line = NoteSignature::cosigner("a", &[3; 32], 0, &[0; 64]);
    assert_eq!(line.key_id, id("a", NoteKeyKind::Cosigner));
    assert!(verifier_key("a", NoteKeyKind::Cosigner, &[3; 32]).starts_with("a+"));
}

mod checkpoints {
    use super::*;

    fn checkpoint(size: u64) -> Checkpoint {
        Checkpoint { origin: "ledger.example/log".to_owned(), size, root: [0xab; 32] }
    }

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 1, 10, u64::MAX] {
            let checkpoint = checkpoint(size);
            assert_eq!(Checkpoint::decode(&checkpoint.text()), Ok(checkpoint));
        }
        let read = Checkpoint::decode(TEXT).unwrap();
        assert_eq!((read.size, read.text()), (12, TEXT.to_owned()));
    }

    #[test]
    fn it_is_three_lines_and_no_more() {
        let text = checkpoint(12).text();
        for length in 0..text.len() {
            assert_eq!(kind(Checkpoint::decode(&text[..length])), Kind::Value, "{length}");
        }
        for wrong in [
            format!("{text}\n"),
            format!("{text}extension\n"),
            format!("\n{text}"),
            text.replace('\n', "\r\n"),
        ] {
            let found = kind(Checkpoint::decode(&wrong));
            assert!(matches!(found, Kind::Value | Kind::Identifier), "{wrong:?}: {found}");
        }
    }

    #[test]
    fn the_size_is_decimal_without_zeros_before() {
        for size in
            ["", "012", "+12", "-12", " 12", "12 ", "1_2", "0x12", "1.0", "18446744073709551616"]
        {
            let text = TEXT.replace("\n12\n", &format!("\n{size}\n"));
            assert_eq!(kind(Checkpoint::decode(&text)), Kind::Value, "{size:?}");
        }
    }

    #[test]
    fn the_root_is_base64_of_32_bytes() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for wrong in [
            "",
            "AAAA",
            &root[..43],
            &root.replace("q2I=", "q2J="), // bits that are thrown away
            &root.replace('/', "_"),
            &format!("{root}="),
            &format!("{root}AAAA"),
            &"A".repeat(44),
        ] {
            let text = TEXT.replace(root, wrong);
            assert_eq!(kind(Checkpoint::decode(&text)), Kind::Value, "{wrong:?}");
        }
    }

    #[test]
    fn the_origin_is_a_name() {
        for origin in ["", "a b", "a+b", "数据", "a\u{a0}b"] {
            let text = TEXT.replace("ledger.example/log", origin);
            assert_eq!(kind(Checkpoint::decode(&text)), Kind::Identifier, "{origin:?}");
        }
        let name = |length: usize| TEXT.replace("ledger.example/log", &"a".repeat(length));
        assert!(Checkpoint::decode(&name(255)).is_ok());
        assert_eq!(kind(Checkpoint::decode(&name(256))), Kind::Identifier);
    }
}
