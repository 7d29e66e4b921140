//go:build tools

// Keeps oauth2-proxy, which is a program, in go.mod.
package tools

import _ "github.com/oauth2-proxy/oauth2-proxy/v7"
