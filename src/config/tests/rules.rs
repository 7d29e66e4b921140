//! What only the rules refuse.

use super::{GOOD, accepted, and_template, check, refused, source, target, template, with};

#[test]
fn a_source_has_exactly_one_provider_and_a_name_for_templates() {
    refused(&[
        (
            source("required: [a]"),
            &["2: sources.app: it names no provider; write one of consul, etcd, files"],
        ),
        (
            source("files: { path: /a }\n    etcd: { endpoints: [\"http://a:1\"], prefix: b }"),
            &["2: sources.app: only one of consul, etcd, files can be there"],
        ),
        (
            GOOD.replace("app:", "my-app:"),
            &[
                "2: sources.my-app: a source's name is made of a-z, 0-9 and _ and begins with no digit, for templates use it",
            ],
        ),
        (
            GOOD.replace("app:", "if:"),
            &["2: sources.if: `if` is a word of the template language; take another name"],
        ),
    ]);
}

#[test]
fn a_source_is_read_again_and_bounded() {
    refused(&[
        (
            source("files: { path: /a, poll: 0s, max_bytes: 0 }\n    resync: 0s"),
            &[
                "3: sources.app.files.max_bytes: with 0 nothing could be read; write 16MiB",
                "3: sources.app.files.poll: the slow re-read is never off; write 30s",
                "4: sources.app.resync: the full re-read is never off; write 5m",
            ],
        ),
        (
            source("consul: { address: \"http://a\", prefix: /b, wait: 11m }"),
            &[
                "3: sources.app.consul.prefix: Consul's keys have no `/` in front",
                "3: sources.app.consul.wait: Consul waits between 1s and 10m",
            ],
        ),
    ]);
}

#[test]
fn credentials_come_whole_and_encryption_is_real() {
    refused(&[
        (
            source(
                "etcd: { endpoints: [\"http://a:1\", \"https://b:1\"], prefix: b, username: c }",
            ),
            &[
                "3: sources.app.etcd.endpoints: some are https and some are not; all members are asked alike",
                "3: sources.app.etcd.username: it needs `password_file` beside it",
            ],
        ),
        (
            source(
                "etcd: { endpoints: [\"https://a:1\"], prefix: b, password_file: /c, tls: { key_file: /d } }",
            ),
            &[
                "3: sources.app.etcd.password_file: it needs `username` beside it",
                "3: sources.app.etcd.tls.key_file: it needs `cert_file` beside it",
            ],
        ),
        (
            source("consul: { address: \"http://a\", prefix: b, tls: { ca_file: /c } }"),
            &[
                "3: sources.app.consul.tls: nothing is encrypted without a URL that begins with https://",
            ],
        ),
        (
            source("consul: { address: \"http://a\", prefix: b, token_file: \"${EMPTY}\" }"),
            &["3: sources.app.consul.token_file: the path is empty"],
        ),
        (
            target(
                "http: { url: \"https://a\", bearer_file: /a, basic: { username: a, password_file: /b }, tls: { cert_file: /c } }",
            ),
            &[
                "8: targets[0].http: only one of bearer_file, basic can be there",
                "8: targets[0].http.tls.cert_file: it needs `key_file` beside it",
            ],
        ),
        (
            target(
                "http: { url: \"https://a\" }, ready: { url: \"http://a\", tls: { ca_file: /a } }, verify: { json: { url: \"https://a\", pointer: /a, changed: true, tls: { key_file: /b } } }",
            ),
            &[
                "8: targets[0].ready.tls: nothing is encrypted without a URL that begins with https://",
                "8: targets[0].verify.json.tls.key_file: it needs `cert_file` beside it",
            ],
        ),
    ]);
}

#[test]
fn a_template_is_exactly_one_of_three() {
    refused(&[
        (template("{ to: a }"), &["5: templates[0]: one of file, inline, copy is missing"]),
        (
            template("{ inline: x, file: /a, to: a }"),
            &["5: templates[0]: only one of file, inline, copy can be there"],
        ),
        (
            template("{ copy: { source: ap, keys: a }, to: a, format: json }"),
            &[
                "5: templates[0]: a copy is not rendered: drop `format` and `delimiters`",
                "5: templates[0].copy.source: there is no source `ap`; did you mean `app`?",
            ],
        ),
    ]);
}

#[test]
fn every_output_has_a_place_of_its_own_on_the_volume() {
    for bad in ["../a", "/a", "a//b", "..data", "..rehup/journal", "..gen-1-abcd/a", "a/../../b"] {
        let told = check(&GOOD.replace("a.txt", bad));
        assert!(told.starts_with("rehup.yaml:5: templates[0].to: `"), "{told}");
        assert!(told.contains("cannot be a file on the volume"), "{told}");
    }
    refused(&[
        (
            and_template("{ inline: y, to: a.txt }"),
            &["6: templates[1].to: `a.txt` is made by templates[0] already"],
        ),
        (
            and_template("{ inline: y, to: a.txt/b/c }"),
            &[
                "6: templates[1].to: `a.txt` is a file, made by templates[0], and cannot be a folder",
            ],
        ),
        (
            and_template("{ copy: { source: app, keys: \"b/*\" }, to: a.txt/ }"),
            &[
                "6: templates[1].to: `a.txt` is a file, made by templates[0], and cannot be a folder",
            ],
        ),
        (
            and_template("{ copy: { source: app, keys: b/c }, to: b/ }"),
            &[
                "6: templates[1].to: `keys` is one key, so this is its file: drop the `/` at the end",
            ],
        ),
        (
            template("{ inline: y, to: b/ }"),
            &["5: templates[0].to: a template makes one file: drop the `/` at the end"],
        ),
    ]);
    for folder in ["certs/", "certs", ".", "./", "a.d/"] {
        let copy = format!("{{ copy: {{ source: app, keys: \"certs/**\" }}, to: {folder} }}");
        accepted(&and_template(&copy));
    }
}

#[test]
fn files_are_given_only_to_whom_we_may() {
    refused(&[(
        template("{ inline: x, to: a, owner: 1, group: 1 }"),
        &[
            "5: templates[0].group: we are not in this group; add it to supplementalGroups or fsGroup",
            "5: templates[0].owner: only root can give files to another user",
        ],
    )]);
    accepted(&template("{ inline: x, to: a, group: 2000 }"));
}

#[test]
fn a_check_asks_somebody_about_something() {
    refused(&[
        (with("checks: [{}]"), &["7: checks[0]: one of exec, http is missing"]),
        (
            with("checks: [{ exec: [\"\"], timeout: 0s }]"),
            &[
                "7: checks[0].exec[0]: the program's name is empty",
                "7: checks[0].timeout: it is above zero; write 5s",
            ],
        ),
        (
            with("checks: [{ http: { url: \"http://a\", body_file: b.txt } }]"),
            &["7: checks[0].http.body_file: no template makes `b.txt`; they make a.txt"],
        ),
    ]);
}

#[test]
fn a_target_is_told_in_exactly_one_way() {
    refused(&[
        (target("only: [a.txt]"), &["8: targets[0]: one of signal, http, exec is missing"]),
        (
            target("exec: [a], http: { url: \"http://a\" }"),
            &["8: targets[0]: only one of signal, http, exec can be there"],
        ),
        (
            target("signal: SIGHUP"),
            &["8: targets[0]: a signal needs `process`: name, cmdline or pid_file"],
        ),
        (
            target("signal: SIGHUP, process: {}"),
            &["8: targets[0].process: write name, cmdline or pid_file"],
        ),
        (
            with(
                "targets: [{ name: a, exec: [b] }, { name: a, exec: [b] }, { name: \"a/b\", exec: [b] }]",
            ),
            &[
                "7: targets[1].name: another target has this name",
                "7: targets[2].name: a target's name is made of letters, digits, `.`, `_` and `-`",
            ],
        ),
        (
            target(
                "http: { url: \"http://a\", method: post, headers: { \"a b\": c, d: \"e\\n\" }, timeout: 0s }",
            ),
            &[
                "8: targets[0].http.headers.a b: this cannot be sent as the name of a header",
                "8: targets[0].http.headers.d: this cannot be sent as the value of a header",
                "8: targets[0].http.method: a method is in capitals: POST",
                "8: targets[0].http.timeout: it is above zero; write 10s",
            ],
        ),
    ]);
}

#[test]
fn a_target_that_no_output_can_concern_is_a_slip() {
    refused(&[(
        target("exec: [a], only: [b.txt, \"*.txt\", \"c/**\"]"),
        &[
            "8: targets[0].only[0]: no template makes a file that `b.txt` matches; they make a.txt",
            "8: targets[0].only[2]: no template makes a file that `c/**` matches; they make a.txt",
        ],
    )]);
    let copied = and_template("{ copy: { source: app, keys: \"c/**\" }, to: certs/ }");
    let only = "targets: [{ name: a, exec: [b], only: [certs/a.pem, \"**/*.pem\", \"c*/*\"] }]\n";
    accepted(&format!("{copied}{only}"));
}

#[test]
fn evidence_is_newer_than_the_attempt() {
    let signal = "signal: SIGHUP, process: { name: a }";
    let http = "http: { url: \"http://a/\" }";
    let json = "verify: { json: { url: \"http://a/\", pointer: /a, equals: 1 } }";
    let metric = "verify: { metric: { url: \"http://a/\", name: a, equals: 1 } }";
    let old = "8: targets[0].verify: evidence must be newer than the attempt, and after a signal this may be older; use increased, changed or workers";
    refused(&[
        (target(&format!("{signal}, {json}")), &[old]),
        (target(&format!("{signal}, {metric}")), &[old]),
        (target(&format!("{signal}, verify: {{ status: {{ url: \"http://a/\" }} }}")), &[old]),
        (
            target(&format!("{http}, verify: {{ workers: changed }}")),
            &["8: targets[0].verify.workers: it needs `process`, whose children they are"],
        ),
        (
            target(&format!("{http}, verify: {{ timeout: 0s }}")),
            &[
                "8: targets[0].verify: one of metric, json, status, workers is missing",
                "8: targets[0].verify.timeout: it is above zero; write 30s",
            ],
        ),
        (
            target(&format!(
                "{http}, verify: {{ metric: {{ url: \"http://a/\", name: a, changed: true, equals: 1 }} }}"
            )),
            &["8: targets[0].verify.metric: only one of increased, changed, equals can be there"],
        ),
        (
            target(&format!("{http}, verify: {{ json: {{ url: \"http://a/\", pointer: a }} }}")),
            &[
                "8: targets[0].verify.json: one of equals, changed is missing",
                "8: targets[0].verify.json.pointer: a pointer begins with `/`: /status/version",
            ],
        ),
    ]);
    accepted(&target(&format!("{http}, {json}")));
    accepted(&target(&format!("{signal}, verify: {{ workers: changed }}")));
}

#[test]
fn a_rollback_needs_a_rejection_and_something_to_go_back_to() {
    let bare = target("signal: SIGHUP, process: { name: a }, on_reject: rollback");
    let http = target("http: { url: \"http://a/\" }, on_reject: rollback");
    refused(&[
        (
            bare,
            &[
                "8: targets[0].on_reject: a bare signal cannot be rejected: rollback needs `verify`, `http` or `exec`",
            ],
        ),
        (
            http.replace("/shared", "/shared, layout: files"),
            &[
                "8: targets[0].on_reject: the `files` layout keeps nothing to roll back to; use `layout: set`",
            ],
        ),
    ]);
    accepted(&http);
}

#[test]
fn the_rest_is_possible() {
    refused(&[
        (
            with("settle: { quiet: 3s, max: 1s }"),
            &["7: settle.quiet: the quiet time is longer than `max`"],
        ),
        (
            with("limits: { fuel: 0, file: 2MiB, generation: 1MiB }"),
            &[
                "7: limits.file: one file can be no larger than `limits.generation`",
                "7: limits.fuel: with 0 nothing could be rendered",
            ],
        ),
        (
            with("confine: true\nchecks: [{ exec: [a] }]"),
            &["7: confine: a confined process cannot start programs: drop `exec`"],
        ),
        (
            GOOD.replace("/shared", "/"),
            &["6: output.path: the root of the file system is no volume"],
        ),
    ]);
}
