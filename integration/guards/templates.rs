//! What cannot be rendered, and what need not be.

use nix::sys::signal::Signal;

use crate::support::{app::App, patience::eventually, target::Counter};

/// A file source and these templates, with a target that counts its signals.
fn rendering(templates: &str, counter: &Counter) -> App {
    let app = App::new();
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }}, required: [level] }} }}\n\
         templates:\n{templates}\
         settle: off\n\
         targets: [{{ name: main, signal: SIGHUP, {}, min_interval: 0s, min_uptime: 0s }}]\n",
        app.folder().display(),
        counter.process_yaml()
    ));
    app
}

fn remove(app: &App, key: &str) {
    std::fs::remove_file(app.folder().join("base").join(key)).expect("a key");
}

/// What must be told while the newest view cannot be rendered.
#[track_caller]
fn told(app: &App, why: &[&str]) {
    let fresh = eventually(format_args!("it says {why:?}; {}", app.tail()), || {
        let answer = app.get("/freshz").filter(|answer| answer.status == 503)?;
        why.iter().all(|part| answer.body.contains(part)).then_some(answer.body)
    });
    assert!(fresh.contains("render: "), "{fresh}");
    assert!(app.answers("/metrics", 200).contains("rehup_fresh{cause=\"render\"} 0\n"));
    app.answers("/readyz", 200);
    app.answers("/livez", 200);
}

/// A metric without labels.
fn counted(app: &App, name: &str) -> u64 {
    let metrics = app.answers("/metrics", 200);
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in\n{metrics}"))
}

#[test]
fn r01_a_missing_key_is_named_and_nothing_of_the_new_view_is_published() {
    let counter = Counter::start();
    let templates = "  - { inline: \"{{ base.level }}\", to: level }\n  \
         - { inline: \"first line\\n{{ base.port }}\", to: deep/port }\n";
    let mut app = rendering(templates, &counter);
    app.put("level", "info");
    app.put("port", "80");
    app.start().shows("deep/port", "first line\n80");
    app.settles("main", "unknown");
    eventually("the first generation is told", || (counter.count() == 1).then_some(()));

    // An undefined variable: also the template that could be rendered stays as it was.
    remove(&app, "port");
    told(&app, &["templates[1]:2", "base[\"port\"]"]);
    app.put("level", "debug");
    eventually("the newer view was tried too", || {
        (app.try_status()?["sources"]["base"]["keys"] == 1).then_some(())
    });
    told(&app, &["templates[1]:2", "base[\"port\"]"]);
    assert_eq!((app.generation(), counter.count()), (1, 1));
    assert_eq!(
        (app.read("level").as_deref(), app.read("deep/port").as_deref()),
        (Some("info"), Some("first line\n80"))
    );
    app.put("port", "81");
    app.shows("deep/port", "first line\n81");
    app.shows("level", "debug");
    app.answers("/freshz", 200);
    assert_eq!(app.generation(), 2, "one generation with both");

    // A required key, also for templates that do not read it.
    remove(&app, "level");
    told(&app, &["required keys are missing", "base: level"]);
    assert_eq!((app.generation(), app.read("level").as_deref()), (2, Some("debug")));
    app.put("level", "warn");
    app.shows("level", "warn");
    app.answers("/freshz", 200);
    eventually("both changes were told", || (counter.count() == 3).then_some(()));
}

/// Swaps a mounted ConfigMap with one template, in the kubelet's order.
fn swap(app: &App, version: u32, template: &str) {
    let mount = app.folder().join("mounted");
    let new = mount.join(format!("..version_{version}"));
    std::fs::create_dir_all(&new).expect("a version");
    std::fs::write(new.join("level.j2"), template).expect("a template");
    let link = |from: &str, to: &str| std::os::unix::fs::symlink(from, mount.join(to));
    link(&format!("..version_{version}"), "..data_tmp").expect("a link");
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("the swap");
    // It is there from the second version on.
    drop(link("..data/level.j2", "level.j2"));
}

#[test]
fn r03_a_template_with_a_syntax_error_is_named_and_a_mended_one_applies() {
    let counter = Counter::start();
    let mut app = rendering("", &counter);
    let yaml = std::fs::read_to_string(app.config()).expect("the configuration");
    let place = app.folder().join("mounted/level.j2").display().to_string();
    app.configure(
        yaml.replace("templates:\n", &format!("templates: [{{ file: {place}, to: level }}]\n")),
    );
    swap(&app, 1, "{{ base.level }}");
    app.put("level", "info");
    app.start().shows("level", "info");
    app.settles("main", "unknown");

    swap(&app, 2, "one\ntwo\n{% if base.level %}");
    let fresh = eventually("the template is refused", || {
        let answer = app.get("/freshz").filter(|answer| answer.status == 503)?;
        answer.body.contains("config_refused").then_some(answer.body)
    });
    assert!(fresh.contains("level.j2:3"), "template and line are named: {fresh}");
    assert!(app.answers("/metrics", 200).contains("rehup_config_refused 1\n"));
    app.answers("/readyz", 200);
    // Data still flows through the templates that were accepted.
    app.put("level", "debug");
    app.shows("level", "debug");
    assert_eq!(app.generation(), 2);

    swap(&app, 3, "level {{ base.level }}");
    app.shows("level", "level debug");
    app.answers("/freshz", 200);
    assert!(app.answers("/metrics", 200).contains("rehup_config_refused 0\n"));
    eventually("each generation was told", || (counter.count() == 3).then_some(()));
}

#[test]
fn r10_a_change_that_alters_no_output_makes_no_generation_and_no_reload() {
    let counter = Counter::start();
    let templates = "  - { inline: \"{{ base.level | trim }}\", to: level }\n";
    let mut app = rendering(templates, &counter);
    app.put_plainly("level", "info");
    app.start().shows("level", "info");
    app.settles("main", "unknown");
    let before = counted(&app, "rehup_noop_renders_total");

    app.put_plainly("level", "info\n");
    eventually("a rendering was the same", || {
        (counted(&app, "rehup_noop_renders_total") == before + 1).then_some(())
    });
    app.put_plainly("unread", "value");
    eventually("another was", || {
        (counted(&app, "rehup_noop_renders_total") == before + 2).then_some(())
    });
    assert_eq!(counted(&app, "rehup_templates_rendered_total"), 2, "nobody reads the new key");
    app.process().signal(Signal::SIGHUP);
    eventually("everything was read again", || {
        app.answers("/metrics", 200).contains("reason=\"asked\"} 1\n").then_some(())
    });
    app.answers("/freshz", 200);
    assert_eq!((app.generation(), counter.count()), (1, 1));

    app.put_plainly("level", "debug");
    app.shows("level", "debug");
    eventually("a change that is one is told", || (counter.count() == 2).then_some(()));
}
