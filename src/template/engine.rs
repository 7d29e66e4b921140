//! The engine: templates of one syntax, compiled, and one of them rendered within its bounds.
//!
//! Only this module and its filters know MiniJinja's environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};
use regex_lite::Regex;

use super::{
    TemplateError, bounds, filters, judge::Judge, reads::Reads, tame::tame, tree::Branch,
    trouble::describe,
};
use crate::{config::shape, view::Complete};

/// A template as the engine takes it.
pub(super) struct Source {
    /// What errors call it.
    pub(super) name: String,
    /// Other names that an include may use.
    pub(super) aliases: Vec<String>,
    /// Its text.
    pub(super) text: Arc<str>,
}

/// Templates of one syntax.
pub(super) struct Engine {
    environment: Environment<'static>,
    /// From an alias to what errors call the template.
    names: BTreeMap<String, String>,
}

impl Engine {
    /// Compiles templates that share their delimiters; every mistake goes into `errors`.
    pub(super) fn compile(
        delimiters: &shape::Delimiters,
        fuel: u64,
        templates: &[Source],
        sources: &BTreeSet<String>,
        errors: &mut Vec<TemplateError>,
    ) -> Self {
        let mut engine = Self { environment: environment(fuel), names: BTreeMap::new() };
        let Ok(syntax) = syntax(delimiters) else {
            errors.extend(templates.iter().map(|template| {
                TemplateError::new(&template.name, None, "the delimiters begin alike or are empty")
            }));
            return engine;
        };
        engine.environment.set_syntax(syntax.clone());
        let inclusion = inclusion(delimiters);
        // Aliases cost a second compilation, so they are made only if any template may want them.
        let included = templates.iter().any(|template| inclusion.is_match(&template.text));
        for template in templates {
            engine.add(&template.name, template, &syntax, errors);
            for alias in template.aliases.iter().filter(|_| included) {
                if !engine.names.contains_key(alias) {
                    engine.add(alias, template, &syntax, &mut Vec::new());
                }
            }
        }
        let plain = environment(fuel);
        let Self { environment, names } = &engine;
        let judge = Judge { environment, plain: &plain, sources, names };
        for template in templates {
            errors.extend(judge.judge(&template.name));
        }
        engine
    }

    fn add(
        &mut self,
        name: &str,
        template: &Source,
        syntax: &SyntaxConfig,
        errors: &mut Vec<TemplateError>,
    ) {
        self.names.insert(name.to_owned(), template.name.clone());
        let mut refuse = |line, message| {
            errors.push(TemplateError::new(&template.name, line, message));
        };
        let text = match tame(&template.text, syntax.clone()) {
            Ok(text) => text,
            Err((line, message)) => return refuse(Some(line), message),
        };
        if let Err(error) = self.environment.add_template_owned(name.to_owned(), text) {
            let (message, _, line) = describe(&error, |_, _| None);
            refuse(line, message);
        }
    }

    /// Renders one template. What it reads is noted in `reads`.
    pub(super) fn render(
        &self,
        name: &str,
        view: &Complete,
        reads: &Arc<Reads>,
        limit: u64,
    ) -> Result<Vec<u8>, TemplateError> {
        let context = view.snapshots().iter().map(|(source, snapshot)| {
            let branch = Branch::root(source, snapshot.entries.clone(), Arc::clone(reads));
            (source.as_str(), Value::from_object(branch))
        });
        let context = Value::from_pairs(context);
        let mut out = Bounded { bytes: Vec::new(), limit };
        let rendered = self
            .environment
            .get_template(name)
            .and_then(|template| template.render_captured_to(context, &mut out).map(drop));
        match rendered {
            Ok(()) => Ok(out.bytes),
            Err(error) => {
                let undefined = |template: Option<&str>, line: Option<usize>| {
                    let text = self.environment.get_template(template?).ok()?.source().to_owned();
                    reads.undefined(&text, line?)
                };
                let (mut message, place, line) = describe(&error, undefined);
                let place = place.and_then(|place| self.names.get(&place));
                let own = place.is_none_or(|place| place == name);
                if let (false, Some(place), Some(line)) = (own, place, line) {
                    message = format!("in {place}:{line}: {message}");
                }
                let line = line.filter(|_| own);
                Err(TemplateError::new(name, line, message))
            }
        }
    }
}

fn environment(fuel: u64) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(fuel));
    filters::install(&mut environment);
    bounds::install(&mut environment);
    environment
}

/// Tags on lines of their own leave nothing behind, and the last line end stays.
fn syntax(delimiters: &shape::Delimiters) -> Result<SyntaxConfig, minijinja::Error> {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    if let Some([open, close]) = delimiters.block.clone() {
        builder.block_delimiters(open, close);
    }
    if let Some([open, close]) = delimiters.variable.clone() {
        builder.variable_delimiters(open, close);
    }
    if let Some([open, close]) = delimiters.comment.clone() {
        builder.comment_delimiters(open, close);
    }
    builder.build()
}

/// A tag that names another template.
fn inclusion(delimiters: &shape::Delimiters) -> Regex {
    let open = delimiters.block.as_ref().map_or("{%", |[open, _]| open.as_str());
    let tag = r"[-+]?\s*(?:include|import|extends|from)\b";
    Regex::new(&format!("{}{tag}", regex_lite::escape(open))).expect("an escaped literal and a tag")
}

/// Bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: u64,
}

impl io::Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + part.len()) as u64 > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
