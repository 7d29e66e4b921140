#!/usr/bin/env bash
# A main process for machines without nginx: small.sh FILE PAGE PID. Shows FILE as PAGE, and reads
# it again on SIGHUP.
read_again() {
    cp "$1" "$2"
}
trap 'read_again "$1" "$2"' HUP
read_again "$1" "$2"
echo $$ >"$3"
while :; do
    sleep 3600 &
    wait $!
done
