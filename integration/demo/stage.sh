# The demo's stage: a folder, processes that end with it, words on the screen. Sourced by run.sh.
# shellcheck shell=bash

declare -A running=()

# A folder of its own, in memory where the system has such a place.
set_the_stage() {
    local base=/dev/shm
    [ -w "$base" ] || base=${TMPDIR:-/tmp}
    stage=$(mktemp -d "$base/rehup-demo.XXXXXX")
    # nginx's workers may be another user.
    chmod 755 "$stage"
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# However it ends: no process and no file stays.
leave() {
    local status=$? name
    trap - EXIT
    trap '' INT TERM HUP
    if [ "$status" -ne 0 ] && [ "$status" -lt 129 ]; then
        printf '\nThe demo failed. What its processes said:\n' >&2
        tail -n 20 "$stage"/*.log >&2 || true
    fi
    for name in "${!running[@]}"; do
        kill "${running[$name]}" 2>/dev/null || true
    done
    for name in "${!running[@]}"; do
        wait "${running[$name]}" 2>/dev/null || true
    done
    rm -rf "$stage"
    exit "$status"
}

# start NAME COMMAND… : in the background, with its output in NAME.log; ends with this script.
start() {
    local name=$1
    shift
    if command -v setpriv >/dev/null; then
        set -- setpriv --pdeathsig TERM -- "$@"
    fi
    "$@" </dev/null >"$stage/$name.log" 2>&1 &
    running[$name]=$!
}

# stop NAME: by SIGTERM; fails unless it ends with exit code 0.
stop() {
    kill "${running[$1]}"
    wait "${running[$1]}"
    unset "running[$1]"
}

# wait_for WHAT COMMAND… : until the command succeeds, 30 seconds at most.
wait_for() {
    local what=$1 end=$((SECONDS + 30)) name
    shift
    until "$@"; do
        for name in "${!running[@]}"; do
            kill -0 "${running[$name]}" 2>/dev/null || { echo "$name has ended" >&2 && exit 1; }
        done
        [ $SECONDS -lt $end ] || { echo "waited 30 s for $what" >&2 && exit 1; }
        sleep 0.02
    done
}

free_port() {
    local port
    while port=$((10000 + RANDOM % 20000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# http METHOD PORT PATH [BODY]: prints the status code, then the body.
http() {
    local LC_ALL=C method=$1 port=$2 path=$3 body=${4:-}
    {
        printf '%s %s HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s' \
            "$method" "$path" "${#body}" "$body" >&3
        tr -d '\r' <&3 | sed -e '1s/^[^ ]* \([0-9]*\).*/\1/' -e '2,/^$/d'
    } 3<>"/dev/tcp/127.0.0.1/$port"
} 2>/dev/null

probe() {
    http GET "$admin" "/$1"
}

probe_is() {
    [ "$(probe "$1" | head -n 1)" = "$2" ]
}

visible() {
    readlink "$volume/..data"
}

# Whether the main process was told about the visible generation.
is_settled() {
    local number=${1:-$(visible)}
    number=${number#..gen-}
    grep -q "INFO reload target=.* generation=${number%%-*} " "$stage/rehup.log"
}

if [ -t 1 ]; then
    bold=$'\e[1;36m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

heading() {
    act=$((${act:-0} + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$act" "$1" "$plain"
}

say() {
    printf '%s\n' "$1"
}

# Shows a file, with the demo's folder under a short name and times without their day.
quote() {
    sed -e "s#$stage#/demo#g" -e 's/^[0-9-]*T\([0-9:.]\{12\}\)[0-9]*Z/\1/' \
        -e "s/^/    $dim/" -e "s/\$/$plain/" "$1"
}

# The log since it was last shown.
log_lines() {
    local shown=${log_shown:-0}
    log_shown=$(wc -l <"$stage/rehup.log")
    [ "$log_shown" -gt "$shown" ] || return 0
    say 'Rehup says:'
    sed -n "$((shown + 1)),${log_shown}p" "$stage/rehup.log" | quote /dev/stdin
}

# What the main process sees; owners, sizes and times say nothing here.
list_volume() {
    say "    $dim\$ ls -la volume$plain"
    (cd "$volume" && ls -lA --time-style=+%T) | tail -n +2 |
        awk '{ mode = $1; $1 = $2 = $3 = $4 = $5 = ""; sub(/^ +/, ""); printf "    %s  %s\n", mode, $0 }'
}
