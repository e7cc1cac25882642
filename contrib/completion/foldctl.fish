# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of foldctl for fish: verbs, their options, mounts and keys.

# Asks no daemon, so none can keep the shell waiting.
function __foldctl_mounts
    # \X is a byte to fish, \x a character.
    foldctl list -nro MOUNT 2>/dev/null | string replace -a '\x' '\X' |
        string unescape
end

function __foldctl_keys
    foldctl explain -nro KEY,MEANING 2>/dev/null | string replace ' ' \t |
        string replace -a '\x20' ' '
end

function __foldctl_knobs
    foldctl explain -nro KEY,SET 2>/dev/null | string replace -rf ' yes$' ''
end

function __foldctl_offer -a verb
    complete -c foldctl -n "__fish_seen_subcommand_from $verb" $argv[2..]
end

complete -c foldctl -f
complete -c foldctl -l timeout -x -d 'How long a daemon may take'
complete -c foldctl -s h -l help -d 'Print help'
complete -c foldctl -n __fish_use_subcommand -s V -l version -d 'Print the version'

# verbs begin
for pair in 'list=All mounts in a table' 'stat=What a mount holds, takes and does' \
        'top=What a mount does, live' 'iostat=A line of rates for each interval' \
        'file=What files take' 'map=Where the pages of a file are' \
        'spill=Send files to the backing file' \
        'fetch=Bring files back' \
        'get=Values of keys' 'set=Change a knob' 'workers=The worker threads' \
        'metrics=All keys as OpenMetrics text' 'explain=What keys mean' \
        'collect-info=A text for a bug report' \
        'check=Say what does not add up' \
        'stop=Unmount and wait for the end' \
        'swap=A mount of its own as swap' 'help=Help of a verb'
    set -l word (string split -m 1 = $pair)
    complete -c foldctl -n __fish_use_subcommand -a $word[1] -d $word[2]
    complete -c foldctl -n '__fish_seen_subcommand_from help' -a $word[1] -d $word[2]
end
# verbs end

for verb in list file get workers explain
    __foldctl_offer $verb -s o -l output -x -d 'These columns'
    __foldctl_offer $verb -s O -l output-all -d 'All columns'
    __foldctl_offer $verb -l raw -d 'Columns divided by one blank'
end
for verb in list stat file get workers explain
    __foldctl_offer $verb -s b -l bytes -d 'Exact numbers'
end
for verb in list iostat file get workers explain
    __foldctl_offer $verb -s n -l noheadings -d 'No headings'
end
for verb in list stat top iostat file map get workers explain check
    __foldctl_offer $verb -s J -l json -d JSON
end
for verb in stat top iostat get set workers metrics collect-info check stop
    __foldctl_offer $verb -a '(__foldctl_mounts)' -d Mount
end
__foldctl_offer top -s d -l delay -x -d 'Seconds between samples'
__foldctl_offer top -s n -l count -x -d 'End after so many samples'
__foldctl_offer top -s b -l batch -d 'As text'
__foldctl_offer top -s 1 -d 'Without workers'
__foldctl_offer iostat -s y -l omit-first -d 'Not the line since the mount'
__foldctl_offer file -s r -l recursive -d 'Below directories'
__foldctl_offer file -s s -l sort -d 'The heaviest first'
__foldctl_offer file -l top -x -d 'Only so many'
__foldctl_offer file -s t -l total -d 'The sum alone'
__foldctl_offer file -F
__foldctl_offer map -s a -l ages -d 'Ages of the pages'
__foldctl_offer map -F
for verb in spill fetch
    __foldctl_offer $verb -s r -l recursive -d 'Below directories'
    __foldctl_offer $verb -s p -l pages -x -d 'Only these pages'
    __foldctl_offer $verb -F
end
__foldctl_offer get -a '(__foldctl_keys)'
__foldctl_offer set -a '(__foldctl_knobs)' -d Key
__foldctl_offer workers -a '+1 -1 =1 auto'
__foldctl_offer metrics -l textfile -r -F -d 'Into a file'
__foldctl_offer metrics -s p -l prometheus -d 'Older format'
__foldctl_offer explain -a '(__foldctl_keys)'
__foldctl_offer collect-info -F
__foldctl_offer check -s d -l data -d 'Read what is in the backing file'
__foldctl_offer check -l give-up -d 'And give up what cannot be read'
__foldctl_offer stop -s l -l lazy -d 'Out of view at once'
__foldctl_offer stop -s d -l dead -d 'Clear away a dead mount'
__foldctl_offer swap -a 'on off status'
__foldctl_offer swap -s s -l size -x -d 'Size of the swap'
__foldctl_offer swap -s m -l mem-limit -x -d 'Most RAM'
__foldctl_offer swap -l spill -r -F -d 'For the coldest pages'
__foldctl_offer swap -s c -l compress -x -a 'lz4 lz4hc zstd none' -d Codec
__foldctl_offer swap -s p -l priority -x -d 'Higher is used first'
__foldctl_offer swap -l forgo -x -a 'memlock io_flusher oom checks' -d 'What it may do without'
__foldctl_offer swap -s o -l options -x -d 'More options of foldfs'
__foldctl_offer swap -l mounted -d 'foldfs was started by others'
__foldctl_offer swap -s f -l force -d 'Also where memory is short'
functions -e __foldctl_offer
