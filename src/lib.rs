//! Rehup follows configuration in Consul KV, etcd and files, renders it through templates,
//! publishes the result atomically on a shared volume and makes a process reload.
//!
//! `ARCHITECTURE.md` has the picture and the invariants; the modules stand here in the order of
//! the flow.

pub mod config;
pub mod digest;
pub mod view;
pub mod template;
pub mod format;
pub mod rendering;
pub mod generation;
pub mod journal;
pub mod publish;
pub mod reload;
pub mod status;
