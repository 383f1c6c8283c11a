//! Making a proposed version the newest, and giving up the oldest.

use alloc::vec::Vec;

use super::arena::{Node, Ref, Target};
use super::{Delta, Kept, Trie, TrieError, Version};

/// How many slots are fetched from memory ahead of their use.
const AHEAD: usize = 32;

/// What a version has and the next one has not, to be given back through [`Trie::free`].
#[derive(Debug)]
#[must_use = "the memory it lists is used again only when it is freed"]
pub struct Retired {
    last_user: Version,
    slots: Vec<Ref>,
}

impl Retired {
    /// The version that is given up when this list is freed: the newest that needs what is listed.
    pub fn last_user(&self) -> Version {
        self.last_user
    }
}

impl Trie {
    /// Makes the proposed version the newest. The one before stays readable until the returned list
    /// is freed.
    ///
    /// Errors: [`TrieError::Stale`], [`TrieError::Full`]; the delta is lost then.
    pub fn commit(&mut self, delta: Delta) -> Result<(Version, Retired), TrieError> {
        let Delta { base, version, root, leaves, nodes, retired } = delta;
        if base != self.tip {
            return Err(TrieError::Stale);
        }
        if !self.arena.has_room(nodes.len(), leaves.len()) {
            return Err(TrieError::Full);
        }
        let leaf_slots: Vec<Ref> =
            leaves.into_iter().map(|leaf| self.arena.insert_leaf(leaf)).collect();
        let mut node_slots: Vec<Ref> = Vec::with_capacity(nodes.len());
        for nodes in nodes.chunks(AHEAD) {
            self.arena.warm_free_nodes(AHEAD);
            for node in nodes {
                let children = node.children.map(|child| settled(child, &node_slots, &leaf_slots));
                node_slots.push(self.arena.insert_node(Node { children, ..*node }));
            }
        }
        let root = root.map(|root| settled(root, &node_slots, &leaf_slots));
        self.older.push_back(self.tip);
        self.tip = Kept { version, root };
        Ok((version, Retired { last_user: base.version, slots: retired }))
    }

    /// Gives up the oldest version, [`Retired::last_user`], and uses its memory again.
    ///
    /// Lists must come in the order in which [`Trie::commit`] gave them: what one of them names,
    /// any older version may need too.
    ///
    /// Errors: [`TrieError::NotOldest`]; the list is lost then, and its slots stay in use.
    pub fn free(&mut self, retired: Retired) -> Result<(), TrieError> {
        if self.older.front().is_none_or(|oldest| oldest.version != retired.last_user) {
            return Err(TrieError::NotOldest);
        }
        self.older.pop_front();
        for slot in retired.slots {
            self.arena.release(slot);
        }
        Ok(())
    }
}

/// Where what a delta refers to is now.
#[expect(
    clippy::indexing_slicing,
    reason = "a delta refers to its own leaves and, children first, to its own nodes"
)]
fn settled(reference: Ref, nodes: &[Ref], leaves: &[Ref]) -> Ref {
    if !reference.is_local() {
        return reference;
    }
    match reference.target() {
        Target::Node(index) => nodes[index],
        Target::Leaf(index) => leaves[index],
    }
}
