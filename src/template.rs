//! Templates: from a complete view to a rendering. Pure: no I/O, no clock, no environment.
//!
//! Owns the engine behind a narrow interface: a second dialect can come beside it. Must not know
//! where templates or snapshots came from.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    config::shape,
    rendering::{OutputPath, Rendering},
    view::Complete,
};

/// A configured template with its text: what [`TemplateSet::compile`] takes.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateText {
    /// Its settings.
    pub settings: shape::Template,
    /// The text of `file` or `inline`; `None` for `copy`.
    pub text: Option<Arc<str>>,
}

/// Why a template cannot be compiled or rendered; names template, line and key, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{template}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct TemplateError {
    /// The template: its file's path, or `templates[3]` for an inline one.
    pub template: String,
    /// The line in the template.
    pub line: Option<usize>,
    /// What is wrong, and the key it is about.
    pub message: String,
}

/// All templates, compiled, and what each one read when it was last rendered.
#[derive(Default)]
pub struct TemplateSet {}

#[allow(clippy::todo, unused_variables, reason = "being written")]
impl TemplateSet {
    /// Compiles every template and reports every mistake: syntax, unknown sources, unknown
    /// filters, unknown includes.
    pub fn compile(
        templates: Vec<TemplateText>,
        sources: &BTreeSet<String>,
        limits: &shape::Limits,
    ) -> Result<Self, Vec<TemplateError>> {
        todo!()
    }

    /// Renders what is affected by the difference between `view` and the last rendered one; the
    /// rest is taken from the last rendering. All or nothing: on an error every failing template
    /// is reported and the last rendering stays what it was.
    pub fn render(&mut self, view: &Complete) -> Result<Arc<Rendering>, Vec<TemplateError>> {
        todo!()
    }

    /// How many templates the last call of [`Self::render`] really ran.
    pub fn rendered(&self) -> usize {
        todo!()
    }

    /// The paths that can be known without a view: `to` of every template that is no wildcard copy.
    pub fn known_paths(&self) -> Vec<OutputPath> {
        todo!()
    }
}
