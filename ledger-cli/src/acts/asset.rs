//! Assets: what they are, how they change, what is said of their past.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_client::act::digest;
use ledger_client::content::CHUNK_BYTES;
use ledger_event::event::Act;
use ledger_event::{
    AssetDescribed, AssetDescription, AssetKind, AssetRevised, DataClass, Derivation, Grade,
    ImportedHistory, Origin, PersonalInformation,
};
use ledger_format::id::SubjectKind;

use super::governance::document;
use super::{act, asset};
use crate::report::Answer;
use crate::session::Common;
use crate::signing::{Planned, SignArgs, perform};
use crate::values::{DigestArg, Terms, date, derivation, read_file, subject};

/// Assets.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Describe a new asset; all of it is public
    #[command(after_help = "Examples:
  ledger-cli asset describe acme/weather --kind product \\
      --name-en 'City weather' --file weather.csv --media-type text/csv \\
      --origin collected --data-class enterprise --grade general1 \\
      --personal-information none --key acme-org
  ledger-cli asset describe acme/weather-subset --from description.json \\
      --derived-from acme/weather@1=subset --key acme-org")]
    Describe {
        /// Id: SUPPLIER/NAME
        asset: String,
        #[command(flatten)]
        description: Box<Description>,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Make a new version of an asset: what options do not say stays as it is
    #[command(after_help = "Example:
  ledger-cli asset revise acme/weather --file weather-2.csv \\
      --reason 'one more month' --key acme-org")]
    Revise {
        /// Id: SUPPLIER/NAME
        asset: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        description: Box<Description>,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// State what somebody says happened to an asset before or outside this ledger. A claim, never a certificate
    #[command(after_help = "Example:
  ledger-cli asset claim acme/weather --what 'first published' \\
      --when 2019-04-01 --according-to 'Acme Data Ltd' \\
      --source 'annual report 2019, page 12' --source-digest report.pdf \\
      --key acme-org")]
    Claim {
        /// Id: SUPPLIER/NAME
        asset: String,
        /// What happened, in the source's words
        #[arg(long, value_name = "TEXT")]
        what: String,
        /// When; left out when the source does not say
        #[arg(long, value_name = "DATE", value_parser = date)]
        when: Option<u32>,
        /// Who says so
        #[arg(long, value_name = "NAME")]
        according_to: String,
        /// Which record of which source says so
        #[arg(long, value_name = "TEXT")]
        source: String,
        /// That record's digest, or a file with it
        #[arg(long, value_name = "HASH|FILE")]
        source_digest: DigestArg,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

/// What an asset is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Description")]
pub(crate) struct Description {
    /// Description as JSON of ledger.v1.AssetDescription; options win over it
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Kind of asset
    #[arg(long, value_parser = Terms::<AssetKind>::new())]
    kind: Option<AssetKind>,
    /// Name in Chinese
    #[arg(long, value_name = "NAME")]
    name_zh: Option<String>,
    /// Name in English
    #[arg(long, value_name = "NAME")]
    name_en: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// GB/T 4754 section letter and division
    #[arg(long, value_name = "CODE")]
    industry: Option<String>,
    /// How the data came about
    #[arg(long, value_parser = Terms::<Origin>::new())]
    origin: Option<Origin>,
    /// Whose data it is
    #[arg(long, value_parser = Terms::<DataClass>::new())]
    data_class: Option<DataClass>,
    /// GB/T 43697-2024 grade
    #[arg(long, value_parser = Terms::<Grade>::new())]
    grade: Option<Grade>,
    /// Whether personal information is in it
    #[arg(long, value_parser = Terms::<PersonalInformation>::new())]
    personal_information: Option<PersonalInformation>,
    /// SPDX expression, or the licence's own title
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
    /// Organisation that publishes the data
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// Where it can be had
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
    /// The data itself: its digest and size are recorded, nothing else of it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// IANA media type
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// First day that the data covers
    #[arg(long, value_name = "DATE", value_parser = date)]
    time_from: Option<u32>,
    /// Last day that the data covers
    #[arg(long, value_name = "DATE", value_parser = date)]
    time_to: Option<u32>,
    /// Registration number of the public data that this was made from
    #[arg(long, value_name = "NUMBER")]
    public_registration: Option<String>,
    /// Party to which processing is entrusted
    #[arg(long, value_name = "PARTY")]
    entrusted_processor: Option<String>,
    /// An asset that this was made from; again for each
    #[arg(long, value_name = "ASSET@VERSION=KIND", value_parser = derivation)]
    derived_from: Vec<Derivation>,
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    match command {
        Command::Describe { asset, description, sign } => {
            let description = Some(description.apply(AssetDescription::default())?);
            let event = Act::AssetDescribed(AssetDescribed { description });
            act(common, &sign, SubjectKind::Asset, &asset, event).await
        }
        Command::Revise { asset: name, reason, description, sign } => {
            let mut node = common.connect().await?;
            let subject = subject(SubjectKind::Asset, &name)?;
            let current = asset(&mut node, &subject).await?.description.unwrap_or_default();
            let description = Some(description.apply(current)?);
            let act = Act::AssetRevised(AssetRevised { description, reason });
            perform(common, &mut node, &sign, Planned { subject, act }).await
        }
        Command::Claim { asset, what, when, according_to, source, source_digest, sign } => {
            let event = ImportedHistory {
                what,
                when: when.unwrap_or_default(),
                according_to,
                source,
                source_digest: Some(source_digest.digest()?),
            };
            act(common, &sign, SubjectKind::Asset, &asset, Act::ImportedHistory(event)).await
        }
    }
}

/// Puts the given options into fields.
macro_rules! set {
    ($($field:expr => $value:expr;)*) => { $(if let Some(value) = $value { $field = value.into(); })* };
}

impl Description {
    /// The description with what the options say.
    fn apply(self, base: AssetDescription) -> Result<AssetDescription, ClientError> {
        let mut new = match &self.from {
            Some(path) => document("AssetDescription", path)?,
            None => base,
        };
        if let Some(path) = &self.file {
            let content = read_file(path, CHUNK_BYTES)?;
            new.content = Some(digest(content.sha256));
            new.content_bytes = content.bytes;
        }
        if !self.derived_from.is_empty() {
            new.derived_from.clone_from(&self.derived_from);
        }
        self.set_fields(&mut new);
        Ok(new)
    }

    fn set_fields(self, new: &mut AssetDescription) {
        set! {
            new.kind => self.kind;
            new.name_zh => self.name_zh;
            new.name_en => self.name_en;
            new.summary => self.summary;
            new.industry => self.industry;
            new.origin => self.origin;
            new.data_class => self.data_class;
            new.grade => self.grade;
            new.personal_information => self.personal_information;
            new.licence => self.licence;
            new.publisher => self.publisher;
            new.source_url => self.source_url;
            new.media_type => self.media_type;
            new.time_from => self.time_from;
            new.time_to => self.time_to;
            new.public_registration => self.public_registration;
            new.entrusted_processor => self.entrusted_processor;
        }
    }
}
