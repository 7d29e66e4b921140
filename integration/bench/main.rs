//! Latency and memory of the release binary beside real stores: `make bench`.
//!
//! Measures, for each store, from the store's acknowledgement of a write to the flip, and from the
//! flip to the signal's arrival here; and resident memory with one key and with many. Prints
//! distributions; asserts nothing, because machines are noisy.

#![expect(clippy::disallowed_methods, reason = "a benchmark starts processes and polls")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![allow(dead_code, unreachable_pub, reason = "the harness is shared with the tests")]

#[path = "../support/mod.rs"]
mod support;

mod flips;
mod memory;
mod sample;
mod stores;

use stores::{Kind, Store};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // Cargo passes `--bench`; names of stores may follow.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    runtime.block_on(async {
        println!("{:<10} {:>8} {:>28} {:>28}", "store", "changes", "change → visible ms", "visible → signal ms");
        for kind in Kind::ALL {
            if wanted.is_empty() || wanted.iter().any(|name| name == kind.name()) {
                sample::run(Store::start(kind).await).await;
            }
        }
        println!("\n{:<10} {:>8} {:>12}", "store", "keys", "resident MiB");
        for kind in Kind::ALL {
            if wanted.is_empty() || wanted.iter().any(|name| name == kind.name()) {
                memory::run(kind, 1).await;
                memory::run(kind, 10_000).await;
            }
        }
    });
}
