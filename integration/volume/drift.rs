//! P11: the program that reads the files changes or removes them.

use std::{fs, thread, time::Duration};

use super::{app, configure, publishes, refuses, shows};
use crate::support::{app::App, patience::eventually};

const OUTPUTS: [&str; 3] = ["conf/a", "conf/b", "c"];

type Damage = fn(&App);

/// What an app may do to what it reads; links of the set layout lead to the real file.
const DAMAGE: [(&str, Damage); 4] = [
    ("changed", |app| fs::write(app.volume().join("conf/a"), "mine").expect("a write")),
    ("emptied", |app| fs::write(app.volume().join("c"), "").expect("a write")),
    ("removed", |app| {
        let file = app.volume().join("conf/b").canonicalize().expect("a file");
        fs::remove_file(file).expect("a removal");
    }),
    ("made readable to nobody", |app| {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(app.volume().join("conf/a"), mode).expect("a mode");
    }),
];

/// Waits until the status and the metric tell of drift, or of none.
#[track_caller]
fn drifts(app: &App, what: &str, drifts: bool) {
    eventually(format_args!("{what}: drift {drifts}; {}", app.tail()), || {
        let told = app.try_status()?["generation"]["drift"].is_string();
        let counted = app.metric("rehup_generation_flawed{cause=\"drift\"}") > 0.5;
        (told == drifts && counted == drifts).then_some(())
    });
}

/// All at once on as many volumes, for each look takes its time.
fn each(more: &str, check: impl Fn(&App, &str) + Sync) {
    let layouts = ["set", "files"].into_iter();
    let all = layouts.flat_map(|layout| DAMAGE.map(|(what, damage)| (layout, what, damage)));
    thread::scope(|scope| {
        for (layout, what, damage) in all {
            let check = &check;
            scope.spawn(move || {
                let mut app = app(layout, &OUTPUTS);
                configure(&app, layout, &OUTPUTS, more);
                app.start().ready();
                damage(&app);
                check(&app, &format!("{what} in layout {layout}"));
            });
        }
    });
}

#[test]
fn p11_what_the_app_changed_is_told_and_the_next_publication_mends_it() {
    each("grace: 0s", |app, what| {
        drifts(app, what, true);
        // Told, and left: without `self_heal` it is the operator's.
        assert_eq!(app.count("rehup_generation"), 1, "{what}");
        app.answers("/readyz", 200);
        publishes(app, &OUTPUTS, "1");
        drifts(app, what, false);
    });
}

#[test]
fn p11_with_self_heal_it_is_published_again() {
    each("grace: 0s, self_heal: true", |app, what| {
        eventually(format_args!("{what} is healed; {}", app.tail()), || {
            (app.count("rehup_generation") > 1).then_some(())
        });
        shows(app, &OUTPUTS, "0");
        drifts(app, what, false);
        assert_eq!(app.count("rehup_generation"), 2, "{what}: once is enough");
        app.answers("/freshz", 200);
    });
}

#[test]
fn p11_arrivals_that_lead_to_nothing_do_not_put_off_the_look_at_the_volume() {
    let mut app = app("set", &OUTPUTS);
    app.start().ready();
    // Whatever comes, nothing can be published any more.
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ to: c, inline: \"{{{{ base.missing }}}}\" }}]\nsettle: off\n",
        app.folder().display()
    ));
    refuses(&app, &["render: "]);
    fs::write(app.volume().join("conf/a"), "mine").expect("a write");
    fs::remove_file(app.volume().join("conf")).expect("a link");
    let mut edits = 0;
    eventually(format_args!("the link is back; {}", app.tail()), || {
        edits += 1;
        if edits % 100 == 0 {
            app.put("a", &edits.to_string());
            thread::sleep(Duration::from_millis(1));
        }
        app.read("conf/b").map(|_| ())
    });
    drifts(&app, "it is told too", true);
}
