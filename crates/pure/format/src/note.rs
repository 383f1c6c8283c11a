//! Signed notes and checkpoints (C2SP signed-note 1.0.0, tlog-checkpoint 1.0.0, tlog-cosignature 1.0.1).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64ct::{Base64, Encoding as _};

use crate::digest::{Hash, sha256};
use crate::limits::{MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES};
use crate::malformed::{Kind, Malformed};
use crate::validators::check_note_name;

/// What a note's key signs as: its first byte in the encoded key and in the key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKeyKind {
    /// A plain Ed25519 signature over the note's text.
    Log,
    /// A timestamped Ed25519 cosignature (`cosignature/v1`).
    Cosigner,
}

impl NoteKeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Cosigner => 0x04,
        }
    }
}

/// The first four bytes of SHA-256(name, line feed, kind, key).
pub fn key_id(name: &str, kind: NoteKeyKind, public_key: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[kind.byte()], public_key]);
    [a, b, c, d]
}

/// A key as C2SP tools take it: `name+id+base64(kind, key)`.
pub fn verifier_key(name: &str, kind: NoteKeyKind, public_key: &[u8; 32]) -> String {
    let id = crate::digest::hex(&key_id(name, kind, public_key));
    let mut typed = Vec::from([kind.byte()]);
    typed.extend_from_slice(public_key);
    format!("{name}+{id}+{}", Base64::encode_string(&typed))
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: [u8; 4],
    /// What follows the id: 64 bytes for a log key, 8 bytes of time and 64 for a cosigner.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// A log's signature line.
    pub fn log(name: &str, public_key: &[u8; 32], signature: &[u8; 64]) -> Self {
        let key_id = key_id(name, NoteKeyKind::Log, public_key);
        Self { name: name.to_string(), key_id, signature: signature.to_vec() }
    }

    /// A cosigner's signature line.
    pub fn cosigner(name: &str, public_key: &[u8; 32], time_s: u64, signature: &[u8; 64]) -> Self {
        let key_id = key_id(name, NoteKeyKind::Cosigner, public_key);
        let mut bytes = time_s.to_be_bytes().to_vec();
        bytes.extend_from_slice(signature);
        Self { name: name.to_string(), key_id, signature: bytes }
    }

    /// Time and signature, when the line has the length of a cosignature.
    pub fn cosignature(&self) -> Option<(u64, [u8; 64])> {
        let (time, signature) = self.signature.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*time), signature.try_into().ok()?))
    }
}

/// What a cosigner signs: a header with its time, then the note's text.
pub fn cosignature_message(time_s: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes()
}

/// A text with signatures. The text ends with a line feed and is what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text.
    pub text: String,
    /// Signature lines in order.
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// The text, an empty line, and the signature lines.
    pub fn encode(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for line in &self.signatures {
            let mut bytes = line.key_id.to_vec();
            bytes.extend_from_slice(&line.signature);
            let encoded = Base64::encode_string(&bytes);
            note.extend(["\u{2014} ", &line.name, " ", &encoded, "\n"]);
        }
        note
    }

    /// Reads a note.
    ///
    /// # Errors
    /// `FMT_TOO_LARGE`, or `FMT_VALUE` for anything that is not a note.
    pub fn decode(note: &str) -> Result<Self, Malformed> {
        let wrong = |detail: &str| Malformed::new(Kind::Value, "note", detail);
        if note.len() > MAX_NOTE_BYTES {
            return Err(Malformed::new(Kind::TooLarge, "note", "longer than 64 KiB"));
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(wrong("an ASCII control character"));
        }
        let split =
            note.rfind("\n\n").ok_or_else(|| wrong("no empty line before the signatures"))?;
        let (text, rest) =
            note.split_at_checked(split.saturating_add(1)).ok_or_else(|| wrong("no text"))?;
        let lines = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or_else(|| wrong("no signature lines, or no line feed at the end"))?;
        if lines.split('\n').count() > MAX_NOTE_SIGNATURES {
            return Err(Malformed::new(Kind::TooLarge, "note", "too many signature lines"));
        }
        let signatures = lines.split('\n').map(signature_line).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_string(), signatures })
    }
}

fn signature_line(line: &str) -> Result<NoteSignature, Malformed> {
    let wrong = || Malformed::new(Kind::Value, "note signature", format!("{line:?}"));
    let (name, encoded) =
        line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
    // Lines of strangers are kept as they are, so their names may have any letters.
    if name.is_empty() || name.contains(|c: char| c == '+' || c.is_whitespace()) {
        return Err(wrong());
    }
    let bytes = Base64::decode_vec(encoded).map_err(|_not_base64| wrong())?;
    let (key_id, signature) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
    if signature.is_empty() {
        return Err(wrong());
    }
    Ok(NoteSignature { name: name.to_string(), key_id: *key_id, signature: signature.to_vec() })
}

/// The text of a checkpoint: a tree head of a log. Written without extension lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root of a tree of that size.
    pub root: Hash,
}

impl Checkpoint {
    /// Origin, decimal size and base64 root, a line each.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, Base64::encode_string(&self.root))
    }

    /// Reads the text of a checkpoint; extension lines are refused, since cosignatures of the future do not cover them.
    ///
    /// # Errors
    /// `FMT_VALUE` for anything that is not such a text.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let wrong = |detail: String| Malformed::new(Kind::Value, "checkpoint", detail);
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(wrong("fewer than three lines".into()));
        };
        if (lines.next(), lines.next()) != (Some(""), None) {
            return Err(wrong("more than three lines, or no line feed at the end".into()));
        }
        check_note_name("origin", origin)?;
        let number = size.parse().map_err(|_not_a_number| wrong(format!("size {size:?}")))?;
        let mut bytes = [0; 32];
        let decoded = Base64::decode(root, &mut bytes);
        if !matches!(decoded, Ok(decoded) if decoded.len() == 32) {
            return Err(wrong(format!("root {root:?}")));
        }
        let checkpoint = Self { origin: origin.to_string(), size: number, root: bytes };
        if checkpoint.text() == text {
            Ok(checkpoint)
        } else {
            Err(wrong("not the canonical text of its content".into()))
        }
    }
}
