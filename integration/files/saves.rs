//! How people and programs save files, and what they put into them.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use super::scene::{Scene, replace};

/// A pause inside one save, as a slow writer or an editor makes it.
fn pause() {
    std::thread::sleep(Duration::from_millis(80));
}

/// So that probe files and backups would show.
fn copied() -> Scene {
    let mut scene = Scene::copied("30s");
    scene.start();
    scene
}

type Save = fn(&Path, &str);

/// Saves several times in one way: each time exactly one generation, with the whole content.
fn one_generation_for_each(way: &str, save: Save) {
    let scene = copied();
    for round in 1..=3 {
        let text = format!("{round}: the first half, and the second half\n");
        save(&scene.base().join("level"), &text);
        scene.app.shows("all/level", &text);
        // A late one would come with the next look.
        replace(&scene.base().join("mark"), &format!("{round}"));
        scene.app.shows("all/mark", &format!("{round}"));
        assert_eq!(scene.app.generation(), 1 + 2 * round, "{way}: {}", scene.app.tail());
        let log = scene.app.log();
        for other in ["4913", "level~", "level.swp"] {
            assert!(!log.contains(other), "{way}: {other} was published; {log}");
        }
    }
    scene.live();
}

fn halves(text: &str) -> (&str, &str) {
    text.split_at(text.len() / 2)
}

#[test]
fn f07_a_file_truncated_and_written_in_two_steps_is_one_generation() {
    one_generation_for_each("truncate and write", |path, text| {
        let (first, second) = halves(text);
        let mut file = File::create(path).expect("truncated");
        pause();
        file.write_all(first.as_bytes()).expect("written");
        pause();
        file.write_all(second.as_bytes()).expect("written");
    });
}

#[test]
fn f07_a_file_closed_between_two_writes_is_one_generation() {
    one_generation_for_each("shell redirections", |path, text| {
        let (first, second) = halves(text);
        fs::write(path, "").expect("truncated");
        pause();
        fs::write(path, first).expect("written");
        pause();
        let mut file = OpenOptions::new().append(true).open(path).expect("opened");
        file.write_all(second.as_bytes()).expect("written");
    });
}

/// As `> file`, a slow command and `>> file` do: longer than any settle.
#[test]
fn f07_a_file_emptied_long_before_it_is_written_is_one_generation() {
    one_generation_for_each("empty, think, write", |path, text| {
        fs::write(path, "").expect("truncated");
        std::thread::sleep(Duration::from_secs(1));
        fs::write(path, text).expect("written");
    });
}

#[test]
fn f07_a_file_that_stays_empty_is_believed() {
    let scene = copied();
    scene.write("level", "");
    scene.app.shows("all/level", "");
    scene.live();
}

#[test]
fn f07_a_file_written_beside_and_renamed_is_one_generation() {
    one_generation_for_each("write and rename", |path, text| {
        let (first, second) = halves(text);
        let new = path.with_file_name(".level.swp");
        let mut file = File::create(&new).expect("a new file");
        file.write_all(first.as_bytes()).expect("written");
        pause();
        file.write_all(second.as_bytes()).expect("written");
        fs::rename(new, path).expect("renamed");
    });
}

/// As vim does by default: a probe, the old file out of the way, a new one, the old one deleted.
#[test]
fn f07_probe_and_backup_of_an_editor_are_never_seen() {
    one_generation_for_each("an editor's steps", |path, text| {
        let (first, second) = halves(text);
        let (probe, backup) = (path.with_file_name("4913"), path.with_file_name("level~"));
        fs::write(&probe, "").expect("a probe");
        fs::remove_file(probe).expect("a probe");
        fs::rename(path, &backup).expect("a backup");
        let mut file = File::create(path).expect("a new file");
        file.write_all(first.as_bytes()).expect("written");
        pause();
        file.write_all(second.as_bytes()).expect("written");
        drop(file);
        fs::remove_file(backup).expect("a backup");
    });
}

#[test]
fn f07_a_save_by_vim_is_one_generation() {
    for backup in ["no", "yes"] {
        let scene = copied();
        for round in 1..=3 {
            let command = format!("%s/.*/round {round}/");
            let set = format!("set backupcopy={backup}");
            let mut vim = Command::new("vim");
            vim.args(["-u", "NONE", "-es", "-c", &set, "-c", &command, "-c", "wq"]);
            let status = vim.arg(scene.base().join("level")).status().expect("vim");
            assert!(status.success(), "vim ends with {status}");
            scene.app.shows("all/level", &format!("round {round}\n"));
            assert_eq!(scene.app.generation(), 1 + round, "{}", scene.app.tail());
        }
        scene.live();
    }
}

#[test]
fn f07_a_change_of_mode_or_time_alone_is_no_generation() {
    let scene = copied();
    let level = scene.base().join("level");
    for mode in [0o600, 0o644, 0o755] {
        fs::set_permissions(&level, fs::Permissions::from_mode(mode)).expect("a mode");
        scene.proven_again();
    }
    File::options().append(true).open(&level).expect("opened and closed");
    set_time(&level, SystemTime::now());
    scene.proven_again();
    assert_eq!(scene.app.generation(), 1, "{}", scene.app.tail());
    replace(&level, "1");
    scene.app.shows("all/level", "1");
    assert_eq!(scene.app.generation(), 2, "{}", scene.app.tail());
    scene.live();
}

fn set_time(path: &Path, time: SystemTime) {
    let file = File::options().append(true).open(path).expect("a file");
    file.set_modified(time).expect("a time");
}

#[test]
fn f11_other_content_of_the_same_size_and_time_is_seen() {
    let mut scene = Scene::at("base", "300ms");
    scene.write("level", "aaaa");
    let level = scene.base().join("level");
    let now = SystemTime::now();
    let day = Duration::from_secs(86_400);
    set_time(&level, now - day);
    scene.start().shows("level=aaaa;");
    // The same time; the clock moved back by years; forward by years; back again.
    let times = [now - day, SystemTime::UNIX_EPOCH + day, now + 5000 * day, now - day];
    for (time, letter) in times.into_iter().zip('b'..) {
        let value = letter.to_string().repeat(4);
        // In place and by rename.
        scene.write("level", &value);
        set_time(&level, time);
        scene.shows(&format!("level={value};"));
        let value = letter.to_ascii_uppercase().to_string().repeat(4);
        let new = scene.base().join(".new");
        fs::write(&new, &value).expect("a file");
        set_time(&new, time);
        fs::rename(&new, &level).expect("a rename");
        scene.shows(&format!("level={value};"));
        scene.live();
    }
}

#[test]
fn f12_text_arrives_exactly_as_it_is_stored() {
    let mut scene = Scene::new();
    scene.write("level", "plain");
    scene.start().shows("level=plain;");
    for text in [
        "\u{feff}a byte order mark",
        "lines\r\nof\r\nanother\r\nsystem\r\n",
        "old\rlines",
        "a NUL \0 inside",
        "no end of line",
        "   ",
        "",
        "é ü 漢 🦀",
    ] {
        replace(&scene.base().join("level"), text);
        scene.shows(&format!("level={text};"));
    }
    scene.live();
}

#[test]
fn f12_bytes_that_are_no_text_are_an_error_where_they_are_printed_and_nowhere_else() {
    let mut scene = Scene::new();
    scene.write("level", "good");
    scene.start().shows("level=good;");
    for bytes in [&b"\xff\xfe\x00"[..], b"caf\xe9", b"\xc0\x80", b"\xed\xa0\x80", b"cut \xf0\x9f"] {
        let new = scene.base().join(".new");
        fs::write(&new, bytes).expect("a file");
        fs::rename(new, scene.base().join("level")).expect("a rename");
        let causes = scene.app.answers("/freshz", 503);
        assert!(causes.contains("render") && causes.contains("level"), "{causes}");
        assert!(causes.contains("UTF-8"), "{causes}");
        scene.measures("rehup_fresh{cause=\"render\"} 0");
        scene.shows("level=good;");
        scene.app.answers("/readyz", 200);
        replace(&scene.base().join("level"), "good");
        scene.live();
    }
    assert_eq!(scene.app.generation(), 1);

    let scene = copied();
    fs::write(scene.base().join("level"), b"\xff\xfe\x00").expect("a file");
    crate::support::patience::eventually("a copy carries any bytes", || {
        let found = fs::read(scene.app.volume().join("all/level")).ok()?;
        (found == b"\xff\xfe\x00").then_some(())
    });
    scene.live();
}
