//! E02: every way in which a server may end or refuse a watch. A real server uses one or two of
//! them at a time, some only in races; so it is one that does it on cue.

use etcd_client::proto::PbWatchResponse;
use tonic::Status;

use super::{FILE, following, is_degraded, is_live, resyncs};
use crate::support::{
    app::App,
    fake_etcd::{FakeEtcd, Line},
    patience::eventually,
};

const A: &str = "/app/a";

/// One way to end a watch, and as what it is told.
struct Shape {
    name: &'static str,
    lines: fn(&FakeEtcd) -> Vec<Line>,
    told: &'static str,
}

/// A message that refuses a watch at its creation, as for a missing right.
fn refused(fake: &FakeEtcd, reason: &str) -> PbWatchResponse {
    PbWatchResponse {
        created: true,
        canceled: true,
        watch_id: -1,
        cancel_reason: reason.to_owned(),
        ..fake.message()
    }
}

fn created(fake: &FakeEtcd) -> PbWatchResponse {
    PbWatchResponse { created: true, ..fake.message() }
}

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const DENIED: &str = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
const EXPIRED: &str = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";

const SHAPES: [Shape; 14] = [
    Shape {
        name: "created, then compacted without a header",
        lines: |fake| {
            let gone = PbWatchResponse { canceled: true, compact_revision: 9, ..<_>::default() };
            vec![Ok(created(fake)), Ok(gone)]
        },
        told: "compacted",
    },
    Shape {
        name: "cancelled without any reason",
        lines: |fake| vec![Ok(PbWatchResponse { canceled: true, ..fake.message() })],
        told: "compacted",
    },
    Shape {
        name: "compacted only in the text",
        lines: |fake| vec![Ok(refused(fake, COMPACTED))],
        told: "compacted",
    },
    Shape {
        name: "the same with a header of revision zero",
        lines: |fake| {
            let header = Some(<_>::default());
            vec![Ok(PbWatchResponse { header, ..refused(fake, COMPACTED) })]
        },
        told: "compacted",
    },
    Shape {
        name: "id -1 and created, but not cancelled",
        lines: |fake| vec![Ok(PbWatchResponse { watch_id: -1, ..created(fake) })],
        told: "compacted",
    },
    Shape {
        name: "permission inside the text",
        lines: |fake| vec![Ok(refused(fake, DENIED))],
        told: "permission",
    },
    Shape {
        name: "expired login inside the text",
        lines: |fake| vec![Ok(refused(fake, EXPIRED))],
        told: "auth",
    },
    Shape {
        name: "a reason that nobody knows, without a header",
        lines: |fake| vec![Ok(PbWatchResponse { header: None, ..refused(fake, "new") })],
        told: "unavailable",
    },
    Shape {
        name: "no leader as the text of a cancel",
        lines: |fake| vec![Ok(created(fake)), Ok(refused(fake, "etcdserver: no leader"))],
        told: "no_leader",
    },
    Shape {
        name: "no leader as an error of the stream",
        lines: |fake| vec![Ok(created(fake)), Err(Status::unavailable("etcdserver: no leader"))],
        told: "no_leader",
    },
    Shape {
        name: "a refused stream",
        lines: |_| vec![Err(Status::unauthenticated("etcdserver: invalid auth token"))],
        told: "auth",
    },
    Shape {
        name: "created without a header",
        lines: |fake| vec![Ok(PbWatchResponse { header: None, ..created(fake) })],
        told: "malformed",
    },
    Shape {
        name: "a message without a header",
        lines: |fake| vec![Ok(created(fake)), Ok(PbWatchResponse::default())],
        told: "malformed",
    },
    Shape {
        name: "created at an older revision than the read",
        lines: |fake| {
            let mut created = created(fake);
            created.header.as_mut().expect("a header").revision -= 1;
            vec![Ok(created)]
        },
        told: "regressed",
    },
];

/// Follows a server that holds `a=1`.
fn following_fake() -> (FakeEtcd, App) {
    let fake = FakeEtcd::start();
    fake.put(A, "1");
    let app = following(&[fake.endpoint()], "", "    resync: 1h\n");
    (fake, app)
}

/// The running watch ends so, and so do those after it until the server is well again.
fn ends_so_until_the_server_is_well(shape: &Shape) {
    let (fake, mut app) = following_fake();
    app.start().shows(FILE, "a=1\n");
    is_live(&app);
    let (reads, watches) = (fake.reads(), fake.watched_from().len());
    let lines = (shape.lines)(&fake);
    fake.refuse_watches(Some(lines.clone()));
    for line in &lines {
        fake.say(line);
    }
    let Shape { name, told, .. } = shape;
    eventually(format_args!("{name}: it is told as {told}; {}", app.tail()), || {
        is_degraded(&app, told).then_some(())
    });
    eventually(format_args!("{name}: each refused watch costs a new read; {}", app.tail()), || {
        (fake.watched_from().len() > watches + 1 && fake.reads() > reads + 1).then_some(())
    });
    assert_eq!((app.read(FILE).as_deref(), app.generation()), (Some("a=1\n"), 1), "{name}");

    fake.refuse_watches(None);
    fake.put(A, "2");
    app.shows(FILE, "a=2\n");
    is_live(&app);
    assert_eq!(app.generation(), 2, "{name}: one change, one generation");
    let lost = ["compacted", "regressed", "drift"].map(|reason| resyncs(&app, reason));
    let expected = ["compacted", "regressed", "drift"].map(|reason| reason == *told);
    assert_eq!(lost.map(|count| count > 0), expected, "{name}: counted for its reason");
    fake.put(A, "3");
    app.shows(FILE, "a=3\n");
    assert!(!app.log().contains("panicked"), "{name}; {}", app.tail());
}

#[test]
fn e02_however_a_watch_ends_everything_is_read_anew() {
    std::thread::scope(|scope| {
        for shape in &SHAPES {
            scope.spawn(|| ends_so_until_the_server_is_well(shape));
        }
    });
}

#[test]
fn e02_a_stream_that_ends_without_a_word_is_opened_anew() {
    let (fake, mut app) = following_fake();
    app.start().shows(FILE, "a=1\n");
    is_live(&app);
    fake.end_watches();
    eventually("another watch", || (fake.watched_from().len() == 2).then_some(()));
    is_live(&app);
    fake.put(A, "2");
    app.shows(FILE, "a=2\n");
}

#[test]
fn e02_a_source_is_not_live_before_its_watch_stands() {
    let (fake, mut app) = following_fake();
    fake.refuse_watches(Some(Vec::new()));
    app.start();
    eventually("a watch is asked for", || (!fake.watched_from().is_empty()).then_some(()));
    eventually("the silence is told", || {
        assert_ne!(app.state("app"), "live", "nothing said that the watch stands");
        is_degraded(&app, "unavailable").then_some(())
    });
    fake.refuse_watches(None);
    app.shows(FILE, "a=1\n");
    is_live(&app);
    fake.put(A, "2");
    app.shows(FILE, "a=2\n");
}
