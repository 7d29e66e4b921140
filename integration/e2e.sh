#!/usr/bin/env bash
# `make e2e`: what ships below deploy, applied to a real Kubernetes: every case that takes less than a
# minute. `make e2e-full`: all of them.
#
# e2e.sh [full]
# e2e.sh PART…    only cases whose names hold one of the parts
#
# The cluster is the box of e2e/cluster, which is built once (minutes, with Go) and started here; one
# that runs already is used and left running. REHUP_E2E_KUBECONFIG names another cluster instead,
# whose nodes must have the images: target/image/rehup.tar and target/e2e/*.tar.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
box=integration/e2e/cluster/box.sh
apps=(nginx busybox etcd consul)
mapfile -t archives < <(printf 'target/e2e/%s.tar\n' "${apps[@]}")

integration/setup.sh e2e
integration/servers/build.sh etcd consul
deploy/image/build.sh
integration/e2e/images.sh "${apps[@]}"
if [ -z "${REHUP_E2E_KUBECONFIG:-}" ]; then
    if ! "$box" runs; then
        trap '"$box" down' EXIT
        "$box" up
    fi
    "$box" load target/image/rehup.tar "${archives[@]}"
fi

case ${1:-} in
    '') parts=(e2e:: --skip e2e::full) ;;
    full) parts=(e2e::) ;;
    *) parts=("$@") ;;
esac
# They wait most of the time; a pod needs memory and a moment of every component.
cargo test --locked --test integration -- "${parts[@]}" --test-threads "${E2E_THREADS:-6}"
