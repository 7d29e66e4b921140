#!/usr/bin/env bash
# A real Kubernetes with one node in a box: etcd, apiserver, controller manager, scheduler, containerd
# and kubelet in a pid, mount and network namespace of their own. Nothing in it is reached from
# outside, nothing leaves it, and with its first process the kernel ends all that ran in it.
#
# box.sh up                  builds what is missing (once, minutes), starts, waits until the node is ready
# box.sh down                ends the box and removes its state; what was built stays
# box.sh runs                whether it runs
# box.sh missing             what this machine lacks for a box, one word a line
# box.sh kubectl ARGUMENT…   kubectl, as the cluster's admin
# box.sh load ARCHIVE…       takes images in (docker or OCI archives)
# box.sh enter COMMAND…      a command in the box's network: curl to a pod, a store that pods talk to
#
# Everything is in REHUP_E2E_BOX (~/.cache/rehup-cluster): `bin`, `build`, and `state` with `log`.
set -euo pipefail
me=$(realpath "${BASH_SOURCE[0]}")
here=${me%/*}
box=${REHUP_E2E_BOX:-${XDG_CACHE_HOME:-$HOME/.cache}/rehup-cluster}
bin=$box/bin
state=$box/state
sandbox_image=localhost/pause:1
# From the ranges for documentation; they exist in the box only.
node=198.51.100.1 pods=198.51.100.0/24 services=203.0.113.0/24
export KUBECONFIG=$state/kubeconfig

# await COMMAND…: until it succeeds.
await() {
    local end=$((SECONDS + 120))
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            printf 'waited in vain for: %s; see %s\n' "$*" "$state/log" >&2
            return 1
        fi
        sleep 0.2
    done
}

# What setup.sh cannot install: rights, and Go.
missing() {
    [ "$(id -u)" = 0 ] && unshare --mount --pid --fork --net true 2>/dev/null || echo root
    command -v go >/dev/null || echo go
}

version() {
    sed -n 's#^require k8s.io/kubernetes v##p' "$here/go.mod"
}

# Without a version in it the apiserver refuses to start.
stamp() {
    local version package
    version=$(version)
    printf -- '-s -w'
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf -- ' -X %s.gitVersion=v%s -X %s.gitMajor=%s -X %s.gitMinor=%s -X %s.gitTreeState=clean' \
            "$package" "$version" "$package" "${version%%.*}" \
            "$package" "$(cut -d . -f 2 <<<"$version")" "$package"
    done
}

build() {
    local component start=$SECONDS
    "$here/../../setup.sh" box
    if [ -n "$(missing)" ]; then
        printf 'a box needs what this machine lacks: %s\n' "$(missing | paste -sd ' ')" >&2
        return 1
    fi
    "$here/../../servers/build.sh" etcd
    mkdir -p "$box/build" "$bin"
    ln -sfn "${ETCD:-$(realpath "$here/../../../target/servers/etcd")}" "$bin/etcd"
    cp "$here/go.mod" "$here/go.sum" "$box/build"
    for component in kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl; do
        [ ! -x "$bin/$component" ] || continue
        printf 'building %s %s from Go modules, once\n' "$component" "$(version)" >&2
        # Under a name of its own first: what stands in `bin` is always whole.
        (cd "$box/build" && CGO_ENABLED=0 go build -ldflags="$(stamp)" -o "$bin/.$component" \
            "k8s.io/kubernetes/cmd/$component")
        mv "$bin/.$component" "$bin/$component"
        printf 'built %s after %s s\n' "$component" $((SECONDS - start)) >&2
    done
    # What holds a pod's namespaces, and reaps what dies in them.
    [ -x "$bin/pause" ] || cc -Os -static -o "$bin/pause" "$here/pause.c"
}

configure() {
    rm -rf --one-file-system "$state"
    mkdir -p "$state"/{log,cni,pki,sysctl,var-lib,var-log,pause}
    openssl genrsa -out "$state/pki/sa.key" 2048 2>/dev/null
    echo 'token,admin,admin,system:masters' >"$state/pki/tokens"
    cat >"$KUBECONFIG" <<END
apiVersion: v1
kind: Config
current-context: box
contexts: [{ name: box, context: { cluster: box, user: admin } }]
clusters: [{ name: box, cluster: { server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true } }]
users: [{ name: admin, user: { token: token } }]
END
    cat >"$state/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$state/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
authorization: { mode: AlwaysAllow }
enforceNodeAllocatable: []
evictionHard: { memory.available: 100Mi }
imageGCHighThresholdPercent: 100
resolvConf: ""
END
    # Root may lack the right to make a process less likely to be killed for memory; then no sandbox
    # starts unless containerd asks for what it has.
    cat >"$state/containerd.toml" <<END
version = 2
root = "$state/containerd"
state = "/run/containerd/state"
[grpc]
  address = "$state/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$state/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$sandbox_image"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$state/cni"
END
    cat >"$state/cni/10-box.conflist" <<END
{ "cniVersion": "0.4.0", "name": "box", "plugins": [
  { "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": {
      "type": "host-local", "ranges": [[{ "subnet": "$pods" }]], "routes": [{ "dst": "0.0.0.0/0" }] } } ] }
END
    # The kubelet sets these for the whole machine. In the box it finds what it wants, and writes nothing.
    echo 1 >"$state/sysctl/vm.overcommit_memory"
    echo 10 >"$state/sysctl/kernel.panic"
    echo 1 >"$state/sysctl/kernel.panic_on_oops"
}

component() {
    local log=$state/log/$1.log
    shift
    "$@" >>"$log" 2>&1 </dev/null &
}

# The first process of the box.
inside() {
    local file name
    for file in "$state"/sysctl/*; do
        name=${file##*/}
        mount --bind "$file" "/proc/sys/${name//.//}"
    done
    mount --bind "$state/var-lib" /var/lib
    mount --bind "$state/var-log" /var/log
    mount -t tmpfs tmpfs /run
    mount --make-rshared /
    mkdir -p /run/lock /var/lib/kubelet
    ip link set lo up
    ip link add cni0 type bridge
    ip addr add "$node/${pods#*/}" dev cni0
    ip link set cni0 up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    component etcd "$bin/etcd" --data-dir "$state/etcd" --unsafe-no-fsync
    component containerd containerd -c "$state/containerd.toml"
    component apiserver "$bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
        --bind-address 127.0.0.1 --advertise-address "$node" \
        --kubelet-preferred-address-types InternalIP --cert-dir "$state/pki" \
        --token-auth-file "$state/pki/tokens" --authorization-mode RBAC --allow-privileged \
        --service-cluster-ip-range "$services" --service-account-issuer https://box \
        --service-account-key-file "$state/pki/sa.key" \
        --service-account-signing-key-file "$state/pki/sa.key"
    await "$bin/kubectl" get --raw /readyz
    component controller-manager "$bin/kube-controller-manager" --kubeconfig "$KUBECONFIG" \
        --leader-elect=false --bind-address 127.0.0.1 --root-ca-file "$state/pki/apiserver.crt" \
        --service-account-private-key-file "$state/pki/sa.key"
    component scheduler "$bin/kube-scheduler" --kubeconfig "$KUBECONFIG" --leader-elect=false \
        --bind-address 127.0.0.1
    component kubelet "$bin/kubelet" --kubeconfig "$KUBECONFIG" --config "$state/kubelet.yaml" \
        --hostname-override node --node-ip "$node" --cert-dir "$state/pki"
    while wait -n; do :; done
    echo "a component ended" >&2
    while :; do sleep 1000; done
}

runs() {
    [ -f "$state/init.pid" ] && grep -qzF -- "$me" "/proc/$(cat "$state/init.pid")/cmdline" 2>/dev/null
}

kubectl() {
    enter "$bin/kubectl" "$@"
}

enter() {
    nsenter --target "$(cat "$state/init.pid")" --net -- "$@"
}

load() {
    local archive
    for archive in "$@"; do
        ctr -a "$state/containerd.sock" -n k8s.io images import "$archive" >/dev/null
    done
}

first_process() {
    pgrep -P "$(cat "$state/unshare.pid")"
}

up() {
    build
    ! runs || return 0
    configure
    setsid unshare --pid --fork --kill-child --mount --mount-proc --net "$me" inside \
        >"$state/log/box.log" 2>&1 </dev/null &
    echo $! >"$state/unshare.pid"
    await first_process
    first_process >"$state/init.pid"
    await ctr -a "$state/containerd.sock" version
    cp "$bin/pause" "$state/pause"
    "$here/../image.sh" "$state/pause.tar" "$sandbox_image" "$state/pause" \
        '{"Entrypoint": ["/pause"], "User": "65535:65535"}'
    load "$state/pause.tar"
    await kubectl get node node
    kubectl wait --for=condition=Ready node/node --timeout=90s >/dev/null
    # Pods are refused before it is there.
    await kubectl get serviceaccount default
}

down() {
    runs || return 0
    local first
    first=$(cat "$state/init.pid")
    kill -KILL "$first"
    # The kernel ends the rest of the box with it.
    await test ! -e "/proc/$first"
    find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
    rm -rf --one-file-system "$state"
}

case ${1:-} in
    up | down | runs | missing | inside) "$1" ;;
    kubectl | load | enter) "$@" ;;
    *) sed -n '2,/^set/{s/^# \{0,1\}//p}' "$me" && exit 2 ;;
esac
