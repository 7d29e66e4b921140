//! Endpoints that do not answer.

use std::time::Duration;

use nix::sys::signal::Signal;
use providers::ErrorKind;

use super::{OFTEN, RARELY, Server, Version, follow, path, settings};
use crate::support::{etcd::Options, patience::eventually_async, process::free_port};

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

#[tokio::test]
async fn a_member_that_lost_the_cluster_is_told() {
    let members = Server::start_three(Version::Current).await;
    members[0].client().await.put(path("a"), "1", None).await.expect("a put");
    let mut follower = follow(settings(&members[0]), RARELY);
    follower.until(&[("a", b"1")]).await;
    members[1..].iter().for_each(|member| member.signal(Signal::SIGSTOP));
    assert_eq!(follower.error().await, ErrorKind::NoLeader, "the watch ends");
    assert_eq!(follower.error().await, ErrorKind::NoLeader, "and no other begins");
    members[1..].iter().for_each(|member| member.signal(Signal::SIGCONT));
    follower.until(&[("a", b"1")]).await;
}

#[tokio::test]
async fn a_killed_member_is_replaced_by_the_next_one() {
    let mut members = Server::start_three(Version::Current).await;
    let mut settings = settings(&members[0]);
    settings.endpoints = members.iter().map(Server::endpoint).collect();
    members[0].client().await.put(path("a"), "0", None).await.expect("a put");
    let mut follower = follow(settings, RARELY);
    follower.until(&[("a", b"0")]).await;
    for killed in 0..3 {
        members[killed].stop();
        let mut writer = members[(killed + 1) % 3].client().await;
        let value = (killed + 1).to_string();
        // The others may have to elect a leader first.
        eventually_async("a leader", async || writer.put(path("a"), &*value, None).await.ok())
            .await;
        follower.until(&[("a", value.as_bytes())]).await;
        members[killed].restart().await;
    }
}

#[tokio::test]
async fn e19_a_server_that_complains_of_pings_is_followed_on() {
    let flags = vec!["--grpc-keepalive-min-time=60s".to_owned()];
    let options = Options { flags, ..Options::default() };
    let server = Server::start_with(Version::Current, options).await;
    let mut writer = server.client().await;
    writer.put(path("a"), "1", None).await.expect("a put");
    // Without proofs between them the pings add up.
    let mut follower = follow(settings(&server), Duration::from_secs(3600));
    follower.until(&[("a", b"1")]).await;
    assert_eq!(follower.error().await, ErrorKind::Unavailable);
    writer.put(path("a"), "2", None).await.expect("a put");
    follower.until(&[("a", b"2")]).await;
}
