//! One source of the configuration: a provider's settings and what the core adds.

use std::{borrow::Cow, time::Duration};

use providers::settings::duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value, json};

use super::{mistake::Mistake, walk::Walked};

/// One configured use of a provider: exactly one provider key, and what the core adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// The provider's own settings.
    pub provider: providers::Settings,
    /// Keys without which nothing is published.
    pub required: Vec<String>,
    /// The full re-read, jittered.
    #[serde(with = "duration")]
    pub resync: Duration,
}

/// What the core adds to a provider's settings.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Common {
    /// Keys without which nothing is published.
    required: Vec<String>,
    /// The full re-read, jittered; never off.
    #[serde(with = "duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    resync: Duration,
}

impl Default for Common {
    fn default() -> Self {
        Self { required: Vec::new(), resync: Duration::from_secs(300) }
    }
}

/// What the core adds to a provider's settings, by name.
const COMMON: [&str; 2] = ["required", "resync"];

/// Judges that each source of a walked file names exactly one provider. One that does not gets
/// a stand-in, so that the rest can be judged.
pub(super) fn judge_providers(walked: &mut Walked) {
    let Some(sources) = walked.right.get_mut("sources").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, source) in sources {
        let path = format!("sources.{name}");
        let Some(source) = source.as_object_mut() else { continue };
        let own = source.keys().filter(|key| !COMMON.contains(&key.as_str())).count();
        if own == 1 {
            continue;
        }
        let line = walked.lines.get(&path).copied().unwrap_or(1);
        // A source of a wrong type was told already.
        if walked.lost.insert(path.clone()) {
            let what = match own {
                0 => "it names no provider; write one of consul, etcd, files",
                _ => "only one of consul, etcd, files can be there",
            };
            walked.mistakes.push(Mistake::at(line, path, what));
        }
        source.retain(|key, _| COMMON.contains(&key.as_str()));
        source.insert("files".to_owned(), json!({ "path": "/lost" }));
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut provider = Map::<String, Value>::deserialize(deserializer)?;
        let mut common = Map::new();
        for key in COMMON {
            common.extend(provider.remove_entry(key));
        }
        let common: Common = serde_json::from_value(common.into()).map_err(D::Error::custom)?;
        let provider = serde_json::from_value(provider.into()).map_err(D::Error::custom)?;
        Ok(Self { provider, required: common.required, resync: common.resync })
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    /// The provider's keys and the core's side by side, so that a wrong one gets a good hint; that
    /// there is exactly one provider is a rule.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        let providers = generator.root_schema_for::<providers::Settings>();
        let variants = providers.get("oneOf").and_then(Value::as_array);
        for variant in variants.into_iter().flatten() {
            let own = variant.get("properties").and_then(Value::as_object);
            properties.extend(own.into_iter().flatten().map(|(key, it)| (key.clone(), it.clone())));
        }
        // Puts the providers' definitions into the schema.
        generator.subschema_for::<providers::Settings>();
        let common = generator.root_schema_for::<Common>();
        let own = common.get("properties").and_then(Value::as_object);
        properties.extend(own.into_iter().flatten().map(|(key, it)| (key.clone(), it.clone())));
        json_schema!({
            "type": "object",
            "description": "One configured use of a provider: exactly one provider key.",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}
