//go:build !cgo

package oci

import (
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// CompileProfile needs libseccomp, which this build does not have.
func CompileProfile(*specs.LinuxSeccomp) ([]unix.SockFilter, string, error) {
	return nil, "", errors.ErrUnsupported
}
