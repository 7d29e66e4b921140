//! Rehup follows configuration in Consul KV, etcd and files, renders it through templates,
//! publishes the result atomically on a shared volume and makes a process reload.
//!
//! `ARCHITECTURE.md` has the picture and the invariants; the modules stand here in the order of
//! the flow.

pub mod cli;
pub mod telemetry;
pub mod commands;
pub mod config;
pub mod load;
pub mod supervisor;
pub mod engine;
pub mod world;
pub mod tasks;
pub mod source;
pub mod inbox;
pub mod pipeline;
pub mod privacy;
pub mod flow;
pub mod view;
pub mod guard;
pub mod settle;
pub mod template;
pub mod format;
pub mod rendering;
pub mod check;

pub mod publish;
pub mod generation;
pub mod reload;
pub mod rollback;
pub mod journal;
pub mod status;
pub mod metrics;
pub mod admin;
pub mod pulse;
mod bounded;
mod failpoint;
pub mod bells;
pub mod backoff;
pub mod command;
pub mod confine;
pub mod digest;
pub mod chain;
pub mod exit;

#[cfg(test)]
mod mutation;
