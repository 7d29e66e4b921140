//! E14 and E21: how much, and which bytes.

use etcd_client::{Client, DeleteOptions, Txn, TxnOp};

use super::{PREFIX, configuration, degrades, following, is_live, put};
use crate::support::{
    app::App,
    etcd::{Etcd, Version},
    patience::eventually,
    proxy::Proxy,
};

const KEYS: usize = 3000;
const VALUE: usize = 4 << 10;
/// Operations in one transaction, below the store's limits.
const AT_ONCE: usize = 100;

/// Fills 12 MiB below the prefix.
async fn fill(writer: &mut Client) {
    let numbers: Vec<_> = (0..KEYS).collect();
    for some in numbers.chunks(AT_ONCE) {
        let put =
            |number: &usize| TxnOp::put(format!("{PREFIX}{number:05}"), vec![b'x'; VALUE], None);
        let operations: Vec<_> = some.iter().map(put).collect();
        writer.txn(Txn::new().and_then(operations)).await.expect("a transaction");
    }
}

const COUNT: &str = "  - { to: count, inline: \"{{ app | length }}\\n\" }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e14_a_prefix_of_many_pages_is_published_whole() {
    let etcd = Etcd::start(Version::Current).await;
    fill(&mut *etcd.client().await).await;
    let mut app = App::new();
    app.configure(configuration(&[etcd.endpoint()], "", "", COUNT));
    app.start().shows("count", "3000\n");
    assert_eq!(app.generation(), 1, "nothing was published before all of it was read");
    is_live(&app);
    put(&mut *etcd.client().await, "one more", "").await;
    app.shows("count", "3001\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e14_more_than_the_bound_is_told_without_a_storm() {
    let etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    put(&mut writer, "a", "1").await;
    let proxy = Proxy::to(etcd.port());
    let mut app = following(&[proxy.url()], ", max_bytes: 8MiB", "");
    app.start().shows("all", "a=1\n");
    is_live(&app);
    fill(&mut writer).await;
    degrades(&app, "too_large");
    let connections = proxy.accepted();
    assert!(app.log().contains("more than 8388608 bytes; raise max_bytes"), "{}", app.tail());
    eventually("the last snapshot below the bound stays, whole", || {
        let lines = app.read("all")?.lines().count().to_string();
        let keys = app.try_status()?["sources"]["app"]["keys"].to_string();
        (lines == keys).then_some(())
    });
    app.answers("/readyz", 200);

    writer.delete(PREFIX, Some(DeleteOptions::new().with_prefix())).await.expect("a delete");
    put(&mut writer, "a", "2").await;
    app.shows("all", "a=2\n");
    is_live(&app);
    let more = proxy.accepted() - connections;
    assert!(more <= 1, "{more} further connections for a prefix that is too large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e21_any_bytes_are_copied_and_only_text_is_printed() {
    let etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    // The longest value that a store takes by default, with the rest of its request.
    let long = vec![b'x'; 1_572_764 - PREFIX.len()];
    let values: [(&str, &[u8]); 5] = [
        ("invalid", b"\xff\xfe\x80"),
        ("nul", b"a\0b"),
        ("empty", b""),
        ("long", &long),
        ("text", b"fine"),
    ];
    for (key, value) in values {
        writer.put(format!("{PREFIX}{key}"), value, None).await.expect("a put");
    }
    let copies = "  - { copy: { source: app, keys: \"**\" }, to: raw/ }\n";
    let printed = |key| format!("{copies}  - {{ to: printed, inline: \"{{{{ app.{key} }}}}\" }}\n");
    let configure = |app: &App, templates: &str| {
        app.configure(configuration(&[etcd.endpoint()], "", "", templates));
    };
    let mut app = App::new();
    configure(&app, copies);
    app.start().ready();
    for (key, value) in values {
        let found = std::fs::read(app.volume().join("raw").join(key)).expect("a copy");
        assert!(found == value, "{key} is copied byte for byte");
    }
    configure(&app, &printed("invalid"));
    let told = app.answers("/freshz", 503);
    assert!(told.contains("render: ") && told.contains("invalid"), "{told}");
    assert_eq!(app.generation(), 1, "the last good one stays");
    configure(&app, &printed("nul"));
    app.shows("printed", "a\0b");
    put(&mut writer, "nul", "no more").await;
    app.shows("printed", "no more");
    app.answers("/freshz", 200);
}
