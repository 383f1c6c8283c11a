//! Data files at hand: finding them, hashing them, and comparing them with what a catalogue declares.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::record::HashForm;

/// A hash function that catalogues declare. Two of them are broken: they are compared with, and protect nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

/// A declared hash that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    algorithm: Algorithm,
    value: Vec<u8>,
}

impl Declared {
    /// Reads `algorithm:hex`, or `hex` alone, whose algorithm follows from its length: 32 digits are MD5, as Frictionless
    /// says. `stated` is an algorithm that the catalogue names beside the value.
    pub(crate) fn parse(text: &str, stated: Option<&str>) -> Option<Self> {
        let text = text.trim();
        let (prefix, digits) = text.split_once(':').map_or((stated, text), |(p, d)| (Some(p), d));
        let value = unhex(digits)?;
        let algorithm = match prefix {
            Some(name) => algorithm(name)?,
            None => match value.len() {
                16 => Algorithm::Md5,
                20 => Algorithm::Sha1,
                32 => Algorithm::Sha256,
                64 => Algorithm::Sha512,
                _ => return None,
            },
        };
        (value.len() == algorithm.bytes()).then_some(Self { algorithm, value })
    }
}

impl Algorithm {
    const fn bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// `sha1`, `SHA-1`, `checksumAlgorithm_sha1`, `http://spdx.org/rdf/terms#checksumAlgorithm_sha1` and the like.
fn algorithm(name: &str) -> Option<Algorithm> {
    let name = name.rsplit(['#', '/', '_', ':']).next().unwrap_or(name);
    match name.trim().to_ascii_lowercase().replace('-', "").as_str() {
        "md5" => Some(Algorithm::Md5),
        "sha1" => Some(Algorithm::Sha1),
        "sha256" => Some(Algorithm::Sha256),
        "sha512" => Some(Algorithm::Sha512),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Where a relative path of a catalogue leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file below the catalogue's directory.
    File(PathBuf),
    /// There is no such file; that is no fault.
    Absent,
    /// Out of the directory, or to something that is no file. Holds why.
    Unsafe(String),
}

/// Finds the file that `path` names below `base`. Absolute paths, `..` and links that lead out are refused unopened.
pub(crate) fn locate(base: &Path, path: &str) -> Place {
    let relative = Path::new(path);
    let plain =
        relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !plain || path.contains(['\\', '\0']) || path.is_empty() {
        return Place::Unsafe(format!(
            "expected a relative path below the catalogue, found {path:?}"
        ));
    }
    let joined = base.join(relative);
    let (Ok(real_base), Ok(real)) = (base.canonicalize(), joined.canonicalize()) else {
        return Place::Absent;
    };
    if !real.starts_with(&real_base) {
        return Place::Unsafe(format!(
            "expected a file below the catalogue, {path:?} links out of it"
        ));
    }
    match fs::metadata(&real) {
        Ok(about) if about.is_file() => Place::File(joined),
        Ok(_) => Place::Unsafe(format!("expected a file, {path:?} is none")),
        Err(_) => Place::Absent,
    }
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) form: HashForm,
}

/// Reads a file once, and compares it with the declared hash in both habits.
pub(crate) fn digest_file(
    path: &Path,
    declared: Option<&Declared>,
    limit: u64,
) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return Err(io::Error::other(format!("it has {length} bytes, the limit is {limit}")));
    }
    let mut sha256 = Sha256::new();
    let mut habits = declared.map(|one| Habits::new(one.algorithm, length));
    let mut bytes = 0_u64;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else { break };
        bytes = bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        sha256.update(chunk);
        if let Some(habits) = &mut habits {
            habits.update(chunk);
        }
    }
    if bytes != length {
        return Err(io::Error::other("its size changed while it was read"));
    }
    let form = match (declared, habits) {
        (Some(declared), Some(habits)) => habits.compare(&declared.value),
        _ => HashForm::Unchecked,
    };
    Ok(Content { bytes, sha256: sha256.finalize().into(), form })
}

/// The plain hash of a file, and the hash of its git blob.
struct Habits {
    plain: Hasher,
    blob: Hasher,
}

enum Hasher {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Habits {
    fn new(algorithm: Algorithm, length: u64) -> Self {
        let mut blob = Hasher::new(algorithm);
        blob.update(format!("blob {length}\0").as_bytes());
        Self { plain: Hasher::new(algorithm), blob }
    }

    fn update(&mut self, chunk: &[u8]) {
        self.plain.update(chunk);
        self.blob.update(chunk);
    }

    fn compare(self, value: &[u8]) -> HashForm {
        if self.plain.finish() == value {
            HashForm::OfFile
        } else if self.blob.finish() == value {
            HashForm::OfGitBlob
        } else {
            HashForm::Mismatch
        }
    }
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, chunk: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(chunk),
            Self::Sha1(hasher) => hasher.update(chunk),
            Self::Sha256(hasher) => hasher.update(chunk),
            Self::Sha512(hasher) => hasher.update(chunk),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_hashes_are_read_in_all_their_spellings() {
        let sha1 = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3";
        for (text, stated, expected) in [
            (format!("sha1:{sha1}"), None, Some(Algorithm::Sha1)),
            (format!("SHA-1:{}", sha1.to_uppercase()), None, Some(Algorithm::Sha1)),
            (
                sha1.to_owned(),
                Some("http://spdx.org/rdf/terms#checksumAlgorithm_sha1"),
                Some(Algorithm::Sha1),
            ),
            (sha1.to_owned(), Some("spdx:checksumAlgorithm_sha1"), Some(Algorithm::Sha1)),
            ("098f6bcd4621d373cade4e832627b4f6".to_owned(), None, Some(Algorithm::Md5)),
            ("00".repeat(32), None, Some(Algorithm::Sha256)),
            ("00".repeat(64), None, Some(Algorithm::Sha512)),
            (format!("md5:{sha1}"), None, None),
            (format!("crc32:{sha1}"), None, None),
            ("xyz".to_owned(), None, None),
            (String::new(), None, None),
            ("abc".to_owned(), None, None),
            ("é0".to_owned(), None, None),
        ] {
            let found = Declared::parse(&text, stated).map(|one| one.algorithm);
            assert_eq!(found, expected, "{text} {stated:?}");
        }
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(locate(base, "Cargo.toml"), Place::File(base.join("Cargo.toml")));
        assert_eq!(
            locate(base, "./src/../none"),
            Place::Unsafe(
                "expected a relative path below the catalogue, found \"./src/../none\"".to_owned()
            )
        );
        assert_eq!(locate(base, "none"), Place::Absent);
        for path in ["/etc/passwd", "../Cargo.toml", "a\\b", "", "src", "a\0b"] {
            assert!(matches!(locate(base, path), Place::Unsafe(_)), "{path}");
        }
    }
}
