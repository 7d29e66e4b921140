//! E22: certificates that are wrong, and certificates that are replaced.

use std::{
    fs,
    path::{Path, PathBuf},
};

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

use super::{FILE, LINES, PREFIX, configuration, degrades, is_live};
use crate::support::{
    app::App,
    canary::hide,
    certificates::{Authority, Pair},
    etcd::{Etcd, Options, ServerTls, Version},
};

/// A server with TLS that knows its clients, and the files that Rehup mounts.
struct Scene {
    authority: Authority,
    etcd: Etcd,
    app: App,
}

impl Scene {
    /// A server whose certificate is for these names and holds `a=1`.
    async fn start(names: &str) -> Self {
        let authority = Authority::new();
        let Pair { cert, key } = authority.issue("server", names);
        Self::serving(authority, cert, key).await
    }

    async fn serving(authority: Authority, cert: PathBuf, key: PathBuf) -> Self {
        let tls = Some(ServerTls { ca: authority.ca(), cert, key });
        let etcd = Etcd::start_with(Version::Current, Options { tls, ..Options::default() }).await;
        let app = App::new();
        let mounted = app.folder().join("tls");
        fs::create_dir(&mounted).expect("a folder for certificates");
        let file = |name: &str| mounted.join(name).display().to_string();
        let tls = format!(
            ", tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}",
            file("ca.crt"),
            file("tls.crt"),
            file("tls.key")
        );
        app.configure(configuration(&[etcd.endpoint()], &tls, "", LINES));
        let scene = Self { authority, etcd, app };
        scene.put("1").await;
        scene
    }

    /// Mounts this authority and a certificate of that one.
    fn mount(&self, trusted: &Authority, issuer: &Authority) {
        let client = issuer.issue("client", "DNS:client.test");
        let mounted = self.app.folder().join("tls");
        let copy = |from: &Path, to: &str| {
            fs::copy(from, mounted.join(to)).expect("a certificate");
        };
        copy(&trusted.ca(), "ca.crt");
        copy(&client.cert, "tls.crt");
        copy(&client.key, "tls.key");
    }

    async fn put(&self, value: &str) {
        let read = |path: &Path| fs::read(path).expect("a certificate");
        let client = self.authority.issue("writer", "DNS:writer.test");
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(read(&self.authority.ca())))
            .identity(Identity::from_pem(read(&client.cert), read(&client.key)))
            .domain_name("127.0.0.1");
        let options = ConnectOptions::new().with_tls(tls);
        let mut writer = self.etcd.client_with(options).await;
        writer.put(format!("{PREFIX}a"), hide(value), None).await.expect("a put");
    }

    /// Nothing is published; when the right files are mounted it is, without a restart.
    async fn recovers(mut self) {
        degrades(&self.app, "tls");
        self.app.answers("/readyz", 503);
        self.mount(&self.authority, &self.authority);
        self.app.shows(FILE, "a=1\n");
        is_live(&self.app);
        self.put("2").await;
        self.app.shows(FILE, "a=2\n");
        self.app.process();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e22_an_authority_that_is_not_trusted_is_refused_until_it_is() {
    let (mut scene, other) = (Scene::start("IP:127.0.0.1").await, Authority::new());
    scene.mount(&other, &scene.authority);
    scene.app.start();
    scene.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e22_a_client_certificate_of_a_stranger_is_refused_until_it_is_replaced() {
    let (mut scene, other) = (Scene::start("IP:127.0.0.1").await, Authority::new());
    scene.mount(&scene.authority, &other);
    scene.app.start();
    scene.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e22_everything_rotates_under_a_running_rehup() {
    let mut scene = Scene::start("IP:127.0.0.1").await;
    scene.mount(&scene.authority, &scene.authority);
    scene.app.start().shows(FILE, "a=1\n");
    is_live(&scene.app);
    // Another authority, server and client certificate, in this order.
    scene.authority = Authority::new();
    let Pair { cert, key } = scene.authority.issue("server", "IP:127.0.0.1");
    scene.etcd.secure(ServerTls { ca: scene.authority.ca(), cert, key });
    scene.etcd.restart().await;
    degrades(&scene.app, "tls");
    assert_eq!(scene.app.read(FILE).as_deref(), Some("a=1\n"), "the last good one stays");
    scene.mount(&scene.authority, &scene.authority);
    is_live(&scene.app);
    scene.put("2").await;
    scene.app.shows(FILE, "a=2\n");
    assert_eq!(scene.app.generation(), 2);
}

/// A certificate that cannot serve: what is wrong with it does not mend itself, so another takes
/// its place.
async fn is_refused(authority: Authority, bad: Pair) {
    let Pair { cert, key } = bad;
    let good = authority.issue("server", "IP:127.0.0.1");
    let tls = ServerTls { ca: authority.ca(), cert: good.cert, key: good.key };
    let mut scene = Scene::serving(authority, tls.cert.clone(), tls.key.clone()).await;
    scene.mount(&scene.authority, &scene.authority);
    scene.etcd.secure(ServerTls { cert, key, ..tls.clone() });
    scene.etcd.restart().await;
    scene.app.start();
    degrades(&scene.app, "tls");
    scene.app.answers("/readyz", 503);
    scene.etcd.secure(tls);
    scene.etcd.restart().await;
    scene.app.shows(FILE, "a=1\n");
    is_live(&scene.app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e22_a_server_of_another_name_is_refused() {
    let authority = Authority::new();
    let bad = authority.issue("other", "DNS:other.test");
    is_refused(authority, bad).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e22_an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let bad = authority.issue_expired("expired", "IP:127.0.0.1");
    is_refused(authority, bad).await;
}
