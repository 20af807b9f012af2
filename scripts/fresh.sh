#!/bin/bash
# make fresh: what a new user does, on a machine that has nothing: a minimal Debian, a clone
# with the project's own name, another file system as /tmp, then the README's commands.
# usage: fresh.sh [--short] [demo|test|quick ...]   (default: demo test)
#   --short  shares this machine's caches of Go modules and builds: what make test does
#
# The root file system is made by mmdebstrap from this machine's own apt configuration, and
# taken away again. It has a mount namespace of its own; processes and network are this machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
short=no
if [ "${1:-}" = --short ]; then
	short=yes
	shift
fi
targets=${*:-demo test}
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ "$(id -u)" = 0 ] || { echo "fresh: needs root, for mounts" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "fresh: mmdebstrap is not installed" >&2; exit 1; }

work=$(mktemp -d "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pidfd-shim.XXXXXX" 2>/dev/null || mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root

echo "fresh: making a minimal root file system of $suite"
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	awk -v suite="$suite" 'index($2, suite) == 1 && $3 == "main" { print "deb", $1, $2, $3 }' >"$work/sources"
mmdebstrap --quiet --mode=root --variant=minbase --include=git,make,ca-certificates --format=tar \
	--aptopt='Acquire::Languages "none"' "$suite" - - <"$work/sources" >"$work/tar"
mkdir "$root"
tar -C "$root" --numeric-owner --exclude './dev/*' -xf "$work/tar"
rm "$work/tar"

# What apt and TLS need to know of this machine.
cp -rL /etc/apt/apt.conf.d /etc/apt/auth.conf.d /etc/apt/preferences.d "$root/etc/apt/" 2>/dev/null || true
cp "$work/sources" "$root/etc/apt/sources.list"
rm -f "$root"/etc/apt/sources.list.d/*
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
	[ ! -e "$file" ] || cp -L "$file" "$root$file"
done
git clone --quiet --no-hardlinks . "$root/home/pidfd-shim"
mkdir -p "$root/usr/local/go" "$root/home/modules" "$root/home/builds"

# The rest happens in a mount namespace that ends with it.
export FRESH_ROOT=$root FRESH_GO FRESH_MODULES='' FRESH_BUILDS=''
FRESH_GO=$(go env GOROOT)
if [ $short = yes ]; then
	FRESH_MODULES=$(go env GOMODCACHE) FRESH_BUILDS=$(go env GOCACHE)
fi
inside='
set -euo pipefail
mount --rbind "$FRESH_ROOT" "$FRESH_ROOT"
cd "$FRESH_ROOT"
for dir in proc sys dev; do mount --rbind "/$dir" "$dir"; done
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind -o ro "$FRESH_GO" usr/local/go
[ -z "$FRESH_MODULES" ] || mount --bind "$FRESH_MODULES" home/modules
[ -z "$FRESH_BUILDS" ] || mount --bind "$FRESH_BUILDS" home/builds
mkdir -p old
pivot_root . old
cd /home/pidfd-shim
umount -l /old
exec "$@"'
for target in $targets; do
	begun=$SECONDS
	echo "fresh: make $target"
	unshare --mount --propagation private bash -c "$inside" fresh env -i HOME=/root FRESH=1 TERM=dumb CI="${CI:-}" LANG=C.UTF-8 \
		PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		GOPROXY="$(go env GOPROXY)" GOFLAGS="$(go env GOFLAGS)" GONOSUMDB="$(go env GONOSUMDB)" GOSUMDB="$(go env GOSUMDB)" \
		GOMODCACHE=/home/modules GOCACHE=/home/builds \
		make "$target" </dev/null
	echo "fresh: make $target: good after $((SECONDS - begun)) s"
done
