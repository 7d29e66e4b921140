//! Canaries: a mark in what must stay secret, looked for in everything that is printed.
//!
//! Tests write values with the mark and read published files without it, so that the whole suite
//! runs on secrets and yet reads as if there were none.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    sync::{LazyLock, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The mark. Its slash looks different in a URL.
pub const MARK: &str = "-kAnar7/enV0gel-";

static KEPT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// How a secret looks in another dress, each with its name.
fn dresses(secret: &str) -> Vec<(&'static str, String)> {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let mut all = vec![
        ("plain", secret.to_owned()),
        ("URL-encoded", secret.replace('/', "%2F")),
        ("hexadecimal", hex.to_ascii_uppercase()),
        ("hexadecimal", hex),
        ("as numbers", secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ")),
        ("escaped", secret.replace('/', "\\/")),
    ];
    // What is before the mark decides how its bytes fall into groups of three.
    for before in 0..3 {
        let text = STANDARD.encode([&vec![b'x'; before], secret.as_bytes()].concat());
        // The first and the last group also hold what is around.
        let inside = text[if before == 0 { 0 } else { 4 }..text.len() - 4].to_owned();
        all.push(("base64", inside));
    }
    all
}

/// A value with the mark.
pub fn hide(value: &str) -> String {
    format!("{value}{MARK}")
}

/// A published text as its test expects it.
pub fn unhide(text: &str) -> String {
    text.replace(MARK, "")
}

/// One more secret of this test run: a token, a password.
pub fn keep(secret: &str) {
    // A short one would be found in anything.
    if secret.len() >= 8 {
        KEPT.lock().expect("nobody panics with it").insert(secret.to_owned());
    }
}

/// Fails if anything that must stay secret shows in what was printed.
#[track_caller]
pub fn listen(what: &str, printed: &[u8]) {
    let text = String::from_utf8_lossy(printed);
    if let Some(found) = sings(&text) {
        panic!("{what} shows {found}");
    }
    count(printed.len());
}

fn sings(text: &str) -> Option<String> {
    static MARKS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| dresses(MARK));
    let kept = KEPT.lock().expect("nobody panics with it").clone();
    let kept: Vec<_> = kept.iter().flat_map(|secret| dresses(secret)).collect();
    let found = |(_, dress): &&(&str, String)| text.contains(dress.as_str());
    let (name, dress) = MARKS.iter().chain(&kept).find(found)?;
    let line = text.lines().find(|line| line.contains(dress.as_str())).unwrap_or_default();
    Some(format!("a secret ({name}): {line}"))
}

/// Notes that so many bytes were looked through: `make test` tells the sum.
fn count(bytes: usize) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("searched");
    let file = OpenOptions::new().create(true).append(true).open(path);
    let noted = file.and_then(|mut file| writeln!(file, "{bytes}"));
    noted.expect("a record of what was looked through");
}
