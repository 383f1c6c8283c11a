//! What a node's status tells of other nodes, as JSON.

use ledger_format::digest::hex;
use ledger_proto::v1;
use serde_json::{Value, json};

/// A node that sent what may not follow.
pub fn suspect(suspect: &v1::Suspect) -> Value {
    let v1::Suspect { peer, count, height, code, detail } = suspect;
    json!({ "peer": hex(peer), "count": count, "height": height, "code": code, "detail": detail })
}

/// How often something was refused for a reason.
pub fn refusals(refusals: &v1::Refusals) -> Value {
    let v1::Refusals { code, count, by_others } = refusals;
    json!({ "code": code, "count": count, "by_others": by_others })
}

/// A validator, as the node sees it.
pub fn seen(seen: &v1::SeenValidator) -> Value {
    let v1::SeenValidator { key_id, name, power, own, connected, durable_height } = seen;
    json!({
        "identity": hex(key_id), "name": name, "power": power, "own": own, "connected": connected,
        "durable_height": durable_height,
    })
}
