#!/usr/bin/env bash
# Makes an image of one layer from a folder, as the archive that `docker save` writes: no registry, no
# tool. Owned by root, so the folder must be readable by everybody.
#
# image.sh ARCHIVE NAME FOLDER [CONFIG]   image.sh tool.tar localhost/tool:1 root '{"Entrypoint": ["/tool"]}'
set -euo pipefail
archive=$1 name=$2 folder=$3 config=${4:-'{}'}
case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) architecture=$(uname -m) ;;
esac
parts=$(mktemp -d)
trap 'rm -r "$parts"' EXIT

tar -C "$folder" --owner=0 --group=0 --numeric-owner --sort=name --mtime=@0 -cf "$parts/layer.tar" .
digest=$(sha256sum "$parts/layer.tar" | cut -d ' ' -f 1)
printf '{"architecture": "%s", "os": "linux", "config": %s, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
    "$architecture" "$config" "$digest" >"$parts/config.json"
printf '[{"Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"]}]' "$name" >"$parts/manifest.json"
tar -C "$parts" -cf "$archive.new" .
mv "$archive.new" "$archive"
