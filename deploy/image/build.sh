#!/usr/bin/env bash
# `make image`: the program as one static binary, and the image localhost/rehup:VERSION with it, also
# as the archive target/image/rehup.tar (`docker load`, `podman load`, `ctr images import`).
#
# REHUP_STATIC names a static binary that is there already; ARCH is the processor (this machine's;
# another one needs a C compiler and a linker for it, as Cargo and the crate `cc` are told of them).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
arch=${ARCH:-$(uname -m)}
case $arch in
    x86_64) platform=amd64 ;;
    aarch64) platform=arm64 ;;
    *) printf 'make image: no image for %s, only for x86_64 and aarch64\n' "$arch" >&2 && exit 1 ;;
esac
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
target=$arch-unknown-linux-musl
out=target/image
context=$out/context

integration/setup.sh image
if [ -z "${REHUP_STATIC:-}" ]; then
    if command -v rustup >/dev/null; then
        rustup target add "$target" >/dev/null 2>&1 || true
    fi
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
        printf 'make image: Rust cannot build for %s here (rustup target add %s)\n' "$target" "$target" >&2
        exit 1
    fi
    cargo build --release --locked --target "$target"
    REHUP_STATIC=${CARGO_TARGET_DIR:-target}/$target/release/rehup
fi
if readelf -l "$REHUP_STATIC" | grep -q INTERP; then
    printf 'make image: %s is not static\n' "$REHUP_STATIC" >&2
    exit 1
fi

rm -rf "$context"
mkdir -p "$context/shared"
install -m 0755 "$REHUP_STATIC" "$context/rehup"
install -m 0644 /etc/ssl/certs/ca-certificates.crt "$context"
# No step of it runs a program or fetches anything; with the time of the commit it is the same each time.
buildah bud --quiet --isolation chroot --arch "$platform" \
    --build-arg VERSION="$version" --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || true)" \
    --timestamp "$(git log -1 --format=%ct 2>/dev/null || echo 0)" \
    --file deploy/image/Containerfile --tag "localhost/rehup:$version" "$context" >/dev/null
rm -f "$out/rehup.tar"
buildah push --quiet "localhost/rehup:$version" "docker-archive:$out/rehup.tar:localhost/rehup:$version"
printf 'localhost/rehup:%s, %s: %s MiB\n' "$version" "$out/rehup.tar" \
    "$(awk -v bytes="$(stat -c %s "$out/rehup.tar")" 'BEGIN { printf "%.1f", bytes / 1048576 }')"
