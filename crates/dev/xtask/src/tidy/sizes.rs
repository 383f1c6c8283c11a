//! How long a Rust file may be, and what a module may not be called.

use super::{Violation, lines};
use crate::tree::Tree;

/// Longest Rust file, in lines.
const MAX_LINES: usize = 600;
/// Longest Rust file that is not in a directory of tests.
const MAX_SOURCE_LINES: usize = 500;
/// Sources that were longer when the limit came, and how long they are. The number may only go down, and the row with it.
const LONGER: [(&str, usize); 1] = [("ledger-node/src/dev/story.rs", 546)];
/// Module names that say nothing.
const VAGUE: [&str; 6] = ["util", "utils", "helper", "helpers", "misc", "common"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found: Vec<Violation> =
        tree.texts(".rs").filter_map(|(path, text)| too_long(path, text)).collect();
    found.extend(tree.texts(".rs").flat_map(|(path, text)| vague(path, text)));
    let gone = LONGER.iter().filter(|(path, _)| !tree.packages.is_empty() && !has(tree, path));
    found.extend(gone.map(|(path, _)| Violation::new(path, 0, "no such file: take its row out")));
    found
}

fn has(tree: &Tree, path: &str) -> bool {
    tree.files.contains_key(path)
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| part == "tests")
}

fn too_long(path: &str, text: &str) -> Option<Violation> {
    let length = text.lines().count();
    let limit = if is_test(path) { MAX_LINES } else { MAX_SOURCE_LINES };
    let text = match LONGER.iter().find(|(longer, _)| *longer == path) {
        Some((_, frozen)) if length < *frozen => {
            format!("{length} lines, no longer {frozen}: lower its row in the sizes check")
        }
        Some((_, frozen)) if length == *frozen => return None,
        _ if length <= limit => return None,
        _ => format!("{length} lines, at most {limit}: split it along its subject"),
    };
    Some(Violation::new(path, 0, text))
}

/// Files, directories and inline modules with a name that says nothing. Tests may share a `common`, as cargo's book has it.
fn vague(path: &str, text: &str) -> Vec<Violation> {
    let is_vague = |name: &str| VAGUE.contains(&name) && !(name == "common" && is_test(path));
    let violation = |line: usize, name: &str| {
        Violation::new(path, line, format!("a module named {name}: name it after what it holds"))
    };
    let part = path.split(['/', '.']).find(|part| is_vague(part));
    let inline = lines(text).filter_map(|(number, line)| {
        let (before, name) = line.trim().strip_suffix('{')?.trim_end().rsplit_once(' ')?;
        (before.split(' ').next_back() == Some("mod") && is_vague(name)).then_some((number, name))
    });
    let found = part.map(|name| (0, name)).into_iter().chain(inline);
    found.map(|(line, name)| violation(line, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str, text: &str) -> Tree {
        Tree { files: [(path.to_owned(), Some(text.to_owned()))].into(), packages: Vec::new() }
    }

    #[test]
    fn long_files_are_found() {
        for (path, limit) in [("a/src/b.rs", MAX_SOURCE_LINES), ("a/tests/b.rs", MAX_LINES)] {
            assert_eq!(check(&tree(path, &"\n".repeat(limit))), []);
            assert_eq!(check(&tree(path, &"\n".repeat(limit + 1))).len(), 1, "{path}");
        }
    }

    #[test]
    fn what_is_longer_may_neither_grow_nor_keep_its_row() {
        for (path, frozen) in LONGER {
            assert_eq!(check(&tree(path, &"\n".repeat(frozen))), []);
            assert_eq!(check(&tree(path, &"\n".repeat(frozen + 1))).len(), 1);
            assert_eq!(check(&tree(path, &"\n".repeat(frozen - 1))).len(), 1);
        }
    }

    #[test]
    fn vague_names_are_found() {
        assert_eq!(check(&tree("a/src/utils.rs", "")).len(), 1);
        assert_eq!(check(&tree("a/src/helpers/mod.rs", "")).len(), 1);
        assert_eq!(check(&tree("a/src/common.rs", "")).len(), 1);
        assert_eq!(check(&tree("a/tests/common/mod.rs", "")), []);
        assert_eq!(check(&tree("a/tests/utils.rs", "")).len(), 1);
        let inline = check(&tree("a/src/b.rs", "//! B.\npub(crate) mod common {\n}\n"));
        assert!(inline.len() == 1 && inline[0].line == 2, "{inline:?}");
    }
}
