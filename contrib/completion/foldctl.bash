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
	check) echo "--data --give-up --json" ;;
	stop) echo "--lazy --dead" ;;
	swap) # by what is behind it
		case " ${COMP_WORDS[*]} " in
		*" on "*) echo "--size --mem-limit --spill --compress" \
			"--priority --forgo --options --mounted" ;;
		*" off "*) echo "--force" ;;
		*" status "*) echo "$_foldctl_table" ;;
		esac
		;;
	help) ;;
	esac
}
# verbs begin
_foldctl_verbs="list stat top iostat file map spill fetch get set workers
	metrics explain collect-info check stop swap help"
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
	swap) printf '%s\n' on off status ;;
	help) tr -s ' \t' '\n' <<<"$_foldctl_verbs" ;;
	esac
}

_foldctl_values() {
	case $1 in
	compress) echo "lz4 lz4hc zstd none" ;;
	workers) echo "auto" ;;
	stream_retire) echo "pool eager idle:60" ;;
	spill) echo "none" ;;
	spill_state) echo "active" ;;
	spill_check) echo "read give_up stop" ;;
	idle) echo "all" ;;
	writeback) echo "idle huge huge_idle incompressible all" ;;
	promote | writeback_limit_enable) echo "0 1" ;;
	esac
}

# Where the verb stands: behind --timeout, of which a shell may make three words.
_foldctl_verb_at() {
	local i=1
	while [[ ${COMP_WORDS[i]} == --timeout && $i -lt $COMP_CWORD ]]; do
		((i += 2))
		[[ ${COMP_WORDS[i - 1]} == = ]] && ((i += 1))
	done
	echo "$i"
}

# Whether the word before takes the one that is typed.
_foldctl_takes_word() {
	case $2 in
	--timeout | --output | --delay | --count | --top | --pages) true ;;
	--size | --mem-limit | --compress | --priority | --forgo | --options) true ;;
	-o) [[ " list file get workers explain swap " == *" $1 "* ]] ;;
	-s | -m | -c) [[ $1 == swap ]] ;;
	-d | -n) [[ $1 == top ]] ;;
	-p) [[ $1 == spill || $1 == fetch || $1 == swap ]] ;;
	*) false ;;
	esac
}

# The key that `set` has been given before the typed word, if it has.
_foldctl_key_before() {
	local word
	for word in "${COMP_WORDS[@]:$1 + 1:COMP_CWORD - $1 - 1}"; do
		if [[ -n $(_foldctl_values "$word") ]] ||
			_foldctl_keys | grep -qxF -e "$word"; then
			echo "$word"
			return
		fi
	done
}

# COMPREPLY from lines; names of mounts may have blanks.
_foldctl_offer() {
	local cur=${1//\\/} line
	COMPREPLY=()
	while read -r line; do
		if [[ $line == "$cur"* && -n $line ]]; then
			COMPREPLY+=("$(printf '%q' "$line")")
		fi
	done
}

_foldctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local at verb key
	at=$(_foldctl_verb_at)
	verb=${COMP_WORDS[at]}

	COMPREPLY=()
	if [[ $COMP_CWORD == "$at" ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_foldctl_verbs --version
			$_foldctl_always $_foldctl_table" -- "$cur")
	elif [[ $COMP_CWORD -lt $at ]] || _foldctl_takes_word "$verb" "$prev"; then
		return
	elif [[ $prev == --textfile || $prev == --spill || $verb == file || $verb == map ||
		$verb == spill || $verb == fetch ]] &&
		[[ $cur != -* ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_foldctl_always
			$(_foldctl_options "$verb")" -- "$cur")
	elif [[ $verb == set ]] && key=$(_foldctl_key_before "$at") &&
		[[ -n $key ]]; then
		if [[ $prev == "$key" ]]; then
			mapfile -t COMPREPLY < <(compgen -W \
				"$(_foldctl_values "$key")" -- "$cur")
		fi
	else
		_foldctl_offer "$cur" < <(_foldctl_operands "$verb")
	fi
}

complete -F _foldctl foldctl
