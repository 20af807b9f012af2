#!/bin/bash
# Installs the Debian packages that a make target needs, if any is missing, and says
# which; for test and runtimes it downloads the kernels that are booted, too. With all of that
# present it touches neither the network nor the system.
# usage: deps.sh build|demo|test|fresh|kernels|runtimes|suites|deb
set -euo pipefail

build="gcc libc6-dev libseccomp-dev pkg-config ca-certificates"
demo="$build gcc-multilib python3"
kernels="$demo make qemu-system-x86 debian-archive-keyring stress-ng"
fresh="git make mmdebstrap"
programs="bubblewrap screen vim less runit tini dumb-init tmux" # that tests/front runs
test="$kernels $fresh procps psmisc strace util-linux runc crun bash dash zsh mksh busybox $programs"
runtimes="$build gcc-multilib make binutils util-linux runc crun podman qemu-system-x86 debian-archive-keyring mmdebstrap cpio"
suites="$demo make stress-ng systemd-tests"
deb="$build binutils make"

case "${1:-}" in
build) wanted=$build ;;
demo) wanted=$demo ;;
test) wanted=$test ;;
fresh) wanted=$fresh ;;
kernels) wanted=$kernels ;;
runtimes) wanted=$runtimes ;;
suites) wanted=$suites ;;
deb) wanted=$deb ;;
*)
	echo "usage: deps.sh build|demo|test|fresh|kernels|runtimes|suites|deb" >&2
	exit 2
	;;
esac

if ! command -v go >/dev/null; then
	echo "deps: Go 1.26 or newer is needed and not on PATH" >&2
	exit 1
fi
if ! command -v dpkg-query >/dev/null; then
	echo "deps: not a Debian system; make sure of: $wanted" >&2
	exit 0
fi

# missing prints those of its arguments that are not installed.
missing() {
	local package
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
	done
}

# fetch_machines downloads what make test and make runtimes boot. What it means if that
# cannot be, they say.
fetch_machines() {
	case "$1" in
	test) "$(dirname "$0")/kernels.sh" --quick --fetch || true ;;
	runtimes) "$(dirname "$0")/runtimes.sh" --fetch || true ;;
	esac
}

# CPython's own tests are packaged by version: libpython3.11-testsuite on Debian 12.
has_testsuite() {
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'libpython3*-testsuite' 2>/dev/null | grep -q '^installed '
}

need=$(missing $wanted)
testsuite=no
if [[ "$1" = test || "$1" = suites ]] && ! has_testsuite; then
	testsuite=yes
fi
if [ -z "$need" ] && [ $testsuite = no ]; then
	fetch_machines "$1"
	exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: missing packages, and neither root nor sudo to install them:" $need >&2
		exit 1
	fi
	as_root=sudo
fi

echo "deps: refreshing the package lists"
$as_root apt-get -qq update
if [ $testsuite = yes ]; then
	need="$need $(apt-cache pkgnames libpython3 | grep -E '^libpython3\.[0-9]+-testsuite$' | sort -V | tail -n 1)"
fi
echo "deps: installing $(wc -w <<<"$need") packages and what they need:" $need
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $need >/dev/null
fetch_machines "$1"
