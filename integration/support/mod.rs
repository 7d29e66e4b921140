//! The harness: real servers and processes on ports that the system picks, all killed when a test
//! ends, however it ends.

pub mod certificates;
pub mod connections;
pub mod consul;
pub mod patience;
pub mod process;
