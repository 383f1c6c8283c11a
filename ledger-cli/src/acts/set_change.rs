//! What a change of the validators changes, in words: an act carries the whole set after, and whoever signs it has to see the difference.

use std::time::Duration;

use ledger_client::Node;
use ledger_client::draft::DraftFile;
use ledger_event::event::Act;
use ledger_event::record::Body;
use ledger_event::{Event, Validator};
use ledger_format::digest::{KeyId, hash_from_slice, sha256};
use ledger_format::entry::Draft;
use ledger_format::message;
use ledger_rules::genesis::VALIDATORS;
use serde_json::{Value, json};

use crate::session::Common;

/// How long a node may take to say what is in force: a draft can be read without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Hex digits of a key's id that are shown: enough to compare by voice.
const SHORT: usize = 16;

/// The set that a change was drafted on, or why it is not known.
pub(crate) type Before = Result<Vec<Validator>, String>;

/// The set after, of a draft that changes the validators.
pub(crate) fn set_after(draft: &Draft) -> Option<Vec<Validator>> {
    match event(draft)?.act? {
        Act::ValidatorsChanged(changed) => Some(changed.validators.unwrap_or_default().validators),
        _ => None,
    }
}

fn event(draft: &Draft) -> Option<Event> {
    message::decode("event", &bytes::Bytes::copy_from_slice(draft.payload())).ok()
}

/// The set in force, as a node has it. None for a draft that changes no validators.
pub(crate) async fn before(common: &Common, file: &DraftFile) -> Option<Before> {
    set_after(&file.draft)?;
    let patience = PATIENCE.min(Duration::from_secs(common.timeout));
    let asked = async {
        let node = Node::connect(&common.node, patience).await;
        match node {
            Ok(mut node) => in_force(&mut node, &file.draft).await,
            Err(error) => Err(error.to_string()),
        }
    };
    let answer = tokio::time::timeout(patience, asked).await;
    let answer = answer.unwrap_or_else(|_late| Err("it does not answer".to_owned()));
    Some(answer.map_err(|why| format!("{}: {why}", common.node)))
}

/// The set that a node says is in force, if the draft is for its ledger and was made on that set.
pub(crate) async fn in_force(node: &mut Node, draft: &Draft) -> Before {
    let found = node.genesis().await.map_err(|error| error.to_string())?.id();
    if found != draft.claims().ledger {
        return Err(format!("it is a node of another ledger, {found}"));
    }
    let record = node.record(VALIDATORS, 0, 0, false).await.map_err(|error| error.to_string())?;
    let prior = event(draft).and_then(|event| hash_from_slice("prior", &event.prior).ok());
    if record.head() != prior {
        return Err("the validators have changed since this was drafted, so it will be refused (PRIOR_STALE)".into());
    }
    match record.record.and_then(|record| record.body) {
        Some(Body::Validators(set)) => Ok(set.validators),
        _ => Err("it has no set of validators".to_owned()),
    }
}

/// What a change does to each validator, for programs: those after, then those that leave.
pub(crate) fn changes(before: &Before, after: &[Validator]) -> Value {
    let (known, why) = match before {
        Ok(set) => (Some(set.as_slice()), None),
        Err(why) => (None, Some(why)),
    };
    let mut left: Vec<&Validator> = known.unwrap_or_default().iter().collect();
    let mut rows = Vec::new();
    for pass in [same_identity, same_name] {
        for member in after {
            if rows.iter().any(|(known, _)| *known == member) {
                continue;
            }
            if let Some(at) = left.iter().position(|old| pass(old, member)) {
                rows.push((member, Some(left.remove(at))));
            }
        }
    }
    let old_of =
        |member: &Validator| rows.iter().find(|(new, _)| *new == member).and_then(|(_, old)| *old);
    let staying = after.iter().map(|member| match (known, old_of(member)) {
        (None, _) => row(member, "not compared", None),
        (Some(_), None) => row(member, "added", None),
        (Some(_), Some(old)) => row(member, word(old, member), Some(old)),
    });
    let leaving = left.iter().map(|member| row(member, "removed", None));
    let rows: Vec<Value> = staying.chain(leaving).collect();
    let total = |set: &[Validator]| set.iter().map(|member| u64::from(member.power)).sum::<u64>();
    json!({
        "compared": known.is_some(), "why_not": why, "members": rows,
        "power": total(after), "power_before": known.map(total),
    })
}

fn same_identity(old: &Validator, new: &Validator) -> bool {
    old.vote_key == new.vote_key
}

/// The same validator with another vote key: what `validator rotate` leaves as it was.
fn same_name(old: &Validator, new: &Validator) -> bool {
    old.party == new.party && old.name == new.name
}

fn word(old: &Validator, new: &Validator) -> &'static str {
    let is_renamed = old.party != new.party || old.name != new.name;
    match (keys(old) != keys(new), old.power != new.power, is_renamed) {
        (false, false, false) => "stays as it is",
        (true, false, false) => "gets other keys",
        (false, true, false) => "gets other power",
        (true, true, false) => "gets other keys and power",
        (_, _, true) => "gets another name or party",
    }
}

fn keys(member: &Validator) -> [(&'static str, String); 4] {
    let Validator { vote_key, log_key, cosign_key, receipt_key, .. } = member;
    let named =
        [("vote", vote_key), ("log", log_key), ("cosign", cosign_key), ("receipt", receipt_key)];
    named.map(|(name, key)| (name, id(key)))
}

fn id(key: &[u8]) -> String {
    KeyId(sha256(&[key])).to_string()
}

fn row(member: &Validator, change: &str, old: Option<&Validator>) -> Value {
    let ids = |member: &Validator| -> Value {
        keys(member)
            .into_iter()
            .map(|(name, id)| (name.to_owned(), json!(id)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mut row = json!({
        "change": change, "party": member.party, "validator": member.name, "power": member.power,
        "identity": id(&member.vote_key), "keys": ids(member),
    });
    if let Some(old) = old {
        row["before"] = json!({ "party": old.party, "validator": old.name, "power": old.power, "identity": id(&old.vote_key), "keys": ids(old) });
    }
    row
}

/// The same for people.
pub(crate) fn shown(changes: &Value) -> String {
    let mut lines = Vec::new();
    match changes["why_not"].as_str() {
        None => lines.push(
            "what this changes of the validators that are in force, as the node says:".to_owned(),
        ),
        Some(why) => {
            lines
                .push("the validators after this change; what it changes is not known:".to_owned());
            lines.push(format!("  {why}"));
        }
    }
    for member in changes["members"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  {}: {}, validator {}, power {}",
            text(&member["change"]),
            text(&member["party"]),
            text(&member["validator"]),
            power(member),
        ));
        lines.push(format!("    identity {}", moved(member, |of| &of["identity"])));
        for name in ["log", "cosign", "receipt"] {
            lines.push(format!("    {name:<8} {}", moved(member, |of| &of["keys"][name])));
        }
    }
    let before = changes["power_before"]
        .as_u64()
        .map_or_else(String::new, |before| format!(", before {before}"));
    lines.push(format!("  all power: {}{before}", changes["power"]));
    lines.join("\n")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn power(member: &Value) -> String {
    match member["before"]["power"].as_u64() {
        Some(before) if json!(before) != member["power"] => {
            format!("{}, before {before}", member["power"])
        }
        _ => member["power"].to_string(),
    }
}

/// A key's id, and the one before where that was another.
fn moved(member: &Value, of: impl Fn(&Value) -> &Value) -> String {
    let short = |value: &Value| text(value).get(..SHORT).unwrap_or_default().to_owned();
    let now = short(of(member));
    match of(&member["before"]) {
        Value::Null => format!("{now}…"),
        before if before == of(member) => format!("{now}…"),
        before => format!("{now}…, before {}…", short(before)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(party: &str, number: u8, power: u32) -> Validator {
        let key = |more: u8| vec![number.wrapping_add(more); 32].into();
        Validator {
            party: party.to_owned(),
            name: format!("ledger/{party}"),
            power,
            vote_key: key(0),
            log_key: key(1),
            cosign_key: key(2),
            receipt_key: key(3),
        }
    }

    fn words(changes: &Value) -> Vec<(String, String)> {
        let rows = changes["members"].as_array().unwrap().iter();
        rows.map(|row| (text(&row["party"]).to_owned(), text(&row["change"]).to_owned())).collect()
    }

    #[test]
    fn each_validator_is_told_with_what_becomes_of_it() {
        let before =
            vec![member("a", 10, 1), member("b", 20, 1), member("c", 30, 1), member("d", 40, 1)];
        let after =
            vec![member("a", 10, 1), member("b", 60, 1), member("d", 40, 3), member("e", 50, 1)];
        let changes = changes(&Ok(before), &after);
        let expected = [
            ("a", "stays as it is"),
            ("b", "gets other keys"),
            ("d", "gets other power"),
            ("e", "added"),
            ("c", "removed"),
        ];
        let expected = expected.map(|(party, change)| (party.to_owned(), change.to_owned()));
        assert_eq!(words(&changes), expected);
        assert_eq!((&changes["power"], &changes["power_before"]), (&json!(6), &json!(4)));
        let shown = shown(&changes);
        assert!(shown.contains("removed: c, validator ledger/c, power 1"), "{shown}");
        assert!(
            shown.contains("gets other power: d, validator ledger/d, power 3, before 1"),
            "{shown}"
        );
        let (new, old) = (&id(&[60; 32])[..SHORT], &id(&[20; 32])[..SHORT]);
        assert!(shown.contains(&format!("identity {new}…, before {old}…")), "{shown}");
        assert!(shown.ends_with("all power: 6, before 4"), "{shown}");
    }

    #[test]
    fn without_the_set_before_nothing_is_called_a_change() {
        let changes = changes(&Err("no node".to_owned()), &[member("a", 10, 1)]);
        assert_eq!(words(&changes), [("a".to_owned(), "not compared".to_owned())]);
        assert_eq!(changes["compared"], false);
        let shown = shown(&changes);
        assert!(shown.contains("not known") && shown.contains("no node"), "{shown}");
    }

    #[test]
    fn a_party_with_two_validators_is_not_mixed_up() {
        let (one, two) =
            (member("a", 10, 1), Validator { name: "ledger/a/2".into(), ..member("a", 20, 1) });
        let after =
            vec![Validator { name: "ledger/a/2".into(), ..member("a", 70, 1) }, one.clone()];
        let changes = changes(&Ok(vec![one, two]), &after);
        let told: Vec<String> = words(&changes).into_iter().map(|(_, change)| change).collect();
        assert_eq!(told, ["gets other keys", "stays as it is"]);
    }
}
