//! What can be known of a compiled template before any key is there: its sources, filters, tests
//! and inclusions exist.
//!
//! Reads the engine's instructions, so comments and raw blocks cannot mislead it.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{
    Environment, Template,
    machinery::{Instruction, Instructions, get_compiled_template},
};

use super::TemplateError;
use crate::config::mistake::nearest;

/// What templates of one syntax may name.
pub(super) struct Judge<'a> {
    pub(super) environment: &'a Environment<'static>,
    /// The same, without templates and with the usual syntax.
    pub(super) plain: &'a Environment<'static>,
    pub(super) sources: &'a BTreeSet<String>,
    /// What an inclusion may name.
    pub(super) names: &'a BTreeMap<String, String>,
}

impl Judge<'_> {
    /// Every name in a template that means nothing, once each, in the order of their lines.
    pub(super) fn judge(&self, name: &str) -> Vec<TemplateError> {
        let Ok(template) = self.environment.get_template(name) else { return Vec::new() };
        let unknown = self.unknown_variables(&template);
        let compiled = get_compiled_template(&template);
        let mut found = BTreeSet::new();
        let mut told = BTreeSet::new();
        for code in std::iter::once(&compiled.instructions).chain(compiled.blocks.values()) {
            for (line, message) in self.mistakes(code, &unknown) {
                // The first place of each is enough.
                if told.insert(message.clone()) {
                    found.insert((line, message));
                }
            }
        }
        let error = |(line, message)| TemplateError::new(name, line, message);
        found.into_iter().map(error).collect()
    }

    /// A name that is no source is a slip: strict templates would fail with the first key.
    fn unknown_variables(&self, template: &Template<'_, '_>) -> BTreeSet<String> {
        let globals: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let known = |name: &str| self.sources.contains(name) || globals.contains(name);
        template.undeclared_variables(false).into_iter().filter(|name| !known(name)).collect()
    }

    fn mistakes(
        &self,
        code: &Instructions<'_>,
        unknown: &BTreeSet<String>,
    ) -> Vec<(Option<usize>, String)> {
        let mut mistakes = Vec::new();
        let mut before: Option<&Instruction<'_>> = None;
        for at in 0.. {
            let Some(instruction) = code.get(at) else { break };
            let message = match instruction {
                Instruction::Lookup(name) | Instruction::CallFunction(name, _)
                    if unknown.contains(*name) =>
                {
                    Some(self.no_source(name))
                }
                Instruction::ApplyFilter(name, ..) if !self.has_filter(name) => {
                    Some(format!("there is no filter `{name}`"))
                }
                Instruction::PerformTest(name, ..) if !self.has_test(name) => {
                    Some(format!("there is no test `{name}`"))
                }
                Instruction::Include(false) | Instruction::LoadBlocks => self.no_template(before),
                _ => None,
            };
            mistakes.extend(message.map(|message| (code.get_line(at), message)));
            before = Some(instruction);
        }
        mistakes
    }

    fn no_source(&self, name: &str) -> String {
        let known: Vec<_> = self.sources.iter().map(String::as_str).collect();
        let hint = nearest(name, known.iter().copied())
            .map(|guess| format!("; did you mean `{guess}`?"))
            .unwrap_or_default();
        format!("there is no source `{name}`, only {}{hint}", known.join(", "))
    }

    /// A literal name stands just before the inclusion; a computed one is judged when rendered.
    fn no_template(&self, before: Option<&Instruction<'_>>) -> Option<String> {
        let Some(Instruction::LoadConst(name)) = before else { return None };
        let name = name.as_str().filter(|name| !self.names.contains_key(*name))?;
        Some(format!(
            "there is no template `{name}` to include; name one by its file name or its `to`"
        ))
    }

    fn has_filter(&self, name: &str) -> bool {
        self.is_true(&format!("'{name}' is filter"))
    }

    fn has_test(&self, name: &str) -> bool {
        self.is_true(&format!("'{name}' is test"))
    }

    /// The engine tells what it has only from inside an expression.
    fn is_true(&self, expression: &str) -> bool {
        let value = self.plain.compile_expression(expression).and_then(|it| it.eval(()));
        value.is_ok_and(|value| value.is_true())
    }
}
