//! The configuration: read, checked as a whole, and typed.
//!
//! Everything after [`Config`] trusts it; nothing after it reads the environment.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use providers::{Settings, settings::TlsSettings};

use crate::{confine::Reach, publish::VolumeOptions};

pub mod follow;
mod format;
pub(crate) mod mistake;
mod rules;
pub mod shape;
pub mod source;
mod tree;
mod walk;

#[cfg(test)]
mod tests;

pub use mistake::Mistake;
pub use rules::Facts;
pub use shape::Config;
use shape::Layout;

/// What the command line and the environment say beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--output`, `REHUP_OUTPUT`.
    pub output: Option<PathBuf>,
    /// `--listen`, `REHUP_LISTEN`.
    pub listen: Option<SocketAddr>,
}

/// What could still be read of a refused file.
#[derive(Clone, Debug, Default)]
pub struct Salvaged {
    output: Option<PathBuf>,
    layout: Option<Layout>,
    listen: Option<SocketAddr>,
}

/// The JSON Schema of the file.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    schema["title"] = "Rehup's configuration".into();
    schema
}

impl Config {
    /// Reads and judges a file; every mistake is reported at once.
    pub fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
        facts: &Facts,
    ) -> Result<(Self, Places), Vec<Mistake>> {
        let mut tree = tree::parse(text).map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        tree.expand(environment, "", &mut mistakes);
        let walked = walk::walk(&tree, &schema());
        mistakes.extend(walked.mistakes);
        mistakes.extend(source::without_one_provider(&tree));
        let places = Places(walked.lines);
        let config = walked.right.map(serde_json::from_value::<Self>);
        let config = match config {
            Some(Ok(config)) => Some(config),
            Some(Err(error)) if mistakes.is_empty() => {
                mistakes.push(Mistake::at(1, "", error.to_string()));
                None
            }
            _ => None,
        };
        let Some(mut config) = config else { return Err(sorted(mistakes)) };
        mistakes.extend(rules::judge(&config, facts, &places));
        mistakes.extend(config.merge(overrides, &places));
        if mistakes.is_empty() { Ok((config, places)) } else { Err(sorted(mistakes)) }
    }

    /// Takes over what the command line says; a file that says otherwise is wrong.
    fn merge(&mut self, overrides: &Overrides, places: &Places) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        match (&self.output.path, &overrides.output) {
            (Some(own), Some(other)) if own != other => mistakes.push(places.mistake(
                "output.path",
                format!("--output or REHUP_OUTPUT says {}; drop one", other.display()),
            )),
            (None, None) => mistakes.push(places.mistake(
                "output.path",
                "there is no volume to write; set it here, by --output or by REHUP_OUTPUT",
            )),
            _ => {}
        }
        match (self.admin.listen, overrides.listen) {
            (Some(own), Some(other)) if own != other => mistakes.push(places.mistake(
                "admin.listen",
                format!("--listen or REHUP_LISTEN says {other}; drop one"),
            )),
            _ => {}
        }
        if let Some(path) = &overrides.output {
            self.output.path = Some(path.clone());
        }
        self.admin.listen = overrides.listen.or(self.admin.listen);
        mistakes
    }

    /// How the volume is to be opened and kept.
    pub fn volume(&self) -> VolumeOptions {
        let output = &self.output;
        VolumeOptions {
            path: output.path.clone().expect("an accepted configuration has a volume"),
            layout: output.layout,
            keep: output.keep,
            grace: output.grace,
        }
    }

    /// Where the admin endpoint listens.
    pub fn listen(&self) -> SocketAddr {
        self.admin.listen.unwrap_or(DEFAULT_LISTEN)
    }

    /// What a live edit to `new` cannot change, one sentence for each.
    pub fn needs_restart(&self, new: &Self) -> Vec<String> {
        let (old_volume, new_volume) = (self.volume(), new.volume());
        let fixed = [
            ("output.path", old_volume.path != new_volume.path),
            ("output.layout", old_volume.layout != new_volume.layout),
            ("admin.listen", self.listen() != new.listen()),
            ("confine", self.confine != new.confine),
        ];
        let fixed = fixed.iter().filter(|(_, differs)| *differs);
        let mut sentences: Vec<_> =
            fixed.map(|(key, _)| format!("{key}: a change needs a restart")).collect();
        if self.confine {
            let reach = self.reach(&[]);
            let outside = new.paths().into_iter().filter(|path| !reach.covers(path));
            sentences.extend(outside.map(|path| {
                format!(
                    "{} is outside what `confine` lets us read: it needs a restart",
                    path.display()
                )
            }));
        }
        sentences
    }

    /// What a confined process may use; `files` are the configuration file and its templates.
    pub fn reach(&self, files: &[PathBuf]) -> Reach {
        let folder = |path: &PathBuf| path.parent().map(Path::to_owned);
        let mut read: Vec<PathBuf> = files.iter().filter_map(folder).collect();
        read.extend(self.paths().iter().filter_map(folder));
        for source in self.sources.values() {
            if let Settings::Files(files) = &source.provider {
                read.push(files.path.clone());
            }
        }
        read.sort();
        read.dedup();
        let processes = self.targets.iter().any(|target| target.process.is_some());
        Reach { read, write: self.volume().path, processes }
    }

    /// Every file or folder that the configuration names for reading.
    fn paths(&self) -> Vec<PathBuf> {
        let templates = self.templates.iter().filter_map(|template| template.file.clone());
        let pids =
            self.targets.iter().filter_map(|target| target.process.as_ref()?.pid_file.clone());
        let folders = self.sources.values().filter_map(|source| match &source.provider {
            Settings::Files(files) => Some(files.path.clone()),
            _ => None,
        });
        let credentials = self.credentials().into_iter().map(|(_, path)| path);
        templates.chain(pids).chain(folders).chain(credentials).collect()
    }

    /// Credential and certificate files that are not there, one sentence for each. They may come
    /// later, so this is no refusal.
    pub fn missing_files(&self, places: &Places) -> Vec<Mistake> {
        let missing = self.credentials().into_iter().filter(|(_, path)| !path.exists());
        missing
            .map(|(at, path)| {
                let what = format!("{} does not exist; mount it, or mend the path", path.display());
                places.mistake(&at, what)
            })
            .collect()
    }

    /// Every credential and certificate file, with its key path.
    fn credentials(&self) -> Vec<(String, PathBuf)> {
        let mut found: Vec<(String, Option<&PathBuf>)> = Vec::new();
        for (name, source) in &self.sources {
            let at = format!("sources.{name}.{}", source.provider.provider());
            match &source.provider {
                Settings::Consul(consul) => {
                    found.extend(certificates(&at, consul.tls.as_ref()));
                    found.push((format!("{at}.token_file"), consul.token_file.as_ref()));
                }
                Settings::Etcd(etcd) => {
                    found.extend(certificates(&at, etcd.tls.as_ref()));
                    found.push((format!("{at}.password_file"), etcd.password_file.as_ref()));
                }
                Settings::Files(_) => {}
            }
        }
        for (index, target) in self.targets.iter().enumerate() {
            let Some(http) = &target.http else { continue };
            let at = format!("targets[{index}].http");
            found.extend(certificates(&at, http.tls.as_ref()));
            found.push((format!("{at}.bearer_file"), http.bearer_file.as_ref()));
            let password = http.basic.as_ref().map(|basic| &basic.password_file);
            found.push((format!("{at}.basic.password_file"), password));
        }
        found.push(("admin.token_file".to_owned(), self.admin.token_file.as_ref()));
        found.into_iter().filter_map(|(at, path)| Some((at, path?.clone()))).collect()
    }
}

fn certificates<'a>(at: &str, tls: Option<&'a TlsSettings>) -> Vec<(String, Option<&'a PathBuf>)> {
    let Some(tls) = tls else { return Vec::new() };
    vec![
        (format!("{at}.tls.ca_file"), tls.ca_file.as_ref()),
        (format!("{at}.tls.cert_file"), tls.cert_file.as_ref()),
        (format!("{at}.tls.key_file"), tls.key_file.as_ref()),
    ]
}

/// `0.0.0.0:9533`: a probe calls the pod's address, not the loopback.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9533);

/// The line of each key path of a file.
#[derive(Clone, Debug, Default)]
pub struct Places(std::collections::BTreeMap<String, usize>);

impl Places {
    /// A mistake at a path, or at the nearest one above it that the file has.
    pub fn mistake(&self, path: &str, what: impl Into<String>) -> Mistake {
        let mut above = path;
        while !self.0.contains_key(above) {
            above = above.rfind(['.', '[']).map_or("", |cut| &above[..cut]);
            if above.is_empty() {
                break;
            }
        }
        Mistake::at(self.0.get(above).copied().unwrap_or(1), path, what)
    }
}

fn sorted(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort();
    mistakes.dedup();
    mistakes
}

impl Salvaged {
    /// What a refused file still says of volume and admin endpoint, with the overrides on top.
    pub fn from(text: &str, overrides: &Overrides) -> Self {
        let tree = tree::parse(text).ok();
        let read = |map: &str, key: &str| {
            let node = tree.as_ref()?.get(map)?.get(key)?;
            match &node.value {
                tree::Value::Text(text) => Some(text.clone()),
                _ => None,
            }
        };
        let layout = match read("output", "layout").as_deref() {
            Some("files") => Some(Layout::Files),
            Some("set") => Some(Layout::Set),
            _ => None,
        };
        let listen = || read("admin", "listen").and_then(|text| text.parse().ok());
        Self {
            output: overrides.output.clone().or_else(|| read("output", "path").map(PathBuf::from)),
            layout,
            listen: overrides.listen.or_else(listen),
        }
    }

    /// The volume, if its path is known. Where the layout is not, the volume shows it.
    pub fn volume(&self) -> Option<VolumeOptions> {
        let defaults = shape::Output::default();
        let path = self.output.clone()?;
        let found = || if path.join("..data").is_symlink() { Layout::Set } else { Layout::Files };
        Some(VolumeOptions {
            layout: self.layout.unwrap_or_else(found),
            path,
            keep: defaults.keep,
            grace: defaults.grace,
        })
    }

    /// Where the admin endpoint listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(DEFAULT_LISTEN)
    }
}
