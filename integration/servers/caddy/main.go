// Caddy at the version that go.mod pins, with the modules that the recipe needs, for the tests.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	// The Caddyfile's adapter, the HTTP server, and files and fixed answers for it.
	_ "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func main() {
	caddycmd.Main()
}
