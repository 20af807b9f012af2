module github.com/pidfd-shim/pidfd-shim

go 1.26.0

require (
	github.com/coreos/go-systemd/v22 v22.7.0 // sockets, the watchdog and kept descriptors from systemd
	github.com/fsnotify/fsnotify v1.10.1 // a policy file that is changed or replaced
	github.com/goccy/go-yaml v1.19.2 // policy files, with the place of every word
	github.com/google/go-cmp v0.7.0 // differences in tests, field by field
	github.com/opencontainers/runtime-spec v1.3.0 // what runtimes send to an agent, and the profiles that they read
	github.com/prometheus/client_model v0.6.3 // what a scrape is parsed into, in tests
	github.com/prometheus/common v0.72.0 // Prometheus's own parser, in tests
	github.com/rogpeppe/go-internal v1.16.0 // testscript: the command line as its users type it
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // the published schema of policies, in tests
	github.com/seccomp/libseccomp-golang v0.11.1 // the program that container runtimes will compile, to compare ours with
	github.com/spf13/cobra v1.10.2 // subcommands, flags, help and completion
	github.com/spf13/pflag v1.0.9 // cobra's flags: which one a user got wrong
	golang.org/x/arch v0.32.0 // x86asm: by which instruction a call was made (older ones panic on hostile bytes)
	golang.org/x/net v0.62.0 // bpf: a VM to run our filters in, in tests
	golang.org/x/sys v0.49.0 // raw system calls and kernel constants
)

require (
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	mvdan.cc/gofumpt v0.12.0 // indirect
)

tool (
	honnef.co/go/tools/cmd/staticcheck
	mvdan.cc/gofumpt
)
