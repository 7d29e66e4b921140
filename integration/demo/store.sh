# The demo's source: a folder, a real etcd or a real Consul. Sourced by run.sh.
# shellcheck shell=bash

store_name() {
    case $store in
        files) echo 'a folder, as a mounted ConfigMap would be' ;;
        etcd) echo "etcd $(servers_version etcd)" ;;
        consul) echo "Consul $(servers_version consul)" ;;
    esac
}

servers_version() {
    "$(server "$1")" "$([ "$1" = etcd ] && echo --version || echo version)" |
        sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p'
}

# The program: $ETCD or $CONSUL, else the one for the tests.
server() {
    local variable=${1^^}
    echo "${!variable:-target/servers/$1}"
}

start_store() {
    case $store in
        files) mkdir "$stage/settings" ;;
        etcd)
            local peer
            store_port=$(free_port) peer=$(free_port)
            start etcd "$(server etcd)" --data-dir="$stage/etcd" --log-level=warn \
                --listen-client-urls="http://127.0.0.1:$store_port" \
                --advertise-client-urls="http://127.0.0.1:$store_port" \
                --listen-peer-urls="http://127.0.0.1:$peer" \
                --initial-advertise-peer-urls="http://127.0.0.1:$peer" \
                --initial-cluster="default=http://127.0.0.1:$peer"
            wait_for 'etcd' put ready yes
            ;;
        consul)
            store_port=$(free_port)
            start consul "$(server consul)" agent -dev -bind=127.0.0.1 -http-port="$store_port" \
                -dns-port=-1 -grpc-port=-1 -grpc-tls-port=-1 -serf-wan-port=-1 \
                -serf-lan-port="$(free_port)" -server-port="$(free_port)"
            wait_for 'Consul' put ready yes
            ;;
    esac
}

# put KEY VALUE: as somebody else would, without Rehup.
put() {
    case $store in
        files)
            printf '%s' "$2" >"$stage/settings/.new"
            mv "$stage/settings/.new" "$stage/settings/$1"
            ;;
        etcd)
            answers_200 POST /v3/kv/put "$(printf '{"key": "%s", "value": "%s"}' \
                "$(printf 'demo/%s' "$1" | base64 -w 0)" "$(printf '%s' "$2" | base64 -w 0)")"
            ;;
        consul) answers_200 PUT "/v1/kv/demo/$1" "$2" ;;
    esac
}

answers_200() {
    [ "$(http "$1" "$store_port" "$2" "$3" | head -n 1)" = 200 ]
}

# What the configuration says of it.
source_settings() {
    case $store in
        files) echo "files: { path: $stage/settings }" ;;
        etcd) echo "etcd: { endpoints: [\"http://127.0.0.1:$store_port\"], prefix: demo/ }" ;;
        consul) echo "consul: { address: \"http://127.0.0.1:$store_port\", prefix: demo/ }" ;;
    esac
}
