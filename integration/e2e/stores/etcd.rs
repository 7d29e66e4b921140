//! `etcd-mtls.yaml` with a real etcd that takes no client without a certificate.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{asked, is_in_state, keep, node_of, note, store, waits_for_its_secret};
use crate::support::{
    certificates::{Authority, Pair},
    cluster::{Manifest, Space},
};

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a certificate")
}

/// The three files of a Secret: the server's authority, and a client certificate of `issuer`.
fn files(authority: &Authority, issuer: &Authority) -> [(&'static str, String); 3] {
    let Pair { cert, key } = issuer.issue("client", "DNS:client.test");
    [("ca.crt", text(&authority.ca())), ("tls.crt", text(&cert)), ("tls.key", text(&key))]
}

/// An etcd at this port with mutual TLS; the port after it is the test's own way in.
fn start(space: &Space, node: &str, address: &str, port: u16, authority: &Authority) {
    let Pair { cert, key } = authority.issue("server", &format!("IP:{address}"));
    let server =
        [("ca.crt", text(&authority.ca())), ("tls.crt", text(&cert)), ("tls.key", text(&key))];
    keep(space, "server", &server);
    let (mutual, plain) =
        (format!("https://{address}:{port}"), format!("http://{address}:{}", port + 1));
    let peer = format!("http://127.0.0.1:{}", port + 2);
    let command = [
        "etcd".to_owned(),
        "--name=one".to_owned(),
        "--data-dir=/data/etcd".to_owned(),
        format!("--listen-client-urls={mutual},{plain}"),
        format!("--advertise-client-urls={mutual}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=one={peer}"),
        "--trusted-ca-file=/config/ca.crt".to_owned(),
        "--cert-file=/config/tls.crt".to_owned(),
        "--key-file=/config/tls.key".to_owned(),
        "--client-cert-auth".to_owned(),
    ];
    let image = "gcr.io/etcd-development/etcd:v3.6.7";
    space.apply(&store(node, image, &command, &json!({ "secret": { "name": "server" } })));
}

/// Writes a key, as soon as the store takes it.
fn put(space: &Space, port: u16, value: &str) {
    let (key, value) = (STANDARD.encode("/web/greeting"), STANDARD.encode(value));
    let body = json!({ "key": key, "value": value }).to_string();
    space
        .pod_named("store")
        .eventually("etcd takes a key", || asked(space, "create", port + 1, "/v3/kv/put", &body));
}

#[test]
fn keys_of_etcd_come_over_mutual_tls_and_a_certificate_is_renewed_without_a_restart() {
    let (space, stores) = (Space::new(), Space::of_profile("privileged"));
    space.apply(&Manifest::shipped("etcd-mtls.yaml"));
    let pod = space.pod("app=web-etcd");
    waits_for_its_secret(&space, &pod, "web-etcd");
    let (node, address) = node_of(&pod);
    let (authority, stranger) = (Authority::new(), Authority::new());
    let port = fastrand::u16(20_000..30_000);
    // At once: the kubelet looks ever less often for a Secret that is not there.
    note(&space, "web-etcd", &[("endpoint", format!("https://{address}:{port}"))]);
    keep(&space, "web-etcd", &files(&authority, &stranger));
    start(&stores, &node, &address, port, &authority);
    put(&stores, port, "Hello");
    is_in_state(&pod, "degraded(tls)");
    assert!(pod.container("nginx")["state"]["waiting"].is_object(), "nginx waits");

    keep(&space, "web-etcd", &files(&authority, &authority));
    // Whatever is edited, the pod looks at its mounts.
    space.edit("web-etcd", "renewed", "yes");
    pod.ready().serves("Hello");
    is_in_state(&pod, "live");

    put(&stores, port, "Good morning");
    pod.serves("Good morning").settles("nginx", 2, "confirmed");
    assert_eq!((pod.restarts("nginx"), pod.restarts("rehup")), (0, 0));
}
