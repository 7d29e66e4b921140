//! Faults of the followed path itself: it goes away, or is not what it should be.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

use super::scene::{Scene, replace};
use crate::support::app::App;

#[test]
fn f08_a_folder_that_is_deleted_and_made_again_is_followed_again() {
    let mut scene = Scene::new();
    scene.write("level", "0");
    scene.start().shows("level=0;");
    for round in 1..=3 {
        let last = format!("level={};", round - 1);
        fs::remove_dir_all(scene.base()).expect("the source");
        let error = scene.degraded("not_found", &last);
        assert!(error.contains("base does not exist"), "{error}");
        replace(&scene.base().join("level"), &round.to_string());
        scene.shows(&format!("level={round};"));
        scene.live();
        scene.watches("events");
    }
}

#[test]
fn f08_a_folder_that_is_renamed_away_and_back_is_followed_again() {
    let mut scene = Scene::new();
    scene.write("level", "0");
    scene.start().shows("level=0;");
    let (base, away) = (scene.base(), scene.app.folder().join("away"));
    for round in 1..=3 {
        fs::rename(&base, &away).expect("a rename");
        let last = format!("level={};", round - 1);
        scene.degraded("not_found", &last);
        // What happens elsewhere is nobody's business, and counts when it is back.
        replace(&away.join("level"), &round.to_string());
        fs::rename(&away, &base).expect("a rename");
        scene.shows(&format!("level={round};"));
        scene.live();
    }
    replace(&base.join("level"), "4");
    scene.shows("level=4;");
}

#[test]
fn f08_a_path_that_is_not_there_at_the_start_is_found_when_it_comes() {
    let mut scene = Scene::at("not/yet/there", "30s");
    scene.app.start();
    scene.source("not found", |source| source["state"] == "degraded(not_found)");
    assert!(scene.app.answers("/freshz", 503).contains("there does not exist"));
    scene.app.answers("/readyz", 503);
    let path = scene.app.folder().join("not/yet/there");
    fs::create_dir_all(&path).expect("folders");
    replace(&path.join("level"), "1");
    scene.shows("level=1;");
    scene.app.ready();
    scene.live();
}

#[test]
fn f08_a_required_key_that_is_gone_keeps_the_last_good_generation() {
    let mut scene = Scene::new();
    let required = format!(
        "sources: {{ base: {{ files: {{ path: {} }}, required: [level] }} }}\n\
         templates:\n  - {{ inline: \"{{{{ base.level }}}}\", to: content }}\nsettle: off\n",
        scene.base().display()
    );
    scene.app.configure(required);
    scene.write("level", "1");
    scene.write("other", "1");
    scene.start().shows("1");
    fs::remove_file(scene.base().join("level")).expect("a key");
    assert!(scene.app.answers("/freshz", 503).contains("level"));
    scene.shows("1");
    scene.app.answers("/readyz", 200);
    replace(&scene.base().join("level"), "2");
    scene.shows("2");
    scene.live();
}

/// What a followed file can turn into, the reason it is degraded for, and a part of the error.
type Odd = (&'static str, fn(&Path), &'static str, &'static str);

const ODDITIES: [Odd; 7] = [
    ("a FIFO", make_fifo, "malformed", "level is a FIFO"),
    ("a socket", |path| drop(UnixListener::bind(path).expect("a socket")), "malformed", "a socket"),
    ("a link to a device", |path| link("/dev/zero", path), "malformed", ""),
    ("a link to itself", |path| link("level", path), "malformed", "level cannot be read"),
    ("links in a circle", make_circle, "malformed", "cannot be read"),
    ("a link to nothing", |path| link("nothing", path), "not_found", "level"),
    ("10 GiB of nothing", make_sparse, "too_large", "max_bytes"),
];

fn make_fifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().expect("mkfifo of coreutils");
    assert!(status.success(), "mkfifo");
}

fn link(to: &str, path: &Path) {
    symlink(to, path).expect("a link");
}

fn make_circle(path: &Path) {
    link("circle", path);
    link("level", &path.with_file_name("circle"));
}

fn make_sparse(path: &Path) {
    let file = fs::File::create(path.with_file_name(".sparse")).expect("a file");
    file.set_len(10 << 30).expect("a size");
    fs::rename(path.with_file_name(".sparse"), path).expect("a rename");
}

/// Turns `level` into each oddity and back; it is followed as `path`.
fn survives_oddities(path: &str) {
    let mut scene = Scene::beside(path, "30s");
    scene.start().shows("0");
    let level = scene.base().join("level");
    let mut last = "0".to_owned();
    for (round, (name, make, reason, said)) in ODDITIES.into_iter().enumerate() {
        fs::remove_file(&level).expect("a key");
        make(&level);
        let error = scene.degraded(reason, &last);
        assert!(error.contains(said), "{name}: {error}");
        replace(&scene.app.folder().join("good/key"), name);
        scene.app.shows("good", name);
        scene.shows(&last);
        drop(fs::remove_file(level.with_file_name("circle")));
        last = format!("{round} mended");
        replace(&level, &last);
        scene.shows(&last);
        scene.live();
    }
}

#[test]
fn f10_what_is_no_file_in_a_folder_is_named_and_harms_nobody() {
    survives_oddities("base");
}

#[test]
fn f10_what_is_no_file_where_a_file_was_followed_is_named_and_harms_nobody() {
    survives_oddities("base/level");
}

#[test]
fn f10_a_folder_where_a_file_was_followed_is_held() {
    let mut scene = Scene::beside("base/level", "30s");
    scene.start().shows("0");
    let level = scene.base().join("level");
    fs::remove_file(&level).expect("a key");
    fs::create_dir(&level).expect("a folder");
    scene.source("held", |source| source["held"].is_object());
    assert!(scene.app.answers("/freshz", 503).contains("held: base"));
    replace(&scene.app.folder().join("good/key"), "1");
    scene.shows("0");
    fs::remove_dir(&level).expect("a folder");
    replace(&level, "1");
    scene.shows("1");
    scene.app.shows("good", "1");
    scene.live();
}

/// Nobody: root may read anything.
const NOBODY: u32 = 65_534;

#[test]
fn f10_a_file_or_folder_that_may_not_be_read_is_named_and_harms_nobody() {
    let mut scene = Scene::beside("base", "30s");
    start_as_nobody(&mut scene.app);
    scene.shows("0");
    let places = [(scene.base().join("level"), 0o644), (scene.base(), 0o755)];
    for (place, mode) in places {
        set_mode(&place, 0);
        let last = scene.app.read("content").expect("a generation");
        // A file's mode is told by an event; what was open to us stays as it was until a look.
        let error = scene.degraded("permission", &last);
        assert!(error.contains("cannot be read"), "{error}");
        assert!(error.contains(place.to_str().expect("UTF-8")), "{error}");
        let other = place.display().to_string();
        replace(&scene.app.folder().join("good/key"), &other);
        scene.app.shows("good", &other);
        set_mode(&place, mode);
        replace(&scene.base().join("level"), &other);
        scene.shows(&other);
        scene.live();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Starts it without the rights of root, where we have them.
fn start_as_nobody(app: &mut App) {
    if !nix::unistd::geteuid().is_root() {
        app.start().ready();
        return;
    }
    for place in [app.folder().to_owned(), app.volume()] {
        chown(place, Some(NOBODY), Some(NOBODY)).expect("root gives away");
    }
    let id = NOBODY.to_string();
    app.start_through(&["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--"]).ready();
}
