//! Bytes of a catalogue file, counted and bounded.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::error::SourceError;
use crate::name::hex;
use crate::options::Limits;

/// Name of a file without its directories: what locators and messages say, so that they are the same on every machine.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Opens a regular file.
fn open(path: &Path) -> Result<File, SourceError> {
    let failed = |source| SourceError::Io { file: file_name(path), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        Ok(file)
    } else {
        Err(failed(io::Error::other("it is not a regular file")))
    }
}

/// The whole text of a JSON catalogue, without byte order mark.
pub(crate) fn read_text(path: &Path, limits: &Limits) -> Result<String, SourceError> {
    let file = file_name(path);
    let mut bytes = Vec::new();
    open(path)?
        .take(limits.catalogue_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| SourceError::Io { file: file.clone(), source })?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limits.catalogue_bytes {
        return Err(SourceError::TooLarge { file, limit: limits.catalogue_bytes });
    }
    let text = String::from_utf8(bytes).map_err(|error| SourceError::NotUtf8 {
        file,
        offset: u64::try_from(error.utf8_error().valid_up_to()).unwrap_or(u64::MAX),
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The bytes of a table, one at a time.
pub(crate) struct Feed {
    source: Box<dyn Read + Send>,
    packed: bool,
    file: String,
    limit: u64,
    count: u64,
    buffer: Vec<u8>,
    position: usize,
    digest: Sha256,
}

impl Feed {
    pub(crate) fn plain(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        Ok(Self::new(Box::new(open(path)?), false, path, limits))
    }

    pub(crate) fn gzip(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        Ok(Self::new(Box::new(GzDecoder::new(open(path)?)), true, path, limits))
    }

    fn new(source: Box<dyn Read + Send>, packed: bool, path: &Path, limits: &Limits) -> Self {
        Self {
            source,
            packed,
            file: file_name(path),
            limit: limits.catalogue_bytes,
            count: 0,
            buffer: Vec::new(),
            position: 0,
            digest: Sha256::new(),
        }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// How many bytes were taken.
    pub(crate) fn offset(&self) -> u64 {
        let ahead = self.buffer.len().saturating_sub(self.position);
        self.count.saturating_sub(u64::try_from(ahead).unwrap_or(u64::MAX))
    }

    /// The next byte, left in place; none at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, SourceError> {
        if self.position >= self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.position).copied())
    }

    /// Takes the byte that was peeked.
    pub(crate) fn advance(&mut self) {
        self.position = self.position.saturating_add(1);
    }

    /// Whether the first byte that is no blank and no byte order mark opens a JSON object or array.
    pub(crate) fn starts_like_json(mut self) -> Result<bool, SourceError> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() && !matches!(byte, 0xEF | 0xBB | 0xBF) {
                return Ok(matches!(byte, b'{' | b'['));
            }
            self.advance();
        }
        Ok(false)
    }

    /// Takes all that is left.
    pub(crate) fn finish(&mut self) -> Result<(), SourceError> {
        while self.peek()?.is_some() {
            self.position = self.buffer.len();
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), SourceError> {
        self.buffer.resize(1 << 16, 0);
        self.position = 0;
        let read = loop {
            match self.source.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let file = self.file.clone();
        let count = match read {
            Ok(count) => count,
            Err(source) if self.packed => return Err(SourceError::Damaged { file, source }),
            Err(source) => return Err(SourceError::Io { file, source }),
        };
        self.buffer.truncate(count);
        self.digest.update(&self.buffer);
        self.count = self.count.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.count > self.limit {
            return Err(SourceError::TooLarge { file, limit: self.limit });
        }
        Ok(())
    }

    /// Compares what was read so far, after unpacking, with a declared SHA-256.
    pub(crate) fn check_digest(&self, declared: &str) -> Result<(), SourceError> {
        let found = hex(&self.digest.clone().finalize());
        if found == declared {
            Ok(())
        } else {
            Err(SourceError::FileDigest {
                file: self.file.clone(),
                declared: declared.to_owned(),
                found,
            })
        }
    }
}
