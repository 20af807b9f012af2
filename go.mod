module github.com/pidfd-shim/pidfd-shim

go 1.26.0

require (
	github.com/spf13/cobra v1.10.2 // commands, flags and shell completion
	golang.org/x/sys v0.49.0 // raw system calls and kernel constants
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
)
