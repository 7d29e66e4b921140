//! Endpoints that do not answer.

use nix::sys::signal::Signal;
use providers::ErrorKind;

use super::{OFTEN, RARELY, Server, Version, follow, path, settings};
use crate::support::process::free_port;

#[tokio::test]
async fn a_dead_endpoint_is_told_and_the_next_one_is_used() {
    let server = Server::start(Version::Current).await;
    server.client().await.put(path("a"), "1", None).await.expect("a put");
    let dead = format!("http://127.0.0.1:{}", free_port());
    // The first choice is random: both cases come up.
    for _ in 0..8 {
        let mut settings = settings(&server);
        settings.endpoints.insert(0, dead.clone());
        let mut follower = follow(settings, RARELY);
        match follower.item().await {
            Err(kind) => assert_eq!(kind, ErrorKind::Unavailable),
            Ok(_) => continue,
        }
        assert!(follower.item().await.is_ok(), "the second endpoint answers");
    }
}

#[tokio::test]
async fn a_frozen_server_is_told_and_followed_again_when_it_thaws() {
    let server = Server::start(Version::Current).await;
    let mut writer = server.client().await;
    writer.put(path("a"), "1", None).await.expect("a put");
    let mut follower = follow(settings(&server), OFTEN);
    follower.until(&[("a", b"1")]).await;
    server.signal(Signal::SIGSTOP);
    assert_eq!(follower.error().await, ErrorKind::Unavailable);
    server.signal(Signal::SIGCONT);
    writer.put(path("a"), "2", None).await.expect("a put");
    follower.until(&[("a", b"2")]).await;
}

#[tokio::test]
async fn both_endpoints_dead_are_tried_in_turn_for_ever() {
    let mut server = Server::start(Version::Current).await;
    let dead = format!("http://127.0.0.1:{}", free_port());
    let mut settings = settings(&server);
    settings.endpoints.push(dead);
    server.stop();
    let mut follower = follow(settings, RARELY);
    for _ in 0..4 {
        assert_eq!(follower.error().await, ErrorKind::Unavailable);
    }
    server.restart().await;
    server.client().await.put(path("a"), "1", None).await.expect("a put");
    follower.until(&[("a", b"1")]).await;
}
