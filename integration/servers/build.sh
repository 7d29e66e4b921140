#!/usr/bin/env bash
# Puts programs that the tests need and no package brings into target/servers, at the versions that
# are pinned beside this file: the stores' servers, those of recipes, and what reads charts and manifests.
#
# build.sh [etcd] [etcdutl] [consul] [caddy] [oauth2-proxy] [helm] [kustomize] [kubernetes-validate]
#
# A program is taken, in this order: as its variable says ($ETCD, $OAUTH2_PROXY and so on), from PATH if
# it has the pinned version, from an earlier build, or built now: from Go modules (1 to 10 minutes each,
# once), kubernetes-validate from PyPI. Without a name it is the stores' servers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=$PWD/../../target/servers

pinned() {
    case $1 in
        etcd | etcdutl) sed -n 's#^require go.etcd.io/etcd/server/v3 v##p' etcd/go.mod ;;
        consul) sed -n 's#^require github.com/hashicorp/consul v##p' consul/go.mod ;;
        caddy) sed -n 's#^require github.com/caddyserver/caddy/v2 v##p' caddy/go.mod ;;
        oauth2-proxy) sed -n 's#^require github.com/oauth2-proxy/oauth2-proxy/v7 v##p' oauth2-proxy/go.mod ;;
        helm) sed -n 's#^\thelm.sh/helm/v3 v\([^ ]*\).*#\1#p' helm/go.mod ;;
        kustomize) sed -n 's#^\tsigs.k8s.io/kustomize/kustomize/v5 v\([^ ]*\).*#\1#p' kustomize/go.mod ;;
        kubernetes-validate) sed -n 's#^kubernetes-validate==\([^ ]*\).*#\1#p' "$(pins "$1")" ;;
    esac
}

# The folder of the module that builds it.
module() {
    echo "${1/etcdutl/etcd}"
}

# Where its version stands, and in what else it depends on those of others.
pins() {
    case $1 in
        kubernetes-validate) echo kubernetes-validate/requirements.txt ;;
        *) echo "$(module "$1")"/go.{mod,sum} ;;
    esac
}

# The variable that names another one to use.
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
        printf 'The tests need %s %s: install Go %s or newer (this machine has %s) from https://go.dev/dl, or set %s to that program.\n' \
            "$1" "$(pinned "$1")" "${needed%.0}" "${have:-none}" "$(variable "$1")" >&2
        exit 1
    fi
}

build() {
    local name=$1 package=. flags='-s -w' start=$SECONDS
    case $name in
        etcdutl) package=go.etcd.io/etcd/etcdutl/v3 ;;
        consul) package=github.com/hashicorp/consul ;;
        oauth2-proxy) package=github.com/oauth2-proxy/oauth2-proxy/v7 ;;
        helm) package=helm.sh/helm/v3/cmd/helm flags="$flags -X helm.sh/helm/v3/internal/version.version=v$(pinned helm)" ;;
        kustomize) package=sigs.k8s.io/kustomize/kustomize/v5 ;;
    esac
    need_go "$name"
    printf 'building %s %s from Go modules, once\n' "$name" "$(pinned "$name")" >&2
    # Under a name of its own first: what stands in target/servers is always whole.
    (cd "$(module "$name")" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$out/.$name.$$" "$package")
    mv "$out/.$name.$$" "$out/$name"
    printf 'built %s in %s s\n' "$name" $((SECONDS - start)) >&2
}

# A Python program lives in an environment of its own.
build_environment() {
    local name=$1 home=$out/python/$1
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        printf 'The tests need %s %s: install Python 3 with venv (Debian: apt-get install python3-venv), or set %s to that program.\n' \
            "$name" "$(pinned "$name")" "$(variable "$name")" >&2
        exit 1
    fi
    printf 'installing %s %s from PyPI, once\n' "$name" "$(pinned "$name")" >&2
    rm -rf "${out:?}/$name" "$home"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check --no-input --require-hashes \
        --only-binary :all: --requirement "$(pins "$name")" >&2
    ln -s "python/$name/bin/$name" "$out/$name"
}

# Whether what was built before has what is pinned now.
is_current() {
    local file
    for file in $(pins "$1"); do
        [ "$out/$1" -nt "$file" ] || return 1
    done
    # An environment ends with the Python that made it, and when its folder moves.
    [ "$1" != kubernetes-validate ] || is_pinned "$1" "$out/$1"
}

provide() {
    local name=$1 variable found
    variable=$(variable "$name")
    [ -z "${!variable:-}" ] || return 0
    if is_current "$name"; then
        return 0
    fi
    if found=$(command -v "$name") && is_pinned "$name" "$found"; then
        ln -sfn "$found" "$out/$name"
        return 0
    fi
    case $name in
        kubernetes-validate) build_environment "$name" ;;
        *) build "$name" ;;
    esac
}

mkdir -p "$out"
[ $# -gt 0 ] || set -- etcd etcdutl consul
for name in "$@"; do
    provide "$name"
done
