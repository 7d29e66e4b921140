//! Placeholder.
use crate::{Provider, Updates, settings::ConsulSettings};
/// Provider.
pub struct Consul { settings: ConsulSettings }
impl Consul {
    /// New.
    pub fn new(settings: ConsulSettings) -> Self { Self { settings } }
}
impl Provider for Consul {
    fn follow(&self) -> Updates { let _ = &self.settings; todo!() }
}
