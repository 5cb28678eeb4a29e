//go:build tools

// Keeps Open Policy Agent among the module's requirements: go mod tidy removes what no file imports.
package tools

import _ "github.com/open-policy-agent/opa"
