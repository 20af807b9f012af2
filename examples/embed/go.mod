module github.com/pidfd-shim/pidfd-shim/examples/embed

go 1.26.0

require github.com/pidfd-shim/pidfd-shim v0.0.0

require (
	github.com/goccy/go-yaml v1.19.2 // indirect
	github.com/opencontainers/runtime-spec v1.3.0 // indirect
	golang.org/x/arch v0.32.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/pidfd-shim/pidfd-shim => ../..
