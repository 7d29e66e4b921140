//! Wrong input: one clear error with its place and a hint, and nothing on the volume changes.

use std::{os::unix::fs::PermissionsExt, process::Output};

use crate::support::{
    app::{self, App},
    patience::eventually,
    process::free_port,
};

/// A configuration that is right but for what a case changes.
const GOOD: &str = "\
sources: { base: { files: { path: /etc/hostname } } }
templates:
  - { inline: 'x', to: a.txt }
";

/// Checks a configuration offline and gives what was said.
fn check(app: &App) -> Output {
    let output = app.run(&["check"]);
    let volume = std::fs::read_dir(app.volume()).expect("a volume");
    assert_eq!(volume.count(), 0, "check writes nothing");
    output
}

/// The mistakes that were told, without time and place of the log.
fn mistakes(log: &str) -> Vec<&str> {
    log.lines().filter_map(|line| line.split_once(" ERROR ")).map(|(_, said)| said).collect()
}

/// `rehup check` refuses it offline.
#[track_caller]
fn refused_by_check(yaml: &str, said: &[&str]) -> App {
    let app = App::new();
    app.configure(yaml);
    let output = check(&app);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "for:\n{yaml}\nit said:\n{errors}");
    for part in said {
        assert!(errors.contains(part), "expected {part:?} for:\n{yaml}\nin:\n{errors}");
    }
    app
}

/// The same, and a start says exactly what `check` does, and ends.
#[track_caller]
fn refused(yaml: &str, said: &[&str]) {
    let mut app = refused_by_check(yaml, said);
    let checked = String::from_utf8_lossy(&check(&app).stderr).into_owned();
    let (status, log) = app.start().ends();
    assert_eq!(status.code(), Some(78), "{log}");
    let checked = mistakes(&checked);
    assert!(!checked.is_empty() && checked == mistakes(&log), "{checked:?} but:\n{log}");
    assert_eq!(std::fs::read_dir(app.volume()).expect("a volume").count(), 0, "nothing is written");
}

#[test]
fn the_good_configuration_is_accepted() {
    let app = App::new();
    app.configure(GOOD);
    let output = check(&app);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn x12_broken_yaml_is_refused_with_its_line() {
    refused("sources: {\ntemplates: ]\n", &["rehup.yaml:"]);
}

#[test]
fn x12_an_unknown_field_is_refused_with_a_hint() {
    refused(&format!("{GOOD}setle: off\n"), &["rehup.yaml:4", "setle", "settle"]);
}

#[test]
fn x12_two_templates_with_one_destination_are_refused() {
    refused(&format!("{GOOD}  - {{ inline: y, to: a.txt }}\n"), &["rehup.yaml:4", "a.txt"]);
}

#[test]
fn x12_destinations_outside_the_volume_or_with_our_names_are_refused() {
    for bad in ["../a", "/etc/a", "a/../../b", "..data", "..rehup/key", "..gen-1-aaaa/x"] {
        refused(&GOOD.replace("a.txt", bad), &["rehup.yaml:3", "templates[0].to", bad]);
    }
}

#[test]
fn x12_a_template_syntax_error_is_refused_with_its_line() {
    refused(&GOOD.replace("'x'", "'{% if %}'"), &["templates[0]:1"]);
}

#[test]
fn x12_an_unknown_source_in_a_template_is_found_by_check() {
    refused(&GOOD.replace("'x'", "'{{ bse.hostname }}'"), &["templates[0]:1", "bse", "base"]);
}

#[test]
fn x12_a_rollback_on_a_bare_signal_without_verify_is_refused() {
    let target =
        "targets:\n  - { name: a, signal: SIGHUP, process: { name: a }, on_reject: rollback }\n";
    refused(&format!("{GOOD}{target}"), &["targets[0].on_reject", "verify"]);
}

#[test]
fn x12_an_unknown_signal_is_refused_with_a_hint() {
    let target = "targets:\n  - { name: a, signal: SIGHUPP, process: { name: a } }\n";
    refused(&format!("{GOOD}{target}"), &["rehup.yaml:5", "targets[0].signal", "SIGHUP"]);
}

#[test]
fn x12_a_url_that_is_not_http_is_refused() {
    let target = "targets:\n  - { name: a, http: { url: \"ftp://localhost/reload\" } }\n";
    refused(&format!("{GOOD}{target}"), &["targets[0].http.url", "http"]);
}

#[test]
fn x12_every_mistake_is_reported_at_once() {
    let yaml = GOOD.replace("a.txt", "../a").replace("'x'", "'x', mode: 0999");
    refused(&format!("{yaml}setle: off\n"), &["templates[0].to", "templates[0].mode", "setle"]);
}

#[test]
fn x12_a_glob_or_a_duration_that_is_none_is_refused_with_its_line() {
    let copy = "{ copy: { source: base, keys: \"[\" }, to: all/ }";
    refused(
        &GOOD.replace("{ inline: 'x', to: a.txt }", copy),
        &["rehup.yaml:3", "templates[0].copy.keys", "["],
    );
    let target = "targets:\n  - { name: a, exec: [a], only: [\"a{\"] }\n";
    refused(&format!("{GOOD}{target}"), &["rehup.yaml:5", "targets[0].only[0]"]);
    refused(&format!("{GOOD}settle: {{ quiet: soon }}\n"), &["rehup.yaml:4", "settle.quiet"]);
}

#[test]
fn x12_an_edit_with_a_mistake_leaves_the_configuration_before_it_in_use() {
    let mut app = App::new();
    app.put("level", "0");
    let good = format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates:\n  - {{ inline: \"{{{{ base.level }}}}\", to: level }}\nsettle: off\n",
        app.folder().display()
    );
    app.configure(&good);
    app.start().shows("level", "0");
    let edits = [
        (good.replace("settle", "setle"), "rehup.yaml:4: setle"),
        (good.replace("settle: off", "settle: { quiet: soon }"), "rehup.yaml:4: settle.quiet"),
        (good.replace("{{ base.level }}", "{{ bse.level }}"), "templates[0]:1"),
        (good.replace("to: level", "to: ../level"), "rehup.yaml:3: templates[0].to"),
        (good.replace("sources: {", "sources: ["), "rehup.yaml:"),
        ("\0".to_owned(), "rehup.yaml:1"),
        (String::new(), "rehup.yaml:1"),
    ];
    for (number, (edit, said)) in edits.iter().enumerate() {
        app.configure(edit);
        eventually(format_args!("{said:?} is told; {}", app.tail()), || {
            let answer = app.get("/freshz").filter(|answer| answer.status == 503)?;
            (answer.body.contains("config_refused: ") && answer.body.contains(said)).then_some(())
        });
        assert_eq!(app.count("rehup_config_refused"), 1);
        app.process().signal(nix::sys::signal::Signal::SIGHUP);
        app.put("level", &(number + 1).to_string());
        app.shows("level", &(number + 1).to_string());
        app.answers("/readyz", 200);
        assert_eq!(app.count("rehup_config_refused"), 1, "{said} stays refused");
    }
    app.configure(good.replace("to: level", "to: other"));
    app.shows("other", &edits.len().to_string());
    app.answers("/freshz", 200);
    assert_eq!(app.count("rehup_config_refused"), 0);
}

#[test]
fn x12_a_missing_token_file_is_named_by_check_and_by_run() {
    let source = "sources: { base: { consul: { address: \"http://127.0.0.1:1\", prefix: a/, token_file: /no/such/token } } }";
    let yaml = GOOD.replace(GOOD.lines().next().expect("a line"), source);
    refused_by_check(&yaml, &["/no/such/token"]);
    let mut app = App::new();
    app.configure(&yaml);
    app.start().answers("/livez", 200);
    eventually("run names the file", || app.log().contains("/no/such/token").then_some(()));
    assert!(app.answers("/freshz", 503).contains("/no/such/token"));
}

#[test]
fn an_unreachable_store_is_tried_for_ever_and_told() {
    let source = format!(
        "sources: {{ base: {{ etcd: {{ endpoints: [\"http://127.0.0.1:{}\"], prefix: a/ }} }} }}",
        free_port()
    );
    let yaml = GOOD.replace(GOOD.lines().next().expect("a line"), &source);
    let mut app = App::new();
    app.configure(&yaml);
    app.start().answers("/readyz", 503);
    assert!(app.answers("/freshz", 503).contains("base"));
    eventually("the log names the source", || app.log().contains("source=base ").then_some(()));
    assert!(app.stop().success());
    let once = app.run(&["once", "--timeout", "1s"]);
    assert_eq!(once.status.code(), Some(1), "{}", String::from_utf8_lossy(&once.stderr));
}

#[test]
fn once_beside_a_good_generation_warns_and_succeeds() {
    let app = App::new();
    app.configure(GOOD);
    assert!(app.run(&["once"]).status.success());
    let source = "sources: { base: { files: { path: /no/such/folder } } }";
    app.configure(GOOD.replace(GOOD.lines().next().expect("a line"), source));
    let once = app.run(&["once", "--timeout", "1s"]);
    assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
    assert!(String::from_utf8_lossy(&once.stderr).contains("WARN"), "it warns");
    let strict = app.run(&["once", "--timeout", "1s", "--require-fresh"]);
    assert_eq!(strict.status.code(), Some(1));
    app.configure("sauces: {}\n");
    assert!(app.run(&["once"]).status.success());
    assert_eq!(app.run(&["once", "--require-fresh"]).status.code(), Some(78));
    assert_eq!(app.read("a.txt").as_deref(), Some("x"));
}

#[test]
fn a_missing_output_folder_is_named() {
    let mut app = App::new();
    app.configure(GOOD);
    std::fs::remove_dir(app.volume()).expect("an empty volume");
    let (status, log) = app.start().ends();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&app.volume().display().to_string()), "{log}");
}

#[test]
fn a_second_rehup_on_a_volume_says_who_holds_it() {
    let mut app = App::new();
    app.configure(GOOD);
    app.start().ready();
    let holder = app.process().pid().to_string();
    let once = app.run(&["once", "--timeout", "1s", "--require-fresh"]);
    let said = String::from_utf8_lossy(&once.stderr).into_owned();
    assert_eq!(once.status.code(), Some(1), "{said}");
    assert!(said.contains(&holder), "{said}");
    app.answers("/readyz", 200);
}

#[test]
fn a_read_only_output_folder_is_named() {
    if nix::unistd::geteuid().is_root() {
        // Root writes whatever the mode says: a read-only mount is needed.
        return read_only_mount();
    }
    let mut app = App::new();
    app.configure(GOOD);
    let read_only = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(app.volume(), read_only).expect("a mode");
    let (status, log) = app.start().ends();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&app.volume().display().to_string()), "{log}");
}

/// The same in a mount namespace of its own.
fn read_only_mount() {
    let app = App::new();
    app.configure(GOOD);
    let volume = app.volume().display().to_string();
    let script = format!("mount -t tmpfs -o ro none {volume} && exec \"$0\" run");
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).arg(app::program());
    command.envs(app.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().expect("unshare of util-linux");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&volume), "{said}");
}
