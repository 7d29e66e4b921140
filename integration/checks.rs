//! R12: what a check refuses, a check that hangs, a check that multiplies.

use std::{fs, path::PathBuf};

use crate::support::{app::App, limits::Limited, patience::eventually};

/// One file, and a check that is a shell script of its own.
fn checked(script: &str) -> (App, PathBuf) {
    let app = App::new();
    let path = app.folder().join("check.sh");
    fs::write(&path, script).expect("a script");
    app.put("level", "info");
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ inline: \"{{{{ base.level }}}}\", to: level }}]\nsettle: off\n\
         checks: [{{ exec: [sh, {}, \"{{dir}}/level\"], timeout: 1s }}]\n",
        app.folder().display(),
        path.display(),
    ));
    (app, path)
}

/// Processes whose environment or words name this folder.
fn processes(of: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let words = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    words.filter(|words| String::from_utf8_lossy(words).contains(of)).count()
}

/// Not visible, told, nothing left running; then a check that is well lets it through.
#[track_caller]
fn refused_until_mended(app: &App, script: &PathBuf, why: &str) {
    eventually(format_args!("the check {why}; {}", app.tail()), || {
        let told = app.get("/freshz").filter(|answer| answer.status == 503)?.body;
        (told.contains("check") && told.contains(why)).then_some(())
    });
    assert_eq!(app.read("level").as_deref(), Some("info"), "the last good generation stays");
    app.answers("/readyz", 200);
    let marker = script.display().to_string();
    eventually("no process of the check is left", || (processes(&marker) == 0).then_some(()));
    fs::write(script, "exit 0").expect("a script");
    app.put("level", "mended");
    app.shows("level", "mended");
    app.answers("/freshz", 200);
}

#[test]
fn r12_a_check_that_says_no_keeps_the_last_good_generation() {
    let (mut app, script) = checked("exit 0");
    app.start().shows("level", "info");
    fs::write(&script, "grep -q good \"$1\"").expect("a script");
    app.put("level", "bad");
    refused_until_mended(&app, &script, "said no");
}

#[test]
fn r12_a_check_that_hangs_ends_at_its_deadline_with_its_children() {
    let (mut app, script) = checked("exit 0");
    app.start().shows("level", "info");
    fs::write(&script, "sh -c 'sleep 1000; : \"$0\"' \"$0\" &\nsh -c 'sleep 1000; :' \"$0\"\n")
        .expect("a script");
    app.put("level", "slow");
    refused_until_mended(&app, &script, "gave no answer");
}

#[test]
fn r12_a_check_that_ends_leaves_nothing_running() {
    for (end, why) in [("exit 1", Some("said no")), ("exit 0", None)] {
        let (mut app, script) = checked("exit 0");
        app.start().shows("level", "info");
        let leave = format!("sh -c 'sleep 1000; : \"$0\"' \"$0\" &\n{end}\n");
        fs::write(&script, leave).expect("a script");
        app.put("level", "next");
        if let Some(why) = why {
            refused_until_mended(&app, &script, why);
        } else {
            app.shows("level", "next");
            let marker = script.display().to_string();
            eventually("nothing of it is left", || (processes(&marker) == 0).then_some(()));
        }
    }
}

#[test]
fn r12_a_check_that_multiplies_without_end_is_ended_whole() {
    let limited = Limited::new(&[("pids", "pids.max", "120")]);
    let (mut app, script) = checked("exit 0");
    app.start_through(&limited.entry()).shows("level", "info");
    fs::write(&script, "bomb() { bomb \"$0\" | bomb \"$0\" & }\n{ bomb; } &\nexec sleep 1000\n")
        .expect("a script");
    app.put("level", "bomb");
    refused_until_mended(&app, &script, "gave no answer");
    assert!(app.stop().success());
    eventually("nothing is left in the group", || limited.is_empty().then_some(()));
}
