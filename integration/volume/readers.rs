//! P06: a reader that opened the folder of a generation finishes it, however many come after.

use std::{
    fs::{self, File},
    io::Read,
    os::fd::OwnedFd,
    path::Path,
};

use rustix::fs::{Mode, OFlags};

use super::{app, configure, publishes};
use crate::support::{app::App, canary::unhide, patience::eventually};

const OUTPUTS: [&str; 4] = ["conf/a", "conf/b", "conf/deep/c", "d"];

/// The folder of the visible generation, as a reader holds it.
fn hold(app: &App) -> OwnedFd {
    let folder = fs::canonicalize(app.volume().join("..data")).expect("a generation");
    rustix::fs::open(&folder, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).expect("a folder")
}

/// Opens one file of it only now.
fn read(held: &OwnedFd, path: &str) -> std::io::Result<String> {
    let file = rustix::fs::openat(held, Path::new(path), OFlags::RDONLY, Mode::empty())?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text)?;
    Ok(unhide(&text))
}

/// Waits until it has looked for what may go.
fn tidies_up(app: &App) {
    let stray = app.volume().join("..gen-0-gone");
    fs::create_dir(&stray).expect("a folder");
    publishes(app, &OUTPUTS, "tidy");
    eventually(format_args!("it tidies up; {}", app.tail()), || (!stray.exists()).then_some(()));
}

#[test]
fn p06_a_slow_reader_finishes_what_it_began() {
    let mut app = app("set", &OUTPUTS);
    // Nothing but the usual grace holds it; more than ten would be too many for that too.
    configure(&app, "set", &OUTPUTS, "keep: 0");
    app.start().ready();
    let held = hold(&app);
    for (turn, path) in OUTPUTS.iter().enumerate() {
        publishes(&app, &OUTPUTS, &turn.to_string().repeat(2));
        // A restart in between forgets nobody.
        if turn == 1 {
            app.stop();
            app.start().ready();
        }
        tidies_up(&app);
        let text = read(&held, path).expect("it is still there");
        assert_eq!(text, format!("{path} 0"), "what it began with");
    }
}

#[test]
fn p06_after_its_grace_it_goes() {
    let mut app = app("set", &OUTPUTS);
    configure(&app, "set", &OUTPUTS, "keep: 0, grace: 1s");
    app.start().ready();
    let held = hold(&app);
    publishes(&app, &OUTPUTS, "1");
    assert_eq!(read(&held, "d").expect("it is still there"), "d 0");
    eventually(format_args!("it is gone; {}", app.tail()), || read(&held, "d").err());
    super::shows(&app, &OUTPUTS, "1");
}

mod soak {
    use std::time::{Duration, Instant};

    use super::{OUTPUTS, app, configure, hold, publishes, read};

    #[test]
    fn p06_a_reader_that_takes_a_minute_finishes() {
        let mut app = app("set", &OUTPUTS);
        configure(&app, "set", &OUTPUTS, "keep: 0");
        app.start().ready();
        let held = hold(&app);
        publishes(&app, &OUTPUTS, "1");
        publishes(&app, &OUTPUTS, "2");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(58) {
            for path in OUTPUTS {
                assert_eq!(read(&held, path).expect("still there"), format!("{path} 0"));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}
