#!/usr/bin/env bash
# `make least`: the tests that start the program, as it runs in a strict pod: user 65532, no
# capabilities and no way to get any, no system call that a container runtime forbids, and nothing to
# write but memory. With CONFINE=1 also inside Landlock wherever a test's configuration allows it.
# Needs root, which it gives away.
#
# least.sh [PART…]   only tests whose names hold one of the parts
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -n "$(integration/setup.sh missing root)" ]; then
    echo 'make least: needs root, to give it away' >&2
    exit 1
fi
integration/setup.sh test
integration/servers/build.sh
target=$(realpath "${CARGO_TARGET_DIR:-target}")
cargo build --release --locked
cargo build --locked --features failpoints --example rehup-failpoints
tests=$(cargo test --locked --test integration --no-run 2>&1 | sed -n 's/.*integration\/main.rs (\(.*\))$/\1/p')
tests=$(realpath "$tests")
mkdir -p "$target/tmp"
cc -o "$target/seccomp" integration/programs/seccomp.c

# What asks for root, and what only reads the repository.
skips=(--skip soak:: --skip e2e:: --skip simulation --skip tidy:: --skip matrix:: --skip readme:: --skip manifests:: \
    --skip deploy::monitor --skip charts:: --skip compose::)
# Go's compiler needs a home.
skips+=(--skip starts::runtimes::s01_a_program_in_go)
while read -r right parts; do
    case $right in root | fuse | mounts | cgroups | userns) for part in $parts; do skips+=(--skip "$part"); done ;; esac
done < <(grep -v '^#' integration/needs)
if [ -n "${CONFINE:-}" ]; then
    export REHUP_TEST_CONFINE=1
fi

export REHUP=$target/release/rehup
export REHUP_FAILPOINTS_BINARY=$target/debug/examples/rehup-failpoints
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
# What is below is read-only for good once the root is; what tests write is memory.
inside='
    mount --make-rprivate /
    mount -t tmpfs -o mode=1777 none "$1"
    mount -o remount,bind,ro /
    export HOME=/nonexistent TMPDIR=/dev/shm
    shift
    exec setpriv --reuid 65532 --regid 65532 --clear-groups --bounding-set=-all --inh-caps=-all \
        --no-new-privs -- "$@"
'
# The tests themselves are under the filter too; a filter that lets this through is none.
if setpriv --no-new-privs -- "$target/seccomp" unshare --mount true 2>/dev/null; then
    echo 'make least: the filter of system calls does not hold' >&2
    exit 1
fi
exec unshare --mount --propagation private -- sh -ec "$inside" least "$target/tmp" \
    "$target/seccomp" "$tests" "${skips[@]}" "$@"
