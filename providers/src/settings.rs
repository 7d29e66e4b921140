//! What a source can be set to: the configuration's shape below `sources.N.<provider>`.
//!
//! A kind that was left out at build time still parses and says so when it is opened.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Provider;

/// The settings of one source; the key names the provider.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Settings {
    /// Keys below a prefix of Consul's KV store.
    Consul(ConsulSettings),
    /// Keys below a prefix of etcd.
    Etcd(EtcdSettings),
    /// Files below a folder, one file, or a mounted ConfigMap or Secret.
    Files(FilesSettings),
}

/// A provider that was left out when this binary was built.
#[derive(Debug, thiserror::Error)]
#[error("built without the `{0}` provider; use a binary with that feature")]
pub struct NotBuilt(&'static str);

impl Settings {
    /// The provider's name, as in the configuration.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Consul(_) => "consul",
            Self::Etcd(_) => "etcd",
            Self::Files(_) => "files",
        }
    }

    /// Whether following it is a burden for others: a store that many ask.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Files(_))
    }

    /// The provider, ready to be followed. Nothing is contacted or read before it is.
    pub fn open(&self) -> Result<Box<dyn Provider>, NotBuilt> {
        match self {
            #[cfg(feature = "consul")]
            Self::Consul(settings) => Ok(Box::new(crate::consul::Consul::new(settings.clone()))),
            #[cfg(feature = "etcd")]
            Self::Etcd(settings) => Ok(Box::new(crate::etcd::Etcd::new(settings.clone()))),
            #[cfg(feature = "files")]
            Self::Files(settings) => Ok(Box::new(crate::files::Files::new(settings.clone()))),
            #[cfg(not(feature = "consul"))]
            Self::Consul(_) => Err(NotBuilt("consul")),
            #[cfg(not(feature = "etcd"))]
            Self::Etcd(_) => Err(NotBuilt("etcd")),
            #[cfg(not(feature = "files"))]
            Self::Files(_) => Err(NotBuilt("files")),
        }
    }
}

/// Keys below a prefix of Consul's KV store.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsulSettings {
    /// The agent's or server's URL, `http` or `https`.
    #[schemars(extend("format" = "http-url"))]
    pub address: String,
    /// Taken byte for byte and removed from each key.
    pub prefix: String,
    /// The ACL token's file, read anew for each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Another datacenter than the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// Which servers may answer.
    #[serde(default)]
    pub consistency: Consistency,
    /// The longest blocking wait asked for; the server adds up to a sixteenth.
    #[serde(default = "default_wait", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub wait: Duration,
    /// Certificates for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// The largest content, counted after decompression: keys and values.
    #[serde(default = "default_max_bytes", with = "size")]
    #[schemars(with = "SizeShape", extend("format" = "size"))]
    pub max_bytes: u64,
}

/// Which of Consul's servers may answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// The leader, within its lease.
    #[default]
    Default,
    /// Any server; proofs are asked of the leader all the same.
    Stale,
    /// The leader, after asking the other servers.
    Consistent,
}

impl Consistency {
    /// The mode in the words of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Stale => "stale",
            Self::Consistent => "consistent",
        }
    }
}

/// Keys below a prefix of etcd.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EtcdSettings {
    /// URLs of the members, `http` or `https`; one at a time is used.
    #[schemars(length(min = 1), extend("items" = { "type": "string", "format": "http-url" }))]
    pub endpoints: Vec<String>,
    /// Taken byte for byte and removed from each key.
    pub prefix: String,
    /// The user, with `password_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password's file, read anew for each login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Certificates for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// The largest content: keys and values.
    #[serde(default = "default_max_bytes", with = "size")]
    #[schemars(with = "SizeShape", extend("format" = "size"))]
    pub max_bytes: u64,
}

/// Files below a folder, one file, or a mounted ConfigMap or Secret.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesSettings {
    /// A folder or a file.
    pub path: PathBuf,
    /// A full re-read at most this far apart, whatever inotify says.
    #[serde(default = "default_poll", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub poll: Duration,
    /// The largest content: keys and values.
    #[serde(default = "default_max_bytes", with = "size")]
    #[schemars(with = "SizeShape", extend("format" = "size"))]
    pub max_bytes: u64,
}

/// Certificates, read anew when they change.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The authorities to trust, PEM; without it the system's bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate, PEM, with `key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Our certificate's key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The name to expect in the server's certificate, where the URL's host is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

fn default_wait() -> Duration {
    Duration::from_secs(60)
}

fn default_poll() -> Duration {
    Duration::from_secs(30)
}

fn default_max_bytes() -> u64 {
    16 << 20
}

/// The shape of a size in the schema: a number of bytes or text with a unit.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum SizeShape {
    /// Bytes.
    Number(u64),
    /// With a unit: `16MiB`.
    Text(String),
}

/// Durations as people write them: `200ms`, `5m`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Reads `200ms`, `2s`, `5m`, `1h 30m`.
    pub fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text)
            .map_err(|_| format!("`{text}` is no duration; write 200ms, 2s or 5m"))
    }

    /// For `serde(with)`.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(d)?).map_err(D::Error::custom)
    }

    /// For `serde(with)`.
    pub fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&humantime::format_duration(*value))
    }
}

/// Sizes as people write them: `16MiB`.
pub mod size {
    use serde::{Deserializer, Serializer, de};

    /// Reads `16MiB`, `512KiB`, `1GiB` or a plain number of bytes.
    pub fn parse(text: &str) -> Result<u64, String> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let shift = match unit.trim() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(bad(text)),
        };
        let number: u64 = digits.parse().map_err(|_| bad(text))?;
        number.checked_mul(1 << shift).ok_or_else(|| bad(text))
    }

    fn bad(text: &str) -> String {
        format!("`{text}` is no size; write 512KiB, 16MiB or a number of bytes")
    }

    /// For `serde(with)`.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = u64;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a size such as 16MiB")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
                Ok(number)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
                parse(text).map_err(E::custom)
            }
        }
        d.deserialize_any(Visitor)
    }

    /// For `serde(with)`.
    pub fn serialize<S: Serializer>(value: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(*value)
    }
}

#[cfg(test)]
mod properties;
