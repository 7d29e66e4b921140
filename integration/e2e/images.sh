#!/usr/bin/env bash
# The images of the pod tests' apps, which no registry is asked for: Debian's programs with the
# libraries that they need, and the stores' servers. Each becomes target/e2e/NAME.tar with the name
# localhost/e2e-NAME:1; those that are there stay.
#
# images.sh NAME…   of nginx, busybox, etcd, consul
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=target/e2e
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$out"

# copy PROGRAM PLACE: with its libraries, at the paths where it looks for them.
copy() {
    local library
    install -D -m 0755 "$(realpath "$1")" "$root/$2"
    { ldd "$1" 2>/dev/null || true; } | sed -n 's#^[^/]*\(/[^ ]*\).*#\1#p' | while read -r library; do
        [ -e "$root/$library" ] || install -D -m 0755 "$(realpath "$library")" "$root/$library"
    done
}

# A shell and the small programs beside it.
tools() {
    local tool
    copy "$(type -P busybox)" bin/busybox
    for tool in $("$root/bin/busybox" --list); do
        [ -e "$root/bin/$tool" ] || ln -s busybox "$root/bin/$tool"
    done
    install -d -m 1777 "$root/tmp"
}

# As the official image: its folders of temporary files, and the signal at which it ends in order.
nginx() {
    tools
    copy "$(PATH=$PATH:/usr/sbin type -P nginx)" usr/sbin/nginx
    mkdir -p "$root/var/cache/nginx" "$root/var/log/nginx" "$root/var/lib"
    ln -s ../cache/nginx "$root/var/lib/nginx"
    archive nginx '{"Env": ["PATH=/usr/sbin:/bin"], "StopSignal": "SIGQUIT"}'
}

busybox() {
    tools
    archive busybox '{"Env": ["PATH=/bin"], "Cmd": ["sh"]}'
}

etcd() {
    tools
    copy "${ETCD:-target/servers/etcd}" bin/etcd
    archive etcd '{"Env": ["PATH=/bin"], "Cmd": ["etcd"]}'
}

consul() {
    tools
    copy "${CONSUL:-target/servers/consul}" bin/consul
    archive consul '{"Env": ["PATH=/bin"], "Entrypoint": ["consul"]}'
}

archive() {
    # A folder made by mktemp lets nobody else in.
    chmod 0755 "$root"
    integration/e2e/image.sh "$out/$1.tar" "localhost/e2e-$1:1" "$root" "$2"
}

for name in "$@"; do
    [ ! "$out/$name.tar" -nt "${BASH_SOURCE[0]}" ] || continue
    "$name"
    rm -rf "$root"
    mkdir "$root"
done
