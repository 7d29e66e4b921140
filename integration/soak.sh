#!/usr/bin/env bash
# `make soak`: the tests that take longer than a minute each, all at once, on the release build.
# `make repeat TEST="e01_ c05_" N=20`: tests by parts of their names, again and again.
#
# soak.sh             everything below a module `soak`
# soak.sh N PART…     N rounds of the tests whose names hold one of the parts
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

integration/setup.sh test
integration/servers/build.sh
cargo build --release --locked
REHUP=$(realpath "${CARGO_TARGET_DIR:-target}/release/rehup")
export REHUP
cargo build --locked --features failpoints --example rehup-failpoints
REHUP_FAILPOINTS_BINARY=$(realpath "${CARGO_TARGET_DIR:-target}/debug/examples/rehup-failpoints")
export REHUP_FAILPOINTS_BINARY

if [ $# = 0 ]; then
    # They wait most of the time.
    exec cargo test --locked --test integration -- soak:: --test-threads 16 --nocapture
fi

rounds=$1
shift
for round in $(seq "$rounds"); do
    printf 'round %s of %s: ' "$round" "$rounds"
    cargo test -q --locked --test integration -- "$@" --skip soak:: --skip e2e:: 2>&1 | tee target/repeat.log |
        grep '^test result' || true
    grep -q '^test result: ok' target/repeat.log || { cat target/repeat.log && exit 1; }
done
