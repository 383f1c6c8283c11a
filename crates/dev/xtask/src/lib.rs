//! Checks of the tree that no compiler makes: `cargo xtask tidy`, and this package's tests.
//!
//! What is checked is what git tracks, and the workspace as cargo sees it. Each violation is one line, `path:line: what, and what
//! to do`; the line is 0 where a file as a whole is meant. Each check is a file of [`tidy`], a function over a [`tree::Tree`], so
//! that a test can plant a violation and see it found.
//!
//! | check | what holds |
//! | --- | --- |
//! | arrows | Packages depend on each other as docs/ARCHITECTURE.md, "Arrows", says, and their tests as `arrows.toml` says: no more and no less. No arrow points upwards from pure, io and programs, in this order. |
//! | third parties | Pure crates use the crates of others that `arrows.toml` lists, and nothing that does IO, waits, draws at random or logs. Only `ledger-store` names sled, only `ledger-replica` the engine. |
//! | manifests | Packages inherit lints, version, edition, Rust version, licence; pure crates have their own clippy.toml, which repeats the general one's thresholds. |
//! | sizes | No Rust file is longer than 500 lines, in tests 600, but for what the check names; no module is called `utils` and the like. |
//! | references | Paths below `docs`, links and anchors lead somewhere. |
//! | codes | Each stable code has one row in one table and a place in the document of that table; nothing names a code that does not exist. |
//! | leaks | No private key, path of somebody's machine, or source of packages. |
//! | debris | No mark of work left undone, no test that does not run. |
//! | changelog | The version of the workspace has its section. |

pub mod tidy;
pub mod tree;
