//! Parties and their keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ledger_client::ClientError;
use ledger_event::event::Act;
use ledger_event::{
    KeyEnrolled, KeyGrant, KeyRevocationReason, KeyRevoked, PartyAdmitted, PartyKind, PartyProfile,
    Role,
};
use ledger_format::id::SubjectKind;

use super::act;
use super::governance::document;
use crate::commitment::OFFICER;
use crate::report::Answer;
use crate::session::{Common, key_id};
use crate::signing::SignArgs;
use crate::values::{GrantArg, Terms};

/// Parties.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Party {
    /// Admit a party with its roles and first keys. Signed by an exchange, an identity authority, and each new key
    #[command(after_help = "Examples:
  ledger-cli party admit acme --name-en 'Acme Data Ltd' --region 4401 \\
      --as supplier --grant acme-org.pub=org-hsm \\
      --grant acme-officer.pub=officer-token,$COMMITMENT --key exchange-org \\
      --key exchange-officer --with acme-org.pub --with acme-officer.pub \\
      --draft acme.draft
  ledger-cli party admit acme --profile acme.json --as supplier \\
      --grant acme-org=org-hsm --key exchange-org --key exchange-officer \\
      --key acme-org")]
    Admit(Box<Admit>),
}

/// Options of `party admit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Admit {
    /// Id of the party: lower-case letters, digits, dots and hyphens
    party: String,
    #[command(flatten)]
    public: ProfileArgs,
    /// A role that the party gets; again for each
    #[arg(long = "as", value_name = "ROLE", required = true, value_parser = Terms::<Role>::new())]
    granted: Vec<Role>,
    /// A key of the party, its class of custody, and the commitment to its officer; again for each
    #[arg(long = "grant", value_name = "KEY=FACTOR[,OFFICER]", required = true)]
    grants: Vec<GrantArg>,
    #[command(flatten)]
    sign: SignArgs,
}

/// What is public of a party.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProfileArgs {
    /// What is public of the party, as JSON of ledger.v1.PartyProfile; options win over it
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Legal, unincorporated or natural person [default: legal]
    #[arg(long, value_parser = Terms::<PartyKind>::new())]
    kind: Option<PartyKind>,
    /// Name in Chinese
    #[arg(long, value_name = "NAME")]
    name_zh: Option<String>,
    /// Name in English
    #[arg(long, value_name = "NAME")]
    name_en: Option<String>,
    /// ISO 3166-1 alpha-2 [default: CN]
    #[arg(long, value_name = "CC")]
    jurisdiction: Option<String>,
    /// GB/T 2260 code, or the part of ISO 3166-2 after the hyphen
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// Unified social credit code or foreign register number
    #[arg(long, value_name = "NUMBER")]
    registration_number: Option<String>,
    /// GB/T 4754 section letter and division
    #[arg(long, value_name = "CODE")]
    sector: Option<String>,
    /// A registry's region in the numbers of its certificates, two digits
    #[arg(long, value_name = "NN", requires = "certificate_digit")]
    certificate_region: Option<String>,
    /// A registry's digit in the numbers of its certificates
    #[arg(long, value_name = "N", requires = "certificate_region")]
    certificate_digit: Option<String>,
}

pub(crate) async fn party(common: &Common, command: Party) -> Result<Answer, ClientError> {
    let Party::Admit(admit) = command;
    let grants = admit.grants.iter().map(|grant| key_grant(common, grant));
    let event = PartyAdmitted {
        profile: Some(admit.public.profile()?),
        roles: admit.granted.iter().map(|role| i32::from(*role)).collect(),
        keys: grants.collect::<Result<_, _>>()?,
    };
    act(common, &admit.sign, SubjectKind::Party, &admit.party, Act::PartyAdmitted(event)).await
}

impl ProfileArgs {
    /// The profile: of the file, with what options say instead.
    pub(crate) fn profile(&self) -> Result<PartyProfile, ClientError> {
        let mut profile = match &self.profile {
            Some(path) => document("PartyProfile", path)?,
            None => PartyProfile {
                kind: PartyKind::Legal.into(),
                jurisdiction: "CN".into(),
                ..PartyProfile::default()
            },
        };
        if let Some(kind) = self.kind {
            profile.kind = kind.into();
        }
        let given = [
            (&self.name_zh, &mut profile.name_zh),
            (&self.name_en, &mut profile.name_en),
            (&self.jurisdiction, &mut profile.jurisdiction),
            (&self.region, &mut profile.region),
            (&self.registration_number, &mut profile.registration_number),
            (&self.sector, &mut profile.sector),
            (&self.certificate_region, &mut profile.certificate_region),
            (&self.certificate_digit, &mut profile.certificate_digit),
        ];
        for (value, field) in given {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        Ok(profile)
    }
}

/// A key as it is enrolled.
pub(crate) fn key_grant(common: &Common, grant: &GrantArg) -> Result<KeyGrant, ClientError> {
    let officer = grant.officer.as_ref().map(|officer| officer.commitment(OFFICER)).transpose()?;
    Ok(KeyGrant {
        public_key: common.read_public_key(&grant.key)?.to_vec().into(),
        factor: grant.factor.into(),
        officer: officer.map(|hash| hash.to_vec().into()).unwrap_or_default(),
    })
}

pub(crate) async fn enrol(
    common: &Common,
    party: &str,
    grant: &GrantArg,
    sign: &SignArgs,
) -> Result<Answer, ClientError> {
    let event = KeyEnrolled { key: Some(key_grant(common, grant)?) };
    act(common, sign, SubjectKind::Party, party, Act::KeyEnrolled(event)).await
}

pub(crate) async fn revoke(
    common: &Common,
    party: &str,
    revoked: &str,
    reason: KeyRevocationReason,
    sign: &SignArgs,
) -> Result<Answer, ClientError> {
    let kid = key_id(common, revoked)?.as_bytes().to_vec().into();
    let event = KeyRevoked { kid, reason: reason.into() };
    act(common, sign, SubjectKind::Party, party, Act::KeyRevoked(event)).await
}
