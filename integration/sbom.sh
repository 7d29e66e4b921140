#!/usr/bin/env bash
# `make sbom`: writes `target/sbom/TARGET.cdx.json` (CycloneDX), the packages that are in the program on
# each system where the image runs. Requires that they are exactly those of the lock file that Cargo
# builds it from there, each with the checksum that the lock file has, and what `named` says.
#
# sbom.sh CARGO-CYCLONEDX
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cyclonedx=$(realpath "$(command -v "$1")")
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/sbom
targets=$(sed -n '/^targets = \[/,/^\]/s/^ *"\(.*\)",$/\1/p' .deny.toml)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

# In a copy: it writes beside each manifest, and knows no features but those that are on in tests.
mkdir "$copy/tree"
cp -a Cargo.toml Cargo.lock src providers integration "$copy/tree"
for manifest in Cargo.toml providers/Cargo.toml; do
    awk '/^\[/ { out = /^\[dev-dependencies\]/ } !out' "$manifest" >"$copy/tree/$manifest"
done

# What a bill names though it is compiled for none of our targets: Cargo tells tools the features of a
# package on all systems together.
named='^futures-io@'

# Every package as NAME@VERSION, with its checksum; those of this repository have none.
locked() {
    awk '
        /^\[\[package\]\]/ { show(); name = version = sum = "" }
        /^name = / { name = $3 }
        /^version = / { version = $3 }
        /^checksum = / { sum = $3 }
        function show() { if (name) { gsub(/"/, "", name); gsub(/"/, "", version); gsub(/"/, "", sum)
            print name "@" version, sum ? sum : "-" } }
        END { show() }
    ' Cargo.lock | sort
}

# Those that Cargo compiles into the program for a target.
used() {
    cargo tree --locked --package rehup --edges normal --target "$1" --prefix none --format '{p}' |
        awk '{ print $1 "@" substr($2, 2) }' | sort - <(locked | grep -o "$named[^ ]*") |
        uniq | join - <(locked)
}

# Those that a bill of materials names.
billed() {
    awk -F '"' '
        $2 == "content" { sum = $4 }
        $2 == "purl" {
            split($4, parts, /[\/?#]/)
            print parts[2], sum ? sum : "-"
            sum = ""
        }
    ' "$1" | sort -u
}

rm -rf "$out"
mkdir -p "$out"
for target in $targets; do
    bill=$out/$target.cdx.json
    (
        cd "$copy/tree"
        SOURCE_DATE_EPOCH=$(git -C "$OLDPWD" log -1 --format=%ct) "$cyclonedx" cyclonedx --quiet \
            --format json --spec-version 1.5 --no-build-deps --target "$target"
    )
    # Where it was written is nobody's business.
    sed "s|$copy/tree|/build|g" "$copy/tree/rehup.cdx.json" >"$bill"
    used "$target" >"$copy/used"
    if ! difference=$(diff "$copy/used" <(billed "$bill")); then
        printf 'make sbom: %s is not what is built for it:\n%s\n' "$bill" "$difference" >&2
        exit 1
    fi
    printf '%s: %d packages, as the lock file has them\n' "${bill#"$PWD"/}" "$(wc -l <"$copy/used")"
done
