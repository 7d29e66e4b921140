//go:build tools

// Package tools keeps oauth2-proxy in go.mod at the version that the tests use.
package tools

import _ "github.com/oauth2-proxy/oauth2-proxy/v7"
