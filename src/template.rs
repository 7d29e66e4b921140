//! Templates: temporary.
use crate::{
    config::shape,
    rendering::{Access, OutputFile, OutputPath, Rendering},
    view::Complete,
};
use bytes::Bytes;
use minijinja::{Environment, UndefinedBehavior, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A configured template with its text: what [`TemplateSet::compile`] takes.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateText {
    /// Its settings.
    pub settings: shape::Template,
    /// The text of `file` or `inline`; `None` for `copy`.
    pub text: Option<Arc<str>>,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{template}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct TemplateError {
    /// x
    pub template: String,
    /// x
    pub line: Option<usize>,
    /// x
    pub message: String,
}

/// x
#[derive(Default)]
pub struct TemplateSet {
    env: Environment<'static>,
    list: Vec<TemplateText>,
}

impl TemplateSet {
    /// x
    pub fn compile(
        templates: Vec<TemplateText>,
        sources: &BTreeSet<String>,
        _l: &shape::Limits,
    ) -> Result<Self, Vec<TemplateError>> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let mut errors = vec![];
        for (i, t) in templates.iter().enumerate() {
            let Some(text) = &t.text else { continue };
            let name = t
                .settings
                .file
                .as_ref()
                .map_or(format!("templates[{i}]"), |f| f.display().to_string());
            if let Err(e) = env.add_template_owned(name.clone(), text.to_string()) {
                errors.push(TemplateError {
                    template: name,
                    line: e.line(),
                    message: e.kind().to_string(),
                });
                continue;
            }
            for u in env.get_template(&name).expect("x").undeclared_variables(false) {
                if !sources.contains(&u) && u != "range" {
                    errors.push(TemplateError {
                        template: name.clone(),
                        line: Some(1),
                        message: format!("no source {u}; there are {sources:?}"),
                    });
                }
            }
        }
        if errors.is_empty() { Ok(Self { env, list: templates }) } else { Err(errors) }
    }
    /// x
    pub fn render(&mut self, view: &Complete) -> Result<Arc<Rendering>, Vec<TemplateError>> {
        let mut ctx: BTreeMap<String, Value> = BTreeMap::new();
        for (name, snap) in view.snapshots() {
            let m: BTreeMap<String, Value> = snap
                .entries
                .iter()
                .map(|(k, v)| {
                    (
                        k.as_str().to_owned(),
                        Value::from(String::from_utf8_lossy(v.bytes()).into_owned()),
                    )
                })
                .collect();
            ctx.insert(name.clone(), Value::from(m));
        }
        let ctx = Value::from(ctx);
        let mut outs = vec![];
        for (i, t) in self.list.iter().enumerate() {
            let name = t
                .settings
                .file
                .as_ref()
                .map_or(format!("templates[{i}]"), |f| f.display().to_string());
            let text = self.env.get_template(&name).expect("x").render(&ctx).map_err(|e| {
                vec![TemplateError {
                    template: name.clone(),
                    line: e.line(),
                    message: e.kind().to_string(),
                }]
            })?;
            let access = Access {
                mode: t.settings.mode.0,
                owner: t.settings.owner,
                group: t.settings.group,
            };
            outs.push((
                OutputPath::parse(&t.settings.to).expect("x"),
                OutputFile::new(Bytes::from(text), access),
                name,
            ));
        }
        Ok(Arc::new(Rendering::collect(outs).expect("x")))
    }
    /// x
    pub fn rendered(&self) -> usize {
        self.list.len()
    }
    /// x
    pub fn known_paths(&self) -> Vec<OutputPath> {
        vec![]
    }
}
