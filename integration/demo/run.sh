#!/usr/bin/env bash
# `make demo`: one change on its way from a source to a running main process, and one that must not
# arrive. Starts everything itself, on ports and in a folder of its own, and leaves nothing behind.
#
# run.sh [files|etcd|consul]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. integration/demo/stage.sh
. integration/demo/store.sh
. integration/demo/main_process.sh

store=${1:-files}
case $store in
    files | etcd | consul) ;;
    *) echo 'usage: make demo [STORE=files|etcd|consul]' >&2 && exit 2 ;;
esac

integration/setup.sh demo
[ "$store" = files ] || integration/servers/build.sh "$store"
if ! [ -x "${CARGO_TARGET_DIR:-target}/release/rehup" ]; then
    echo 'building the release binary; this takes minutes, once'
fi
cargo build --release --locked --quiet
rehup=$(realpath "${CARGO_TARGET_DIR:-target}/release/rehup")

set_the_stage
say "Everything is in $stage; below that folder is called /demo."
volume=$stage/volume admin=$(free_port)
mkdir "$volume"

heading "A place to keep settings: $(store_name)"
start_store
put greeting 'Hello'
say "It holds one key, greeting = \"Hello\"."

heading "Rehup: renders a template into a volume"
write_configuration
say 'Its configuration:'
quote "$stage/rehup.yaml"
say 'The template:'
quote "$stage/template"
start rehup "$rehup" run --config "$stage/rehup.yaml" --output "$volume" --listen "127.0.0.1:$admin"
wait_for 'the first generation' probe_is readyz 200
say 'The volume, as the main process sees it:'
list_volume
log_lines
say 'There is nobody to tell yet, so that is owed until there is.'

heading "The main process: $(main_process_name)"
start_main_process
wait_for 'the page' page_is 'Hello'
say "It knows nothing of Rehup: it reads $(published_file) and serves:"
show_page
wait_for 'the outcome' is_settled
log_lines
say 'It started after the flip, so it has read the file and needs no signal.'

heading 'A change: greeting = "Good morning"'
before=$(visible)
put greeting 'Good morning'
wait_for 'the change' page_is 'Good morning'
say 'Rehup rendered it, checked it, and turned one link, so that all files changed at once:'
say "    before   ..data -> $before"
say "    now      ..data -> $(visible)"
list_volume
say 'Then it told the main process, and saw what came of it:'
wait_for 'the outcome' is_settled
log_lines
say 'The page:'
show_page

heading 'A mistake: a quotation mark that breaks the file'
put greeting 'Good evening"; no_such_directive "'
wait_for 'the refusal' probe_is freshz 503
say "$(check_name) refused what came of it, so readers never saw it. The last good one stays:"
list_volume
log_lines
say 'The page:'
show_page
say 'Rehup stays ready, since what is visible is good (/readyz), but does not call it fresh (/freshz):'
say "    /readyz  $(probe readyz | tail -n 1)"
probe freshz | tail -n +2 | sed -e "s#$stage#/demo#g" -e 's/^/    \/freshz  /'

heading 'The mistake mended: greeting = "Good evening"'
put greeting 'Good evening'
wait_for 'the mended page' page_is 'Good evening'
wait_for 'the outcome' is_settled
log_lines
say 'The page:'
show_page

heading 'The end'
stop rehup
say 'Rehup was asked to stop (SIGTERM) and did, with exit code 0. The main process goes on:'
show_page
