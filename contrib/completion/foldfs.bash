# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of foldfs for bash: switches, mount options and their values.

# options begin
_foldfs_own="size= mem_limit= nr_inodes= mode= uid= gid= compress= workers=
	cache= profile= forgo= spill= spill_size= spill_high= spill_low=
	spill_force spill_encrypt io_uring config= fsname= subtype= allow_other"
# options end
_foldfs_generic="ro rw nosuid suid nodev dev noexec exec sync async dirsync
	noatime atime"

# What may stand behind -o: the last of a list, after its comma.
_foldfs_list() {
	local cur=$1 before='' words
	if [[ $cur == *,* ]]; then
		before=${cur%,*},
		cur=${cur##*,}
	fi
	case $cur in
	compress=*)
		words="compress=lz4 compress=lz4hc compress=zstd compress=none" ;;
	cache=*) words="cache=through cache=writeback cache=none" ;;
	profile=*) words="profile=directory profile=swap" ;;
	forgo=*)
		words="forgo=memlock forgo=io_flusher forgo=oom forgo=checks" ;;
	workers=*) words="workers=auto" ;;
	subtype=*) words="subtype=foldfs" ;;
	mode=*) words="mode=1777 mode=0755 mode=0700" ;;
	size=* | mem_limit=*) words="${cur%%=*}=25% ${cur%%=*}=50% ${cur%%=*}=1G" ;;
	uid=*) words=$(compgen -u -P uid=) ;;
	gid=*) words=$(compgen -g -P gid=) ;;
	spill=*) words=$(compgen -f -P spill= -- "${cur#spill=}") ;;
	config=*) words=$(compgen -f -P config= -- "${cur#config=}") ;;
	*) words="$_foldfs_own $_foldfs_generic" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "$cur")
	[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
}

_foldfs() {
	local cur prev
	# A word that = and , do not split, and what stands before it.
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n =,: cur prev
	else
		cur=${COMP_LINE:0:COMP_POINT}
		cur=${cur##*[[:space:]]}
		prev=${COMP_LINE:0:COMP_POINT-${#cur}}
		prev=${prev%"${prev##*[![:space:]]}"}
		prev=${prev##*[[:space:]]}
	fi
	COMPREPLY=()
	if [[ $prev == -o || $prev == --options ]]; then
		_foldfs_list "$cur"
		_foldfs_cut_colons "$cur"
	elif [[ $prev == -c || $prev == --config ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "-o --options -c --config -f --foreground
			-d --debug -h --help -V --version" -- "$cur")
	else
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	fi
}

# readline replaces only what is behind the last = of the word.
_foldfs_cut_colons() {
	local i
	[[ $1 == *=* && $COMP_WORDBREAKS == *=* ]] || return 0
	for i in "${!COMPREPLY[@]}"; do
		COMPREPLY[i]=${COMPREPLY[i]#"${1%"${1##*=}"}"}
	done
}

complete -F _foldfs foldfs mount.foldfs
