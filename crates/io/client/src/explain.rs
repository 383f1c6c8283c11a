//! Every stable code that a client or an operator can meet, offline.

use ledger_format::malformed::Explanation;

/// Codes of nodes, of their files and of what passes between them. Their tables are in crates that no client is built from, so what
/// is told is what the operator's document says; tests of the node hold that to the tables, word for word.
const OPERATING: &str = include_str!("../../../../docs/OPERATING.md");
/// First words of the codes that are told from there.
const OF_NODES: [&str; 3] = ["NODE_", "STORE_", "PEER_"];

/// All codes: of the formats, the rules, the verifier, the services, catalogues, this client, and nodes.
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
    all.extend(OPERATING.lines().filter_map(of_nodes));
    all
}

/// The code of a row of the operator's tables: code first, then, after the exit code where there is one, meaning and next step.
fn of_nodes(line: &'static str) -> Option<Explanation> {
    let row = line.strip_prefix("| `")?.strip_suffix(" |")?;
    let (code, cells) = row.split_once("` | ")?;
    let is_word = code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if !is_word || !OF_NODES.iter().any(|family| code.starts_with(family)) {
        return None;
    }
    let (before, help) = cells.rsplit_once(" | ")?;
    let text = before.rsplit_once(" | ").map_or(before, |(_exit, text)| text);
    Some(Explanation { code, text, source: "docs/OPERATING.md", help })
}

/// One code.
pub fn explain(code: &str) -> Option<Explanation> {
    all().into_iter().find(|explanation| explanation.code == code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_told_once_with_a_meaning_and_a_next_step() {
        let all = all();
        let codes: BTreeSet<&str> = all.iter().map(|explanation| explanation.code).collect();
        assert_eq!(codes.len(), all.len());
        assert!(all.iter().all(|e| !e.text.is_empty() && !e.help.is_empty()));
    }

    #[test]
    fn rows_of_both_shapes_are_read() {
        let found = explain("STORE_LOCKED").unwrap();
        assert_eq!(found.text, "Another process is using the data directory.");
        assert!(found.help.starts_with("Stop the other process"), "{found:?}");
        let found = explain("PEER_TWIN").unwrap();
        assert_eq!(found.text, "Two processes connect as the same validator.");
        assert!(found.help.contains("`ledger-node recover`"), "{found:?}");
        assert_eq!(of_nodes("| exit 33, `STORE_NEWER` | `cat DIR/FORMAT` | run it again |"), None);
        assert_eq!(
            of_nodes("| `NODE_CLOCK` in the log, or in `status` | how many | a | b |"),
            None
        );
    }
}
