//! A store as a configuration names it.

use providers::{Settings, conformance::Bench};

use super::canary;

/// A real store with a place to follow.
pub trait Store: Bench {
    /// The settings of a source that follows it.
    fn settings(&self) -> Settings;

    /// Writes one key, its value with the mark of a secret.
    async fn write(&mut self, key: &str, value: &str) {
        self.put(key, canary::hide(value).as_bytes()).await;
    }

    /// The same as the configuration has it.
    fn source(&self) -> String {
        serde_json::to_string(&self.settings()).expect("settings are JSON, and JSON is YAML")
    }
}
