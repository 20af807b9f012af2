#!/bin/bash
# make runtimes: the truth suite in every kind of container of runc, crun and podman, and
# our service under a real systemd in a machine of QEMU's.
# usage: runtimes.sh [--fetch]
#   --fetch  only makes and downloads what is missing: a kernel, a root file system
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/kernels.sh --quick --fetch
kernels=${PIDFD_SHIM_KERNELS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pidfd-shim/kernels}
export SYSTEMD_KERNEL=$kernels/bookworm/vmlinuz SYSTEMD_IMAGE
SYSTEMD_IMAGE=$(scripts/systemd_image.sh)
if [ "${1:-}" = --fetch ]; then
	exit
fi
export PIDFD_SHIM_NO_SKIP=1 PIDFD_SHIM_RUNTIMES=1
exec go test -tags 'shimtest kernels' -count=1 -timeout 1h -v -run "${RUNTIMES_RUN:-^Test(Container|Serve|Podman|Systemd|ReportPage)}" ./tests
