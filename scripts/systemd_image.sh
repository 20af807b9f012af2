#!/bin/bash
# Makes the root file system in which TestSystemd runs our service under a real systemd:
# Debian of this machine's release, from this machine's own mirror, with systemd and the
# runtimes, as an archive that a kernel unpacks at boot.
# usage: systemd_image.sh; prints the archive's name
#
# It is kept outside the repository, beside the kernels of kernels.sh. One that is there
# is not made again, unless this script has changed: rm it to renew it.
set -euo pipefail
dir=${PIDFD_SHIM_SYSTEMD:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pidfd-shim/systemd}
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
image=$dir/$suite-$(sha256sum "$0" | head -c 8).cpio

packages=systemd,systemd-sysv,libseccomp2,runc,crun,procps
# Nothing of this has anything to do in a machine without devices.
masked="getty.target systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket
	systemd-udevd-kernel.socket systemd-logind.service systemd-pstore.service systemd-timesyncd.service
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer"

# sources are the lines of this machine's own apt for its release.
sources() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v suite="$suite" 'index($2, suite) == 1 && $3 == "main" {
			print "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", $1, $2, $3 }'
}

# unpack installs the packages into a directory.
unpack() {
	mkdir "$1"
	sources | mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" --format=tar \
		--aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" - - | tar -C "$1" --numeric-owner --exclude './dev/*' -x
	for unit in $masked; do
		ln -sf /dev/null "$1/etc/systemd/system/$unit"
	done
}

if [ ! -e "$image" ]; then
	echo "systemd_image: making a root file system of $suite" >&2
	mkdir -p "$dir"
	work=$(mktemp -d "$dir/make.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	unpack "$work/root"
	(cd "$work/root" && find . -print0 | cpio --quiet --null -o -H newc) >"$work/cpio"
	rm -f "$dir/$suite"-*.cpio
	mv "$work/cpio" "$image"
fi
echo "$image"
