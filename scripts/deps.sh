#!/bin/bash
# Installs the Debian packages that a make target needs, if any is missing, and says
# which. With all of them present it touches neither the network nor the system.
# usage: deps.sh build|demo|test|kernels|runtimes
set -euo pipefail

build="gcc libc6-dev libseccomp-dev pkg-config ca-certificates"
demo="$build gcc-multilib python3"
runtimes="$build gcc-multilib make util-linux runc crun"
test="$demo make procps psmisc strace stress-ng util-linux runc crun"

case "${1:-}" in
build) wanted=$build ;;
demo) wanted=$demo ;;
test) wanted=$test ;;
runtimes) wanted=$runtimes ;;
kernels) wanted="$demo make qemu-system-x86 debian-archive-keyring" ;;
*)
	echo "usage: deps.sh build|demo|test|kernels|runtimes" >&2
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

# CPython's own tests are packaged by version: libpython3.11-testsuite on Debian 12.
has_testsuite() {
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'libpython3*-testsuite' 2>/dev/null | grep -q '^installed '
}

need=$(missing $wanted)
testsuite=no
if [ "$1" = test ] && ! has_testsuite; then
	testsuite=yes
fi
if [ -z "$need" ] && [ $testsuite = no ]; then
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
echo "deps: installing" $need
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $need >/dev/null
