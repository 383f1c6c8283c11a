//! Identifiers that are safe in file names and addresses.

use sha2::{Digest, Sha256};

/// Longest local name, in bytes.
const LONGEST: usize = 80;
/// Hexadecimal digits of the digest in a derived name: 128 bits.
const HEX: usize = 32;

/// The first 128 bits of SHA-256 of an identifier. Identifiers that agree in them count as the same.
pub(crate) type Key = [u8; HEX / 2];

pub(crate) fn key(record_id: &str) -> Key {
    let digest: [u8; 32] = Sha256::digest(record_id.as_bytes()).into();
    let mut key = Key::default();
    for (to, from) in key.iter_mut().zip(digest) {
        *to = from;
    }
    key
}

/// Derives an identifier of at most 80 characters out of `A-Z a-z 0-9 . _ ~ -` from a record's identifier.
///
/// An identifier that is such already, starts with a letter or digit and does not end like a derived one is its own local
/// name. From any other the name is derived: what is safe of it, at most 47 characters, then `~`, then the first 32
/// hexadecimal digits of its SHA-256. So two names are equal only if two identifiers are, or agree in 128 bits of SHA-256;
/// of such a pair a source yields the first only, as if they were equal. Within a source names are therefore unique.
pub fn local_name(record_id: &str) -> String {
    if is_plain(record_id) {
        return record_id.to_owned();
    }
    let room = LONGEST - HEX - 1;
    let mut name = String::new();
    for character in record_id.chars() {
        if name.len() == room {
            break;
        }
        if is_safe(character) {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let kept = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).trim_end_matches('-');
    let kept = if kept.is_empty() { "r" } else { kept };
    format!("{kept}~{}", hex(&key(record_id)))
}

fn is_plain(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_safe)
        && !ends_like_derived(text)
}

fn ends_like_derived(text: &str) -> bool {
    text.rsplit_once('~').is_some_and(|(_, tail)| {
        tail.len() == HEX && tail.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

const fn is_safe(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '~' | '-')
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_identifiers_are_their_own_names() {
        for id in ["flights_2k", "BBR_ADG202603", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "a~b"] {
            assert_eq!(local_name(id), id);
        }
    }

    #[test]
    fn other_identifiers_get_a_digest() {
        for (id, start) in [
            ("https://data.example.hk/dataset/a b", "https-data.example.hk-dataset-a-b~"),
            ("數據集", "r~"),
            ("../../etc/passwd", "etc-passwd~"),
            (".", "r~"),
            ("", "r~"),
            ("-rf", "rf~"),
            ("2024年空气质量", "2024~"),
        ] {
            let name = local_name(id);
            assert!(name.starts_with(start), "{id}: {name}");
            assert_eq!(name.len(), start.len() + HEX, "{id}: {name}");
        }
        assert_eq!(local_name(&"x".repeat(81)).len(), LONGEST);
    }

    #[test]
    fn an_identifier_cannot_pose_as_a_derived_name() {
        let derived = local_name("數據集");
        assert_ne!(local_name(&derived), derived);
        assert_ne!(local_name("a/b"), local_name("a?b"));
    }
}
