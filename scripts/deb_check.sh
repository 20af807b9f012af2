#!/bin/bash
# Takes a package apart, and installs and removes it in a root of its own.
# usage: deb_check.sh PACKAGE VERSION
set -euo pipefail

package=$(realpath "$1")
version=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() { echo "deb: $package: $*" >&2 && exit 1; }

[ "$(dpkg-deb --field "$package" Package Version | tr '\n' ' ')" = "Package: pidfd-shim Version: $version " ] ||
	fail "not pidfd-shim $version"

# Everything belongs to root, and only the program and folders can be entered or run.
dpkg-deb --contents "$package" >"$scratch/contents"
awk '$2 != "root/root"' "$scratch/contents" | grep . && fail "not root's"
awk '$1 ~ /^-/ && $1 ~ /x/ && $6 != "./usr/bin/pidfd-shim"' "$scratch/contents" | grep . && fail "executable"
for name in usr/bin/pidfd-shim lib/systemd/system/pidfd-shim.{service,socket} etc/pidfd-shim/policies/ etc/logrotate.d/pidfd-shim \
	usr/share/man/man1/pidfd-shim.1.gz usr/share/bash-completion/completions/pidfd-shim \
	usr/share/zsh/vendor-completions/_pidfd-shim usr/share/fish/vendor_completions.d/pidfd-shim.fish \
	usr/share/doc/pidfd-shim/{copyright,changelog.gz,OPERATIONS.md} \
	usr/share/doc/pidfd-shim/examples/{monitor.yaml,daemonset.yaml,profiles.yaml,dashboard.json,metrics-tcp.conf}; do
	awk '{print $6}' "$scratch/contents" | grep -qxF "./$name" || fail "lacks $name"
done

# installed: dpkg unpacks, registers and configures it there. That root's database does not
# know its dependencies, which are this machine's.
installed() {
	mkdir -p "$scratch/tree/var/lib/dpkg/"{info,updates}
	: >"$scratch/tree/var/lib/dpkg/status"
	in_root --install "$package"
}
in_root() {
	dpkg --root="$scratch/tree" --force-not-root --force-depends --force-script-chrootless \
		--log=/dev/null "$@" >"$scratch/dpkg.log" 2>&1 || { cat "$scratch/dpkg.log" >&2 && fail "dpkg $*"; }
}

installed
(cd "$scratch/tree" && md5sum --quiet -c var/lib/dpkg/info/pidfd-shim.md5sums) || fail "files differ from md5sums"
shim=$scratch/tree/usr/bin/pidfd-shim
said=$("$shim" version)
[[ $said == "pidfd-shim ${version%%+*} "* ]] || fail "its program says $said"
for policy in "$scratch"/tree/usr/share/doc/pidfd-shim/examples/*.yaml; do
	grep -qE '^(kind|groups):' "$policy" || "$shim" policy test "$policy" >/dev/null || fail "example $policy"
done
for script in "$scratch"/tree/var/lib/dpkg/info/pidfd-shim.p*; do
	sh -n "$script" || fail "$script"
done

install -D -m 600 /dev/null "$scratch/tree/var/log/pidfd-shim/audit.jsonl" # purge takes logs, too
in_root --purge pidfd-shim
left=$(find "$scratch/tree" -path "$scratch/tree/var/lib/dpkg" -prune -o ! -type d -print)
[ -z "$left" ] || fail "left behind: $left"

if command -v lintian >/dev/null; then
	lintian --fail-on error --suppress-tags unknown-field "$package" >&2 || fail "lintian"
fi
