//! Templates: from a complete view to a rendering. Pure: no I/O, no clock, no environment.
//!
//! Owns the engine behind a narrow interface: a second dialect can come beside it. Must not know
//! where templates or snapshots came from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    config::shape,
    format,
    rendering::{Access, OutputFile, OutputPath, Rendering},
    view::Complete,
};

mod bounds;
mod chain;
mod copy;
mod engine;
mod filters;
mod judge;
mod reads;
mod room;
mod tame;
mod tree;
mod trouble;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use copy::Copied;
use engine::Engine;
use reads::{Index, Reads};
use room::with_room;

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
    /// The template: its file's path, or `templates[3]` for an inline one or a copy.
    pub template: String,
    /// The line in the template.
    pub line: Option<usize>,
    /// What is wrong, and the key it is about.
    pub message: String,
    /// The machine was short of something: the same inputs may do later.
    pub passing: bool,
}

impl TemplateError {
    /// Something that stands until the inputs change.
    fn new(template: impl Into<String>, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { template: template.into(), line, message: message.into(), passing: false }
    }

    /// There can be no thread to compile or render on.
    fn no_room(error: &std::io::Error) -> Self {
        let message = format!("there can be no thread to work on: {error}");
        Self { passing: true, ..Self::new("templates", None, message) }
    }
}

/// All templates, compiled, and what each one read when it was last rendered.
#[derive(Default)]
pub struct TemplateSet {
    engines: Vec<Engine>,
    items: Vec<Item>,
    limits: shape::Limits,
    index: Index,
    last: Option<Last>,
    rendered: usize,
}

/// One template.
struct Item {
    name: String,
    access: Access,
    what: What,
}

enum What {
    Template { engine: usize, to: OutputPath, format: Option<shape::Format> },
    Copy(Copied),
}

/// The last rendering and the view that it shows.
struct Last {
    view: Complete,
    outputs: Vec<Vec<(OutputPath, OutputFile)>>,
    rendering: Arc<Rendering>,
}

impl TemplateSet {
    /// Compiles every template and reports every mistake: syntax, unknown sources, unknown
    /// includes.
    pub fn compile(
        templates: Vec<TemplateText>,
        sources: &BTreeSet<String>,
        limits: &shape::Limits,
    ) -> Result<Self, Vec<TemplateError>> {
        let mut errors = Vec::new();
        let mut set = Self { limits: limits.clone(), ..Self::default() };
        // Includes work between templates of one syntax, so each syntax has an engine.
        let mut syntaxes: Vec<(shape::Delimiters, Vec<engine::Source>)> = Vec::new();
        for (index, template) in templates.into_iter().enumerate() {
            let TemplateText { settings, text } = template;
            let name = name(index, &settings);
            let access =
                Access { mode: settings.mode.0, owner: settings.owner, group: settings.group };
            let what = match (&settings.copy, text) {
                (Some(copy), _) => match Copied::new(copy, &settings.to) {
                    Ok(copied) => What::Copy(copied),
                    Err(message) => {
                        errors.push(TemplateError::new(name, None, message));
                        continue;
                    }
                },
                (None, text) => {
                    let to = match OutputPath::parse(&settings.to) {
                        Ok(to) => to,
                        Err(error) => {
                            let message = error.to_string();
                            errors.push(TemplateError::new(name, None, message));
                            continue;
                        }
                    };
                    let delimiters = settings.delimiters.clone().unwrap_or_default();
                    let known = syntaxes.iter().position(|(other, _)| *other == delimiters);
                    let engine = known.unwrap_or_else(|| {
                        syntaxes.push((delimiters, Vec::new()));
                        syntaxes.len() - 1
                    });
                    syntaxes[engine].1.push(engine::Source {
                        name: name.clone(),
                        aliases: aliases(&settings),
                        text: text.unwrap_or_default(),
                    });
                    What::Template { engine, to, format: settings.format }
                }
            };
            set.items.push(Item { name, access, what });
        }
        let compiled = with_room(|| {
            let compile = |(delimiters, templates): &(_, Vec<_>)| {
                Engine::compile(delimiters, limits.fuel, templates, sources, &mut errors)
            };
            syntaxes.iter().map(compile).collect()
        });
        set.engines = compiled.map_err(|error| vec![TemplateError::no_room(&error)])?;
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    /// Renders what is affected by the difference between `view` and the last rendered one; the
    /// rest is taken from the last rendering. All or nothing: on an error every failing template
    /// is reported and the last rendering stays what it was.
    pub fn render(&mut self, view: &Complete) -> Result<Arc<Rendering>, Vec<TemplateError>> {
        let affected = self.affected(view);
        self.rendered = affected.len();
        if let Some(last) = self.last.as_mut().filter(|_| affected.is_empty()) {
            last.view = view.clone();
            return Ok(Arc::clone(&last.rendering));
        }
        let mut errors = Vec::new();
        let mut fresh = BTreeMap::new();
        let mut notes = Vec::new();
        let results = with_room(|| {
            let run = |index| {
                let reads = Arc::new(Reads::default());
                (index, self.run(&self.items[index], view, &reads), reads.take())
            };
            affected.into_iter().map(run).collect::<Vec<_>>()
        });
        for (index, result, read) in
            results.map_err(|error| vec![TemplateError::no_room(&error)])?
        {
            match result {
                Ok(files) => {
                    fresh.insert(index, files);
                    notes.push((index, read));
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut outputs = match &self.last {
            Some(last) => last.outputs.clone(),
            None => vec![Vec::new(); self.items.len()],
        };
        for (index, files) in fresh {
            outputs[index] = files;
        }
        let rendering = Arc::new(self.collect(&outputs)?);
        for (index, notes) in notes {
            self.index.put(index, notes);
        }
        self.last = Some(Last { view: view.clone(), outputs, rendering: Arc::clone(&rendering) });
        Ok(rendering)
    }

    /// How many templates the last call of [`Self::render`] really ran.
    pub fn rendered(&self) -> usize {
        self.rendered
    }

    /// The paths that can be known without a view: `to` of every template that is no wildcard copy.
    pub fn known_paths(&self) -> Vec<OutputPath> {
        let path = |item: &Item| match &item.what {
            What::Template { to, .. } => Some(to.clone()),
            What::Copy(copied) => OutputPath::parse(copied.known_path()?).ok(),
        };
        self.items.iter().filter_map(path).collect()
    }

    /// The templates that a new view concerns; all of them before the first rendering.
    fn affected(&self, view: &Complete) -> BTreeSet<usize> {
        let Some(last) = &self.last else { return (0..self.items.len()).collect() };
        let mut affected = BTreeSet::new();
        for (source, new) in view.snapshots() {
            let Some(old) = last.view.snapshots().get(source) else {
                return (0..self.items.len()).collect();
            };
            self.index.affected(source, old, new, &mut affected);
            let copies = self.items.iter().enumerate().filter(|(_, item)| match &item.what {
                What::Copy(copied) => copied.is_affected(source, old, new),
                What::Template { .. } => false,
            });
            affected.extend(copies.map(|(index, _)| index));
        }
        affected
    }

    fn run(
        &self,
        item: &Item,
        view: &Complete,
        reads: &Arc<Reads>,
    ) -> Result<Vec<(OutputPath, OutputFile)>, TemplateError> {
        let refuse = |message: String| TemplateError::new(&item.name, None, message);
        match &item.what {
            What::Copy(copied) => copied.files(&item.name, view, item.access, self.limits.file),
            What::Template { engine, to, format } => {
                let engine = &self.engines[*engine];
                let bytes = engine.render(&item.name, view, reads, self.limits.file)?;
                if let Some(format) = format {
                    let text = std::str::from_utf8(&bytes).unwrap_or_default();
                    format::check(*format, text).map_err(|error| refuse(error.to_string()))?;
                }
                Ok(vec![(to.clone(), OutputFile::new(Bytes::from(bytes), item.access))])
            }
        }
    }

    fn collect(
        &self,
        outputs: &[Vec<(OutputPath, OutputFile)>],
    ) -> Result<Rendering, Vec<TemplateError>> {
        let named = self.items.iter().zip(outputs).flat_map(|(item, files)| {
            files.iter().map(|(path, file)| (path.clone(), file.clone(), item.name.clone()))
        });
        let refuse = |message: String| vec![TemplateError::new("templates", None, message)];
        let rendering = Rendering::collect(named).map_err(|clash| refuse(clash.to_string()))?;
        if rendering.size() > self.limits.generation {
            return Err(refuse("all files together are larger than limits.generation".to_owned()));
        }
        Ok(rendering)
    }
}

/// What errors call a template.
fn name(index: usize, settings: &shape::Template) -> String {
    match &settings.file {
        Some(file) => file.display().to_string(),
        None => format!("templates[{index}]"),
    }
}

/// What an include may call a template: its file's name, or its `to`.
fn aliases(settings: &shape::Template) -> Vec<String> {
    let file = settings.file.as_deref().and_then(Path::file_name);
    let file = file.map(|name| name.to_string_lossy().into_owned());
    file.into_iter().chain([settings.to.clone()]).collect()
}
