//! An error and its causes in one line, printed once.

use std::error::Error;

/// The message and those of all causes, joined by `: `.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let message = cause.to_string();
        // Some crates print their source inside their own message.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        below = cause.source();
    }
    text
}
