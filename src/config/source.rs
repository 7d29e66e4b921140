//! One source of the configuration: a provider's settings and what the core adds.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One configured use of a provider: exactly one provider key, and what the core adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// The provider's own settings.
    pub provider: providers::Settings,
    /// Keys without which nothing is published.
    pub required: Vec<String>,
    /// The full re-read, jittered.
    pub resync: Duration,
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: serde::Deserializer<'de>>(_d: D) -> Result<Self, D::Error> {
        todo!("split `required` and `resync` from the provider's key")
    }
}

impl JsonSchema for Source {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        todo!("the provider settings' schema with `required` and `resync` beside")
    }
}
