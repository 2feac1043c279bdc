//! How a failure is told: the whole chain of causes once, in one line.

use std::error::Error;

/// The error and its causes, joined by colons. A cause that the text says already is left out: not every library
/// keeps its sources to itself.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
