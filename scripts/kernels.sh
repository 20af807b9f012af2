#!/bin/bash
# make kernels: boots other kernels under QEMU without KVM and runs the truth suite in
# each, natively and under every backend and mode that it should have.
# usage: kernels.sh [--quick] [IMAGE...]
#   --quick  two old kernels and a part of the rows: what make test does
#   IMAGE    a bzImage instead of Debian's kernels
#
# Debian's kernels come by apt from this machine's own mirror, with configuration,
# lists and cache of their own under build/kernels; the system's are left alone. A
# kernel that is there already is not asked for again: rm -r build/kernels renews.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$PWD/build/kernels

all="bullseye bookworm bookworm-backports trixie sid"
quick="bullseye bookworm"
fetched=no

main() {
	local suites=$all images=() name
	if [ "${1:-}" = --quick ]; then
		suites=$quick
		export KERNELS_ONLY=${KERNELS_ONLY:-ns=}
		shift
	fi
	if [ $# -gt 0 ]; then
		images=("$(realpath -- "$@" | paste -sd :)")
	else
		for name in $suites; do
			if [ -e "$dir/$name/vmlinuz" ] || fetch "$name"; then
				images+=("$dir/$name/vmlinuz")
			else
				echo "kernels: the mirror has no kernel of $name" >&2
			fi
		done
	fi
	if [ ${#images[@]} = 0 ]; then
		echo "kernels: none to be had" >&2
		exit 1
	fi
	KERNELS=$(IFS=: && echo "${images[*]}") exec go test -tags kernels -count 1 -timeout 3h -v -run '^TestKernels$' ./tests
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

# refresh reads the lists of all suites, each by itself: a mirror need not have all.
refresh() {
	local mirror suite
	mirror=$(/usr/bin/apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v suite="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" '$2 == suite && $3 == "main" { print $1; exit }')
	if [ -z "$mirror" ]; then
		echo "kernels: apt here has no source of Debian's main to derive others from" >&2
		return 1
	fi
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
	: >"$dir/apt/status"
	for suite in $all; do
		echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$dir/apt/sources.list"
	echo "kernels: refreshing the lists of $all" >&2
	apt apt-get update >"$dir/apt/log" 2>&1 || cat "$dir/apt/log" >&2
}

# fetch leaves a suite's newest cloud kernel as build/kernels/SUITE/vmlinuz.
fetch() {
	local suite=$1 package unpacked image
	if [ $fetched = no ]; then
		refresh || return 1
		fetched=yes
	fi
	# The image itself is in linux-image-VERSION, or since 7.x in linux-binary-VERSION.
	package=$(depends "$suite" linux-image-cloud-amd64 '^linux-image-.*-cloud-amd64$')
	package=$(depends "$suite" "${package:-none}" '^linux-binary-' || true; echo "$package")
	package=${package%%$'\n'*}
	if [ -z "$package" ]; then
		return 1
	fi
	echo "kernels: downloading $package of $suite" >&2
	unpacked=$(mktemp -d "$dir/unpack.XXXXXX")
	(
		cd "$unpacked"
		apt apt-get download "$package" >log 2>&1 || { cat log >&2; exit 1; }
		dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards '*vmlinuz*'
		image=$(find . -name 'vmlinuz*' -type f | head -n 1)
		mkdir -p "$dir/$suite"
		mv "$image" "$dir/$suite/vmlinuz"
	)
	image=$?
	rm -r "$unpacked"
	return $image
}

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
