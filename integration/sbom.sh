#!/usr/bin/env bash
# `make sbom`: writes `target/rehup.cdx.json`, the packages that are in the program, and requires that
# they are those of the lock file that its build uses, each with the checksum that stands there.
#
# sbom.sh CARGO-CYCLONEDX
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cyclonedx=$(realpath "$(command -v "$1")")
out=$(realpath "${CARGO_TARGET_DIR:-target}")/rehup.cdx.json
# Where the image runs; the packages are the same on each of them.
targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu)

fail() {
    printf 'make sbom: %s\n' "$*" >&2
    exit 1
}

used() {
    cargo tree --locked --package rehup --edges normal --target "$1" --prefix none --format '{p}' |
        awk '{ print $1 "@" substr($2, 2) }' | sort -u
}

packages=$(used "${targets[0]}")
for target in "${targets[@]:1}"; do
    [ "$(used "$target")" = "$packages" ] || fail "$target has other packages than ${targets[0]}"
done

# It writes beside each manifest.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -a Cargo.toml Cargo.lock src providers integration "$copy"
(cd "$copy" && "$cyclonedx" cyclonedx --format json --no-build-deps --target "${targets[0]}" --quiet)
cp "$copy/rehup.cdx.json" "$out"
