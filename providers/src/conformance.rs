//! The behaviour suite that every provider passes against its real server.
//!
//! Owns what the contract means in observable terms: one function for each behaviour, each on a
//! fresh [`Bench`]. Must not know which store it runs against; what a store cannot do, its bench
//! says.
//!
//! A test module makes one test of each behaviour:
//!
//! ```text
//! providers::conformance!(EtcdBench::start());
//! ```

mod behaviour;
mod follower;

use std::time::Duration;

use crate::Provider;

pub use behaviour::{
    changes_arrive_one_by_one_or_newer, content_after_a_restart_is_the_newest,
    deleted_keys_are_gone, dropping_the_stream_closes_it, errors_are_items_and_never_an_end,
    first_snapshot_is_complete, idle_content_is_proven, prefix_itself_is_no_key,
    transactions_are_seen_whole, values_are_bytes,
};
pub use follower::Follower;

/// One store with one place to follow: the server, the writer and the provider's settings.
///
/// Keys are given without the prefix and may hold `/`; a files bench makes folders of it. Every
/// method panics when the store does not do what it is told: a bench is part of a test.
#[expect(async_fn_in_trait, reason = "tests run on one thread, so no future needs to be Send")]
pub trait Bench {
    /// The provider, set to follow this place. It proves itself each `proof_every` instead of the
    /// usual 30 s; files re-read that often.
    fn provider(&self, proof_every: Duration) -> Box<dyn Provider>;

    /// Writes one key; returns when the store has acknowledged it.
    async fn put(&mut self, key: &str, value: &[u8]);

    /// Deletes one key; returns when the store has acknowledged it.
    async fn delete(&mut self, key: &str);

    /// Writes several keys in one step that no reader may see in part: an etcd or Consul
    /// transaction, a swap of a mounted `ConfigMap`'s `..data`. Other keys stay.
    async fn transaction(&mut self, entries: &[(&str, &[u8])]);

    /// Writes a key that is equal to the prefix (Consul: also a folder key); false where no such
    /// thing exists.
    async fn put_prefix(&mut self, value: &[u8]) -> bool;

    /// Makes the store unreachable; false where it cannot be (the behaviour then ends early).
    async fn stop(&mut self) -> bool;

    /// Starts what was stopped, at the same address and with the same content; returns when it
    /// takes writes.
    async fn start(&mut self);

    /// How many connections, watches or descriptors followers of this place hold now, as seen from
    /// outside the provider; none where nobody can tell.
    async fn held(&mut self) -> Option<usize>;
}

/// Makes one test of each behaviour; the expression gives a future of a fresh [`Bench`].
#[macro_export]
macro_rules! conformance {
    ($bench:expr) => {
        $crate::conformance!(@each $bench;
            first_snapshot_is_complete
            changes_arrive_one_by_one_or_newer
            transactions_are_seen_whole
            deleted_keys_are_gone
            idle_content_is_proven
            content_after_a_restart_is_the_newest
            dropping_the_stream_closes_it
            values_are_bytes
            prefix_itself_is_no_key
            errors_are_items_and_never_an_end
        );
    };
    (@each $bench:expr; $($behaviour:ident)*) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                $crate::conformance::$behaviour(&mut $bench.await).await;
            }
        )*
    };
}
