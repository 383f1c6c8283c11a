//! Registration of property rights in data.

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_event::event::Act;
use ledger_event::{
    CertificateIssued, EvidenceRecorded, Finding, NoticeOpened, RegistrationAccepted,
    RegistrationApplied, RegistrationReviewed, RightClaim,
};
use ledger_format::id::SubjectKind;

use super::{act, version};
use crate::report::Answer;
use crate::session::Common;
use crate::signing::{Planned, SignArgs, perform};
use crate::values::{DigestArg, Terms, right_claim, subject};

/// Registration, in the order of its steps.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply for registration of rights in an asset. Signed with an organisation key and an officer's token
    #[command(after_help = "Example:
  ledger-cli registration apply acme/weather --asset acme/weather \\
      --registry gd-registry --rule-set CN-NDA-2026/1 \\
      --right hold=self-collected --right operate=self-collected \\
      --scenario 'crop insurance' --materials title.pdf --key acme-org \\
      --key acme-officer")]
    Apply(Box<Apply>),
    /// Accept an application (registry)
    #[command(after_help = "Example:
  ledger-cli registration accept acme/weather --key registry-org")]
    Accept {
        /// Id: APPLICANT/NAME
        registration: String,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Record the examination: description, source and title (two officers of the registry)
    #[command(after_help = "Example:
  ledger-cli registration review acme/weather --description satisfied \\
      --source satisfied --title satisfied --report examination.pdf \\
      --key registry-officer-1 --key registry-officer-2")]
    Review {
        /// Id: APPLICANT/NAME
        registration: String,
        /// Finding on the description
        #[arg(long, value_parser = Terms::<Finding>::new())]
        description: Finding,
        /// Finding on the source
        #[arg(long, value_parser = Terms::<Finding>::new())]
        source: Finding,
        /// Finding on the title
        #[arg(long, value_parser = Terms::<Finding>::new())]
        title: Finding,
        /// The examiners' report, or its digest
        #[arg(long, value_name = "HASH|FILE")]
        report: DigestArg,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Open the public notice (registry)
    #[command(after_help = "Example:
  ledger-cli registration notice acme/weather --notice notice.html \\
      --key registry-org")]
    Notice {
        /// Id: APPLICANT/NAME
        registration: String,
        /// What was published, or its digest
        #[arg(long, value_name = "HASH|FILE")]
        notice: DigestArg,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Record the evidence: registration is complete (registry, two factors)
    #[command(after_help = "Example:
  ledger-cli registration evidence acme/weather --evidence facts.json \\
      --key registry-org --key registry-officer-1")]
    Evidence {
        /// Id: APPLICANT/NAME
        registration: String,
        /// The registered facts, or their digest
        #[arg(long, value_name = "HASH|FILE")]
        evidence: DigestArg,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
    /// Issue the certificate (registry, two factors)
    #[command(
        visible_alias = "certificate",
        after_help = "Example:
  ledger-cli registration certify acme/weather --number SJ4412026080001 \\
      --body certificate.pdf --key registry-org --key registry-officer-1"
    )]
    Certify {
        /// Id: APPLICANT/NAME
        registration: String,
        /// Number of the certificate
        #[arg(long)]
        number: String,
        /// The sealed document, or its digest
        #[arg(long, value_name = "HASH|FILE")]
        body: DigestArg,
        #[command(flatten)]
        sign: Box<SignArgs>,
    },
}

/// Options of `registration apply`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Apply {
    /// Id: APPLICANT/NAME
    registration: String,
    /// The asset: SUPPLIER/NAME
    #[arg(long)]
    asset: String,
    /// Its version [default: the latest]
    #[arg(long, value_name = "N")]
    asset_version: Option<u32>,
    /// Party that registers
    #[arg(long, value_name = "PARTY")]
    registry: String,
    /// Rule set to apply under
    #[arg(long, value_name = "ID/VERSION")]
    rule_set: String,
    /// A right and what it rests on; again for each
    #[arg(long = "right", value_name = "RIGHT=BASIS", required = true, value_parser = right_claim)]
    rights: Vec<RightClaim>,
    /// What the data is meant for; again for each
    #[arg(long = "scenario", value_name = "TEXT")]
    scenarios: Vec<String>,
    /// Filed proof of source and title, or its digest
    #[arg(long, value_name = "HASH|FILE")]
    materials: DigestArg,
    /// Validity asked for, in years
    #[arg(long, value_name = "N", default_value_t = 5)]
    years: u32,
    #[command(flatten)]
    sign: SignArgs,
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    let (registration, sign, event) = match command {
        Command::Apply(apply) => return apply.run(common).await,
        Command::Accept { registration, sign } => {
            (registration, sign, Act::RegistrationAccepted(RegistrationAccepted {}))
        }
        Command::Review { registration, description, source, title, report, sign } => {
            let event = RegistrationReviewed {
                description: description.into(),
                source: source.into(),
                title: title.into(),
                report: Some(report.digest()?),
            };
            (registration, sign, Act::RegistrationReviewed(event))
        }
        Command::Notice { registration, notice, sign } => {
            let notice = Some(notice.digest()?);
            (registration, sign, Act::NoticeOpened(NoticeOpened { notice }))
        }
        Command::Evidence { registration, evidence, sign } => {
            let evidence = Some(evidence.digest()?);
            (registration, sign, Act::EvidenceRecorded(EvidenceRecorded { evidence }))
        }
        Command::Certify { registration, number, body, sign } => {
            let body = Some(body.digest()?);
            (registration, sign, Act::CertificateIssued(CertificateIssued { number, body }))
        }
    };
    act(common, &sign, SubjectKind::Registration, &registration, event).await
}

impl Apply {
    async fn run(self, common: &Common) -> Result<Answer, ClientError> {
        let mut node = common.connect().await?;
        let asset = subject(SubjectKind::Asset, &self.asset)?;
        let event = RegistrationApplied {
            version: version(&mut node, &asset, self.asset_version).await?,
            asset: asset.to_string(),
            registry: self.registry,
            rule_set: self.rule_set,
            rights: self.rights,
            scenarios: self.scenarios,
            materials: Some(self.materials.digest()?),
            validity_years: self.years,
        };
        let subject = subject(SubjectKind::Registration, &self.registration)?;
        let planned = Planned { subject, act: Act::RegistrationApplied(event) };
        perform(common, &mut node, &self.sign, planned).await
    }
}
