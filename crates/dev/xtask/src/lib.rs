//! Checks of the tree that no compiler makes: `cargo xtask tidy`.
//!
//! Each check is a function over a [`tree::Tree`], so that a test can plant a violation and see it found.

pub mod tidy;
pub mod tree;
