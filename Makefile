# make demo    build, then show a real program under every backend and mode
# make quick   what is decided in 2 minutes, without virtual machines
# make test    everything that is decided within 12 minutes (.ci/run calls it)
# make fresh   demo and test as a new user has them: a minimal root, a clone, another /tmp
# make soak    long races and fuzzing: hours
# make kernels boot other kernels in QEMU, run the truth suite and real callers there: an hour or more
# make runtimes run the truth suite in every kind of container of runc, crun and podman,
#              and the packaged service under systemd, in QEMU: a quarter of an hour
# make suites  other people's suites natively and in each way of running: hours
# make check   formatting, vet and linters
# make bench   measure this machine against the floors
# make performance the same, into docs/PERFORMANCE.md
# make deb     a Debian package in bin/, taken apart and installed in a scratch root to check it
#
# demo, quick, test, fresh, soak, kernels, runtimes, check and deb install missing Debian packages first, and say so.

GO       ?= go
BIN      := bin/pidfd-shim
STATIC   := bin/pidfd-shim-static
FUZZTIME ?= 10m
# What "version" names: empty where no commit is known.
COMMIT   := $(shell git describe --always --abbrev=12 --dirty=+changed --exclude='*' 2>/dev/null)

.PHONY: build static demo quick test fresh soak kernels runtimes suites check fmt bench performance man deb clean

build:
	$(GO) build -trimpath -ldflags "-s -w -X main.commit=$(COMMIT)" -o $(BIN) ./cmd/pidfd-shim

# The pure build: no cgo, no libseccomp, runs on old kernels and on any libc.
static:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.commit=$(COMMIT)" -o $(STATIC) ./cmd/pidfd-shim

demo:
	@scripts/deps.sh demo
	@scripts/demo.sh

test:
	@scripts/deps.sh test
	@scripts/test.sh

quick:
	@scripts/deps.sh demo
	@scripts/test.sh --quick

fresh:
	@scripts/deps.sh fresh
	@scripts/fresh.sh

soak:
	@scripts/deps.sh test
	@FUZZTIME=$(FUZZTIME) scripts/soak.sh

# KERNELS="path/to/bzImage ..." takes other images than Debian's. KERNELS_ONLY=SUBSTRING,
# KERNELS_EVERY=N and TRUTH_MODES=MODE,... run a part of the rows; KERNELS_AGAIN=1 boots
# nothing and judges again what the machines of the last run reported.
kernels:
	@scripts/deps.sh kernels
	@scripts/kernels.sh $(KERNELS)

runtimes:
	@scripts/deps.sh runtimes
	@scripts/runtimes.sh

suites:
	@scripts/deps.sh suites
	@scripts/suites.sh

check:
	@scripts/deps.sh build
	@scripts/check.sh

fmt:
	$(GO) tool gofumpt -w .

bench: build
	$(BIN) bench

performance: build
	@scripts/performance.sh

man: build
	$(BIN) man > bin/pidfd-shim.1

deb:
	@scripts/deps.sh deb
	@$(MAKE) --no-print-directory build
	@scripts/deb.sh

clean:
	rm -rf bin
