//! Values of options: terms of the vocabulary, subjects, dates, digests, pairs.

use std::fmt::Debug;
use std::fs::File;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use heck::ToKebabCase as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp};
use ledger_client::ClientError;
use ledger_client::act::digest;
use ledger_client::content::{CHUNK_BYTES, ReadFile};
use ledger_event::{Basis, Derivation, DerivationKind, Digest, Factor, Right, RightClaim, Role};
use ledger_format::digest::{Hash, LedgerId, hash_from_hex};
use ledger_format::id::{Subject, SubjectKind};

/// Numbers of enum values are below this, in every enum of the vocabulary.
const TERMS: i32 = 64;

/// The words of one enum of the vocabulary: its value names in lower case with hyphens, without the prefix. Zero is "not stated".
fn words<E: TryFrom<i32> + Debug>() -> Vec<String> {
    (1..TERMS)
        .filter_map(|number| E::try_from(number).ok())
        .map(|term| format!("{term:?}").to_kebab_case())
        .collect()
}

/// The term that a word names.
fn term<E: TryFrom<i32> + Debug>(word: &str) -> Result<E, String> {
    (1..TERMS)
        .filter_map(|number| E::try_from(number).ok())
        .find(|term| format!("{term:?}").to_kebab_case() == word)
        .ok_or_else(|| format!("{word:?} is none of {}", words::<E>().join(", ")))
}

/// A parser for the terms of an enum, which help and completions list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<E>(PhantomData<E>);

impl<E> Terms<E> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> TypedValueParser for Terms<E>
where
    E: TryFrom<i32> + Debug + Clone + Send + Sync + 'static,
{
    type Value = E;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<E, clap::Error> {
        let word = PossibleValuesParser::new(words::<E>()).parse_ref(command, argument, value)?;
        term(&word)
            .map_err(|text| command.clone().error(clap::error::ErrorKind::InvalidValue, text))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(words::<E>().into_iter().map(PossibleValue::new)))
    }
}

/// A ledger id in hex.
pub(crate) fn ledger_id(text: &str) -> Result<LedgerId, String> {
    LedgerId::from_hex(text).map_err(|error| error.to_string())
}

/// A civil date as YYYYMMDD, from `2026-08-03` or `20260803`.
pub(crate) fn date(text: &str) -> Result<u32, String> {
    let date: Date = text.parse().map_err(|error| format!("{text:?} is not a date: {error}"))?;
    date.strftime("%Y%m%d")
        .to_string()
        .parse()
        .map_err(|_not_a_number| format!("{text:?}: out of range"))
}

/// An instant in seconds since 1970, from RFC 3339 or a date (its first second in UTC).
pub(crate) fn instant(text: &str) -> Result<u64, String> {
    let wrong = |error: jiff::Error| format!("{text:?} is no instant: {error}");
    let second = match text.parse::<Timestamp>() {
        Ok(timestamp) => timestamp.as_second(),
        Err(error) => {
            let date: Date = text.parse().map_err(|_not_a_date| wrong(error))?;
            date.to_zoned(TimeZone::UTC).map_err(wrong)?.timestamp().as_second()
        }
    };
    u64::try_from(second).map_err(|_negative| format!("{text:?} is before 1970"))
}

/// A length of time in seconds, from `90s`, `30m`, `12h`, `7d` and sums of them.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let wrong =
        |error: jiff::Error| format!("{text:?} is no length of time such as 30m or 7d: {error}");
    let span: jiff::Span = text.parse().map_err(wrong)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(wrong)?;
    u64::try_from(duration.as_secs()).map_err(|_negative| format!("{text:?} is negative"))
}

/// A subject of a known kind; the kind's word and colon may be left out.
pub(crate) fn subject(kind: SubjectKind, text: &str) -> Result<Subject, ClientError> {
    if !text.contains(':') {
        return Ok(Subject::new(kind, text)?);
    }
    let subject = Subject::parse("subject", text)?;
    if subject.kind() == kind {
        return Ok(subject);
    }
    Err(ClientError::usage(format!("{text}: expected {}:NAME", kind.word())))
}

/// What an event carries of a document that stays off the ledger: given as a digest, or as the file itself.
#[derive(Clone, Debug)]
pub(crate) enum DigestArg {
    Given(Hash),
    Of(PathBuf),
}

impl FromStr for DigestArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(hex) = text.strip_prefix("sha256:") {
            return hash_from_hex("digest", hex)
                .map(Self::Given)
                .map_err(|error| error.to_string());
        }
        Ok(hash_from_hex("digest", text).map_or_else(|_no_hex| Self::Of(text.into()), Self::Given))
    }
}

impl DigestArg {
    /// The digest; a file is read to its end.
    pub(crate) fn digest(&self) -> Result<Digest, ClientError> {
        match self {
            Self::Given(hash) => Ok(digest(*hash)),
            Self::Of(path) => Ok(digest(read_file(path, CHUNK_BYTES)?.sha256)),
        }
    }
}

/// The digest of an optional document.
pub(crate) fn optional_digest(argument: Option<&DigestArg>) -> Result<Option<Digest>, ClientError> {
    argument.map(DigestArg::digest).transpose()
}

/// Reads a file in chunks.
pub(crate) fn read_file(path: &PathBuf, chunk_bytes: u32) -> Result<ReadFile, ClientError> {
    let mut file = File::open(path).map_err(ClientError::io(path.display()))?;
    ReadFile::read(&mut file, chunk_bytes).map_err(|error| error.at(path.display()))
}

/// `RIGHT=BASIS`.
pub(crate) fn right_claim(text: &str) -> Result<RightClaim, String> {
    let (right, basis) = pair(text, "RIGHT=BASIS")?;
    Ok(RightClaim { right: term::<Right>(right)?.into(), basis: term::<Basis>(basis)?.into() })
}

/// `ASSET@VERSION=KIND`.
pub(crate) fn derivation(text: &str) -> Result<Derivation, String> {
    let (input, kind) = pair(text, "ASSET@VERSION=KIND")?;
    let (asset, version) = input.split_once('@').ok_or("expected ASSET@VERSION=KIND")?;
    let asset = subject(SubjectKind::Asset, asset).map_err(|error| error.message)?;
    let version = version.parse().map_err(|error| format!("version {version:?}: {error}"))?;
    Ok(Derivation { asset: asset.to_string(), version, kind: term::<DerivationKind>(kind)?.into() })
}

/// `PARTY=ROLE`.
pub(crate) fn party_role(text: &str) -> Result<(String, Role), String> {
    let (party, role) = pair(text, "PARTY=ROLE")?;
    Ok((party.to_owned(), term(role)?))
}

/// A key to be enrolled, `KEY=FACTOR` or `KEY=FACTOR,OFFICER`.
#[derive(Clone, Debug)]
pub(crate) struct GrantArg {
    /// Name in the key directory, or path of a `.pub` or `.pem` file.
    pub(crate) key: String,
    /// Class of custody.
    pub(crate) factor: Factor,
    /// Commitment to the officer who holds it.
    pub(crate) officer: Option<CommitmentArg>,
}

impl FromStr for GrantArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, rest) = pair(text, "KEY=FACTOR[,OFFICER]")?;
        let (factor, officer) = match rest.split_once(',') {
            Some((factor, officer)) => (factor, Some(officer.parse()?)),
            None => (rest, None),
        };
        Ok(Self { key: key.to_owned(), factor: term(factor)?, officer })
    }
}

/// A commitment: in hex, or the file that opens it.
#[derive(Clone, Debug)]
pub(crate) enum CommitmentArg {
    Given(Hash),
    Of(PathBuf),
}

impl FromStr for CommitmentArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(hash_from_hex("commitment", text)
            .map_or_else(|_no_hex| Self::Of(text.into()), Self::Given))
    }
}

impl CommitmentArg {
    /// The commitment; an opening file must be for the field at `path`.
    pub(crate) fn commitment(&self, path: &str) -> Result<Hash, ClientError> {
        match self {
            Self::Given(hash) => Ok(*hash),
            Self::Of(file) => crate::commitment::read(file)?.for_field(path),
        }
    }
}

fn pair<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once('=').ok_or_else(|| format!("{text:?}: expected {form}"))
}

#[cfg(test)]
mod tests {
    use ledger_event::{Grade, Origin};

    use super::*;

    #[test]
    fn terms_are_words_of_the_vocabulary() {
        assert_eq!(term::<Origin>("scraped-public"), Ok(Origin::ScrapedPublic));
        assert_eq!(
            term::<Grade>("general-1").or_else(|_| term::<Grade>("general1")),
            Ok(Grade::General1)
        );
        assert!(term::<Origin>("unspecified").unwrap_err().contains("collected, scraped-public"));
    }

    #[test]
    fn dates_instants_and_lengths() {
        assert_eq!(date("2026-08-03"), Ok(20_260_803));
        assert!(date("2026-02-30").is_err());
        assert_eq!(instant("1970-01-02T00:00:00+08:00"), Ok(57_600));
        assert_eq!(instant("1970-01-02"), Ok(86_400));
        assert!(instant("1969-12-31").is_err());
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("1h30m"), Ok(5_400));
        assert!(seconds("-1h").is_err());
    }

    #[test]
    fn pairs_say_what_they_should_be() {
        let edge = derivation("a/b@2=copy").unwrap();
        assert_eq!((edge.asset.as_str(), edge.version), ("asset:a/b", 2));
        assert!(derivation("a/b=copy").unwrap_err().contains("ASSET@VERSION=KIND"));
        assert!(right_claim("hold").unwrap_err().contains("RIGHT=BASIS"));
        assert_eq!(party_role("p=buyer"), Ok(("p".to_owned(), Role::Buyer)));
    }
}
