//! Every file and folder that the configuration names.

use std::path::{Path, PathBuf};

use providers::{Settings, settings::TlsSettings};

use super::{Config, Mistake, Places};
use crate::confine::Reach;

/// A path with the key path that names it.
type Named = (String, PathBuf);

impl Config {
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

    /// Every file or folder that is read.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let written = "output.path";
        let named = self.named_paths().into_iter();
        named.filter(|(at, _)| at != written).map(|(_, path)| path).collect()
    }

    /// Every path, with its key path.
    pub(super) fn named_paths(&self) -> Vec<Named> {
        let mut found = self.credentials();
        let mut add = |at: String, path: Option<&PathBuf>| {
            found.extend(path.map(|path| (at, path.clone())));
        };
        add("output.path".to_owned(), self.output.path.as_ref());
        for (name, source) in &self.sources {
            if let Settings::Files(files) = &source.provider {
                add(format!("sources.{name}.files.path"), Some(&files.path));
            }
        }
        for (index, template) in self.templates.iter().enumerate() {
            add(format!("templates[{index}].file"), template.file.as_ref());
        }
        for (index, target) in self.targets.iter().enumerate() {
            let pid_file = target.process.as_ref().and_then(|process| process.pid_file.as_ref());
            add(format!("targets[{index}].process.pid_file"), pid_file);
        }
        found
    }

    /// Credential and certificate files that cannot be used now, one mistake for each. They may
    /// come later, so this is no refusal.
    pub fn missing_files(&self, places: &Places) -> Vec<Mistake> {
        let mistake = |(at, path): Named| Some(places.mistake(&at, unusable(&path)?));
        self.credentials().into_iter().filter_map(mistake).collect()
    }

    /// Every credential and certificate file, with its key path.
    fn credentials(&self) -> Vec<Named> {
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
            for (page, tls) in target.pages() {
                found.extend(certificates(&format!("targets[{index}].{page}"), tls));
            }
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

/// Why a credential file cannot be used, and what to do.
fn unusable(path: &Path) -> Option<String> {
    let name = path.display();
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(format!("{name} does not exist; mount it, or mend the path"));
        }
        Err(error) => return Some(format!("{name} cannot be reached: {error}")),
    };
    // To open a FIFO would wait for its writer.
    if !found.is_file() {
        return Some(format!("{name} is no file"));
    }
    if found.len() == 0 {
        return Some(format!("{name} is empty; write the credential into it"));
    }
    let error = std::fs::File::open(path).err()?;
    Some(format!("{name} cannot be read: {error}; see its owner and mode, or set fsGroup"))
}

fn certificates<'a>(at: &str, tls: Option<&'a TlsSettings>) -> Vec<(String, Option<&'a PathBuf>)> {
    let Some(tls) = tls else { return Vec::new() };
    vec![
        (format!("{at}.tls.ca_file"), tls.ca_file.as_ref()),
        (format!("{at}.tls.cert_file"), tls.cert_file.as_ref()),
        (format!("{at}.tls.key_file"), tls.key_file.as_ref()),
    ]
}
