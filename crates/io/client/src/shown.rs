//! Text of others, for a terminal.

use std::borrow::Cow;

/// Marks and overrides of the direction in which text is read, and the separators that end a line.
const DIRECTIONS: [char; 14] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// The text with what moves the cursor, or turns the order of what is read, in its escaped form. A node, a file or a party's name must
/// not write over what this program says, nor look like another one.
pub fn plain(text: &str) -> Cow<'_, str> {
    let moves = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || DIRECTIONS.contains(&c);
    if !text.contains(moves) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if moves(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_over_what_the_program_says() {
        let text = "\u{57ce}\u{5e02}\u{5929}\u{6c14} caf\u{e9}\n\tline \u{2014} two";
        assert!(matches!(plain(text), Cow::Borrowed(same) if same == text));
        assert_eq!(plain("REFUTED\r\u{1b}[1APROVEN"), "REFUTED\\u{d}\\u{1b}[1APROVEN");
        assert_eq!(plain("exe.\u{202e}fdp"), "exe.\\u{202e}fdp");
        assert_eq!(plain("\u{9b}2J"), "\\u{9b}2J");
    }
}
