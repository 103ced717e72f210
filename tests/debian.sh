# shellcheck shell=bash
# The file systems of Debian that tests/container and tests/kernel start: from the archive, kept, and as a folder under which
# each keeps its changes. Sourced, after `fail` is defined.

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=/var/cache/unixspawner-tests
bundle=/etc/ssl/certs/ca-certificates.crt
packages=(systemd-sysv libpam-systemd dbus udev cron logrotate locales less openssh-server openssl rsync psmisc git
	ca-certificates curl make procps python3-venv sudo)
# Where this machine has its downloads from. pip and npm look for certificates in places of their own.
downloads=(/etc/pip.conf /etc/xdg/pip /etc/npmrc /root/.npmrc)
certificates=(PIP_CERT REQUESTS_CA_BUNDLE SSL_CERT_FILE NODE_EXTRA_CA_CERTS)

# shellcheck source=vagrant/box/archive.sh
source "$here/vagrant/box/archive.sh"

# install_tools PACKAGE...
install_tools() {
	local -a missing=()
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	apt-get -q update
	DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}"
}

# The file system as it comes from the archive, for all machines of the suite.
make_base() {
	local suite=$1 base=$2
	mkdir -p -- "$base"
	exec 7>"$base/lock"
	flock 7
	if [ ! -e "$base/complete" ]; then
		echo "Making the file system of $suite"
		rm -rf --one-file-system -- "$base/root"
		bootstrap "$suite" "$base/root" "$(
			IFS=,
			echo "${packages[*]}"
		)"
		touch -- "$base/complete"
	fi
	exec 7>&-
}

# mount_changes STORE BASE NAME: what is written under STORE/root stays in STORE/upper
mount_changes() {
	mkdir -p -- "$1/root" "$1/upper" "$1/work"
	mount -t overlay -o "lowerdir=$2/root,upperdir=$1/upper,workdir=$1/work" "$3" "$1/root"
}

# set_up ROOT NAME
set_up() {
	local root=$1 name=$2 file
	printf '%s\n' "$name" >"$root/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost\n' "$name" >"$root/etc/hosts"
	for file in "${downloads[@]}"; do
		[ ! -e "$file" ] || cp -R -- "$file" "$root$(dirname -- "$file")"
	done
	cp -R -- /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates"
	chroot "$root" update-ca-certificates >/dev/null 2>&1
}

# Folders of packages that pip's settings here name.
folders_of_packages() {
	local word
	for word in ${PIP_FIND_LINKS:-} $(cat -- /etc/pip.conf /etc/xdg/pip/pip.conf 2>/dev/null || true); do
		word=${word#file://}
		word=${word%/simple}
		[ "${word:0:1}" != / ] || [ ! -d "$word" ] || printf '%s\n' "$word"
	done | sort -u
}
