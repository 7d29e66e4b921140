#!/usr/bin/env bash
# Gets what Rust and make do not bring: system packages by apt where we are root; otherwise one
# message that names what is missing.
#
# setup.sh build|test|demo|image|box|e2e
# setup.sh missing PROGRAM…   only prints those that are missing
#
# What every build or every test needs is fatal. Without a program that only some tests or the demo
# use it goes on: such tests are named at the end as not run (integration/needs says which).
# Nothing is asked of apt while everything is there, and no package's service is started.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
podman_compose=$here/../target/tools/podman-compose

# Beside programs: `containers` is all that a Compose file needs; `protos` are protobuf's well-known types; `root`, `mounts`, `userns`, `fuse` and
# `cgroups` (of the first version) are rights of ours or of the kernel, where `mounts` is what root needs for a test that others pass without.
has() {
    case $1 in
        protos) has_protos ;;
        root) [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null ;;
        mounts) [ "$(id -u)" != 0 ] || unshare --mount true 2>/dev/null ;;
        cgroups) has root && [ -w /sys/fs/cgroup/pids ] && [ -w /sys/fs/cgroup/cpu ] && [ -w /sys/fs/cgroup/memory ] ;;
        fuse) has root && [ -w /dev/fuse ] ;;
        landlock) grep -qw landlock /sys/kernel/security/lsm 2>/dev/null || grep -q landlock /proc/kallsyms ;;
        userns) unshare --user --map-root-user true 2>/dev/null ;;
        libfaketime) compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null ;;
        java) command -v java >/dev/null && command -v javac >/dev/null ;; # The compiler too.
        etcd) [ -x "${ETCD_OLD:-/usr/bin/etcd}" ] ;; # The second, older one, where Debian puts it.
        venv) python3 -c 'import ensurepip' 2>/dev/null ;;
        helm | kustomize | kubernetes-validate) has_built "$1" ;;
        cni) [ -x /usr/lib/cni/bridge ] ;;
        containers) has_containers ;;
        podman-compose) [ -x "$podman_compose/bin/podman-compose" ] ;;
        certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] ;;
        postgres) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ;;
        python3 | node) [ -x "/usr/bin/$1" ] || [ -x "/usr/local/bin/$1" ] ;; # Where every user may run it.
        *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac
}

# Whether build.sh has brought it; no package does.
has_built() {
    local variable=${1^^}
    variable=${variable//-/_}
    [ -n "${!variable:-}" ] || [ -x "$(dirname "${BASH_SOURCE[0]}")/../target/servers/$1" ]
}

# protoc finds its own include folder, wherever that is.
has_protos() {
    local folder
    folder=$(mktemp -d)
    printf 'syntax = "proto3";\nimport "google/protobuf/any.proto";\n' >"$folder/probe.proto"
    protoc --proto_path="$folder" --descriptor_set_out=/dev/null "$folder/probe.proto" \
        >/dev/null 2>&1 && local found=0 || local found=1
    rm -r "$folder"
    return $found
}

# What a Compose file is brought up with, and its images are built with.
has_containers() {
    local program
    has root || return 1
    for program in podman buildah runc catatonit iptables ip nsenter curl busybox; do
        has "$program" || return 1
    done
    # Podman's own, at no place where a shell would find them.
    for program in netavark aardvark-dns; do
        [ -x "/usr/lib/podman/$program" ] || has "$program" || return 1
    done
}

# From PyPI, at the version that the tests know.
get_podman_compose() {
    printf 'installing podman-compose into %s\n' "$podman_compose" >&2
    { python3 -m venv "$podman_compose" && "$podman_compose/bin/pip" install --quiet \
        --requirement "$here/compose/requirements.txt"; } >&2 || rm -rf "$podman_compose"
}

# Debian's package for a program.
package() {
    case $1 in
        cc) echo 'gcc libc6-dev' ;;
        protoc) echo protobuf-compiler ;;
        protos) echo libprotobuf-dev ;;
        setpriv | unshare | nsenter) echo util-linux ;;
        musl-gcc) echo musl-tools ;;
        certificates) echo ca-certificates ;;
        cni) echo containernetworking-plugins ;;
        containers) echo podman buildah runc netavark aardvark-dns catatonit iptables iproute2 curl busybox-static ;;
        podman-compose) echo python3-venv ;;
        ip) echo iproute2 ;;
        pgrep) echo procps ;;
        busybox) echo busybox-static ;;
        etcd) echo etcd-server ;;
        java) echo default-jdk-headless ;;
        setcap) echo libcap2-bin ;;
        venv) echo python3-venv ;;
        postgres) echo postgresql ;;
        node) echo nodejs ;;
        *) echo "$1" ;;
    esac
}

missing() {
    local program
    for program in "$@"; do
        has "$program" || printf '%s\n' "$program"
    done
}

packages() {
    local program
    for program in "$@"; do
        package "$program"
    done | tr ' ' '\n' | sort -u | paste -sd ' '
}

# Runs a command while no package may start a service, whatever the machine's own policy says.
without_services() {
    local policy=/usr/sbin/policy-rc.d kept
    kept=$(mktemp -u "$policy.XXXXXX")
    [ ! -e "$policy" ] || mv "$policy" "$kept"
    # shellcheck disable=SC2064 # now, not then
    trap "rm -f '$policy'; [ ! -e '$kept' ] || mv '$kept' '$policy'" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    "$@"
}

install() {
    local package
    export DEBIAN_FRONTEND=noninteractive
    printf 'installing: %s\n' "$*" >&2
    # An unreachable source beside a good one is no failure, and what lacks is named below.
    apt-get update -q >&2 || true
    without_services apt-get install -qy --no-install-recommends "$@" </dev/null >&2 || true
    # Nor at the next boot.
    if command -v systemctl >/dev/null; then
        for package in "$@"; do
            systemctl disable --quiet "${package%-server}" >/dev/null 2>&1 || true
        done
    fi
}

# say_missing WHO PROGRAM…
say_missing() {
    local who=$1
    shift
    printf '%s: not on this machine: %s (Debian: apt-get install %s)\n' \
        "$who" "$*" "$(packages "$@")" >&2
}

fatal=(cc protoc protos)
case ${1:-} in
    build) optional=() ;;
    test) fatal+=(setpriv) optional=(unshare openssl nginx prometheus etcd strace vim libfaketime java setcap haproxy postgres python3 node venv containers podman-compose) ;;
    demo) optional=(nginx) ;;
    image) fatal+=(musl-gcc buildah certificates) optional=() ;;
    box) fatal=(cc openssl containerd runc nsenter ip iptables pgrep cni) optional=() ;;
    e2e) fatal+=(setpriv openssl nginx busybox prometheus) optional=() ;;
    missing)
        shift
        missing "$@"
        exit
        ;;
    *) echo 'usage: setup.sh build|test|demo|image|box|e2e' >&2 && exit 2 ;;
esac

mapfile -t lacking < <(missing "${fatal[@]}" "${optional[@]}")
[ ${#lacking[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2046 # several packages
    install $(packages "${lacking[@]}")
fi
case " ${lacking[*]} " in *' podman-compose '*) ! has containers || get_podman_compose ;; esac
mapfile -t lacking < <(missing "${optional[@]}")
[ ${#lacking[@]} -eq 0 ] || say_missing "some of this $1 is left out" "${lacking[@]}"
mapfile -t lacking < <(missing "${fatal[@]}")
if [ ${#lacking[@]} -gt 0 ]; then
    say_missing "no $1 without" "${lacking[@]}"
    exit 1
fi
