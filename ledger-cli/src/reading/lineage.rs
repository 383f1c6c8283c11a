//! Lineage as a tree: what something came from above, what came of it below.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use ledger_client::ClientError;
use ledger_proto::v1;
use serde_json::json;

use crate::report::Answer;
use crate::session::Common;

/// Options of `trace`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  ledger-cli trace asset:acme/weather
  ledger-cli trace delivery:acme/weather-1 --up 8 --down 0 -o json")]
pub(crate) struct Trace {
    /// Record id (kind:name)
    id: String,
    /// Steps towards what it came from
    #[arg(long, value_name = "N", default_value_t = 8)]
    up: u32,
    /// Steps towards what came of it
    #[arg(long, value_name = "N", default_value_t = 8)]
    down: u32,
    /// Most records to show
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: u32,
}

pub(crate) async fn trace(common: &Common, args: &Trace) -> Result<Answer, ClientError> {
    let found = common.connect().await?.trace(&args.id, args.up, args.down, args.limit).await?;
    let node = |node: &v1::Node| json!({ "id": node.id, "label": node.label, "state": node.state, "depth": node.depth });
    let edge = |edge: &v1::Edge| json!({ "from": edge.from, "to": edge.to, "kind": edge.kind });
    let value = json!({
        "id": args.id, "height": found.height, "omitted": found.omitted,
        "nodes": found.nodes.iter().map(node).collect::<Vec<_>>(),
        "edges": found.edges.iter().map(edge).collect::<Vec<_>>(),
    });
    Ok(Answer::list("lineage", "edges", value, Tree::new(&found).text(&args.id)))
}

/// A step of a tree: the kind of the edge, and the record at its other end.
type Step<'a> = (&'a str, &'a str);

struct Tree<'a> {
    nodes: BTreeMap<&'a str, &'a v1::Node>,
    sources: BTreeMap<&'a str, Vec<Step<'a>>>,
    results: BTreeMap<&'a str, Vec<Step<'a>>>,
    shown: usize,
    omitted: u64,
}

impl<'a> Tree<'a> {
    fn new(found: &'a v1::TraceLineageResponse) -> Self {
        let mut tree = Self {
            nodes: found.nodes.iter().map(|node| (node.id.as_str(), node)).collect(),
            sources: BTreeMap::new(),
            results: BTreeMap::new(),
            shown: found.nodes.len(),
            omitted: found.omitted,
        };
        for edge in &found.edges {
            tree.sources.entry(&edge.to).or_default().push((&edge.kind, &edge.from));
            tree.results.entry(&edge.from).or_default().push((&edge.kind, &edge.to));
        }
        tree
    }

    fn text(&self, id: &str) -> String {
        let mut lines = vec![self.name(id)];
        for (title, steps) in [("came from:", &self.sources), ("led to:", &self.results)] {
            lines.push(title.to_owned());
            let before = lines.len();
            branch(self, steps, id, 1, &mut BTreeSet::new(), &mut lines);
            if lines.len() == before {
                lines.push("  nothing that the ledger knows of".to_owned());
            }
        }
        if self.omitted > 0 {
            lines.push(format!("{} shown, {} more: --limit", self.shown, self.omitted));
        }
        lines.join("\n")
    }

    fn name(&self, id: &str) -> String {
        let node = self.nodes.get(id);
        let part = |open: &str, text: &str, close: &str| match text {
            "" => String::new(),
            text => format!("{open}{text}{close}"),
        };
        let (label, state) =
            node.map_or(("", ""), |node| (node.label.as_str(), node.state.as_str()));
        format!("{id}{}{}", part("  ", label, ""), part("  [", state, "]"))
    }
}

/// One branch; what was shown above is named and not shown again.
fn branch<'a>(
    tree: &Tree<'a>,
    steps: &BTreeMap<&'a str, Vec<Step<'a>>>,
    id: &str,
    depth: usize,
    seen: &mut BTreeSet<&'a str>,
    lines: &mut Vec<String>,
) {
    for (kind, other) in steps.get(id).into_iter().flatten().copied() {
        let again = if seen.insert(other) { "" } else { "  (see above)" };
        lines.push(format!("{}{kind}: {}{again}", "  ".repeat(depth), tree.name(other)));
        if again.is_empty() {
            branch(tree, steps, other, depth + 1, seen, lines);
        }
    }
}
