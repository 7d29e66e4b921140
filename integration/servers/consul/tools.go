//go:build tools

// Package tools keeps Consul in go.mod at the version that the tests use.
package tools

import _ "github.com/hashicorp/consul"
