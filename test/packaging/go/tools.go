//go:build tools

// Package tools pins the programs that the packaging tests render with.
package tools

import (
	_ "helm.sh/helm/v4/cmd/helm"
)
