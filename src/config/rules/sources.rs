//! Rules of sources.

use std::time::Duration;

use providers::Settings;

use super::Rules;
use crate::config::source::Source;

/// Words of the template language: a source with such a name could not be reached.
const WORDS: [&str; 14] = [
    "and", "else", "false", "for", "if", "in", "is", "loop", "none", "not", "or", "self", "super",
    "true",
];

/// Consul's own limit.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

impl Rules<'_> {
    pub(super) fn source(&mut self, name: &str, source: &Source) {
        let path = format!("sources.{name}");
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !begins || !name.chars().all(word) {
            let what = "a source's name is made of a-z, 0-9 and _ and begins with no digit, for templates use it";
            self.mistake(&path, what);
        }
        if WORDS.contains(&name) {
            let what = format!("`{name}` is a word of the template language; take another name");
            self.mistake(&path, what);
        }
        if source.resync.is_zero() {
            self.mistake(&format!("{path}.resync"), "the full re-read is never off; write 5m");
        }
        let at = format!("{path}.{}", source.provider.provider());
        let most = match &source.provider {
            Settings::Consul(consul) => {
                self.tls(&at, consul.tls.as_ref(), [&consul.address]);
                if consul.wait < Duration::from_secs(1) || consul.wait > LONGEST_WAIT {
                    self.mistake(&format!("{at}.wait"), "Consul waits between 1s and 10m");
                }
                if consul.prefix.starts_with('/') {
                    self.mistake(&format!("{at}.prefix"), "Consul's keys have no `/` in front");
                }
                consul.max_bytes
            }
            Settings::Etcd(etcd) => {
                self.tls(&at, etcd.tls.as_ref(), &etcd.endpoints);
                let secure = |url: &String| url.starts_with("https://");
                let path = format!("{at}.endpoints");
                let known = !self.lost.iter().any(|lost| lost.starts_with(&path));
                let count = etcd.endpoints.iter().filter(|url| secure(url)).count();
                if known && count > 0 && count < etcd.endpoints.len() {
                    let what = "some are https and some are not; all members are asked alike";
                    self.mistake(&path, what);
                }
                let pair = [
                    ("username", etcd.username.is_some()),
                    ("password_file", etcd.password_file.is_some()),
                ];
                self.together(&at, pair);
                etcd.max_bytes
            }
            Settings::Files(files) => {
                if files.poll.is_zero() {
                    self.mistake(&format!("{at}.poll"), "the slow re-read is never off; write 30s");
                }
                files.max_bytes
            }
        };
        if most == 0 {
            self.mistake(&format!("{at}.max_bytes"), "with 0 nothing could be read; write 16MiB");
        }
    }
}
