//! E09: the login expires, as it does after five minutes of nothing but a watch.

use std::time::Duration;

use super::{FILE, PREFIX, following, is_live, put};
use crate::support::{
    app::App,
    etcd::{
        Version,
        users::{Guarded, READER},
    },
    patience::{eventually, within},
    proxy::Proxy,
};

/// What the store forgets a login after, and how long nothing happens.
const EXPIRES: &str = "--auth-token-ttl=3";
const IDLE: Duration = Duration::from_secs(10);
/// An age in seconds that only a new proof goes below.
const AGED: f64 = 2.0;

/// A reader with a login that expires, behind a proxy, whose watch is open.
async fn reading(version: Version) -> (Guarded, Proxy, App) {
    let guarded = Guarded::start(version, &[EXPIRES], PREFIX).await;
    let proxy = Proxy::to(guarded.server.port());
    let password = guarded.password_file();
    let login = format!(", username: {READER}, password_file: {}", password.display());
    let mut app = following(&[proxy.url()], &login, "");
    app.start().shows(FILE, "a=1\n");
    is_live(&app);
    (guarded, proxy, app)
}

async fn expires_while_idle(version: Version) {
    let (mut guarded, proxy, app) = reading(version).await;
    tokio::time::sleep(IDLE).await;
    put(&mut guarded.root, "warm", "1").await;
    let logins = guarded.logins();
    proxy.cut();
    put(&mut guarded.root, "a", "2").await;
    within(Duration::from_secs(5), format_args!("the write is seen; {}", app.tail()), async || {
        app.read(FILE)?.contains("a=2").then_some(())
    })
    .await;
    is_live(&app);
    // The operator's own may have expired too.
    let logins = guarded.logins() - logins;
    assert!((1..=2).contains(&logins), "{logins} logins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e09_a_login_that_expired_while_idle_is_renewed_once() {
    expires_while_idle(Version::Current).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e09_a_login_that_expired_while_idle_is_renewed_once_by_the_old_version() {
    expires_while_idle(Version::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e09_a_login_that_expires_under_an_open_watch_costs_one_login_at_the_next_proof() {
    let (mut guarded, proxy, app) = reading(Version::Current).await;
    tokio::time::sleep(IDLE).await;
    put(&mut guarded.root, "a", "2").await;
    app.shows(FILE, "a=2\n");
    let (logins, connections) = (guarded.logins(), proxy.accepted());
    // A login lives three seconds and proofs are thirty apart, so each proof finds it expired.
    let age = || app.metric("rehup_source_age_seconds{source=\"app\"}");
    eventually("the last proof ages", || (age() > AGED).then_some(()));
    within(Duration::from_secs(31), format_args!("a proof; {}", app.tail()), async || {
        (age() < AGED).then_some(())
    })
    .await;
    assert_eq!(proxy.accepted(), connections, "on the same connection");
    assert_eq!(guarded.logins() - logins, 1, "one login for one proof");
    assert!(!app.log().contains("cannot be followed"), "it is no fault; {}", app.tail());
    put(&mut guarded.root, "a", "3").await;
    app.shows(FILE, "a=3\n");
}
