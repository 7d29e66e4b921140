//! X01, X04, X07: names and templates that want out of the volume, or out of their line.

use std::{collections::BTreeMap, fs, path::Path};

use crate::support::{
    app::App,
    canary::hide,
    consul::Consul,
    etcd::{Etcd, Version},
    patience::eventually,
};

/// Keys that are no file on the volume, with what is said of each.
fn traps() -> Vec<(Vec<u8>, &'static str)> {
    let long = ["x".repeat(300), "y/".repeat(2100) + "y"];
    let [name, path] = long.map(String::into_bytes);
    let text: [(&str, &str); 12] = [
        ("..", ".."),
        (".", "."),
        ("../outside", ".."),
        ("a/../../outside", ".."),
        ("a/..", ".."),
        ("a/./b", "."),
        ("/absolute", "/"),
        ("a//b", "//"),
        ("folder/", "/"),
        ("nul\0byte", "\\0"),
        ("new\nline", "\\n"),
        ("escape\u{1b}[2Jsequence", "\\u{1b}"),
    ];
    let mut all: Vec<_> =
        text.map(|(key, said)| (key.as_bytes().to_vec(), said)).into_iter().collect();
    all.extend([(name, "xxx"), (path, "y/y")]);
    all
}

/// Keys that only look dangerous; each is a file like any other. Our own names are ours only at the
/// top, where no key can put a file.
const LOOKALIKES: [&str; 11] = [
    "..data",
    "..gen-1-a/x",
    "..rehup/journal",
    "..manifest",
    "...",
    "a\\..\\b",
    "．．",
    "a∕..∕b",
    "%2e%2e%2f",
    "~root",
    "-rf *; $(x) `y` 'z' \"q\"",
];

/// Everything below a folder but what Rehup owns, with what it is.
fn picture(folder: &Path, own: &Path) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|it| it.expect("an entry")) {
            let (path, meta) = (entry.path(), entry.metadata().expect("an entry"));
            // Ours, and logs, which grow.
            let log = entry.file_name().to_string_lossy().starts_with("log-");
            if path == own || log {
                continue;
            }
            if meta.is_dir() {
                folders.push(path.clone());
            }
            let content = fs::read(&path).unwrap_or_default();
            let what = format!("{:?} {:?} {content:?}", meta.permissions(), meta.file_type());
            seen.insert(path.display().to_string(), what);
        }
    }
    seen
}

/// Copies every key below `raw/` and says one of them in a file beside.
fn copying(source: &str) -> App {
    let app = App::new();
    app.configure(format!(
        "sources: {{ app: {source} }}\ntemplates:\n  - {{ copy: {{ source: app, keys: \"**\" }}, \
         to: raw/ }}\n  - {{ inline: \"{{{{ app.good }}}}\", to: good }}\nsettle: off\n"
    ));
    app
}

/// A key is refused by name, nothing of its generation is published, and all goes on without it.
#[track_caller]
fn refuses(app: &App, outside: &BTreeMap<String, String>, said: &str) {
    let told = eventually(format_args!("{said:?} is refused; {}", app.tail()), || {
        let answer = app.get("/freshz").filter(|answer| answer.status == 503)?;
        answer.body.contains("cannot be").then_some(answer.body)
    });
    assert!(told.contains(said), "expected {said:?} in {told}");
    assert_eq!(told.trim_end().lines().count(), 1, "one line for one cause: {told:?}");
    assert_eq!(app.read("good").as_deref(), Some("1"), "the last good generation stays, whole");
    assert_eq!(&picture(app.folder(), &app.volume()), outside, "nothing is written elsewhere");
}

/// Every name goes back to its old meaning: what a stranger typed moves no cursor and no column.
#[track_caller]
fn prints_plain_lines(app: &App) {
    let log = app.log();
    assert!(log.lines().all(|line| line.starts_with("20")), "each line is an event of ours: {log}");
    let strange = |c: char| c.is_control() && c != '\n';
    for (what, text) in [("log", log), ("metrics", app.answers("/metrics", 200))] {
        assert!(!text.contains(strange), "{what}: {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_no_key_of_etcd_leads_out_of_the_volume() {
    let etcd = Etcd::start(Version::Current).await;
    let mut writer = etcd.client().await;
    writer.put("/app/good", hide("1"), None).await.expect("a put");
    let mut app =
        copying(&format!("{{ etcd: {{ endpoints: [\"{}\"], prefix: /app/ }} }}", etcd.endpoint()));
    app.start().shows("good", "1");
    let outside = picture(app.folder(), &app.volume());
    for (key, said) in traps() {
        let key = [b"/app/", &key[..]].concat();
        writer.put(key.clone(), hide("trap"), None).await.expect("a put");
        refuses(&app, &outside, said);
        writer.delete(key, None).await.expect("a deletion");
        app.answers("/freshz", 200);
    }
    // A file and the folder of another.
    for key in ["/app/a", "/app/a/b"] {
        writer.put(key, hide("trap"), None).await.expect("a put");
    }
    eventually(format_args!("both are named; {}", app.tail()), || {
        let told = app.get("/freshz").filter(|answer| answer.status == 503)?.body;
        (told.contains("raw/a") && told.contains("raw/a/b")).then_some(())
    });
    writer.delete("/app/a", None).await.expect("a deletion");
    app.shows("raw/a/b", "trap");
    for key in LOOKALIKES.iter().chain(&["A", "a-A"]) {
        writer.put(format!("/app/{key}"), hide("fine"), None).await.expect("a put");
        app.shows(&format!("raw/{key}"), "fine");
    }
    assert_eq!(picture(app.folder(), &app.volume()), outside);
    prints_plain_lines(&app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_no_transaction_of_consul_leads_out_of_the_volume() {
    let consul = Consul::start().await;
    consul.put("app/good", b"1").await;
    let mut app =
        copying(&format!("{{ consul: {{ address: \"{}\", prefix: app/ }} }}", consul.url()));
    app.start().shows("good", "1");
    let outside = picture(app.folder(), &app.volume());
    for (key, said) in traps() {
        // Consul takes no key that is longer than its limit, and JSON none that is no text.
        let Some(key) = String::from_utf8(key).ok().filter(|key| key.len() < 500) else { continue };
        let key = format!("app/{key}");
        consul.transaction(&[(key.clone(), b"trap")]).await;
        // A key that ends with a slash is a folder in Consul's own interface, and no file.
        if key.ends_with('/') {
            continue;
        }
        refuses(&app, &outside, said);
        let delete = serde_json::json!([{ "KV": { "Verb": "delete", "Key": key } }]);
        consul.json(reqwest::Method::PUT, "/v1/txn", delete).await;
        app.answers("/freshz", 200);
    }
    prints_plain_lines(&app);
}

#[test]
fn x04_a_template_has_no_way_to_files_environment_network_or_programs() {
    let app = App::new();
    app.put("good", "1");
    for wish in [
        "{{ file('/etc/passwd') }}",
        "{{ read('/etc/passwd') }}",
        "{{ env('HOME') }}",
        "{{ getenv('HOME') }}",
        "{{ exec('id') }}",
        "{{ shell('id') }}",
        "{{ plugin('id') }}",
        "{{ http('http://127.0.0.1/') }}",
        "{{ lookup('file', '/etc/passwd') }}",
        "{% include '/etc/passwd' %}",
        "{% include '../rehup.yaml' %}",
        "{% import 'os' as os %}{{ os.environ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ base.__class__ }}",
        "{{ self.__init__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ debug() }}",
        "{{ '/etc/passwd' | file }}",
        "{{ 'id' | system }}",
    ] {
        app.configure(format!(
            "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
             templates: [{{ inline: \"{wish}\", to: out }}]\n",
            app.folder().display()
        ));
        // What is found without values is found by `check`; a missing attribute by rendering.
        let (checked, rendered) = (app.run(&["check"]), app.run(&["render"]));
        let refused = !checked.status.success() || !rendered.status.success();
        assert!(refused, "{wish} is refused");
        assert!(rendered.stdout.is_empty(), "{wish} prints nothing");
    }
}

#[test]
fn x07_names_that_would_forge_lines_or_labels_stay_in_their_place() {
    let strange = "forged\n2026-01-01 INFO published generation=99\u{1b}[31m\"}\\ x=1";
    let mut app = App::new();
    app.put("good", "1");
    app.put(strange.replace('\n', "\u{2028}").as_str(), "value");
    let template = "{% for key, value in base | items %}{{ value }}{% endfor %}{{ base.absent }}";
    app.configure(format!(
        "sources: {{ base: {{ files: {{ path: {}/base }} }} }}\n\
         templates:\n  - {{ inline: \"{{{{ base.good }}}}\", to: good }}\n\
         \x20 - {{ copy: {{ source: base, keys: \"**\" }}, to: raw/ }}\n\
         \x20 - {{ inline: \"{template}\", to: \"out \\\"x\" }}\nsettle: off\n",
        app.folder().display()
    ));
    app.start();
    eventually(format_args!("it is refused; {}", app.tail()), || {
        app.get("/freshz")?.body.contains("cannot be").then_some(())
    });
    prints_plain_lines(&app);
    let json = serde_json::from_str::<serde_json::Value>(&app.answers("/status", 200));
    assert!(json.is_ok(), "the status is JSON whatever it tells of");
    for line in app.answers("/metrics", 200).lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "a sample: {line}");
    }
    assert!(!app.answers("/", 200).contains('\u{1b}'));
}
