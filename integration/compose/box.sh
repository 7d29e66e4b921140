#!/usr/bin/env bash
# Process 1 of the namespaces that a Compose file is brought up in: what it makes of processes,
# mounts, addresses, ports and rules of the packet filter is seen by nobody else, and ends with it.
set -euo pipefail
mount -t tmpfs -o mode=0755 tmpfs /run
ip link set lo up
# Reaps what the containers' monitors leave, and does nothing else.
exec catatonit -P
