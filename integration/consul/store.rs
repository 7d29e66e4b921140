//! Restores, TLS, datacenters and modes.

use providers::{
    ErrorKind,
    conformance::Follower,
    consul::Consul,
    settings::{Consistency, ConsulSettings, TlsSettings},
};
use reqwest::Method;

use super::{path, settings};
use crate::support::{certificates::Authority, consul::Consul as Server};

#[tokio::test]
async fn a_restored_store_is_a_new_truth_long_before_the_wait_ends() {
    let server = Server::start().await;
    server.put_plainly(&path("a"), b"old").await;
    let saved = server.call(Method::GET, "/v1/snapshot", "").await;
    server.put_plainly(&path("a"), b"new").await;
    let wait = std::time::Duration::from_mins(10);
    let often = std::time::Duration::from_millis(300);
    let settings = ConsulSettings { wait, ..settings(&server.url()) };
    let mut follower = Follower::new(&Consul::new(settings).with_proof_every(often));
    follower.until(&[("a", b"new")]).await;
    let restore = server.call(Method::PUT, "/v1/snapshot", saved);
    tokio::join!(restore, follower.until(&[("a", b"old")]));
}

#[tokio::test]
async fn tls_needs_the_name_the_authority_and_our_certificate() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority).await;
    server.put_plainly(&path("a"), b"1").await;
    let ours = authority.issue("rehup", "DNS:rehup");
    let good = TlsSettings {
        ca_file: Some(authority.ca()),
        cert_file: Some(ours.cert),
        key_file: Some(ours.key),
        server_name: Some("consul.test".to_owned()),
    };
    let follow = |tls| {
        Follower::new(&Consul::new(ConsulSettings {
            tls: Some(tls),
            ..settings(&server.tls_url())
        }))
    };
    follow(good.clone()).until(&[("a", b"1")]).await;
    for bad in [
        TlsSettings { server_name: None, ..good.clone() },
        TlsSettings { ca_file: Some(Authority::new().ca()), ..good.clone() },
        TlsSettings { cert_file: None, key_file: None, ..good },
    ] {
        let item = follow(bad.clone()).item().await;
        let expected = [ErrorKind::Tls, ErrorKind::Credentials];
        assert!(matches!(item, Err(kind) if expected.contains(&kind)), "{bad:?}: {item:?}");
    }
}

#[tokio::test]
async fn each_mode_and_the_datacenter_reach_the_server() {
    let server = Server::start().await;
    server.put_plainly(&path("a"), b"1").await;
    for consistency in [Consistency::Default, Consistency::Stale, Consistency::Consistent] {
        let datacenter = Some("dc1".to_owned());
        let settings = ConsulSettings { consistency, datacenter, ..settings(&server.url()) };
        let often = std::time::Duration::from_millis(300);
        let mut follower = Follower::new(&Consul::new(settings).with_proof_every(often));
        follower.until(&[("a", b"1")]).await;
        follower.proof().await;
    }
    let datacenter = Some("nowhere".to_owned());
    let elsewhere = ConsulSettings { datacenter, ..settings(&server.url()) };
    let kind = Follower::new(&Consul::new(elsewhere)).error().await;
    assert_eq!(kind, ErrorKind::Unavailable);
}
