//! Keys: made and listed here, enrolled and revoked on the ledger.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ledger_client::keys::KeyInfo;
use ledger_client::{ClientError, keys};
use ledger_event::KeyRevocationReason;
use ledger_format::digest::hex;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::acts::identity;
use crate::report::Answer;
use crate::session::Common;
use crate::signing::SignArgs;
use crate::values::{GrantArg, Terms};

/// Keys.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key pair: NAME.pem, encrypted with a passphrase, and NAME.pub
    #[command(after_help = "Examples:
  ledger-cli key new organisation
  ledger-cli key new officer-1 --passphrase-file pass.txt --keys ./keys")]
    New {
        /// Name of the key, in the key directory, or a path ending in .pem
        name: String,
        /// Leave the private key unencrypted. For trials only
        #[arg(long, conflicts_with = "passphrase_file")]
        plain: bool,
    },
    /// List the keys of the key directory
    List,
    /// Show one key: id, public key, files
    Show {
        /// Name or path
        name: String,
    },
    /// Enrol a key of a party on the ledger
    #[command(after_help = "Example:
  ledger-cli key enrol gzdex \\
      --grant officer-3=officer-token,officer-3.opening --key authority \\
      --key organisation --key officer-3")]
    Enrol {
        /// The party
        party: String,
        /// The new key, its class of custody, and the commitment to its officer
        #[arg(long, value_name = "KEY=FACTOR[,OFFICER]")]
        grant: GrantArg,
        #[command(flatten)]
        sign: SignArgs,
    },
    /// Revoke a key on the ledger: nothing that it signs later counts
    #[command(after_help = "Example:
  ledger-cli key revoke gzdex officer-3 --reason lost --key organisation")]
    Revoke {
        /// The party
        party: String,
        /// The key: its name, .pub file or id
        revoked: String,
        /// Why
        #[arg(long, value_parser = Terms::<KeyRevocationReason>::new())]
        reason: KeyRevocationReason,
        #[command(flatten)]
        sign: SignArgs,
    },
}

pub(crate) async fn run(common: &Common, command: Command) -> Result<Answer, ClientError> {
    match command {
        Command::New { name, plain } => new(common, &name, plain),
        Command::List => list(common),
        Command::Show { name } => {
            let key = keys::info(&common.key_path(&name)?)?;
            Ok(Answer::new("key", value(&key), text(&key)))
        }
        Command::Enrol { party, grant, sign } => {
            identity::enrol(common, &party, &grant, &sign).await
        }
        Command::Revoke { party, revoked, reason, sign } => {
            identity::revoke(common, &party, &revoked, reason, &sign).await
        }
    }
}

fn new(common: &Common, name: &str, plain: bool) -> Result<Answer, ClientError> {
    // Given again, it would be a public key's file, or none.
    let is_public = Path::new(name).extension().is_some_and(|end| end == "pub");
    if name.is_empty() || is_public || name.contains(char::is_control) {
        return Err(ClientError::usage(format!("{name:?} cannot be the name of a key")));
    }
    let path = common.key_path(name)?;
    let passphrase = if plain { None } else { Some(new_passphrase(common)?) };
    let key = keys::generate()?;
    keys::write(&path, &key, passphrase.as_ref().map(|passphrase| passphrase.as_str()))?;
    let key = keys::info(&path)?;
    let hint = "Keep a copy of the .pem in a safe place: nobody can make it again.";
    Ok(Answer::new("key", value(&key), format!("{}\n{hint}", text(&key))))
}

fn new_passphrase(common: &Common) -> Result<Zeroizing<String>, ClientError> {
    let first = common.passphrase("New passphrase: ")?;
    if first.is_empty() {
        return Err(ClientError::key("the passphrase is empty; --plain makes an unencrypted key"));
    }
    if common.passphrase_path().is_none() && *common.passphrase("The same again: ")? != *first {
        return Err(ClientError::key("the two passphrases differ"));
    }
    Ok(first)
}

fn list(common: &Common) -> Result<Answer, ClientError> {
    let directory: PathBuf = common.key_directory()?;
    let found = keys::list(&directory)?;
    let line = |key: &KeyInfo| {
        let lock = if key.encrypted { "encrypted" } else { "plain" };
        format!("{:<24} {lock:<9} {}", key.name, key.kid)
    };
    let lines: Vec<String> = found.iter().map(line).collect();
    let text = if lines.is_empty() {
        format!("no keys in {}; make one: ledger-cli key new NAME", directory.display())
    } else {
        lines.join("\n")
    };
    let keys: Vec<Value> = found.iter().map(value).collect();
    Ok(Answer::list("keys", "keys", json!({ "directory": directory, "keys": keys }), text))
}

fn value(key: &KeyInfo) -> Value {
    json!({
        "name": key.name, "kid": key.kid.to_string(), "public_key": hex(&key.public_key),
        "encrypted": key.encrypted, "file": key.path,
    })
}

fn text(key: &KeyInfo) -> String {
    let (lock, public) =
        (if key.encrypted { "encrypted" } else { "not encrypted" }, hex(&key.public_key));
    format!(
        "{} ({lock})\n  kid         {}\n  public key  {public}\n  file        {}",
        key.name,
        key.kid,
        key.path.display()
    )
}
