//! stub
use std::path::PathBuf;
#[allow(missing_docs)]
pub struct ConfigWatch;
#[allow(missing_docs, unused)]
impl ConfigWatch { pub fn new(p: Vec<PathBuf>) -> Self { Self } pub fn set_paths(&mut self, p: Vec<PathBuf>) {} pub async fn changed(&mut self) {} }
