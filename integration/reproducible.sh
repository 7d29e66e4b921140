#!/usr/bin/env bash
# `make reproducible`: builds this tree twice, each time from nothing, and requires the same bytes.
#
# Whatever may differ between two machines with the same compiler does: the folders of the tree, of
# what is built and of Cargo, their depth, the user's home, time zone, language, umask and the number
# of jobs. Takes as long as two clean release builds, and shares no artefact with any other.
# The two binaries stay in `target/reproducible` if they differ.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

integration/setup.sh build
kept=$(realpath "${CARGO_TARGET_DIR:-target}")/reproducible
homes=${CARGO_HOME:-$HOME/.cargo}
toolchains=${RUSTUP_HOME:-$HOME/.rustup}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf "$kept"

# copy TREE CARGO-HOME: both below the scratch folder, as the next ones.
copy() {
    local tree=$scratch/$1 home=$scratch/$2 file
    mkdir -p "$tree" "$home"
    while IFS= read -r -d '' file; do
        # What is removed and not committed is still listed.
        [ ! -e "$file" ] || cp --parents --no-dereference --preserve=mode "$file" "$tree"
    done < <(git ls-files -z -co --exclude-standard)
    # The packages need not be fetched twice; their folder has another name all the same.
    [ ! -d "$homes/registry" ] || ln -s "$homes/registry" "$home/registry"
}

# build TREE CARGO-HOME TARGET [VARIABLE=VALUE…]: says what it is the hash of.
build() {
    local tree=$scratch/$1 home=$scratch/$2 target=$scratch/$3
    shift 3
    (
        cd "$tree"
        env -u RUSTFLAGS "$@" RUSTUP_HOME="$toolchains" CARGO_HOME="$home" \
            CARGO_TARGET_DIR="$target" cargo build --release --locked --quiet
    )
    sha256sum "$target/release/rehup" | cut -d ' ' -f 1
}

one=(one/tree one/cargo)
other=(another/place/for/this another/home/.cargo)
# Both now: an edit in between is no difference.
(umask 022 && copy "${one[@]}")
(umask 077 && copy "${other[@]}")
first=$(umask 022 && build "${one[@]}" one/target TZ=UTC LC_ALL=C HOME="$scratch/one")
printf '%s  the first build\n' "$first"
second=$(umask 077 && build "${other[@]}" another/target/of/it \
    TZ=Asia/Tokyo LC_ALL=C.UTF-8 HOME="$scratch/another/home" CARGO_BUILD_JOBS=1)
printf '%s  the second build\n' "$second"
if [ "$first" != "$second" ]; then
    mkdir -p "$kept"
    cp "$scratch/one/target/release/rehup" "$kept/first"
    cp "$scratch/another/target/of/it/release/rehup" "$kept/second"
    cmp "$kept/first" "$kept/second" >&2 || true
    diff <(strings -n 8 "$kept/first") <(strings -n 8 "$kept/second") | head -n 20 >&2 || true
    printf 'make reproducible: the builds differ; both are in %s\n' "$kept" >&2
    exit 1
fi
