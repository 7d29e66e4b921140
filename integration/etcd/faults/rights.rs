//! E11, E12 and E13: who we are, and what we may read.

use std::time::{Duration, Instant};

use etcd_client::RoleRevokePermissionOptions;

use super::{FILE, PREFIX, degrades, following, is_live, put};
use crate::support::{
    app::App,
    canary::hide,
    etcd::{
        Version,
        users::{Guarded, READER},
    },
    patience::{eventually, within},
    proxy::Proxy,
};

/// A store with users, behind a proxy, and a Rehup that reads `a=1` from it.
struct Scene {
    guarded: Guarded,
    proxy: Proxy,
    app: App,
}

impl Scene {
    async fn start(source: &str) -> Self {
        let guarded = Guarded::start(Version::Current, &[], PREFIX).await;
        let proxy = Proxy::to(guarded.server.port());
        let password = guarded.password_file();
        let login = format!(", username: {READER}, password_file: {}", password.display());
        let mut app = following(&[proxy.url()], &login, source);
        app.start().shows(FILE, "a=1\n");
        is_live(&app);
        Self { guarded, proxy, app }
    }

    fn keeps_the_last_good_generation(&self) {
        assert_eq!((self.app.read(FILE).as_deref(), self.app.generation()), (Some("a=1\n"), 1));
        self.app.answers("/readyz", 200);
    }

    async fn converges(mut self) {
        put(&mut self.guarded.root, "a", "2").await;
        self.app.shows(FILE, "a=2\n");
        is_live(&self.app);
        self.app.answers("/freshz", 200);
    }

    async fn revoke(&mut self) {
        let all = RoleRevokePermissionOptions::new().with_prefix();
        let revoked = self.guarded.root.role_revoke_permission("reading", PREFIX, Some(all)).await;
        revoked.expect("a revocation");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e11_a_wrong_password_is_not_sent_again_and_again_and_a_mended_file_is_taken_up() {
    let mut scene = Scene::start("").await;
    scene.guarded.change_password("second").await;
    let (logins, since) = (scene.guarded.logins(), Instant::now());
    scene.proxy.cut();
    degrades(&scene.app, "auth");
    scene.keeps_the_last_good_generation();
    // One login at once, and one each twenty seconds: four in a minute at most.
    within(Duration::from_secs(15), "a second login", async || {
        (scene.guarded.logins() >= logins + 2).then_some(())
    })
    .await;
    assert!(since.elapsed() > Duration::from_secs(19), "after {:?}", since.elapsed());
    // A login costs etcd so much that on a busy machine it may not even answer in time.
    eventually("the password is told", || {
        let told = scene.app.status()["sources"]["app"]["error"].to_string();
        told.contains("password").then_some(())
    });
    scene.keeps_the_last_good_generation();
    scene.guarded.set_password("second");
    is_live(&scene.app);
    scene.converges().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e11_a_deleted_user_is_told_and_followed_again_when_it_is_back() {
    let mut scene = Scene::start("").await;
    scene.guarded.root.user_delete(READER).await.expect("a deletion");
    scene.proxy.cut();
    degrades(&scene.app, "auth");
    scene.keeps_the_last_good_generation();
    scene.guarded.root.user_add(READER, hide("third"), None).await.expect("a user");
    scene.guarded.root.user_grant_role(READER, "reading").await.expect("a grant");
    scene.guarded.set_password("third");
    is_live(&scene.app);
    scene.converges().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_a_prefix_that_may_not_be_read_is_told_until_it_may() {
    let mut scene = Scene::start("").await;
    scene.revoke().await;
    scene.proxy.cut();
    degrades(&scene.app, "permission");
    scene.keeps_the_last_good_generation();
    assert!(scene.app.log().contains("grant the user's role"), "{}", scene.app.tail());
    scene.guarded.grant().await;
    is_live(&scene.app);
    scene.converges().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e13_a_right_that_is_taken_from_an_open_watch_is_noticed_at_the_next_full_read() {
    let mut scene = Scene::start("    resync: 2s\n").await;
    scene.revoke().await;
    degrades(&scene.app, "permission");
    scene.keeps_the_last_good_generation();
    scene.guarded.grant().await;
    is_live(&scene.app);
    scene.converges().await;
}
