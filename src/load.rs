//! Reads the configuration and its templates from disk, and accepts or refuses them as a whole.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    bounded,
    config::{
        Config, Facts, Mistake, Overrides, Places, Salvaged,
        follow::{LARGEST, read_consistent},
    },
    digest::{Digest, DigestBuilder},
    template::{TemplateSet, TemplateText},
};

/// Where the configuration comes from; the process's environment as it was at the start.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The file.
    pub path: PathBuf,
    /// What the command line and the environment say.
    pub overrides: Overrides,
    /// The environment for `${NAME}`.
    pub environment: BTreeMap<String, String>,
    /// What this process may do.
    pub facts: Facts,
}

/// A configuration that can be used.
pub struct Accepted {
    /// The configuration.
    pub config: Config,
    /// Its templates, compiled.
    pub templates: TemplateSet,
    /// The digest over file and templates.
    pub digest: Digest,
    /// The file and its template files.
    pub files: Vec<PathBuf>,
    /// Credential files that are not there yet, one sentence for each.
    pub missing: Vec<String>,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct Refusal {
    /// One line for each mistake, with place and hint.
    pub mistakes: Vec<String>,
    /// What could still be read of it.
    pub salvaged: Salvaged,
    /// The files to watch for a mended state.
    pub files: Vec<PathBuf>,
    /// A file that is there could not be read, or the machine was short of something: what mends
    /// that need not be an edit.
    pub passing: bool,
}

impl Loader {
    /// Reads and judges what is on disk now.
    pub fn load(&self) -> Result<Accepted, Box<Refusal>> {
        let text = self.read()?;
        let parsed = Config::parse(&text, &self.variable(), &self.overrides, &self.facts);
        let (config, places) =
            parsed.map_err(|mistakes| self.refuse(&text, &self.at_file(&mistakes), Vec::new()))?;
        let files: Vec<PathBuf> =
            config.templates.iter().filter_map(|template| template.file.clone()).collect();
        let (text, contents) = self.read_with(&files, text, &config, &places)?;
        let templates = texts(&config, &contents);
        let mut digest = DigestBuilder::default();
        digest.part(text.as_bytes());
        for template in &templates {
            digest.part(template.text.as_deref().unwrap_or_default().as_bytes());
        }
        let sources = config.sources.keys().cloned().collect();
        let compiled = TemplateSet::compile(templates, &sources, &config.limits);
        let templates = compiled.map_err(|errors| {
            let passing = errors.iter().any(|error| error.passing);
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Box::new(Refusal { passing, ..*self.refuse(&text, &errors, files.clone()) })
        })?;
        let missing = self.at_file(&config.missing_files(&places));
        let files = [vec![self.path.clone()], files].concat();
        Ok(Accepted { config, templates, digest: digest.finish(), files, missing })
    }

    fn variable(&self) -> impl Fn(&str) -> Option<String> {
        |name| self.environment.get(name).cloned()
    }

    fn read(&self) -> Result<String, Box<Refusal>> {
        let bytes = bounded::read(&self.path, LARGEST).map_err(|error| {
            let name = self.path.display();
            let hint = "mount it, or name another by --config or REHUP_CONFIG";
            let what = format!("{name} cannot be read: {error}; {hint}");
            self.unreadable("", what, &error, Vec::new())
        })?;
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.split(|byte| *byte == b'\n').count();
            let mistake = Mistake::at(line, "", "this is no text: it has bytes that are not UTF-8");
            self.refuse("", &self.at_file(&[mistake]), Vec::new())
        })
    }

    /// Reads the file once more together with its templates, so that all are of one mount's state.
    fn read_with(
        &self,
        files: &[PathBuf],
        text: String,
        config: &Config,
        places: &Places,
    ) -> Result<(String, BTreeMap<PathBuf, String>), Box<Refusal>> {
        if files.is_empty() {
            return Ok((text, BTreeMap::new()));
        }
        let missing: Vec<_> = files.iter().filter(|file| !file.is_file()).collect();
        if !missing.is_empty() {
            let mistakes: Vec<_> =
                missing.iter().map(|file| unread(file, config, places)).collect();
            return Err(self.refuse(&text, &self.at_file(&mistakes), files.to_vec()));
        }
        let all = [vec![self.path.clone()], files.to_vec()].concat();
        let mut contents = read_consistent(&all).map_err(|error| {
            let shut = config.confine && error.kind() == std::io::ErrorKind::PermissionDenied;
            let hint = if shut { "; under `confine`, another folder needs a restart" } else { "" };
            let what = format!("templates cannot be read: {error}{hint}");
            self.unreadable(&text, what, &error, files.to_vec())
        })?;
        let again = contents.remove(&self.path).unwrap_or_default();
        if again == text {
            return Ok((text, contents));
        }
        // Swapped between the two reads: the next hint of the watch is on its way.
        Err(self.refuse(
            &again,
            &["the configuration is just being changed".into()],
            files.to_vec(),
        ))
    }

    /// Mistakes as lines, with the file's name in front.
    fn at_file(&self, mistakes: &[Mistake]) -> Vec<String> {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        mistakes.iter().map(|mistake| format!("{name}:{mistake}")).collect()
    }

    #[expect(clippy::unnecessary_box_returns, reason = "it is returned as an error, which is big")]
    fn refuse(&self, text: &str, mistakes: &[String], files: Vec<PathBuf>) -> Box<Refusal> {
        Box::new(Refusal {
            mistakes: mistakes.to_vec(),
            salvaged: Salvaged::from(text, &self.variable(), &self.overrides),
            files: [vec![self.path.clone()], files].concat(),
            passing: false,
        })
    }

    #[expect(clippy::unnecessary_box_returns, reason = "as `refuse`, whose answer it is")]
    fn unreadable(
        &self,
        text: &str,
        what: String,
        error: &std::io::Error,
        files: Vec<PathBuf>,
    ) -> Box<Refusal> {
        let mut refusal = self.refuse(text, &[what], files);
        refusal.passing = error.kind() != std::io::ErrorKind::NotFound;
        refusal
    }
}

fn unread(file: &Path, config: &Config, places: &Places) -> Mistake {
    let what = match file.try_exists() {
        Ok(false) => "does not exist; mount it, or mend the path",
        Ok(true) => "is no file",
        Err(_) => "cannot be reached by this user; see the modes of its folders",
    };
    let index = config.templates.iter().position(|it| it.file.as_deref() == Some(file));
    let at = format!("templates[{}].file", index.unwrap_or_default());
    places.mistake(&at, format!("{} {what}", file.display()))
}

/// Each template with its text.
fn texts(config: &Config, contents: &BTreeMap<PathBuf, String>) -> Vec<TemplateText> {
    let text = |template: &crate::config::shape::Template| {
        let file = template.file.as_ref().and_then(|file| contents.get(file));
        file.or(template.inline.as_ref()).map(|text| Arc::from(text.as_str()))
    };
    let templates = config.templates.iter();
    templates.map(|it| TemplateText { settings: it.clone(), text: text(it) }).collect()
}
