//! What a refused file still says of volume and admin endpoint, so that a broken edit leaves
//! Rehup its volume and its probes.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    DEFAULT_LISTEN, Overrides,
    shape::{self, Layout},
    tree::{Node, Value},
    yaml,
};
use crate::publish::VolumeOptions;

/// What could still be read of a refused file.
#[derive(Clone, Debug, Default)]
pub struct Salvaged {
    output: Option<PathBuf>,
    layout: Option<Layout>,
    listen: Option<SocketAddr>,
}

impl Salvaged {
    /// Reads what can be read, with the overrides on top.
    pub fn from(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
    ) -> Self {
        let whole = yaml::parse(text).ok();
        let read = |section: &str, key: &str| {
            let parsed = || yaml::parse(&section_of(text, section)).ok();
            let mut tree = whole.clone().or_else(parsed)?;
            tree.expand(environment, "", &mut Vec::new());
            word(tree.get(section)?.get(key)?)
        };
        let layout = match read("output", "layout").as_deref() {
            Some("files") => Some(Layout::Files),
            Some("set") => Some(Layout::Set),
            _ => None,
        };
        let path = read("output", "path").filter(|path| !path.is_empty()).map(PathBuf::from);
        let listen = read("admin", "listen").and_then(|text| text.parse().ok());
        Self {
            output: overrides.output.clone().or(path),
            layout,
            listen: overrides.listen.or(listen),
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

fn word(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// The lines of one section of a file that is no YAML as a whole: from its name at the beginning
/// of a line to the next line that is not indented.
fn section_of(text: &str, name: &str) -> String {
    let begins = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    let mut lines = text.lines().skip_while(|line| !begins(line));
    let first = lines.next().unwrap_or_default();
    let inside = |line: &&str| line.is_empty() || line.starts_with([' ', '#', '}']);
    let section: Vec<_> = std::iter::once(first).chain(lines.take_while(inside)).collect();
    section.join("\n")
}
