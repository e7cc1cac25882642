# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of foldctl for bash: verbs, their options, mounts and keys.

_foldctl_table="--output --output-all --bytes --noheadings --raw --json"
_foldctl_always="--timeout --help"

_foldctl_options() {
	case $1 in
	list) echo "$_foldctl_table" ;;
	stat) echo "--bytes --json" ;;
	top) echo "--delay --count --batch --json" ;;
	iostat) echo "--omit-first --noheadings --json" ;;
	file) echo "$_foldctl_table --recursive --sort --top --total" ;;
	map) echo "--ages --json" ;;
	spill | fetch) echo "--recursive --pages" ;;
	get) echo "$_foldctl_table" ;;
	set) ;;
	workers) echo "$_foldctl_table" ;;
	metrics) echo "--textfile --prometheus" ;;
	explain) echo "$_foldctl_table" ;;
	collect-info) ;;
	check) echo "--json" ;;
	stop) echo "--lazy --dead" ;;
	help) ;;
	esac
}
# verbs begin
_foldctl_verbs="list stat top iostat file map spill fetch get set workers
	metrics explain collect-info check stop help"
# verbs end

# Asks no daemon, so none can keep the shell waiting.
_foldctl_mounts() {
	local line
	foldctl list -nro MOUNT 2>/dev/null | while read -r line; do
		printf '%b\n' "$line"
	done
}

_foldctl_keys() {
	foldctl explain -nro KEY,SET 2>/dev/null |
		awk -v only="$1" 'only == "" || $2 == only { print $1 }'
}

# What may be an operand of that verb.
_foldctl_operands() {
	case $1 in
	stat | top | iostat | metrics | collect-info | check | stop) _foldctl_mounts ;;
	get) _foldctl_mounts && _foldctl_keys ;;
	set) _foldctl_mounts && _foldctl_keys yes ;;
	workers) _foldctl_mounts && printf '%s\n' +1 -1 =1 auto ;;
	explain) _foldctl_keys ;;
	help) tr -s ' \t' '\n' <<<"$_foldctl_verbs" ;;
	esac
}

_foldctl_values() {
	case $1 in
	compress) echo "lz4 lz4hc zstd none" ;;
	workers) echo "auto" ;;
	stream_retire) echo "pool eager idle:60" ;;
	esac
}

# COMPREPLY from lines; names of mounts may have blanks.
_foldctl_offer() {
	local cur=$1 line
	COMPREPLY=()
	while read -r line; do
		if [[ $line == "$cur"* && -n $line ]]; then
			COMPREPLY+=("$(printf '%q' "$line")")
		fi
	done
}

_foldctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]}

	if [[ $COMP_CWORD == 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_foldctl_verbs --version
			$_foldctl_always $_foldctl_table" -- "$cur")
	elif [[ $prev == --textfile || $verb == file || $verb == map ||
		$verb == spill || $verb == fetch ]] &&
		[[ $cur != -* ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_foldctl_always
			$(_foldctl_options "$verb")" -- "$cur")
	elif [[ $verb == set && -n $(_foldctl_values "$prev") ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(_foldctl_values "$prev")" -- "$cur")
	else
		_foldctl_offer "$cur" < <(_foldctl_operands "$verb")
	fi
}

complete -F _foldctl foldctl
