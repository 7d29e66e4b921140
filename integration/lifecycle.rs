//! Start, stop, crash and restart: what is owed is told, what is settled is not repeated, and a bad
//! configuration harms nobody.

use crate::support::{
    app::App,
    endpoint::{Endpoint, Manner},
    patience::eventually,
    target::Counter,
};

/// A configuration of one file source and one template; `rest` is appended.
fn configuration(app: &App, rest: &str) -> String {
    let base = app.folder().join("base");
    std::fs::create_dir_all(&base).expect("a source folder");
    format!(
        "sources: {{ base: {{ files: {{ path: {} }} }} }}\n\
         templates:\n  - {{ inline: \"{{{{ base.level }}}}\", to: level }}\n\
         settle: off\n{rest}",
        base.display()
    )
}

/// A target that is signalled without delay.
fn counted(counter: &Counter) -> String {
    format!(
        "targets:\n  - {{ name: main, signal: SIGHUP, {}, min_interval: 0s, min_uptime: 0s }}\n",
        counter.process_yaml()
    )
}

#[test]
fn a_change_becomes_a_generation_and_one_signal() {
    let (mut app, counter) = (App::new(), Counter::start());
    app.configure(configuration(&app, &counted(&counter)));
    app.put("level", "info");
    app.start().ready();
    app.shows("level", "info");
    eventually("the first generation is told", || (counter.count() == 1).then_some(()));
    app.put("level", "debug");
    app.shows("level", "debug");
    eventually("the second generation is told", || (counter.count() == 2).then_some(()));
    app.settles("main", "unknown");
    assert_eq!(app.generation(), 2);
    assert!(app.stop().success(), "SIGTERM ends with exit code 0");
}

#[test]
fn once_then_run_makes_no_second_generation() {
    let mut app = App::new();
    app.configure(configuration(&app, ""));
    app.put("level", "info");
    let once = app.run(&["once"]);
    assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
    assert_eq!(app.generation(), 1);
    app.start().answers("/freshz", 200);
    assert_eq!(app.generation(), 1);
}

#[test]
fn a_restart_with_nothing_new_reloads_nothing() {
    let (mut app, counter) = (App::new(), Counter::start());
    app.configure(configuration(&app, &counted(&counter)));
    app.put("level", "info");
    app.start().ready().settles("main", "unknown");
    eventually("it was told", || (counter.count() == 1).then_some(()));
    assert!(app.stop().success());
    app.start().answers("/freshz", 200);
    assert_eq!((app.generation(), counter.count()), (1, 1));
    app.put("level", "debug");
    eventually("the next change is told", || (counter.count() == 2).then_some(()));
    assert_eq!(app.generation(), 2);
}

#[test]
fn a_kill_before_the_signal_leaves_exactly_one_to_send() {
    let (mut app, counter) = (App::new(), Counter::start());
    let door = Endpoint::start(Manner::Status(503));
    let target = format!(
        "targets:\n  - {{ name: main, signal: SIGHUP, {}, ready: {{ url: \"{}\" }} }}\n",
        counter.process_yaml(),
        door.url("/ready")
    );
    app.configure(configuration(&app, &target));
    app.put("level", "info");
    app.start().ready();
    eventually("readiness is asked for", || (!door.requests().is_empty()).then_some(()));
    app.kill();
    assert_eq!(counter.count(), 0, "not ready, so nothing was sent");
    door.turn(Manner::Status(200));
    app.start().settles("main", "unknown");
    // It is settled when the kernel has taken the signal, a moment before the handler ran.
    eventually("the signal is counted", || (counter.count() > 0).then_some(()));
    assert_eq!((app.generation(), counter.count()), (1, 1));
}

#[test]
fn a_kill_between_sending_and_recording_sends_once_or_twice_and_the_newest_content() {
    // Older than the first flip, so that it is owed a reload as soon as it is a target.
    let (mut app, counter) = (App::new(), Counter::that_kills());
    // A confined one would need a restart to read the receiver's pid file.
    let open = "confine: false\n";
    app.configure(configuration(&app, open));
    app.put("level", "info");
    app.start().ready();
    counter.aim(app.process().pid());
    app.configure(configuration(&app, &(counted(&counter) + open)));
    eventually("the signal's receiver kills rehup", || app.process().exited());
    app.kill();
    app.put("level", "debug");
    app.start().shows("level", "debug");
    app.settles("main", "unknown");
    // One for the change, and one or two for the generation before it.
    eventually("both are counted", || (counter.count() > 1).then_some(()));
    assert!((2..=3).contains(&counter.count()), "{} signals", counter.count());
}

#[test]
fn a_target_that_hangs_is_still_told_when_the_next_generation_is_not_about_it() {
    let mut app = App::new();
    let endpoint = Endpoint::start(Manner::Hang);
    let rest = format!(
        "  - {{ inline: \"{{{{ base.other }}}}\", to: other }}\n\
         targets:\n  - name: main\n    http: {{ url: \"{}\", timeout: 1s }}\n    \
         only: [level]\n    tries: 100\n    min_interval: 0s\n",
        endpoint.url("/-/reload")
    );
    let yaml = configuration(&app, "").replace("settle: off\n", &rest) + "settle: off\n";
    app.configure(yaml);
    app.put("other", "1");
    app.put("level", "info");
    app.start().ready();
    eventually("the target is called", || (!endpoint.requests().is_empty()).then_some(()));
    app.put("other", "2");
    app.shows("other", "2");
    endpoint.turn(Manner::Status(200));
    app.settles("main", "confirmed");
}

#[test]
fn l12_a_restart_with_a_broken_configuration_keeps_the_last_good_generation_and_its_probes() {
    let unknown_field = |_: &str| b"sauces: {}\n".to_vec();
    let no_yaml = |_: &str| b"\xff\xfe\x00 {{{{ [".to_vec();
    let template = |good: &str| good.replace("{{ base.level }}", "{% if %}").into_bytes();
    let breaks: [fn(&str) -> Vec<u8>; 3] = [unknown_field, no_yaml, template];
    for broken in breaks {
        let mut app = App::new();
        let good = configuration(&app, "");
        let broken = broken(&good);
        app.configure(&good);
        app.put("level", "info");
        app.start().ready();
        assert!(app.stop().success());

        app.configure(broken);
        app.start().ready();
        let fresh = app.answers("/freshz", 503);
        assert!(fresh.contains("config_refused: "), "{fresh}");
        assert!(app.answers("/metrics", 200).contains("rehup_config_refused 1\n"));
        app.answers("/livez", 200);
        app.answers("/startupz", 200);
        assert_eq!((app.generation(), app.read("level").as_deref()), (1, Some("info")));

        app.put("level", "debug");
        app.configure(&good);
        app.answers("/freshz", 200);
        app.shows("level", "debug");
        assert!(app.answers("/metrics", 200).contains("rehup_config_refused 0\n"));
    }
}

#[test]
fn l12_a_broken_configuration_on_an_empty_volume_ends_with_78() {
    for (broken, said) in [("sauces: {}\n".as_bytes(), "sauces"), (b"\xff\xfe\x00 {{{{ [", "UTF-8")]
    {
        let mut app = App::new();
        app.configure(broken);
        let (status, log) = app.start().ends();
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains("rehup.yaml:1") && log.contains(said), "{log}");
    }
}

#[test]
fn an_edit_of_the_configuration_makes_a_generation_without_a_restart() {
    let mut app = App::new();
    app.configure(configuration(&app, ""));
    app.put("level", "info");
    app.start().ready();
    let more = "  - { inline: \"two\", to: second }\n";
    app.configure(configuration(&app, "").replace("settle: off\n", more) + "settle: off\n");
    app.shows("second", "two");
    assert_eq!(app.generation(), 2);
    app.configure(configuration(&app, ""));
    eventually("the gone name loses its link", || app.read("second").is_none().then_some(()));
    app.shows("level", "info");
}

#[test]
fn inputs_that_ended_the_process_twice_are_held_until_they_change() {
    let mut app = App::new();
    // Long enough to be killed in the middle, and only where the key says so.
    let endless = "{% if base.level == 'slow' %}{% for i in range(9999) %}{% for j in range(9999) %}\
                   {% endfor %}{% endfor %}{% endif %}{{ base.level }}";
    let template = app.folder().join("template");
    std::fs::write(&template, endless).expect("a template");
    let yaml = configuration(&app, "limits: { fuel: 100000000000 }\n");
    let inline = yaml.lines().find(|line| line.contains("inline")).expect("a template");
    app.configure(
        yaml.replace(inline, &format!("  - {{ file: {}, to: level }}", template.display())),
    );
    app.put_plainly("level", "info");
    app.start().ready();
    app.put_plainly("level", "slow");
    let marker = app.volume().join("..rehup/inputs");
    for ended in 0..2 {
        // The one before left a marker too, which counts one end less.
        let begun = format!("\"ended\":{ended}");
        eventually("the render has begun", || {
            std::fs::read_to_string(&marker).is_ok_and(|it| it.contains(&begun)).then_some(())
        });
        app.kill();
        app.start();
    }
    eventually(format_args!("the inputs are held; {}", app.tail()), || {
        app.get("/freshz")?.body.contains("ended the process twice").then_some(())
    });
    app.answers("/readyz", 200);
    app.shows("level", "info");
    app.put_plainly("level", "debug");
    app.shows("level", "debug");
    app.answers("/freshz", 200);
}
