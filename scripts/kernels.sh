#!/bin/bash
# make kernels: boots other kernels under QEMU without KVM and runs the truth suite and
# real callers in each, natively and under every backend and mode that it should have.
# usage: kernels.sh [--quick] [--fetch] [IMAGE...]
#   --quick  two old kernels and a part of the rows: what make test does
#   --fetch  only downloads what is missing
#   IMAGE    a bzImage instead of Debian's kernels
#
# Debian's kernels come by apt from this machine's own mirror, with configuration, lists
# and cache of their own; the system's are left alone. They are kept outside the
# repository, so that a fresh clone finds them: in $PIDFD_SHIM_KERNELS, or
# ~/.cache/pidfd-shim/kernels. What is there is not asked for again: rm -r it to renew.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${PIDFD_SHIM_KERNELS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pidfd-shim/kernels}

# SUITE is its cloud kernel; SUITE-amd64 the full flavour, which has the x32 ABI.
all="bullseye bookworm trixie sid bullseye-amd64 sid-amd64"
quick="bullseye bookworm"
# The newest, for kernels that lack the call: it says what they should do.
oracle=sid-amd64

main() {
	local wanted=$all only_fetch=no timeout=6h name
	while [ $# -gt 0 ]; do
		case "$1" in
		--quick) wanted=$quick timeout=20m ;;
		--fetch) only_fetch=yes ;;
		*) break ;;
		esac
		shift
	done
	if [ $# -gt 0 ]; then
		wanted=$oracle
	fi
	if ! command -v qemu-system-x86_64 >/dev/null; then
		echo "kernels: qemu-system-x86_64 is not installed (Debian's qemu-system-x86)" >&2
		exit 1
	fi
	fetch_missing $wanted
	if [ $only_fetch = yes ]; then
		exit
	fi
	if [ "$wanted" = "$quick" ]; then
		export KERNELS_EVERY=${KERNELS_EVERY:-40} KERNELS_CALLERS=${KERNELS_CALLERS:-send,demo64,demo32}
	fi
	export KERNELS='' KERNELS_ORACLE=$dir/$oracle/vmlinuz
	if [ $# -gt 0 ]; then
		KERNELS=$(realpath -- "$@" | paste -sd :)
	else
		for name in $wanted; do
			KERNELS=${KERNELS:+$KERNELS:}$dir/$name/vmlinuz
		done
	fi
	exec go test -tags kernels -count 1 -timeout "$timeout" -v -run '^TestKernels$' ./tests
}

# fetch_missing leaves each name's kernel as $dir/NAME/vmlinuz, or ends with a reason.
fetch_missing() {
	local name missing=
	for name in "$@"; do
		[ -e "$dir/$name/vmlinuz" ] || missing="$missing $name"
	done
	if [ -z "$missing" ]; then
		return
	fi
	refresh $(printf '%s\n' $missing | sed 's/-amd64$//' | sort -u)
	for name in $missing; do
		if ! fetch "$name"; then
			echo "kernels: no kernel of $name can be had from this machine's mirror, and none is in $dir" >&2
			exit 1
		fi
	done
}

# apt runs one of apt's programs on our own lists and cache.
apt() {
	local program=$1
	shift
	"$program" -q -o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" -o Dir::State::lists="$dir/apt/lists" \
		-o Dir::Cache="$dir/apt/cache" -o Dir::Etc::sourcelist="$dir/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null -o APT::Sandbox::User= \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o Acquire::Retries=3 "$@"
}

# refresh reads the lists of some suites, each by itself: a mirror need not have all.
refresh() {
	local mirror suite
	mirror=$(/usr/bin/apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v suite="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" '$2 == suite && $3 == "main" { print $1; exit }')
	if [ -z "$mirror" ]; then
		echo "kernels: apt here has no source of Debian's main to derive others from; put kernels as NAME/vmlinuz into $dir" >&2
		exit 1
	fi
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
	: >"$dir/apt/status"
	for suite in "$@"; do
		echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$dir/apt/sources.list"
	echo "kernels: refreshing the package lists of $*" >&2
	apt apt-get update >"$dir/apt/log" 2>&1 || cat "$dir/apt/log" >&2
}

# fetch downloads the newest kernel of a name. The image itself is in
# linux-image-VERSION, or since 7.x in linux-binary-VERSION.
fetch() {
	local name=$1 suite=${1%-amd64} flavour=cloud-amd64 package binary unpacked status=0
	if [ "$suite" != "$name" ]; then
		flavour=amd64
	fi
	package=$(depends "$suite" "linux-image-$flavour" "^linux-image-.*$flavour\$")
	if [ -z "$package" ]; then
		return 1
	fi
	binary=$(depends "$suite" "$package" '^linux-binary-')
	package=${binary:-$package}
	echo "kernels: downloading $package of $suite" >&2
	unpacked=$(mktemp -d "$dir/unpack.XXXXXX")
	unpack "$package" "$unpacked" "$dir/$name" || status=1
	rm -r "$unpacked"
	return $status
}

# unpack downloads a package into a directory and moves its kernel into another.
unpack() (
	cd "$2" || exit 1
	apt apt-get download "$1" >log 2>&1 || { cat log >&2; exit 1; }
	dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards '*vmlinuz*' || exit 1
	mkdir -p "$3" && find . -name 'vmlinuz*' -type f -exec mv {} "$3/vmlinuz" ';' && [ -e "$3/vmlinuz" ]
)

# depends prints the first dependency of a package, of a suite, that looks so.
depends() {
	apt apt-cache show "$2" 2>/dev/null | awk -v package="$2" -v versions="$(versions "$1" "$2")" '
		$1 == "Version:" { ours = index(" " versions " ", " " $2 " ") }
		$1 == "Depends:" && ours { sub(/^Depends: /, ""); print; exit }' |
		tr ',' '\n' | awk '{ print $1 }' | { grep -E -m 1 "$3" || true; }
}

# versions prints the newest version of a package that a suite has.
versions() {
	apt apt-cache madison "$2" 2>/dev/null | awk -v suite="$1/main" '$6 == suite { print $3; exit }'
}

main "$@"
