#!/usr/bin/env bash
# `make test`: sets up what is missing, then runs every test of the workspace.
#
# The binary under test is the release build: the one that ships, with its optimisations and its
# stripped symbols. The harness around it is not optimised, because nothing in it is timed.
# Ends with one line that counts, after the names of the tests that this machine could not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

integration/setup.sh test
integration/servers/build.sh etcd etcdutl consul caddy oauth2-proxy
# What reads charts and manifests: without one of them its tests are left out.
for program in helm kustomize kubernetes-validate; do
    integration/servers/build.sh "$program" || true
done
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked
REHUP=$(realpath "$target/release/rehup")
export REHUP
# Some tests make a task hang or panic, which no shipped binary can be told to do.
cargo build --locked --features failpoints --example rehup-failpoints
REHUP_FAILPOINTS_BINARY=$(realpath "$target/debug/examples/rehup-failpoints")
export REHUP_FAILPOINTS_BINARY

# What cannot run here, by the first word of each line in integration/needs.
left_out=()
while read -r program tests; do
    [ -n "$(integration/setup.sh missing "$program")" ] || continue
    for test in $tests; do
        left_out+=("$test")
    done
done < <(grep -v '^#' integration/needs)
# What takes minutes is `make soak`, what needs a cluster `make e2e`.
skips=(--skip soak:: --skip e2e::)
for test in "${left_out[@]}"; do
    skips+=(--skip "$test")
done

# Tests wait for servers most of the time, not for the processor.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
log=$target/test.log
rm -f "$target/tmp/times" "$target/tmp/searched"
status=0
cargo test --workspace --locked --no-fail-fast -- "${skips[@]}" 2>&1 </dev/null | tee "$log" || status=$?

if [ -f "$target/tmp/times" ]; then
    printf 'what is promised within a bound took:\n'
    sort -k4 "$target/tmp/times"
fi

if [ -f "$target/tmp/searched" ]; then
    awk '{ bytes += $1 } END { printf "%d printed texts, %.1f MB, hold no secret\n", NR, bytes / 1e6 }' \
        "$target/tmp/searched"
fi

not_run=0
if [ ${#left_out[@]} -gt 0 ]; then
    cargo test -q --test integration -- --list --format terse "${left_out[@]}" 2>/dev/null |
        sed -n 's/: test$//p' >"$target/not-run"
    not_run=$(wc -l <"$target/not-run")
    sed 's/^/not run: /' "$target/not-run"
fi
if [ -n "${REHUP_E2E_KUBECONFIG:-}" ]; then
    lacking=
else
    lacking=$(integration/e2e/cluster/box.sh missing | paste -sd ' ')
fi
if [ -n "$lacking" ]; then
    printf '!!! no test ran in a pod, and none can here: a cluster needs %s (or REHUP_E2E_KUBECONFIG)\n' "$lacking"
else
    printf 'no test ran in a pod: that is make e2e\n'
fi
awk -v not_run="$not_run" '
    /^test result: / {
        for (i = 1; i < NF; i++) {
            if ($(i + 1) == "passed;") passed += $i
            if ($(i + 1) == "failed;") failed += $i
        }
    }
    END { printf "%d passed, %d failed, %d not run\n", passed, failed, not_run }
' "$log"
exit "$status"
