//! Placeholder.
use crate::{Provider, Updates, settings::FilesSettings};
/// Provider.
pub struct Files { settings: FilesSettings }
impl Files {
    /// New.
    pub fn new(settings: FilesSettings) -> Self { Self { settings } }
}
impl Provider for Files {
    fn follow(&self) -> Updates { let _ = &self.settings; todo!() }
}
