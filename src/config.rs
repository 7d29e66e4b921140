//! The configuration: read, checked as a whole, and typed.
//!
//! Everything after [`Config`] trusts it; nothing after it reads the environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::publish::VolumeOptions;

pub mod follow;
mod format;
mod kind;
pub(crate) mod mistake;
mod paths;
mod rules;
mod salvage;
mod schema;
pub mod shape;
pub mod source;
mod tree;
mod walk;
mod yaml;

#[cfg(test)]
mod tests;

pub use mistake::Mistake;
pub use rules::Facts;
pub use salvage::Salvaged;
pub use schema::schema;
pub use shape::Config;

/// What the command line and the environment say beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--output`, `REHUP_OUTPUT`.
    pub output: Option<PathBuf>,
    /// `--listen`, `REHUP_LISTEN`.
    pub listen: Option<SocketAddr>,
}

impl Config {
    /// Reads and judges a file; every mistake is reported at once.
    pub fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
        facts: &Facts,
    ) -> Result<(Self, Places), Vec<Mistake>> {
        let mut tree = yaml::parse(text).map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        tree.expand(environment, "", &mut mistakes);
        let mut walked = walk::walk(&tree, &schema::with_formats(), text);
        source::judge_providers(&mut walked);
        mistakes.append(&mut walked.mistakes);
        let places = Places(walked.lines);
        match serde_json::from_value::<Self>(walked.right) {
            Ok(mut config) => {
                mistakes.extend(rules::judge(&config, facts, &places, &walked.lost));
                mistakes.extend(config.merge(overrides, &places, &walked.lost));
                if mistakes.is_empty() {
                    return Ok((config, places));
                }
            }
            // What the schema let through and the types did not.
            Err(error) if mistakes.is_empty() => {
                mistakes.push(Mistake::at(1, "", error.to_string()));
            }
            Err(_) => {}
        }
        mistakes.sort();
        mistakes.dedup();
        Err(mistakes)
    }

    /// Takes over what the command line says; a file that says otherwise is wrong.
    fn merge(
        &mut self,
        overrides: &Overrides,
        places: &Places,
        lost: &BTreeSet<String>,
    ) -> Vec<Mistake> {
        let output = match (&self.output.path, &overrides.output) {
            (Some(own), Some(other)) if own != other => {
                Some(format!("--output or REHUP_OUTPUT says {}; drop one", other.display()))
            }
            (None, None) => Some(
                "there is no volume to write; set it here, by --output or by REHUP_OUTPUT".into(),
            ),
            _ => None,
        };
        let listen = match (self.admin.listen, overrides.listen) {
            (Some(own), Some(other)) if own != other => {
                Some(format!("--listen or REHUP_LISTEN says {other}; drop one"))
            }
            _ => None,
        };
        self.output.path = overrides.output.clone().or(self.output.path.take());
        self.admin.listen = overrides.listen.or(self.admin.listen);
        let found = [("output.path", output), ("admin.listen", listen)].into_iter();
        let found = found.filter(|(path, _)| !is_lost(lost, path));
        found.filter_map(|(path, what)| Some(places.mistake(path, what?))).collect()
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
}

/// `0.0.0.0:9533`: a probe calls the pod's address, not the loopback.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9533);

/// The line of each key path of a file.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<String, usize>);

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

/// Whether the value at a path, or one that it lies in, is only a stand-in: that was told already.
fn is_lost(lost: &BTreeSet<String>, path: &str) -> bool {
    let ends = path.char_indices().filter(|(_, c)| ".[".contains(*c)).map(|(at, _)| at);
    [0].into_iter().chain(ends).chain([path.len()]).any(|end| lost.contains(&path[..end]))
}
