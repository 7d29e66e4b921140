//! A mistake in the configuration: where, what, and what to do.

use std::fmt;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line in the file.
    pub line: usize,
    /// The key path: `targets[0].signal`; empty for the whole file.
    pub path: String,
    /// What is wrong, and a hint.
    pub what: String,
}

impl Mistake {
    /// A mistake at a place.
    pub fn at(line: usize, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { line, path: path.into(), what: what.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.line, self.what)
        } else {
            write!(f, "{}: {}: {}", self.line, self.path, self.what)
        }
    }
}

/// The known word that `word` most looks like, as a hint.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|candidate| (distance(word, candidate), candidate));
    let limit = (word.len() / 3).max(1);
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

/// How many letters to change, add or drop.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_its_word_and_another_word_does_not() {
        let known = ["settle", "sources", "guard"];
        assert_eq!(nearest("setle", known), Some("settle"));
        assert_eq!(nearest("surces", known), Some("sources"));
        assert_eq!(nearest("kitchen", known), None);
    }
}
