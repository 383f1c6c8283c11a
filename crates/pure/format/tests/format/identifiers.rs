//! Ids, state keys, commitments and timelines.

use ledger_format::commitment::Opening;
use ledger_format::digest::{BlockHash, EntryId, KeyId, LedgerId, hash_from_hex, hex, sha256};
use ledger_format::id::{Subject, SubjectKind, check_party, state_key};
use ledger_format::malformed::{CODES, Kind};
use ledger_format::timeline::timeline_step;
use proptest::prelude::*;

use crate::samples::kind;

#[test]
fn party_ids() {
    for good in ["a", "0", "ab", "a-b", "a.b", "a--b", "a..b", "1.2-3", &"a".repeat(64)] {
        assert_eq!(check_party("test", good), Ok(()), "{good}");
    }
    let long = "a".repeat(65);
    for bad in [
        "", "-", ".", "-a", "a-", ".a", "a.", "A", "aB", "a_b", "a~b", "a b", "a/b", "a:b", "a\n",
        "\u{e9}", "数据", &long,
    ] {
        assert_eq!(kind(check_party("test", bad)), Kind::Identifier, "{bad:?}");
    }
}

#[test]
fn subject_ids() {
    for kind in SubjectKind::ALL {
        let id = Subject::new(*kind, "supplier/Aa0._~-/x").unwrap();
        assert_eq!((id.kind(), id.name()), (*kind, "supplier/Aa0._~-/x"));
        assert_eq!(id.owner(), kind.is_owned().then_some("supplier"));
        assert_eq!(id.as_str(), format!("{}:supplier/Aa0._~-/x", kind.word()));
        assert_eq!(id.state_key(), sha256(&[id.as_str().as_bytes()]));
        assert_eq!(id.state_key(), state_key(id.as_str()));
        assert_eq!(Subject::new(*kind, "x").is_ok(), !kind.is_owned(), "{id}");
    }
    for bad in [
        "",
        ":",
        "asset",
        "asset:",
        ":x/y",
        "assets:x/y",
        "Asset:x/y",
        "asset :x/y",
        "asset:x",
        "asset:/",
        "asset:/y",
        "asset:x/",
        "asset:x//y",
        "asset:X/y",
        "asset:-x/y",
        "asset:x/a b",
        "asset:x/a:b",
        "asset:x/a+b",
        "asset:x/é",
        "asset:x/y\n",
        "party:",
        "party:/",
        "party:a/",
        "key:a//b",
    ] {
        assert_eq!(kind(Subject::parse("test", bad)), Kind::Identifier, "{bad:?}");
    }
    let long = |length: usize| Subject::parse("test", &format!("party:{}", "a".repeat(length - 6)));
    assert!(long(192).is_ok());
    assert_eq!(kind(long(193)), Kind::Identifier);
    let owner = |length: usize| Subject::parse("test", &format!("asset:{}/y", "a".repeat(length)));
    assert!(owner(64).is_ok());
    assert_eq!(kind(owner(65)), Kind::Identifier);
}

/// Which words there are, and whose names begin with a party: part of the format.
#[test]
fn kinds_of_subjects() {
    let owned = |kind: &&SubjectKind| kind.is_owned();
    let words = |kinds: &[&SubjectKind]| kinds.iter().map(|k| k.word()).collect::<Vec<_>>();
    let (yes, no): (Vec<_>, Vec<_>) = SubjectKind::ALL.iter().partition(owned);
    assert_eq!(words(&yes), ["asset", "registration", "review", "listing", "contract", "delivery"]);
    assert_eq!(
        words(&no),
        [
            "ledger",
            "ruleset",
            "calendar",
            "validators",
            "misconduct",
            "party",
            "key",
            "certificate",
            "activity"
        ]
    );
}

#[test]
fn hashes_are_64_lower_case_digits() {
    let text = "0123456789abcdef".repeat(4);
    let hash = hash_from_hex("test", &text).unwrap();
    assert_eq!(hex(&hash), text);
    assert_eq!(LedgerId::from_hex(&text), Ok(LedgerId(hash)));
    assert_eq!(KeyId(hash).to_string(), text);
    for bad in
        ["", &text[1..], &text[2..], &text.to_uppercase(), &format!("{text}0"), &"g".repeat(64)]
    {
        assert_eq!(kind(hash_from_hex("test", bad)), Kind::Value, "{bad}");
    }
    assert_eq!(EntryId::from_slice(&[7; 32]), Ok(EntryId([7; 32])));
    for length in [0, 31, 33] {
        assert_eq!(kind(BlockHash::from_slice(&vec![7; length])), Kind::Value);
    }
}

#[test]
fn a_commitment_hides_and_binds() {
    let opening = Opening {
        salt: [5; 32],
        path: "contract_signed.price".into(),
        value: "1200.00 CNY".into(),
    };
    let parts: [&[u8]; 5] = [
        b"ledger/commitment/v1\0",
        &[5; 32],
        &[0, 0, 0, 21],
        b"contract_signed.price",
        b"1200.00 CNY",
    ];
    assert_eq!(opening.commitment(), sha256(&parts));
    // The length keeps path and value apart.
    let moved = Opening {
        path: "contract_signed.price1".into(),
        value: "200.00 CNY".into(),
        ..opening.clone()
    };
    assert_ne!(moved.commitment(), opening.commitment());
    assert_ne!(Opening { salt: [6; 32], ..opening.clone() }.commitment(), opening.commitment());
    assert_ne!(
        Opening { value: "1200.00 EUR".into(), ..opening.clone() }.commitment(),
        opening.commitment()
    );
}

#[test]
fn a_timeline_begins_with_zeros() {
    let entry = EntryId([3; 32]);
    let first = timeline_step(&[], &entry);
    assert_eq!(first, sha256(&[&[0x12], &[0; 32], &[3; 32]]));
    assert_eq!(timeline_step(&[0; 32], &entry), first);
    assert_eq!(timeline_step(&first, &entry), sha256(&[&[0x12], &first, &[3; 32]]));
}

/// Codes are for ever: no two kinds share one, and each is explained.
#[test]
fn every_code_is_explained() {
    let mut codes: Vec<&str> = CODES.iter().map(|explanation| explanation.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), CODES.len());
    for explanation in CODES {
        assert!(explanation.code.starts_with("FMT_"));
        assert!(!explanation.text.is_empty() && !explanation.help.is_empty());
    }
}

proptest! {
    #[test]
    fn any_party_id_of_the_grammar(id in "[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?") {
        prop_assert_eq!(check_party("test", &id), Ok(()));
    }

    #[test]
    fn any_text_is_a_subject_only_by_the_grammar(id in "(asset|party|key|x)?:?[a-zA-Z0-9/:._~ +-]{0,20}|.{0,30}") {
        let expected = by_the_grammar(&id);
        prop_assert_eq!(Subject::parse("test", &id).is_ok(), expected, "{:?}", id);
    }
}

/// The grammar of docs/spec/identifiers.md once more, written from the page.
fn by_the_grammar(id: &str) -> bool {
    let Some((word, name)) = id.split_once(':') else { return false };
    let Some(kind) = SubjectKind::ALL.iter().find(|kind| kind.word() == word) else { return false };
    let segment = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._~-".contains(c))
    };
    let parts: Vec<&str> = name.split('/').collect();
    let owned = || parts.len() > 1 && check_party("test", parts[0]).is_ok();
    id.len() <= 192 && parts.iter().all(|part| segment(part)) && (!kind.is_owned() || owned())
}
