#!/bin/bash
# make deb: a Debian package of the agent, built by dpkg-deb from a staged tree, and
# then taken apart again to see that it is whole.
# usage: deb.sh; prints the name of the package, in bin/
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022 # modes are the package's, not the builder's

binary=bin/pidfd-shim
arch=$(dpkg --print-architecture)

# The version is the program's own. A tree that is not exactly a tag adds its commit,
# after "+": newer than the release, older than the next.
version=$($binary version | cut -d' ' -f2)
if commit=$(git rev-parse --short HEAD 2>/dev/null) && ! git describe --exact-match --tags >/dev/null 2>&1; then
	version="$version+git$(git log -1 --format=%cd --date=format:%Y%m%d).$commit"
fi
package=bin/pidfd-shim_${version}_$arch.deb

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
doc=$root/usr/share/doc/pidfd-shim

# put MODE FILE NAME: one file of the package, with the folders above it.
put() { install -D -m "$1" "$2" "$root/$3"; }

# said NAME ARG...: what the program says becomes a file of the package.
said() {
	"$binary" "${@:2}" >"$stage/said"
	put 644 "$stage/said" "$1"
}

# packed NAME FILE: compressed, and the same bytes whenever it is built.
packed() { gzip -9n <"$2" >"$stage/packed" && put 644 "$stage/packed" "$1"; }

program() {
	put 755 "$binary" usr/bin/pidfd-shim
	strip --strip-unneeded "$root/usr/bin/pidfd-shim"
	put 644 dist/systemd/pidfd-shim.service lib/systemd/system/pidfd-shim.service
	put 644 dist/systemd/pidfd-shim.socket lib/systemd/system/pidfd-shim.socket
	put 644 dist/logrotate/pidfd-shim etc/logrotate.d/pidfd-shim
	install -d "$root/etc/pidfd-shim/policies"
	said usr/share/bash-completion/completions/pidfd-shim completion bash
	said usr/share/zsh/vendor-completions/_pidfd-shim completion zsh
	said usr/share/fish/vendor_completions.d/pidfd-shim.fish completion fish
}

documents() {
	local file
	"$binary" man >"$stage/man"
	packed usr/share/man/man1/pidfd-shim.1.gz "$stage/man"
	for file in docs/*.md README.md; do
		put 644 "$file" "usr/share/doc/pidfd-shim/$(basename "$file")"
	done
	put 644 docs/policy.schema.json usr/share/doc/pidfd-shim/policy.schema.json
	put 644 LICENSE usr/share/doc/pidfd-shim/copyright
	for file in docs/policies/*.yaml dist/kubernetes/* dist/prometheus/* dist/systemd/*.conf; do
		put 644 "$file" "usr/share/doc/pidfd-shim/examples/$(basename "$file")"
	done
	printf 'pidfd-shim (%s) unstable; urgency=low\n\n  * Built by make deb.\n\n -- %s  %s\n' \
		"$version" "$maintainer" "$(git log -1 --format=%cD 2>/dev/null || date -R)" >"$stage/changelog"
	packed usr/share/doc/pidfd-shim/changelog.gz "$stage/changelog"
}

maintainer="pidfd-shim maintainers <pidfd-shim@localhost>"

# depends: the libraries that the program names itself. A pure build names none.
depends() {
	local needed
	needed=$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	case $needed in
	*libseccomp.so.2*) echo "Depends: libc6 (>= $(newest_glibc)), libseccomp2 (>= 2.5.0)" ;;
	*libc.so.6*) echo "Depends: libc6 (>= $(newest_glibc))" ;;
	esac
}

# newest_glibc: the C library's version whose symbols the program needs.
newest_glibc() {
	readelf -V "$binary" | grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -n 1 | cut -d_ -f2
}

control() {
	cat <<-END
		Package: pidfd-shim
		Version: $version
		Architecture: $arch
		Maintainer: $maintainer
		Section: admin
		Priority: optional
		Installed-Size: $(du -sk --apparent-size "$root" | cut -f1)
		$(depends)
		Suggests: runc | crun
		Description: stand between a program and pidfd_send_signal
		 pidfd-shim runs a program, or serves container runtimes as their seccomp
		 agent, and answers each call of pidfd_send_signal: it is passed to the
		 kernel, forwarded under a policy, or emulated where the kernel lacks it.
		 .
		 The agent is started by: systemctl enable --now pidfd-shim.socket pidfd-shim.service
	END
}

# Nobody's containers change when the package comes: the agent is enabled by hand. An
# upgrade restarts one that runs; the descriptor store keeps its listeners meanwhile. With
# dpkg --root= the machine that runs is not the one that is installed on.
scripts() {
	cat >"$root/DEBIAN/postinst" <<-'END'
		#!/bin/sh
		set -e
		if [ "$1" = configure ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
			systemctl daemon-reload
			if [ -n "$2" ]; then
				systemctl try-restart pidfd-shim.service
			fi
		fi
	END
	cat >"$root/DEBIAN/prerm" <<-'END'
		#!/bin/sh
		set -e
		if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
			systemctl disable --now pidfd-shim.service pidfd-shim.socket
		fi
	END
	cat >"$root/DEBIAN/postrm" <<-'END'
		#!/bin/sh
		set -e
		if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
			systemctl daemon-reload
		fi
		if [ "$1" = purge ]; then
			rm -rf "$DPKG_ROOT/var/log/pidfd-shim"
		fi
	END
	chmod 755 "$root"/DEBIAN/p*
}

program
documents
install -d "$root/DEBIAN"
control >"$root/DEBIAN/control"
echo /etc/logrotate.d/pidfd-shim >"$root/DEBIAN/conffiles"
scripts
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
scripts/deb_check.sh "$package" "$version"
echo "$package"
