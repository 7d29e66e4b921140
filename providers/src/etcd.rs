//! Placeholder.
use crate::{Provider, Updates, settings::EtcdSettings};
/// Provider.
pub struct Etcd { settings: EtcdSettings }
impl Etcd {
    /// New.
    pub fn new(settings: EtcdSettings) -> Self { Self { settings } }
}
impl Provider for Etcd {
    fn follow(&self) -> Updates { let _ = &self.settings; todo!() }
}
