//! What YAML and the schema refuse: every mistake once, with line, path and hint.

use super::{GOOD, accepted, and_template, check, refused, source, target, template, with};

#[test]
fn what_is_no_yaml_has_its_line() {
    refused(&[
        (String::new(), &["1: the file is empty; it needs `sources` and `templates`"]),
        ("# nothing\n".into(), &["1: the file is empty; it needs `sources` and `templates`"]),
        ("just text".into(), &["1: expected a map"]),
        (GOOD.replace("a.txt }", "a.txt"), &["5: this is no YAML: unclosed bracket '{'"]),
        (
            GOOD.replace("  app:", "\tapp:"),
            &["2: this is no YAML: tabs disallowed within this context (block indentation)"],
        ),
        (
            with("output: { path: /b }"),
            &["7: the key `output` is there twice, a duplicate; drop one"],
        ),
        (
            with("---\na: b"),
            &["8: there is a second document; drop the line `---` and what follows"],
        ),
        (
            template("{ inline: {{ app.x }}, to: a.txt }"),
            &["5: this is no YAML: expected string scalar; put a text with `{{` in quotes"],
        ),
    ]);
    let unquoted = check(&GOOD.replace("/shared", "${VOLUME}"));
    assert!(unquoted.ends_with("; put a text with `${` in quotes"), "{unquoted}");
}

#[test]
fn neither_depth_nor_aliases_make_it_large() {
    let layer = |level: usize| {
        let before = format!("*a{},", level.saturating_sub(1)).repeat(level.min(1) * 10);
        format!("a{level}: &a{level} [{before}]\n")
    };
    let bomb: String = (0..12).map(layer).collect();
    assert!(check(&bomb).ends_with("it is too deep or too large, maybe by its aliases"));
    assert!(check(&"[".repeat(100_000)).contains("no YAML"));
}

#[test]
fn a_secret_of_a_template_is_in_no_yaml_error() {
    let yaml = GOOD.replace("'x'", "\"hunter2\n  hunter2 }\n");
    assert!(!check(&yaml).contains("hunter2"), "{}", check(&yaml));
}

#[test]
fn unknown_keys_are_named_with_a_hint() {
    refused(&[
        (with("setle: off"), &["7: setle: there is no such key; did you mean `settle`?"]),
        (
            with("kitchen: 1"),
            &[
                "7: kitchen: there is no such key; known are admin, checks, confine, guard, limits, output, settle, sources, targets, templates",
            ],
        ),
        (
            GOOD.replace("path: /etc/app", "path: /a, pol: 1s"),
            &["3: sources.app.files.pol: there is no such key; did you mean `poll`?"],
        ),
        (
            source("konsul: { address: \"http://a\", prefix: b }"),
            &["3: sources.app.konsul: there is no such key; did you mean `consul`?"],
        ),
        (
            template("{ inline: x, tp: a.txt }"),
            &["5: templates[0].tp: there is no such key; did you mean `to`?"],
        ),
    ]);
}

#[test]
fn what_is_below_a_misspelt_key_is_judged_too() {
    refused(&[
        (
            target("signall: SIGHUPP, proces: { nam: a }"),
            &[
                "8: targets[0].proces: there is no such key; did you mean `process`?",
                "8: targets[0].process.nam: there is no such key; did you mean `name`?",
                "8: targets[0].signal: `SIGHUPP` is no signal; did you mean SIGHUP?",
                "8: targets[0].signall: there is no such key; did you mean `signal`?",
            ],
        ),
        (
            GOOD.replace("sources:", "source:").replace("/etc/app", "[a]"),
            &[
                "1: source: there is no such key; did you mean `sources`?",
                "3: sources.app.files.path: expected text",
            ],
        ),
    ]);
}

#[test]
fn missing_keys_are_named() {
    refused(&[
        (
            "settle: off\n".into(),
            &[
                "1: the key `sources` is missing",
                "1: the key `templates` is missing",
                "1: output.path: there is no volume to write; set it here, by --output or by REHUP_OUTPUT",
            ],
        ),
        (template("{ inline: x }"), &["5: templates[0]: the key `to` is missing"]),
        (
            source("consul: {}"),
            &[
                "3: sources.app.consul: the key `address` is missing",
                "3: sources.app.consul: the key `prefix` is missing",
            ],
        ),
        (
            source(""),
            &[
                "2: sources.app: expected a map with consul, etcd, files, required, resync; it has no value",
            ],
        ),
    ]);
}

#[test]
fn wrong_types_say_what_to_write() {
    let mode = "5: templates[0].mode: expected text; write it in quotes, \"0640\"";
    refused(&[
        (template("{ inline: x, to: a, mode: 0640 }"), &[mode]),
        (template("{ inline: x, to: a, mode: 0o640 }"), &[mode]),
        (template("{ inline: x, to: a, mode: 640 }"), &[mode]),
        (
            template("{ inline: x, to: 1.10 }"),
            &["5: templates[0].to: expected text; write it in quotes, \"1.10\""],
        ),
        (
            template("{ inline: true, to: ~ }"),
            &[
                "5: templates[0].inline: expected text; write it in quotes, \"true\"",
                "5: templates[0].to: expected text; it has no value",
            ],
        ),
        (with("settle: { quiet: 200 }"), &["7: settle.quiet: expected text; write a unit, 200s"]),
        (with("guard: { max_removed: 50 }"), &["7: guard.max_removed: expected text; write 50%"]),
        (
            with("guard: { allow_empty: yes }"),
            &["7: guard.allow_empty: expected true or false; write true"],
        ),
        (with("admin: { listen: 9533 }"), &["7: admin.listen: expected text; write 0.0.0.0:9533"]),
        (
            with("targets: { name: a }"),
            &["7: targets: expected a list; begin each of its parts with `- `"],
        ),
        (target("exec: nginx -t"), &["8: targets[0].exec: expected a list; put it in [ ]"]),
        (
            target("signal: SIGHUP, process: nginx"),
            &["8: targets[0].process: expected a map with cmdline, name, pid_file"],
        ),
        (
            target("exec: [a], tries: \"3\""),
            &["8: targets[0].tries: expected a whole number; drop the quotes"],
        ),
        (with("settle: on"), &["7: settle: expected off or a map with max, quiet"]),
    ]);
}

#[test]
fn words_and_numbers_stay_in_their_bounds() {
    refused(&[
        (
            GOOD.replace("/shared", "/shared, keep: 11, layout: sets"),
            &[
                "6: output.keep: it is at most 10",
                "6: output.layout: expected one of set, files; did you mean `set`?",
            ],
        ),
        (target("exec: [a], tries: 0"), &["8: targets[0].tries: it is at least 1"]),
        (target("exec: []"), &["8: targets[0].exec: it must not be empty"]),
        (
            template("{ inline: x, to: a, group: 4294967296, owner: root }"),
            &[
                "5: templates[0].group: it is at most 4294967295",
                "5: templates[0].owner: expected a whole number",
            ],
        ),
        (
            template("{ inline: x, to: a, delimiters: { block: [a] } }"),
            &["5: templates[0].delimiters.block: expected 2 parts, not 1"],
        ),
        (
            target("exec: [a], verify: { workers: chnged }"),
            &["8: targets[0].verify.workers: expected `changed`"],
        ),
    ]);
}

#[test]
fn texts_have_the_format_of_their_key() {
    refused(&[
        (
            template("{ inline: x, to: a, mode: \"4755\" }"),
            &["5: templates[0].mode: `4755` is no mode; write octal digits in quotes, \"0640\""],
        ),
        (
            with("limits: { file: 16MB }\nsettle: { quiet: 3x, max: 500y }"),
            &[
                "7: limits.file: `16MB` is no size; write 512KiB, 16MiB or a number of bytes",
                "8: settle.max: `500y` is longer than a year",
                "8: settle.quiet: `3x` is no duration; write 200ms, 2s or 5m",
            ],
        ),
        (
            with("guard: { max_removed: 150% }"),
            &["7: guard.max_removed: `150%` is no percentage; write 50%"],
        ),
        (
            with("admin: { listen: \"localhost:80\" }"),
            &[
                "7: admin.listen: `localhost:80` is no address to listen at; write a numeric one with a port, 0.0.0.0:80",
            ],
        ),
        (
            and_template("{ copy: { source: app, keys: \"a/[b\" }, to: b/ }"),
            &["6: templates[1].copy.keys: this is no glob: unclosed character class; missing ']'"],
        ),
        (
            target("exec: [a], only: [\"{a\"], process: { cmdline: \"(a\" }"),
            &[
                "8: targets[0].only[0]: this is no glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
                "8: targets[0].process.cmdline: this is no regular expression: found open group without closing ')'",
            ],
        ),
        (
            target("http: { url: \"http://a/\", accept: [99, abc, 299-200, 200-299, 204] }"),
            &[
                "8: targets[0].http.accept[0]: it is at least 100",
                "8: targets[0].http.accept[1]: `abc` is no status; write 204 or 200-299",
                "8: targets[0].http.accept[2]: `299-200` is no status; write 204 or 200-299",
            ],
        ),
    ]);
}

#[test]
fn signals_are_real_and_can_be_caught() {
    let signal = |name: &str| target(&format!("signal: {name}, process: {{ name: a }}"));
    refused(&[
        (
            signal("SIGHUPP"),
            &["8: targets[0].signal: `SIGHUPP` is no signal; did you mean SIGHUP?"],
        ),
        (signal("hup"), &["8: targets[0].signal: `hup` is no signal; did you mean SIGHUP?"]),
        (
            signal("RELOAD"),
            &["8: targets[0].signal: `RELOAD` is no signal; write SIGHUP, SIGUSR1 or SIGUSR2"],
        ),
        (
            signal("SIGKILL"),
            &[
                "8: targets[0].signal: no process can catch SIGKILL; a reload signal is SIGHUP, SIGUSR1, SIGUSR2",
            ],
        ),
        (signal("1"), &["8: targets[0].signal: expected text; write it in quotes, \"1\""]),
    ]);
}

#[test]
fn urls_can_be_called() {
    let url = |url: &str| target(&format!("http: {{ url: \"{url}\" }}"));
    for good in ["http://a", "https://[::1]:1/x?y=z", "unix:///run/a.sock:/reload", "unix:///a"] {
        accepted(&url(good));
    }
    let write = "write http://, https:// or unix:///path/to/socket:/request/path";
    for bad in ["ftp://a/b", "http://", "http:///b", "/reload", "http:a"] {
        let line = format!("8: targets[0].http.url: `{bad}` is no URL to call; {write}");
        refused(&[(url(bad), &[&line])]);
    }
    refused(&[
        (
            url("localhost:9090"),
            &[
                "8: targets[0].http.url: `localhost:9090` is no URL to call; write http://localhost:9090 or https://localhost:9090",
            ],
        ),
        (
            url("unix://run/a.sock"),
            &[
                "8: targets[0].http.url: `unix://run/a.sock` names no socket; write unix:///path/to/socket:/request/path",
            ],
        ),
        (
            source("consul: { address: \"unix:///run/consul.sock\", prefix: a }"),
            &[
                "3: sources.app.consul.address: `unix:///run/consul.sock` is no URL to call; write http:// or https://, a host and a port",
            ],
        ),
    ]);
    for secret in ["http://me:hunter2@a/b", "htp://me:hunter2@a b"] {
        assert!(!check(&url(secret)).contains("hunter2"), "{}", check(&url(secret)));
    }
}

#[test]
fn an_unset_variable_is_one_mistake_and_a_set_one_is_never_shown() {
    refused(&[
        (
            target("signal: \"${NOT_SET}\", process: { name: a }"),
            &[
                "8: targets[0].signal: the environment variable `NOT_SET` is not set; set it, or write `$${` for a literal `${`",
            ],
        ),
        (
            GOOD.replace("/shared", "\"/${OPEN\""),
            &["6: output.path: `${` without `}`; write `$${` for a literal one"],
        ),
        (
            target("http: { url: \"http://${SECRET}/\" }"),
            &[
                "8: targets[0].http.url: `http://${SECRET}/` is no URL to call; write http://, https:// or unix:///path/to/socket:/request/path",
            ],
        ),
        (
            with("settle: { quiet: \"${SECRET}\" }"),
            &["7: settle.quiet: `${SECRET}` is no duration; write 200ms, 2s or 5m"],
        ),
    ]);
}

#[test]
fn every_mistake_is_told_at_once() {
    let yaml = "\
sources:
  App: { files: { path: 5 } }
  two: { files: { path: /a }, etcd: { endpoints: [\"http://a\"], prefix: b } }
templates:
  - { inline: x, to: ../a, mode: 0999 }
  - { to: b }
targets:
  - { name: a/b, signal: SIGHUPP }
settle: { quiet: 3s, max: 1s }
setle: off
";
    refused(&[(
        yaml.into(),
        &[
            "1: output.path: there is no volume to write; set it here, by --output or by REHUP_OUTPUT",
            "2: sources.App: a source's name is made of a-z, 0-9 and _ and begins with no digit, for templates use it",
            "2: sources.App.files.path: expected text; write it in quotes, \"5\"",
            "3: sources.two: only one of consul, etcd, files can be there",
            "5: templates[0].mode: expected text; write it in quotes, \"0640\"",
            "5: templates[0].to: `../a` cannot be a file on the volume: `.` and `..` lead elsewhere",
            "6: templates[1]: one of file, inline, copy is missing",
            "8: targets[0]: a signal needs `process`: name, cmdline or pid_file",
            "8: targets[0].name: a target's name is made of letters, digits, `.`, `_` and `-`",
            "8: targets[0].signal: `SIGHUPP` is no signal; did you mean SIGHUP?",
            "9: settle.quiet: the quiet time is longer than `max`",
            "10: setle: there is no such key; did you mean `settle`?",
        ],
    )]);
}
