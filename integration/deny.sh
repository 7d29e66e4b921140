#!/usr/bin/env bash
# `make deny` proves that it can fail: in a copy of this tree one fault after another is put into the
# manifest, and the check must name it. Offline, with a few seconds for all of them.
#
# deny.sh CARGO-DENY
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deny=$(realpath "$(command -v "$1")")

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/tree" "$copy/home"
cp -a Cargo.toml Cargo.lock .deny.toml src providers integration "$copy/tree"
# What a fault fetches stays here; the packages that are there already are used.
home=${CARGO_HOME:-$HOME/.cargo}
ln -s "$home/registry" "$copy/home/registry"
export CARGO_HOME=$copy/home
cd "$copy/tree"
cp Cargo.toml "$copy/manifest"
cp Cargo.lock "$copy/lock"

# package FOLDER NAME VERSION LICENCE: an empty one beside the tree.
package() {
    local folder=$copy/$1
    mkdir -p "$folder/src"
    : >"$folder/src/lib.rs"
    printf '[package]\nname = "%s"\nversion = "%s"\n' "$2" "$3" >"$folder/Cargo.toml"
    [ -z "${4:-}" ] || printf 'license = "%s"\n' "$4" >>"$folder/Cargo.toml"
}

repository() {
    git -C "$1" init -q --initial-branch=main
    git -C "$1" add .
    git -C "$1" -c user.name=fault -c user.email=fault@example.invalid -c commit.gpgsign=false \
        commit -q -m fault
}

# refuses CODE WHICH FAULT DEPENDENCY: a check that says so of one more dependency.
refuses() {
    local code=$1 which=$2 fault=$3 said
    sed "s|^\[dependencies\]$|&\n$4|" "$copy/manifest" >Cargo.toml
    cp "$copy/lock" Cargo.lock
    if said=$("$deny" --color never --config "${config:-.deny.toml}" check "$which" 2>&1); then
        printf 'make deny: it takes %s\n' "$fault" >&2
        exit 1
    fi
    if ! grep -qF "error[$code]" <<<"$said"; then
        printf 'make deny: %s fails, but not as %s:\n%s\n' "$fault" "$code" "$said" >&2
        exit 1
    fi
    count=$((count + 1))
}

count=0
package forbidden fault 1.0.0 AGPL-3.0-only
refuses rejected licenses 'a licence that is not allowed' 'fault = { path = "../forbidden" }'
package unlicensed fault 1.0.0
refuses unlicensed licenses 'a package without a licence' 'fault = { path = "../unlicensed" }'
package banned openssl-sys 1.0.0 MIT
refuses banned bans 'a package that is banned' 'openssl-sys = { path = "../banned" }'
package second bytes 0.9.0 MIT
refuses duplicate bans 'a package in two versions' 'second = { package = "bytes", path = "../second" }'
refuses wildcard bans 'a dependency of any version' 'itoa = "*"'
package git fault 1.0.0 MIT
repository "$copy/git"
refuses source-not-allowed sources 'a package from a Git repository' \
    "fault = { git = \"file://$copy/git\" }"

# An advisory about something that the lock file has, in a database of our own: the real one changes
# without us, and `make advisories` asks it.
mkdir -p "$copy/database/crates/bytes"
cat >"$copy/database/crates/bytes/RUSTSEC-2020-0000.md" <<'ADVISORY'
```toml
[advisory]
id = "RUSTSEC-2020-0000"
package = "bytes"
date = "2020-01-01"

[versions]
patched = []
```

# A fault

It is there.
ADVISORY
repository "$copy/database"
config=$copy/advisories.toml
url=https://advisories.invalid/database
sed "s|^\[advisories\]$|&\ndb-urls = [\"$url\"]\ndb-path = \"$copy/databases\"\ngit-fetch-with-cli = true|" \
    .deny.toml >"$config"
# Git takes that address for the folder.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$copy/database.insteadOf" GIT_CONFIG_VALUE_0=$url
refuses vulnerability advisories 'a package with an advisory' '# nothing'

printf '%d faults, each of them refused\n' "$count"
