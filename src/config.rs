//! The configuration: read, checked as a whole, and typed.
//!
//! Everything after `Config` trusts it; nothing after it reads the environment.

pub mod follow;
pub mod shape;
pub mod source;
#[allow(missing_docs)]
pub use shape::Config;
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct Facts;
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct Overrides;
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct Salvaged;
#[allow(missing_docs)]
impl Salvaged {
    pub fn volume(&self) -> Option<crate::publish::VolumeOptions> {
        None
    }
    pub fn listen(&self) -> std::net::SocketAddr {
        todo!()
    }
}
#[allow(missing_docs)]
pub struct Loaded;
#[allow(missing_docs)]
impl Config {
    pub fn volume(&self) -> crate::publish::VolumeOptions {
        todo!()
    }
    pub fn listen(&self) -> std::net::SocketAddr {
        todo!()
    }
    pub fn needs_restart(&self, _o: &Self) -> Vec<String> {
        vec![]
    }
}
