# shellcheck shell=bash
# bash offers what the command itself says can come next.
_unixspawner() {
	local kind value
	COMPREPLY=()
	while IFS=, read -r kind value; do
		[ "$kind" = plain ] && COMPREPLY+=("$value")
	done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
		_UNIXSPAWNER_COMPLETE=bash_complete unixspawner 2>/dev/null)
	return 0
}
complete -F _unixspawner unixspawner
