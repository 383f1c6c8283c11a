//! The way from a node up to the root, which makers and checkers of proofs walk alike.

/// A sibling on the way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sibling {
    /// Height above the leaves.
    pub(super) level: u8,
    /// Position among the nodes of its level, from the left, from 0.
    pub(super) index: u64,
    /// Whether it stands left of the path.
    pub(super) is_left: bool,
    /// Whether it is the last node of its level, which may be incomplete.
    pub(super) is_last: bool,
}

/// The siblings from a node upwards, lowest first: the variables `fn` and `sn` of RFC 9162 sections
/// 2.1.3.2 and 2.1.4.2.
///
/// A node that is the last of its level and has an even index has no sibling there: it stands
/// unchanged one level higher.
#[derive(Clone, Debug)]
pub(super) struct Climb {
    level: u8,
    node: u64,
    /// Index of the last node of `level`. Zero at the root.
    last: u64,
}

impl Climb {
    /// From the leaf `index` in a tree of `size` leaves, `index < size`.
    pub(super) fn from_leaf(index: u64, size: u64) -> Self {
        Self { level: 0, node: index, last: size.saturating_sub(1) }
    }

    /// From the smallest complete subtree at the right edge of the tree of `size1` leaves, within
    /// the tree of `size2` leaves, `0 < size1 <= size2`.
    pub(super) fn from_edge(size1: u64, size2: u64) -> Self {
        let mut climb = Self::from_leaf(size1.saturating_sub(1), size2);
        // RFC 9162 section 2.1.4.2 step 3: up as long as the subtree ends where the old tree ends.
        while climb.node & 1 == 1 {
            climb.ascend();
        }
        climb
    }

    /// The level and the index of the node that the climb stands on.
    pub(super) fn position(&self) -> (u8, u64) {
        (self.level, self.node)
    }

    fn ascend(&mut self) {
        // At most 64 ascents make `last` zero, which ends every climb.
        self.level = self.level.saturating_add(1);
        self.node >>= 1;
        self.last >>= 1;
    }
}

impl Iterator for Climb {
    type Item = Sibling;

    fn next(&mut self) -> Option<Sibling> {
        while self.last > 0 {
            let Self { level, node, last } = *self;
            self.ascend();
            let is_left = node & 1 == 1;
            if is_left || node < last {
                let index = node ^ 1;
                return Some(Sibling { level, index, is_left, is_last: index == last });
            }
        }
        None
    }
}
