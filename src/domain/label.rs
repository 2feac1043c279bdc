//! Text that somebody else wrote and a person will read: display names, purchase orders, replies of servers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest label kept, in characters; the rest is cut and marked with an ellipsis.
pub const MAX_CHARS: usize = 200;

/// One line of plain text, safe to put into a header, a page, a log line or a terminal.
///
/// Control characters and line breaks become a blank, invisible formatting and direction marks
/// (which can make a name read as another one) are dropped, runs of blanks are folded.
/// Markup is not touched: whoever renders HTML escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Label(String);

impl Label {
    /// Cleans `text`; the result may be empty.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let visible = text.chars().filter(|&c| !is_invisible(c));
        let mut clean = String::new();
        for c in visible {
            let c = if c.is_control() || c.is_whitespace() { ' ' } else { c };
            if c == ' ' && (clean.is_empty() || clean.ends_with(' ')) {
                continue;
            }
            clean.push(c);
        }
        let clean = clean.trim_end();
        if clean.chars().count() <= MAX_CHARS {
            return Self(clean.to_owned());
        }
        let mut cut: String = clean.chars().take(MAX_CHARS - 1).collect();
        cut.push('…');
        Self(cut)
    }

    /// The cleaned text, or `None` if nothing readable was left.
    #[must_use]
    pub fn non_empty(text: &str) -> Option<Self> {
        let label = Self::new(text);
        (!label.0.is_empty()).then_some(label)
    }

    /// The cleaned text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Soft hyphen, zero-width and direction marks, byte order mark, tags, interlinear marks and variation selectors.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_what_could_mislead() {
        for (given, expected) in [
            ("Contoso", "Contoso"),
            ("  a\r\nBcc: x@y  ", "a Bcc: x@y"),
            ("inv\u{202e}fdp.exe", "invfdp.exe"),
            ("a\u{0}b\u{1b}[31m", "a b [31m"),
            ("\u{feff}\u{200b}", ""),
            ("é 日本 😀", "é 日本 😀"),
        ] {
            assert_eq!(Label::new(given).as_str(), expected, "{given:?}");
        }
    }

    #[test]
    fn is_cut_at_the_limit() {
        let label = Label::new(&"x".repeat(500));
        assert_eq!(label.as_str().chars().count(), MAX_CHARS);
        assert!(label.as_str().ends_with('…'));
    }
}
