//! Servers that speak TLS and want to know their clients.

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use providers::{
    ErrorKind,
    settings::{EtcdSettings, TlsSettings},
};

use super::{OFTEN, RARELY, Server, Version, follow, path, settings};
use crate::support::{
    certificates::{Authority, Pair},
    etcd::{Options, ServerTls},
};

/// A server with TLS, its authority and a client's certificate.
struct Secured {
    server: Server,
    authority: Authority,
    client: Pair,
}

impl Secured {
    async fn start(version: Version, names: &str) -> Self {
        let authority = Authority::new();
        let Pair { cert, key } = authority.issue("server", names);
        let client = authority.issue("client", "DNS:client.test");
        let tls = Some(ServerTls { ca: authority.ca(), cert, key });
        let server = Server::start_with(version, Options { tls, ..Options::default() }).await;
        Self { server, authority, client }
    }

    fn settings(&self, server_name: Option<&str>) -> EtcdSettings {
        let tls = TlsSettings {
            ca_file: Some(self.authority.ca()),
            cert_file: Some(self.client.cert.clone()),
            key_file: Some(self.client.key.clone()),
            server_name: server_name.map(str::to_owned),
        };
        EtcdSettings { tls: Some(tls), ..settings(&self.server) }
    }

    async fn put(&self, key: &str, value: &str) {
        let read = |path| std::fs::read(path).expect("a certificate");
        let identity = Identity::from_pem(read(&self.client.cert), read(&self.client.key));
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(read(&self.authority.ca())))
            .identity(identity);
        let mut client = self.server.client_with(ConnectOptions::new().with_tls(tls)).await;
        client.put(path(key), value, None).await.expect("a put");
    }
}

async fn follows(version: Version) {
    let secured = Secured::start(version, "IP:127.0.0.1").await;
    secured.put("a", "1").await;
    let mut follower = follow(secured.settings(None), OFTEN);
    follower.until(&[("a", b"1")]).await;
    secured.put("a", "2").await;
    follower.until(&[("a", b"2")]).await;
    follower.proof().await;
}

#[tokio::test]
async fn a_client_certificate_lets_us_in() {
    follows(Version::Current).await;
}

#[tokio::test]
async fn a_client_certificate_lets_us_into_the_old_version_too() {
    follows(Version::Old).await;
}

#[tokio::test]
async fn certificates_are_read_anew_for_each_connection() {
    let secured = Secured::start(Version::Current, "IP:127.0.0.1").await;
    secured.put("a", "1").await;
    let other = Authority::new();
    let mut settings = secured.settings(None);
    let trusted = secured.client.cert.with_file_name("trusted.crt");
    std::fs::copy(other.ca(), &trusted).expect("a copy");
    settings.tls.as_mut().expect("tls").ca_file = Some(trusted.clone());
    let mut follower = follow(settings, RARELY);
    assert_eq!(follower.error().await, ErrorKind::Tls, "the authority is another");
    std::fs::remove_file(&trusted).expect("a file");
    assert_eq!(follower.error().await, ErrorKind::Credentials, "there is no authority");
    std::fs::copy(secured.authority.ca(), &trusted).expect("a copy");
    follower.until(&[("a", b"1")]).await;
}

#[tokio::test]
async fn a_missing_client_certificate_is_told_as_tls() {
    let secured = Secured::start(Version::Current, "IP:127.0.0.1").await;
    let mut settings = secured.settings(None);
    let tls = settings.tls.as_mut().expect("tls");
    (tls.cert_file, tls.key_file) = (None, None);
    let mut follower = follow(settings, RARELY);
    // The server's alert and the end of the connection race; without the alert nobody can tell.
    loop {
        match follower.error().await {
            ErrorKind::Tls => return,
            kind => assert_eq!(kind, ErrorKind::Unavailable),
        }
    }
}

#[tokio::test]
async fn the_expected_name_can_be_another_than_the_hosts() {
    let secured = Secured::start(Version::Current, "IP:127.0.0.1,DNS:etcd.test").await;
    secured.put("a", "1").await;
    let mut follower = follow(secured.settings(Some("etcd.test")), RARELY);
    follower.until(&[("a", b"1")]).await;
    let mut follower = follow(secured.settings(Some("other.test")), RARELY);
    assert_eq!(follower.error().await, ErrorKind::Tls);
}
