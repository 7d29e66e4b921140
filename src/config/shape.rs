//! The shape of the configuration file: keys, types and defaults, and nothing else.
//!
//! The JSON Schema is made from these types, and a file is checked against it before they are
//! filled; what no schema can say is checked in `config::rules`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use providers::settings::{SizeShape, TlsSettings, duration, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::Source;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to follow, by the name that templates use.
    pub sources: BTreeMap<String, Source>,
    /// What to render.
    #[schemars(length(min = 1))]
    pub templates: Vec<Template>,
    /// Bounds of a rendering.
    #[serde(default)]
    pub limits: Limits,
    /// The shared volume.
    #[serde(default)]
    pub output: Output,
    /// How long a burst is coalesced.
    #[serde(default)]
    pub settle: Settle,
    /// When a loss of keys is not believed.
    #[serde(default)]
    pub guard: Guard,
    /// What must say yes to a staged generation before it is visible.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Whom to tell.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Probes, metrics and status.
    #[serde(default)]
    pub admin: Admin,
    /// Landlock where the kernel has it.
    #[serde(default)]
    pub confine: bool,
}

/// One template: exactly one of `file`, `inline` and `copy`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// A template file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The template itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// Bytes untouched, one file for each key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copy>,
    /// The file below `output.path`; for `copy` with a wildcard, a folder.
    pub to: String,
    /// Octal permission bits, exact whatever the umask.
    #[serde(default = "Mode::plain")]
    #[schemars(with = "String", extend("format" = "mode"))]
    pub mode: Mode,
    /// Numeric user id; only as root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// Numeric group id; one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// What the output must parse as, or nothing is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Other delimiters, for outputs that are full of `{{`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiters: Option<Delimiters>,
}

/// Keys whose bytes become files.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The source's name.
    pub source: String,
    /// One key, or a glob over keys.
    #[schemars(extend("format" = "glob"))]
    pub keys: String,
}

/// Octal permission bits, written as a string: `"0640"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(pub u32);

impl Mode {
    fn plain() -> Self {
        Self(0o644)
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777 && (3..=4).contains(&text.len()))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no mode; write octal digits in quotes, \"0640\""))
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}

/// What an output must parse as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

/// Pairs of delimiters, each `[open, close]`; what is left out stays Jinja's own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delimiters {
    /// Instead of `{%` and `%}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<[String; 2]>,
    /// Instead of `{{` and `}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<[String; 2]>,
    /// Instead of `{#` and `#}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<[String; 2]>,
}

/// Bounds of a rendering.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// What each template may spend: one for an instruction, one for 64 bytes of text or two items
    /// of a list.
    pub fuel: u64,
    /// The largest file.
    #[serde(with = "size")]
    #[schemars(with = "SizeShape", extend("format" = "size"))]
    pub file: u64,
    /// The largest generation.
    #[serde(with = "size")]
    #[schemars(with = "SizeShape", extend("format" = "size"))]
    pub generation: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fuel: 1_000_000, file: 8 << 20, generation: 64 << 20 }
    }
}

/// The shared volume.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// The folder; also by `--output` and `REHUP_OUTPUT`.
    pub path: Option<PathBuf>,
    /// How files become visible.
    pub layout: Layout,
    /// Previous generations to keep.
    #[schemars(range(max = 10))]
    pub keep: usize,
    /// How long each is kept at least.
    #[serde(with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub grace: Duration,
    /// Publish again what somebody else changed.
    pub self_heal: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            path: None,
            layout: Layout::Set,
            keep: 2,
            grace: Duration::from_secs(60),
            self_heal: false,
        }
    }
}

/// How files become visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// All files flip together, as in a mounted ConfigMap.
    #[default]
    Set,
    /// One rename for each file, for programs that refuse links.
    Files,
}

/// How long a burst is coalesced; `off` turns it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum Settle {
    /// Every change is rendered at once.
    Off,
    /// After `quiet` without a change, but at most `max` after the first.
    On {
        /// The quiet time.
        quiet: Duration,
        /// The longest wait.
        max: Duration,
    },
}

/// The shape of `settle` when it is on.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Window {
    /// Rendered after this long without a change.
    #[serde(with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    quiet: Duration,
    /// Rendered at most this long after the first change.
    #[serde(with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    max: Duration,
}

impl Default for Window {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(200), max: Duration::from_secs(2) }
    }
}

impl TryFrom<serde_json::Value> for Settle {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        // YAML 1.1 reads a bare `off` as false.
        if value == "off" || value == false {
            return Ok(Self::Off);
        }
        let window: Window = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Ok(Self::On { quiet: window.quiet, max: window.max })
    }
}

impl From<Settle> for serde_json::Value {
    fn from(settle: Settle) -> Self {
        match settle {
            Settle::Off => "off".into(),
            Settle::On { quiet, max } => {
                serde_json::to_value(Window { quiet, max }).unwrap_or_default()
            }
        }
    }
}

impl JsonSchema for Settle {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Settle".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "enum": ["off", false] }, generator.subschema_for::<Window>()]
        })
    }
}

impl Default for Settle {
    fn default() -> Self {
        Self::On { quiet: Duration::from_millis(200), max: Duration::from_secs(2) }
    }
}

/// When a loss of keys is not believed at once.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// The share of keys that may go at once; counts from 10 keys on.
    #[schemars(with = "String", extend("format" = "percent"))]
    pub max_removed: Percent,
    /// An empty snapshot is treated as any other loss.
    pub allow_empty: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self { max_removed: Percent(50), allow_empty: false }
    }
}

/// A whole number of percent: `50%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(pub u8);

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.strip_suffix('%')
            .and_then(|digits| digits.parse().ok())
            .filter(|percent| *percent <= 100)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no percentage; write 50%"))
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        format!("{}%", percent.0)
    }
}

/// What must say yes to a staged generation: exactly one of `exec` and `http`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A program and its arguments; `{dir}` is the staged generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub exec: Option<Vec<String>>,
    /// A server that checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<CheckHttp>,
    /// The deadline.
    #[serde(default = "seconds::<5>", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub timeout: Duration,
}

/// A server that checks: 2xx is yes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckHttp {
    /// Where to post.
    #[schemars(extend("format" = "url"))]
    pub url: String,
    /// The output file that is the body, as in `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_file: Option<String>,
}

/// Whom to tell: exactly one of `signal` (with `process`), `http` and `exec`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name in logs, metrics and the journal.
    pub name: String,
    /// The signal's name: `SIGHUP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "signal"))]
    pub signal: Option<String>,
    /// How to find the process: all that are given must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// A reload endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// A program and its arguments; never through a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub exec: Option<Vec<String>>,
    /// Globs over `to`; default: every file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), extend("items" = { "type": "string", "format": "glob" }))]
    pub only: Option<Vec<String>>,
    /// The least time between two reloads.
    #[serde(default = "seconds::<1>", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub min_interval: Duration,
    /// A random wait up to this long before each reload.
    #[serde(default = "seconds::<0>", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub splay: Duration,
    /// What says that the process can take a reload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// How old a process must be before it is signalled, where `ready` is not set.
    #[serde(default = "seconds::<2>", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub min_uptime: Duration,
    /// The evidence that a reload worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// Attempts before a reload is settled without success.
    #[serde(default = "tries")]
    #[schemars(range(min = 1, max = 100))]
    pub tries: u32,
    /// The deadline of an `exec`.
    #[serde(default = "seconds::<10>", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub timeout: Duration,
    /// What a rejected generation leads to.
    #[serde(default)]
    pub on_reject: OnReject,
}

/// What a rejected generation leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReject {
    /// It stays and is reported.
    #[default]
    Keep,
    /// The newest confirmed one is published again.
    Rollback,
}

/// How to find a process: all that are given must match.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The program's name, as in `comm`; longer names by the command line's first word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A regular expression over the command line, its words joined by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "regex"))]
    pub cmdline: Option<String>,
    /// A file with its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<PathBuf>,
}

impl Target {
    /// The pages that are read beside the reload itself, and the certificates for each.
    pub fn pages(&self) -> impl Iterator<Item = (&'static str, Option<&TlsSettings>)> {
        let verify = self.verify.as_ref();
        let ready = self.ready.as_ref().map(|it| ("ready", it.tls.as_ref()));
        let metric = verify.and_then(|it| it.metric.as_ref());
        let json = verify.and_then(|it| it.json.as_ref());
        let status = verify.and_then(|it| it.status.as_ref());
        let metric = metric.map(|it| ("verify.metric", it.tls.as_ref()));
        let json = json.map(|it| ("verify.json", it.tls.as_ref()));
        let status = status.map(|it| ("verify.status", it.tls.as_ref()));
        [ready, metric, json, status].into_iter().flatten()
    }
}

/// What says that a process can take a reload.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// Answers 2xx when ready: asked of each process once, without one before each attempt.
    #[schemars(extend("format" = "url"))]
    pub url: String,
    /// Certificates for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// A reload endpoint.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// `http://`, `https://` or `unix:///path/to/socket:/request/path`.
    #[schemars(extend("format" = "url"))]
    pub url: String,
    /// The method.
    #[serde(default = "post")]
    pub method: String,
    /// More headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body; without it a small JSON object tells generation and changed files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The deadline of the whole call.
    #[serde(default = "seconds::<10>", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub timeout: Duration,
    /// Statuses that confirm.
    #[serde(default = "StatusRange::success")]
    #[schemars(with = "Vec<StatusShape>")]
    pub accept: Vec<StatusRange>,
    /// Statuses that say no.
    #[serde(default = "StatusRange::refusal")]
    #[schemars(with = "Vec<StatusShape>")]
    pub reject: Vec<StatusRange>,
    /// A bearer token's file, read for each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_file: Option<PathBuf>,
    /// User and password, read for each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// Certificates for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub username: String,
    /// The password's file.
    pub password_file: PathBuf,
}

/// One status or a range, both ends included: `204`, `"200-299"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "serde_json::Value", into = "String")]
pub struct StatusRange {
    /// The first status.
    pub from: u16,
    /// The last status.
    pub to: u16,
}

/// The shape of a status in the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum StatusShape {
    /// One status.
    Number(#[schemars(range(min = 100, max = 599))] u16),
    /// A range: `200-299`.
    Range(#[schemars(extend("format" = "status"))] String),
}

impl StatusRange {
    fn success() -> Vec<Self> {
        vec![Self { from: 200, to: 299 }]
    }

    fn refusal() -> Vec<Self> {
        [400, 422, 500].map(|status| Self { from: status, to: status }).to_vec()
    }

    /// Whether a status is inside.
    pub fn contains(self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }
}

impl TryFrom<serde_json::Value> for StatusRange {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        let text = match &value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (from, to) = text.split_once('-').unwrap_or((&text, &text));
        let status = |text: &str| text.trim().parse().ok().filter(|s| (100..=599).contains(s));
        match (status(from), status(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self { from, to }),
            _ => Err(format!("`{text}` is no status; write 204 or 200-299")),
        }
    }
}

impl From<StatusRange> for String {
    fn from(range: StatusRange) -> Self {
        format!("{}-{}", range.from, range.to)
    }
}

/// The evidence that a reload worked: exactly one of `metric`, `json`, `status`, `workers`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// A sample of a metrics page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<VerifyMetric>,
    /// A place in a JSON document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<VerifyJson>,
    /// A status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<VerifyStatus>,
    /// The set of the process's children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,
    /// How long evidence is waited for.
    #[serde(default = "seconds::<30>", with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub timeout: Duration,
}

/// A sample of a metrics page: exactly one of `increased`, `changed`, `equals`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyMetric {
    /// The page.
    #[schemars(extend("format" = "url"))]
    pub url: String,
    /// The metric's name.
    pub name: String,
    /// Labels that the sample must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// It is larger than before the attempt.
    #[serde(default)]
    pub increased: bool,
    /// It is another than before the attempt.
    #[serde(default)]
    pub changed: bool,
    /// It is this; evidence only where the call itself is synchronous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<f64>,
    /// Certificates for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// A place in a JSON document: exactly one of `equals`, `changed`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyJson {
    /// The document.
    #[schemars(extend("format" = "url"))]
    pub url: String,
    /// The place, as in RFC 6901: `/status/version`.
    pub pointer: String,
    /// It is this; evidence only where the call itself is synchronous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<serde_json::Value>,
    /// It is another than before the attempt.
    #[serde(default)]
    pub changed: bool,
    /// Certificates for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// A status.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyStatus {
    /// The page.
    #[schemars(extend("format" = "url"))]
    pub url: String,
    /// Statuses that confirm.
    #[serde(default = "StatusRange::success")]
    #[schemars(with = "Vec<StatusShape>")]
    pub accept: Vec<StatusRange>,
    /// Certificates for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// The set of the process's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Workers {
    /// It is another than before the attempt.
    Changed,
}

/// Probes, metrics and status.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Admin {
    /// Where to listen; also by `--listen` and `REHUP_LISTEN`.
    #[schemars(with = "String", extend("format" = "listen"))]
    pub listen: Option<SocketAddr>,
    /// The token of the operator's calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

fn seconds<const N: u64>() -> Duration {
    Duration::from_secs(N)
}

fn tries() -> u32 {
    3
}

fn post() -> String {
    "POST".to_owned()
}
