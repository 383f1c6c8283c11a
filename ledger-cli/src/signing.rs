//! From an act and some keys to an entry on the ledger: who signs as what, when, over which history.

use std::collections::BTreeMap;
use std::env::temp_dir;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use ed25519_dalek::SigningKey;
use ledger_client::act::{Times, Unsigned};
use ledger_client::draft::DraftFile;
use ledger_client::signers::{Holder, assign, rows_of};
use ledger_client::{ClientError, Failure, Level, Node, json, keys};
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{Clock, Role};
use ledger_format::digest::{KeyId, hex};
use ledger_format::entry::{Draft, Entry, Signer};
use ledger_format::genesis::GenesisDocument;
use ledger_format::id::Subject;
use ledger_proto::v1::outcome::Result as Found;
use ledger_rules::block::act_name;
use serde_json::{Value, json};

use crate::acts::set_change::{self, Before};
use crate::report::Answer;
use crate::session::{Common, key_id, refuse_existing, write_file, write_new};
use crate::text;
use crate::values::{instant, party_role, seconds};

/// How an act is signed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SignArgs {
    /// Your key, by name or path; again for each further key. The first one's party issues the act
    #[arg(id = "key", short, long, value_name = "KEY", required = true)]
    keys: Vec<String>,

    /// Key of somebody who signs elsewhere: its .pub file or its id; again for each. Needs --draft
    #[arg(long, value_name = "KEY", requires = "draft")]
    with: Vec<String>,

    /// Role in which a party signs, where it has several that would do
    #[arg(long = "role", value_name = "PARTY=ROLE", value_parser = party_role)]
    roles: Vec<(String, Role)>,

    /// When you say it happens: RFC 3339 or a date [default: now; on a declared clock, the ledger's time]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<u64>,

    /// How long the act may wait to enter the ledger, for example 30m [default: three quarters of what the ledger allows]
    #[arg(long, value_name = "LENGTH", value_parser = seconds)]
    valid_for: Option<u64>,

    /// Do not submit: write a draft for others to sign. The file must not exist
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,

    /// Keep the signed entry in a new file
    #[arg(long, value_name = "FILE", conflicts_with = "draft")]
    save: Option<PathBuf>,

    /// Show what would be signed, and sign nothing
    #[arg(long, conflicts_with_all = ["draft", "save"])]
    dry_run: bool,
}

/// An act with what it is about.
pub(crate) struct Planned {
    pub(crate) subject: Subject,
    pub(crate) act: Act,
}

/// Signs an act and submits it, or does what the options say instead.
pub(crate) async fn perform(
    common: &Common,
    node: &mut Node,
    args: &SignArgs,
    planned: Planned,
) -> Result<Answer, ClientError> {
    for path in args.draft.iter().chain(&args.save) {
        refuse_existing(path)?;
    }
    let at_hand =
        args.keys.iter().map(|key| common.read_key(key)).collect::<Result<Vec<_>, _>>()?;
    let draft = draft(common, node, args, planned, &at_hand).await?;
    if args.dry_run {
        let before = compared(node, &draft).await;
        return Ok(described("dry-run", &DraftFile::new(draft), &BTreeMap::new(), before.as_ref()));
    }
    let mut file = DraftFile::new(draft);
    for key in at_hand.iter().skip(1) {
        file.cosign(key)?;
    }
    if let Some(path) = &args.draft {
        write_new(path, file.to_json().as_bytes())?;
        let own = at_hand.iter().map(|key| (keys::kid(key), key.verifying_key().to_bytes()));
        let before = compared(node, &file.draft).await;
        return Ok(shown_draft(&file, &own.collect(), before.as_ref(), Some(path)));
    }
    let issuer = at_hand.first().ok_or_else(|| ClientError::usage("no --key"))?;
    let entry = file.seal(issuer)?;
    if let Some(path) = &args.save {
        write_new(path, entry.bytes())?;
    }
    submit(common, node, &entry).await
}

/// The set that a change of the validators was drafted on; none for other acts.
async fn compared(node: &mut Node, draft: &Draft) -> Option<Before> {
    set_change::set_after(draft)?;
    Some(set_change::in_force(node, draft).await)
}

async fn draft(
    common: &Common,
    node: &mut Node,
    args: &SignArgs,
    planned: Planned,
    at_hand: &[SigningKey],
) -> Result<Draft, ClientError> {
    let Planned { subject, act } = planned;
    let genesis = node.genesis().await?;
    let mut kids: Vec<KeyId> = at_hand.iter().map(keys::kid).collect();
    for key in &args.with {
        kids.push(key_id(common, key)?);
    }
    let mut holders = Vec::new();
    for kid in &kids {
        holders.push(holder(node, *kid, &subject, &act).await?);
    }
    let wanted: BTreeMap<String, Role> = args.roles.iter().cloned().collect();
    let signers = assign(&act, &subject, &holders, &wanted)?;
    let opens = rows_of(&act).iter().any(|row| row.opens);
    let prior = if opens { None } else { node.record(subject.as_str(), 0, 0, false).await?.head() };
    let times = times(node, &genesis, args, signers.len() > 1).await?;
    let issuer = signers.first().map(|signer| (signer.party.clone(), signer.kid));
    let (issuer, kid) = issuer.ok_or_else(|| ClientError::usage("no --key"))?;
    let signers: Vec<Signer> = if signers.len() > 1 { signers } else { Vec::new() };
    Unsigned { ledger: genesis.id(), subject, prior, act, times }.draft(&issuer, kid, signers)
}

/// What the ledger knows of a key's holder. A key that the act enrols belongs to the party that the act is about.
async fn holder(
    node: &mut Node,
    kid: KeyId,
    subject: &Subject,
    act: &Act,
) -> Result<Holder, ClientError> {
    let enrolled: Vec<KeyId> =
        granted(act).filter_map(|key| key.try_into().ok().map(|key| KeyId::of(&key))).collect();
    if enrolled.contains(&kid) {
        let roles = match act {
            Act::PartyAdmitted(event) => event.roles().collect(),
            _ => party_roles(node, subject.name()).await?,
        };
        return Ok(Holder { kid, party: subject.name().to_owned(), roles, enrolled: false });
    }
    let key = node.record(&format!("key:{kid}"), 0, 0, false).await?;
    let Some(Body::Key(key)) = key.record.and_then(|record| record.body) else {
        return Err(ClientError::signers(format!("key {kid} is not enrolled on this ledger")));
    };
    let roles = party_roles(node, &key.party).await?;
    Ok(Holder { kid, party: key.party, roles, enrolled: true })
}

fn granted(act: &Act) -> impl Iterator<Item = &[u8]> {
    let keys = match act {
        Act::PartyAdmitted(event) => event.keys.as_slice(),
        Act::KeyEnrolled(event) => event.key.as_slice(),
        _ => &[],
    };
    keys.iter().map(|key| key.public_key.as_ref())
}

async fn party_roles(node: &mut Node, party: &str) -> Result<Vec<Role>, ClientError> {
    let party = node.record(&format!("party:{party}"), 0, 0, false).await?;
    match party.record.and_then(|record| record.body) {
        Some(Body::Party(party)) => Ok(party.roles().collect()),
        _ => Ok(Vec::new()),
    }
}

async fn times(
    node: &mut Node,
    genesis: &GenesisDocument,
    args: &SignArgs,
    joint: bool,
) -> Result<Times, ClientError> {
    let limits = genesis.limits();
    let longest = if joint { limits.joint_entry_window_s } else { limits.entry_window_s };
    let valid_for = args.valid_for.unwrap_or(u64::from(longest) * 3 / 4);
    let issued = match (args.at, genesis.clock()) {
        (Some(at), _) => at,
        (None, Clock::Declared) => node.status().await?.time_ms / 1000,
        (None, _) => now_s(),
    };
    Ok(Times::valid_for(issued, valid_for))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Submits an entry. When its outcome is not known, the entry is kept, so that it can be submitted again.
pub(crate) async fn submit(
    common: &Common,
    node: &mut Node,
    entry: &Entry,
) -> Result<Answer, ClientError> {
    let id = entry.id();
    let outcome = match node.submit_until(entry, common.wait, common.wait_ms()).await {
        Ok(outcome) => outcome,
        Err(error) if matches!(error.failure, Failure::Unknown | Failure::Connect) => {
            let places = [Some(PathBuf::new()), common.key_directory().ok(), Some(temp_dir())];
            return Err(kept(places.into_iter().flatten(), entry, error));
        }
        Err(error) => return Err(error),
    };
    let act = entry.event().act.as_ref().map_or("", act_name);
    let (subject, replicas) = (&entry.claims().subject, outcome.replicas);
    let reached = Level { finality: outcome.reached(), replicas: 0 }.to_string();
    let mut value = json!({
        "entry": id.to_string(), "subject": subject.as_str(), "act": act,
        "reached": reached, "replicas": replicas,
    });
    let Some(Found::Position(position)) = outcome.result else {
        let text = format!("{act} on {subject} waits for a block ({reached})\nentry {id}");
        return Ok(Answer::new("entry-accepted", value, text));
    };
    let (height, leaf, time) =
        (position.height, position.leaf_index, text::time_ms(position.time_ms));
    value["height"] = height.into();
    value["leaf_index"] = leaf.into();
    value["time"] = time.as_str().into();
    let text = format!(
        "{act} on {subject} is in block {height}, leaf {leaf}, {time}\n{reached}, reported durable by {replicas} validator(s) so far\nentry {id}"
    );
    Ok(Answer::new("entry-placed", value, text))
}

/// Keeps an entry whose outcome is not known, in the first place that can be written: who signed the act anew would do it twice.
fn kept(places: impl Iterator<Item = PathBuf>, entry: &Entry, error: ClientError) -> ClientError {
    let id = entry.id();
    let name = format!("entry-{}.cose", hex(&id.as_bytes()[..8]));
    let mut unwritten = Vec::new();
    for path in places.map(|place| place.join(&name)) {
        let Err(why) = write_file(&path, entry.bytes()) else {
            let help = format!(
                "The entry is kept: `ledger-cli submit {}` submits it again, it counts once. `ledger-cli show {id}` tells whether it is there.",
                path.display()
            );
            return ClientError { failure: Failure::Unknown, help, ..error };
        };
        unwritten.push(why.message);
    }
    let (message, why) = (error.message, unwritten.join("; "));
    let message = format!("{message}; entry {id} could not be kept: {why}");
    let help = format!(
        "Do not sign the act again yet: the ledger may take the entry until {}. `ledger-cli show {id}` tells whether it is there.",
        text::time_s(entry.claims().expires_s)
    );
    ClientError { failure: Failure::Unknown, code: error.code, message, help }
}

/// A draft with who has signed it, as far as the known keys tell. `before` is what a change of the validators is compared with.
pub(crate) fn shown_draft(
    file: &DraftFile,
    known: &BTreeMap<KeyId, [u8; 32]>,
    before: Option<&Before>,
    path: Option<&PathBuf>,
) -> Answer {
    let mut answer = described("draft", file, known, before);
    if let Some(path) = path {
        let path = path.display().to_string();
        answer.text = format!("draft written to {path}\n{}", answer.text);
        answer.value["file"] = Value::from(path);
    }
    answer
}

/// What a draft says, for whoever is to sign it.
fn described(
    schema: &str,
    file: &DraftFile,
    known: &BTreeMap<KeyId, [u8; 32]>,
    before: Option<&Before>,
) -> Answer {
    let claims = file.draft.claims();
    let event = json::to_json("Event", file.draft.payload()).unwrap_or(Value::Null);
    let state = |signer: &Signer| file.standing(signer, |kid| known.get(kid).copied()).word();
    let signer = |signer: &Signer| {
        json!({
            "party": signer.party, "kid": signer.kid.to_string(), "role": signer.role.as_str_name(),
            "purpose": signer.purpose.as_str_name(), "state": state(signer),
        })
    };
    let mut value = json!({
        "ledger": claims.ledger.to_string(), "subject": claims.subject.as_str(), "issuer": claims.issuer,
        "issued": text::time_s(claims.issued_s), "expires": text::time_s(claims.expires_s),
        "signers": claims.signers.iter().map(signer).collect::<Vec<_>>(), "event": event,
    });
    let Some((before, after)) = before.zip(set_change::set_after(&file.draft)) else {
        let text = text::render(&value);
        return Answer::new(schema, value, text);
    };
    let changes = set_change::changes(before, &after);
    // For people the difference, and not the whole set after with its keys.
    let mut shown = value.clone();
    shown["event"]["validators_changed"] = json!("told below");
    let text = format!("{}\n\n{}", text::render(&shown), set_change::shown(&changes));
    value["validators"] = changes;
    Answer::new(schema, value, text)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use ledger_client::act::Signatory;
    use ledger_event::KeyRevoked;
    use ledger_format::digest::LedgerId;
    use ledger_format::id::SubjectKind;

    use super::*;

    /// An act of a party, for nobody's ledger.
    pub(crate) fn unsigned() -> Unsigned {
        Unsigned {
            ledger: LedgerId([7; 32]),
            subject: Subject::new(SubjectKind::Party, "acme").unwrap(),
            prior: None,
            act: Act::KeyRevoked(KeyRevoked::default()),
            times: Times::valid_for(1_785_715_200, 60),
        }
    }

    fn entry() -> Entry {
        let key = SigningKey::from_bytes(&[1; 32]);
        unsigned().sign(&[Signatory::issuer("acme", Role::Supplier, &key)]).unwrap()
    }

    #[test]
    fn an_unknown_outcome_stays_one_where_the_entry_cannot_be_kept() {
        let (directory, entry) = (tempfile::tempdir().unwrap(), entry());
        let (nowhere, id) = (directory.path().join("nowhere"), entry.id().to_string());
        let unknown = ClientError::interrupted("the stream ended");
        let lost = kept([nowhere.clone()].into_iter(), &entry, unknown.clone());
        assert_eq!((lost.failure, &lost.code), (Failure::Unknown, &unknown.code));
        assert!(lost.message.starts_with(&unknown.message), "{lost}");
        assert!(lost.message.contains(&id) && lost.message.contains("nowhere"), "{lost}");
        assert!(lost.help.contains(&id) && lost.help.contains("2026-08-03"), "{lost:?}");
        // The next place is tried, and named.
        let places = [nowhere, directory.path().to_owned()];
        let told = kept(places.into_iter(), &entry, unknown.clone());
        assert_eq!((&told.code, &told.message), (&unknown.code, &unknown.message));
        let path = directory.path().join(format!("entry-{}.cose", &id[..16]));
        assert!(told.help.contains(path.to_str().unwrap()) && told.help.contains(&id), "{told:?}");
        assert_eq!(fs::read(path).unwrap(), entry.bytes()[..]);
    }
}
