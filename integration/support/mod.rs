//! The harness: real servers and processes on ports that the system picks, all killed when a test
//! ends, however it ends.

pub mod app;
pub mod endpoint;
pub mod http;
pub mod certificates;
pub mod connections;
pub mod etcd;
pub mod nginx;
pub mod patience;
pub mod process;
pub mod prometheus;
pub mod target;
