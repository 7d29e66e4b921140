//! E10: logins that are signed tokens, and a list of users that changes after one was given.

use std::time::Duration;

use etcd_client::ConnectOptions;

use super::{FILE, PREFIX, following, is_live, put};
use crate::support::{
    canary::hide,
    certificates::signing_key,
    etcd::{
        Version,
        users::{Guarded, READER},
    },
    patience::within,
    process::scratch,
    proxy::Proxy,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e10_a_token_from_before_another_user_was_added_costs_one_login() {
    let folder = scratch();
    let (private, public) = signing_key(folder.path());
    let tokens = format!(
        "--auth-token=jwt,pub-key={},priv-key={},sign-method=RS256,ttl=1h",
        public.display(),
        private.display()
    );
    let mut guarded = Guarded::start(Version::Current, &[&tokens], PREFIX).await;
    let proxy = Proxy::to(guarded.server.port());
    let password = guarded.password_file();
    let login = format!(", username: {READER}, password_file: {}", password.display());
    let mut app = following(&[proxy.url()], &login, "    resync: 1h\n");
    app.start().shows(FILE, "a=1\n");
    is_live(&app);

    guarded.root.user_add("another", "first", None).await.expect("a user");
    // The operator's own token is as old.
    let login = ConnectOptions::new().with_user("root", hide("first"));
    guarded.root = guarded.server.client_with(login).await;
    put(&mut guarded.root, "a", "2").await;
    app.shows(FILE, "a=2\n");
    let (logins, connections) = (guarded.logins(), proxy.accepted());
    let age = || app.metric("rehup_source_age_seconds{source=\"app\"}");
    within(Duration::from_secs(40), format_args!("a new login; {}", app.tail()), async || {
        (guarded.logins() > logins).then_some(())
    })
    .await;
    within(Duration::from_secs(40), format_args!("a proof; {}", app.tail()), async || {
        (age() < 5.0 && app.state("app") == "live").then_some(())
    })
    .await;
    assert_eq!(guarded.logins() - logins, 1, "one login");
    assert_eq!(proxy.accepted(), connections, "on the same connection");
    assert!(!app.log().contains("cannot be followed"), "it is no fault; {}", app.tail());
    app.answers("/freshz", 200);
    put(&mut guarded.root, "a", "3").await;
    app.shows(FILE, "a=3\n");
}
