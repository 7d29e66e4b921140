//! Latency and memory of the release binary beside real stores: `make bench`.
//!
//! For each store: from the store's acknowledgement of a write to the flip, from the flip to the
//! signal's arrival here, and resident memory with one key and with many. Prints distributions;
//! asserts nothing, because machines are noisy.

#![expect(clippy::disallowed_methods, reason = "a benchmark starts processes and polls")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measured")]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the harness is shared with the tests"
)]

mod consul;
mod etcd;
mod files;
mod support;

#[path = "bench/latency.rs"]
mod latency;
#[path = "bench/memory.rs"]
mod memory;

use consul::ConsulBench;
use etcd::EtcdBench;
use files::folder::Mounted;
use support::etcd::Version;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        latency::heading();
        latency::measure("etcd", EtcdBench::start(Version::Current).await).await;
        latency::measure("etcd 3.4", EtcdBench::start(Version::Old).await).await;
        latency::measure("consul", ConsulBench::start().await).await;
        latency::measure("files", Mounted::new()).await;
        memory::heading();
        for keys in [1, 10_000] {
            memory::measure("etcd", EtcdBench::start(Version::Current).await, keys).await;
            memory::measure("consul", ConsulBench::start().await, keys).await;
            memory::measure("files", Mounted::new(), keys).await;
        }
    });
}
