//! Every stable code that a client can know, offline.

use ledger_format::malformed::Explanation;

/// All codes: of the formats, the rules, the verifier, the services, catalogues and this client. Those of a node's own files are in
/// the node.
pub fn all() -> Vec<Explanation> {
    let mut all: Vec<Explanation> = ledger_format::malformed::CODES.to_vec();
    all.extend(ledger_rules::Code::ALL.iter().map(|code| code.explanation()));
    all.extend(ledger_verify::finding::Code::ALL.iter().map(|code| code.explanation()));
    all.extend(ledger_proto::codes::ALL);
    all.extend(crate::error::CODES);
    all.extend(ledger_catalogue::CODES.iter().map(|text| Explanation {
        code: text.code.as_str(),
        text: text.meaning,
        source: "crates/io/catalogue",
        help: text.remedy,
    }));
    all
}

/// One code.
pub fn explain(code: &str) -> Option<Explanation> {
    all().into_iter().find(|explanation| explanation.code == code)
}
