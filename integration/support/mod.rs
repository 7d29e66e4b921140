//! The harness: real servers and processes on ports that the system picks, all killed when a test
//! ends, however it ends.

pub mod app;
pub mod canary;
pub mod certificates;
pub mod cluster;
pub mod compiled;
pub mod connections;
pub mod consul;
pub mod endpoint;
pub mod etcd;
pub mod fake_etcd;
pub mod fuse;
pub mod growth;
pub mod http;
pub mod limits;
pub mod namespace;
pub mod nginx;
pub mod owed;
pub mod patience;
pub mod process;
pub mod processes;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod recipe;
pub mod stack;
pub mod store;
pub mod target;
