#!/bin/bash
# Makes a fresh Debian the machine of vagrant/Vagrantfile: the service of the clone in /vagrant, installed by its own
# installer, and accounts to try it with. Root runs it in the guest, again at any time:  provision.sh sudo|sudo-rs PORT
set -euo pipefail

clone=/vagrant
cache=/var/cache/unixspawner
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export DEBIAN_FRONTEND=noninteractive
packages=(ca-certificates curl fish libnss-extrausers make nfs-kernel-server openssl procps psmisc python3-venv quota rsync tcsh zsh)

fail() {
	printf 'provision.sh: %s\n' "$1" >&2
	exit 1
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

install_packages() {
	local -a missing=()
	local package
	for package in "$@"; do
		is_installed "$package" || missing+=("$package")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	echo "Installing packages: ${missing[*]}"
	apt-get -qq update
	apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "${missing[@]}" >/dev/null
}

# Tests start them where a home is on an NFS server; nobody else needs them to listen.
stop_file_servers() {
	systemctl -q disable --now rpcbind.socket rpcbind nfs-server nfs-blkmap
}

# The certificates of the host.
trust_certificates() {
	[ -d /tmp/certificates ] || return 0
	if ! are_trusted; then
		cp -- /tmp/certificates/*.crt /usr/local/share/ca-certificates/
		update-ca-certificates >/dev/null
	fi
	rm -r /tmp/certificates
}

are_trusted() {
	local file
	for file in /tmp/certificates/*.crt; do
		cmp -s -- "$file" "/usr/local/share/ca-certificates/$(basename -- "$file")" || return 1
	done
}

# pip and npm look for certificates in places of their own. Where the box brings the downloads along, they are used; if
# all that is wanted is there, nothing is asked for elsewhere.
set_up_downloads() {
	local bundle=/etc/ssl/certs/ca-certificates.crt
	printf '[global]\ncert = %s\n' "$bundle" >/etc/pip.conf
	printf 'cafile=%s\n' "$bundle" >/root/.npmrc
	[ -e "$cache/made-for" ] || return 0
	printf 'find-links = %s\n' "$cache/wheels" >>/etc/pip.conf
	printf 'cache=%s\nprefer-offline=true\n' "$cache/npm" >>/root/.npmrc
	! (cd "$clone" && sha256sum --status --check "$cache/made-for") || echo 'no-index = true' >>/etc/pip.conf
}

# Root can be signed in to with the key of the account vagrant: the tests act as root, and must not need sudo for it.
open_root() {
	local key
	key=$(getent passwd vagrant | cut -d: -f6)/.ssh/authorized_keys
	[ -r "$key" ] || fail "$key is not there: sign-in with a key is how Vagrant gets in."
	install -d -m 700 /root/.ssh
	install -m 600 "$key" /root/.ssh/authorized_keys
}

# Without KVM everything takes longer than on any real machine, and some things wait for only so long.
allow_for_emulation() {
	[ "$(systemd-detect-virt)" = qemu ] || return 0
	install -D -m 644 /dev/stdin /etc/unixspawner/jupyterhub_config.d/50-emulated.py <<-'END'
		# Made by vagrant/provision.sh: this machine is emulated.
		c.UnixProxy.start_timeout = 600
		c.UnixSpawner.start_timeout = 600
	END
	install -D -m 644 /dev/stdin /etc/systemd/system/unixspawner.service.d/emulated.conf <<-'END'
		# Made by vagrant/provision.sh: this machine is emulated.
		[Service]
		# The proxy is asked only when it has something behind it: to say no takes it a third of a second.
		ExecStartPost=
		ExecStartPost=/bin/sh -c 'until curl -so /dev/null --unix-socket /run/unixspawner/hub.sock http://hub/; do kill -0 $MAINPID || exit 1; sleep 2; done'
		ExecStartPost=/usr/local/bin/unixspawner status --quiet --wait 600 --pid $MAINPID
		TimeoutStartSec=900
		TimeoutStopSec=300
	END
}

# The service listens on loopback only, as installed. This takes what comes from the host there.
forward_port() {
	cat >/etc/systemd/system/vagrant-forward.socket <<-'END'
		# Made by vagrant/provision.sh: the way from the host's forwarded port to the service.
		[Socket]
		ListenStream=8001
		[Install]
		WantedBy=sockets.target
	END
	cat >/etc/systemd/system/vagrant-forward.service <<-'END'
		[Unit]
		Requires=vagrant-forward.socket
		[Service]
		ExecStart=/usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:8000
		DynamicUser=yes
	END
	systemctl daemon-reload
	systemctl -q enable --now vagrant-forward.socket
}

main() {
	local sudo=$1 port=$2
	trust_certificates
	install_packages "${packages[@]}"
	stop_file_servers
	[ "$sudo" = sudo ] || "$clone/vagrant/box/sudo-rs"
	open_root
	set_up_downloads
	allow_for_emulation
	"$clone/install" --demo
	forward_port
	"$clone/vagrant/accounts"
	echo "On this machine's host the service is at http://127.0.0.1:$port/"
}

main "$@"
