//! The calendars and rule sets that are shipped, read as the founders of a ledger would read them.

use std::path::PathBuf;
use std::sync::LazyLock;

use ledger_event::{Calendar, FILE_DESCRIPTOR_SET, RuleSet};
use prost_reflect::{DescriptorPool, DynamicMessage};

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap());

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Reads a message from proto3 JSON, and refuses fields that it does not have.
pub fn message<M: prost::Message + Default>(name: &str, json: &str) -> M {
    let descriptor = POOL.get_message_by_name(&format!("ledger.v1.{name}")).unwrap();
    let mut reader = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(descriptor, &mut reader).unwrap();
    reader.end().unwrap();
    message.transcode_to().unwrap()
}

fn shipped(path: &str) -> String {
    let path = root().join("ledger-node/data").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `CN-2026` and its like.
pub fn calendar(name: &str) -> Calendar {
    message("Calendar", &shipped(&format!("calendars/{name}.json")))
}

/// The national rule set of 2026.
pub fn cn_nda_2026() -> RuleSet {
    static RULES: LazyLock<RuleSet> =
        LazyLock::new(|| message("RuleSet", &shipped("rulesets/CN-NDA-2026.json")));
    RULES.clone()
}
