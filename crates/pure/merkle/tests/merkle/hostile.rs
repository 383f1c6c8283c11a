//! Paths, proofs, tiles and frontiers of any shape: an error, or what the bytes really say; never a panic.

use ledger_merkle::Hash;
use ledger_merkle::log::{self, Frontier, MAX_SIZE, Subtree, verify_consistency, verify_inclusion};
use ledger_merkle::tile::{TILE_WIDTH, TileBuilder, TileId};
use ledger_merkle::trie::{Proof, ProofLeaf, ProofStep};
use proptest::collection::vec;
use proptest::prelude::*;

/// Small numbers, numbers around powers of two, and the greatest.
fn number() -> impl Strategy<Value = u64> {
    let edge =
        (0_u32..64, -2_i64..3).prop_map(|(bit, off)| (1_u64 << bit).wrapping_add_signed(off));
    prop_oneof![0_u64..600, edge, any::<u64>(), (0_u64..4).prop_map(|less| u64::MAX - less)]
}

fn hashes(most: usize) -> impl Strategy<Value = Vec<Hash>> {
    vec(any::<Hash>(), 0..most)
}

proptest! {
    #[test]
    fn paths_through_the_log(
        (leaf, one, other) in (number(), number(), number()),
        (first, second) in (any::<Hash>(), any::<Hash>()),
        path in hashes(80),
    ) {
        // A path proves what it was made for; noise was made for nothing, but an empty path says that a log is itself.
        let itself = path.is_empty() && one == 1 && leaf == 0 && first == second;
        prop_assert!(itself || verify_inclusion(&first, leaf, one, &path, &second).is_err());
        let nothing = verify_consistency(one, &first, other, &second, &path);
        prop_assert!(nothing.is_err() || (one == other && first == second) || one == 0);
        // Whoever is asked for a path of such a log asks for subtrees that exist, and not for many.
        let mut asked = 0_u32;
        let mut fetch = |subtree: Subtree| {
            asked += 1;
            assert!(subtree.end().is_some_and(|end| end <= MAX_SIZE));
            Ok::<Hash, ()>([0; 32])
        };
        let _path = log::inclusion_path(leaf, one, &mut fetch).is_ok();
        let _path = log::consistency_path(one, other, &mut fetch).is_ok();
        let _root = log::root_at(one, &mut fetch).is_ok();
        prop_assert!(asked < 64 * 64 * 3, "{}", asked);
    }

    #[test]
    fn tiles_of_any_width(
        size in number(),
        widths in vec(0_usize..300, 9),
        subtrees in vec((any::<u8>(), number()), 20),
    ) {
        let mut given = widths.iter().cycle();
        let supply = |_, _| Ok::<Vec<Hash>, ()>(vec![[1; 32]; *given.next().unwrap()]);
        let Ok(mut builder) = TileBuilder::from_tiles(size, supply) else { return Ok(()) };
        prop_assert_eq!(builder.size(), size);
        prop_assert_eq!(builder.frontier().size(), size);
        let mut fetched = widths.iter().cycle();
        let mut fetch = |_: TileId| Ok::<Vec<Hash>, ()>(vec![[2; 32]; *fetched.next().unwrap()]);
        for (level, index) in subtrees {
            let _hash = builder.subtree_hash(Subtree { level, index }, &mut fetch).is_ok();
        }
        if size < MAX_SIZE {
            let mut emitted = 0;
            builder.push([3; 32], &mut |_, hashes: &[Hash]| {
                emitted += 1;
                assert_eq!(hashes.len(), TILE_WIDTH);
            });
            prop_assert!(emitted <= 8);
        }
    }

    #[test]
    fn frontiers_of_any_shape(size in number(), nodes in hashes(70)) {
        let count = nodes.len();
        if let Ok(mut frontier) = Frontier::from_nodes(size, nodes) {
            prop_assert_eq!(size.count_ones(), u32::try_from(count).unwrap());
            frontier.push([1; 32]);
            let _root = frontier.root();
        }
    }

    #[test]
    fn state_proofs_of_any_shape(
        leaf in proptest::option::of((any::<Hash>(), any::<Hash>())),
        path in vec((any::<u8>(), any::<Hash>()), 0..300),
        sorted in any::<bool>(),
        (root, key) in (any::<Hash>(), any::<Hash>()),
    ) {
        let mut path: Vec<ProofStep> =
            path.into_iter().map(|(bit, sibling)| ProofStep { bit, sibling }).collect();
        if sorted {
            path.sort_unstable_by_key(|step| step.bit);
            path.dedup_by_key(|step| step.bit);
        }
        let leaf = leaf.map(|(key, record_hash)| ProofLeaf { key, record_hash });
        let verdict = Proof { leaf, path }.verify(&root, &key);
        prop_assert!(verdict.is_err());
    }
}
