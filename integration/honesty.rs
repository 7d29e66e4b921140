//! Honesty about ourselves: a task of our own that hangs or dies is named, and nothing claims to be
//! fresh that nobody has looked at.
//!
//! The program under test is built with failpoints, because no real fault makes a task hang on cue;
//! everything else is real.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner},
    patience::{eventually, within},
};

/// Each kind of task: its failpoint, and its name in `/livez`.
const TASKS: [(&str, &str); 7] = [
    ("source", "source base"),
    ("pipeline", "pipeline"),
    ("render", "render"),
    ("volume", "volume"),
    ("target", "target main"),
    ("signals", "signals"),
    ("supervisor", "supervisor"),
];

/// A whole Rehup: a file source, a template, an HTTP target that confirms.
fn whole(silence: &str) -> (App, Endpoint) {
    let (app, endpoint) = (App::with_failpoints(silence), Endpoint::start(Manner::Status(200)));
    app.put("level", "info");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ inline: \"{{{{ base.level }}}}\", to: level }}]\n\
         settle: off\n\
         targets: [{{ name: main, http: {{ url: \"{}\" }}, min_interval: 0s }}]\n",
        app.folder().display(),
        endpoint.url("/-/reload")
    ));
    (app, endpoint)
}

/// Work for the task behind a failpoint.
fn poke(app: &mut App, point: &str) {
    match point {
        "signals" | "supervisor" => app.process().signal(Signal::SIGHUP),
        _ => app.put("level", "debug"),
    }
}

/// Makes one task hang, and lets it go on.
async fn hang(point: &str, task: &str, silence: &str, bound: Duration) {
    let (mut app, _endpoint) = whole(silence);
    app.start().settles("main", "confirmed");
    app.answers("/livez", 200);
    app.fail(&format!("{point} hang"));
    poke(&mut app, point);
    let expected = format!("/livez names {task}");
    let said = within(bound, &expected, async || {
        let answer = app.get("/livez")?;
        (answer.status == 503).then_some(answer.body)
    })
    .await;
    let named: Vec<_> = said.trim_end().rsplit(": ").next().expect("names").split(", ").collect();
    assert_eq!(named, [task], "only the one that hangs is silent; {}", app.tail());
    app.answers("/readyz", 200);
    assert_eq!(app.get("/metrics").map(|answer| answer.status), Some(200));
    if matches!(point, "pipeline" | "render" | "volume") {
        assert_eq!(app.read("level").as_deref(), Some("info"), "the work is not done");
    }

    // Nor does freshness come from a timer: what nobody looked at, wrote or read is stale.
    if bound >= Duration::from_secs(60) && !matches!(point, "target" | "signals" | "supervisor") {
        app.answers("/freshz", 503);
    }

    app.fail("");
    app.answers("/livez", 200);
    app.put("level", "warn");
    app.shows("level", "warn");
    app.answers("/freshz", 200);
    eventually(format_args!("the change is told; {}", app.tail()), || {
        let target = app.try_status()?["targets"]["main"].clone();
        let settled = target["owed_seconds"].is_null() && target["outcome"] == "confirmed";
        (settled && target["generation"] == app.generation()).then_some(())
    });
    assert!(app.stop().success());
}

/// Does the same for each kind of task, all at once: each waits most of the time.
fn each<const N: usize>(tasks: [(&'static str, &'static str); N], test: fn(&str, &str)) {
    let threads = tasks.map(|(point, task)| {
        let name = point.to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || test(point, task));
        thread.expect("a thread")
    });
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// Makes one task hang, with heartbeats that may stay away for so many seconds.
fn hang_for(seconds: u64, point: &str, task: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let silence = format!("{seconds}s");
    let hang = hang(point, task, &silence, Duration::from_secs(seconds));
    runtime.expect("a runtime").block_on(hang);
}

#[test]
fn l05_each_task_that_hangs_is_named_and_may_go_on() {
    each(TASKS, |point, task| hang_for(2, point, task));
}

#[test]
fn l05_an_admin_endpoint_that_hangs_answers_no_probe() {
    let (mut app, _endpoint) = whole("2s");
    app.fail("admin hang");
    app.start();
    eventually("the rest of it works", || app.read("level"));
    let probe = std::net::TcpStream::connect(app.listen()).expect("the port is bound");
    probe.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    std::io::Write::write_all(&mut &probe, b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        .expect("sent");
    let read = std::io::Read::read(&mut &probe, &mut [0]);
    assert!(read.is_err(), "a prober waits in vain, and counts that as a failure");
    app.fail("");
    app.answers("/livez", 200);
    app.answers("/freshz", 200);
}

/// Places beside those of [`TASKS`] at which one may die: each module on the way of a change.
const PLACES: [(&str, &str); 9] = [
    ("guard", "pipeline"),
    ("stage", "volume"),
    ("check", "pipeline"),
    ("flip", "volume"),
    ("flipped", "volume"),
    ("collect", "volume"),
    ("journal", "volume"),
    ("tell", "target main"),
    ("verify", "target main"),
];

/// The same with a check before each flip, evidence after each call, and two files in a generation.
fn with_everything() -> (App, Endpoint) {
    let (app, endpoint) = whole("2s");
    let yaml = std::fs::read_to_string(app.config()).expect("a configuration");
    let check = format!("checks: [{{ http: {{ url: \"{}\" }} }}]\n", endpoint.url("/check"));
    let verify = format!("verify: {{ status: {{ url: \"{}\" }} }}", endpoint.url("/ok"));
    let twice = "to: level }, { inline: \"{{ base.level }}\", to: again }";
    let yaml = yaml.replace("min_interval: 0s", &format!("min_interval: 0s, {verify}"));
    app.configure(yaml.replace("to: level }", twice) + &check);
    (app, endpoint)
}

/// Makes one place panic, and starts anew: first with sources that do not answer.
fn die(point: &str, _: &str) {
    let (mut app, _endpoint) = with_everything();
    app.start().settles("main", "confirmed");
    app.fail(&format!("{point} panic"));
    poke(&mut app, point);
    let (status, log) = app.ends();
    assert!(status.code().is_some_and(|code| code != 0), "{point}: {status}\n{log}");
    assert!(log.contains("failpoint.rs"), "{log}");
    if point == "journal" {
        // Asked for by a target alone: nobody else would learn of it soon.
        assert!(log.contains("`volume thread`"), "{log}");
    }

    let (generation, level) = (app.generation(), app.read("level"));
    assert!(level.is_some() && level == app.read("again"), "{point}: what is visible is whole");
    app.fail("source hang");
    app.start().ready();
    assert_eq!((app.generation(), app.read("level")), (generation, level), "{point}");
    app.fail("");
    app.put("level", "after");
    app.shows("level", "after");
    app.shows("again", "after");
    app.answers("/freshz", 200);
    app.settles("main", "confirmed");
}

#[test]
fn l06_a_panic_in_any_task_ends_the_process_and_the_next_one_goes_on() {
    each(TASKS, die);
}

#[test]
fn l06_a_panic_at_any_step_of_a_change_ends_the_process_and_the_next_one_goes_on() {
    each(PLACES, die);
}

#[test]
fn l06_a_panic_of_the_admin_endpoint_ends_the_process() {
    let (mut app, _endpoint) = whole("2s");
    // It passes its failpoint once, when it starts.
    app.fail("admin panic");
    let (status, log) = app.start().ends();
    assert_eq!(status.code(), Some(1), "{log}");
    app.fail("");
    app.start().settles("main", "confirmed");
}

#[test]
fn l06_a_panic_while_a_volume_is_opened_is_tried_again_beside_what_is_visible() {
    let (mut app, _endpoint) = whole("2s");
    app.fail("adopt panic");
    let (status, log) = app.start().ends();
    assert_eq!(status.code(), Some(1), "nothing is visible: {log}");
    app.fail("");
    app.start().settles("main", "confirmed");
    assert!(app.stop().success());

    app.fail("adopt panic");
    app.start().ready();
    assert!(app.answers("/freshz", 503).contains("publish: "));
    app.fail("");
    app.put("level", "after");
    app.shows("level", "after");
    app.answers("/freshz", 200);
    app.settles("main", "confirmed");
}

#[test]
fn l06_inputs_whose_rendering_panics_twice_are_held_until_they_change() {
    let (mut app, _endpoint) = whole("2s");
    app.start().settles("main", "confirmed");
    app.fail("render panic");
    app.put("level", "deadly");
    for _ in 0..2 {
        let (status, log) = app.ends();
        assert_eq!(status.code(), Some(1), "{log}");
        app.start();
    }
    app.ready();
    eventually(format_args!("the inputs are held; {}", app.tail()), || {
        app.get("/freshz")?.body.contains("ended the process twice").then_some(())
    });
    app.answers("/livez", 200);
    assert_eq!(app.read("level").as_deref(), Some("info"), "the last good generation stays");
    app.fail("");
    app.put("level", "after");
    app.shows("level", "after");
    app.answers("/freshz", 200);
    app.settles("main", "confirmed");
}

#[test]
fn l05_an_idle_healthy_system_is_not_silent() {
    let (mut app, _endpoint) = whole("1s");
    app.start().settles("main", "confirmed");
    let begun = std::time::Instant::now();
    // Many times what a task may be silent.
    eventually("it was idle for a while", || {
        let live = app.get("/livez").expect("an answer");
        assert_eq!(live.status, 200, "{}", live.body);
        (begun.elapsed() > Duration::from_secs(10)).then_some(())
    });
    app.put("level", "debug");
    app.shows("level", "debug");
    app.answers("/freshz", 200);
}

#[test]
fn l05_what_ships_has_no_failpoints() {
    let program = std::fs::read(crate::support::app::program()).expect("the binary under test");
    let name = b"REHUP_FAILPOINTS";
    assert!(!program.windows(name.len()).any(|window| window == name), "it can be told to fail");
}

/// With the silence of production.
mod soak {
    use super::*;

    #[test]
    fn l05_each_task_that_hangs_is_named_within_a_minute() {
        each(TASKS, |point, task| hang_for(60, point, task));
    }

    #[test]
    fn l05_ten_idle_minutes_are_no_silence() {
        let (mut app, _endpoint) = whole("60s");
        app.start().settles("main", "confirmed");
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(600) {
            for probe in ["/livez", "/readyz", "/freshz"] {
                let answer = app.get(probe).expect("an answer");
                assert_eq!(answer.status, 200, "{probe}: {}", answer.body);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        app.put("level", "debug");
        app.shows("level", "debug");
    }
}
