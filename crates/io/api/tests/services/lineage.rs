//! Lineage: what came from what, in bounds that are told.

use std::collections::{BTreeMap, BTreeSet};

use ledger_event::{AssetDescribed, Derivation, DerivationKind};
use ledger_proto::v1;
use ledger_story::acts::{self, asset, contract, delivery, listing, registration, review};
use ledger_story::deed::Deed;
use ledger_story::{NUMBER, RAIN};
use tonic::Code;

use crate::node::{Node, begun, refused, sealed};

async fn trace(
    node: &Node,
    id: &str,
    (up, down): (u32, u32),
    limit: u32,
) -> Result<v1::TraceLineageResponse, tonic::Status> {
    let request = v1::TraceLineageRequest { id: id.into(), up, down, limit };
    node.query().trace_lineage(request).await.map(tonic::Response::into_inner)
}

fn depths(answer: &v1::TraceLineageResponse) -> BTreeMap<String, i32> {
    answer.nodes.iter().map(|node| (node.id.clone(), node.depth)).collect()
}

fn derived(name: &str, from: &[String]) -> Deed {
    acts::asset_described(name).with(|event: &mut AssetDescribed| {
        let edge = |asset: &String| Derivation {
            asset: asset.clone(),
            version: 1,
            kind: DerivationKind::Aggregate.into(),
        };
        event.description.as_mut().unwrap().derived_from = from.iter().map(edge).collect();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_path_is_a_tree_below_its_asset() {
    let node = Node::telling(&begun().told()).await;
    let certificate = format!("certificate:{NUMBER}");
    let expected = BTreeMap::from([
        (asset(RAIN), 0),
        (registration(RAIN), 1),
        (review(RAIN), 1),
        (listing(RAIN), 1),
        (certificate.clone(), 2),
        (contract(RAIN), 2),
        (delivery(RAIN), 3),
    ]);
    let down = trace(&node, &asset(RAIN), (0, 32), 0).await.unwrap();
    assert_eq!(depths(&down), expected);
    assert_eq!((down.omitted, down.edges.len()), (0, 6));
    // From the other end upwards the same edges are seen.
    let up = trace(&node, &delivery(RAIN), (32, 0), 0).await.unwrap();
    let path = [delivery(RAIN), contract(RAIN), listing(RAIN), asset(RAIN)];
    let path: BTreeMap<String, i32> = path.into_iter().zip([0, -1, -2, -3]).collect();
    assert_eq!(depths(&up), path);
    assert!(up.edges.iter().all(|edge| down.edges.contains(edge)));
    // No further than asked, and beyond any depth no further than there is.
    let near = trace(&node, &asset(RAIN), (0, 1), 0).await.unwrap();
    assert!(near.nodes.len() == 4 && near.nodes.iter().all(|node| node.depth <= 1));
    let far = trace(&node, &asset(RAIN), (u32::MAX, u32::MAX), u32::MAX).await.unwrap();
    assert_eq!(depths(&far), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_counted() {
    let mut story = begun();
    let node = Node::telling(&story).await;
    let source = sealed(&mut story, &acts::asset_described("source"));
    node.commit(story.time_ms, &[&source]);
    let names: Vec<String> = (0..30).map(|number| format!("product-{number}")).collect();
    let products: Vec<_> =
        names.iter().map(|name| sealed(&mut story, &derived(name, &[asset("source")]))).collect();
    node.commit(story.time_ms, &products.iter().collect::<Vec<_>>());
    let all: Vec<String> = names.iter().map(|name| asset(name)).collect();
    let mix = sealed(&mut story, &derived("mix", &all));
    node.commit(story.time_ms, &[&mix]);

    for limit in [1, 2, 10, 30, 31, 32, 33, 1_000] {
        // n of m: what is shown and what was reached and is not shown make the whole, as far as it was walked.
        let answer = trace(&node, &asset("source"), (0, 1), limit).await.unwrap();
        let shown = u64::try_from(answer.nodes.len()).unwrap();
        assert_eq!(shown, u64::from(limit).min(31));
        assert_eq!(shown + answer.omitted, 31);
        let ids: BTreeSet<&String> = answer.nodes.iter().map(|node| &node.id).collect();
        assert!(answer.edges.iter().all(|e| ids.contains(&e.from) && ids.contains(&e.to)));
        assert_eq!(answer.edges.len() + 1, answer.nodes.len());

        let up = trace(&node, &asset("mix"), (2, 0), limit).await.unwrap();
        assert!(up.nodes.len() <= usize::try_from(limit).unwrap());
        assert_eq!(up.omitted == 0, limit >= 32, "{limit}");
    }
    // A diamond: each node once, each edge once.
    let whole = trace(&node, &asset("source"), (0, 2), 0).await.unwrap();
    assert_eq!((whole.nodes.len(), whole.edges.len(), whole.omitted), (32, 60, 0));
    assert_eq!(depths(&whole)[&asset("mix")], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_are_bounded_too() {
    const INPUTS: usize = 64;
    let mut story = begun();
    let node = Node::telling(&story).await;
    let mut inputs = Vec::new();
    for layer in 0..8 {
        let names: Vec<String> = (0..INPUTS).map(|number| format!("{layer}-{number}")).collect();
        let made: Vec<_> =
            names.iter().map(|name| sealed(&mut story, &derived(name, &inputs))).collect();
        assert!(node.commit(story.time_ms, &made.iter().collect::<Vec<_>>()).is_empty());
        inputs = names.iter().map(|name| asset(name)).collect();
    }
    let down = |steps| trace(&node, &inputs[0], (steps, 0), 2_000);
    // One asset, and layers of 64 that are each made of all before.
    let (few, many) = (down(5).await.unwrap(), down(7).await.unwrap());
    assert_eq!((few.edges.len(), few.omitted), (INPUTS + 4 * INPUTS * INPUTS, 0));
    assert_eq!(many.edges.len(), 20_000);
    assert!(many.omitted > 0 && many.nodes.len() > 5 * INPUTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_nothing_there_is_no_lineage() {
    let node = Node::telling(&begun()).await;
    let found = refused(trace(&node, &asset("none"), (1, 1), 0).await);
    assert_eq!(found, (Code::NotFound, "API_NOT_FOUND".into()));
    let found = refused(trace(&node, "none", (1, 1), 0).await);
    assert!(found.0 == Code::InvalidArgument && found.1.starts_with("FMT_"));
}
