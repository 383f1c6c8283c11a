//! What is left lying about: marks of work that was not done, and tests that do not run.

use super::{Violation, is_ours, lines, words_at};
use crate::tree::Tree;

/// Marks, and what to do about them. Split, so that this file does not hold them.
const MARKS: [(&str, &str, &str); 4] = [
    ("TO", "DO", "do it, or say in the change log that it is missing"),
    ("FIX", "ME", "mend it"),
    ("XX", "X", "settle it, or state in words what is odd"),
    ("HA", "CK", "do it properly, or state in words why it has to be so"),
];
/// Tests and examples of documentation that do not run.
const IDLE: [(&str, &str); 2] = [("#[ign", "ore"), ("```ign", "ore")];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.texts("").filter(|(path, _)| is_ours(path)) {
        for (number, line) in lines(text) {
            for (start, end, advice) in MARKS {
                let mark = format!("{start}{end}");
                let is_end =
                    |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                if words_at(line, &mark).any(is_end) {
                    found.push(Violation::new(path, number, format!("{mark}: {advice}")));
                }
            }
        }
    }
    for (path, text) in tree.texts(".rs") {
        let is_idle = |line: &str| IDLE.iter().any(|(a, b)| line.contains(&format!("{a}{b}")));
        for (number, _) in lines(text).filter(|(_, line)| is_idle(line)) {
            let text = "a test that does not run proves nothing: run it, or take it out";
            found.push(Violation::new(path, number, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Violation> {
        let files = [(path.to_owned(), Some(text.to_owned()))].into();
        check(&Tree { files, packages: Vec::new() })
    }

    #[test]
    fn marks_are_found_with_their_line_and_parts_of_words_are_not() {
        for (start, end, _) in MARKS {
            for line in [format!("// {start}{end}: later"), format!("{start}{end}(me)")] {
                let found = found("a.md", &format!("fine\n{line}\n"));
                assert!(found.len() == 1 && found[0].line == 2, "{line} {found:?}");
            }
            assert_eq!(found("a.md", &format!("A{start}{end} {start}{end}B")), []);
            assert_eq!(found("tests/data/a.md", &format!("{start}{end}")), []);
        }
    }

    #[test]
    fn tests_that_do_not_run_are_found() {
        for (start, end) in IDLE {
            assert_eq!(found("a/tests/b.rs", &format!("    {start}{end}]\n")).len(), 1);
        }
        let reason = ["#[ign", "ore = \"slow\"]\nfn a() {}"].concat();
        assert_eq!(found("a/src/b.rs", &reason).len(), 1);
    }
}
