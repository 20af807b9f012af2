// Package policies holds the example policies, for "policy init".
package policies

import "embed"

// Files are the examples, NAME.yaml.
//
//go:embed *.yaml
var Files embed.FS
