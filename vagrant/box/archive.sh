# shellcheck shell=bash
# File systems of Debian from the archive that this machine has its own packages from. Sourced, after `fail` is defined.

# Where this machine has its own packages from: archive Debian | archive Debian-Security
archive() {
	local uri
	# shellcheck disable=SC2016  # for apt-get
	uri=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$1|//p" | sort -u | head -n 1)
	[ -n "$uri" ] || fail "apt knows no archive with the label $1: add it to this machine's sources and run apt-get update."
	printf '%s\n' "$uri"
}

# bootstrap SUITE FOLDER PACKAGES OPTION...  with PACKAGES in one word, commas in between
bootstrap() {
	local suite=$1 root=$2 packages=$3 debian security
	shift 3
	debian=$(archive Debian)
	security=$(archive Debian-Security)
	nice -n 19 mmdebstrap --mode=root --variant=minbase --skip=output/dev --include="$packages" "$@" "$suite" "$root" \
		"deb $debian $suite main" "deb $debian $suite-updates main" "deb $security $suite-security main" \
		7>&- 8>&- 9>&- # locks of ours: its own descriptors must have one digit, or sh cannot name them
}
