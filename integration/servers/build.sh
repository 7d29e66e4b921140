#!/usr/bin/env bash
# Puts the servers that the tests need into target/servers, at the versions that go.mod pins.
#
# build.sh [etcd] [etcdutl] [consul] [caddy] [oauth2-proxy]   the stores', where none is named
#
# A server is taken, in this order: as $ETCD, $ETCDUTL, $CONSUL, $CADDY or $OAUTH2_PROXY says, from PATH
# if it has the pinned version, from an earlier build, or built now from Go modules (2 to 10 minutes
# each, once).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=$PWD/../../target/servers

pinned() {
    case $1 in
        etcd | etcdutl) sed -n 's#^require go.etcd.io/etcd/server/v3 v##p' etcd/go.mod ;;
        consul) sed -n 's#^require github.com/hashicorp/consul v##p' consul/go.mod ;;
        caddy) sed -n 's#^require github.com/caddyserver/caddy/v2 v##p' caddy/go.mod ;;
        oauth2-proxy) sed -n 's#^require github.com/oauth2-proxy/oauth2-proxy/v7 v##p' oauth2-proxy/go.mod ;;
    esac
}

# The module that builds it.
module() {
    echo "${1/etcdutl/etcd}"
}

# The variable that names another one.
variable() {
    local name=${1^^}
    echo "${name//-/_}"
}

version_of() {
    "$1" version 2>/dev/null || "$1" --version 2>/dev/null
}

# Whether the program $2 is the server $1 at its pinned version.
is_pinned() {
    version_of "$2" | grep -qwF -e "$(pinned "$1")" -e "v$(pinned "$1")"
}

need_go() {
    local needed have
    needed=$(sed -n 's/^go //p' "$(module "$1")/go.mod")
    have=$(go env GOVERSION 2>/dev/null | sed 's/^go//') || have=
    if [ -z "$have" ] || [ "$(printf '%s\n' "$needed" "$have" | sort -V | head -n 1)" != "$needed" ]; then
        printf 'The tests need %s %s: install Go %s or newer (this machine has %s) from https://go.dev/dl, or set %s to that server.\n' \
            "$1" "$(pinned "$1")" "${needed%.0}" "${have:-none}" "$(variable "$1")" >&2
        exit 1
    fi
}

build() {
    local name=$1 package=. start=$SECONDS
    case $name in
        etcdutl) package=go.etcd.io/etcd/etcdutl/v3 ;;
        consul) package=github.com/hashicorp/consul ;;
        oauth2-proxy) package=github.com/oauth2-proxy/oauth2-proxy/v7 ;;
    esac
    need_go "$name"
    printf 'building %s %s from Go modules, once\n' "$name" "$(pinned "$name")" >&2
    # Under a name of its own first: what stands in target/servers is always whole.
    (cd "$(module "$name")" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$out/.$name.$$" "$package")
    mv "$out/.$name.$$" "$out/$name"
    printf 'built %s in %s s\n' "$name" $((SECONDS - start)) >&2
}

provide() {
    local name=$1 variable module found
    variable=$(variable "$name")
    module=$(module "$name")
    [ -z "${!variable:-}" ] || return 0
    if [ "$out/$name" -nt "$module/go.mod" ] && [ "$out/$name" -nt "$module/go.sum" ]; then
        return 0
    fi
    if found=$(command -v "$name") && is_pinned "$name" "$found"; then
        ln -sfn "$found" "$out/$name"
        return 0
    fi
    build "$name"
}

mkdir -p "$out"
[ $# -gt 0 ] || set -- etcd etcdutl consul
for name in "$@"; do
    provide "$name"
done
