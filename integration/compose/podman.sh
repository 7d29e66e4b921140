#!/usr/bin/env bash
# podman as podman-compose calls it, with two lines put right that the two of Debian's age do not
# understand, so that the shipped files are used as they are:
#
# - `pid: "service:nginx"` is passed on as it stands; podman knows only containers.
# - `--requires`, made from `depends_on`, is refused by podman 4.3 where one dependency has another.
#   Their order is podman-compose's own work, which starts one after the other.
#
# And with CGROUP every container is in cgroups of this test, which are all of it that namespaces do not end.
set -euo pipefail
words=()
if [ "${1:-}" = create ] && [ -n "${CGROUP:-}" ]; then
    words=(create "--cgroup-parent=$CGROUP")
    shift
fi
for word in "$@"; do
    case $word in
        --requires=*) continue ;;
        service:*) word=container:${PROJECT:?}_${word#service:}_1 ;;
    esac
    words+=("$word")
done
exec podman "${words[@]}"
