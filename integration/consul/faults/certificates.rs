//! Certificates that are replaced while they are in use.

use std::time::Duration;

use serde_json::json;

use super::{SOON, configure, degraded, live, path, shows};
use crate::support::{app::App, certificates::Authority, consul::Consul};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_certificates_are_used_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut server = Consul::start_with_tls(&old).await;
    server.put(&path("a"), b"1").await;
    let mut app = App::new();
    let folder = app.folder().to_owned();
    let place = |name: &str| folder.join(name);
    let hand_out = |authority: &Authority| {
        let pair = authority.issue("rehup", "DNS:rehup");
        for (from, to) in [(authority.ca(), "ca"), (pair.cert, "cert"), (pair.key, "key")] {
            std::fs::copy(from, place("staged")).expect("a certificate");
            std::fs::rename(place("staged"), place(to)).expect("a certificate");
        }
    };
    hand_out(&old);
    let tls = json!({
        "ca_file": place("ca"), "cert_file": place("cert"), "key_file": place("key"),
        "server_name": "consul.test",
    });
    configure(&app, &server.tls_url(), json!({ "tls": tls }), "");
    app.start().ready();
    shows(&app, SOON, "a=1;");
    server.certify(&new).await;
    degraded(&app, Duration::from_secs(10), "tls");
    assert_eq!((app.read("all").as_deref(), app.generation()), (Some("a=1;"), 1));
    hand_out(&new);
    live(&app, Duration::from_secs(30));
    server.put(&path("a"), b"2").await;
    shows(&app, SOON, "a=2;");
    assert!(app.stop().success());
}
