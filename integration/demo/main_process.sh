# The demo's main process: a real nginx; where there is none, a program that reads its file again
# on SIGHUP, as most do. Sourced by run.sh.
# shellcheck shell=bash

nginx=${NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}

has_nginx() {
    [ -x "$nginx" ]
}

main_process_name() {
    if has_nginx; then "$nginx" -v 2>&1 | sed 's/.*: //'; else echo 'a small program'; fi
}

published_file() {
    if has_nginx; then echo nginx.conf; else echo main.json; fi
}

check_name() {
    if has_nginx; then echo '`nginx -t`'; else echo 'The check of the format'; fi
}

write_configuration() {
    page_port=$(free_port)
    if has_nginx; then nginx_configuration; else small_configuration; fi
}

nginx_configuration() {
    cat >"$stage/template" <<EOF
daemon off;
pid $stage/pid;
error_log $stage/error.log;
events { }
http {
    access_log off;
    client_body_temp_path $stage/body;
    proxy_temp_path $stage/proxy;
    fastcgi_temp_path $stage/fastcgi;
    uwsgi_temp_path $stage/uwsgi;
    scgi_temp_path $stage/scgi;
    server {
        listen 127.0.0.1:$page_port;
        location / { return 200 "{{ settings.greeting }}\n"; }
    }
}
EOF
    cat >"$stage/rehup.yaml" <<EOF
sources:
  settings: { $(source_settings) }
templates:
  - { file: $stage/template, to: nginx.conf }
checks:
  - exec: [$nginx, -t, -q, -e, $stage/error.log, -c, "{dir}/nginx.conf"]
targets:
  - name: nginx
    signal: SIGHUP
    process: { name: nginx, pid_file: $stage/pid }
    verify: { workers: changed }
EOF
}

small_configuration() {
    printf '{"greeting": "{{ settings.greeting }}"}\n' >"$stage/template"
    cat >"$stage/rehup.yaml" <<EOF
sources:
  settings: { $(source_settings) }
templates:
  - { file: $stage/template, to: main.json, format: json }
targets:
  - name: main
    signal: SIGHUP
    process: { pid_file: $stage/pid }
EOF
}

start_main_process() {
    if has_nginx; then
        start nginx "$nginx" -e "$stage/error.log" -c "$volume/nginx.conf"
    else
        start main bash integration/demo/small.sh "$volume/main.json" "$stage/page" "$stage/pid"
    fi
}

page() {
    if has_nginx; then
        http GET "$page_port" / | tail -n +2
    else
        sed -n 's/.*: "\(.*\)".*/\1/p' "$stage/page" 2>/dev/null
    fi
}

page_is() {
    [ "$(page)" = "$1" ]
}

show_page() {
    if has_nginx; then
        say "    $dim\$ curl http://127.0.0.1:$page_port/$plain"
    fi
    say "    $(page)"
}
