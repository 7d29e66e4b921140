#!/usr/bin/env bash
# Builds the images that a Compose file names, under the very names, from what this machine has: no
# registry is asked. They belong to the storage that CONTAINERS_STORAGE_CONF names, to nobody else's.
# What the official images have and the files rely on is the same: users, folders and their owners,
# where the programs are, the signal that ends them.
#
# images.sh FOLDER NAME…   of rehup, nginx, consul, etcd, prometheus; FOLDER is for what is copied
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$1
shift

# The name that the Compose files give to an image.
tag() {
    sed -n "s#^ *image: *\\([^ ]*$1:[^ ]*\\).*#\\1#p" deploy/compose.yaml deploy/compose.prometheus.yaml | head -n 1
}

# copy PROGRAM PLACE: below $root/files, its libraries at the paths where it looks for them.
copy() {
    local library
    install -D -m 0755 "$(realpath "$1")" "$root/files/$2"
    { ldd "$1" 2>/dev/null || true; } | sed -n 's#^[^/]*\(/[^ ]*\).*#\1#p' | while read -r library; do
        install -D -m 0755 "$(realpath "$library")" "$root/files/$library"
    done
}

# build TAG [LINE…]: a Containerfile of lines, or on standard input; its context is $root.
build() {
    local name=$1
    shift
    { if [ $# -gt 0 ]; then printf '%s\n' "$@"; else cat; fi; } |
        buildah bud --quiet --isolation chroot --tag "$name" --file - "$root" >/dev/null
}

# From the shipped Containerfile. A program that is not static gets its libraries on top.
rehup() {
    local program=${REHUP:?}
    install -m 0755 "$program" "$root/rehup"
    install -m 0644 /etc/ssl/certs/ca-certificates.crt "$root"
    mkdir "$root/shared"
    build "$(tag rehup)" <deploy/image/Containerfile
    if ldd "$program" >/dev/null 2>&1; then
        copy "$program" usr/local/bin/rehup
        build "$(tag rehup)" "FROM $(tag rehup)" 'COPY files /'
    fi
}

nginx() {
    copy "$(PATH=$PATH:/usr/sbin type -P nginx)" usr/sbin/nginx
    mkdir "$root/files/etc"
    # The user that it looks for when none is configured.
    printf 'nobody:x:65534:65534::/:\n' >"$root/files/etc/passwd"
    printf 'nogroup:x:65534:\n' >"$root/files/etc/group"
    install -d -m 1777 "$root/files/tmp"
    build "$(tag nginx)" 'FROM scratch' 'COPY files /' 'ENV PATH=/usr/sbin' 'STOPSIGNAL SIGQUIT'
}

# With a shell, which the official one has too.
consul() {
    copy "${CONSUL:-target/servers/consul}" bin/consul
    copy "$(type -P busybox)" bin/busybox
    ln -s busybox "$root/files/bin/sh"
    ln -s busybox "$root/files/bin/sleep"
    mkdir "$root/data"
    build "$(tag consul)" 'FROM scratch' 'COPY files /' 'COPY --chown=100:1000 data /consul/data' \
        'VOLUME /consul/data' 'ENV PATH=/bin'
}

etcd() {
    copy "${ETCD:-target/servers/etcd}" usr/local/bin/etcd
    build "$(tag etcd)" 'FROM scratch' 'COPY files /' 'ENV PATH=/usr/local/bin'
}

prometheus() {
    copy "$(type -P prometheus)" bin/prometheus
    mkdir "$root/data"
    build "$(tag prometheus)" 'FROM scratch' 'COPY files /' \
        'COPY --chown=65534:65534 data /prometheus' 'USER 65534' 'WORKDIR /prometheus' \
        'ENTRYPOINT ["/bin/prometheus"]'
}

for name in "$@"; do
    root=$work/$name
    mkdir -p "$root"
    "$name"
done
