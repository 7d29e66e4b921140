//! The text of a template as the engine gets it: bounds that the engine does not have are asked
//! for where values grow, and what would overflow its compiler is refused.
//!
//! The engine charges no fuel for joining lists and has no bound for how deep a value nests, so
//! each term beside a `+` passes the filter [`SUM`] and each value of a `set` passes [`SET`]
//! (`bounds.rs`). Owns no bound of its own but those of an expression's length. Lines stay what
//! they were.

use minijinja::{
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
};

use super::{
    bounds::{SET, SUM},
    chain::{self, Branches, Chain},
};

/// What the engine compiles in the place of `text`; or the line and the reason why nothing is.
pub(super) fn tame(text: &str, syntax: SyntaxConfig) -> Result<String, (usize, String)> {
    let mut tame = Tame::default();
    let mut branches = Branches::default();
    for token in tokenize(text, false, syntax) {
        // What is no token at all is told better by the engine.
        let Ok((token, span)) = token else { return Ok(text.to_owned()) };
        let place = span.start_offset as usize..span.end_offset as usize;
        let line = usize::from(span.start_line);
        if let (Token::Ident(word), true) = (&token, tame.begins) {
            branches.meet(word);
        }
        tame.meet(&token, place);
        chain::bound(tame.depth()).and(branches.bound()).map_err(|message| (line, message))?;
    }
    Ok(tame.insert(text))
}

/// The walk over the tokens, and what is to be inserted where.
#[derive(Default)]
struct Tame {
    /// The next token is the first one of a block tag.
    begins: bool,
    /// This tag is a `set`.
    sets: bool,
    /// Where the value of a `set` begins.
    value: Option<usize>,
    /// The end of the last token.
    end: usize,
    /// One for each open bracket, and the tag itself.
    levels: Vec<Level>,
    opens: Vec<usize>,
    closes: Vec<(usize, &'static str)>,
}

/// Terms within one pair of brackets.
#[derive(Default)]
struct Level {
    /// Where the term begins.
    start: Option<usize>,
    /// It follows a `+`.
    added: bool,
    /// It is more than a literal, and may be a list.
    grows: bool,
    /// Its last token can be the left side of an operator.
    operand: bool,
    test: Test,
    chain: Chain,
}

/// How much of a test was met: `is`, `not`, its name, and an argument without brackets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Test {
    #[default]
    None,
    Is,
    Named,
}

impl Tame {
    fn meet(&mut self, token: &Token<'_>, place: std::ops::Range<usize>) {
        let begins = std::mem::replace(&mut self.begins, matches!(token, Token::BlockStart));
        match token {
            Token::TemplateData(_) => {}
            Token::VariableStart | Token::BlockStart => {
                (self.sets, self.value) = (false, None);
                self.levels = vec![Level::default()];
            }
            Token::VariableEnd | Token::BlockEnd => {
                while !self.levels.is_empty() {
                    self.cut(false);
                    self.levels.pop();
                }
                if let Some(start) = self.value.take().filter(|start| *start < self.end) {
                    self.opens.push(start);
                    self.closes.push((self.end, SET));
                }
            }
            Token::Ident("set") if begins => self.sets = true,
            Token::Ident("not") if self.test() == Test::Is => {}
            Token::Comma | Token::Colon => {
                self.cut(false);
                if let Some(level) = self.levels.last_mut() {
                    level.chain = Chain { before: level.chain.depth(), ..Chain::default() };
                }
            }
            Token::Ident("and" | "or" | "not" | "in" | "if" | "else")
            | Token::Eq
            | Token::Ne
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte => {
                self.link();
                self.cut(false);
            }
            Token::Assign => {
                self.cut(false);
                if std::mem::take(&mut self.sets) && self.levels.len() == 1 {
                    self.value = Some(place.end);
                }
            }
            Token::Ident(_) if begins => {}
            Token::Plus if self.operand() => {
                self.link();
                self.cut(true);
            }
            Token::Minus if self.operand() => {
                self.link();
                self.cut(false);
            }
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.link();
                self.term(place.start, false);
                self.levels.push(Level::default());
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.cut(false);
                self.close();
                self.term(place.start, true);
                self.grows();
            }
            Token::Ident("is") => {
                self.link();
                self.term(place.start, false);
                self.tests(Test::Is);
            }
            Token::Ident(_) if self.test() == Test::Is => {
                self.term(place.start, true);
                self.tests(Test::Named);
            }
            Token::Ident(_) => {
                self.operand_at(place.start);
                self.grows();
            }
            Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_) => self.operand_at(place.start),
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Dot
            | Token::Tilde
            | Token::Pipe => {
                self.link();
                self.term(place.start, false);
                self.grows();
            }
        }
        self.end = place.end;
    }

    fn depth(&self) -> usize {
        self.levels.iter().map(|level| level.chain.depth()).sum()
    }

    fn link(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.chain.links += 1;
        }
    }

    fn close(&mut self) {
        if self.levels.len() > 1 {
            let closed = self.levels.pop().unwrap_or_default();
            if let Some(level) = self.levels.last_mut() {
                level.chain.inside = level.chain.inside.max(closed.chain.depth());
            }
        }
    }

    fn operand(&self) -> bool {
        self.levels.last().is_some_and(|level| level.operand)
    }

    /// Two operands beside each other are two terms: `a + b recursive`.
    fn operand_at(&mut self, at: usize) {
        let argument = self.test() == Test::Named;
        self.tests(Test::None);
        if self.operand() && !argument {
            self.cut(false);
        }
        self.term(at, true);
    }

    fn test(&self) -> Test {
        self.levels.last().map_or(Test::None, |level| level.test)
    }

    fn tests(&mut self, test: Test) {
        if let Some(level) = self.levels.last_mut() {
            level.test = test;
        }
    }

    /// A token that begins the term or belongs to it.
    fn term(&mut self, at: usize, operand: bool) {
        if let Some(level) = self.levels.last_mut() {
            level.start.get_or_insert(at);
            level.operand = operand;
        }
    }

    fn grows(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.grows = true;
        }
    }

    /// The term ends here, before a `+` or before something else.
    fn cut(&mut self, plus: bool) {
        let Some(level) = self.levels.last_mut() else { return };
        let ended =
            std::mem::replace(level, Level { added: plus, chain: level.chain, ..Level::default() });
        if let (Some(start), true) = (ended.start, ended.grows && (plus || ended.added)) {
            self.opens.push(start);
            self.closes.push((self.end, SUM));
        }
    }

    /// The text with a bracket at each beginning, and a bracket and a filter at each end.
    fn insert(mut self, text: &str) -> String {
        self.opens.sort_unstable();
        // Stable: of two that end together, the inner one was met first.
        self.closes.sort_by_key(|(at, _)| *at);
        let mut opens = self.opens.into_iter().peekable();
        let mut closes = self.closes.into_iter().peekable();
        let mut out = String::with_capacity(text.len() + 16 * opens.len());
        let mut from = 0;
        loop {
            let at = match (opens.peek(), closes.peek()) {
                (Some(open), Some((close, _))) => *open.min(close),
                (None, Some((close, _))) => *close,
                (_, None) => break,
            };
            out.push_str(&text[from..at]);
            from = at;
            while let Some((_, filter)) = closes.next_if(|(close, _)| *close == at) {
                out.push_str(")|");
                out.push_str(filter);
            }
            while opens.next_if_eq(&at).is_some() {
                out.push('(');
            }
        }
        out.push_str(&text[from..]);
        out
    }
}
