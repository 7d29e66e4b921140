//! P05: readers under fire. Generations follow one another while readers read set after set.
//!
//! Each file carries the number of its state and that number's digest, so that a torn file and a
//! torn set both show.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::ScopedJoinHandle,
};

use sha2::{Digest as _, Sha256};

use crate::support::{app::App, patience::eventually};

/// The set: in two folders and beside them.
const FILES: [&str; 6] = ["conf/a", "conf/b", "conf/deep/c", "d", "e/f", "g"];

/// What readers counted.
#[derive(Default)]
struct Count {
    /// Sets that were read whole through one folder.
    sets: AtomicU64,
    /// Files that were read by their visible names.
    files: AtomicU64,
}

fn serving(layout: &str) -> App {
    let mut app = App::new();
    app.put_plainly("n", "0");
    let template = |to: &str| {
        format!("  - {{ to: {to}, inline: \"{{{{ base.n }}}} {{{{ base.n | sha256 }}}}\\n\" }}\n")
    };
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\ntemplates:\n{}\
         output: {{ layout: {layout} }}\nsettle: off\n",
        app.folder().display(),
        FILES.map(template).concat(),
    ));
    app.quiet().start().ready();
    app
}

/// The number in a file, if it is whole.
fn number(path: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let number = text.split(' ').next().unwrap_or_default();
    let digest = Sha256::digest(number.as_bytes());
    let whole = text == format!("{number} {digest:x}\n");
    let parsed = number.parse().ok().filter(|_| whole);
    parsed.ok_or_else(|| format!("{} is torn: {text:?}", path.display()))
}

/// Reads a set through the folder that `..data` leads to, and files by their visible names, until
/// the end; the first thing that is wrong is its answer.
fn read(root: &Path, set: bool, count: &Count, ended: &AtomicBool) -> Result<(), String> {
    let mut newest = 0;
    while !ended.load(Ordering::Relaxed) {
        if set {
            let folder: PathBuf = fs::read_link(root.join("..data"))
                .map(|folder| root.join(folder))
                .map_err(|error| format!("..data: {error}"))?;
            let numbers = FILES.map(|path| number(&folder.join(path)));
            let numbers = numbers.into_iter().collect::<Result<Vec<_>, _>>()?;
            if numbers.iter().any(|number| *number != numbers[0]) {
                return Err(format!("a torn set: {numbers:?}"));
            }
            if numbers[0] < newest {
                return Err(format!("{} after {newest}", numbers[0]));
            }
            newest = numbers[0];
            count.sets.fetch_add(1, Ordering::Relaxed);
        }
        for path in FILES {
            number(&root.join(path))?;
        }
        count.files.fetch_add(FILES.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// So many generations, and readers until there were so many reads.
fn under_fire(layout: &str, generations: u64, reads: u64) {
    let app = serving(layout);
    let (count, ended, root) = (Count::default(), AtomicBool::new(false), app.volume());
    let set = layout == "set";
    let done = || if set { &count.sets } else { &count.files }.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| read(&root, set, &count, &ended))).collect();
        let mut made = 0;
        while made < generations || done() < reads {
            if readers.iter().any(ScopedJoinHandle::is_finished) {
                break;
            }
            made += 1;
            app.put_plainly("n", &made.to_string());
            eventually(format_args!("generation {made} is visible; {}", app.tail()), || {
                // A reader that failed ends the wait.
                let seen = number(&root.join("g")) == Ok(made);
                (seen || readers.iter().any(ScopedJoinHandle::is_finished)).then_some(())
            });
        }
        ended.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().expect("no panic").expect("every read is whole");
        }
        let [sets, files] = [&count.sets, &count.files].map(|it| it.load(Ordering::Relaxed));
        eprintln!("{made} generations, {sets} sets and {files} files read, layout {layout}");
    });
    app.answers("/freshz", 200);
}

#[test]
fn p05_no_reader_ever_sees_half_a_set() {
    under_fire("set", 200, 20_000);
}

#[test]
fn p05_single_files_are_each_whole() {
    under_fire("files", 100, 20_000);
}

mod soak {
    #[test]
    fn p05_a_million_sets_over_a_thousand_generations() {
        super::under_fire("set", 1_000, 1_000_000);
    }
}
