# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of foldfs for fish: switches, mount options and their values.

# The items of a list: each as it would stand behind the last comma.
function __foldfs_options
    set -l word (commandline -ct | string replace -r '^(-o|--options=)' '')
    set -l before (string replace -r '[^,]*$' '' -- $word)
    # options begin
    printf '%s\n' $before{size=,mem_limit=}{25%,50%,1G} \
        $before{nr_inodes=,fsname=,spill_size=,spill_high=,spill_low=} \
        $before"spill="(__fish_complete_path | string replace -r '\t.*' '') \
        $before"mode="{1777,0755,0700} \
        $before"uid="(__fish_complete_users | string replace -r '\t.*' '') \
        $before"gid="(__fish_complete_groups | string replace -r '\t.*' '') \
        $before"compress="{lz4,lz4hc,zstd,none} \
        $before"workers="{auto,1,2,4} \
        $before"cache="{through,writeback,none} \
        $before"profile="{directory,swap} \
        $before"forgo="{memlock,io_flusher,oom,checks} \
        $before"config="(__fish_complete_path | string replace -r '\t.*' '') \
        $before"subtype="foldfs
    # options end
    printf '%s\n' $before{spill_force,spill_encrypt,io_uring,allow_other,ro,rw,nosuid,suid,nodev,dev} \
        $before{noexec,exec,sync,async,dirsync,noatime,atime}
end

for name in foldfs mount.foldfs
    complete -c $name -x -a '(__fish_complete_directories)'
    complete -c $name -s o -l options -x -a '(__foldfs_options)' -d 'Mount options'
    complete -c $name -s c -l config -r -F -d 'Read options from a file'
    complete -c $name -s f -l foreground -d 'Stay in the foreground'
    complete -c $name -s d -l debug -d 'Print every request'
    complete -c $name -s h -l help -d 'Print help'
    complete -c $name -s V -l version -d 'Print the version'
end
