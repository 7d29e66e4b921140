//! P10: owners and modes are what the configuration says, before anybody can see the file.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::support::{app::App, patience::eventually};

const OWNER: u32 = 4321;
const GROUP: u32 = 5432;

fn configure(app: &App, layout: &str, access: &str) {
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates: [{{ to: conf/secret, inline: \"{{{{ base.a }}}}\", {access} }}]\n\
         output: {{ layout: {layout}, grace: 0s, keep: 1 }}\nsettle: off\n",
        app.folder().display()
    ));
}

/// Looks at every file under any name as soon as it exists; wider than this is a failure.
fn race(root: &Path, ended: &AtomicBool, seen: &AtomicUsize) -> Result<(), String> {
    while !ended.load(Ordering::Relaxed) {
        let tops = fs::read_dir(root).expect("a volume").flatten();
        let staged = tops.map(|entry| entry.path()).filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("..gen-"))
        });
        for folder in staged.chain([root.to_owned()]) {
            let Ok(meta) = fs::symlink_metadata(folder.join("conf/secret")) else { continue };
            seen.fetch_add(1, Ordering::Relaxed);
            let (mode, owner, group) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
            // Ours alone until it is theirs; wider only in their hands.
            let ours = owner == 0 && mode & !0o600 == 0;
            let theirs = owner == OWNER && group == GROUP && mode & !0o640 == 0;
            if !ours && !theirs {
                return Err(format!("{}: {mode:o} {owner}:{group}", folder.display()));
            }
        }
    }
    Ok(())
}

#[test]
fn p10_a_racing_reader_never_sees_a_file_wider_than_it_will_be() {
    for (layout, umask) in [("set", "000"), ("files", "077"), ("files", "000"), ("set", "077")] {
        let mut app = App::new();
        app.quiet().put("a", "0");
        let access = format!("mode: \"0640\", owner: {OWNER}, group: {GROUP}");
        configure(&app, layout, &access);
        let script = format!("umask {umask} && exec \"$@\"");
        app.start_through(&["sh", "-c", &script, "sh"]).ready();
        let (ended, seen, root) = (AtomicBool::new(false), AtomicUsize::new(0), app.volume());
        std::thread::scope(|scope| {
            let racer = scope.spawn(|| race(&root, &ended, &seen));
            for value in 1..=100 {
                app.put("a", &value.to_string());
                if value % 20 == 0 {
                    app.shows("conf/secret", &value.to_string());
                }
            }
            ended.store(true, Ordering::Relaxed);
            racer.join().expect("no panic").expect("never wider");
        });
        let meta = fs::metadata(root.join("conf/secret")).expect("a file");
        assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o640, OWNER, GROUP));
        let folder = fs::metadata(root.join("conf")).expect("a folder").mode() & 0o7777;
        assert_eq!(folder, 0o755, "umask {umask}");
        eprintln!("{} looks, layout {layout}, umask {umask}", seen.into_inner());
    }
}

#[test]
fn p10_files_below_a_set_group_id_folder_get_its_group() {
    for layout in ["set", "files"] {
        let mut app = App::new();
        app.quiet().put("a", "0");
        configure(&app, layout, "mode: \"0640\"");
        // As a volume is handed to a pod with an fsGroup.
        chown(app.volume(), Some(0), Some(GROUP)).expect("root");
        fs::set_permissions(app.volume(), fs::Permissions::from_mode(0o2777)).expect("a mode");
        app.start().ready();
        let look = |path: &str| {
            let meta = fs::metadata(app.volume().join(path)).expect("it is there");
            (meta.mode() & 0o7777, meta.gid())
        };
        assert_eq!(look("conf/secret"), (0o640, GROUP), "layout {layout}");
        assert_eq!(look("conf"), (0o2755, GROUP), "layout {layout}");
        assert_eq!(look("..rehup").0 & 0o777, 0o700, "layout {layout}");
    }
}

#[test]
fn p10_an_owner_that_we_may_not_give_is_a_start_error() {
    let mut app = App::new();
    app.quiet().put("a", "0");
    for folder in [app.folder(), &app.volume()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("a mode");
    }
    for (access, word) in [("owner", "only root"), ("group", "group")] {
        configure(&app, "set", &format!("{access}: {OWNER}"));
        app.start_through(&["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"]);
        let (status, log) = app.ends();
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains(&format!("templates[0].{access}")) && log.contains(word), "{log}");
        assert_eq!(fs::read_dir(app.volume()).expect("a volume").count(), 0, "nothing is begun");
    }
}

#[test]
fn p10_root_that_may_not_give_files_away_says_so_and_goes_on_without() {
    for layout in ["set", "files"] {
        let mut app = App::new();
        app.quiet().put("a", "0");
        configure(&app, layout, &format!("owner: {OWNER}"));
        app.start_through(&["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"]);
        let said = eventually(format_args!("it is refused; {}", app.tail()), || {
            let body = app.get("/freshz")?.body;
            body.contains("conf/secret").then_some(body)
        });
        assert!(said.contains("owner") && said.contains("CHOWN"), "{said}");
        app.answers("/readyz", 503);
        eventually("nothing of it is left", || {
            let visible = fs::read_dir(app.volume()).expect("a volume").flatten();
            let mut names = visible.map(|entry| entry.file_name());
            names.all(|name| name == "..rehup").then_some(())
        });
        // The file is to be ours after all.
        configure(&app, layout, "mode: \"0600\"");
        app.shows("conf/secret", "0");
        app.answers("/freshz", 200);
    }
}
