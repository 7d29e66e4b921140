//! How deep the engine recurses for the text of a template, and how deep it may.
//!
//! Counts; does not read tokens itself.

/// How many operators, filters and brackets may follow one another without a comma: the engine
/// compiles them, and frees them, by recursion.
const CHAIN: usize = 1_000;
/// How many `elif` may stand in each other, for the same reason.
const BRANCHES: usize = 500;

/// Refuses what is too deep.
pub(super) fn bound(depth: usize) -> Result<(), String> {
    if depth > CHAIN {
        return Err(format!("more than {CHAIN} operators, filters and brackets in a row"));
    }
    Ok(())
}

/// How deep the engine recurses for what stands between two commas.
#[derive(Clone, Copy, Default)]
pub(super) struct Chain {
    pub(super) links: usize,
    /// The deepest within its brackets.
    pub(super) inside: usize,
    /// The deepest before the last comma.
    pub(super) before: usize,
}

impl Chain {
    pub(super) fn depth(self) -> usize {
        self.before.max(self.links + self.inside)
    }
}

/// `elif` in each other: the engine takes each for an `if` within the `else` of the one before.
#[derive(Default)]
pub(super) struct Branches {
    depth: usize,
    open: Vec<usize>,
}

impl Branches {
    /// The first word of a block tag.
    pub(super) fn meet(&mut self, word: &str) {
        match word {
            "if" => self.open.push(0),
            "elif" => {
                if let Some(own) = self.open.last_mut() {
                    *own += 1;
                    self.depth += 1;
                }
            }
            "endif" => self.depth -= self.open.pop().unwrap_or_default(),
            _ => {}
        }
    }

    /// Refuses what is too deep.
    pub(super) fn bound(&self) -> Result<(), String> {
        if self.depth > BRANCHES {
            return Err(format!("more than {BRANCHES} `elif` in each other; a map is shorter"));
        }
        Ok(())
    }
}
