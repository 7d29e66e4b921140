//! stub
use crate::{config::shape, generation::Generation, journal::Journal};
use std::collections::BTreeSet;
#[allow(missing_docs)]
pub struct Rollback;
#[allow(missing_docs, unused)]
impl Rollback {
    pub fn new(t: &[shape::Target]) -> Self {
        Self
    }
    pub fn candidate(&self, j: &Journal, kept: &[Generation], rejecting: &str) -> Option<u64> {
        None
    }
    pub fn protected(&self, j: &Journal, kept: &[Generation]) -> BTreeSet<u64> {
        Default::default()
    }
}
